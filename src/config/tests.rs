//! The example with every key, and the time that loading takes.

use std::fs;
use std::num::NonZeroU16;
use std::path::Path;
use std::time::Duration;

use super::file::keys_of;
use super::*;
use crate::auth::Then;

fn example(name: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name);
    let text = fs::read_to_string(&path).unwrap();
    (path, text)
}

fn checked(path: &Path, text: &str) -> Result<Config, Vec<Problem>> {
    Config::parse(path, text.as_bytes())
}

pub(super) fn settled(config: &Config) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        (config.messages.clone(), config.retry, config.log),
        (config.logins.clone(), config.master.clone()),
        (config.fastcgi, config.socket.clone()),
        config.limits.clone(),
        (config.routes.ports, config.routes.resolve_ttl),
        config.routes.probes,
        config.status.clone(),
    )
}

#[test]
fn the_full_example_has_every_default() {
    let (path, text) = example("full.toml");
    let full = checked(&path, &text).unwrap();
    let least = checked(&path, "[[users]]\nstore = \"file\"\npath = \"passwd\"\n").unwrap();
    assert_eq!(settled(&full), settled(&least));
    let store = |config: &Config| match config.users.as_slice() {
        [
            UsersConfig {
                store: StoreConfig::File(settings),
                ..
            },
        ] => settings.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(store(&full), store(&least));
    assert!(full.fronts.accept_everyone());
    assert!(!full.routes.has_routes());
}

/// Independent of what the files of the tables say.
#[test]
fn the_defaults() {
    let least = checked(
        Path::new("/etc/auth.toml"),
        "[[users]]\nstore = \"file\"\npath = \"passwd\"\n",
    )
    .unwrap();
    let port = |number| NonZeroU16::new(number).unwrap();
    assert_eq!(
        least.users,
        [UsersConfig {
            name: "file".to_owned(),
            domains: None,
            wrong: Then::Stop,
            trouble: Then::Stop,
            max_questions: None,
            store: StoreConfig::File(crate::users::file::Settings {
                path: "/etc/passwd".into(),
                allow_weak_schemes: false,
                max_hash_ms: 500,
                app_passwords: None,
                rehash: None,
                default_scheme: None,
                logins: Default::default(),
            }),
            positions: KeyPositions {
                whole: (1, 1),
                keys: [("path", (3, 8))].into(),
            },
        }]
    );
    assert_eq!(least.messages, Messages::default());
    assert_eq!(least.retry, None);
    assert_eq!(least.log.level, ::log::LevelFilter::Info);
    assert_eq!(
        least.fastcgi,
        fcgi::Limits {
            connections: 64,
            idle_timeout: Duration::from_secs(60),
            read_timeout: Duration::from_secs(10),
            params_bytes: 131_072,
            params_pairs: 512,
        }
    );
    assert_eq!(least.socket_rights(), Ok(SocketRights::of_mode(0o660)));
    assert_eq!(least.limits.max_hashes, None);
    assert_eq!(
        least.routes.ports,
        crate::route::Ports {
            imap: port(143),
            pop3: port(110),
            smtp: port(25)
        }
    );
    assert_eq!(least.routes.resolve_ttl, Duration::from_secs(300));
    assert_eq!(
        least.routes.probes,
        crate::route::Probes {
            kind: crate::route::ProbeKind::Greeting,
            interval: Duration::from_secs(10),
            timeout: Duration::from_millis(1000),
        }
    );
}

#[test]
fn the_full_example_has_every_key() {
    let (_, text) = example("full.toml");
    let sections = keys_of("");
    assert!(sections.len() >= 10);
    for section in sections {
        let header = match section {
            "users" => "[[users]]".to_owned(),
            _ => format!("[{section}]"),
        };
        let (_, rest) = text.split_once(&format!("\n{header}")).expect(&header);
        let own: Vec<_> = rest
            .lines()
            .take_while(|line| !line.starts_with('['))
            .collect();
        let keys = match section {
            "hosts" => keys_of("hosts.x"),
            "moves" => keys_of("moves.x"),
            _ => keys_of(section),
        };
        for key in keys {
            let sub = format!("\n[{section}.{key}]");
            let given = own.iter().any(|line| {
                let line = line.trim_start_matches(['#', ' ']);
                line.strip_prefix(key)
                    .is_some_and(|rest| rest.starts_with(" = "))
            });
            assert!(given || text.contains(&sub), "{section}.{key}");
        }
    }
}

#[cfg(feature = "servers")]
#[test]
fn what_the_full_example_has_behind_a_hash_is_good_too() {
    let (path, text) = example("full.toml");
    let hidden = |line: &str| {
        let line = line.strip_prefix("# ")?;
        // Only one of the three: `keys`.
        let of_another = line.starts_with("key = ") || line.starts_with("key-file = ");
        (line.contains(" = ") && !line.starts_with(' ') && !of_another).then(|| line.to_owned())
    };
    let text: String = text
        .lines()
        .map(|line| hidden(line).unwrap_or_else(|| line.to_owned()) + "\n")
        .map(|line| line.replace("store = \"accept\"", "[[users]]\nstore = \"accept\""))
        // The keys of the example are refused, as everybody knows them.
        .map(|line| {
            line.replace("the new one", "3b1c6e0d9f")
                .replace("the old one", "8a7f2c4e5d")
        })
        .collect();
    let config = checked(&path, &text).map_err(|problems| problems[0].to_string());
    let config = config.unwrap();
    assert_eq!(config.users.len(), 2);
    assert_eq!(config.routes.hosts().len(), 3);
    assert!(!config.fronts.accept_everyone());
}

#[cfg(feature = "servers")]
#[test]
fn the_example_of_other_methods() {
    let (path, text) = example("methods.toml");
    let config = checked(&path, &text).unwrap();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let domains = config.inbound.map(|inbound| inbound.domains);
    assert_eq!(domains.unwrap_or_default(), ["example.org", "example.com"]);
    assert!(config.external.is_some() && config.oauth.is_some());
    assert_eq!(config.messages.codes, crate::nginx::answer::Codes::All);
    // Fits into every answer.
    assert!(
        config
            .messages
            .sasl_error
            .is_some_and(|error| error.len() < 300)
    );
}

/// So that even with all of them hanging, others are answered.
#[cfg(feature = "servers")]
#[test]
fn who_asks_a_server_gets_a_share_of_the_connections_and_one_is_left() {
    let share = |text: &str| {
        let config = checked(Path::new("/etc/auth.toml"), text).unwrap();
        let stores = config.users.iter();
        let shares = stores.map(|users| config.max_questions(users.max_questions).get());
        shares.collect::<Vec<_>>()
    };
    let file = "[[users]]\nstore = \"file\"\npath = \"passwd\"\n";
    let http = "[[users]]\nstore = \"http\"\nurl = \"http://127.0.0.1/\"\n";
    let oauth = "[oauth]\nintrospection-url = \"https://id.example.org/\"\naudience = \"x\"\n";
    assert_eq!(share(&[file, http].concat()), [32, 32]);
    assert_eq!(share(&[http, http].concat()), [21, 21]);
    assert_eq!(share(&[http, http, oauth].concat()), [16, 16]);
    let few = "[fastcgi]\nmax-connections = 1\n";
    assert_eq!(share(&[http, few].concat()), [1]);
    let said = "max-questions = 50\n";
    assert_eq!(share(&[http, said, http].concat()), [50, 21]);
}

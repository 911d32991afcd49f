//! Each refusal costs the same: as many checks, of the same schemes.

use super::*;
use crate::secret::{Scheme, work};
use crate::sys::Lifetime;
use crate::users::file::{FileStore, Settings};

/// Passwords as stored in each scheme, cheap ones. Which passwords they are of is all the same.
fn stored() -> Vec<(Scheme, String)> {
    let base64 = |bytes: usize| "A".repeat(bytes * 4 / 3 + 1);
    let padded = |bytes: usize| {
        let text = base64(bytes);
        let pad = "=".repeat((4 - text.len() % 4) % 4);
        text + &pad
    };
    vec![
        (Scheme::Plain, "{PLAIN}right".to_owned()),
        (Scheme::Md5, format!("{{PLAIN-MD5}}{}", "0".repeat(32))),
        (Scheme::Smd5, format!("{{SMD5}}{}", padded(20))),
        (Scheme::Sha1, format!("{{SHA.HEX}}{}", "0".repeat(40))),
        (Scheme::Ssha1, format!("{{SSHA.HEX}}{}", "0".repeat(48))),
        (Scheme::Sha256, format!("{{SHA256.HEX}}{}", "0".repeat(64))),
        (
            Scheme::Ssha256,
            format!("{{SSHA256.HEX}}{}", "0".repeat(72)),
        ),
        (Scheme::Sha384, format!("{{SHA384.HEX}}{}", "0".repeat(96))),
        (
            Scheme::Ssha384,
            format!("{{SSHA384.HEX}}{}", "0".repeat(104)),
        ),
        (Scheme::Sha512, format!("{{SHA512.HEX}}{}", "0".repeat(128))),
        (
            Scheme::Ssha512,
            format!("{{SSHA512.HEX}}{}", "0".repeat(136)),
        ),
        (Scheme::Md5Crypt, format!("$1$saltsalt${}", ".".repeat(22))),
        (Scheme::Apr1, format!("$apr1$saltsalt${}", ".".repeat(22))),
        (
            Scheme::Sha256Crypt,
            format!("$5$rounds=1000$saltsalt${}", ".".repeat(43)),
        ),
        (
            Scheme::Sha512Crypt,
            format!("$6$rounds=1000$saltsalt${}", ".".repeat(86)),
        ),
        (
            Scheme::BlfCrypt,
            "$2y$05$DurtMI4l48MQup4.Oj2JLez39QorPl/aEGGfPE9eZac3n8KuzY0t.".to_owned(),
        ),
        (
            Scheme::BcryptSha256,
            "$bcrypt-sha256$v=2,t=2b,r=4$DurtMI4l48MQup4.Oj2JLe$z39QorPl/aEGGfPE9eZac3n8KuzY0t."
                .to_owned(),
        ),
        (
            Scheme::Yescrypt,
            "$y$j9T$owaJb273p96n0a7G74zel/$uRLrCtFyeK2mr0c4LnC9sOUCWzJ3yw0Ux3Pre3kONc1".to_owned(),
        ),
        (
            Scheme::Pbkdf2,
            format!("{{PBKDF2}}$1$salt$1${}", "0".repeat(40)),
        ),
        (
            Scheme::Pbkdf2Sha256,
            format!("{{PBKDF2-SHA256}}1$c2FsdA${}", base64(32)),
        ),
        (
            Scheme::Pbkdf2Sha512,
            format!("{{PBKDF2-SHA512}}1$c2FsdA${}", base64(64)),
        ),
        (
            Scheme::ScramSha1,
            format!("{{SCRAM-SHA-1}}1,c2FsdA,{0},{0}", base64(20)),
        ),
        (
            Scheme::ScramSha256,
            format!("{{SCRAM-SHA-256}}1,c2FsdA,{0},{0}", base64(32)),
        ),
        (
            Scheme::ScramSha512,
            format!("{{SCRAM-SHA-512}}1,c2FsdA,{0},{0}", base64(64)),
        ),
        (Scheme::CramMd5, format!("{{CRAM-MD5}}{}", "0".repeat(64))),
        (
            Scheme::Argon2i,
            format!("$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ${}", "A".repeat(22)),
        ),
        (
            Scheme::Argon2id,
            format!("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ${}", "A".repeat(22)),
        ),
    ]
}

fn refuse(chain: &Chain, login: &str) -> (Refusal, Vec<Scheme>) {
    work::take();
    let refusal = ask(chain, login, "wrong").err().unwrap();
    (refusal, work::take())
}

#[test]
fn each_refusal_of_a_password_file_costs_one_check_of_its_scheme() {
    for (scheme, stored) in stored() {
        let lines = format!(
            "alice:{stored}\nlocked:!{stored}\ngone:{stored}::::::nologin\nempty:\nstar:*\n\
             opener:::::::nopassword\n"
        );
        let settings = Settings {
            path: "users".into(),
            allow_weak_schemes: true,
            max_hash_ms: 500,
            app_passwords: None,
            rehash: None,
            default_scheme: None,
            logins: Default::default(),
        };
        for lifetime in [Lifetime::Server, Lifetime::OneRequest] {
            for (login, why) in [
                ("alice", Refusal::WrongPassword),
                ("gone", Refusal::WrongPassword),
                ("locked", Refusal::NoPassword),
                ("empty", Refusal::NoPassword),
                ("star", Refusal::NoPassword),
                ("opener", Refusal::NoPassword),
                ("nobody", Refusal::UnknownUser),
                ("", Refusal::UnknownUser),
            ] {
                let bytes = lines.clone().into_bytes();
                let store = match lifetime {
                    Lifetime::Server => FileStore::load(bytes, &settings),
                    Lifetime::OneRequest => FileStore::lazy(bytes, &settings),
                };
                let mut file = source(Says::Unknown, Then::Stop, Then::Stop);
                let store = store.unwrap_or_else(|problems| panic!("{problems:?}"));
                file.store = Arc::new(store);
                let (refusal, work) = refuse(&chain(vec![file]), login);
                assert_eq!(refusal, why, "{scheme} {lifetime:?} {login}");
                assert_eq!(work, [scheme], "{scheme} {lifetime:?} {login}");
            }
        }
    }
}

/// Every scheme has to be in the list.
#[test]
fn all_schemes_are_tried() {
    let schemes: Vec<_> = stored().into_iter().map(|(scheme, _)| scheme).collect();
    for (number, scheme) in schemes.iter().enumerate() {
        assert!(!schemes[..number].contains(scheme), "{scheme}");
    }
    assert_eq!(schemes.len(), Scheme::Argon2id as usize + 1);
}

#[cfg(feature = "servers")]
#[test]
fn each_refusal_of_a_database_costs_one_check_of_its_scheme() {
    use crate::config::{Config, StoreConfig};
    use crate::users::sql::SqlStore;

    let folder = std::env::temp_dir().join(format!("nma-alike-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("users.db");
    for (scheme, stored) in stored() {
        let _none_yet = std::fs::remove_file(&file);
        let database = rusqlite::Connection::open(&file).unwrap();
        database
            .execute_batch(
                "CREATE TABLE users (login TEXT, password TEXT, nologin INTEGER);
                 INSERT INTO users VALUES ('locked', '!', 0), ('empty', '', 0);",
            )
            .unwrap();
        for (login, nologin) in [("alice", 0), ("gone", 1)] {
            let values = rusqlite::params![login, stored, nologin];
            let insert = "INSERT INTO users VALUES (?, ?, ?)";
            database.execute(insert, values).unwrap();
        }
        let config = format!(
            "[[users]]\nstore = \"sql\"\nurl = \"sqlite:{}\"\nallow-weak-schemes = true\n\
             query = \"SELECT password, nologin FROM users WHERE login = {{login}}\"\n\
             [routes]\ndefault = \"192.0.2.1\"\n",
            file.display()
        );
        let config = Config::parse(&folder.join("auth.toml"), config.as_bytes());
        let config = config.ok().unwrap();
        let StoreConfig::Sql(settings) = &config.users[0].store else {
            panic!("no database");
        };
        let mut rows = source(Says::Unknown, Then::Stop, Then::Stop);
        rows.store = Arc::new(SqlStore::new(settings, Lifetime::Server));
        let chain = chain(vec![rows]);
        for (login, why) in [
            ("alice", Refusal::WrongPassword),
            ("gone", Refusal::WrongPassword),
            ("locked", Refusal::NoPassword),
            ("empty", Refusal::NoPassword),
            ("nobody", Refusal::UnknownUser),
        ] {
            let (refusal, work) = refuse(&chain, login);
            assert_eq!(refusal, why, "{scheme} {login}");
            assert_eq!(work, [scheme], "{scheme} {login}");
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

//! The configuration in force as TOML: every key with its value, also the keys that the file leaves out.
//!
//! Loaded again, it gives the same configuration. Keys whose value the program derives from other keys or from the
//! machine, such as `max-questions` and `tls`, stay out if the file has none of them.

use toml::{Table, Value};

use super::file::keys_of;
use super::nginx::HIDDEN;

/// An example with every key. Its lines without a `#` are the defaults of all tables except `[[users]]` (a test
/// compares them).
pub const FULL_EXAMPLE: &str = include_str!("../../examples/full.toml");

/// The keys to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those of the file whose value is not the default.
    Changed,
}

/// How secrets in the file are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// As `(hidden)`.
    Hidden,
    /// As they are.
    Printed,
}

/// The configuration in force.
#[derive(Debug, PartialEq, Eq)]
pub struct Effective {
    /// The TOML.
    pub text: String,
    /// The number of secrets that are hidden in it.
    pub hidden: usize,
}

/// The configuration in force, from the text of a valid configuration. The error says that it is no TOML.
pub fn effective(text: &str, which: Which, secrets: Secrets) -> Result<Effective, String> {
    let parse = |text: &str| {
        text.parse::<Table>()
            .map_err(|_| "it is no TOML".to_owned())
    };
    let (mut file, mut defaults) = (parse(text)?, parse(FULL_EXAMPLE)?);
    let mut hidden = 0;
    if secrets == Secrets::Hidden {
        hide(&mut file, &mut hidden);
    }
    let mut written = String::new();
    for name in keys_of("") {
        let given = file.remove(name);
        let value = match (given, defaults.remove(name)) {
            (Some(Value::Array(users)), _) if name == "users" => Some(Value::Array(
                users
                    .into_iter()
                    .map(|store| of_store(store, which))
                    .collect(),
            )),
            (given, _) if name == "users" => given,
            // Without the table nothing is counted.
            (None, _) if name == "throttle" => None,
            (Some(given), Some(default)) => of_table(given, &default, which),
            (Some(given), None) => Some(given),
            (None, Some(default)) => of_table(Value::Table(Table::new()), &default, which),
            (None, None) => None,
        };
        // `[throttle]` without a key turns counting on.
        let Some(value) = value.filter(|value| name == "throttle" || !is_empty(value)) else {
            continue;
        };
        let one = Table::from_iter([(name.to_owned(), value)]);
        let toml = toml::to_string(&one).map_err(|error| error.to_string())?;
        if !written.is_empty() {
            written.push('\n');
        }
        written.push_str(&toml);
    }
    Ok(Effective {
        text: written,
        hidden,
    })
}

/// A table with its defaults, or without them.
fn of_table(given: Value, default: &Value, which: Which) -> Option<Value> {
    let (Value::Table(mut given), Value::Table(default)) = (given, default.clone()) else {
        return None;
    };
    for (key, value) in default {
        match which {
            Which::All => {
                given.entry(key).or_insert(value);
            }
            Which::Changed if given.get(&key) == Some(&value) => {
                given.remove(&key);
            }
            Which::Changed => {}
        }
    }
    given.retain(|_, value| !is_empty(value));
    Some(Value::Table(given))
}

/// One `[[users]]`. `store` always stays.
fn of_store(store: Value, which: Which) -> Value {
    let defaults = Value::Table(store_defaults(&store));
    of_table(store, &defaults, which).unwrap_or(Value::Table(Table::new()))
}

/// The keys of a store that have the same default whatever the other keys.
fn store_defaults(store: &Value) -> Table {
    let word = |key| store.get(key).and_then(Value::as_str).unwrap_or_default();
    let (store, compares) = (word("store"), word("auth") == "compare");
    let servers = match word("url").starts_with("sqlite:") {
        true => ["ldap", "imap", "pop3", "http"].as_slice(),
        false => &["sql", "ldap", "imap", "pop3", "http"],
    };
    let with_hashes = match compares {
        true => ["file", "sql", "ldap"].as_slice(),
        false => &["file", "sql"],
    };
    let text = |text: &str| Value::String(text.to_owned());
    let all: [(&str, &[&str], Value); 9] = [
        ("name", &[store], text(store)),
        ("wrong", &[store], text("stop")),
        ("trouble", &[store], text("stop")),
        ("allow-weak-schemes", with_hashes, Value::Boolean(false)),
        ("starttls", &["ldap", "imap", "pop3"], Value::Boolean(false)),
        ("connections", &["sql", "ldap"], Value::Integer(4)),
        ("connect-timeout", servers, Value::Integer(2)),
        (
            "timeout",
            &["sql", "ldap", "imap", "pop3", "http"],
            Value::Integer(4),
        ),
        (
            "cache",
            &["ldap", "imap", "pop3", "http"],
            Value::Integer(0),
        ),
    ];
    let own = all
        .into_iter()
        .filter(|(_, stores, _)| stores.contains(&store));
    own.map(|(key, _, value)| (key.to_owned(), value)).collect()
}

fn is_empty(value: &Value) -> bool {
    value.as_table().is_some_and(Table::is_empty)
}

//------------ Secrets -------------------------------------------------------

/// Replaces the secrets of a file, and counts them.
fn hide(file: &mut Table, hidden: &mut usize) {
    if let Some(nginx) = file.get_mut("nginx").and_then(Value::as_table_mut) {
        for key in ["key", "keys"] {
            nginx
                .get_mut(key)
                .into_iter()
                .for_each(|key| whole(key, hidden));
        }
    }
    let users = file.get_mut("users").and_then(Value::as_array_mut);
    for headers in users
        .into_iter()
        .flatten()
        .filter_map(|store| store.get_mut("headers"))
    {
        whole(headers, hidden);
    }
    file.iter_mut().for_each(|(_, value)| in_url(value, hidden));
}

/// Replaces all strings of a value.
fn whole(value: &mut Value, hidden: &mut usize) {
    match value {
        Value::String(text) => {
            *hidden += 1;
            HIDDEN.clone_into(text);
        }
        Value::Array(all) => all.iter_mut().for_each(|value| whole(value, hidden)),
        Value::Table(all) => all.iter_mut().for_each(|(_, value)| whole(value, hidden)),
        _ => {}
    }
}

/// Replaces the passwords of URLs: `scheme://user:password@host`.
fn in_url(value: &mut Value, hidden: &mut usize) {
    match value {
        Value::String(text) => {
            let Some(url) = crate::net::url::Url::read(text) else {
                return;
            };
            if let Some((user, _)) = url.userinfo.and_then(|userinfo| userinfo.split_once(':')) {
                *hidden += 1;
                *text = format!(
                    "{}://{user}:{HIDDEN}@{}{}",
                    url.scheme, url.host_port, url.behind
                );
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|value| in_url(value, hidden)),
        Value::Table(all) => all.iter_mut().for_each(|(_, value)| in_url(value, hidden)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::config::{Config, KeyPositions, UsersConfig};

    fn all(text: &str) -> String {
        effective(text, Which::All, Secrets::Printed).unwrap().text
    }

    fn changed(text: &str) -> String {
        effective(text, Which::Changed, Secrets::Printed)
            .unwrap()
            .text
    }

    /// Every example, in its folder.
    fn examples() -> Vec<(PathBuf, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let folders = [folder.clone(), folder.join("sql")];
        let entries = folders
            .iter()
            .flat_map(|folder| fs::read_dir(folder).unwrap());
        let paths = entries.map(|entry| entry.unwrap().path());
        let toml = paths.filter(|path| path.extension().is_some_and(|end| end == "toml"));
        let read = |path: PathBuf| {
            let text = fs::read_to_string(&path).unwrap();
            (path, text)
        };
        let examples: Vec<_> = toml.map(read).collect();
        assert!(examples.len() > 8);
        examples
    }

    /// The stores without the positions of their keys.
    fn users(config: &Config) -> Vec<UsersConfig> {
        let mut users = config.users.clone();
        for users in &mut users {
            users.positions = KeyPositions {
                whole: (0, 0),
                keys: [].into(),
            };
        }
        users
    }

    /// Messages about keys, without their positions.
    fn messages(result: &Result<Config, Vec<crate::sys::problem::Problem>>) -> Vec<String> {
        let problems = match result {
            Ok(config) => &config.warnings,
            Err(problems) => problems,
        };
        let text = |problem: &crate::sys::problem::Problem| {
            format!("{:?} {}", problem.key, problem.message)
        };
        let mut messages: Vec<_> = problems.iter().map(text).collect();
        messages.sort();
        messages
    }

    #[test]
    fn loaded_again_it_gives_the_same_configuration() {
        let mut loaded = 0;
        for (path, text) in examples() {
            let before = Config::parse(&path, text.as_bytes());
            for again in [all(&text), changed(&text)] {
                let after = Config::parse(&path, again.as_bytes());
                let place = format!("{}\n{again}", path.display());
                // Some name files that are not there: then the problems are the same.
                assert_eq!(messages(&before), messages(&after), "{place}");
                assert_eq!(all(&again), all(&text), "{place}");
                assert_eq!(changed(&again), changed(&text), "{place}");
                let (Ok(before), Ok(after)) = (&before, &after) else {
                    continue;
                };
                loaded += 1;
                assert_eq!(users(before), users(after), "{place}");
                let settled = crate::config::tests::settled;
                assert_eq!(settled(before), settled(after), "{place}");
                assert_eq!(before.retry, after.retry, "{place}");
                let throttle = |config: &Config| {
                    config
                        .throttle
                        .as_ref()
                        .map(|throttle| throttle.settings.clone())
                };
                assert_eq!(throttle(before), throttle(after), "{place}");
            }
        }
        assert!(loaded > 4, "{loaded}");
    }

    #[test]
    fn nothing_but_defaults_is_nothing_changed() {
        let stores = ["file", "sql", "ldap", "imap", "pop3", "http"];
        let texts = stores.map(|store| format!("[[users]]\nstore = {store:?}\n"));
        for text in &texts {
            let all = all(text);
            assert!(all.contains("wrong = \"stop\""), "{all}");
            assert!(all.contains("[limits]\ndeadline = 5\n"), "{all}");
            assert!(!all.contains("[throttle]"), "{all}");
            assert_eq!(changed(&all), *text);
        }
        assert!(all("[throttle]\n").contains("window = 600"));
    }

    #[test]
    fn secrets_are_hidden_and_cannot_be_used() {
        let text = "[nginx]\nkey = \"marker-1-of-16-bytes\"\n[[users]]\nstore = \"http\"\n\
                    url = \"http://127.0.0.1/\"\nheaders = { A = \"marker-2\" }\n[[users]]\nstore = \"sql\"\n\
                    url = \"postgresql://mail:marker-3@[::1]:1/mail?a=b\"\n[throttle]\n\
                    state = \"redis://:marker-4@127.0.0.1:6379/0\"\n[routes]\ndefault = \"192.0.2.1\"\n";
        let Effective {
            text: hidden,
            hidden: number,
        } = effective(text, Which::All, Secrets::Hidden).unwrap();
        assert!(!hidden.contains("marker"), "{hidden}");
        assert_eq!(number, 4);
        assert!(
            hidden.contains("url = \"postgresql://mail:(hidden)@[::1]:1/mail?a=b\""),
            "{hidden}"
        );
        let problems = Config::parse(Path::new("/etc/auth.toml"), hidden.as_bytes())
            .err()
            .unwrap();
        let refused =
            |problem: &crate::sys::problem::Problem| problem.message.contains("placeholder");
        assert!(problems.iter().any(refused), "{problems:?}");
        assert_eq!(all(text).matches("marker").count(), 4);
    }
}

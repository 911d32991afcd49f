//! Turns errors of toml and serde into messages that say what to write instead.
//!
//! A message contains keys and types of values, never a value, which may be a secret.

use std::collections::BTreeSet;

use toml::de::DeValue;

use super::file::keys_of;
use super::source::{Step, dotted, written};

mod synonyms;

use synonyms::{synonym, words};

/// Keys with a number of seconds. Keys that end in `-ms` have milliseconds.
const SECONDS: [&str; 11] = [
    "cache",
    "connect-timeout",
    "deadline",
    "exempt",
    "idle-timeout",
    "interval",
    "read-timeout",
    "resolve-ttl",
    "retry-wait",
    "timeout",
    "window",
];

/// Tables whose keys are names that the administrator chooses.
const FREE_NAME_TABLES: [&[&str]; 7] = [
    &["hosts"],
    &["moves"],
    &["logins", "aliases"],
    &["logins", "domain-aliases"],
    &["routes", "login"],
    &["routes", "domain"],
    &["routes", "first-letter"],
];

/// An entry that cannot be parsed.
pub(super) struct BadEntry<'a, 'i> {
    /// The path of the entry.
    pub(super) path: &'a [Step],
    /// Its value; `None` if it was not found.
    pub(super) value: Option<&'a DeValue<'i>>,
    /// Whether its table has no other entry.
    pub(super) alone: bool,
    /// The value of `store`, for an entry of `[[users]]`.
    pub(super) store: Option<&'a str>,
}

impl BadEntry<'_, '_> {
    /// serde's `message` without the quoted value, and with what to write instead.
    pub(super) fn reworded(&self, message: &str) -> String {
        if let Some(name) = self.unquoted_name() {
            return format!("a name with a dot needs quotes: write {name:?}");
        }
        if message.starts_with("unknown field `") {
            return self.unknown_key(message);
        }
        let kind = self.value.map_or("value", DeValue::type_str);
        let Some(wanted) = self.wanted(message) else {
            return format!("this {kind} cannot be used here");
        };
        // An element of an array has no path of its own.
        if kind == "array" && !message.starts_with("invalid type: sequence") {
            return match wanted {
                "a string" => "must be an array of strings".into(),
                "an integer" => "must be an array of integers".into(),
                "a string or a table" => "must be an array of strings and tables".into(),
                _ => "must be an array of tables".into(),
            };
        }
        if wanted.ends_with(kind) {
            return format!("this {kind} is too large");
        }
        let article = match kind {
            "integer" | "array" => "an",
            _ => "a",
        };
        let correction = self.correction(wanted, kind).unwrap_or_default();
        format!("must be {wanted}, not {article} {kind}{correction}")
    }

    fn wanted(&self, message: &str) -> Option<&'static str> {
        Some(match message.rsplit_once(", expected ")?.1 {
            "i64" => "an integer",
            "a sequence" if self.is(&["users"]) => "an array of tables",
            "a sequence" => "an array",
            "a map" => "a table",
            wanted if wanted.starts_with("struct ") => "a table",
            "a string" => "a string",
            "a boolean" => "a boolean",
            "a string or a table" => "a string or a table",
            _ => return None,
        })
    }

    fn correction(&self, wanted: &str, kind: &str) -> Option<String> {
        let key = self.key();
        Some(match (wanted, kind) {
            _ if self.is(&["users"]) && kind == "table" => {
                ": write [[users]], as there can be several".into()
            }
            _ if self.is_name() && !self.tables_with(key).is_empty() => {
                format!("; {}", belongs(key, &self.tables_with(key)))
            }
            ("an integer", "string") if SECONDS.contains(&key) => {
                ": write the seconds without quotes and unit".into()
            }
            ("an integer", "string") if key.ends_with("-ms") => {
                ": write the milliseconds without quotes and unit".into()
            }
            ("an integer", "string") => ": write it without quotes".into(),
            ("an integer", "float") => ": write a whole number".into(),
            ("a boolean", "string") => ": write true or false, without quotes".into(),
            ("a string", "boolean" | "integer" | "float") if words(&self.dotted()).is_some() => {
                format!(": write {}", words(&self.dotted())?)
            }
            ("a string", "integer" | "float") => ": write it in quotes".into(),
            ("a string", "boolean") => ": write a word in quotes".into(),
            ("a string", "array") if key == "address" => ": write addresses = [...]".into(),
            ("a string", "array") if self.path.first().and_then(Step::key) == Some("routes") => {
                ": write one host; a host of [hosts] can have several addresses".into()
            }
            ("a string", "array") => ": write one value, without brackets".into(),
            ("an array", "string") if key == "waits" => {
                ": write it in brackets, without quotes".into()
            }
            ("an array", "integer") => ": write it in brackets, [...]".into(),
            ("an array", "string") => ": write it in brackets, [\"...\"]".into(),
            ("a string or a table", "array") if self.parent_is(&["hosts"]) => {
                ": write { addresses = [...] }".into()
            }
            _ => return None,
        })
    }

    /// The keys, from the root of the file, that an unknown key probably means. They are not reported as
    /// missing.
    pub(super) fn meant_keys(&self, message: &str) -> Vec<String> {
        if !message.starts_with("unknown field `") {
            return Vec::new();
        }
        let (key, known) = (self.key(), listed(message));
        let Some((_, parent)) = self.path.split_last() else {
            return Vec::new();
        };
        if let Some(meant) = self.meant(&known) {
            return vec![dotted(parent) + "." + meant];
        }
        let tables_with = self.table_names_with(key).into_iter();
        tables_with.map(|table| format!("{table}.{key}")).collect()
    }

    /// The key of this table that the administrator probably meant.
    fn meant<'k>(&self, known: &'k [String]) -> Option<&'k str> {
        let key = self.key();
        let table = self.path.first().and_then(Step::key).unwrap_or_default();
        let like = || meant(key, known.iter().map(String::as_str));
        let synonym = synonym(table, key, self.store)
            .and_then(|meant| known.iter().find(|known| *known == meant));
        // `url` and `urls` are too similar for a comparison by letters.
        synonym.map(String::as_str).or_else(like)
    }

    fn unknown_key(&self, message: &str) -> String {
        let (key, known) = (self.key(), listed(message));
        if let Some(meant) = self.meant(&known) {
            let file = match meant.ends_with("-file") && !plain(key).ends_with("file") {
                true => ", the name of a file whose first line it is",
                false => "",
            };
            return format!("unknown key; did you mean `{meant}`{file}?");
        }
        let tables_with = self.tables_with(key);
        if !tables_with.is_empty() {
            return format!("unknown key in this table; {}", belongs(key, &tables_with));
        }
        match message.rfind("`, expected ") {
            Some(end) => format!("unknown key, {}", &message[end + "`, ".len()..]),
            None => "unknown key".into(),
        }
    }

    /// The other tables that have this key, as they are written in the file.
    fn tables_with(&self, key: &str) -> Vec<String> {
        let tables = self.table_names_with(key).into_iter();
        tables
            .map(|table| match table {
                "users" => "[[users]]".into(),
                table => format!("[{table}]"),
            })
            .collect()
    }

    fn table_names_with(&self, key: &str) -> Vec<&'static str> {
        let own = self.path.first().and_then(Step::key).unwrap_or_default();
        let mut tables = keys_of("");
        tables.retain(|table| (*table != own || self.is_name()) && keys_of(table).contains(&key));
        tables
    }

    /// The whole of an unquoted name with dots, which toml reads as nested tables.
    pub(super) fn unquoted_name(&self) -> Option<String> {
        let depth = (0..self.path.len()).find(|depth| named(&self.path[..*depth]))?;
        let mut parts: Vec<&str> = self.path[depth..].iter().map_while(Step::key).collect();
        let mut value = self.value?;
        let host_keys: BTreeSet<&str> = match self.path.first()?.key()? {
            table if depth == 1 => keys_of(&format!("{table}.x")).into_iter().collect(),
            _ => BTreeSet::new(),
        };
        // A table instead of a string, or a key that hosts do not have.
        let nested = match &self.path[depth..] {
            [_] => depth == 2,
            [_, key] if depth == 1 => {
                let key = key.key().unwrap_or_default();
                let known = || meant(key, host_keys.iter().copied()).map(drop);
                self.alone
                    && !host_keys.contains(key)
                    && synonym("hosts", key, None)
                        .map(drop)
                        .or_else(known)
                        .is_none()
            }
            _ => false,
        };
        if !nested {
            return None;
        }
        while let DeValue::Table(table) = value {
            let known = depth == 1
                && table
                    .iter()
                    .any(|(key, _)| host_keys.contains(&**key.get_ref()));
            let first = table.iter().min_by_key(|(key, _)| key.span().start);
            let Some((key, next)) = first.filter(|_| !known) else {
                break;
            };
            parts.push(key.get_ref());
            value = next.get_ref();
        }
        (parts.len() > 1).then(|| parts.join("."))
    }

    fn dotted(&self) -> String {
        dotted(self.path)
    }

    fn key(&self) -> &str {
        self.path.last().and_then(Step::key).unwrap_or_default()
    }

    fn is(&self, path: &[&str]) -> bool {
        is(self.path, path)
    }

    fn parent_is(&self, path: &[&str]) -> bool {
        self.path
            .split_last()
            .is_some_and(|(_, parent)| is(parent, path))
    }

    /// Whether the key is a name that the administrator chose.
    fn is_name(&self) -> bool {
        FREE_NAME_TABLES.iter().any(|table| self.parent_is(table))
    }
}

fn is(path: &[Step], keys: &[&str]) -> bool {
    path.iter()
        .map(Step::key)
        .eq(keys.iter().map(|key| Some(*key)))
}

fn named(path: &[Step]) -> bool {
    FREE_NAME_TABLES.iter().any(|table| is(path, table))
}

fn belongs(key: &str, tables: &[String]) -> String {
    format!("`{}` belongs to {}", written(key), tables.join(" or "))
}

/// The names of all keys, to recognize a line in the wrong table.
pub(super) struct KeyNames(Vec<&'static str>);

impl KeyNames {
    /// All names, except those that are plausible names of a host.
    pub(super) fn of_all_tables() -> Self {
        let mut names: Vec<_> = keys_of("").into_iter().flat_map(keys_of).collect();
        names.retain(|name| !matches!(*name, "imap" | "pop3" | "smtp"));
        names.sort_unstable();
        Self(names)
    }

    /// The table of this key, if it is a key of another table than `table`. The names in `table` are free, so
    /// a misplaced line would define a host or a route without an error.
    pub(super) fn misplaced(&self, table: &[&str], name: &str) -> Option<String> {
        // This runs for each host and route, at the start of each CGI request.
        self.0.binary_search(&name).ok()?;
        let keys = table.iter().copied().chain([name]);
        let path: Vec<_> = keys.map(|key| Step::Key(key.into())).collect();
        let entry = BadEntry {
            path: &path,
            value: None,
            alone: false,
            store: None,
        };
        let tables_with = entry.tables_with(name);
        (!tables_with.is_empty()).then(|| belongs(name, &tables_with))
    }
}

/// Whether a table of the file has this name.
pub(super) fn is_table(name: &str) -> bool {
    keys_of("").contains(&name)
}

/// The keys in serde's message about an unknown key.
fn listed(message: &str) -> Vec<String> {
    let Some(start) = message.rfind("`, expected ") else {
        return Vec::new();
    };
    let parts = message[start + 1..].split('`');
    parts.skip(1).step_by(2).map(str::to_owned).collect()
}

/// A key without case, hyphens and underscores, which are easily mistaken.
fn plain(key: &str) -> String {
    key.to_ascii_lowercase().replace(['-', '_'], "")
}

/// The known key that the administrator probably meant.
fn meant<'k>(key: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let wrong = plain(key);
    known
        .into_iter()
        .map(|known| (strsim::osa_distance(&wrong, &plain(known)), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 6)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests;

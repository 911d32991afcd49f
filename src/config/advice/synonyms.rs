//! The names of keys in other programs, and the words that a key accepts.

/// The table, the names in other programs, and the key in this program.
const SYNONYMS: [(&str, &[&str], &str); 15] = [
    (
        "hosts",
        &["host", "hostname", "ip", "server", "addr"],
        "address",
    ),
    ("hosts", &["hosts", "ips", "servers", "addrs"], "addresses"),
    ("hosts", &["imaps", "imap-port"], "imap"),
    ("hosts", &["pop3s", "pop", "pop3-port"], "pop3"),
    ("hosts", &["smtps", "submission", "smtp-port"], "smtp"),
    (
        "users",
        &["type", "kind", "driver", "backend", "engine"],
        "store",
    ),
    ("users", &["file", "passwd-file", "filename"], "path"),
    (
        "users",
        &["sql", "statement", "password-query", "select"],
        "query",
    ),
    (
        "users",
        &["scheme", "default-pass-scheme", "pass-scheme"],
        "default-scheme",
    ),
    ("users", &["search-base", "basedn"], "base"),
    (
        "users",
        &["search-filter", "user-filter", "pass-filter"],
        "filter",
    ),
    ("users", &["method"], "auth"),
    ("nginx", &["secret", "password"], "key"),
    ("nginx", &["fronts", "networks", "allow"], "allowed-fronts"),
    ("log", &["loglevel", "log-level", "verbosity"], "level"),
];

/// The names of a store's address in other programs.
const PLACES: [&str; 7] = [
    "host", "hosts", "hostname", "server", "servers", "uri", "uris",
];

/// Keys that accept one of several words.
const WORDS: [(&str, &[&str]); 10] = [
    ("process.sandbox", &["on", "off", "required"]),
    ("users.tls", &["off", "prefer", "require", "verify"]),
    ("users.wrong", &["stop", "next"]),
    ("users.trouble", &["stop", "next"]),
    ("users.auth", &["bind", "search-bind", "compare"]),
    ("users.scope", &["base", "one", "sub"]),
    ("external.login", &["common-name", "email", "subject"]),
    ("probes.kind", &["greeting", "connect", "off"]),
    (
        "log.level",
        &["off", "error", "warn", "info", "debug", "trace"],
    ),
    ("throttle.without-state", &["go-on", "refuse"]),
];

/// The key of `table` for another program's name; `store` is the kind of store in an entry of `[[users]]`.
pub(super) fn synonym(table: &str, key: &str, store: Option<&str>) -> Option<&'static str> {
    let key = key.to_ascii_lowercase().replace('_', "-");
    let meant = SYNONYMS
        .iter()
        .find(|(of, names, _)| *of == table && names.contains(&key.as_str()));
    if let Some((.., meant)) = meant {
        return Some(meant);
    }
    if table != "users" || !(PLACES.contains(&key.as_str()) || key == "password") {
        return None;
    }
    Some(match (key.as_str(), store?) {
        ("password", "sql") => "password-file",
        ("password", "ldap") => "bind-password-file",
        ("password", _) => return None,
        (_, "ldap") => "urls",
        (_, "sql" | "imap" | "pop3" | "http") => "url",
        _ => return None,
    })
}

/// `"on", "off" or "required"`, for a key that accepts one of several words.
pub(super) fn words(key: &str) -> Option<String> {
    let (_, words) = WORDS.iter().find(|(of, _)| *of == key)?;
    let quoted: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    let (last, others) = quoted.split_last()?;
    Some(format!("{} or {last}", others.join(", ")))
}

//! What is fuzzed: one function for each parser of bytes from outside, and whole requests and
//! connections. Each panics if what it promises does not hold. libFuzzer calls them from
//! fuzz_targets/, the tests call them too.

mod data;
mod files;
mod peers;
pub(crate) mod rules;
#[cfg(feature = "servers")]
mod tokens;
mod whole;
mod wire;
mod words;
pub(crate) mod world;

/// Takes any bytes at all.
pub(crate) type Target = fn(&[u8]);

/// Every target by name.
pub(crate) const ALL: &[(&str, Target)] = &[
    ("records", wire::records),
    ("pairs", wire::pairs),
    ("connection", wire::connection),
    ("conversation", whole::conversation),
    ("whole", whole::whole),
    ("request", words::request),
    ("credentials", words::credentials),
    ("recipient", words::recipient),
    ("certificate", words::certificate),
    ("log", words::log),
    ("answer", words::answer),
    ("config", files::config),
    ("password_file", files::password_file),
    ("app_passwords", files::app_passwords),
    ("secret", files::secret),
    #[cfg(feature = "servers")]
    ("statement", data::statement),
    #[cfg(feature = "servers")]
    ("row", data::row),
    #[cfg(feature = "servers")]
    ("directory", data::directory),
    #[cfg(feature = "servers")]
    ("addresses", data::addresses),
    #[cfg(feature = "servers")]
    ("ldap", peers::ldap),
    #[cfg(feature = "servers")]
    ("ldap_login", peers::ldap_login),
    #[cfg(feature = "servers")]
    ("imap", peers::imap),
    #[cfg(feature = "servers")]
    ("pop3", peers::pop3),
    #[cfg(feature = "servers")]
    ("http", peers::http),
    #[cfg(feature = "servers")]
    ("redis", peers::redis),
    #[cfg(feature = "servers")]
    ("token", tokens::token),
    #[cfg(feature = "servers")]
    ("keys", tokens::keys),
    #[cfg(feature = "servers")]
    ("introspection", tokens::introspection),
];

/// The target of this name.
pub(crate) fn named(name: &str) -> Target {
    let found = ALL.iter().find(|(known, _)| *known == name);
    found.expect("a name of the list").1
}

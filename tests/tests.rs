//! One test binary: a module for each thing that is driven.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod answers;
#[cfg(any(feature = "ldap", feature = "remote", feature = "redis"))]
#[cfg(all(feature = "sql", feature = "ldap", feature = "remote"))]
mod bulkheads;
#[cfg(any(feature = "ldap", feature = "remote"))]
mod certificates;
mod cgi;
mod chains;
mod completions;
mod config;
mod documents;
mod domain_files;
mod e2e;
mod exits;
mod fail2ban;
mod fcgi;
mod fronts;
mod fuzz;
#[cfg(all(
    feature = "sql",
    feature = "ldap",
    feature = "remote",
    feature = "oauth",
    feature = "x509",
    feature = "redis",
    feature = "idna"
))]
mod golden;
mod hashes;
#[cfg(feature = "ldap")]
mod ldap;
mod lessons;
mod linking;
mod methods;
mod names;
mod php_script;
#[cfg(any(feature = "ldap", feature = "remote"))]
mod program;
mod reload;
#[cfg(feature = "remote")]
mod remote;
mod rights;
mod routes;
mod sandbox;
mod secrets;
mod serve;
mod soak;
#[cfg(feature = "sql")]
mod sql;
mod terminal;
mod throttle;
mod trusted_files;
mod unusable_lines;
mod users;
mod util;

//! The tests that need neither root nor a server of others: the library and the built program.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod cgi;
mod chains;
mod completions;
mod config;
mod documents;
mod domain_files;
mod domain_names;
mod exit_codes;
mod fastcgi;
mod fronts;
mod fuzz_smoke;
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
mod linking;
mod methods;
mod regressions;
mod reload;
#[cfg(feature = "remote")]
mod remote;
mod rights;
mod routes;
mod sandbox;
mod serve;
mod sources;
#[cfg(feature = "sql")]
mod sql;
mod throttle;
mod unusable_lines;
mod users;

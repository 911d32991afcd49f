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
mod check;
mod completions;
mod config;
mod documented_commands;
mod documents;
mod domain_files;
mod domain_names;
mod effective;
mod exit_codes;
mod fastcgi;
mod fronts;
mod fuzz_smoke;
#[cfg(feature = "servers")]
mod golden;
mod hashes;
#[cfg(feature = "servers")]
mod ldap;
mod linking;
mod log;
mod methods;
mod notify;
mod probe;
mod regressions;
mod rehash;
mod reload;
#[cfg(feature = "servers")]
mod remote;
mod rights;
mod routes;
mod sandbox;
mod serve;
mod sources;
#[cfg(feature = "servers")]
mod sql;
mod status;
mod structure;
mod switches;
mod throttle;
mod unusable_lines;
mod user_command;
mod users;

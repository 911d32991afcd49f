//! The tests with real servers: web servers, mail servers, databases, directories. They run as root.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod cgi;
mod client_certificates;
mod dovecot_lua;
mod e2e;
mod fail2ban;
mod fastcgi;
mod fronts;
mod hanging_stores;
mod hash_locks;
mod hashes;
mod introspection;
mod ldap;
mod libfcgi;
mod monitoring;
mod php_script;
mod pool;
mod probe;
mod remote;
mod sandbox;
mod secrets;
mod signed_tokens;
mod snippets;
mod sockets;
mod sql;
mod status;
mod terminal;
mod throttle;
mod troubleshooting;
mod trusted_files;
mod unit_file;
mod user_command;

//! The stores that ask another server: imap, pop3 and http.

mod config;
mod connection;
mod dovecot;
pub(crate) mod fake;
mod faults;
mod hops;
mod http;
mod logins;
mod outages;
mod refusals;
mod sayings;

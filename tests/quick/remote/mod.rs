//! The stores that ask another server, with servers that say what the test wants.

mod config;
mod connection;
mod faults;
mod http;
mod pop3_replies;
mod refusals;
mod server_replies;

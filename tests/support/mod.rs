//! What the tests share: the program as it is started, servers of others, and servers that say what a test wants.
//!
//! Test modules import from here and from nowhere else.
#![allow(
    dead_code,
    reason = "each test target uses another part of it, and is compiled by itself"
)]

pub(crate) mod at_once;
#[cfg(feature = "servers")]
pub(crate) mod auth_http;
pub(crate) mod binary;
pub(crate) mod certificates;
pub(crate) mod cgi;
pub(crate) mod chains;
#[cfg(feature = "servers")]
pub(crate) mod databases;
#[cfg(feature = "servers")]
pub(crate) mod dovecot;
pub(crate) mod dovecot_lua;
pub(crate) mod fastcgi;
pub(crate) mod fastcgi_streams;
pub(crate) mod front_keys;
pub(crate) mod fronts;
pub(crate) mod fuzz;
pub(crate) mod golden;
pub(crate) mod guesses;
pub(crate) mod hashes;
pub(crate) mod log;
#[cfg(feature = "servers")]
pub(crate) mod mail_backends;
pub(crate) mod mail_clients;
pub(crate) mod mail_hosts;
pub(crate) mod mail_pool;
#[cfg(feature = "servers")]
pub(crate) mod mail_proxy;
#[cfg(feature = "servers")]
pub(crate) mod mail_store;
pub(crate) mod mail_users;
pub(crate) mod probe;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod random;
#[cfg(feature = "servers")]
pub(crate) mod redis;
#[cfg(feature = "servers")]
pub(crate) mod redis_failover;
pub(crate) mod routed;
#[cfg(feature = "servers")]
pub(crate) mod scripted_directory;
#[cfg(feature = "servers")]
pub(crate) mod scripted_server;
pub(crate) mod serving;
#[cfg(feature = "servers")]
pub(crate) mod silent;
#[cfg(feature = "servers")]
pub(crate) mod slapd;
pub(crate) mod snippets;
pub(crate) mod soak;
pub(crate) mod sockets;
#[cfg(feature = "servers")]
pub(crate) mod sql_service;
#[cfg(feature = "servers")]
pub(crate) mod sqlite;
pub(crate) mod status;
pub(crate) mod system_calls;
pub(crate) mod temp_dir;
#[cfg(feature = "servers")]
pub(crate) mod throttle_commands;
#[cfg(feature = "servers")]
pub(crate) mod throttle_foreseen;
pub(crate) mod throttled;
#[cfg(feature = "servers")]
pub(crate) mod tokens;
pub(crate) mod toy;
pub(crate) mod user_command;

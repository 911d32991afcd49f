//! Answers NGINX's mail proxy (`auth_http`): is this login accepted, and which mail server has its mailbox?
//!
//! The way of one request:
//!
//! ```text
//! web server ── FastCGI record ──┐
//!                                ├─> Params ─> AuthRequest ─> Gate ─────────────> Answer ─> bytes
//! web server ── environment ─────┘   front     nginx          auth                nginx     front
//!                                                             (users, secret, throttle, route)
//! ```
//!
//! Each folder uses only folders below it. From the top:
//!
//! - [`commands`]: the command line, one file per subcommand.
//! - [`service`]: opens everything that a configuration names, answers requests, reloads.
//! - [`config`]: reads the TOML file and checks it.
//! - [`auth`]: the decision. It knows no header.
//! - [`users`], [`throttle`] and [`route`]: the stores, the counts of wrong passwords, and the mail server of
//!   a login. They do not use each other.
//! - [`nginx`]: every header that nginx sends or reads.
//! - [`front`] and [`secret`]: the transports, CGI and FastCGI; passwords and stored hashes. They do not use
//!   each other.
//! - [`net`]: connections to other servers.
//! - [`sys`]: files that can be trusted, the log, semaphores, the sandbox.
//! - [`login`]: logins, domains, networks, mail servers.
//!
//! docs/architecture.md has the details and the glossary.

pub mod auth;
pub mod commands;
pub mod config;
pub mod front;
pub mod login;
pub mod net;
pub mod nginx;
pub mod route;
pub mod secret;
pub mod service;
pub mod sys;
pub mod throttle;
pub mod users;

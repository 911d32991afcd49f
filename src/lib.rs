//! Answers NGINX's mail proxy (`auth_http`): may this login in, and which mail server is theirs?
//!
//! The flow of one request, one way:
//!
//! ```text
//! Apache ── descriptor 0 / socket ──> fcgi ──┐
//! Apache, shell ── environment ─────> cgi ───┼─> Params ─> AuthRequest ─> Gate ─> Answer ─> bytes
//! administrator ── commands ─────────────────┘             (store, secret, route)
//! ```
//!
//! - The transports, [`cgi`] and [`fcgi`], bring [`params::Params`]. `fcgi` knows neither mail nor
//!   nginx.
//! - What nginx asks is read in [`request`] and nowhere else; what it is told is written in
//!   [`answer`] and nowhere else; why a login is refused is a [`refusal::Refusal`].
//! - [`gate`] decides: it asks the [`store`]s, has [`secret`]s checked, and takes the mail server
//!   from the [`route`]s. It knows no header. [`method`] has the other ways to show who one is.
//! - Other servers are spoken to over connections of `net`, with certificates checked as `tls` says.
//! - [`config`] reads the TOML, with [`files`] that must be trustworthy and [`problem`]s that have a
//!   place. [`service`] is one version of it at work, [`live`] the one in force while a server
//!   runs; [`pace`] has its refusals leave at times that tell nothing. [`journal`] is the log. [`harden`] and [`sandbox`] see to it that little is left to steal,
//!   and little to be done with it.

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

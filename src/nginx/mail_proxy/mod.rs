//! nginx's side of the protocol: the request of its mail proxy, and its use of an answer.
//!
//! All of it follows ngx_mail_auth_http_module.c, ngx_inet.c and ngx_string.c of nginx 1.22 to 1.31, including
//! what other readers of HTTP would not do.

mod address;
mod consequence;
mod reply;
mod request;
mod url;

pub use consequence::{Consequence, Fault, Session};
pub use reply::{BUFFER_BYTES, Flaw, Read, Reply, read};
pub(crate) use request::escaped;
#[cfg(feature = "servers")]
pub(crate) use request::written;
pub use request::{ProxyProtocol, Request};
pub use url::{AuthUrl, Host, Place};

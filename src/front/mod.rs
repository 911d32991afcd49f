//! The transports: requests arrive as CGI meta-variables or as FastCGI records. This folder knows
//! neither mail nor nginx.
//!
//! Both transports, [`cgi`] and [`fcgi`], pass [`Params`](params::Params) to one [`Application`].

mod application;
pub mod cgi;
mod environment;
pub mod fcgi;
pub mod pace;
pub mod params;

pub use application::{Application, Load, NoRequest};

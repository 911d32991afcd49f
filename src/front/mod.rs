//! How requests arrive: as CGI meta-variables or as FastCGI records. It knows neither mail nor nginx.

pub mod cgi;
mod environment;
pub mod fcgi;
pub mod pace;
pub mod params;

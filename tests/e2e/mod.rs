//! Real servers on 127.0.0.0/8: mail clients → nginx → a web server → the program, and from there
//! nginx → the mail servers. None of it is ever skipped; what is missing fails by its Debian name.

pub(crate) mod process;

mod alike;
mod asking;
mod chain;
mod clients;
pub(crate) mod fronts;
mod graceful;
#[cfg(feature = "sql")]
mod guessing;
mod mailhosts;
mod methods;
mod people;
mod snippets;
#[cfg(feature = "sql")]
mod stores;
#[cfg(feature = "sql")]
mod xclient;

//! One test binary: a module for each thing that is driven.

mod answers;
mod cgi;
mod config;
mod fcgi;
mod fuzz;
mod hashes;
mod util;

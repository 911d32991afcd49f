//! One test binary: a module for each thing that is driven.

mod answers;
mod cgi;
mod config;
mod e2e;
mod hashes;
mod php_script;
mod util;

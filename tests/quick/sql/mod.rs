//! Users in a database, as far as no database server is needed.

mod config;
mod examples;
mod sqlite_file;

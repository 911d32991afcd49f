//! Users in SQLite, PostgreSQL and MariaDB: the built program, asked as a web server asks, and the
//! real database servers, which the tests start and end themselves.

mod config;
pub(crate) mod engine;
mod faults;
#[cfg(all(feature = "ldap", feature = "remote"))]
mod impostors;
mod injection;
mod layouts;
mod likeness;
mod own;
mod peers;
mod people;
mod pooler;
mod service;
mod speed;
mod sqlite_file;
mod tls;
mod trouble;

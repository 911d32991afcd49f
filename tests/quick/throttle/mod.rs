//! Wrong passwords: what is counted, and what follows.

#[cfg(all(feature = "sql", feature = "redis"))]
mod commands;
mod digests;
#[cfg(all(feature = "sql", feature = "redis"))]
mod foreseen;
mod networks;
mod rules;
#[cfg(all(feature = "remote", feature = "ldap"))]
mod slow;
#[cfg(all(feature = "sql", feature = "redis"))]
mod state_files;

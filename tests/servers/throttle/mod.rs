//! Counts in Redis, and counts whose files have owners.

mod cluster;
mod commands;
mod foreseen;
mod rights;
mod sentinel;
mod states;

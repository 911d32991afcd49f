//! Counts in Redis, and counts whose files have owners.

mod commands;
mod foreseen;
mod rights;
mod states;

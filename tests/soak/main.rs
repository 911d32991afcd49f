//! The tests that take long: the program under load while something goes wrong, and fuzzing with many inputs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod busy;
mod clock;
mod databases;
mod disk_full;
mod fuzz;
mod killed;
mod malformed;
mod many_connections;
mod reloads;
mod requests;
mod resource_limits;
mod shutdown;

//! What the program asks of the operating system: files that can be trusted, the log, bounds on what runs at
//! once, and what the process gives up once it has started.

pub mod accounts;
pub mod circuit_breaker;
pub mod harden;
mod lifetime;
pub mod logger;
pub mod outage;
pub mod problem;
pub mod sandbox;
pub mod semaphore;
pub mod trusted_file;

pub use lifetime::Lifetime;

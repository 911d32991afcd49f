//! The program's use of the operating system: trusted files, the log, semaphores and circuit
//! breakers, the sandbox.

pub mod accounts;
pub mod built;
pub mod changed_file;
pub mod circuit_breaker;
pub mod count;
pub mod harden;
mod lifetime;
pub mod logger;
pub mod notify;
pub mod outage;
pub mod problem;
pub mod sandbox;
pub mod semaphore;
pub mod steps;
pub mod trusted_file;

pub use lifetime::Lifetime;

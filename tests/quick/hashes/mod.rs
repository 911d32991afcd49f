//! Stored passwords of all schemes.

mod damaged;
mod known;
mod made_here;

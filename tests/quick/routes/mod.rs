//! Where logins go.

mod command;
mod moving;

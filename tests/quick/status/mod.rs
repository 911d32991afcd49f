//! The status page, the ping, and the command that asks for it.

mod access;
mod command;
mod numbers;
mod without_configuration;

//! Where logins go: pools of real mail servers that die and come back, and moves between hosts.

mod command;
mod dovecot;
mod moving;
mod pool;
mod program;

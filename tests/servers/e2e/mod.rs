//! Mail clients, nginx, a web server, the program, and mail servers.

mod asking;
mod chain;
mod graceful;
mod guessing;
mod methods;
mod same_answers;
mod snippets;
mod stores;
mod xclient;

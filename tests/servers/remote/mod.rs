//! The stores that ask another server, with real ones.

mod hops;
mod https;
mod logins;
mod outages;
mod starttls;

//! The ldap store with slapd.

mod check;
mod equal_logins;
mod logins;
mod options;
mod outages;
mod policies;
mod tls;

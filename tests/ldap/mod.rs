//! The ldap store, with OpenLDAP's server and with servers that no honest one is like.

pub(crate) mod slapd;

mod check;
pub(crate) mod fake;
mod hostile;
mod logins;
mod outages;
mod policies;
mod tls;

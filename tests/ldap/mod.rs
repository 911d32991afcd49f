//! The ldap store, with OpenLDAP's server and with servers that no honest one is like.

pub(crate) mod slapd;

mod check;
pub(crate) mod fake;
mod hostile;
mod kept_out;
mod likeness;
mod logins;
mod options;
mod outages;
mod own;
mod policies;
mod tls;

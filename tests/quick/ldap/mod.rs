//! The ldap store with directories that no honest one is like.

mod disabled_users;
mod own_account;
mod server_replies;

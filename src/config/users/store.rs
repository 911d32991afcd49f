//! The store of one `[[users]]`.

use crate::users as stores;

/// The store of one `[[users]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    /// Accepts every login with every password.
    Accept,
    /// A password file.
    File(stores::file::Settings),
    /// A password file for each domain.
    Domains(stores::file::domains::DomainSettings),
    /// A database.
    #[cfg(feature = "servers")]
    Sql(Box<stores::sql::Settings>),
    /// A directory.
    #[cfg(feature = "servers")]
    Ldap(Box<stores::ldap::Settings>),
    /// A mail server.
    #[cfg(feature = "servers")]
    Server(stores::server::Settings),
    /// Another `auth_http` service.
    #[cfg(feature = "servers")]
    Http(stores::http::Settings),
}

impl StoreConfig {
    /// Whether the store asks a server, which may be slow. SQLite counts too: its file may be locked, or on a
    /// slow disk.
    pub fn asks_a_server(&self) -> bool {
        match self {
            Self::Accept | Self::File(_) | Self::Domains(_) => false,
            #[cfg(feature = "servers")]
            Self::Sql(_) => true,
            #[cfg(feature = "servers")]
            Self::Ldap(_) => true,
            #[cfg(feature = "servers")]
            Self::Server(_) | Self::Http(_) => true,
        }
    }

    /// Whether its users may have app passwords.
    pub fn has_app_passwords(&self) -> bool {
        match self {
            Self::File(settings) => settings.app_passwords.is_some(),
            #[cfg(feature = "servers")]
            Self::Sql(settings) => settings.app_passwords.is_some(),
            _ => false,
        }
    }

    /// Whether it can tell without a password if a login is a user.
    pub fn knows_its_users(&self) -> bool {
        match self {
            Self::Accept => false,
            Self::File(_) | Self::Domains(_) => true,
            #[cfg(feature = "servers")]
            Self::Sql(_) => true,
            #[cfg(feature = "servers")]
            Self::Ldap(settings) => settings.lookup.is_some(),
            #[cfg(feature = "servers")]
            Self::Server(_) | Self::Http(_) => false,
        }
    }
}

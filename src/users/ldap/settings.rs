//! The keys of an ldap store, checked.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::dn::{BindName, DnTemplate};
use super::entry::{Attributes, Stored};
use super::filter::FilterTemplate;
use super::message::Scope;
use super::url::Url;
use subtle::ConstantTimeEq as _;

use crate::net::tls::CaFile;
use crate::secret::Password;

/// As configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Servers that hold the same; at least one.
    pub urls: Vec<Url>,
    /// Whether a plain connection over a network is upgraded before it is used.
    pub starttls: bool,
    /// Certificates that are trusted in place of the system's.
    pub ca_file: Option<CaFile>,
    /// How passwords are checked.
    pub auth: Auth,
    /// Who searches; nobody for an anonymous search.
    pub search_as: Option<SearchAs>,
    /// How a user's entry is found. Only where the user's DN is known without may it be missing.
    pub lookup: Option<Lookup>,
    /// What is read of it.
    pub attributes: Attributes,
    /// Logins that may be asked about at once.
    pub connections: NonZeroUsize,
    /// How long connecting may take, with TLS and the bind of who searches.
    pub connect_timeout: Duration,
    /// How long a question may take.
    pub timeout: Duration,
    /// How long a right password is remembered.
    pub cache: Duration,
}

/// How passwords are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// The user binds, by a name that is made of the login.
    Bind(BindName),
    /// The user's entry is searched, then the user binds by its DN.
    SearchBind,
    /// The stored passwords are read, and checked here.
    Compare(Stored),
}

/// Who searches.
#[derive(Clone, Debug)]
pub struct SearchAs {
    /// The DN, or another name that the server takes.
    pub dn: String,
    /// The password, which is not empty.
    pub password: Password,
}

/// Two passwords are compared for the sake of a reload only; nobody who tries to log in sees it.
impl PartialEq for SearchAs {
    fn eq(&self, other: &Self) -> bool {
        let same = self.password.reveal().ct_eq(other.password.reveal());
        self.dn == other.dn && same.into()
    }
}

impl Eq for SearchAs {}

/// How a user's entry is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Where.
    pub base: DnTemplate,
    /// How far below.
    pub scope: Scope,
    /// What it must be like.
    pub filter: FilterTemplate,
}

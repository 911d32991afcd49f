//! Settings of an ldap store.

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

/// The checked settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Servers with the same data; at least one.
    pub urls: Vec<Url>,
    /// Whether a plain connection over a network is upgraded to TLS before it is used.
    pub starttls: bool,
    /// Certificates that are trusted in place of the system's.
    pub ca_file: Option<CaFile>,
    /// How passwords are checked.
    pub auth: Auth,
    /// The account that searches; `None` for an anonymous search.
    pub search_as: Option<SearchAs>,
    /// How a user's entry is found. Can be missing only if the login alone gives the user's DN.
    pub lookup: Option<Lookup>,
    /// The attributes that are read.
    pub attributes: Attributes,
    /// The maximum number of connections in use at the same time.
    pub connections: NonZeroUsize,
    /// The time-out of connecting, including TLS and the bind of the searching account.
    pub connect_timeout: Duration,
    /// The time-out of a question.
    pub timeout: Duration,
    /// How long a right password is remembered.
    pub cache: Duration,
}

/// How passwords are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// The user binds with a name that is made from the login.
    Bind(BindName),
    /// A search finds the user's entry, then the user binds with its DN.
    SearchBind,
    /// The store reads the stored passwords, and this program checks them.
    Compare(Stored),
}

/// The account that searches.
#[derive(Clone, Debug)]
pub struct SearchAs {
    /// The DN, or another name that the server accepts.
    pub dn: String,
    /// The password, which is not empty.
    pub password: Password,
}

/// Only a reload compares two passwords; a client cannot measure the time of this comparison.
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
    /// The base of the search.
    pub base: DnTemplate,
    /// The depth of the search.
    pub scope: Scope,
    /// The filter of the search.
    pub filter: FilterTemplate,
}

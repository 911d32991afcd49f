//! The URL of an LDAP server.

use std::fmt;
use std::num::NonZeroU16;
use std::path::PathBuf;

use crate::net::{Endpoint, percent, url};

/// The port of `ldap://` and of StartTLS (RFC 4511, 5.2).
const PORT: NonZeroU16 = NonZeroU16::new(389).unwrap();
/// The port of `ldaps://`.
const TLS_PORT: NonZeroU16 = NonZeroU16::new(636).unwrap();
/// The socket of Debian's slapd, which is the default of OpenLDAP's tools.
const SOCKET: &str = "/run/slapd/ldapi";

/// The URL of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    text: String,
    pub(super) scheme: Scheme,
    pub(crate) endpoint: Endpoint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Ldap,
    Ldaps,
    Ldapi,
}

impl Url {
    /// Parses `ldap://host:port`, `ldaps://host:port` or `ldapi://%2Fpath%2Fof%2Fsocket`. The error says what
    /// is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        const SCHEMES: &str = "must begin with ldap://, ldaps:// or ldapi://";
        let url = url::Url::read(text).ok_or(SCHEMES)?;
        if url.userinfo.is_some() || !matches!(url.behind, "" | "/") {
            return Err(
                "names more than a scheme, a host and a port; base, filter and the rest have keys \
                 of their own"
                    .to_owned(),
            );
        }
        let host_port = url.host_port;
        let (scheme, endpoint) = match url.scheme.to_ascii_lowercase().as_str() {
            "ldap" => (Scheme::Ldap, Endpoint::parse(host_port, PORT)?),
            "ldaps" => (Scheme::Ldaps, Endpoint::parse(host_port, TLS_PORT)?),
            "ldapi" => (Scheme::Ldapi, Endpoint::Unix(socket_path(host_port)?, None)),
            _ => return Err(SCHEMES.to_owned()),
        };
        Ok(Self {
            text: text.to_owned(),
            scheme,
            endpoint,
        })
    }

    /// Whether StartTLS is possible: on a plain connection over a network.
    pub fn can_start_tls(&self) -> bool {
        self.scheme == Scheme::Ldap
    }

    /// Whether the connection uses TLS from the start.
    pub fn is_encrypted(&self) -> bool {
        self.scheme == Scheme::Ldaps
    }

    /// Whether passwords would cross a network in clear without StartTLS.
    pub fn is_in_clear(&self) -> bool {
        self.scheme == Scheme::Ldap && !self.endpoint.is_local()
    }
}

/// As written in the configuration.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn socket_path(encoded: &str) -> Result<PathBuf, String> {
    if encoded.is_empty() {
        return Ok(PathBuf::from(SOCKET));
    }
    let path = percent::decode(encoded.as_bytes())
        .ok_or("has a % without two hexadecimal digits behind it")?;
    if !path.starts_with(b"/") || path.contains(&0) {
        return Err("must name a path, with each / written %2F".to_owned());
    }
    use std::os::unix::ffi::OsStringExt as _;
    Ok(std::ffi::OsString::from_vec(path).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, endpoint, starts_tls, in_clear) in [
            (
                "ldap://ldap.example.org",
                "ldap.example.org:389",
                true,
                true,
            ),
            ("LDAP://127.0.0.1:3389/", "127.0.0.1:3389", true, false),
            ("ldaps://[2001:db8::1]", "[2001:db8::1]:636", false, false),
            (
                "ldapi://%2Frun%2fslapd%2fldapi",
                "unix:/run/slapd/ldapi",
                false,
                false,
            ),
            ("ldapi:///", "unix:/run/slapd/ldapi", false, false),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.endpoint.to_string(), endpoint);
            assert_eq!(url.can_start_tls(), starts_tls);
            assert_eq!(url.is_in_clear(), in_clear);
            assert_eq!(url.to_string(), text);
        }
        for (bad, why) in [
            ("ldap.example.org", "must begin with"),
            ("http://ldap.example.org", "must begin with"),
            ("ldap://ldap.example.org/dc=org", "names more than"),
            ("ldap://cn=x@ldap.example.org", "names more than"),
            ("ldapi://%2", "has a % without"),
            ("ldapi://run", "must name a path"),
            ("ldapi://%2Frun%00", "must name a path"),
            ("ldap://:389", ""),
            ("ldap://host:0", ""),
        ] {
            let error = Url::parse(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}

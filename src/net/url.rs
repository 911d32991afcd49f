//! URLs, split into their parts (RFC 3986, 3): one reader for all schemes.
//!
//! It only finds the parts. The user of a URL decides which schemes exist, which parts a URL must have, and
//! which message an error has. Parts are split first and decoded after that, once
//! ([`percent::decode`](super::percent::decode)).
//!
//! The crate `url`, a dependency of the database drivers, does not fit: it accepts `10.1` and `0x7f.1` as
//! addresses, drops tabs and line feeds, and has no user without a host (`mysql://user@/db?socket=…`).

#[cfg(feature = "servers")]
use std::num::NonZeroU16;

/// The parts of a URL `scheme://userinfo@host_port/path?query#fragment`, as written.
#[cfg_attr(
    not(feature = "servers"),
    allow(
        dead_code,
        reason = "without servers, only [routes] recognizes URLs, to report them"
    )
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Url<'a> {
    pub(crate) scheme: &'a str,
    /// The part before the last `@` of the authority. An `@` in a password should be `%40`, but often is not.
    pub(crate) userinfo: Option<&'a str>,
    /// Host and port.
    pub(crate) host_port: &'a str,
    /// With its leading `/`; can be empty.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) fragment: Option<&'a str>,
    /// Path, query and fragment together.
    pub(crate) behind: &'a str,
}

impl<'a> Url<'a> {
    /// Splits a text; `None` without `://`.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at_checked(end)?;
        let (path, fragment) = cut(behind, '#');
        let (path, query) = cut(path, '?');
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_port)) => (Some(userinfo), host_port),
            None => (None, authority),
        };
        Some(Self {
            scheme,
            userinfo,
            host_port,
            path,
            query,
            fragment,
            behind,
        })
    }
}

fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, behind)) => (before, Some(behind)),
        None => (text, None),
    }
}

/// A host and its port, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostPort<'a> {
    /// Without the brackets of an IPv6 address.
    pub(crate) host: &'a str,
    pub(crate) bracketed: bool,
    /// The text after the colon.
    pub(crate) port: Option<&'a str>,
}

/// The reason why a text is not a host with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHostPort {
    /// The bracket of the address is not closed.
    UnclosedBracket,
    /// Something other than a port follows the address.
    TextAfterBracket,
}

impl<'a> HostPort<'a> {
    /// Reads `host`, `host:port`, `[address]` or `[address]:port`.
    pub(crate) fn read(text: &'a str) -> Result<Self, BadHostPort> {
        let Some(rest) = text.strip_prefix('[') else {
            let (host, port) = cut(text, ':');
            return Ok(Self {
                host,
                bracketed: false,
                port,
            });
        };
        let (host, behind) = rest.split_once(']').ok_or(BadHostPort::UnclosedBracket)?;
        let port = behind.strip_prefix(':');
        if port.is_none() && !behind.is_empty() {
            return Err(BadHostPort::TextAfterBracket);
        }
        Ok(Self {
            host,
            bracketed: true,
            port,
        })
    }
}

/// The number of a port: only digits, from 1 to 65535.
#[cfg(feature = "servers")]
pub(crate) fn port(text: &str) -> Option<NonZeroU16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_as_written() {
        for (text, userinfo, host_port, path, query, fragment) in [
            ("x://h", None, "h", "", None, None),
            (
                "x://u:p@q@h:1/a/b?c=/d?e#f?g",
                Some("u:p@q"),
                "h:1",
                "/a/b",
                Some("c=/d?e"),
                Some("f?g"),
            ),
            ("x://u@/d?s=%2f", Some("u"), "", "/d", Some("s=%2f"), None),
            ("x://[::1]:2/", None, "[::1]:2", "/", None, None),
            ("x://h?a@b", None, "h", "", Some("a@b"), None),
            ("x://h/a@b", None, "h", "/a@b", None, None),
            ("x://u#@h", None, "u", "", None, Some("@h")),
            ("x://", None, "", "", None, None),
        ] {
            let behind = text.strip_prefix("x://").unwrap();
            let authority =
                userinfo.map_or(0, |userinfo: &str| userinfo.len() + 1) + host_port.len();
            let parts = Url {
                scheme: "x",
                userinfo,
                host_port,
                path,
                query,
                fragment,
                behind: &behind[authority..],
            };
            assert_eq!(Url::read(text), Some(parts), "{text}");
        }
        for text in ["", "x:h", "/a/b"] {
            assert_eq!(Url::read(text), None, "{text}");
        }
    }

    #[test]
    fn places_and_ports() {
        for (text, host, bracketed, port) in [
            ("h", "h", false, None),
            ("h:", "h", false, Some("")),
            ("h:1:2", "h", false, Some("1:2")),
            ("[::1]", "::1", true, None),
            ("[::1]:25", "::1", true, Some("25")),
        ] {
            let host_port = HostPort {
                host,
                bracketed,
                port,
            };
            assert_eq!(HostPort::read(text), Ok(host_port), "{text}");
        }
        assert_eq!(HostPort::read("[::1"), Err(BadHostPort::UnclosedBracket));
        assert_eq!(HostPort::read("[::1]x"), Err(BadHostPort::TextAfterBracket));
        #[cfg(feature = "servers")]
        assert_eq!(port("65535").map(NonZeroU16::get), Some(65535));
        #[cfg(feature = "servers")]
        for bad in ["", "0", "65536", "+1", " 1", "1x", "imap"] {
            assert_eq!(port(bad), None, "{bad}");
        }
    }
}

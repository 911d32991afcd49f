//! Errors in the routes of the configuration.

use std::fmt;
use std::net::IpAddr;

use super::written;
use crate::login::MAX_LOGIN_BYTES;

/// Why a key or value is not valid in a table of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRoute {
    /// The value is empty.
    Empty,
    /// An address that no mail server can have, or that nginx refuses.
    Address(IpAddr),
    /// Neither an address nor a DNS name.
    HostName(String),
    /// No login can have this value.
    Login,
    /// No login or domain can have this value; the text says why, and what to write.
    Flaw(String),
    /// Another key has this name already; case does not matter.
    Twice,
    /// Neither an ASCII letter nor a digit.
    Letter(char),
    /// A range that ends before it starts, or that mixes kinds of letters.
    Range(char, char),
    /// More hosts than the index type can count.
    TooMany,
    /// A letter that this or another key has already.
    LetterTwice(char),
}

impl fmt::Display for BadRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("must not be empty"),
            Self::Address(address) => write!(f, "{address} is not the address of a mail server"),
            Self::HostName(name) => {
                write!(
                    f,
                    "{name:?} is neither a host of [hosts], nor an address, nor a DNS name"
                )?;
                match written::meant(name) {
                    Some(meant) => write!(f, "; {meant}"),
                    None => Ok(()),
                }
            }
            Self::Login => write!(
                f,
                "a login has at most {MAX_LOGIN_BYTES} bytes and no control characters"
            ),
            Self::Flaw(flaw) => f.write_str(flaw),
            Self::Twice => f.write_str("is listed twice, in another case or spelling"),
            Self::Letter(letter) => write!(
                f,
                "{letter:?} is neither an ASCII letter nor a digit; write sets and ranges such as \
                 \"acfg\" or \"a-m\""
            ),
            Self::Range(first, last) => write!(f, "{first}-{last} is not a range"),
            Self::TooMany => f.write_str("too many hosts"),
            Self::LetterTwice(letter) => write!(f, "{letter:?} is routed twice"),
        }
    }
}

impl std::error::Error for BadRoute {}

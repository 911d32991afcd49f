//! Why a table of routes cannot be as the configuration says.

use std::fmt;
use std::net::IpAddr;

use super::written;
use crate::login::MAX_LOGIN_BYTES;

/// Why a key or value cannot be part of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Nothing is given.
    Empty,
    /// An address that no mail server has, or that nginx takes for none.
    Address(IpAddr),
    /// Neither an address nor a DNS name.
    HostName(String),
    /// No login can be this.
    Login,
    /// No login or domain can be this; why, and what to write.
    Flaw(String),
    /// Another key has this one already, where case does not matter.
    Twice,
    /// Neither a letter nor a digit of ASCII.
    Letter(char),
    /// A range that ends before it starts, or that goes from letters of one kind to another.
    Range(char, char),
    /// More hosts than can be counted.
    TooMany,
    /// A letter that this or another key has already.
    LetterTwice(char),
}

impl fmt::Display for Bad {
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
            Self::Twice => f.write_str("stands here twice, in another case or spelling"),
            Self::Letter(letter) => write!(
                f,
                "{letter:?} is neither an ASCII letter nor a digit; write sets and ranges such as \
                 \"acfg\" or \"a-m\""
            ),
            Self::Range(first, last) => write!(f, "{first}-{last} is no range"),
            Self::TooMany => f.write_str("too many hosts"),
            Self::LetterTwice(letter) => write!(f, "{letter:?} is routed twice"),
        }
    }
}

impl std::error::Error for Bad {}

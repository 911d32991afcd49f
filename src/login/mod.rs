//! Types that all parts of the program share: logins and their domains, networks, mail servers.

pub mod domain;
pub mod embedded;
mod likeness;
mod network;
pub(crate) mod printable;
mod protocol;
pub mod relayed;
pub mod rules;
mod upstream;

pub use likeness::Likeness;
pub use network::Network;
pub use protocol::Protocol;
use relayed::Value;
pub use upstream::Upstream;

/// The maximum length of a decoded login in bytes: that of a mail address (RFC 5321, 4.5.3.1.3).
pub const MAX_LOGIN_BYTES: usize = 254;

/// A login as the client typed it, decoded: at most [`MAX_LOGIN_BYTES`] bytes, no control bytes. It
/// may be empty, and it is not always UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Login(Vec<u8>);

impl Login {
    /// Checks the bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self, BadLogin> {
        if bytes.len() > MAX_LOGIN_BYTES {
            Err(BadLogin::TooLong)
        } else if !Value::Login.allows(&bytes) {
            Err(BadLogin::ForbiddenByte)
        } else {
            Ok(Self(bytes))
        }
    }

    /// Checks the bytes of a login that nginx writes to a mail server of this protocol. Blanks at
    /// the ends are accepted here because `[logins]` may remove them; the gate calls [`Self::fits`]
    /// afterwards.
    pub fn for_protocol(bytes: Vec<u8>, protocol: Protocol) -> Result<Self, BadLogin> {
        let login = Self::new(bytes)?;
        match Value::login_for(protocol).allows(login.0.trim_ascii()) {
            true => Ok(login),
            false => Err(BadLogin::ForbiddenByte),
        }
    }

    /// Whether nginx can write the login unchanged to a mail server of this protocol.
    pub fn fits(&self, protocol: Protocol) -> bool {
        Value::login_for(protocol).allows(&self.0)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The part before the last `@`; the whole login without one.
    pub fn local(&self) -> &[u8] {
        let at = self.0.iter().rposition(|byte| *byte == b'@');
        self.0.get(..at.unwrap_or(self.0.len())).unwrap_or_default()
    }

    /// The part after the last `@`; `None` without one.
    pub fn domain(&self) -> Option<&[u8]> {
        let at = self.0.iter().rposition(|byte| *byte == b'@')?;
        self.0.get(at + 1..)
    }
}

/// Why bytes are not a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadLogin {
    /// The bytes contain a control byte or, for SMTP, a blank.
    ForbiddenByte,
    /// There are more than [`MAX_LOGIN_BYTES`].
    TooLong,
}

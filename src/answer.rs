//! What nginx is told: every header we send, and all text that a mail client gets to see.
//!
//! nginx lets a login in whenever `Auth-Server` and `Auth-Port` are there and no `Auth-Status`
//! other than `OK` is (`ngx_mail_auth_http_process_headers` in ngx_mail_auth_http_module.c), so
//! those two are written in one place only, after `Auth-Status: OK`.

use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};

use crate::refusal::Refusal;
use crate::request::Protocol;
use crate::secret::Password;

/// The most bytes of an answer. nginx reads the whole HTTP header into 1,024 bytes, and Apache
/// adds up to 200 of its own.
pub const MAX_ANSWER_BYTES: usize = 600;

/// The most bytes of a text for mail clients.
pub const MAX_TEXT_BYTES: usize = 200;

//------------ Upstream ------------------------------------------------------

/// A mail server that nginx may be sent to. nginx takes addresses only (`ngx_parse_addr` in
/// ngx_inet.c), so names are resolved before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upstream {
    address: IpAddr,
    port: NonZeroU16,
}

impl Upstream {
    /// `None` for an address that no mail server has: unspecified, multicast or broadcast
    /// (nginx takes 255.255.255.255 for "no address").
    pub fn new(address: IpAddr, port: NonZeroU16) -> Option<Self> {
        let broadcast = address == IpAddr::from([255, 255, 255, 255]);
        let usable = !(address.is_unspecified() || address.is_multicast() || broadcast);
        usable.then_some(Self { address, port })
    }

    /// The address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The port.
    pub fn port(&self) -> NonZeroU16 {
        self.port
    }
}

/// `192.0.2.1:143`, `[2001:db8::1]:143`: for people. The headers have the address bare.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::net::SocketAddr::new(self.address, self.port.get()).fmt(f)
    }
}

//------------ Text and Messages ---------------------------------------------

/// One line of text for mail clients, such as nginx will pass on as an error: 1 to
/// [`MAX_TEXT_BYTES`] bytes, no control characters, no blank at either end, neither `OK` nor
/// `WAIT`, which nginx would act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Checks the text; the error says which rule it breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, &'static str> {
        let text = text.into();
        if text.trim() != text {
            Err("must not start or end with a blank")
        } else if text.is_empty() {
            Err("must not be empty: nginx takes an empty status for success")
        } else if text.len() > MAX_TEXT_BYTES {
            Err("must be at most 200 bytes long")
        } else if text.chars().any(char::is_control) {
            Err("must be one line without control characters")
        } else if text == "OK" || text == "WAIT" {
            Err("must be neither OK nor WAIT, which nginx acts on")
        } else {
            Ok(Self(text))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// All texts that mail clients get to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Messages {
    /// For every login that is refused, whatever the reason.
    pub refused: Text,
    /// Where the fault is ours and the client should keep its password and come again.
    pub temporary: Text,
}

impl Messages {
    /// The text of [`Messages::refused`] where nothing is configured: that of the original script.
    pub const REFUSED: &str = "Invalid login or password";
    /// The text of [`Messages::temporary`] where nothing is configured.
    pub const TEMPORARY: &str = "Temporary server problem, try again later";

    fn of(&self, why: &Refusal) -> &Text {
        if why.is_temporary() {
            &self.temporary
        } else {
            &self.refused
        }
    }
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            refused: Text(Self::REFUSED.into()),
            temporary: Text(Self::TEMPORARY.into()),
        }
    }
}

//------------ Answer --------------------------------------------------------

/// The answer to one request: in, with a mail server, or out, with a reason. Never half of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The login may in.
    Accept {
        /// Where its mailbox is.
        upstream: Upstream,
        /// The login that the mail server is to see, where it is another than the one typed.
        user: Option<Vec<u8>>,
        /// The password that the mail server is to see, where it is another than the one typed.
        password: Option<Password>,
    },
    /// The login may not in.
    Refuse {
        /// The reason, for the log.
        why: Refusal,
        /// How many seconds nginx holds the answer back before the client may try again;
        /// without it nginx closes the connection.
        wait: Option<NonZeroU32>,
    },
}

/// An answer would have broken a rule of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsayable {
    /// A value holds a control byte, or starts or ends with a blank.
    Value(&'static str),
    /// The whole is longer than [`MAX_ANSWER_BYTES`].
    TooLong,
}

impl fmt::Display for Unsayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(header) => write!(f, "the value of {header} cannot stand in a header"),
            Self::TooLong => write!(f, "the answer would be over {MAX_ANSWER_BYTES} bytes long"),
        }
    }
}

impl std::error::Error for Unsayable {}

impl Answer {
    /// Appends the headers and the blank line that ends them, or leaves `out` as it was.
    pub fn write(
        &self,
        protocol: Protocol,
        messages: &Messages,
        out: &mut Vec<u8>,
    ) -> Result<(), Unsayable> {
        let start = out.len();
        let written = self.headers(protocol, messages, out);
        let long = out.len() - start > MAX_ANSWER_BYTES;
        let result = written.and(if long {
            Err(Unsayable::TooLong)
        } else {
            Ok(())
        });
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn headers(
        &self,
        protocol: Protocol,
        messages: &Messages,
        out: &mut Vec<u8>,
    ) -> Result<(), Unsayable> {
        match self {
            Self::Accept {
                upstream,
                user,
                password,
            } => {
                header(out, "Auth-Status", b"OK")?;
                number(out, "Auth-Server", upstream.address());
                number(out, "Auth-Port", upstream.port());
                if let Some(user) = user {
                    header(out, "Auth-User", user)?;
                }
                if let Some(password) = password {
                    header(out, "Auth-Pass", password.reveal())?;
                }
            }
            Self::Refuse { why, wait } => {
                header(out, "Auth-Status", messages.of(why).as_str().as_bytes())?;
                if protocol == Protocol::Smtp && why.is_temporary() {
                    // Without it nginx says 535, and clients ask their users for a new password.
                    header(out, "Auth-Error-Code", b"451 4.3.0")?;
                }
                if let Some(wait) = wait {
                    number(out, "Auth-Wait", wait);
                }
            }
        }
        out.push(b'\n');
        Ok(())
    }
}

/// A header whose value comes from outside this file. nginx trims spaces and takes all other
/// bytes as they are; Apache makes a 500 of a control byte.
fn header(out: &mut Vec<u8>, name: &'static str, value: &[u8]) -> Result<(), Unsayable> {
    let blank = |byte: Option<&u8>| byte.is_none_or(|byte| *byte == b' ');
    if value.iter().any(u8::is_ascii_control) || blank(value.first()) || blank(value.last()) {
        return Err(Unsayable::Value(name));
    }
    for part in [name.as_bytes(), b": ", value, b"\n"] {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// A header whose value is made of digits, dots and colons whatever happens.
fn number(out: &mut Vec<u8>, name: &'static str, value: impl fmt::Display) {
    let _infallible = writeln!(out, "{name}: {value}");
}

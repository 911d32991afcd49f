//! Writes the answers to nginx: every header that the program sends, and all text for mail clients.
//!
//! nginx accepts a login whenever `Auth-Server` and `Auth-Port` are present and no `Auth-Status`
//! other than `OK` is (`ngx_mail_auth_http_process_headers` in ngx_mail_auth_http_module.c), so
//! those two are written in one place only, after `Auth-Status: OK`.

use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;
use std::num::NonZeroU32;

use crate::login::relayed::Value;
use crate::login::{Protocol, Upstream};
use crate::nginx::refusal::Refusal;
use crate::nginx::request::Method;
use crate::secret::Password;

/// The maximum size of an answer in bytes. nginx reads the whole HTTP header into 1,024 bytes.
/// Apache adds up to 200 of its own, and a CR to each line. An answer that is too long, such as the
/// longest login with the longest password, becomes the temporary failure.
pub const MAX_ANSWER_BYTES: usize = 800;

/// The maximum length of a text for mail clients in bytes.
pub const MAX_TEXT_BYTES: usize = 200;

//------------ Text and Messages ---------------------------------------------

/// One line of text for mail clients that nginx passes on as an error: 1 to [`MAX_TEXT_BYTES`]
/// bytes, no control characters, no blank at either end, neither `OK` nor `WAIT`, which nginx would
/// act on.
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

/// All texts for mail clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Messages {
    /// For every refused login, whatever the reason.
    pub refused: Text,
    /// For a temporary failure, after which the client should keep its password and try again.
    pub temporary: Text,
    /// Whether response codes are added.
    pub codes: Codes,
    /// The value of `Auth-Error-SASL` for every refused token, in base64.
    pub sasl_error: Option<String>,
}

/// Whether refused logins get a response code besides the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codes {
    /// Only the code that stops SMTP clients from asking for another password after a temporary
    /// failure.
    #[default]
    Few,
    /// The codes of RFC 5530, RFC 3206 and RFC 4954.
    All,
}

/// The receiver of an answer: nginx sends different text in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialogue {
    /// A client that logs in.
    Login(Protocol),
    /// A client that logs in with a token: in a SASL dialogue (RFC 7628).
    Token(Protocol),
    /// Another mail server that delivers mail.
    Inbound,
}

impl Dialogue {
    /// The mail protocol.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::Login(protocol) | Self::Token(protocol) => protocol,
            Self::Inbound => Protocol::Smtp,
        }
    }

    /// Derived from nginx's headers; an unknown method is a login.
    pub fn new(protocol: Protocol, method: Option<Method>) -> Self {
        match (protocol, method) {
            (Protocol::Smtp, Some(Method::None)) => Self::Inbound,
            (protocol, Some(Method::Token)) => Self::Token(protocol),
            (protocol, _) => Self::Login(protocol),
        }
    }
}

impl Messages {
    /// The default of [`Messages::refused`]: that of the original script.
    pub const REFUSED: &str = "Invalid login or password";
    /// The default of [`Messages::temporary`].
    pub const TEMPORARY: &str = "Temporary server problem, try again later";
    /// For refused mail: the text of Postfix.
    pub const RELAY_DENIED: &str = "Relay access denied";
    /// For mail to an unknown recipient.
    pub const UNKNOWN_RECIPIENT: &str = "No such user here";

    fn of(&self, why: &Refusal, dialogue: Dialogue) -> &str {
        match (why, dialogue) {
            (Refusal::Temporary(_), _) => self.temporary.as_str(),
            (_, Dialogue::Login(_) | Dialogue::Token(_)) => self.refused.as_str(),
            (Refusal::UnknownRecipient, Dialogue::Inbound) => Self::UNKNOWN_RECIPIENT,
            (_, Dialogue::Inbound) => Self::RELAY_DENIED,
        }
    }

    /// The response code before the text: nginx passes it on for IMAP and POP3, and ignores
    /// `Auth-Error-Code` there. All refusals have the same one.
    fn head(&self, why: &Refusal, dialogue: Dialogue) -> &'static str {
        let (Codes::All, Dialogue::Login(protocol) | Dialogue::Token(protocol)) =
            (self.codes, dialogue)
        else {
            return "";
        };
        match (protocol, why.is_temporary()) {
            // RFC 5530, 3
            (Protocol::Imap, false) => "[AUTHENTICATIONFAILED] ",
            (Protocol::Imap, true) => "[UNAVAILABLE] ",
            // RFC 3206, 4 and 5
            (Protocol::Pop3, false) => "[AUTH] ",
            (Protocol::Pop3, true) => "[SYS/TEMP] ",
            (Protocol::Smtp, _) => "",
        }
    }

    /// The code for an SMTP client, which replaces nginx's own 535 5.7.0.
    fn smtp_code(&self, why: &Refusal, dialogue: Dialogue) -> Option<&'static str> {
        let smtp = |protocol| protocol == Protocol::Smtp;
        match (dialogue, why.is_temporary(), self.codes) {
            (Dialogue::Login(protocol) | Dialogue::Token(protocol), _, _) if !smtp(protocol) => {
                None
            }
            (Dialogue::Inbound, true, _) => Some("451 4.3.0"),
            (Dialogue::Inbound, false, _) => Some(match why {
                // RFC 3463, 3.2
                Refusal::UnknownRecipient => "550 5.1.1",
                _ => "550 5.7.1",
            }),
            // RFC 4954, 6
            (_, true, Codes::All) => Some("454 4.7.0"),
            (_, false, Codes::All) => Some("535 5.7.8"),
            // Without it nginx sends 535, and clients ask their users for a new password.
            (_, true, Codes::Few) => Some("451 4.3.0"),
            (_, false, Codes::Few) => None,
        }
    }
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            refused: Text(Self::REFUSED.into()),
            temporary: Text(Self::TEMPORARY.into()),
            codes: Codes::default(),
            sasl_error: None,
        }
    }
}

//------------ Answer --------------------------------------------------------

/// The answer to one request: accepted, with a mail server, or refused, with a reason. Never a mix
/// of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The login is accepted.
    Accept {
        /// The mail server that has the mailbox.
        upstream: Upstream,
        /// The login for the mail server, if it differs from the one that was typed.
        user: Option<Vec<u8>>,
        /// The password for the mail server, if it differs from the one that was sent.
        password: Option<Password>,
    },
    /// The login is not accepted.
    Refuse {
        /// The reason, for the log.
        why: Refusal,
        /// How many seconds nginx delays the answer before the client may try again; without it
        /// nginx closes the connection.
        wait: Option<NonZeroU32>,
    },
}

/// An answer would violate the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// A value contains a byte that is not allowed, or starts or ends with a blank.
    Value(&'static str),
    /// The answer is longer than [`MAX_ANSWER_BYTES`].
    TooLong,
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(header) => write!(f, "the value of {header} cannot be written in a header"),
            Self::TooLong => write!(f, "the answer would be over {MAX_ANSWER_BYTES} bytes long"),
        }
    }
}

impl std::error::Error for Unwritable {}

impl Answer {
    /// Appends the headers and the blank line that ends them. On error `out` is unchanged.
    pub fn write(
        &self,
        dialogue: Dialogue,
        messages: &Messages,
        out: &mut Vec<u8>,
    ) -> Result<(), Unwritable> {
        let start = out.len();
        let written = self.headers(dialogue, messages, out);
        let long = out.len() - start > MAX_ANSWER_BYTES;
        let result = written.and(if long {
            Err(Unwritable::TooLong)
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
        dialogue: Dialogue,
        messages: &Messages,
        out: &mut Vec<u8>,
    ) -> Result<(), Unwritable> {
        match self {
            Self::Accept {
                upstream,
                user,
                password,
            } => {
                header(out, "Auth-Status", Value::Text, b"OK")?;
                address(out, "Auth-Server", upstream.address());
                number(out, "Auth-Port", upstream.port().get().into());
                if let Some(user) = user {
                    let login = Value::login_for(dialogue.protocol());
                    header(out, "Auth-User", login, user)?;
                }
                if let Some(password) = password {
                    header(out, "Auth-Pass", Value::AuthPass, password.reveal())?;
                }
            }
            Self::Refuse { why, wait } => {
                let status = [messages.head(why, dialogue), messages.of(why, dialogue)].concat();
                header(out, "Auth-Status", Value::Text, status.as_bytes())?;
                if let Some(code) = messages.smtp_code(why, dialogue) {
                    header(out, "Auth-Error-Code", Value::ErrorCode, code.as_bytes())?;
                }
                if let (Dialogue::Token(_), Some(error), false) =
                    (dialogue, &messages.sasl_error, why.is_temporary())
                {
                    header(out, "Auth-Error-SASL", Value::Text, error.as_bytes())?;
                }
                if let Some(wait) = wait {
                    number(out, "Auth-Wait", wait.get());
                }
            }
        }
        out.push(b'\n');
        Ok(())
    }
}

/// A header with a value from outside this file. nginx trims spaces and keeps all other bytes;
/// Apache answers 500 to a control byte.
fn header(
    out: &mut Vec<u8>,
    name: &'static str,
    value: Value,
    bytes: &[u8],
) -> Result<(), Unwritable> {
    if !value.fits_header(bytes) {
        return Err(Unwritable::Value(name));
    }
    begin(out, name);
    out.extend_from_slice(bytes);
    out.push(b'\n');
    Ok(())
}

/// A header with an address, in digits, dots and colons only.
fn address(out: &mut Vec<u8>, name: &'static str, address: IpAddr) {
    begin(out, name);
    match address {
        IpAddr::V4(v4) => {
            let [first, rest @ ..] = v4.octets();
            decimal(out, first.into());
            for octet in rest {
                out.push(b'.');
                decimal(out, octet.into());
            }
        }
        IpAddr::V6(v6) => {
            let _infallible = write!(out, "{v6}");
        }
    }
    out.push(b'\n');
}

/// A header with a number.
fn number(out: &mut Vec<u8>, name: &'static str, value: u32) {
    begin(out, name);
    decimal(out, value);
    out.push(b'\n');
}

fn begin(out: &mut Vec<u8>, name: &'static str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
}

/// Appends the digits of a number. `write!` takes a tenth of all instructions of a request for the
/// few numbers of an answer.
fn decimal(out: &mut Vec<u8>, number: u32) {
    if number >= 10 {
        decimal(out, number / 10);
    }
    out.push(b'0' + (number % 10) as u8);
}

#[cfg(test)]
mod tests;

//! What nginx is told: every header we send, and all text that a mail client gets to see.
//!
//! nginx lets a login in whenever `Auth-Server` and `Auth-Port` are there and no `Auth-Status`
//! other than `OK` is (`ngx_mail_auth_http_process_headers` in ngx_mail_auth_http_module.c), so
//! those two are written in one place only, after `Auth-Status: OK`.

use std::fmt;
use std::io::Write as _;
use std::num::NonZeroU32;

use crate::login::relayed::Value;
use crate::login::{Protocol, Upstream};
use crate::nginx::refusal::Refusal;
use crate::nginx::request::Method;
use crate::secret::Password;

/// The most bytes of an answer. nginx reads the whole HTTP header into 1,024 bytes. Apache adds up
/// to 200 of its own, and a CR to each line. What does not fit, such as the longest login with the
/// longest password, becomes the temporary failure.
pub const MAX_ANSWER_BYTES: usize = 800;

/// The most bytes of a text for mail clients.
pub const MAX_TEXT_BYTES: usize = 200;

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
    /// Whether codes that clients act on go with them.
    pub codes: Codes,
    /// What goes with every token that is refused: `Auth-Error-SASL`, in base64.
    pub sasl_error: Option<String>,
}

/// Whether refused logins get a code besides the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codes {
    /// Only what keeps SMTP clients from asking for another password when the fault is ours.
    #[default]
    Few,
    /// Those of RFC 5530, RFC 3206 and RFC 4954.
    All,
}

/// Whom an answer is for: nginx makes something else of it in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialogue {
    /// Somebody who wants to log in.
    Login(Protocol),
    /// Somebody who wants to log in with a token: in a dialogue of SASL (RFC 7628).
    Token(Protocol),
    /// Another mail server that brings mail.
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

    /// By what nginx says; a method that it does not know is a login.
    pub fn new(protocol: Protocol, method: Option<Method>) -> Self {
        match (protocol, method) {
            (Protocol::Smtp, Some(Method::None)) => Self::Inbound,
            (protocol, Some(Method::Token)) => Self::Token(protocol),
            (protocol, _) => Self::Login(protocol),
        }
    }
}

impl Messages {
    /// The text of [`Messages::refused`] where nothing is configured: that of the original script.
    pub const REFUSED: &str = "Invalid login or password";
    /// The text of [`Messages::temporary`] where nothing is configured.
    pub const TEMPORARY: &str = "Temporary server problem, try again later";
    /// For mail that is not taken: what Postfix says.
    pub const RELAY_DENIED: &str = "Relay access denied";
    /// For mail to nobody.
    pub const UNKNOWN_RECIPIENT: &str = "No such user here";

    fn of(&self, why: &Refusal, dialogue: Dialogue) -> &str {
        match (why, dialogue) {
            (Refusal::Temporary(_), _) => self.temporary.as_str(),
            (_, Dialogue::Login(_) | Dialogue::Token(_)) => self.refused.as_str(),
            (Refusal::UnknownRecipient, Dialogue::Inbound) => Self::UNKNOWN_RECIPIENT,
            (_, Dialogue::Inbound) => Self::RELAY_DENIED,
        }
    }

    /// The code at the head of the text: nginx passes that on for IMAP and POP3, and ignores
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

    /// What nginx answers an SMTP client with in place of its own 535 5.7.0.
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
            // Without it nginx says 535, and clients ask their users for a new password.
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
    /// A value holds a byte that must not be in it, or starts or ends with a blank.
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
        dialogue: Dialogue,
        messages: &Messages,
        out: &mut Vec<u8>,
    ) -> Result<(), Unsayable> {
        let start = out.len();
        let written = self.headers(dialogue, messages, out);
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
        dialogue: Dialogue,
        messages: &Messages,
        out: &mut Vec<u8>,
    ) -> Result<(), Unsayable> {
        match self {
            Self::Accept {
                upstream,
                user,
                password,
            } => {
                header(out, "Auth-Status", Value::Text, b"OK")?;
                number(out, "Auth-Server", upstream.address());
                number(out, "Auth-Port", upstream.port());
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
fn header(
    out: &mut Vec<u8>,
    name: &'static str,
    value: Value,
    bytes: &[u8],
) -> Result<(), Unsayable> {
    if !value.fits_header(bytes) {
        return Err(Unsayable::Value(name));
    }
    for part in [name.as_bytes(), b": ", bytes, b"\n"] {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// A header whose value is made of digits, dots and colons whatever happens.
fn number(out: &mut Vec<u8>, name: &'static str, value: impl fmt::Display) {
    let _infallible = writeln!(out, "{name}: {value}");
}

#[cfg(test)]
mod tests;

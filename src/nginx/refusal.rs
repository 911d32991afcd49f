//! Why a login is refused: in detail for the log, and as one of few fixed texts for the client.

use std::borrow::Cow;
use std::fmt;

use super::cause::Cause;
use crate::login::Likeness;

/// The reason of a refusal. [`fmt::Display`] gives the stable word of `cause` in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `Auth-User` or `Auth-Pass` is missing.
    MissingCredentials,
    /// The header with the key is missing, wrong, or occurs twice.
    WrongKey,
    /// The request does not come from an allowed front.
    WrongFront,
    /// A header that affects the decision occurs twice.
    DuplicateHeader(&'static str),
    /// A `%` without two hexadecimal digits: the request does not come from nginx.
    BadEscape(&'static str),
    /// A value that nginx would write into its dialogue with the mail server contains a byte that
    /// is not allowed there; the header.
    BadHeader(&'static str),
    /// The login contains a control byte or, for SMTP, a blank.
    BadLogin,
    /// The login is longer than 254 bytes.
    LoginTooLong,
    /// The password contains NUL, CR or LF.
    BadPassword,
    /// The password is longer than 512 bytes.
    PasswordTooLong,
    /// A challenge that nginx did not make: `Auth-Salt` is missing or has another form.
    BadChallenge,
    /// The answer to a challenge is not a digest in hex.
    BadDigest,
    /// An `Auth-Method` that is known but not configured.
    UnsupportedMethod(&'static str),
    /// An unknown `Auth-Method`.
    UnknownMethod,
    /// PARAMS exceeds the configured size.
    TooLarge,
    /// PARAMS is damaged.
    Malformed,
    /// No store knows the login.
    UnknownUser,
    /// The password is not the stored one.
    WrongPassword,
    /// The user has no password that could match.
    NoPassword,
    /// The stored password cannot be used; why and where. It is refused as if there were none.
    UnusablePassword(String),
    /// Another stored value of the user cannot be used: the line is not a valid line of a password
    /// file, the login occurs twice, a port is not valid; which value and where. No password is
    /// accepted for this user.
    UnusableEntry(String),
    /// The password is right, but has expired.
    PasswordExpired,
    /// The password is right, but not allowed for this protocol.
    ProtocolNotAllowed,
    /// The client sent a digest, and the stored password of this user cannot be compared with one.
    DigestNotPossible,
    /// The client has proven a login without a password, and the store found a user of another
    /// login that it treats as equal, or does not report which login it found.
    LoginNotProven(Likeness),
    /// There is no client certificate that nginx verified.
    NoCertificate(&'static str),
    /// The client certificate does not belong to this login.
    WrongCertificate(&'static str),
    /// The token is not valid, or does not belong to this login.
    BadToken(&'static str),
    /// Incoming mail that is not for one of our domains, or whose recipient cannot be read.
    RelayDenied(&'static str),
    /// Incoming mail for an unknown recipient of one of our domains.
    UnknownRecipient,
    /// There were too many wrong passwords, of the network or of the login. No store was asked.
    Throttled(&'static str),
    /// The user is disabled, or the account has expired; the reason, if there is one.
    Disabled(Option<String>),
    /// The store that checks the password refuses the account; its reason.
    AccountRefused(String),
    /// The user may not log in from this network.
    NetworkNotAllowed,
    /// The program cannot decide; the login may be right or wrong.
    Temporary(Trouble),
}

/// Why the program cannot decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no usable configuration.
    NoConfiguration,
    /// A store could not answer.
    Store(String),
    /// No route has a host for this login.
    NoRoute,
    /// The host of this login is unknown, or has no address at the moment.
    Host(String),
    /// A store names a host for the user that is neither in `[hosts]` nor an address.
    UnknownHost(String),
    /// The user is being moved from one host to another.
    Moving(String),
    /// Too many password hashes are being computed.
    Busy,
    /// There is not enough memory for the hash of this password.
    Memory,
    /// The introspection service for tokens could not answer.
    Tokens(String),
    /// The throttle state is unavailable, and the configuration refuses logins without it.
    Throttle(String),
    /// The mail server requires a password, and it is not known in clear.
    PasswordNeeded,
    /// The answer would violate the protocol.
    Answer(String),
    /// All connections are in use.
    Overloaded,
    /// The web server aborted the request, or it arrived too slowly.
    Aborted,
    /// A bug of the program: the decision panicked.
    Panic,
}

impl Refusal {
    /// Whether the client should keep its password and try again.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Temporary(_))
    }

    /// Whether the sender of the request is unknown: its data is not trusted, and does not count
    /// against the login that it names.
    pub fn is_of_a_stranger(&self) -> bool {
        matches!(self, Self::WrongKey | Self::WrongFront)
    }

    /// Its cause.
    pub fn cause(&self) -> Cause {
        match self {
            Self::MissingCredentials => Cause::MissingCredentials,
            Self::WrongKey => Cause::WrongKey,
            Self::WrongFront => Cause::WrongFront,
            Self::DuplicateHeader(_) => Cause::DuplicateHeader,
            Self::BadEscape(_) => Cause::BadEscape,
            Self::BadHeader(_) => Cause::BadHeader,
            Self::BadLogin => Cause::BadLogin,
            Self::LoginTooLong => Cause::LoginTooLong,
            Self::BadPassword => Cause::BadPassword,
            Self::PasswordTooLong => Cause::PasswordTooLong,
            Self::BadChallenge => Cause::BadChallenge,
            Self::BadDigest => Cause::BadDigest,
            Self::UnsupportedMethod(_) => Cause::UnsupportedMethod,
            Self::UnknownMethod => Cause::UnknownMethod,
            Self::TooLarge => Cause::TooLarge,
            Self::Malformed => Cause::Malformed,
            Self::UnknownUser => Cause::UnknownUser,
            Self::WrongPassword => Cause::WrongPassword,
            Self::NoPassword => Cause::NoPassword,
            Self::UnusablePassword(_) => Cause::UnusablePassword,
            Self::UnusableEntry(_) => Cause::UnusableEntry,
            Self::PasswordExpired => Cause::PasswordExpired,
            Self::ProtocolNotAllowed => Cause::ProtocolNotAllowed,
            Self::DigestNotPossible => Cause::DigestNotPossible,
            Self::LoginNotProven(_) => Cause::LoginNotProven,
            Self::NoCertificate(_) => Cause::NoCertificate,
            Self::WrongCertificate(_) => Cause::WrongCertificate,
            Self::BadToken(_) => Cause::BadToken,
            Self::RelayDenied(_) => Cause::RelayDenied,
            Self::UnknownRecipient => Cause::UnknownRecipient,
            Self::Throttled(_) => Cause::Throttled,
            Self::Disabled(_) => Cause::Disabled,
            Self::AccountRefused(_) => Cause::AccountRefused,
            Self::NetworkNotAllowed => Cause::NetworkNotAllowed,
            Self::Temporary(trouble) => match trouble {
                Trouble::NoConfiguration => Cause::NoConfiguration,
                Trouble::Store(_) => Cause::Store,
                Trouble::NoRoute => Cause::NoRoute,
                Trouble::Host(_) | Trouble::UnknownHost(_) => Cause::Host,
                Trouble::Moving(_) => Cause::Moving,
                Trouble::Busy => Cause::Busy,
                Trouble::Memory => Cause::Memory,
                Trouble::Tokens(_) => Cause::Tokens,
                Trouble::Throttle(_) => Cause::Throttle,
                Trouble::PasswordNeeded => Cause::PasswordNeeded,
                Trouble::Answer(_) => Cause::Answer,
                Trouble::Overloaded => Cause::Overloaded,
                Trouble::Aborted => Cause::Aborted,
                Trouble::Panic => Cause::Panic,
            },
        }
    }

    /// Details for the log besides the word.
    pub fn detail(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::DuplicateHeader(name) | Self::BadEscape(name) | Self::BadHeader(name) => {
                Some(Cow::Borrowed(name))
            }
            Self::UnsupportedMethod(method) => Some(Cow::Borrowed(method)),
            Self::NoCertificate(why)
            | Self::WrongCertificate(why)
            | Self::BadToken(why)
            | Self::RelayDenied(why)
            | Self::Throttled(why) => Some(Cow::Borrowed(why)),
            Self::LoginNotProven(Likeness::Unsaid) => Some(Cow::Borrowed(
                "the store does not say which login it has found",
            )),
            Self::LoginNotProven(_) => Some(Cow::Borrowed("the store has found another login")),
            Self::Disabled(Some(why)) => Some(Cow::Borrowed(why)),
            Self::UnusablePassword(what)
            | Self::UnusableEntry(what)
            | Self::AccountRefused(what) => Some(Cow::Borrowed(what)),
            Self::Temporary(
                Trouble::Store(what)
                | Trouble::Host(what)
                | Trouble::UnknownHost(what)
                | Trouble::Moving(what)
                | Trouble::Tokens(what)
                | Trouble::Throttle(what)
                | Trouble::Answer(what),
            ) => Some(Cow::Borrowed(what)),
            Self::Temporary(Trouble::PasswordNeeded) => Some(Cow::Borrowed(
                "the mail server asks for a password: neither the client nor a store has it in \
                 clear, and the host has no master-login",
            )),
            _ => None,
        }
    }
}

/// The word of its cause.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cause().word())
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        Self::Temporary(trouble)
    }
}

//! Why a login is refused: in detail for the log, as one of two texts for the client.

use std::borrow::Cow;
use std::fmt;

use crate::login::Likeness;

/// The reason of a refusal. [`fmt::Display`] gives the stable word that the log has as `cause`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `Auth-User` or `Auth-Pass` is not there.
    MissingCredentials,
    /// The header with the key is missing, wrong, or came twice.
    WrongKey,
    /// The request comes from elsewhere than the fronts that may ask.
    WrongFront,
    /// A header that decides came twice.
    DuplicateHeader(&'static str),
    /// A `%` without two hexadecimal digits: the request does not come from nginx.
    BadEscape(&'static str),
    /// A value that nginx would write into its dialogue with the mail server holds a byte that
    /// must not be in it; the header.
    BadHeader(&'static str),
    /// The login holds a control byte; or, for SMTP, a blank.
    BadLogin,
    /// The login is longer than 254 bytes.
    LoginTooLong,
    /// The password holds NUL, CR or LF.
    BadPassword,
    /// The password is longer than 512 bytes.
    PasswordTooLong,
    /// A challenge that nginx did not make: `Auth-Salt` is missing or of another form.
    BadChallenge,
    /// The answer to a challenge is not a digest in hex.
    BadDigest,
    /// An `Auth-Method` that is known, and not configured.
    UnsupportedMethod(&'static str),
    /// An `Auth-Method` that is not known at all.
    UnknownMethod,
    /// PARAMS is larger than configured.
    TooLarge,
    /// PARAMS is damaged.
    Malformed,
    /// No store knows the login.
    UnknownUser,
    /// The password is not the stored one.
    WrongPassword,
    /// The user has no password that could be right.
    NoPassword,
    /// What is stored as the user's password cannot be used; why and where. It is refused as if there were
    /// none.
    UnusablePassword(String),
    /// What else is stored for the user cannot be used: the line is no line of a password file, the login is
    /// there twice, a port is none; what and where. Nobody gets in by it, whatever the password.
    UnusableEntry(String),
    /// The password is the right one, but its time is over.
    PasswordExpired,
    /// The password is the right one, but not for this protocol.
    ProtocolNotAllowed,
    /// The client proves itself by a digest, and what is stored of this user's password cannot be
    /// compared with one.
    DigestNotPossible,
    /// The client has proven a login without a password, and the store takes a user of another login
    /// for the same, or does not say whom it has found.
    LoginNotProven(Likeness),
    /// There is no client certificate that nginx has verified.
    NoCertificate(&'static str),
    /// The client certificate is not one of this login.
    WrongCertificate(&'static str),
    /// The token is not in force, or not one of this login.
    BadToken(&'static str),
    /// Incoming mail that is not for one of our domains, as far as can be told.
    RelayDenied(&'static str),
    /// Incoming mail for one of our domains, but for nobody there.
    UnknownRecipient,
    /// There were too many wrong passwords; which of them count. No store was asked.
    Throttled(&'static str),
    /// The user is switched off.
    Disabled,
    /// The store that checks the password says that the user is not to log in; its reason.
    AccountRefused(String),
    /// The user may not come from this network.
    NetworkNotAllowed,
    /// The fault is ours; nothing is said about the login.
    Temporary(Trouble),
}

/// What keeps us from deciding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no usable configuration.
    NoConfiguration,
    /// A store could not say.
    Store(String),
    /// No route leads anywhere for this login.
    NoRoute,
    /// The host of this login is not known or has no address at the moment.
    Host(String),
    /// A store says that the user has a host that is neither of `[hosts]` nor an address.
    UnknownHost(String),
    /// The user is on the way from one host to another.
    Moving(String),
    /// Too many password hashes are being computed.
    Busy,
    /// There is not enough memory for the hash of this password.
    Memory,
    /// The service that knows about tokens could not say.
    Tokens(String),
    /// The counts of wrong passwords cannot be had, and nobody is to be let in without.
    Throttle(String),
    /// The mail server asks for a password, and nobody here knows one in clear.
    PasswordNeeded,
    /// The answer would have broken a rule of the protocol.
    Answer(String),
    /// All connections are in use.
    Overloaded,
    /// The web server took the request back, or it arrived too slowly.
    Aborted,
    /// A bug of ours: the decision panicked.
    Panic,
}

impl Refusal {
    /// Whether the client should keep its password and try again.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Temporary(_))
    }

    /// Whether the request comes from who knows whom: nothing in it is to be believed, nor held
    /// against the login that it names.
    pub fn is_of_a_stranger(&self) -> bool {
        matches!(self, Self::WrongKey | Self::WrongFront)
    }

    /// What is known beyond the word, for the log.
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

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingCredentials => "missing-credentials",
            Self::WrongKey => "wrong-key",
            Self::WrongFront => "wrong-front",
            Self::DuplicateHeader(_) => "duplicate-header",
            Self::BadEscape(_) => "bad-escape",
            Self::BadHeader(_) => "bad-header",
            Self::BadLogin => "bad-login",
            Self::LoginTooLong => "login-too-long",
            Self::BadPassword => "bad-password",
            Self::PasswordTooLong => "password-too-long",
            Self::BadChallenge => "bad-challenge",
            Self::BadDigest => "bad-digest",
            Self::UnsupportedMethod(_) => "unsupported-method",
            Self::UnknownMethod => "unknown-method",
            Self::TooLarge => "request-too-large",
            Self::Malformed => "malformed-request",
            Self::UnknownUser => "unknown-user",
            Self::WrongPassword => "wrong-password",
            Self::NoPassword => "no-password",
            Self::UnusablePassword(_) => "unusable-password",
            Self::UnusableEntry(_) => "unusable-entry",
            Self::PasswordExpired => "password-expired",
            Self::ProtocolNotAllowed => "protocol-not-allowed",
            Self::DigestNotPossible => "digest-not-possible",
            Self::LoginNotProven(_) => "login-not-proven",
            Self::NoCertificate(_) => "no-certificate",
            Self::WrongCertificate(_) => "wrong-certificate",
            Self::BadToken(_) => "bad-token",
            Self::RelayDenied(_) => "relay-denied",
            Self::UnknownRecipient => "unknown-recipient",
            Self::Throttled(_) => "throttled",
            Self::Disabled => "disabled",
            Self::AccountRefused(_) => "account-refused",
            Self::NetworkNotAllowed => "network-not-allowed",
            Self::Temporary(trouble) => match trouble {
                Trouble::NoConfiguration => "no-configuration",
                Trouble::Store(_) => "store-trouble",
                Trouble::NoRoute => "no-route",
                Trouble::Host(_) | Trouble::UnknownHost(_) => "host-trouble",
                Trouble::Moving(_) => "moving",
                Trouble::Busy => "busy",
                Trouble::Memory => "out-of-memory",
                Trouble::Tokens(_) => "token-trouble",
                Trouble::Throttle(_) => "throttle-trouble",
                Trouble::PasswordNeeded => "password-needed",
                Trouble::Answer(_) => "bad-answer",
                Trouble::Overloaded => "overloaded",
                Trouble::Aborted => "aborted",
                Trouble::Panic => "panic",
            },
        })
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        Self::Temporary(trouble)
    }
}

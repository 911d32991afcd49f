//! The causes: one fixed word for each kind of decision, in the log and on the status page.

use std::fmt;

/// Makes the causes and their words from one list.
macro_rules! causes {
    ($($name:ident = $word:literal,)+) => {
        /// Why a login was accepted or refused, without details. The words are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Cause {
            $(#[doc = concat!("`", $word, "`")] $name,)+
        }

        impl Cause {
            /// All causes, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its word.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

// The temporary failures come last.
causes! {
    Accepted = "accepted",
    MissingCredentials = "missing-credentials",
    WrongKey = "wrong-key",
    WrongFront = "wrong-front",
    DuplicateHeader = "duplicate-header",
    BadEscape = "bad-escape",
    BadHeader = "bad-header",
    BadLogin = "bad-login",
    LoginTooLong = "login-too-long",
    BadPassword = "bad-password",
    PasswordTooLong = "password-too-long",
    BadChallenge = "bad-challenge",
    BadDigest = "bad-digest",
    UnsupportedMethod = "unsupported-method",
    UnknownMethod = "unknown-method",
    TooLarge = "request-too-large",
    Malformed = "malformed-request",
    UnknownUser = "unknown-user",
    WrongPassword = "wrong-password",
    NoPassword = "no-password",
    UnusablePassword = "unusable-password",
    UnusableEntry = "unusable-entry",
    PasswordExpired = "password-expired",
    ProtocolNotAllowed = "protocol-not-allowed",
    DigestNotPossible = "digest-not-possible",
    LoginNotProven = "login-not-proven",
    NoCertificate = "no-certificate",
    WrongCertificate = "wrong-certificate",
    BadToken = "bad-token",
    RelayDenied = "relay-denied",
    UnknownRecipient = "unknown-recipient",
    Throttled = "throttled",
    Disabled = "disabled",
    AccountRefused = "account-refused",
    NetworkNotAllowed = "network-not-allowed",
    NoConfiguration = "no-configuration",
    Store = "store-trouble",
    NoRoute = "no-route",
    Host = "host-trouble",
    Moving = "moving",
    Busy = "busy",
    Memory = "out-of-memory",
    Tokens = "token-trouble",
    Throttle = "throttle-trouble",
    PasswordNeeded = "password-needed",
    Answer = "bad-answer",
    Overloaded = "overloaded",
    Aborted = "aborted",
    Panic = "panic",
}

impl Cause {
    /// Its index in [`Self::ALL`].
    pub fn number(self) -> usize {
        self as usize
    }

    /// Whether it is a temporary failure.
    pub fn is_temporary(self) -> bool {
        self.number() >= Self::NoConfiguration.number()
    }
}

/// Its word.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_number_and_a_word_of_its_own() {
        for (number, cause) in Cause::ALL.iter().enumerate() {
            assert_eq!(cause.number(), number, "{cause}");
            let same = |other: &&Cause| other.word() == cause.word();
            assert_eq!(Cause::ALL.iter().filter(same).count(), 1, "{cause}");
        }
    }
}

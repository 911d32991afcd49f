//! Interprets a mail server's refusal of a login. Only a refusal that reports a wrong password counts as one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{PasswordCheck, ServerError};
use crate::secret::Password;
use crate::users::codes::{inconclusive, is_wrong_password, not_permitted};
use crate::users::texts::{TextMeaning, meaning_of};

/// Texts of one server that the administrator configures, in lower case. A server's text that contains one of
/// them is interpreted by it, whatever code the text has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    temporary: Vec<String>,
    refused: Vec<String>,
}

impl Texts {
    /// Texts that mean trouble in the server, and texts that mean a refusal. None may be empty.
    pub fn new(temporary: Vec<String>, refused: Vec<String>) -> Self {
        let lower = |texts: Vec<String>| texts.iter().map(|it| it.to_ascii_lowercase()).collect();
        Self {
            temporary: lower(temporary),
            refused: lower(refused),
        }
    }

    /// The meaning of a refusal with this text for login and password: by the configured texts first, then by
    /// its code, then by the known texts of mail servers.
    ///
    /// A refusal with another text counts as a guess, like a wrong password. Otherwise a server with unknown
    /// texts would allow guessing without limit.
    pub(super) fn meaning(&self, text: &[u8]) -> Result<PasswordCheck, ServerError> {
        let lower = String::from_utf8_lossy(text).to_ascii_lowercase();
        let has = |texts: &[String]| texts.iter().any(|own| lower.contains(own.as_str()));
        let cannot = |why: &str| Err(ServerError::Login(format!("cannot decide now: {why}")));
        if has(&self.temporary) {
            return cannot("its text is one of `temporary`");
        }
        if has(&self.refused) {
            return Ok(PasswordCheck::Wrong);
        }
        if let Some(code) = inconclusive(text) {
            return cannot(&format!("[{code}]"));
        }
        if let Some(code) = not_permitted(text) {
            return Ok(PasswordCheck::NotPermitted(format!(
                "refuses with [{code}]"
            )));
        }
        if is_wrong_password(text) {
            return Ok(PasswordCheck::Wrong);
        }
        match meaning_of(text) {
            TextMeaning::Wrong => Ok(PasswordCheck::Wrong),
            TextMeaning::Temporary => cannot("its text says so"),
            TextMeaning::Neither => Err(ServerError::Unanswered(
                "refuses the login, but its text says neither that the password is wrong nor that \
                it \
                 cannot tell: look at the text in the log at level \"debug\", and add it to `refused` or \
                 `temporary`"
                    .to_owned(),
            )),
        }
    }
}

/// The text of an answer, for the log at level `debug`: its first bytes, in printable ASCII. The text is
/// withheld if it repeats a part of the password, or of a SASL message with it.
pub(super) fn quoted(text: &[u8], password: &Password) -> String {
    const MOST: usize = 200;
    /// This many consecutive bytes reveal a part of a password; a shorter password counts as a whole.
    const TELLING: usize = 4;
    let said = Zeroizing::new(text.to_ascii_lowercase());
    let repeats = |said: &[u8], secret: &[u8], telling: usize| {
        let secret = Zeroizing::new(secret.to_ascii_lowercase());
        let length = secret.len().clamp(1, telling);
        let mut runs = secret.windows(length);
        runs.any(|run| said.windows(length).any(|other| other == run))
    };
    // In base64, the password starts at one of three offsets (RFC 4648, 4).
    let coded = [0, 1, 2].map(|skipped| {
        let padded = Zeroizing::new([&[0; 2][..skipped], password.reveal()].concat());
        let coded = Zeroizing::new(STANDARD.encode(&*padded));
        let inner = coded.trim_end_matches('=').get(skipped * 2..);
        Zeroizing::new(inner.unwrap_or_default().to_owned())
    });
    // In hexadecimal, each byte has two digits, with or without separators (`%6d`, `\x6d`, `6d:`).
    let hex = Zeroizing::new(
        password
            .reveal()
            .iter()
            .flat_map(|byte| hex(*byte))
            .collect::<Vec<_>>(),
    );
    let digits = said.iter().copied().filter(u8::is_ascii_hexdigit);
    let digits = Zeroizing::new(digits.collect::<Vec<_>>());
    if repeats(&said, password.reveal(), TELLING)
        || coded
            .iter()
            .any(|coded| repeats(&said, coded.as_bytes(), TELLING))
        || repeats(&digits, &hex, 2 * TELLING)
    {
        return "(not shown: it repeats some of the password)".to_owned();
    }
    format!("\"{}\"", text.get(..MOST).unwrap_or(text).escape_ascii())
}

/// The two digits of a byte.
fn hex(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 0xf].map(|half| match half {
        0..=9 => b'0' + half,
        _ => b'a' + half - 10,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Texts {
        let own = |text: &str| vec![text.to_owned()];
        Texts::new(own("Bitte sp\u{e4}ter"), own("Anmeldung fehlgeschlagen"))
    }

    /// The result of a refusal: `right`, `wrong`, `not permitted`, `temporary`, or `guess`.
    fn meaning(texts: &Texts, text: &str) -> &'static str {
        match texts.meaning(text.as_bytes()) {
            Ok(PasswordCheck::Wrong) => "wrong",
            Ok(PasswordCheck::NotPermitted(_)) => "not permitted",
            Ok(PasswordCheck::Right | PasswordCheck::NoPassword) => "right",
            Err(ServerError::Login(_)) => "temporary",
            Err(ServerError::Unanswered(_)) => "guess",
            Err(ServerError::Server(_)) => "outage",
        }
    }

    #[test]
    fn own_texts_come_before_codes_and_codes_before_known_texts() {
        for (text, wanted) in [
            ("[AUTHENTICATIONFAILED] nope", "wrong"),
            ("[AUTH] nope", "wrong"),
            ("[AUTHENTICATIONFAILED] Temporary problem", "wrong"),
            ("[UNAVAILABLE] Authentication failed.", "temporary"),
            ("[SYS/TEMP] Login failed", "temporary"),
            ("[IN-USE] x", "temporary"),
            ("[LIMIT] x", "temporary"),
            ("[EXPIRED] Login failed", "not permitted"),
            ("[CONTACTADMIN] Login failed", "not permitted"),
            // Codes that say nothing of the password.
            ("[ALERT] Invalid credentials (Failure)", "wrong"),
            ("[ALERT] Too many simultaneous connections", "temporary"),
            ("[ALERT] Web login required", "guess"),
            (
                "[WEBALERT https://example.org/] Web login required.",
                "guess",
            ),
            ("[REFERRAL imap://x/] Try x", "guess"),
            ("System Error", "temporary"),
            (" maildrop already locked", "temporary"),
            (" Login failed.", "wrong"),
            ("sorry", "guess"),
            ("", "guess"),
            // Of this server only.
            ("ANMELDUNG fehlgeschlagen.", "wrong"),
            ("[AUTH] Bitte sp\u{e4}ter wiederkommen", "temporary"),
            ("[SYS/TEMP] Anmeldung fehlgeschlagen", "wrong"),
            ("Bitte sp\u{e4}ter: Anmeldung fehlgeschlagen", "temporary"),
        ] {
            assert_eq!(meaning(&texts(), text), wanted, "{text}");
        }
        let none = Texts::default();
        assert_eq!(meaning(&none, "Anmeldung fehlgeschlagen"), "guess");
        assert_eq!(meaning(&none, "Login failed"), "wrong");
    }

    #[test]
    fn a_quoted_text_reveals_nothing_of_the_password() {
        let password = |text: &str| Password::new(text.into()).unwrap();
        let shown = |text: &str, secret: &str| quoted(text.as_bytes(), &password(secret));
        assert_eq!(
            shown(" Login failed.\u{1b}", "hunter22"),
            "\" Login failed.\\x1b\""
        );
        assert_eq!(shown(&"x".repeat(9000), "hunter22").len(), 202);
        for text in [
            "unknown command hunter22",
            "unknown command HUNTER22",
            "unknown command hunt",
            // \0alice\0hunter22, \0alice5\0hunter22 and \0bob\0hunter22
            "unknown command AGFsaWNlAGh1bnRlcjIy",
            "unknown command AGFsaWNlNQBodW50ZXIyMg==",
            "unknown command AGJvYgBodW50ZXIyMg==",
            "unknown command 68756e7465723232",
            "unknown command 75 6E 74 65",
            "unknown command %68%75%6e%74%65%72",
            "unknown command \\x68\\x75\\x6e\\x74",
        ] {
            assert!(shown(text, "hunter22").starts_with("(not shown"), "{text}");
        }
        assert!(shown("bad x", "x").starts_with("(not shown"));
        assert_eq!(shown("sorry", "\u{e9}"), "\"sorry\"");
    }
}

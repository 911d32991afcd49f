//! The machine-readable codes that mail servers put before the text of a refusal.

/// Codes of a refusal that does not mean a wrong password: the server has a fault, the mailbox is in use, or
/// the server did not process the command. The codes of IMAP are from RFC 5530, 3, those of POP3 from RFC
/// 2449, 8.1.1 and RFC 3206, 4.
///
/// `CONTACTADMIN`, `EXPIRED`, `AUTHORIZATIONFAILED` and `NOPERM` are not in the list: they refuse this user,
/// and a later attempt does not help.
const INCONCLUSIVE: [&str; 14] = [
    "UNAVAILABLE",
    "SERVERBUG",
    "CLIENTBUG",
    "CORRUPTION",
    "INUSE",
    "LIMIT",
    "PRIVACYREQUIRED",
    "CANNOT",
    "OVERQUOTA",
    "SYS/TEMP",
    "SYS/PERM",
    "SYS",
    "IN-USE",
    "LOGIN-DELAY",
];

/// The code at the start of a text: `UNAVAILABLE` of `[UNAVAILABLE] Try again`, `SYS/TEMP` of `[SYS/TEMP] Try
/// again`, without further text in the brackets.
pub(super) fn code(text: &[u8]) -> Option<&str> {
    let inside = text.trim_ascii_start().strip_prefix(b"[")?;
    let end = inside.iter().position(|byte| *byte == b']')?;
    let words = std::str::from_utf8(inside.get(..end)?).ok()?;
    words.split_ascii_whitespace().next()
}

/// The code of a refusal that says nothing about the password; `None` without such a code.
pub(super) fn inconclusive(text: &[u8]) -> Option<&'static str> {
    // "/" separates the levels of a code; a client that does not know the lower level uses the upper one (RFC
    // 3206, 3).
    let code = code(text)?;
    let mut known = INCONCLUSIVE.iter().copied();
    known.find(|known| {
        let upper = code.get(..known.len()).unwrap_or_default();
        let lower = code.get(known.len()..).unwrap_or_default();
        upper.eq_ignore_ascii_case(known) && (lower.is_empty() || lower.starts_with('/'))
    })
}

/// Codes of a refusal of the user, whatever the password (RFC 5530, 3).
const NOT_PERMITTED: [&str; 4] = ["EXPIRED", "CONTACTADMIN", "NOPERM", "AUTHORIZATIONFAILED"];

/// The code of a refusal of the user, whatever the password; `None` without such a code.
pub(super) fn not_permitted(text: &[u8]) -> Option<&'static str> {
    let code = code(text)?;
    let mut known = NOT_PERMITTED.iter().copied();
    known.find(|known| known.eq_ignore_ascii_case(code))
}

/// Codes of a refusal that means a wrong login or password (RFC 5530, 3; RFC 3206, 5).
const WRONG: [&str; 2] = ["AUTHENTICATIONFAILED", "AUTH"];

/// Whether the code of this text means a wrong login or password.
pub(super) fn is_wrong_password(text: &[u8]) -> bool {
    let code = code(text).unwrap_or_default();
    WRONG.iter().any(|known| known.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_refusals_say_nothing_about_the_password() {
        for text in [
            "[UNAVAILABLE] Temporary authentication failure.",
            "[unavailable]",
            " [SERVERBUG] Oops",
            "[INUSE] x",
            "[LIMIT] Maximum number of connections exceeded",
            "[PRIVACYREQUIRED] Plaintext authentication disallowed",
            "[CANNOT] x",
            "[OVERQUOTA] Account exceeded command or bandwidth limits.",
            "[SYS/TEMP] Try again",
            "[SYS/PERM] Ask someone",
            "[SYS/TEMP/DISK] Try again",
            "[IN-USE] Maildrop is locked",
            "[LOGIN-DELAY] Minimum is 5 minutes",
        ] {
            assert!(inconclusive(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "",
            "Invalid login or password",
            "[AUTHENTICATIONFAILED] Authentication failed.",
            "[AUTH] Authentication failed.",
            "[EXPIRED] Change it",
            "[CONTACTADMIN] Locked",
            "[ALERT] UNAVAILABLE",
            "[UNAVAILABLE",
            "UNAVAILABLE]",
            "[] x",
            "[SYSTEM] x",
            "Sorry [UNAVAILABLE]",
            "[\u{fc}] x",
        ] {
            assert_eq!(inconclusive(text.as_bytes()), None, "{text}");
        }
        assert_eq!(not_permitted(b"[expired] Change it"), Some("EXPIRED"));
        assert_eq!(
            not_permitted(b"[CONTACTADMIN] Locked"),
            Some("CONTACTADMIN")
        );
        assert_eq!(not_permitted(b"[AUTHENTICATIONFAILED] no"), None);
        for (text, says) in [
            ("[AUTHENTICATIONFAILED] no", true),
            ("[authenticationfailed]", true),
            ("[AUTH] no", true),
            ("[AUTH", false),
            ("AUTH no", false),
            ("[ALERT] no", false),
            ("[AUTHORIZATIONFAILED] no", false),
            ("", false),
        ] {
            assert_eq!(is_wrong_password(text.as_bytes()), says, "{text}");
        }
        assert_eq!(not_permitted(b"EXPIRED"), None);
        assert_eq!(inconclusive(b"[UNAVAILABLE\xff] x"), None);
        assert_eq!(inconclusive(b"[LIMIT 5] x"), Some("LIMIT"));
        for (text, said) in [
            ("[SYS/TEMP] x", Some("SYS/TEMP")),
            ("[sys/perm] x", Some("SYS/PERM")),
            ("[SYS/TEMP/DISK] x", Some("SYS/TEMP")),
            ("[SYS/TEMPER] x", Some("SYS")),
            ("[SYS] x", Some("SYS")),
            ("[LIMIT/X] x", Some("LIMIT")),
            ("[SY\u{fc}S] x", None),
        ] {
            assert_eq!(inconclusive(text.as_bytes()), said, "{text}");
        }
    }
}

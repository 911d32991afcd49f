//! Interprets the text of a refusal without a code, by the known texts of mail servers and other services.
//!
//! The lists are in docs/stores/mail-server.md; a test compares them. Texts are compared in lower case. A
//! phrase can be anywhere in a text, because servers add their name, the time, or advice to the user.

use super::codes::inconclusive;

/// Phrases that mean that the server or the mailbox is not able to answer. No known server uses them for a
/// wrong password. Each has several words: a server may repeat the login, and `alice+outage@example.org` must
/// not match a phrase.
///
/// Courier (`Temporary problem`), Cyrus without saslauthd (`Login failed: generic failure`), Dovecot
/// (`Temporary authentication failure`), Gmail (`Too many simultaneous connections`), Exchange (`Server
/// Unavailable`), qpopper and UW (`lock busy`, `Can't get lock`), qmail-pop3d (`unable to scan`).
const TEMPORARY: [&str; 58] = [
    "already in use",
    "already locked",
    "another session",
    "being moved",
    "can't connect",
    "can't contact",
    "can't get lock",
    "cannot connect",
    "cannot contact",
    "cannot get lock",
    "chdir error",
    "connection limit",
    "connection refused",
    "connection reset",
    "connection timed out",
    "could not connect",
    "couldn't connect",
    "failed to connect",
    "generic failure",
    "i/o error",
    "internal error",
    "internal server error",
    "lock busy",
    "mailbox in use",
    "mailbox is locked",
    "mailbox locked",
    "maildrop in use",
    "maildrop is locked",
    "maildrop locked",
    "no mechanism available",
    "no route to host",
    "no space left",
    "no worthy mechs",
    "not reachable",
    "not responding",
    "out of memory",
    "read-only mode",
    "server busy",
    "server error",
    "server is down",
    "server unavailable",
    "service cannot",
    "service unavailable",
    "shutting down",
    "system error",
    "temporarily unavailable",
    "temporary authentication failure",
    "temporary error",
    "temporary failure",
    "temporary problem",
    "temporary server problem",
    "too many connections",
    "too many simultaneous",
    "unable to connect",
    "unable to contact",
    "unable to lock",
    "unable to scan",
    "under maintenance",
];

/// Phrases that mean a wrong login or password.
///
/// Dovecot, popa3d, James (`Authentication failed`), Courier (`Login failed`), Cyrus (`authentication
/// failure`, `Invalid login`), Exchange (`LOGIN failed`, `Logon failure: unknown user name or bad password`),
/// UW and Panda (`Bad login`, `LOGIN failed`), Gmail (`Invalid credentials`, `Username and password not
/// accepted`), hMailServer and Domino (`Invalid user name or password`), qpopper (`Password supplied for "x"
/// is incorrect`), qmail-pop3d (`authorization failed`), dbmail (`login rejected`, `username/password
/// incorrect`), XMail (`Invalid auth`).
const WRONG: [&str; 36] = [
    "authenticate failed",
    "authenticate plain failed",
    "authentication failed",
    "authentication failure",
    "authentication rejected",
    "authentication unsuccessful",
    "authorization failed",
    "bad authentication",
    "bad credentials",
    "bad login",
    "bad password",
    "incorrect login",
    "incorrect password",
    "incorrect user",
    "invalid auth",
    "invalid credentials",
    "invalid login",
    "invalid password",
    "invalid user",
    "login error",
    "login failed",
    "login failure",
    "login incorrect",
    "login invalid",
    "login or password",
    "login rejected",
    "logon failure",
    "no such user",
    "password error",
    "password incorrect",
    "password not accepted",
    "password supplied for",
    "unknown user",
    "user not found",
    "user unknown",
    "wrong password",
];

/// Prefixes of words that, beside one of [`WRONG`], make it doubtful whether the server checked the password.
const DOUBTFUL: [&str; 39] = [
    "backend",
    "blocked",
    "busy",
    "can't",
    "cannot",
    "connect",
    "contact",
    "could not",
    "couldn't",
    "database",
    "disabled",
    "down",
    "error",
    "exceeded",
    "expired",
    "failed to",
    "internal",
    "later",
    "limit",
    "locked",
    "maintenance",
    "moved",
    "outage",
    "quota",
    "reachable",
    "read-only",
    "refused",
    "responding",
    "retry",
    "route",
    "temporar",
    "timed out",
    "timeout",
    "too many",
    "try again",
    "unable",
    "unavailable",
    "unexpected",
    "unreachable",
];

/// Phrases in which such a word raises no doubt.
const HARMLESS: [&str; 10] = [
    "closing connection",
    "connection closed",
    "contact support",
    "contact the",
    "contact us",
    "contact your",
    "error: auth",
    "error: invalid",
    "error: login",
    "please contact",
];

/// The meaning of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextMeaning {
    /// Login and password are wrong.
    Wrong,
    /// The server cannot decide.
    Temporary,
    /// Unknown or ambiguous.
    Neither,
}

/// Whether a text, or the code before it, means that the server cannot decide.
pub(crate) fn is_temporary(text: &[u8]) -> bool {
    inconclusive(text).is_some() || meaning_of(text) == TextMeaning::Temporary
}

/// Interprets a text.
pub(super) fn meaning_of(text: &[u8]) -> TextMeaning {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    if has(&TEMPORARY) {
        TextMeaning::Temporary
    } else if has(&WRONG) && !is_doubtful(&text) {
        TextMeaning::Wrong
    } else {
        TextMeaning::Neither
    }
}

/// Whether the text, in lower case, has a word that makes its meaning doubtful.
fn is_doubtful(text: &str) -> bool {
    let mut rest = text.to_owned();
    for phrase in HARMLESS.iter().chain(&WRONG) {
        // The rest on both sides must not join into one word.
        rest = rest.replace(phrase, " - ");
    }
    let begins_word = |at: usize| {
        let before = rest.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(char::is_alphanumeric)
    };
    DOUBTFUL
        .iter()
        .any(|word| rest.match_indices(word).any(|(at, _)| begins_word(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers to a login, as they came, without the tag: of Courier 5.0, Dovecot 2.3, and from the sources and
    /// manuals of the others.
    #[test]
    fn texts_of_mail_servers() {
        const WRONG: &[&str] = &[
            "Login failed.",                        // Courier: also of an unknown user
            "Authentication failed.",               // Dovecot, Courier's AUTH, James
            "Login failed: authentication failure", // Cyrus
            "Login failed: user not found",         // Cyrus
            "authentication failure",               // Cyrus, AUTHENTICATE
            "Invalid login",                        // Cyrus
            "LOGIN failed.",                        // Exchange
            "AUTHENTICATE failed.",                 // Exchange
            "Logon failure: unknown user name or bad password.", // Exchange
            "Authentication failure: unknown user name or bad password.",
            "LOGIN failed",                        // UW, Panda, Zimbra
            "Bad LOGIN user name and/or password", // UW
            "Bad login",                           // UW
            "AUTHENTICATE PLAIN failed",           // UW
            "Bad authentication",                  // UW
            "Invalid credentials (Failure)",       // Gmail
            "Username and password not accepted.", // Gmail
            "LOGIN Invalid credentials",           // Yahoo
            "Invalid user name or password.",      // hMailServer, Domino
            "Invalid user name or password. Please check full email address as username.",
            "Password supplied for \"alice\" is incorrect.", // qpopper
            "authorization failed",                          // qmail-pop3d
            "login rejected",                                // dbmail
            "username/password incorrect",                   // dbmail
            "Invalid auth or access denied",                 // XMail
            "Authentication failed (bad password?)",         // popa3d
            "Invalid login or password",                     // auth_http services
            "Error: authentication failed",                  // Postfix's words
            "[ALERT] Error: authentication failed",
            "Login error",
            "LOGIN Login error password error", // NetEase
            "Authentication failed, closing connection.",
            "Login failed, disconnecting",
            "Invalid login or password, please contact your administrator",
            "Login failed: Account suspended",
            "Login failed: account removed",
            "Authentication failed against the directory",
        ];
        const TEMPORARY: &[&str] = &[
            "Temporary problem, please try again later", // Courier without authdaemond
            "Login failed: generic failure",             // Cyrus without saslauthd
            "generic failure",
            "no mechanism available",
            "Temporary authentication failure. [mx:2026-11-28 16:00:00]",
            "Too many simultaneous connections. (Failure)", // Gmail
            "Too many simultaneous connections",
            "System Error", // Gmail
            "System Error (Failure)",
            "Server Unavailable. 15",  // Exchange
            "maildrop already locked", // RFC 1939, 7
            "unable to lock maildrop",
            "Can't get lock. Mailbox in use", // UW
            "alice lock busy!  Is another session active? (11)", // qpopper
            "Your mailbox is already locked", // hMailServer
            "unable to scan $HOME/Maildir",   // qmail-pop3d
            "Your account is temporarily unavailable (+t bit set on home directory).", // Courier
            "Server out of memory, aborting connection.", // Courier
            "Server error - Please try again later.", // Yahoo
            "Internal Server Error",
            "Service unavailable",
            "Authentication failed: system error",
            "authentication failure: cannot connect to saslauthd server: Connection refused", // Cyrus
            "authentication failure: no worthy mechs found", // Cyrus
            "Login failed: can't connect to LDAP server",
            "Authentication failed. [ldap: Can't contact LDAP server]",
            "Authentication failed (connection refused)",
            "Authentication failed: no route to host",
            "Login failed - authserver not reachable",
            "login failed: PAM: Authentication service cannot retrieve authentication info",
            "LOGIN failed. Server is in read-only mode",
            "Login failed, mailbox is being moved",
            "Login failed, chdir error",
        ];
        const NEITHER: &[&str] = &[
            "",
            "sorry",
            "no",
            "IMAP access disabled for this account.", // Courier
            "User is authenticated but not connected.", // Exchange
            "Account exceeded command or bandwidth limits.", // Gmail
            "Please log in via your web browser",     // Gmail
            "Login failed, try again later",
            "Login failed: Too many failures",
            "Authentication failed: account locked",
            "Authentication failed (timeout)",
            "login failed because of backend outage",
            "Authentication failed: try again",
            "Authentication failed, please retry",
            "Can't get mailbox: Invalid user quota",
            "Authentication failed: LDAP error",
            "Error: login failed: error 17",
            "Login failed for alice+outage@example.org",
            "Authentication failed: 127.0.0.1 unreachable",
            "Anmeldung fehlgeschlagen",
            "\u{fffd}\0",
        ];
        for (texts, meaning) in [
            (WRONG, TextMeaning::Wrong),
            (TEMPORARY, TextMeaning::Temporary),
            (NEITHER, TextMeaning::Neither),
        ] {
            for text in texts {
                assert_eq!(meaning_of(text.as_bytes()), meaning, "{text}");
                let upper = text.to_ascii_uppercase();
                assert_eq!(meaning_of(upper.as_bytes()), meaning, "{upper}");
            }
        }
        assert_eq!(meaning_of(b"\xff\xfelogin failed\xff"), TextMeaning::Wrong);
    }

    #[test]
    fn the_lists_are_in_the_documents() {
        let page = include_str!("../../docs/stores/mail-server.md");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let page = words(page);
        let lists = [&TEMPORARY[..], &WRONG, &DOUBTFUL, &HARMLESS];
        for phrase in lists.concat() {
            assert!(page.contains(&format!("`{phrase}`")), "{phrase}");
            assert_eq!(phrase, phrase.to_ascii_lowercase());
        }
        // No login that a server repeats is one of them.
        assert!(TEMPORARY.iter().all(|phrase| phrase.contains(' ')));
    }
}

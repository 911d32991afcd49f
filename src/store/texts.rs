//! What the text of a refusal says where no code does: what mail servers say, and other services.
//!
//! The lists are in docs/users.md; a test compares them. Texts are compared in lower case, and a
//! phrase may stand anywhere in one: servers add their name, the time, or what the user should do.

/// Phrases that say that the server or the mailbox is in no state to answer. No known server says one of
/// them of a wrong password.
///
/// Courier (`Temporary problem`), Cyrus without saslauthd (`Login failed: generic failure`), Dovecot
/// (`Temporary authentication failure`), Gmail (`Too many simultaneous connections`), Exchange (`Server Unavailable`),
/// qpopper and UW (`lock busy`, `Can't get lock`), qmail-pop3d (`unable to scan`).
const TEMPORARY: [&str; 35] = [
    "already in use",
    "already locked",
    "another session",
    "can't get lock",
    "cannot get lock",
    "connection limit",
    "generic failure",
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
    "out of memory",
    "server busy",
    "server error",
    "server unavailable",
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
    "unable to lock",
    "unable to scan",
    "under maintenance",
];

/// Phrases that say that login and password do not fit.
///
/// Dovecot, popa3d, James (`Authentication failed`), Courier (`Login failed`), Cyrus (`authentication failure`,
/// `Invalid login`), Exchange (`LOGIN failed`, `Logon failure: unknown user name or bad password`), UW and Panda
/// (`Bad login`, `LOGIN failed`), Gmail (`Invalid credentials`, `Username and password not accepted`), hMailServer and
/// Domino (`Invalid user name or password`), qpopper (`Password supplied for "x" is incorrect`), qmail-pop3d (`authorization
/// failed`), dbmail (`login rejected`, `username/password incorrect`), XMail (`Invalid auth`).
const WRONG: [&str; 34] = [
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
    "login failed",
    "login failure",
    "login incorrect",
    "login invalid",
    "login or password",
    "login rejected",
    "logon failure",
    "no such user",
    "password incorrect",
    "password not accepted",
    "password supplied for",
    "unknown user",
    "user not found",
    "user unknown",
    "wrong password",
];

/// Words beside one of [`WRONG`] that leave open whether the password was looked at.
const DOUBTFUL: [&str; 15] = [
    "blocked",
    "busy",
    "database",
    "disabled",
    "exceeded",
    "expired",
    "internal",
    "later",
    "limit",
    "locked",
    "temporar",
    "timed out",
    "timeout",
    "too many",
    "unavailable",
];

/// What a text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// That login and password do not fit.
    Wrong,
    /// That the server cannot tell.
    Temporary,
    /// Neither, or something of both.
    Neither,
}

/// What the text says.
pub(super) fn says(text: &[u8]) -> Says {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    if has(&TEMPORARY) {
        Says::Temporary
    } else if has(&WRONG) && !has(&DOUBTFUL) {
        Says::Wrong
    } else {
        Says::Neither
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers to a login, as they came, without the tag: of Courier 5.0, Dovecot 2.3, and from the sources and
    /// manuals of the others.
    #[test]
    fn what_mail_servers_say() {
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
            "Anmeldung fehlgeschlagen",
            "\u{fffd}\0",
        ];
        for (texts, meaning) in [
            (WRONG, Says::Wrong),
            (TEMPORARY, Says::Temporary),
            (NEITHER, Says::Neither),
        ] {
            for text in texts {
                assert_eq!(says(text.as_bytes()), meaning, "{text}");
                let upper = text.to_ascii_uppercase();
                assert_eq!(says(upper.as_bytes()), meaning, "{upper}");
            }
        }
        assert_eq!(says(b"\xff\xfelogin failed\xff"), Says::Wrong);
    }

    #[test]
    fn the_lists_are_in_the_documents() {
        let page = include_str!("../../docs/users.md");
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let page = words(page);
        for phrase in TEMPORARY.iter().chain(&WRONG).chain(&DOUBTFUL) {
            assert!(page.contains(&format!("`{phrase}`")), "{phrase}");
            assert_eq!(*phrase, phrase.to_ascii_lowercase());
        }
    }
}

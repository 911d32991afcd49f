//! The master login of a mail server, which may act for every user, for cases where the program cannot send
//! the user's own password.

use crate::secret::Password;

/// The login that acts for every user at a host, such as a master user of Dovecot.
#[derive(Clone, Debug)]
pub struct MasterLogin {
    /// The login.
    pub login: String,
    /// Its password at the mail server.
    pub password: Password,
    /// The separator between user and master login: `alice*master`.
    pub separator: String,
    /// When it is used.
    pub usage: MasterUse,
}

/// When a master login is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasterUse {
    /// If the user's own password is unknown.
    WhenNeeded,
    /// For every user, so that the mail server need not know the passwords.
    Always,
}

/// Which password the mail server would accept from the user.
#[derive(Clone, Debug)]
pub enum OwnPassword {
    /// The password that the mail client sent, which nginx has.
    Sent,
    /// The password that the mail client sent, unchecked: the mail server must check it, so the master login
    /// must not replace it.
    Unchecked,
    /// This password, from the store.
    Known(Password),
    /// The store has it in clear, but `Auth-Pass` cannot carry it.
    CannotBeSent,
    /// An unknown one: the client showed a certificate or a token, computed a digest, or sent an app password
    /// or a master's password.
    Unknown,
}

/// The login and password for nginx to send to the mail server, in place of the client's.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// `Auth-User`; `None` for the login that the client sent.
    pub user: Option<Vec<u8>>,
    /// `Auth-Pass`; `None` for the password that the client sent.
    pub password: Option<Password>,
}

/// The host needs a master login for the user, but has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPassword {
    /// The user's own password is unknown.
    Unknown,
    /// The user's own password is known, but `Auth-Pass` cannot carry it.
    CannotBeSent,
}

/// The login and password for nginx to send. `login` is the login that nginx has; `user` is the login for the
/// mail server, if it differs.
///
/// An error means that the user's own password is unknown or cannot be sent, and the host has no master
/// login. Whether that matters depends on the protocol: for SMTP, nginx need not log in at all.
pub(super) fn credentials(
    master: Option<&MasterLogin>,
    login: &[u8],
    user: Option<Vec<u8>>,
    own: OwnPassword,
) -> Result<Credentials, NoPassword> {
    let needed = |master: &&MasterLogin| match own {
        OwnPassword::Unchecked => false,
        OwnPassword::Unknown | OwnPassword::CannotBeSent => true,
        OwnPassword::Sent | OwnPassword::Known(_) => master.usage == MasterUse::Always,
    };
    if let Some(master) = master.filter(needed) {
        let mut whole = user.unwrap_or_else(|| login.to_vec());
        whole.extend_from_slice(master.separator.as_bytes());
        whole.extend_from_slice(master.login.as_bytes());
        return Ok(Credentials {
            user: Some(whole),
            password: Some(master.password.clone()),
        });
    }
    let password = match own {
        OwnPassword::Sent | OwnPassword::Unchecked => None,
        OwnPassword::Known(password) => Some(password),
        OwnPassword::Unknown => return Err(NoPassword::Unknown),
        OwnPassword::CannotBeSent => return Err(NoPassword::CannotBeSent),
    };
    Ok(Credentials { user, password })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.into()).unwrap()
    }

    /// `USER PASSWORD`, each `-` if it is the client's own.
    fn sent(
        usage: Option<MasterUse>,
        user: Option<&str>,
        own: OwnPassword,
    ) -> Result<String, NoPassword> {
        let master = usage.map(|usage| MasterLogin {
            login: "nginx".into(),
            password: password("master-secret"),
            separator: "*".into(),
            usage,
        });
        let user = user.map(|user| user.as_bytes().to_vec());
        let credentials = credentials(master.as_ref(), b"alice", user, own)?;
        let user = credentials
            .user
            .map(|user| String::from_utf8(user).unwrap());
        let password = credentials
            .password
            .map(|password| String::from_utf8(password.reveal().to_vec()).unwrap());
        let word = |word: Option<String>| word.unwrap_or("-".into());
        Ok(format!("{} {}", word(user), word(password)))
    }

    #[test]
    fn the_login_and_password_for_the_mail_server() {
        use MasterUse::{Always, WhenNeeded};
        use OwnPassword::{CannotBeSent, Known, Sent, Unknown};
        let known = || Known(password("own"));
        let master = Ok("alice*nginx master-secret");
        let robert = Ok("robert*nginx master-secret");
        for (usage, user, own, expected) in [
            (None, None, Sent, Ok("- -")),
            (None, Some("robert"), Sent, Ok("robert -")),
            (None, None, known(), Ok("- own")),
            (None, Some("robert"), known(), Ok("robert own")),
            (None, None, Unknown, Err(NoPassword::Unknown)),
            (None, None, CannotBeSent, Err(NoPassword::CannotBeSent)),
            (Some(WhenNeeded), None, CannotBeSent, master),
            (Some(Always), None, CannotBeSent, master),
            (Some(WhenNeeded), None, Sent, Ok("- -")),
            (Some(WhenNeeded), Some("robert"), known(), Ok("robert own")),
            (Some(WhenNeeded), None, Unknown, master),
            (Some(WhenNeeded), Some("robert"), Unknown, robert),
            (Some(Always), None, Sent, master),
            (Some(Always), Some("robert"), known(), robert),
            (Some(Always), None, Unknown, master),
        ] {
            let what = format!("{usage:?} {user:?} {own:?}");
            let sent = sent(usage, user, own);
            assert_eq!(sent.as_deref(), expected.as_deref(), "{what}");
        }
    }

    #[test]
    fn the_password_is_not_printed() {
        let master = MasterLogin {
            login: "nginx".into(),
            password: password("master-secret"),
            separator: "*".into(),
            usage: MasterUse::Always,
        };
        assert!(!format!("{master:?}").contains("secret"));
    }
}

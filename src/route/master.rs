//! A login that may act for every user of a mail server, for where the user's own password cannot
//! be sent there.

use crate::secret::Password;

/// Who may log in at a host for everybody, such as a master user of Dovecot.
#[derive(Clone, Debug)]
pub struct MasterLogin {
    /// The login.
    pub login: String,
    /// Its password there.
    pub password: Password,
    /// What stands between the user and it: `alice*master`.
    pub separator: String,
    /// When it is used.
    pub usage: MasterUse,
}

/// When a master login is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MasterUse {
    /// Where the user's own password is not known.
    WhenNeeded,
    /// For everybody, so that the mail server need not know the passwords of its users.
    Always,
}

/// What is known of the password that the mail server asks a user for.
#[derive(Clone, Debug)]
pub enum OwnPassword {
    /// It is the one that the mail client sent, so nginx has it.
    Sent,
    /// Nobody has checked the one that the mail client sent: the mail server must, so nobody else
    /// logs in for the user.
    Unchecked,
    /// It is this one: the store says so.
    Known(Password),
    /// The store has it in clear, and no `Auth-Pass` can carry it.
    Unsayable,
    /// Nobody knows it: the client showed a certificate or a token, computed a digest, or sent an
    /// app password or that of a master.
    Unknown,
}

/// What nginx is to log in with at the mail server, in place of what the client sent.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// `Auth-User`; `None` for the login as the client sent it.
    pub user: Option<Vec<u8>>,
    /// `Auth-Pass`; `None` for the password as the client sent it.
    pub password: Option<Password>,
}

/// Somebody else has to log in for the user, and nobody can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPassword {
    /// The user's own is not known.
    Unknown,
    /// It is known, and no `Auth-Pass` can carry it.
    Unsayable,
}

/// What nginx is to log in with. `login` is the login that nginx has, `user` the one that the mail
/// server is to see, if another.
///
/// The error is only for a user whose own password is not known or cannot be told, at a host without a master login.
/// Whether that matters depends on the protocol: for SMTP, nginx need not log in at all.
pub(super) fn credentials(
    master: Option<&MasterLogin>,
    login: &[u8],
    user: Option<Vec<u8>>,
    own: OwnPassword,
) -> Result<Credentials, NoPassword> {
    let needed = |master: &&MasterLogin| match own {
        OwnPassword::Unchecked => false,
        OwnPassword::Unknown | OwnPassword::Unsayable => true,
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
        OwnPassword::Unsayable => return Err(NoPassword::Unsayable),
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
    fn who_logs_in() {
        use MasterUse::{Always, WhenNeeded};
        use OwnPassword::{Known, Sent, Unknown, Unsayable};
        let known = || Known(password("own"));
        let master = Ok("alice*nginx master-secret");
        let robert = Ok("robert*nginx master-secret");
        for (usage, user, own, expected) in [
            (None, None, Sent, Ok("- -")),
            (None, Some("robert"), Sent, Ok("robert -")),
            (None, None, known(), Ok("- own")),
            (None, Some("robert"), known(), Ok("robert own")),
            (None, None, Unknown, Err(NoPassword::Unknown)),
            (None, None, Unsayable, Err(NoPassword::Unsayable)),
            (Some(WhenNeeded), None, Unsayable, master),
            (Some(Always), None, Unsayable, master),
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

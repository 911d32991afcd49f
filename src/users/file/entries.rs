//! Lists the users of a password file, for administrators: without any secret.

use std::collections::HashMap;

use super::line::Line;
use super::text::lines;
use super::{LineLogins, PasswordRules};
use crate::secret::Scheme;
use crate::users::{Account, Passwords};

/// The names of extra fields whose values are shown. Others may be secrets, such as Dovecot's `pass`.
const SHOWN: [&[u8]; 11] = [
    b"host",
    b"hostip",
    b"port",
    b"user",
    b"destuser",
    b"nologin",
    b"nopassword",
    b"allow_nets",
    b"protocols",
    b"expires",
    b"reason",
];

/// One line of a password file.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub line: usize,
    /// The login that finds it: the result of `[logins]` for the written one. If no client can have it, the written one.
    pub login: Vec<u8>,
    /// Whether the login can be accepted with its own password.
    pub state: State,
    /// The scheme of the password, if there is one that can be checked.
    pub scheme: Option<Scheme>,
    /// The extra fields: those with a meaning with their values, the others by name.
    pub fields: Vec<String>,
    /// Why the line, or its password, is unusable, or why no client has its login.
    pub problem: Option<String>,
}

/// Whether a user can log in with the own password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The user can.
    Active,
    /// No password matches.
    Locked,
    /// `nologin`: no password is accepted, app passwords neither.
    Disabled,
    /// The line, or its password, is unusable.
    Unusable,
}

impl State {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Locked => "locked",
            Self::Disabled => "disabled",
            Self::Unusable => "unusable",
        }
    }
}

/// Calls `each` for every line with a login, in the order of the file; for those of one login only, if
/// there is one.
pub fn entries<E>(
    text: &[u8],
    logins: &LineLogins,
    rules: &PasswordRules,
    wanted: Option<&[u8]>,
    mut each: impl FnMut(Entry) -> Result<(), E>,
) -> Result<(), E> {
    let text = text
        .strip_prefix(super::text::BYTE_ORDER_MARK)
        .unwrap_or(text);
    let cut = || {
        let all = lines(text).enumerate();
        all.filter_map(|(number, (_, line))| Some((number + 1, Line::cut(line)?)))
            .map(|(number, line)| (number, line, logins.asked(line.login)))
            .filter(|(_, _, asked)| wanted.is_none_or(|wanted| wanted == &**asked))
    };
    let mut times: HashMap<Vec<u8>, usize> = HashMap::new();
    for (_, _, asked) in cut() {
        *times.entry(asked.into_owned()).or_default() += 1;
    }
    for (number, line, asked) in cut() {
        let account = line.salvaged(rules, |flaw| flaw.kind.to_string());
        let twice = times.get(&*asked).is_some_and(|times| *times > 1);
        let problem = match twice {
            true => Some("the login is on several lines, and none of them counts".to_owned()),
            false => account
                .unusable
                .clone()
                .or_else(|| account.unusable_password.clone()),
        };
        let unreachable = logins.unreachable_login(line.login, &asked);
        let login = match unreachable {
            Some(_) => line.login.to_vec(),
            None => asked.into_owned(),
        };
        let problem = problem.or(unreachable);
        each(Entry {
            line: number,
            state: state(&account, problem.is_some()),
            scheme: scheme(&account),
            fields: fields(&line),
            problem,
            login,
        })?;
    }
    Ok(())
}

fn state(account: &Account, is_unusable: bool) -> State {
    if account.is_disabled() {
        State::Disabled
    } else if is_unusable {
        State::Unusable
    } else if account.has_usable_password() {
        State::Active
    } else {
        State::Locked
    }
}

fn scheme(account: &Account) -> Option<Scheme> {
    match &account.passwords {
        Passwords::Stored(credentials) => credentials.first().map(|it| it.secret.scheme()),
        Passwords::AskStore | Passwords::Any => None,
    }
}

fn fields(line: &Line<'_>) -> Vec<String> {
    let fields = line.extra().split(|byte| byte.is_ascii_whitespace());
    fields
        .filter(|field| !field.is_empty())
        .map(|field| {
            let end = field.iter().position(|byte| *byte == b'=');
            let name = &field[..end.unwrap_or(field.len())];
            let shown = match SHOWN.contains(&name) {
                true => field,
                false => name,
            };
            String::from_utf8_lossy(shown).into_owned()
        })
        .collect()
}

//! One line of a password file: `login:{SCHEME}hash:uid:gid:gecos:home:shell:extra fields`.
//!
//! The format is Dovecot's passwd-file; what htpasswd writes is its first two fields.

use std::fmt;
use std::num::NonZeroU16;

use crate::domain;
use crate::request::{Login, MAX_LOGIN_BYTES};
use crate::secret::{Accepted, Secret, SecretError};
use crate::store::{Account, Credential, Passwords, limits};

/// The longest line taken. The extra fields may list networks.
const MAX_LINE_BYTES: usize = 8192;
/// The longest name of a host (RFC 1035, 2.3.4).
const MAX_HOST_BYTES: usize = 253;
/// How many fields stand before the extra ones, which may hold colons themselves.
const FIELDS_BEFORE_EXTRA: usize = 7;

/// A line that has a login, cut at its first two colons; nothing else is checked yet.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// The login, maybe empty.
    pub(super) login: &'a [u8],
    /// What follows its colon; `None` without one.
    rest: Option<&'a [u8]>,
}

/// What is wrong with a line, and at which byte of it, from 0.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) at: usize,
    pub(super) kind: FlawKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum FlawKind {
    /// The line is no line of a password file.
    Structure(&'static str),
    /// Its password field is no usable secret.
    Secret(SecretError),
    /// Its login is that of an earlier line, of which this is the number.
    Twice { first: usize },
}

impl fmt::Display for FlawKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Structure(what) => f.write_str(what),
            Self::Secret(error) => error.fmt(f),
            Self::Twice { first } => write!(
                f,
                "the login is also in line {first}, and neither line counts: remove one"
            ),
        }
    }
}

impl<'a> Line<'a> {
    /// Cuts a line, its end already removed; `None` for a comment or a blank line.
    pub(super) fn cut(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"#") || line.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            return None;
        }
        Some(match line.iter().position(|byte| *byte == b':') {
            Some(colon) => Self {
                login: &line[..colon],
                rest: Some(&line[colon + 1..]),
            },
            None => Self {
                login: line,
                rest: None,
            },
        })
    }

    /// The password field; empty if there is none.
    pub(super) fn stored(&self) -> &'a [u8] {
        let rest = self.rest.unwrap_or_default();
        rest.split(|byte| *byte == b':').next().unwrap_or_default()
    }

    /// The secret of the password field.
    pub(super) fn secret(&self, accepted: Accepted) -> Result<Option<Secret>, SecretError> {
        Secret::parse(self.stored(), accepted)
    }

    /// What is wrong with the password field.
    pub(super) fn flaw_of(&self, error: SecretError) -> Flaw {
        Flaw {
            at: self.login.len() + 1,
            kind: FlawKind::Secret(error),
        }
    }

    /// Whether it is the line of this login; the domain may be spelt in another way.
    pub(super) fn is_of(&self, login: &Login) -> bool {
        domain::same_login(self.login, login.as_bytes())
    }

    /// What follows the login, if the line could be one at all.
    pub(super) fn checked_rest(&self) -> Result<&'a [u8], Flaw> {
        let structure = |at, what| Flaw {
            at,
            kind: FlawKind::Structure(what),
        };
        let Some(rest) = self.rest else {
            return Err(structure(0, "no colon follows the login"));
        };
        if self.login.is_empty() {
            return Err(structure(0, "the login is empty"));
        }
        if self.login.len() + 1 + rest.len() > MAX_LINE_BYTES {
            return Err(structure(0, "the line has more than 8192 bytes"));
        }
        if let Some(at) = self.login.iter().position(u8::is_ascii_control) {
            return Err(structure(at, "the login holds a control byte"));
        }
        if self.login.len() > MAX_LOGIN_BYTES {
            return Err(structure(0, "the login has more than 254 bytes"));
        }
        let password_at = self.login.len() + 1;
        if let Some(at) = rest.iter().position(|byte| *byte == 0) {
            return Err(structure(password_at + at, "the line holds a NUL byte"));
        }
        Ok(rest)
    }

    /// Reads the whole line. A flaw of the structure comes before one of the secret.
    pub(super) fn account(&self, accepted: Accepted) -> Result<Account, Flaw> {
        let (mut account, usable) = self.fields()?;
        let secret = self.secret(accepted);
        let secret = secret.map_err(|error| self.flaw_of(error))?;
        let secret = secret.filter(|_| usable);
        account.passwords = Passwords::Stored(secret.into_iter().map(Credential::from).collect());
        Ok(account)
    }

    /// What can be made of a line whatever is wrong with it; `named` says where. A login whose line is
    /// broken is never let in. Its password is checked all the same: the work is that of other logins.
    pub(super) fn salvaged(&self, accepted: Accepted, named: impl Fn(&Flaw) -> String) -> Account {
        let (mut account, usable) = self.fields().unwrap_or_else(|flaw| {
            let account = Account {
                unusable: Some(named(&flaw)),
                ..Account::default()
            };
            (account, true)
        });
        match self.secret(accepted) {
            Ok(secret) => {
                let secret = secret.filter(|_| usable);
                let credentials = secret.into_iter().map(Credential::from);
                account.passwords = Passwords::Stored(credentials.collect());
            }
            Err(error) => account.unusable_password = Some(named(&self.flaw_of(error))),
        }
        account
    }

    /// What a line says beside the password, and whether that counts.
    fn fields(&self) -> Result<(Account, bool), Flaw> {
        let rest = self.checked_rest()?;
        let structure = |at, what| Flaw {
            at,
            kind: FlawKind::Structure(what),
        };
        let password_at = self.login.len() + 1;
        let mut account = Account::default();
        let mut usable = true;
        let extra = rest
            .splitn(FIELDS_BEFORE_EXTRA, |byte| *byte == b':')
            .nth(FIELDS_BEFORE_EXTRA - 1);
        if let Some(extra) = extra {
            let mut at = password_at + rest.len() - extra.len();
            for field in extra.split(|byte| matches!(byte, b' ' | b'\t')) {
                match read_extra(field, &mut account) {
                    Ok(Extra::Taken) => {}
                    Ok(Extra::NoPassword) => usable = false,
                    Err(what) => return Err(structure(at, what)),
                }
                at += field.len() + 1;
            }
        }
        Ok((account, usable))
    }
}

/// What an extra field means beyond what it sets.
enum Extra {
    Taken,
    /// Dovecot's `nopassword`: any password is right. Nobody gets in that way here.
    NoPassword,
}

/// Reads one `key=value` of the extra fields; keys that are not ours mean nothing.
fn read_extra(field: &[u8], account: &mut Account) -> Result<Extra, &'static str> {
    let (key, value) = match field.iter().position(|byte| *byte == b'=') {
        Some(equals) => (&field[..equals], &field[equals + 1..]),
        None => (field, &[][..]),
    };
    match key {
        b"host" => {
            account.host = Some(read_host(value).ok_or("host is no name and no address")?);
        }
        b"port" => account.port = Some(read_port(value).ok_or("port is not 1 to 65535")?),
        b"user" => account.user = Some(read_user(value).ok_or("user is no acceptable login")?),
        // Dovecot looks at whether it is there, not at its value.
        b"nologin" => account.disabled = true,
        b"nopassword" => return Ok(Extra::NoPassword),
        b"allow_nets" => {
            let networks = str::from_utf8(value).ok().and_then(limits::networks);
            let networks = networks.ok_or("allow_nets is no list of networks")?;
            account.allow_nets.get_or_insert_default().extend(networks);
        }
        _ => {}
    }
    Ok(Extra::Taken)
}

fn read_host(value: &[u8]) -> Option<String> {
    let host = str::from_utf8(value).ok()?;
    ((1..=MAX_HOST_BYTES).contains(&host.len()) && host.bytes().all(|byte| byte.is_ascii_graphic()))
        .then(|| host.to_owned())
}

fn read_port(value: &[u8]) -> Option<NonZeroU16> {
    let digits = value.iter().all(u8::is_ascii_digit);
    str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

fn read_user(value: &[u8]) -> Option<Vec<u8>> {
    let login = Login::new(value.to_vec()).ok()?;
    (!login.as_bytes().is_empty()).then(|| value.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::WeakSchemes;

    fn account(line: &str) -> Account {
        let line = Line::cut(line.as_bytes()).unwrap();
        line.account(WeakSchemes::Allowed.into()).unwrap()
    }

    fn passwords(account: &Account) -> usize {
        match &account.passwords {
            Passwords::Stored(credentials) => credentials.len(),
            other => panic!("{other:?}"),
        }
    }

    fn flaw(line: &[u8]) -> (usize, FlawKind) {
        let line = Line::cut(line).unwrap();
        let flaw = line.account(WeakSchemes::Refused.into()).unwrap_err();
        (flaw.at, flaw.kind)
    }

    #[test]
    fn a_line_of_dovecot() {
        let account = account(
            "alice:{PLAIN}x:1000:1000::/home/alice::host=2001:db8::1 port=1143 \
             user=alice@example.com allow_nets=local,192.0.2.0/24,::1 nologin userdb_mail=maildir:~",
        );
        assert_eq!(passwords(&account), 1);
        assert_eq!(account.host.as_deref(), Some("2001:db8::1"));
        assert_eq!(account.port, NonZeroU16::new(1143));
        assert_eq!(account.user.as_deref(), Some(&b"alice@example.com"[..]));
        assert_eq!(account.allow_nets.unwrap().len(), 2);
        assert!(account.disabled);
    }

    #[test]
    fn a_line_of_htpasswd() {
        let account = account("bob:{SHA}EfatjsUqKYSrqv18O1FlA3hcIHI=\r");
        assert_eq!(passwords(&account), 1);
        assert_eq!((account.host, account.disabled), (None, false));
    }

    #[test]
    fn entries_without_password() {
        for line in [
            "a:",
            "a::1:1",
            "a:*",
            "a:!$6$salt$hash",
            "a:!!",
            "a:::::::nopassword=y",
            "a:{PLAIN}x::::::nopassword",
            "a:{PLAIN}x::::::host=h nopassword=y",
        ] {
            assert_eq!(passwords(&account(line)), 0, "{line}");
        }
    }

    #[test]
    fn nobody_may_come_from_an_empty_list() {
        let account = account("a:{PLAIN}x::::::allow_nets=local");
        assert_eq!(account.allow_nets, Some(Vec::new()));
    }

    #[test]
    fn comments_and_blank_lines() {
        for line in ["", "\r", "  \t", "#a:b", "# comment\r"] {
            assert!(Line::cut(line.as_bytes()).is_none(), "{line}");
        }
    }

    #[test]
    fn flaws_have_a_place() {
        use FlawKind::{Secret as Stored, Structure};
        for (line, at, kind) in [
            (&b"alice"[..], 0, Structure("no colon follows the login")),
            (b":x", 0, Structure("the login is empty")),
            (b"a\x07b:x", 1, Structure("the login holds a control byte")),
            (b"a:b\0", 3, Structure("the line holds a NUL byte")),
            (
                b"ab:::::::nologin port=0",
                17,
                Structure("port is not 1 to 65535"),
            ),
            (b"ab:::::::port=+1", 9, Structure("port is not 1 to 65535")),
            (
                b"ab:::::::host=",
                9,
                Structure("host is no name and no address"),
            ),
            (
                b"ab:::::::user=",
                9,
                Structure("user is no acceptable login"),
            ),
            (
                b"ab:::::::allow_nets=::1,",
                9,
                Structure("allow_nets is no list of networks"),
            ),
            (b"ab:{ROT13}x", 3, Stored(SecretError::UnknownScheme)),
            (
                b"ab:{PLAIN}x",
                3,
                Stored(SecretError::Weak(crate::secret::Scheme::Plain)),
            ),
            (b"ab:secret", 3, Stored(SecretError::UnknownScheme)),
        ] {
            assert_eq!(flaw(line), (at, kind), "{}", line.escape_ascii());
        }
        let long = [&[b'a'; 300][..], b":x"].concat();
        assert_eq!(
            flaw(&long).1,
            Structure("the login has more than 254 bytes")
        );
        let long = [&b"a:"[..], &[b'a'; 9000]].concat();
        assert_eq!(
            flaw(&long).1,
            Structure("the line has more than 8192 bytes")
        );
    }
}

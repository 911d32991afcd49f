//! One line of a password file: `login:{SCHEME}hash:uid:gid:gecos:home:shell:extra fields`.
//!
//! The format is Dovecot's passwd-file; a line of htpasswd has its first two fields.

use std::fmt;
use std::net::IpAddr;

use crate::login::{Login, MAX_LOGIN_BYTES};
use crate::secret::{AcceptedHashes, Secret, SecretError, WeakSchemes};
use crate::users::misspelt::{Limit, limit_meant};
use crate::users::{Account, Credential, Passwords, host, limits, variable};

/// The maximum length of a line. The extra fields may list networks.
const MAX_LINE_BYTES: usize = 8192;
/// The problem of PostgreSQL's form of SCRAM secrets: a colon ends the field after the first part.
const CUT_SCRAM: SecretError = SecretError::Damaged(
    "PostgreSQL's form contains colons, which end the field here: write \
     {SCRAM-SHA-256}rounds,salt,StoredKey,ServerKey",
);
/// The number of fields before the extra ones, which may contain colons.
const FIELDS_BEFORE_EXTRA: usize = 7;

/// How password fields are parsed.
#[derive(Clone, Debug)]
pub struct PasswordRules {
    /// Which secrets are accepted.
    pub accepted: AcceptedHashes,
    /// The scheme of passwords that name none.
    pub default_scheme: Option<String>,
}

impl From<WeakSchemes> for PasswordRules {
    fn from(weak: WeakSchemes) -> Self {
        Self {
            accepted: weak.into(),
            default_scheme: None,
        }
    }
}

/// A line with a login, split at its first two colons; not checked otherwise.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// The login, which can be empty.
    pub(super) login: &'a [u8],
    /// The text after its colon; `None` without a colon.
    rest: Option<&'a [u8]>,
}

/// The problem of a line, and its byte in the line, from 0.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) at: usize,
    pub(super) kind: FlawKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum FlawKind {
    /// The line does not have the format of a password file.
    Structure(&'static str),
    /// Its password field is not a usable secret.
    Secret(SecretError),
    /// Its login is already on an earlier line; this is the number of that line.
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
    /// Splits a line without its line end; `None` for a comment or a blank line.
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

    /// The extra fields.
    pub(super) fn extra(&self) -> &'a [u8] {
        self.fields_from(FIELDS_BEFORE_EXTRA - 1)
    }

    /// The field behind the login with this number, from 0; empty if there is none.
    pub(super) fn field(&self, number: usize) -> &'a [u8] {
        let fields = self.fields_from(number);
        fields
            .split(|byte| *byte == b':')
            .next()
            .unwrap_or_default()
    }

    /// The text from this field on.
    pub(super) fn fields_from(&self, number: usize) -> &'a [u8] {
        let mut rest = self.rest.unwrap_or_default();
        for _ in 0..number {
            let Some(colon) = rest.iter().position(|byte| *byte == b':') else {
                return &[];
            };
            rest = &rest[colon + 1..];
        }
        rest
    }

    /// The secret of the password field.
    pub(super) fn secret(&self, rules: &PasswordRules) -> Result<Option<Secret>, SecretError> {
        if self.stored().starts_with(b"SCRAM-SHA-256$") {
            return Err(CUT_SCRAM);
        }
        Self::parse(self.stored(), rules)
    }

    /// The secret behind the `!` that `user lock` writes beside `nologin`. Such a user is always refused, and the log
    /// gives the reason if the password is right.
    fn behind_lock(&self, rules: &PasswordRules) -> Option<Secret> {
        let stored = self.stored().strip_prefix(b"!")?;
        Self::parse(stored, rules).ok().flatten()
    }

    fn parse(stored: &[u8], rules: &PasswordRules) -> Result<Option<Secret>, SecretError> {
        match &rules.default_scheme {
            Some(scheme) => Secret::parse_as(stored, scheme, rules.accepted),
            None => Secret::parse(stored, rules.accepted),
        }
    }

    /// The problem of the password field.
    pub(super) fn flaw_of(&self, error: SecretError) -> Flaw {
        Flaw {
            at: self.login.len() + 1,
            kind: FlawKind::Secret(error),
        }
    }

    /// The text after the login, if the line can have the format at all.
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
            return Err(structure(at, "the login contains a control byte"));
        }
        if self.login.len() > MAX_LOGIN_BYTES {
            return Err(structure(0, "the login has more than 254 bytes"));
        }
        let password_at = self.login.len() + 1;
        if let Some(at) = rest.iter().position(|byte| *byte == 0) {
            return Err(structure(password_at + at, "the line contains a NUL byte"));
        }
        Ok(rest)
    }

    /// Checks the whole line; returns the fields beside the password. A problem of the format takes
    /// precedence over one of the secret. `unknown` gets the name and place of each extra field without a
    /// meaning.
    pub(super) fn check(
        &self,
        rules: &PasswordRules,
        unknown: impl FnMut(usize, &'a [u8]),
    ) -> Result<Account, Flaw> {
        let (account, _) = self.fields(unknown)?;
        match self.secret(rules) {
            Ok(_) => Ok(account),
            Err(error) => Err(self.flaw_of(error)),
        }
    }

    /// The account of a line, even of an unusable one; `named` tells the place. A login on an unusable line
    /// is never accepted. Its password is checked anyway, so that it takes the time of other logins.
    pub(super) fn salvaged(
        &self,
        rules: &PasswordRules,
        named: impl Fn(&Flaw) -> String,
    ) -> Account {
        let (mut account, usable) = self.fields(|_, _| {}).unwrap_or_else(|flaw| {
            let account = Account {
                unusable: Some(named(&flaw)),
                ..Account::default()
            };
            (account, true)
        });
        match self.secret(rules) {
            Ok(secret) => {
                let behind_lock = || account.disabled.then(|| self.behind_lock(rules)).flatten();
                let secret = secret.or_else(behind_lock).filter(|_| usable);
                let credentials = secret.into_iter().map(Credential::from);
                account.passwords = Passwords::Stored(credentials.collect());
            }
            Err(error) => account.unusable_password = Some(named(&self.flaw_of(error))),
        }
        account
    }

    /// The fields of a line beside the password, and whether they are usable.
    fn fields(&self, mut unknown: impl FnMut(usize, &'a [u8])) -> Result<(Account, bool), Flaw> {
        let rest = self.checked_rest()?;
        let structure = |at, what| Flaw {
            at,
            kind: FlawKind::Structure(what),
        };
        let password_at = self.login.len() + 1;
        let mut read = Extra::default();
        let extra = rest
            .splitn(FIELDS_BEFORE_EXTRA, |byte| *byte == b':')
            .nth(FIELDS_BEFORE_EXTRA - 1);
        if let Some(extra) = extra {
            let mut at = password_at + rest.len() - extra.len();
            for field in extra.split(|byte| matches!(byte, b' ' | b'\t')) {
                match read.take(field) {
                    Ok(FieldUse::Used) => {}
                    Ok(FieldUse::Unknown(name)) => unknown(at, name),
                    Err(what) => return Err(structure(at, what)),
                }
                at += field.len() + 1;
            }
        }
        Ok(read.finish())
    }
}

/// The extra fields of a line.
#[derive(Default)]
struct Extra {
    account: Account,
    /// Dovecot's `hostip` and `destuser`, which take precedence over `host` and `user`.
    host_ip: Option<String>,
    dest_user: Option<Vec<u8>>,
    /// Dovecot's `nopassword`: any password is right. This program accepts no login in that way.
    no_password: bool,
    /// Whether there is `expires`, even one that means never.
    ends: bool,
    reason: Option<String>,
}

/// Whether an extra field has a meaning.
enum FieldUse<'a> {
    Used,
    /// It has none; its name.
    Unknown(&'a [u8]),
}

impl Extra {
    /// Parses one `key=value`.
    fn take<'a>(&mut self, field: &'a [u8]) -> Result<FieldUse<'a>, &'static str> {
        let (key, value) = match field.iter().position(|byte| *byte == b'=') {
            Some(equals) => (&field[..equals], &field[equals + 1..]),
            None => (field, &[][..]),
        };
        let account = &mut self.account;
        let is_there = match key {
            b"host" => account.host.is_some(),
            b"hostip" => self.host_ip.is_some(),
            b"port" => account.port.is_some(),
            b"user" => account.user.is_some(),
            b"destuser" => self.dest_user.is_some(),
            b"allow_nets" => account.allow_nets.is_some(),
            b"protocols" => account.protocols.is_some(),
            b"expires" => self.ends,
            b"reason" => self.reason.is_some(),
            _ => false,
        };
        if is_there {
            return Err("this extra field is present twice");
        }
        match key {
            b"host" => {
                let name = host::name(value).ok_or("host is neither a name nor an address")?;
                account.host = Some(name.to_owned());
            }
            b"hostip" => {
                let address = host::name(value).filter(|host| host.parse::<IpAddr>().is_ok());
                self.host_ip = Some(address.ok_or("hostip is not an address")?.to_owned());
            }
            b"port" => {
                let port = host::port(value).ok().flatten();
                account.port = Some(port.ok_or("port is not 1 to 65535")?);
            }
            b"user" if variable::is_in(value) => {
                return Err("user contains a variable, which is not supported here");
            }
            b"user" => account.user = Some(read_user(value).ok_or("user is not a valid login")?),
            b"destuser" if variable::is_in(value) => {
                return Err("destuser contains a variable, which is not supported here");
            }
            b"destuser" => {
                let user = read_user(value).ok_or("destuser is not a valid login")?;
                self.dest_user = Some(user);
            }
            // Dovecot checks whether it is present, not its value.
            b"nologin" => {
                account.disabled = true;
                account.reason = limits::reason(value);
            }
            // Dovecot's text for a user with `nologin`.
            b"reason" => self.reason = Some(limits::reason(value).unwrap_or_default()),
            b"protocols" => {
                let protocols = str::from_utf8(value).ok().and_then(limits::protocols);
                let protocols = protocols.ok_or("protocols are imap, pop3 and smtp")?;
                account.protocols = Some(protocols);
            }
            b"expires" => {
                self.ends = true;
                let end = limits::expiry(str::from_utf8(value).unwrap_or_default());
                account.expires = end.map_err(limits::BadExpiry::of_field)?;
            }
            b"nopassword" => self.no_password = true,
            b"allow_nets" => {
                let networks = str::from_utf8(value).ok().and_then(limits::networks);
                let networks = networks.ok_or("allow_nets is not a list of networks")?;
                account.allow_nets = Some(networks);
            }
            // Fields for a proxy have no effect: nginx is one. Fields for mail servers do not concern this
            // program.
            b"" | b"\r" | b"proxy" => {}
            _ if key.starts_with(b"userdb_") => {}
            _ => match misspelt_limit(key) {
                Some(what) => return Err(what),
                None => return Ok(FieldUse::Unknown(key)),
            },
        }
        Ok(FieldUse::Used)
    }

    /// The account, and whether its password counts.
    fn finish(self) -> (Account, bool) {
        let Self {
            mut account,
            host_ip,
            dest_user,
            no_password,
            ends: _,
            reason,
        } = self;
        if reason.is_some() {
            account.reason = reason.filter(|reason| !reason.is_empty());
        }
        // Most lines have no such field: an account is large, and would be moved for each line.
        if host_ip.is_some() {
            account.host = host_ip;
        }
        if dest_user.is_some() {
            account.user = dest_user;
        }
        (account, !no_password)
    }
}

/// The problem of an extra field that is meant as a limit of a user but is not one.
fn misspelt_limit(key: &[u8]) -> Option<&'static str> {
    Some(match limit_meant(str::from_utf8(key).ok()?)? {
        Limit::NoLogin => "this extra field is like nologin: write nologin",
        Limit::AllowNets => "this extra field is like allow_nets: write allow_nets",
        Limit::AllowRealNets => "allow_real_nets is not supported: write allow_nets",
        Limit::Expires => "this extra field is like expires: write expires",
        Limit::Protocols => "this extra field is like protocols: write protocols",
    })
}

fn read_user(value: &[u8]) -> Option<Vec<u8>> {
    let login = Login::new(value.to_vec()).ok()?;
    (!login.as_bytes().is_empty()).then(|| value.to_vec())
}

#[cfg(test)]
mod tests;

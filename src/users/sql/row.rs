//! Turns the rows of a database into an account and its app passwords.
//!
//! Column names are compared without regard to case, as in SQL. If a value is unusable, the store cannot
//! decide about the login: the error names the column.

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::columns::OWNER;
use crate::login::Login;
use crate::login::Network;
use crate::login::Protocol;
use crate::secret::{AcceptedHashes, Secret};
use crate::users::host::{host, port};
use crate::users::{Account, Credential, Passwords, limits, variable};

/// The maximum length of a text column: a list of about two hundred networks.
const MAX_VALUE_BYTES: usize = 8192;
/// The maximum length of an app password's label.
const MAX_LABEL_BYTES: usize = 254;

/// One value, independent of the database's types.
#[derive(Clone)]
pub enum Value {
    /// NULL.
    Null,
    /// Any whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// A boolean, where the database has them.
    Boolean(bool),
    /// Text or bytes; dates and addresses too, as text. It may be a secret.
    Bytes(Zeroizing<Vec<u8>>),
    /// A value of an unsupported type; the name of the type.
    Other(String),
}

impl Value {
    /// Text or bytes.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(Zeroizing::new(bytes.into()))
    }
}

/// One row: names and values, in the order of the statement.
pub struct Row(pub Vec<(String, Value)>);

/// A column with an unusable value, and the reason. It contains nothing of the value.
#[derive(Debug, PartialEq, Eq)]
pub struct Flaw {
    column: String,
    what: String,
}

impl Flaw {
    fn new(column: &str, what: impl Into<String>) -> Self {
        Self {
            column: column.to_owned(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.what)
    }
}

/// How stored passwords are parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRules {
    /// Which secrets are accepted.
    pub accepted: AcceptedHashes,
    /// The scheme of passwords that name none.
    pub default_scheme: Option<String>,
}

impl SecretRules {
    /// The account of the only row of a query. An unusable value is noted in it, so that the password is
    /// still checked: otherwise the answer would reveal that the user exists. An error means that the
    /// statement returns no password for any user.
    pub fn account(&self, row: &Row) -> Result<Account, Flaw> {
        let mut account = Account::default();
        match self.secret(row)? {
            Ok(secret) => {
                let credentials = secret.into_iter().map(Credential::from);
                account.passwords = Passwords::Stored(credentials.collect());
            }
            Err(flaw) => account.unusable_password = Some(flaw.to_string()),
        }
        if let Err(flaw) = fill(&mut account, row) {
            account.unusable = Some(flaw.to_string());
        }
        Ok(account)
    }

    /// The login that a row belongs to, of a query or an app password: `matched_login`, or else `login`.
    pub fn owner(&self, row: &Row) -> Result<Option<Vec<u8>>, Flaw> {
        for column in OWNER {
            if let Some(owner) = row.read(column, login)? {
                return Ok(Some(owner));
            }
        }
        Ok(None)
    }

    /// The app password of one row; `None` if it is locked.
    pub fn app_password(&self, row: &Row) -> Result<Option<Credential>, Flaw> {
        let secret = self.secret(row)??;
        let limits = Credential {
            // A row without a label is still an app password.
            label: Some(
                row.parsed("label", "is not a text of at most 254 bytes", label)?
                    .unwrap_or_default(),
            ),
            protocols: row.protocols()?,
            allow_nets: row.networks()?,
            expires: row.expires()?,
            secret: match secret {
                Some(secret) => secret,
                None => return Ok(None),
            },
        };
        Ok(Some(limits))
    }

    /// The secret of a row, or inside it why its value is unusable. NULL means no password.
    fn secret(&self, row: &Row) -> Result<Result<Option<Secret>, Flaw>, Flaw> {
        const COLUMN: &str = "password";
        let value = row.get(COLUMN)?;
        let value = value.ok_or_else(|| Flaw::new(COLUMN, "the query has no such column"))?;
        let stored = text(COLUMN, value);
        match value {
            // The type of a column is the same in all rows.
            Value::Boolean(_) | Value::Other(_) | Value::Real(_) => stored.map(|_| Ok(None)),
            Value::Null | Value::Integer(_) | Value::Bytes(_) => {
                Ok(stored.and_then(|stored| self.parsed(COLUMN, stored)))
            }
        }
    }

    fn parsed(
        &self,
        column: &str,
        stored: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Option<Secret>, Flaw> {
        let Some(stored) = stored else {
            return Ok(None);
        };
        let secret = match &self.default_scheme {
            Some(scheme) => Secret::parse_as(&stored, scheme, self.accepted),
            None => Secret::parse(&stored, self.accepted),
        };
        secret.map_err(|error| Flaw::new(column, error.to_string()))
    }
}

/// Fills in the values of a row beside the password. Whether the user is disabled comes first, so that it
/// holds even if another value is wrong.
fn fill(account: &mut Account, row: &Row) -> Result<(), Flaw> {
    account.disabled = row.flag("nologin")?;
    account.reason = row.reason();
    // Dovecot's `destuser` and `hostip` take precedence.
    account.user = match row.read("destuser", login)? {
        None => row.read("login", login)?,
        user => user,
    };
    account.host = match row.read("hostip", host_ip)? {
        None => row.read("host", host)?,
        address => address,
    };
    account.port = row.read("port", port)?;
    account.allow_nets = row.networks()?;
    account.protocols = row.protocols()?;
    account.expires = row.expires()?;
    Ok(())
}

impl Row {
    /// The names of its columns.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The value of a column; `None` if there is no such column. Two columns with one name are an error,
    /// because they are ambiguous.
    fn get(&self, column: &str) -> Result<Option<&Value>, Flaw> {
        let mut named = self
            .0
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(column));
        match (named.next(), named.next()) {
            (Some(_), Some(_)) => Err(Flaw::new(column, "is there twice")),
            (first, _) => Ok(first.map(|(_, value)| value)),
        }
    }

    /// The parsed text of a column; `None` for NULL and for a missing column.
    fn parsed<T>(
        &self,
        column: &str,
        otherwise: &'static str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Flaw> {
        self.read(column, |text| parse(text).map(Some).ok_or(otherwise))
    }

    /// The same if a text can also mean none; `read` returns the error itself.
    fn read<T>(
        &self,
        column: &str,
        read: impl FnOnce(&[u8]) -> Result<Option<T>, &'static str>,
    ) -> Result<Option<T>, Flaw> {
        let value = self.get(column)?;
        match value.map_or(Ok(None), |value| text(column, value))? {
            Some(text) => read(&text).map_err(|what| Flaw::new(column, what)),
            None => Ok(None),
        }
    }

    /// `allow-nets`, or `allow_nets` as Dovecot's users have it.
    fn networks(&self) -> Result<Option<Vec<Network>>, Flaw> {
        let otherwise = "is not a list of networks; NULL means everywhere";
        let hyphen = self.parsed("allow-nets", otherwise, utf8(limits::networks))?;
        let underscore = self.parsed("allow_nets", otherwise, utf8(limits::networks))?;
        if hyphen.is_some() && underscore.is_some() {
            return Err(Flaw::new(
                "allow_nets",
                "is there twice, once as allow-nets",
            ));
        }
        Ok(hyphen.or(underscore))
    }

    /// The protocols; NULL means all.
    fn protocols(&self) -> Result<Option<Vec<Protocol>>, Flaw> {
        let otherwise = "is not a list of imap, pop3, smtp; NULL means all";
        self.parsed("protocols", otherwise, utf8(limits::protocols))
    }

    /// Why the user is disabled: `reason`, or a text in `nologin`. It is only for the log.
    fn reason(&self) -> Option<String> {
        ["reason", "nologin"].into_iter().find_map(|column| {
            let value = self.get(column).ok().flatten()?;
            let text = text(column, value).ok().flatten()?;
            limits::reason(&text)
        })
    }

    /// The expiry; NULL means never.
    fn expires(&self) -> Result<Option<SystemTime>, Flaw> {
        const COLUMN: &str = "expires";
        let value = self.get(COLUMN)?;
        let text = match value {
            None => None,
            // The number is too large for its type, such as 9e999 in SQLite.
            Some(Value::Real(number)) if *number == f64::INFINITY => return Ok(None),
            Some(Value::Real(number)) => Some(Zeroizing::new(number.to_string().into_bytes())),
            Some(value) => text(COLUMN, value)?,
        };
        text.map_or(Ok(None), |text| {
            let text = str::from_utf8(&text).unwrap_or_default();
            limits::expiry(text)
                .map_err(|bad| Flaw::new(COLUMN, format!("{}; NULL means never", bad.words())))
        })
    }

    /// Whether a column means yes. Every text that is not clearly no means yes: an error then disables a user
    /// rather than accepting one.
    fn flag(&self, column: &str) -> Result<bool, Flaw> {
        const NO: [&str; 6] = ["0", "f", "false", "n", "no", "off"];
        let value = self.get(column)?;
        if let Some(Value::Boolean(yes)) = value {
            return Ok(*yes);
        }
        let text = value.map_or(Ok(None), |value| text(column, value))?;
        Ok(text.is_some_and(|text| {
            let is = |no: &&str| text.trim_ascii().eq_ignore_ascii_case(no.as_bytes());
            // Blanks alone do not mean no.
            !text.is_empty() && !NO.iter().any(is)
        }))
    }
}

fn not_understood(column: &str, name: &str) -> Flaw {
    let what = match name.ends_with("[]") {
        true => format!(
            "has the type {name}, which is not understood: write array_to_string({column}, ',')"
        ),
        false => format!("has the type {name}, which is not understood: cast it to text"),
    };
    Flaw::new(column, what)
}

/// The text of a value; `None` for NULL.
fn text(column: &str, value: &Value) -> Result<Option<Zeroizing<Vec<u8>>>, Flaw> {
    match value {
        Value::Null => Ok(None),
        Value::Integer(number) => Ok(Some(Zeroizing::new(number.to_string().into_bytes()))),
        Value::Boolean(_) => Err(Flaw::new(
            column,
            "is a boolean, which is not a valid value \
            here",
        )),
        Value::Bytes(bytes) if bytes.len() > MAX_VALUE_BYTES => {
            Err(Flaw::new(column, "has more than 8192 bytes"))
        }
        Value::Bytes(bytes) => Ok(Some(bytes.clone())),
        Value::Real(_) => Err(not_understood(column, "REAL")),
        Value::Other(name) => Err(not_understood(column, name)),
    }
}

/// An empty value means none: the login of the client.
fn login(text: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    if variable::is_in(text) {
        return Err(variable::MEANS_NOTHING);
    }
    match Login::new(text.to_vec()) {
        Ok(login) if login.as_bytes().is_empty() => Ok(None),
        Ok(_) => Ok(Some(text.to_vec())),
        Err(_) => Err("is not a valid login"),
    }
}

/// An empty value means none.
fn host_ip(text: &[u8]) -> Result<Option<String>, &'static str> {
    let address = host(text)?;
    match address
        .as_ref()
        .is_none_or(|it| it.parse::<IpAddr>().is_ok())
    {
        true => Ok(address),
        false => Err("is no address"),
    }
}

fn label(text: &[u8]) -> Option<String> {
    let label = str::from_utf8(text).ok()?;
    (label.len() <= MAX_LABEL_BYTES).then(|| label.to_owned())
}

fn utf8<T>(read: impl Fn(&str) -> Option<T>) -> impl Fn(&[u8]) -> Option<T> {
    move |bytes| read(str::from_utf8(bytes).ok()?)
}

/// The text form of an address and its prefix, as PostgreSQL writes an `inet`: a network of one address is
/// written as the address.
pub(super) fn network_text(address: IpAddr, prefix: u8) -> Vec<u8> {
    match (address, prefix) {
        (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => address.to_string(),
        _ => format!("{address}/{prefix}"),
    }
    .into_bytes()
}

#[cfg(test)]
mod tests;

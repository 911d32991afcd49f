//! Turns the attributes of an entry into an account.

use zeroize::Zeroizing;

use super::message::Entry;
use crate::login::Login;
use crate::secret::{AcceptedHashes, Secret};
use crate::users::host::{host, port};
use crate::users::{Account, Credential, Passwords, StoreError, limits, variable};

/// The names of the attributes that the store reads; `None`: the directory does not hold this value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The user's host.
    pub host: Option<String>,
    /// The port on that host.
    pub port: Option<String>,
    /// The login for the mail server.
    pub login: Option<String>,
    /// If the attribute is present and not `FALSE`, the user is disabled.
    pub nologin: Option<String>,
    /// The networks from which the user may log in; each value has one network, or several with commas.
    pub allow_nets: Option<String>,
    /// The protocols that the user may log in with, in the same form.
    pub protocols: Option<String>,
    /// When the account expires.
    pub expires: Option<String>,
}

impl Attributes {
    /// The names of the attributes.
    pub(super) fn names(&self) -> Vec<String> {
        let Self {
            host,
            port,
            login,
            nologin,
            allow_nets,
            protocols,
            expires,
        } = self;
        let all = [host, port, login, nologin, allow_nets, protocols, expires];
        all.into_iter().flatten().cloned().collect()
    }

    /// Fills in the values of the entry. An unusable value is noted with its attribute, so that the password
    /// is checked first: otherwise the answer would reveal that the user exists.
    pub(super) fn fill(&self, account: &mut Account, entry: &Entry) {
        let off = |value: &Zeroizing<Vec<u8>>| !value.eq_ignore_ascii_case(b"FALSE");
        let mut reasons = values(entry, self.nologin.as_deref()).filter(|value| off(value));
        let reason = reasons.next();
        account.disabled = reason.is_some();
        account.reason = reason.and_then(|value| limits::reason(value));
        account.unusable = self
            .fill_in(account, entry)
            .err()
            .map(|error| error.to_string());
    }

    fn fill_in(&self, account: &mut Account, entry: &Entry) -> Result<(), StoreError> {
        if let Some((name, value)) = one(entry, self.host.as_deref())? {
            account.host = host(value).map_err(|what| unusable(name, &format!("it {what}")))?;
        }
        if let Some((name, value)) = one(entry, self.port.as_deref())? {
            account.port = port(value).map_err(|what| unusable(name, &format!("it {what}")))?;
        }
        if let Some((name, value)) = one(entry, self.login.as_deref())? {
            if variable::is_in(value) {
                return Err(unusable(name, &format!("it {}", variable::MEANS_NOTHING)));
            }
            let login = Login::new(value.to_vec());
            let login = login.map_err(|_| unusable(name, "it is not a valid login"))?;
            account.user = Some(login.as_bytes().to_vec()).filter(|login| !login.is_empty());
        }
        if let Some(name) = &self.allow_nets {
            account.allow_nets = all_of(entry, name, "networks", limits::networks)?;
        }
        if let Some(name) = &self.protocols {
            account.protocols = all_of(entry, name, "protocols", limits::protocols)?;
        }
        if let Some((name, value)) = one(entry, self.expires.as_deref())? {
            let text = str::from_utf8(value).unwrap_or_default();
            let end = limits::expiry_of_directory(text);
            account.expires = end.map_err(|bad| unusable(name, &format!("it {}", bad.words())))?;
        }
        Ok(())
    }
}

/// How stored passwords are parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The attribute of the passwords.
    pub attribute: String,
    /// The scheme of passwords that name none.
    pub default_scheme: Option<String>,
    /// Whether weak schemes are accepted.
    pub accepted: AcceptedHashes,
}

impl Stored {
    /// The passwords of an entry; `None` if it has no such attribute, or none that this program may read.
    /// Also returns why one of them is unusable; the others still count.
    pub(super) fn passwords(&self, entry: &Entry) -> (Option<Passwords>, Option<String>) {
        let mut credentials = Vec::new();
        let mut flaw = None;
        let mut there = false;
        for value in values(entry, Some(&self.attribute)) {
            there = true;
            let secret = match &self.default_scheme {
                Some(scheme) => Secret::parse_as(value, scheme, self.accepted),
                None => Secret::parse(value, self.accepted),
            };
            match secret {
                Ok(secret) => credentials.extend(secret.map(Credential::from)),
                Err(error) => {
                    flaw.get_or_insert_with(|| format!("attribute {}: {error}", self.attribute));
                }
            }
        }
        (there.then_some(Passwords::Stored(credentials)), flaw)
    }
}

fn values<'e>(
    entry: &'e Entry,
    name: Option<&str>,
) -> impl Iterator<Item = &'e Zeroizing<Vec<u8>>> {
    let wanted = entry.attributes.iter().filter(move |attribute| {
        name.is_some_and(|name| attribute.name.eq_ignore_ascii_case(name.as_bytes()))
    });
    wanted.flat_map(|attribute| &attribute.values)
}

/// The only value of an attribute. Several values are an error.
fn one<'e, 'n>(
    entry: &'e Entry,
    name: Option<&'n str>,
) -> Result<Option<(&'n str, &'e [u8])>, StoreError> {
    let mut values = values(entry, name);
    match (name, values.next(), values.next()) {
        (Some(name), Some(_), Some(_)) => Err(unusable(name, "it has several values")),
        (Some(name), Some(value), None) => Ok(Some((name, value))),
        _ => Ok(None),
    }
}

/// The lists in all values of an attribute, as one; `None` without a value.
fn all_of<T>(
    entry: &Entry,
    name: &str,
    what: &str,
    read: impl Fn(&str) -> Option<Vec<T>>,
) -> Result<Option<Vec<T>>, StoreError> {
    let mut all = None;
    for value in values(entry, Some(name)) {
        let list = str::from_utf8(value).ok().and_then(&read);
        let list = list.ok_or_else(|| unusable(name, &format!("it is not a list of {what}")))?;
        all.get_or_insert_with(Vec::new).extend(list);
    }
    Ok(all)
}

fn unusable(attribute: &str, what: &str) -> StoreError {
    StoreError::Unusable(format!("attribute {attribute}: {what}"))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;
    use crate::login::{Network, Protocol};
    use crate::secret::WeakSchemes;
    use crate::users::ldap::message::Attribute;

    fn entry(attributes: &[(&str, &[&[u8]])]) -> Entry {
        let attribute = |(name, values): &(&str, &[&[u8]])| Attribute {
            name: name.as_bytes().to_vec(),
            values: values
                .iter()
                .map(|value| Zeroizing::new(value.to_vec()))
                .collect(),
        };
        Entry {
            dn: b"uid=a".to_vec(),
            attributes: attributes.iter().map(attribute).collect(),
        }
    }

    fn attributes() -> Attributes {
        Attributes {
            host: Some("mailHost".into()),
            port: Some("mailPort".into()),
            login: Some("uid".into()),
            nologin: Some("locked".into()),
            allow_nets: Some("nets".into()),
            protocols: Some("protocols".into()),
            expires: Some("until".into()),
        }
    }

    fn fill(found: &[(&str, &[&[u8]])]) -> Result<Account, String> {
        let mut account = Account::default();
        attributes().fill(&mut account, &entry(found));
        match account.unusable.take() {
            None => Ok(account),
            Some(what) => Err(what),
        }
    }

    #[test]
    fn attributes_are_read_in_any_case() {
        let account = fill(&[
            ("MAILHOST", &[b"mx1"]),
            ("mailport", &[b"1143"]),
            ("uid", &[b"alice\xe9"]),
            ("Locked", &[b"TRUE"]),
        ])
        .unwrap();
        assert_eq!(account.host.as_deref(), Some("mx1"));
        assert_eq!(account.port, NonZeroU16::new(1143));
        assert_eq!(account.user.as_deref(), Some(&b"alice\xe9"[..]));
        assert!(account.disabled);
        assert!(fill(&[("locked", &[b" "])]).unwrap().disabled);
        assert!(fill(&[("locked", &[b""])]).unwrap().disabled);
        let account = fill(&[("locked", &[b"false"]), ("other", &[b"x"])]).unwrap();
        assert!(!account.disabled);
        assert_eq!(account.host, None);
        let empty = fill(&[("mailhost", &[b""]), ("mailport", &[b""]), ("uid", &[b""])]).unwrap();
        assert_eq!((empty.host, empty.port, empty.user), (None, None, None));
    }

    #[test]
    fn networks_are_those_of_all_values() {
        let nets = |values: &[&[u8]]| fill(&[("NETS", values)]).unwrap().allow_nets;
        let network = |text| Network::parse(text).unwrap();
        assert_eq!(nets(&[]), None);
        assert_eq!(
            nets(&[b"192.0.2.0/24, 198.51.100.7", b"2001:db8::/32"]),
            Some(vec![
                network("192.0.2.0/24"),
                network("198.51.100.7"),
                network("2001:db8::/32"),
            ])
        );
        // Dovecot's word for a client on a Unix socket is no network.
        assert_eq!(nets(&[b"local"]), Some(Vec::new()));
    }

    #[test]
    fn protocols_expiry_and_the_reason_are_read() {
        let account = fill(&[
            ("Protocols", &[b"imap", b"SMTP, pop3"]),
            ("until", &[b"20270201000000Z"]),
            ("locked", &[b"FALSE", b"left the company"]),
        ])
        .unwrap();
        let all = vec![Protocol::Imap, Protocol::Smtp, Protocol::Pop3];
        assert_eq!(account.protocols, Some(all));
        let end = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_801_440_000);
        assert_eq!(account.expires, Some(end));
        assert_eq!(account.reason.as_deref(), Some("left the company"));
        for date in [&b"2027-02-01"[..], b"1801440000", b"2027-02-01T00:00:00Z"] {
            assert_eq!(fill(&[("until", &[date])]).unwrap().expires, Some(end));
        }
        let disabled = fill(&[("locked", &[b"TRUE"])]).unwrap();
        assert_eq!((disabled.disabled, disabled.reason), (true, None));
    }

    #[test]
    fn values_that_cannot_be_used_name_their_attribute() {
        for (name, values, what) in [
            (
                "mailHost",
                &[&b"a"[..], b"b"][..],
                "attribute mailHost: it has several values",
            ),
            (
                "mailHost",
                &[b"\xff"],
                "attribute mailHost: it is neither a name nor an address",
            ),
            (
                "mailHost",
                &[b"192.0.2.0/24"],
                "attribute mailHost: it is a network, not the address of one host",
            ),
            (
                "nets",
                &[b"192.0.2.0/24", b"everywhere"],
                "attribute nets: it is not a list of networks",
            ),
            (
                "nets",
                &[b""],
                "attribute nets: it is not a list of networks",
            ),
            (
                "protocols",
                &[b"imap", b"http"],
                "attribute protocols: it is not a list of protocols",
            ),
            (
                "until",
                &[b"20270231000000Z"],
                "attribute until: it is neither a date (2027-01-31), a date and time \
                 (2027-01-31T12:00:00Z) nor seconds since 1970",
            ),
            (
                "until",
                &[b"2027-01-31", b"2028-01-31"],
                "attribute until: it has several values",
            ),
            (
                "mailPort",
                &[b"+1"],
                "attribute mailPort: it is not 1 to 65535",
            ),
            (
                "mailPort",
                &[b"65536"],
                "attribute mailPort: it is not 1 to 65535",
            ),
            ("uid", &[b"a\nb"], "attribute uid: it is not a valid login"),
            (
                "uid",
                &[b"%n@example.org"],
                "attribute uid: it contains a variable, which is not supported here",
            ),
        ] {
            assert_eq!(fill(&[(name, values)]).unwrap_err(), what);
        }
    }

    #[test]
    fn stored_passwords() {
        let read = |default: Option<&str>, values: &[&[u8]]| {
            let stored = Stored {
                attribute: "userPassword".into(),
                default_scheme: default.map(str::to_owned),
                accepted: WeakSchemes::Allowed.into(),
            };
            match stored.passwords(&entry(&[("userpassword", values)])) {
                (Some(Passwords::Stored(all)), None) => {
                    let schemes = all.iter().map(|one| one.secret.scheme().to_string());
                    Ok(schemes.collect::<Vec<_>>().join(" "))
                }
                (Some(Passwords::Stored(_)), Some(error)) => Err(error),
                (other, _) => panic!("{other:?}"),
            }
        };
        let ssha: &[u8] = b"{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9hn2jRB";
        assert!(
            read(None, &[ssha]).is_ok_and(|scheme| scheme.eq_ignore_ascii_case("{ssha}")
                || scheme.eq_ignore_ascii_case("ssha"))
        );
        assert_eq!(read(None, &[b"!"]), Ok(String::new()));
        assert!(read(Some("PLAIN"), &[b"secret", ssha]).is_ok());
        assert_eq!(read(Some("PLAIN"), &[b"!secret"]), Ok("plain".to_owned()));
        assert_eq!(read(Some("SSHA"), &[b"!secret"]), Ok(String::new()));
        let error = read(None, &[b"secret"]).unwrap_err();
        assert!(error.starts_with("attribute userPassword: "), "{error}");
        assert!(!error.contains("secret"));
        assert!(read(None, &[ssha, b"{SASL}alice"]).is_err());
        let nothing = Stored {
            attribute: "userPassword".into(),
            default_scheme: None,
            accepted: WeakSchemes::Refused.into(),
        };
        assert!(matches!(nothing.passwords(&entry(&[])), (None, None)));
    }
}

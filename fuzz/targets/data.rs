//! What an administrator says of databases and directories, and what a database says.
#![cfg_attr(not(feature = "servers"), allow(dead_code, unused_imports))]

/// The statement of an administrator: reading it puts parameters in the place of placeholders.
#[cfg(feature = "servers")]
pub(crate) fn statement(data: &[u8]) {
    use nginx_mail_auth::users::sql::statement::{Dialect, Statement};
    let text = String::from_utf8_lossy(data);
    for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::Mysql] {
        match Statement::parse(&text, dialect) {
            Ok(read) => {
                let placeholders = read.placeholders.iter();
                let written: usize = placeholders.map(|it| it.to_string().len()).sum();
                // A parameter takes 13 bytes at the most: `$99999::text`.
                let added = 13 * read.placeholders.len();
                assert!(!read.placeholders.is_empty());
                assert!(read.sql.len() + written <= text.len() + added);
            }
            Err(flaw) => assert!(flaw.place().is_none_or(|at| text.is_char_boundary(at))),
        }
    }
}

/// A row: a kind, a column and its value in each line. What is made of it is checked.
#[cfg(feature = "servers")]
pub(crate) fn row(data: &[u8]) {
    use nginx_mail_auth::login::Login;
    use nginx_mail_auth::secret::WeakSchemes;
    use nginx_mail_auth::users::Passwords;
    use nginx_mail_auth::users::sql::row::{Row, SecretRules, Value};

    let columns = data.split(|byte| *byte == b'\n').filter_map(|line| {
        let (kind, rest) = line.split_first()?;
        let at = rest.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&rest[..at], &rest[at + 1..]);
        let value = match kind {
            b'n' => Value::Null,
            b'i' => Value::Integer(str::from_utf8(value).ok()?.parse().ok()?),
            b'b' => Value::Boolean(value == b"true"),
            b'o' => Value::Other(String::from_utf8_lossy(value).into_owned()),
            _ => Value::bytes(value),
        };
        Some((String::from_utf8_lossy(name).into_owned(), value))
    });
    let row = Row(columns.collect());
    for default_scheme in [None, Some("PLAIN".to_owned())] {
        let reading = SecretRules {
            accepted: WeakSchemes::Allowed.into(),
            default_scheme,
        };
        if let Ok(account) = reading.account(&row) {
            if let Some(user) = &account.user {
                assert!(!user.is_empty() && Login::new(user.clone()).is_ok());
            }
            if let Some(host) = &account.host {
                assert!(!host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            assert!(matches!(account.passwords, Passwords::Stored(_)));
        }
        if let Ok(Some(credential)) = reading.app_password(&row) {
            assert!(credential.label.is_some());
        }
    }
}

/// The templates of a directory: one that is taken names a user.
#[cfg(feature = "servers")]
pub(crate) fn directory(data: &[u8]) {
    use nginx_mail_auth::users::ldap::{BindName, DnTemplate, FilterTemplate};
    let text = String::from_utf8_lossy(data);
    let _any_flaw = FilterTemplate::parse(&text).map(|filter| filter.names_a_user());
    let _any_flaw = BindName::parse(&text).map(|name| name.names_a_user());
    if let Ok(base) = DnTemplate::parse(&text) {
        // Written as it was read.
        assert_eq!(DnTemplate::parse(&base.to_string()), Ok(base));
    }
}

/// Where something is: URLs of all kinds, endpoints, networks. What is written of one that was
/// read means the same, and no error repeats a password.
#[cfg(feature = "servers")]
pub(crate) fn addresses(data: &[u8]) {
    use std::num::NonZeroU16;

    use nginx_mail_auth::front::fcgi::listener::WebServers;
    use nginx_mail_auth::login::Network;
    use nginx_mail_auth::net::Endpoint;
    use nginx_mail_auth::users::{http, ldap, sql};

    let text = String::from_utf8_lossy(data);
    let port = NonZeroU16::new(143).expect("not 0");
    if let Ok(endpoint) = Endpoint::parse(&text, port) {
        assert_eq!(Endpoint::parse(&endpoint.to_string(), port), Ok(endpoint));
    }
    // A host named unix cannot be written with its port.
    if let Ok(url) = http::Url::parse(&text)
        && !text.contains("//unix")
    {
        assert_eq!(
            http::Url::parse(&url.to_string())
                .as_ref()
                .map(|u| &u.endpoint),
            Ok(&url.endpoint)
        );
    }
    if let Ok(url) = ldap::Url::parse(&text) {
        assert_eq!(ldap::Url::parse(&url.to_string()), Ok(url));
    }
    let wanted = "xyzzyPASSWORDxyzzy".to_owned();
    let with_password = format!("{text}:{wanted}@h/d");
    for text in [text.as_ref(), &with_password] {
        match sql::url::Url::parse(text) {
            Ok(sql::url::Url::Server(url))
                if url
                    .password
                    .as_ref()
                    .is_some_and(|password| **password == wanted) =>
            {
                assert!(!format!("{url:?}").contains(&wanted));
            }
            Ok(_) => {}
            Err(what) => assert!(!what.contains(&wanted)),
        }
    }
    if let Some(network) = Network::parse(&text) {
        let (address, _) = text.split_once('/').unwrap_or((&text, ""));
        let address = address.parse::<std::net::IpAddr>().expect("an address");
        // An IPv4 address in IPv6's clothes is looked at as IPv4, and lies in no IPv6 network.
        assert!(network.contains(address) || address.to_canonical() != address);
    }
    let _any = WebServers::parse(&text);
    #[cfg(feature = "servers")]
    {
        let _any = nginx_mail_auth::throttle::redis::Address::parse(&text);
    }
}

use super::*;
use crate::login::Protocol;
use crate::secret::WeakSchemes;
use std::num::NonZeroU16;
use std::time::{Duration, UNIX_EPOCH};

const STORED: &str = "{SHA}EfatjsUqKYSrqv18O1FlA3hcIHI=";

fn reading() -> SecretRules {
    SecretRules {
        accepted: WeakSchemes::Allowed.into(),
        default_scheme: None,
    }
}

fn row(columns: &[(&str, Value)]) -> Row {
    let owned = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone());
    Row(columns.iter().map(owned).collect())
}

/// A row with a password, and one more column.
fn with(column: &str, value: Value) -> Row {
    row(&[("password", Value::bytes(*b"{PLAIN}x")), (column, value)])
}

fn text(text: &str) -> Value {
    Value::bytes(text)
}

fn account(row: &Row) -> Account {
    reading().account(row).unwrap()
}

fn flaw(row: &Row) -> String {
    match reading().account(row) {
        Err(flaw) => flaw.to_string(),
        Ok(account) => {
            let flaw = account.unusable.or(account.unusable_password);
            flaw.expect("nothing is wrong")
        }
    }
}

fn secrets(account: &Account) -> usize {
    match &account.passwords {
        Passwords::Stored(credentials) => credentials.len(),
        Passwords::AskStore | Passwords::Any => panic!("not stored"),
    }
}

#[test]
fn a_full_row() {
    let account = account(&row(&[
        ("id", Value::Integer(7)),
        ("PASSWORD", text(STORED)),
        ("Host", text("mailhost01")),
        ("port", Value::Integer(1143)),
        ("login", text("alice@example.org")),
        ("nologin", Value::Null),
        ("allow_nets", text("192.0.2.0/24, local, ::1")),
        ("note", Value::Other("point".to_owned())),
    ]));
    assert_eq!(secrets(&account), 1);
    assert_eq!(account.host.as_deref(), Some("mailhost01"));
    assert_eq!(account.port, NonZeroU16::new(1143));
    assert_eq!(account.user.as_deref(), Some(&b"alice@example.org"[..]));
    assert_eq!(account.allow_nets.map(|networks| networks.len()), Some(2));
    assert!(!account.disabled);
}

#[test]
fn only_the_password_must_be_there() {
    let account = account(&row(&[("password", text(STORED))]));
    assert_eq!(
        (account.host, account.port, account.user),
        (None, None, None)
    );
    assert!(account.allow_nets.is_none() && !account.disabled);
    assert_eq!(
        flaw(&row(&[("pass", text("x"))])),
        "column password: the query has no such column"
    );
}

#[test]
fn a_locked_password_matches_nothing() {
    let null = account(&row(&[("password", Value::Null)]));
    assert_eq!((secrets(&null), null.unusable_password), (0, None));
    for stored in ["", "*", "!", "!{PLAIN}x", "*LK*"] {
        let account = account(&row(&[("password", text(stored))]));
        assert_eq!(secrets(&account), 0, "{stored}");
    }
}

/// Columns that must not be NULL have these for nothing.
#[test]
fn empty_values_stand_for_none() {
    for column in ["host", "port", "login", "nologin"] {
        let account = account(&with(column, text("")));
        assert_eq!(account.unusable, None, "{column}");
        let said = (account.host, account.port, account.user, account.disabled);
        assert_eq!(said, (None, None, None, false), "{column}");
    }
    assert_eq!(account(&with("port", Value::Integer(0))).port, None);
}

#[test]
fn a_number_with_a_fraction_is_a_time_and_nothing_else() {
    let expires = |number| {
        let row = row(&[("password", text(STORED)), ("expires", Value::Real(number))]);
        match reading().app_password(&row) {
            Ok(credential) => Ok(credential.unwrap().expires),
            Err(flaw) => Err(flaw.to_string()),
        }
    };
    let end = UNIX_EPOCH + Duration::from_secs(1_801_440_000);
    assert_eq!(expires(1_801_440_000.75), Ok(Some(end)));
    assert_eq!(expires(f64::INFINITY), Ok(None));
    for bad in [1.8e12, 1e300, f64::NAN, f64::NEG_INFINITY] {
        assert!(
            expires(bad).unwrap_err().starts_with("column expires: is "),
            "{bad}"
        );
    }
    for column in ["host", "port", "nologin", "allow_nets"] {
        assert_eq!(
            flaw(&with(column, Value::Real(0.5))),
            format!("column {column}: has the type REAL, which is not understood: cast it to text")
        );
    }
}

#[test]
fn a_network_of_one_address_is_that_address() {
    for (text, address, prefix) in [
        ("192.0.2.33", "192.0.2.33", 32),
        ("192.0.2.0/24", "192.0.2.0", 24),
        ("0.0.0.0/0", "0.0.0.0", 0),
        ("2001:db8::33", "2001:db8::33", 128),
        ("2001:db8::/32", "2001:db8::", 32),
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(network_text(address, prefix), text.as_bytes());
    }
}

#[test]
fn flaws_name_the_column() {
    let no_port = "column port: is not 1 to 65535";
    let no_host = "column host: is neither a name nor an address";
    let no_login = "column login: is not a valid login";
    let no_scheme = "column password: the password scheme is not known";
    for (row, message) in [
        (row(&[("password", text("{ROT13}secret"))]), no_scheme),
        (row(&[("password", text("secret"))]), no_scheme),
        (
            row(&[("password", Value::Boolean(true))]),
            "column password: is a boolean, which is not a valid value here",
        ),
        (
            row(&[("password", Value::Other("_text".to_owned()))]),
            "column password: has the type _text, which is not understood: cast it to text",
        ),
        (
            row(&[("password", text(&"x".repeat(9000)))]),
            "column password: has more than 8192 bytes",
        ),
        (
            row(&[("password", text("a")), ("Password", text("b"))]),
            "column password: is there twice",
        ),
        (with("port", Value::Integer(-1)), no_port),
        (with("port", Value::Integer(65536)), no_port),
        (with("port", text("imap")), no_port),
        (with("host", text("10.0.0.1\r\nAuth-Status: OK")), no_host),
        (with("host", Value::bytes(*b"h\xc3")), no_host),
        (
            with("host", text("192.0.2.0/24")),
            "column host: is a network, not the address of one host",
        ),
        (with("login", text("a\nb")), no_login),
        (
            with("login", text("%n@example.org")),
            "column login: contains a variable, which is not supported here",
        ),
        (
            with("destuser", text("%{user}")),
            "column destuser: contains a variable, which is not supported here",
        ),
        (
            with("allow_nets", Value::Other("CIDR[]".to_owned())),
            "column allow_nets: has the type CIDR[], which is not understood: write \
             array_to_string(allow_nets, ',')",
        ),
        (
            with("allow-nets", text("")),
            "column allow-nets: is not a list of networks; NULL means everywhere",
        ),
        (
            with("allow_nets", text("192.0.2.0/33")),
            "column allow_nets: is not a list of networks; NULL means everywhere",
        ),
    ] {
        assert_eq!(flaw(&row), message);
        assert!(!message.contains("secret"));
    }
}

#[test]
fn a_weak_scheme_must_be_allowed() {
    let strict = SecretRules {
        accepted: WeakSchemes::Refused.into(),
        ..reading()
    };
    let account = strict.account(&with("x", Value::Null)).unwrap();
    assert_eq!(secrets(&account), 0);
    let flaw = account.unusable_password.unwrap();
    assert!(flaw.starts_with("column password: the password scheme"));
    assert!(flaw.ends_with("allow-weak-schemes is not set"));
}

#[test]
fn the_default_scheme_applies_to_passwords_without_a_prefix() {
    let plain = SecretRules {
        default_scheme: Some("PLAIN".to_owned()),
        ..reading()
    };
    for (stored, known) in [
        ("secret", true),
        (STORED, true),
        ("$apr1$abcdefgh$x", true),
        ("{secret", true),
        ("{secret}", true),
        ("$ecret", true),
        ("!secret", true),
        ("*", true),
        ("{SSHA}secret", false),
        ("{DIGEST-MD5}secret", false),
    ] {
        let read = plain.account(&row(&[("password", text(stored))]));
        let account = read.unwrap();
        assert_eq!(account.unusable_password.is_none(), known, "{stored}");
        assert_eq!(secrets(&account), usize::from(known), "{stored}");
    }
    for scheme in ["SHA512-CRYPT", "CRYPT", "BLF-CRYPT", "ARGON2ID", "SSHA512"] {
        assert_eq!(Secret::takes_scheme(scheme), Ok(()));
        let hashed = SecretRules {
            default_scheme: Some(scheme.to_owned()),
            ..reading()
        };
        for locked in ["*", "!", "!$6$salt$x", ""] {
            let account = hashed.account(&row(&[("password", text(locked))])).unwrap();
            assert_eq!(account.unusable_password, None, "{scheme} {locked}");
            assert_eq!(secrets(&account), 0, "{scheme} {locked}");
        }
    }
    assert!(Secret::takes_scheme("NOSUCH").is_err());
}

#[test]
fn nologin_applies_unless_its_value_is_false() {
    for no in [
        Value::Null,
        Value::Integer(0),
        Value::Boolean(false),
        text(""),
        text("0"),
        text(" 0 "),
        text("f"),
        text("False"),
        text("N"),
        text("no"),
        text("off"),
    ] {
        assert!(!account(&with("nologin", no)).disabled);
    }
    for yes in [
        Value::Integer(1),
        Value::Integer(-1),
        Value::Boolean(true),
        text("1"),
        text("00"),
        text("t"),
        text("Y"),
        text("locked"),
        text(" "),
        text("\t \n"),
        Value::bytes(*b"\xff"),
    ] {
        assert!(account(&with("nologin", yes)).disabled);
    }
}

#[test]
fn app_passwords_have_limits() {
    let limited = row(&[
        ("password", text(STORED)),
        ("label", text("Telefon")),
        ("protocols", text("imap, SMTP")),
        ("allow-nets", text("192.0.2.0/24")),
        ("expires", text("1970-01-02 00:00:01")),
    ]);
    let credential = reading().app_password(&limited).unwrap().unwrap();
    assert_eq!(credential.label.as_deref(), Some("Telefon"));
    assert_eq!(
        credential.protocols,
        Some(vec![Protocol::Imap, Protocol::Smtp])
    );
    assert_eq!(credential.allow_nets.map(|nets| nets.len()), Some(1));
    assert_eq!(
        credential.expires,
        Some(UNIX_EPOCH + Duration::from_secs(86_401))
    );
    for never in [
        text("9999-12-31 00:00:00"),
        Value::Integer(253_402_300_800),
        Value::Null,
    ] {
        let credential = reading().app_password(&with("expires", never)).unwrap();
        assert_eq!(credential.unwrap().expires, None);
    }
    let open = reading()
        .app_password(&with("x", Value::Null))
        .unwrap()
        .unwrap();
    assert!(
        open.label.as_deref() == Some("") && open.protocols.is_none() && open.expires.is_none()
    );
    let locked = reading().app_password(&row(&[("password", text("!"))]));
    assert!(locked.unwrap().is_none());
}

#[test]
fn an_invalid_limit_is_an_error() {
    let no_list = "column protocols: is not a list of imap, pop3, smtp; NULL means all";
    let no_time = "column expires: is neither a date (2027-01-31), a date and time \
                   (2027-01-31T12:00:00Z) nor seconds since 1970; NULL means never";
    let milliseconds = "column expires: is too large for seconds since 1970 and looks like \
                        milliseconds: divide it by 1000; NULL means never";
    for (row, message) in [
        (with("protocols", text("")), no_list),
        (with("protocols", text("imap,ftp")), no_list),
        (with("expires", text("")), no_time),
        (with("expires", text("soon")), no_time),
        (with("expires", Value::bytes(*b"\xff")), no_time),
        (
            with("expires", Value::Integer(1_801_440_000_000)),
            milliseconds,
        ),
        (with("expires", text("1801440000000")), milliseconds),
        (
            with("label", Value::bytes(*b"\xff")),
            "column label: is not a text of at most 254 bytes",
        ),
    ] {
        let flaw = reading().app_password(&row).unwrap_err();
        assert_eq!(flaw.to_string(), message);
    }
}

#[test]
fn dovecot_names_of_columns_take_precedence() {
    for (columns, host, user) in [
        (
            &[
                ("hostip", text("192.0.2.7")),
                ("host", text("mx1")),
                ("destuser", text("b")),
                ("login", text("a")),
            ][..],
            Ok("192.0.2.7"),
            Some("b"),
        ),
        (
            &[
                ("HostIP", Value::Null),
                ("host", text("mx1")),
                ("DESTUSER", text("")),
                ("login", text("a")),
            ],
            Ok("mx1"),
            Some("a"),
        ),
        (&[("hostip", text("192.0.2.7/32"))], Ok("192.0.2.7"), None),
        (
            &[("hostip", text("mx1"))],
            Err("column hostip: is no address"),
            None,
        ),
    ] {
        let columns: Vec<_> = columns
            .iter()
            .cloned()
            .chain([("password", Value::Null)])
            .collect();
        let account = account(&row(&columns));
        match host {
            Ok(host) => assert_eq!(account.host.as_deref(), Some(host)),
            Err(what) => assert_eq!(account.unusable.as_deref(), Some(what)),
        }
        assert_eq!(account.user.as_deref(), user.map(str::as_bytes));
    }
}

//! Tests of the lines of a password file.

use std::num::NonZeroU16;

use super::*;

fn account(line: &str) -> Account {
    let line = Line::cut(line.as_bytes()).unwrap();
    let rules = WeakSchemes::Allowed.into();
    line.check(&rules, |_, _| {}).unwrap();
    line.salvaged(&rules, |flaw| panic!("{flaw:?}"))
}

fn passwords(account: &Account) -> usize {
    match &account.passwords {
        Passwords::Stored(credentials) => credentials.len(),
        other => panic!("{other:?}"),
    }
}

fn flaw(line: &[u8]) -> (usize, FlawKind) {
    let line = Line::cut(line).unwrap();
    let flaw = line
        .check(&WeakSchemes::Refused.into(), |_, _| {})
        .unwrap_err();
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
fn a_line_of_a_dovecot_proxy() {
    let text = "alice:{PLAIN}x::::::proxy=y host=mx1.example.org hostip=192.0.2.7 user=alice \
                destuser=alice@example.org pass=secret master=m userdb_mail=maildir:~ ssl=yes\r";
    let line = Line::cut(text.as_bytes()).unwrap();
    let mut unknown = Vec::new();
    let note = |at, name: &[u8]| unknown.push((at, name.escape_ascii().to_string()));
    let account = line.check(&WeakSchemes::Allowed.into(), note).unwrap();
    assert_eq!(account.host.as_deref(), Some("192.0.2.7"));
    assert_eq!(account.user.as_deref(), Some(&b"alice@example.org"[..]));
    let at = |field: &str| text.find(field).unwrap();
    let named = |name: &str| (at(name), name.trim_end_matches('=').to_owned());
    assert_eq!(unknown, ["pass=", "master=", "ssl="].map(named));
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
fn an_empty_list_of_networks_allows_none() {
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
fn errors_have_a_position() {
    use FlawKind::{Secret as Stored, Structure};
    for (line, at, kind) in [
        (&b"alice"[..], 0, Structure("no colon follows the login")),
        (b":x", 0, Structure("the login is empty")),
        (
            b"a\x07b:x",
            1,
            Structure("the login contains a control byte"),
        ),
        (b"a:b\0", 3, Structure("the line contains a NUL byte")),
        (
            b"ab:::::::nologin port=0",
            17,
            Structure("port is not 1 to 65535"),
        ),
        (b"ab:::::::port=+1", 9, Structure("port is not 1 to 65535")),
        (
            b"ab:::::::host=",
            9,
            Structure("host is neither a name nor an address"),
        ),
        (b"ab:::::::user=", 9, Structure("user is not a valid login")),
        (
            b"ab:::::::allow_nets=::1,",
            9,
            Structure("allow_nets is not a list of networks"),
        ),
        (
            b"ab:::::::allow_nets=::1 allow_nets=::2",
            24,
            Structure("this extra field is present twice"),
        ),
        (
            b"ab:::::::port=1 user=a port=1",
            23,
            Structure("this extra field is present twice"),
        ),
        (
            b"ab:::::::NOLOGIN",
            9,
            Structure("this extra field is like nologin: write nologin"),
        ),
        (
            b"ab:::::::no_login=yes",
            9,
            Structure("this extra field is like nologin: write nologin"),
        ),
        (
            b"ab:::::::allow-nets=::1",
            9,
            Structure("this extra field is like allow_nets: write allow_nets"),
        ),
        (
            b"ab:::::::alow_net=::1",
            9,
            Structure("this extra field is like allow_nets: write allow_nets"),
        ),
        (
            b"ab:::::::allow_real_nets=::1",
            9,
            Structure("allow_real_nets is not supported: write allow_nets"),
        ),
        (
            b"ab:::::::expire=2027-01-31",
            9,
            Structure("this extra field is like expires: write expires"),
        ),
        (
            b"ab:::::::expires=soon",
            9,
            Structure(
                "expires is neither a date (2027-01-31), a date and time (2027-01-31T12:00:00Z) \
                 nor seconds since 1970",
            ),
        ),
        (
            b"ab:::::::protocols=imap,http",
            9,
            Structure("protocols are imap, pop3 and smtp"),
        ),
        (
            b"ab:::::::protocols=",
            9,
            Structure("protocols are imap, pop3 and smtp"),
        ),
        (
            b"ab:::::::protocol=imap",
            9,
            Structure("this extra field is like protocols: write protocols"),
        ),
        (
            b"ab:::::::hostip=mx1",
            9,
            Structure("hostip is not an address"),
        ),
        (
            b"ab:::::::user=%n",
            9,
            Structure("user contains a variable, which is not supported here"),
        ),
        (
            b"ab:::::::destuser=%{user}@example.org",
            9,
            Structure("destuser contains a variable, which is not supported here"),
        ),
        (
            b"ab:::::::destuser=",
            9,
            Structure("destuser is not a valid login"),
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

/// Its field would end at the first colon of it.
#[test]
fn the_scram_form_of_postgresql_is_refused_in_a_file() {
    let line = b"alice:SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy";
    let (at, kind) = flaw(line);
    let message = "the password hash is damaged: PostgreSQL's form contains colons, which end the \
        field \
                   here: write {SCRAM-SHA-256}rounds,salt,StoredKey,ServerKey";
    assert_eq!((at, kind.to_string().as_str()), (6, message));
    // Nor is what is cut off a password in plain text.
    let rules = PasswordRules {
        accepted: WeakSchemes::Allowed.into(),
        default_scheme: Some("PLAIN".to_owned()),
    };
    assert!(Line::cut(line).unwrap().secret(&rules).is_err());
}

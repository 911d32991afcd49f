use super::syntax::{Rdn, Value};
use super::*;

fn login(bytes: &[u8]) -> Login {
    Login::new(bytes.to_vec()).unwrap()
}

/// A flaw with its place, in characters from 1.
fn placed(text: &str, flaw: &Flaw) -> String {
    let before = text.get(..flaw.place().unwrap_or(text.len())).unwrap();
    format!("{}: {flaw}", before.chars().count() + 1)
}

fn fill(template: &str, login_bytes: &[u8]) -> Option<String> {
    let dn = DnTemplate::parse(template)
        .unwrap()
        .fill(&login(login_bytes))?;
    Some(String::from_utf8(dn).unwrap())
}

fn text(kind: &str, value: &[u8]) -> Rdn {
    vec![(kind.into(), Value::Text(value.to_vec()))]
}

/// Every value comes back as it went in, and nothing of it becomes a part of the DN around it.
#[track_caller]
fn comes_back(value: &[u8]) {
    let template = pieces("uid={login},ou={login}+cn=x{login},dc=org").unwrap();
    let mut dn = Vec::new();
    for piece in &template {
        match piece {
            Piece::Text(text) => dn.extend_from_slice(text),
            Piece::Placeholder(_) => escape(&mut dn, value),
        }
    }
    assert!(dn.is_ascii());
    let mut joined = text("ou", value);
    joined.extend(text("cn", &[b"x", value].concat()));
    joined.sort_unstable();
    let expected = Dn(vec![text("uid", value), joined, text("dc", b"org")]);
    assert_eq!(Dn::parse(&dn), Ok(expected), "{:?}", value.escape_ascii());
}

#[test]
fn all_bytes_and_all_pairs_of_them_come_back() {
    for one in 0..=255 {
        comes_back(&[one]);
        for other in 0..=255 {
            comes_back(&[one, other]);
        }
    }
    comes_back(b"");
    comes_back(b"  a  b  ");
}

#[test]
fn values_are_escaped_by_rfc_4514() {
    let people = "uid={local},ou=people,dc=example,dc=org";
    for (login, dn) in [
        ("alice@x", "uid=alice,ou=people,dc=example,dc=org"),
        (
            "a,dc=evil",
            "uid=a\\2cdc\\3devil,ou=people,dc=example,dc=org",
        ),
        ("#a b ", "uid=\\23a b\\20,ou=people,dc=example,dc=org"),
        (" ", "uid=\\20,ou=people,dc=example,dc=org"),
        ("\u{e9}", "uid=\\c3\\a9,ou=people,dc=example,dc=org"),
        ("\\2c\"+", "uid=\\5c2c\\22\\2b,ou=people,dc=example,dc=org"),
    ] {
        assert_eq!(fill(people, login.as_bytes()).as_deref(), Some(dn));
    }
}

#[test]
fn placeholders_are_filled_once() {
    assert_eq!(
        fill("uid={local},o={domain}", b"{domain}@{local}").as_deref(),
        Some("uid={domain},o={local}")
    );
}

#[test]
fn a_login_that_lacks_a_part_has_no_dn() {
    assert_eq!(fill("uid={local},dc={domain}", b"alice"), None);
    assert_eq!(fill("uid={local},dc={domain}", b"alice@"), None);
    assert_eq!(fill("uid={local}", b"@example.org"), None);
    assert_eq!(fill("uid={login}", b""), None);
}

#[test]
fn invalid_dn_templates_name_the_position() {
    for (template, flaw) in [
        ("uid={user},dc=org", "5: there is no {user};"),
        ("uid={login", "5: a brace is not closed;"),
        ("uid=login}", "10: a brace is closed that is not open"),
        ("uid={login},people", "19: there is no = after the type"),
        (
            "uid={login},\u{e9}=x",
            "13: the type of an attribute is missing",
        ),
        ("uid={login},", "13: the type of an attribute is missing"),
        ("uid={login},ou=\"x\"", "16: this character must be escaped"),
        ("uid={login},ou=a\\z", "17: a backslash"),
        ("uid={login},ou=#zz", "16: a value that begins with #"),
        (
            "{login}=x",
            "1: a part of the login is allowed only in a value",
        ),
        ("uid=#04{login}", "5: a value that begins with #"),
        ("uid=#{login}", "5: a value that begins with #"),
        ("uid=a\\{login}", "6: a backslash"),
    ] {
        let found = placed(template, &DnTemplate::parse(template).unwrap_err());
        assert!(found.starts_with(flaw), "{template}: {found}");
    }
    assert!(DnTemplate::parse("").unwrap().is_fixed());
    assert!(DnTemplate::parse("OU=Leute \\2b Mehr,DC=example").is_ok());
}

#[test]
fn who_is_named_by_a_template() {
    for (template, names, ignores) in [
        ("uid={login},dc=x", true, false),
        ("uid={local},dc={domain}", true, false),
        ("uid={local},dc=x", true, true),
        ("ou={domain},dc=x", false, false),
        ("uid=fixed,dc=x", false, false),
        ("{local}@corp.example", true, true),
    ] {
        let template = BindName::parse(template).unwrap();
        assert_eq!(template.names_a_user(), names);
        assert_eq!(template.ignores_domain(), ignores);
    }
}

#[test]
fn names_of_active_directory() {
    let fill = |template: &str, name: &str| {
        let template = BindName::parse(template).unwrap();
        let filled = template.fill(&login(name.as_bytes()))?;
        Some(String::from_utf8(filled).unwrap())
    };
    for (template, login, name) in [
        ("{login}", "alice@corp.example", Some("alice@corp.example")),
        (
            "{login}",
            "o'brien+x@corp.example",
            Some("o'brien+x@corp.example"),
        ),
        (
            "{local}@corp.example",
            "alice@mail",
            Some("alice@corp.example"),
        ),
        ("CORP\\{local}", "alice@mail", Some("CORP\\alice")),
        // A bare word, a DN, a GUID, canonical names, two domains.
        ("{login}", "alice", None),
        ("{login}", "cn=alice,dc=corp@x", None),
        ("{login}", "{0123}@x", None),
        ("{login}", "corp/alice@x", None),
        ("{login}", "CORP\\alice@x", None),
        ("{local}@corp.example", "a@b@c", None),
        ("{login}", "@corp.example", None),
        ("CORP\\{login}", "alice@mail", None),
        ("CORP\\{local}", "OTHER\\alice", None),
    ] {
        assert_eq!(fill(template, login).as_deref(), name, "{template} {login}");
    }
    let flaw = BindName::parse("{local}").unwrap_err().to_string();
    assert!(flaw.starts_with("this is neither"), "{flaw}");
    assert!(BindName::parse("{domain}\\{local}").is_ok());
}

#[test]
fn names_under_a_base() {
    for (dn, base, under) in [
        ("uid=a,ou=people,dc=org", "dc=org", true),
        ("uid=a,ou=people,dc=org", "OU=People , DC=ORG", true),
        ("uid=a,ou=people,dc=org", "", true),
        ("dc=org", "dc=org", true),
        ("dc=org", "uid=a,dc=org", false),
        ("uid=a,ou=other,dc=org", "ou=people,dc=org", false),
        ("uid=a,ou=people\\2cdc=org", "dc=org", false),
        ("uid=a,ou=zu  sammen;o=x", "ou=zu sammen,o=x", true),
        ("uid=a,ou=\\c3\\89cole", "ou=\u{e9}cole", true),
        ("uid=a,cn=x+ou=y", "OU=y+CN=x", true),
        ("uid=a,cn=x", "cn=x+ou=y", false),
        ("uid=a,cn=#0401", "cn=#0401", true),
    ] {
        let parse = |text: &str| Dn::parse(text.as_bytes()).unwrap();
        assert_eq!(parse(dn).is_under(&parse(base)), under, "{dn} {base}");
    }
    for bad in ["uid", "=x", "uid=a,,dc=x", "uid=a,", "uid=<", "\u{0}"] {
        assert!(Dn::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

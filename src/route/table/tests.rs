//! Which login goes where, and what cannot be configured.

use std::num::NonZeroU16;

use super::*;

fn ports() -> Ports {
    let port = |number| NonZeroU16::new(number).unwrap();
    Ports {
        imap: port(143),
        pop3: port(110),
        smtp: port(25),
    }
}

fn table() -> Table {
    Table::new(Vec::new(), ports(), Duration::from_secs(300))
}

fn host(table: &mut Table, name: &str) -> RouteTarget {
    table.target(name, || (1, 1), "routes").unwrap()
}

fn found<'a>(table: &'a Table, login: &[u8]) -> Option<(&'a str, Rule)> {
    let login = Login::new(login.to_vec()).unwrap();
    match table.find(&login)? {
        (RouteTarget::Host(host), rule) => Some((&table.hosts()[host.index()].name, rule)),
        (RouteTarget::Move(index), rule) => Some((&table.move_at(index)?.name, rule)),
    }
}

#[test]
fn the_rules_in_their_order() {
    let mut table = table();
    let [login, domain, letter, default] =
        ["login", "domain", "letter", "default"].map(|name| host(&mut table, name));
    table.route_login("alice@example.org", login).unwrap();
    table.route_domain("Example.ORG", domain).unwrap();
    table.route_letters("acfg", letter).unwrap();
    table.route_default(default);
    for (typed, expected) in [
        (&b"alice@example.org"[..], ("login", Rule::Login)),
        (b"ALICE@example.org", ("domain", Rule::Domain)),
        (b"alice@eXample.org", ("domain", Rule::Domain)),
        (b"x@y@example.org", ("domain", Rule::Domain)),
        (b"alice@example.org@", ("letter", Rule::FirstLetter)),
        (b"alice", ("letter", Rule::FirstLetter)),
        (b"example.org", ("default", Rule::Default)),
        (b"Alice", ("default", Rule::Default)),
        (b"", ("default", Rule::Default)),
        (b"@", ("default", Rule::Default)),
        (b"\xe9", ("default", Rule::Default)),
    ] {
        assert_eq!(
            found(&table, typed),
            Some(expected),
            "{}",
            typed.escape_ascii()
        );
    }
    let longest = [b'a'; MAX_LOGIN_BYTES];
    assert_eq!(found(&table, &longest), Some(("letter", Rule::FirstLetter)));
}

#[test]
fn without_a_default_some_logins_have_no_route() {
    let mut table = table();
    let id = host(&mut table, "host");
    assert!(!table.has_routes());
    table.route_letters("a", id).unwrap();
    assert!(table.has_routes());
    assert_eq!(found(&table, b"bob"), None);
}

#[test]
fn folded_logins_and_letters() {
    let mut table = table();
    table.fold_case();
    let id = host(&mut table, "host");
    table.route_login("Alice", id).unwrap();
    table.route_letters("x-z", id).unwrap();
    assert_eq!(found(&table, b"aLICE"), Some(("host", Rule::Login)));
    assert_eq!(found(&table, b"Zoe"), Some(("host", Rule::FirstLetter)));
    assert_eq!(found(&table, b"bob"), None);
    assert_eq!(table.route_login("ALICE", id), Err(BadRoute::Twice));
    assert_eq!(
        table.route_letters("Z", id),
        Err(BadRoute::LetterTwice('Z'))
    );
}

#[test]
fn sets_and_ranges_of_letters() {
    for (set, letters) in [
        ("acfg", "acfg"),
        ("a-e", "abcde"),
        ("a-cx", "abcx"),
        ("xa-c", "xabc"),
        ("0-2A-B", "012AB"),
        ("a-a", "a"),
    ] {
        assert_eq!(each_letter(set).unwrap(), letters.as_bytes(), "{set}");
    }
    for (set, bad) in [
        ("", BadRoute::Empty),
        ("c-a", BadRoute::Range('c', 'a')),
        ("A-z", BadRoute::Range('A', 'z')),
        ("0-a", BadRoute::Range('0', 'a')),
        ("-a", BadRoute::Letter('-')),
        ("a-", BadRoute::Letter('-')),
        ("a b", BadRoute::Letter(' ')),
        ("\u{e9}", BadRoute::Letter('\u{e9}')),
        ("a-\u{e9}", BadRoute::Letter('\u{e9}')),
    ] {
        assert_eq!(each_letter(set), Err(bad), "{set}");
    }
    let mut table = table();
    let id = host(&mut table, "host");
    assert_eq!(
        table.route_letters("aba", id),
        Err(BadRoute::LetterTwice('a'))
    );
    assert!(!table.has_routes(), "a set counts whole or not at all");
    table.route_letters("ab", id).unwrap();
    assert_eq!(
        table.route_letters("xb", id),
        Err(BadRoute::LetterTwice('b'))
    );
}

#[test]
fn addresses_and_names() {
    for address in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "127.0.0.1"] {
        assert_eq!(
            Target::parse(address),
            Ok(Target::Address(address.parse().unwrap()))
        );
    }
    for name in [
        "mail",
        "mail.example.org",
        "mail.example.org.",
        "a_b",
        "3com",
        "10.x",
    ] {
        assert_eq!(Target::parse(name), Ok(Target::Name(name.into())), "{name}");
    }
    for none in ["0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1"] {
        let address = none.parse().unwrap();
        assert_eq!(
            Target::parse(none),
            Err(BadRoute::Address(address)),
            "{none}"
        );
    }
    for bad in [
        "mail host",
        "mail:143",
        "[::1]",
        "fe80::1%eth0",
        "unix:/run/x",
        "10.0.0",
        "0x7f000001",
        "192.0.2.256",
        "-a",
        "a..b",
        "b\u{fc}cher.example",
        "a\r\nb",
    ] {
        assert_eq!(
            Target::parse(bad),
            Err(BadRoute::HostName(bad.into())),
            "{bad}"
        );
    }
    assert_eq!(Target::parse(""), Err(BadRoute::Empty));
}

#[test]
fn keys_that_no_login_or_domain_can_be() {
    let mut table = table();
    let id = host(&mut table, "host");
    assert_eq!(table.route_login("a\nb", id), Err(BadRoute::Login));
    assert_eq!(
        table.route_login(&"a".repeat(255), id),
        Err(BadRoute::Login)
    );
    assert_eq!(table.route_login("", id), Err(BadRoute::Empty));
    let flaw = |what: &str| Err(BadRoute::Flaw(what.to_owned()));
    let empty = flaw("must not be empty");
    assert_eq!(table.route_domain("", id), empty);
    let at = flaw("begins with an @: write \"example.org\"");
    assert_eq!(table.route_domain("@example.org", id), at);
    table.route_domain("example.org", id).unwrap();
    assert_eq!(table.route_domain("EXAMPLE.org", id), Err(BadRoute::Twice));
}

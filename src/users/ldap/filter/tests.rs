use super::*;
use crate::login::Login;

fn login(bytes: &[u8]) -> Login {
    Login::new(bytes.to_vec()).unwrap()
}

/// A flaw with its place, in characters from 1.
fn placed(text: &str, flaw: &Flaw) -> String {
    let before = text.get(..flaw.place().unwrap_or(text.len())).unwrap();
    format!("{}: {flaw}", before.chars().count() + 1)
}

fn fill(template: &str, name: &str) -> Option<FilledFilter> {
    FilterTemplate::parse(template)
        .unwrap()
        .fill(&login(name.as_bytes()))
}

/// A filter without placeholders, as it is sent.
fn encoded(text: &str) -> Vec<u8> {
    fill(text, "x").unwrap().encode().to_vec()
}

/// The same as what goes in, whatever it is: as bytes on the wire, and through the text.
#[track_caller]
fn comes_back(value: &[u8]) {
    let piece = vec![Piece::Bytes(value.to_vec())];
    let filled = FilledFilter(Filter::And(vec![
        Filter::Compare(Comparison::Equal, "uid".into(), piece.clone()),
        Filter::Substrings {
            attribute: "mail".into(),
            initial: Some(piece.clone()),
            any: vec![piece.clone()],
            last: Some(piece),
        },
    ]));
    let text = filled.text();
    assert!(text.is_ascii());
    let again = fill(&text, "x").unwrap();
    assert_eq!(again, filled, "{text}");
    let value = element(OCTET_STRING, &[value]);
    let uid = element(0xa3, &[b"\x04\x03uid", &value]);
    assert_eq!(filled.encode()[2..][..uid.len()], uid[..], "{text}");
}

#[test]
fn all_bytes_and_all_pairs_of_them_come_back() {
    for one in 0..=255 {
        comes_back(&[one]);
        for other in 0..=255 {
            comes_back(&[one, other]);
        }
    }
}

#[test]
fn a_login_is_always_a_bound_value() {
    for (name, text) in [
        ("alice", "(&(objectClass=person)(uid=alice))"),
        ("*)(uid=*", r"(&(objectClass=person)(uid=\2a\29\28uid=\2a))"),
        (r"\2a", r"(&(objectClass=person)(uid=\5c2a))"),
        ("\u{e9}", r"(&(objectClass=person)(uid=\c3\a9))"),
        ("{domain}", r"(&(objectClass=person)(uid=\7bdomain\7d))"),
    ] {
        let filled = fill("(&(objectClass=person)(uid={login}))", name).unwrap();
        assert_eq!(filled.text(), text);
    }
    // What the server gets is the login as it is, counted.
    let filled = fill("(uid={login})", "*)(uid=*").unwrap();
    assert_eq!(
        filled.encode().as_slice(),
        b"\xa3\x0f\x04\x03uid\x04\x08*)(uid=*"
    );
}

#[test]
fn a_login_without_a_needed_part_is_not_looked_up() {
    assert_eq!(fill("(&(uid={local})(o={domain}))", "alice"), None);
    // An empty value would make it (mail=*), which matches every user.
    assert_eq!(fill("(mail={local}*)", "@example.org"), None);
    assert_eq!(fill("(mail={login})", ""), None);
}

#[test]
fn filters_are_sent_as_rfc_4511_has_it() {
    for (text, bytes) in [
        ("(cn=a)", &b"\xa3\x07\x04\x02cn\x04\x01a"[..]),
        ("(cn>=a)", b"\xa5\x07\x04\x02cn\x04\x01a"),
        ("(cn<=a)", b"\xa6\x07\x04\x02cn\x04\x01a"),
        ("(cn~=a)", b"\xa8\x07\x04\x02cn\x04\x01a"),
        ("(cn=*)", b"\x87\x02cn"),
        ("(cn=)", b"\xa3\x06\x04\x02cn\x04\x00"),
        ("(!(cn=*))", b"\xa2\x04\x87\x02cn"),
        ("(&)", b"\xa0\x00"),
        ("(|(a=*)(b=*))", b"\xa1\x06\x87\x01a\x87\x01b"),
        (
            "(cn=a*b*c*d)",
            b"\xa4\x12\x04\x02cn\x30\x0c\x80\x01a\x81\x01b\x81\x01c\x82\x01d",
        ),
        ("(cn=*b*)", b"\xa4\x09\x04\x02cn\x30\x03\x81\x01b"),
        ("(cn=a*)", b"\xa4\x09\x04\x02cn\x30\x03\x80\x01a"),
        ("(cn=*d)", b"\xa4\x09\x04\x02cn\x30\x03\x82\x01d"),
        (r"(cn=\2a\00)", b"\xa3\x08\x04\x02cn\x04\x02*\x00"),
        (
            "(uac:1.2.803:=2)",
            b"\xa9\x11\x81\x071.2.803\x82\x03uac\x83\x012",
        ),
        (
            "(cn:dn:2.4:=a)",
            b"\xa9\x0f\x81\x032.4\x82\x02cn\x83\x01a\x84\x01\xff",
        ),
        (
            "(:caseExactMatch:=a)",
            b"\xa9\x13\x81\x0ecaseExactMatch\x83\x01a",
        ),
    ] {
        assert_eq!(
            encoded(text).escape_ascii().to_string(),
            bytes.escape_ascii().to_string(),
            "{text}"
        );
        assert_eq!(fill(text, "x").unwrap().text(), text);
    }
}

#[test]
fn invalid_filters_name_the_position() {
    let deep = format!("{}(a=b){}", "(!".repeat(40), ")".repeat(40));
    for (text, flaw) in [
        ("", "1: a filter begins with ("),
        ("uid={login}", "1: a filter begins with ("),
        ("(uid={login}", "13: a ) is missing"),
        ("(uid={login}))", "14: the filter is at its end"),
        ("(&(uid={login})x)", "16: a ) is missing"),
        ("(&(uid={user}))", "8: there is no {user};"),
        ("(uid={login)", "6: a brace is not closed;"),
        ("(uid=login})", "11: a } in a value is written \\7d"),
        ("({login}=x)", "2: the name of an attribute is missing"),
        ("(\u{e9}=x)", "2: the name of an attribute is missing"),
        ("(uid{login})", "5: an attribute must be followed by"),
        ("(uid)", "5: an attribute must be followed by"),
        ("(uid=a(b)", "7: a ( in a value is written \\28"),
        (
            "(uid=\\2)",
            "6: a \\ must be followed by two hexadecimal digits",
        ),
        ("(\u{e9}", "2: "),
        ("(uid=a**b)", "10: there must be text between two *"),
        ("(uid>=a*)", "8: a * is allowed only after ="),
        ("(:=a)", "2: the name of an attribute or of a matching rule"),
        ("(uid:x:y:=a)", "9: a matching rule or = must follow here"),
        ("(-cn=a)", "2: this is not an attribute name"),
        ("(1.=a)", "2: this is not an attribute name"),
        ("(uid;=a)", "2: this is not an attribute name"),
        ("(uid:1..2:=a)", "6: this is not an attribute name"),
        ("(!)", "3: a filter begins with ("),
        (&deep, "65: the filter is nested too deep"),
    ] {
        let found = placed(text, &FilterTemplate::parse(text).unwrap_err());
        assert!(found.starts_with(flaw), "{text}: {found}");
    }
}

/// Long filters are often written with whitespace, which RFC 4515 does not allow.
#[test]
fn whitespace_may_stand_around_parentheses_and_operators() {
    const PLAIN: &str = "(&(objectClass=person)(|(mail=x)(uid=x))(!(off=TRUE)))";
    for text in [
        "(& (objectClass=person) (| (mail={login}) (uid={login}) ) (! (off=TRUE) ) )",
        "\n  (&\n    (objectClass=person)\r\n    (|\n\t(mail={login})\n\t(uid={login})\n    )\n    \
         (!(off=TRUE))\n  )\n",
        "( & ( objectClass = person ) ( | ( mail = {login} ) ( uid = {login} ) ) ( ! ( off = TRUE ) ) )",
        "(&(objectClass=person)(|(mail={login} )(uid= {login}))(!(off=TRUE\n)))",
    ] {
        assert_eq!(fill(text, "x").unwrap().text(), PLAIN, "{text}");
    }
    for (text, plain) in [
        ("(cn=a b  c)", "(cn=a b  c)"),
        ("( cn = {login} smith )", "(cn=x smith)"),
        ("(cn=\\20a\\20)", "(cn=\\20a\\20)"),
        ("( cn = \\20 )", "(cn=\\20)"),
        ("(cn= * )", "(cn=*)"),
        ("( cn = a * b )", "(cn=a\\20*\\20b)"),
        ("( n >= 5 )", "(n>=5)"),
        ("( n <= 5 )", "(n<=5)"),
        ("( n ~= 5 )", "(n~=5)"),
        ("( uac:1.2.803: = 2 )", ""),
        ("( uac:1.2.803:= 2 )", "(uac:1.2.803:=2)"),
        ("(o= )", "(o=)"),
        ("( & )", "(&)"),
        ("(u id=x)", ""),
        ("(a=b) (c=d)", ""),
        ("(& (a=b) c)", ""),
        ("( )", ""),
        (" ", ""),
    ] {
        let read = FilterTemplate::parse(text).ok();
        let read = read.map(|read| read.fill(&login(b"x")).unwrap().text());
        assert_eq!(read.unwrap_or_default(), plain, "{text}");
    }
    // A login keeps its blanks.
    let filled = fill("( uid = {login} )", " a ").unwrap();
    assert_eq!(filled.text(), "(uid=\\20a\\20)");
}

#[test]
fn who_is_named_by_a_template() {
    for (template, names, ignores) in [
        ("(mail={login})", true, false),
        ("(|(mail=*)(!(uid={local}*)))", true, true),
        ("(&(uid={local})(o:dn:={domain}))", true, false),
        ("(o={domain})", false, false),
        ("(uid=fixed)", false, false),
        ("(service={protocol})", false, false),
        ("(host={client_ip})", false, false),
        ("(&(uid={local})(service={protocol}))", true, true),
    ] {
        let parsed = FilterTemplate::parse(template).unwrap();
        assert_eq!(parsed.names_a_user(), names, "{template}");
        assert_eq!(parsed.ignores_domain(), ignores, "{template}");
    }
}

#[test]
fn active_directory() {
    let text = "(&(objectClass=user)(sAMAccountName={local})\
                (!(userAccountControl:1.2.840.113556.1.4.803:=2)))";
    let filled = fill(text, "alice@corp").unwrap();
    assert_eq!(filled.text(), text.replace("{local}", "alice"));
}

#[test]
fn texts_made_at_random_are_filters_that_stay_what_they_are_or_none() {
    let alphabet = [
        "(", ")", "(", ")", "&", "|", "!", "a", "uid", "=", "=", ">=", ":", "*", "\\2a", "\\",
        "{local}", "{", "}", "\u{e9}", ":dn", ":=", ";x",
    ];
    let mut random = 7_u64;
    let mut below = |bound: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) as usize % bound
    };
    let mut filters = 0;
    for _ in 0..200_000 {
        let inner: String = (0..below(7))
            .map(|_| alphabet[below(alphabet.len())])
            .collect();
        let text = match below(4) {
            0 => inner,
            1 => format!("({inner})"),
            2 => format!("(a={inner})"),
            _ => format!("(&(a={inner})(!(b=c)))"),
        };
        let Ok(template) = FilterTemplate::parse(&text) else {
            continue;
        };
        filters += 1;
        let filled = template.fill(&login(b"*)(x")).unwrap();
        let again = filled.text();
        let again = FilterTemplate::parse(&again).unwrap().fill(&login(b"x"));
        assert_eq!(again, Some(filled), "{text}");
    }
    assert!(filters > 10_000, "{filters}");
}

#[test]
fn a_filter_that_finds_others_is_known() {
    for (filter, part) in [
        ("(uid={login}*)", "{login}"),
        ("(uid=*{login})", "{login}"),
        ("(uid=*{local}*)", "{local}"),
        ("(mail=smtp:{login}*)", "{login}"),
        ("(mail=x*{local}*y)", "{local}"),
        (
            "(&(objectClass=person)(|(uid={login})(mail={local}*)))",
            "{local}",
        ),
        ("(!(uid={login}*))", "{login}"),
        ("(mail=*{domain})", "{domain}"),
        ("(uid>={login})", "{login}"),
        ("(uid<={login})", "{login}"),
        ("(uid~={login})", "{login}"),
        ("(uid:caseIgnoreSubstringsMatch:={login})", "{login}"),
        ("(uid:2.5.13.4:={login})", "{login}"),
        ("(uid:dn:2.5.13.7:={login})", "{login}"),
    ] {
        let found = FilterTemplate::parse(filter).unwrap().finds_others();
        assert_eq!(found.as_deref(), Some(part), "{filter}");
    }
    for filter in [
        "(uid={login})",
        "(mail={local}@*)",
        "(&(uid={local})(mail=*@{domain}))",
        "(&(uid={login})(objectClass=*)(cn=a*b))",
        "(&(uid={login})(allowed=*{protocol}*)(from~={client_ip}))",
        "(uid:caseExactMatch:={login})",
        "(memberOf:1.2.840.113556.1.4.1941:={login})",
    ] {
        let found = FilterTemplate::parse(filter).unwrap().finds_others();
        assert_eq!(found, None, "{filter}");
    }
}

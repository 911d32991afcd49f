use super::*;

#[test]
fn a_bad_domain_is_reported_with_what_to_write() {
    for good in [
        "example.org",
        "EXAMPLE",
        "bücher.example",
        "a_b.c-d.example",
        "*.example.org",
    ] {
        assert_eq!(flaw(good, true), None, "{good}");
    }
    let pattern = "is a pattern, and patterns are not supported: write whole domains, or \
                   \"*.example.org\" for all below example.org";
    let form = "is not a domain: a domain has 1 to 253 bytes: letters, digits, hyphens, underscores and single dots";
    for (bad, what) in [
        ("", "must not be empty"),
        (
            " a.example",
            "begins or ends with a blank: write \"a.example\"",
        ),
        (
            "a.example ",
            "begins or ends with a blank: write \"a.example\"",
        ),
        ("@a.example", "begins with an @: write \"a.example\""),
        (
            ".a.example",
            "begins with a dot: write \"*.a.example\" for all domains below a.example",
        ),
        ("a.example.", "ends with a dot: write \"a.example\""),
        ("*.a.example.", "ends with a dot: write \"*.a.example\""),
        ("*", pattern),
        ("*example.org", pattern),
        ("a.*.example", pattern),
        ("*.*.example", pattern),
        ("/^a.*/", pattern),
        ("^a", pattern),
        ("*.", form),
        (".", form),
        ("a..b", form),
        (
            "a b",
            "is a list of domains in one string: write each domain in its own quotes",
        ),
        ("bob@a.example", form),
        ("[192.0.2.1]", form),
    ] {
        assert_eq!(flaw(bad, true).as_deref(), Some(what), "{bad}");
    }
    for (bad, what) in [
        (
            "*.a.example",
            "must be one domain, such as \"a.example\": a wildcard is not allowed here",
        ),
        (".a.example", "begins with a dot: write \"a.example\""),
        (
            "*",
            "is a pattern, and patterns are not supported: write whole domains",
        ),
    ] {
        assert_eq!(flaw(bad, false).as_deref(), Some(what), "{bad}");
    }
    assert!(flaw(&"a".repeat(254), true).is_some());
}

#[test]
fn a_bad_login_is_reported_with_what_to_write() {
    for good in [
        "alice",
        "alice@example.org",
        "a*b",
        "alice*support",
        "/home",
        "^a",
        "x@EX.org*A",
    ] {
        assert_eq!(login_flaw(good, "[d]"), None, "{good}");
    }
    let pattern =
        "is a pattern, and patterns are not supported: write whole logins, or domains in [d]";
    let all = "is not a login: for all logins of a domain write \"a.example\" in [d]";
    for (bad, what) in [
        (" bob", "begins or ends with a blank: write \"bob\""),
        ("/^a.*/", pattern),
        ("a*", pattern),
        ("*a", pattern),
        ("a*@a.example", pattern),
        ("@a.example", all),
        ("*@a.example", all),
        (".a.example", all),
        (
            "*.a.example",
            "is not a login: for all logins below a domain write \"*.a.example\" in [d]",
        ),
        (
            "bob@a.example.",
            "its domain \"a.example.\" ends with a dot: write \"a.example\"",
        ),
    ] {
        assert_eq!(login_flaw(bad, "[d]").as_deref(), Some(what), "{bad}");
    }
}

#[cfg(feature = "servers")]
#[test]
fn what_a_name_in_other_scripts_becomes_is_checked_too() {
    for good in [
        "bücher.example",
        "ｅxample.org",
        "例え。テスト",
        "*.bücher.example",
    ] {
        assert_eq!(flaw(good, true), None, "{good}");
        assert_eq!(
            login_flaw(&format!("a@{}", good.replace("*.", "")), "[d]"),
            None
        );
    }
    let form = "is not a domain: a domain has 1 to 253 bytes: letters, digits, hyphens, underscores and single dots";
    let none = "is not a domain: a label has forbidden characters (RFC 5892)";
    for (bad, what) in [
        (
            "＊.example.org",
            "is read as \"*.example.org\": write that".to_owned(),
        ),
        (
            "*.a＊.example",
            "is read as \"*.a*.example\": is a pattern, and patterns are not supported: write whole \
             domains, or \"*.example.org\" for all below example.org"
                .to_owned(),
        ),
        (
            "ü.example。",
            "is read as \"xn--tda.example.\": ends with a dot: write \
             \"xn--tda.example\""
                .to_owned(),
        ),
        (
            "a\u{ff20}b.example",
            format!("is read as \"a@b.example\": {form}"),
        ),
        (
            "a\u{3000}b.example",
            "is read as \"a b.example\": is a list of domains in one string: write each domain \
             in its own quotes"
                .to_owned(),
        ),
        ("\u{300}a.example", none.to_owned()),
    ] {
        assert_eq!(flaw(bad, true), Some(what.clone()), "{bad}");
        let login = login_flaw(&format!("a@{bad}"), "[d]");
        assert!(login.is_some(), "{bad}");
    }
}

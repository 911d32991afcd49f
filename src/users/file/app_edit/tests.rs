use super::*;
use crate::secret::WeakSchemes;

const HASH: &str = "{SSHA512}TVRJek1USXpNVEl6TVRJek1USXpNVEl6TVRJek1USXpNVEl6TVRJek1USXpNVEl6TVRJek1USXpNVEl6TVRJek1USXpNVEl6";

fn added(text: &str, login: &str, label: &str, limits: &[&str]) -> Result<String, Refused> {
    let new = NewApp {
        label: label.to_owned(),
        stored: Zeroizing::new(HASH.to_owned()),
        limits: limits.iter().map(|limit| (*limit).to_owned()).collect(),
    };
    let text = text.replace("HASH", HASH);
    let rules = WeakSchemes::Refused.into();
    let logins = LineLogins::default();
    let made = add(text.as_bytes(), &logins, &rules, login.as_bytes(), &new)?;
    Ok(String::from_utf8(made.to_vec())
        .unwrap()
        .replace(HASH, "HASH"))
}

#[test]
fn a_new_app_password_is_a_line_at_the_end() {
    for (before, limits, after) in [
        ("", &[][..], "a:HASH:phone\n"),
        ("#\r\nb:x:phone", &[], "#\r\nb:x:phone\r\na:HASH:phone\r\n"),
        (
            "a:HASH:tablet\n",
            &["protocols=imap,smtp", "expires=2030-01-31"],
            "a:HASH:tablet\na:HASH:phone:protocols=imap,smtp expires=2030-01-31\n",
        ),
    ] {
        assert_eq!(added(before, "a", "phone", limits), Ok(after.to_owned()));
    }
}

#[test]
fn app_passwords_that_would_not_count_are_refused() {
    let full = "a:HASH:x\n".repeat(31);
    let long = "x".repeat(65);
    for (before, label, limits, why) in [
        ("a:HASH:x\n", "x", &[][..], Refused::Exists(1)),
        (&full, "y", &[], Refused::TooMany),
        ("", "", &[], Refused::Label),
        ("", "a:b", &[], Refused::Label),
        ("", "a\nb", &[], Refused::Label),
        ("", &long, &[], Refused::Label),
        (
            "",
            "x",
            &["protocols=http"],
            Refused::Line("protocols are imap, pop3 and smtp".to_owned()),
        ),
        (
            "",
            "x",
            &["allow_nets=here"],
            Refused::Line("allow_nets is not a list of networks".to_owned()),
        ),
    ] {
        assert_eq!(added(before, "a", label, limits), Err(why), "{label:?}");
    }
    assert!(matches!(added("", "#a", "x", &[]), Err(Refused::Login(_))));
    assert!(matches!(
        added("", "a", "x", &["expires=soon"]),
        Err(Refused::Line(_))
    ));
}

#[test]
fn one_label_or_all_are_removed() {
    let text = b"# a\r\na:x:phone\r\nb:x:phone\na:y:tablet:expires=1\nA:z:phone";
    let removed = |login: &str, label| {
        let (text, number) = remove(text, &LineLogins::default(), login.as_bytes(), label);
        (String::from_utf8(text.to_vec()).unwrap(), number)
    };
    for (login, label, after, number) in [
        (
            "a",
            Some("phone"),
            "# a\r\nb:x:phone\na:y:tablet:expires=1\nA:z:phone",
            1,
        ),
        ("a", None, "# a\r\nb:x:phone\nA:z:phone", 2),
        ("a", Some("none"), std::str::from_utf8(text).unwrap(), 0),
        (
            "A",
            None,
            "# a\r\na:x:phone\r\nb:x:phone\na:y:tablet:expires=1\n",
            1,
        ),
    ] {
        assert_eq!(removed(login, label), (after.to_owned(), number));
    }
}

#[test]
fn a_list_has_everything_but_the_secret() {
    let text = format!(
        "a:{HASH}:phone:expires=1 protocols=imap\nb:x:y\na:*:old\na:{{NOPE}}:z\na:{HASH}\n"
    );
    let rules = WeakSchemes::Refused.into();
    let apps = of(text.as_bytes(), &LineLogins::default(), &rules, b"a");
    let told: Vec<_> = apps
        .iter()
        .map(|app| {
            (
                app.line,
                app.label.as_str(),
                app.expired,
                app.problem.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, "phone", true, None),
            (3, "old", false, Some("it is locked")),
            (4, "z", false, Some("the password scheme is not known")),
            (5, "", false, Some("no label follows the password")),
        ]
    );
    assert_eq!(apps[0].limits, ["expires=1", "protocols=imap"]);
    assert_eq!(apps[0].scheme, Some(Scheme::Ssha512));
    assert!(!format!("{apps:?}").contains("TVRJ"));
}

use std::collections::BTreeMap;

use super::*;
use crate::login::rules::LoginRules;
use crate::secret::WeakSchemes;

const HASH: &str = "{SSHA512}TVRJek1USXpNVEl6TVRJek1USXpNVEl6TVRJek1USXpNVEl6TVRJek1USXpNVEl6TVRJek1USXpNVEl6TVRJek1USXpNVEl6";

fn rules() -> PasswordRules {
    WeakSchemes::Refused.into()
}

fn stored(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

fn add() -> Action {
    Action::Add {
        stored: stored(HASH),
        extra: Vec::new(),
    }
}

fn edit(login: impl AsRef<[u8]>, action: Action) -> Edit {
    Edit {
        login: login.as_ref().to_vec(),
        action,
    }
}

/// The new text with `HASH` in place of the hash, or the only reason.
fn made(text: &str, login: &str, action: Action) -> Result<(String, Done), Refused> {
    made_by(text, &LineLogins::default(), &rules(), login, action)
}

fn made_by(
    text: &str,
    logins: &LineLogins,
    rules: &PasswordRules,
    login: &str,
    action: Action,
) -> Result<(String, Done), Refused> {
    let text = text.replace("HASH", HASH);
    match apply(text.as_bytes(), logins, rules, &[edit(login, action)]) {
        Ok((text, done)) => {
            let text = String::from_utf8(text.to_vec()).unwrap();
            Ok((text.replace(HASH, "HASH"), done[0]))
        }
        Err(mut refused) => {
            assert_eq!(refused.len(), 1);
            Err(refused.remove(0).1)
        }
    }
}

#[test]
fn only_the_password_of_the_login_changes() {
    for (before, after) in [
        ("a:x\nb:y\n", "a:HASH\nb:y\n"),
        ("a:x\r\nb:y\r\n", "a:HASH\r\nb:y\r\n"),
        ("# a:1\n\n  \na:\nb", "# a:1\n\n  \na:HASH\nb"),
        ("a", "a:HASH"),
        ("b:y\na:x", "b:y\na:HASH"),
        (
            "a:x:1:2:g:h:s:  k=v:w\tunknown= \n",
            "a:HASH:1:2:g:h:s:  k=v:w\tunknown= \n",
        ),
        ("a:x:1::\n", "a:HASH:1::\n"),
        ("\u{feff}a:x\n", "\u{feff}a:HASH\n"),
        ("aa:x\na:y\nA:z\n", "aa:x\na:HASH\nA:z\n"),
    ] {
        let (text, done) = made(before, "a", Action::Password(stored(HASH))).unwrap();
        assert_eq!((text.as_str(), done), (after, Done::AsAsked), "{before:?}");
    }
}

#[test]
fn a_new_line_is_at_the_end_with_the_line_end_of_the_others() {
    for (before, after) in [
        ("", "a:HASH\n"),
        ("\u{feff}", "\u{feff}a:HASH\n"),
        ("b:y\n", "b:y\na:HASH\n"),
        ("b:y", "b:y\na:HASH\n"),
        ("b:y\r\n", "b:y\r\na:HASH\r\n"),
        ("b:y\r\nc:z", "b:y\r\nc:z\r\na:HASH\r\n"),
        ("#\n\n", "#\n\na:HASH\n"),
    ] {
        let (text, done) = made(before, "a", add()).unwrap();
        assert_eq!((text.as_str(), done), (after, Done::AsAsked), "{before:?}");
    }
    let with_fields = Action::Add {
        stored: stored(HASH),
        extra: vec!["host=h".to_owned(), "allow_nets=::1".to_owned()],
    };
    let (text, _) = made("", "a", with_fields).unwrap();
    assert_eq!(text, "a:HASH::::::host=h allow_nets=::1\n");
}

#[test]
fn lines_of_a_login_are_found_as_the_store_finds_them() {
    let lower = LoginRules {
        lower_case: true,
        default_domain: Some("example.org".to_owned()),
        aliases: BTreeMap::from([(b"sales@example.org".to_vec(), b"a@example.org".to_vec())]),
        ..LoginRules::default()
    };
    let logins = LineLogins::under(&lower);
    for line in ["a@example.org", "A@Example.ORG", "a", "A"] {
        let before = format!("{line}:x\n");
        let set = Action::Password(stored(HASH));
        let found = made_by(&before, &logins, &rules(), "a@example.org", set);
        assert_eq!(found, Ok((format!("{line}:HASH\n"), Done::AsAsked)));
        let again = made_by(&before, &logins, &rules(), "a@example.org", add());
        assert_eq!(again, Err(Refused::Exists(1)));
    }
    let of_domain = LineLogins::default().of_domain("example.org");
    for (before, login, after) in [
        ("b:y\n", "a@example.org", "b:y\na:HASH\n"),
        (
            "b@example.org:y\n",
            "a@example.org",
            "b@example.org:y\na@example.org:HASH\n",
        ),
        ("b:y\n", "a@x@example.org", "b:y\na@x@example.org:HASH\n"),
        ("", "a@example.org", "a@example.org:HASH\n"),
    ] {
        let (text, _) = made_by(before, &of_domain, &rules(), login, add()).unwrap();
        assert_eq!(text, after);
    }
}

#[test]
fn a_locked_user_has_no_password_and_gets_it_back() {
    for (before, locked) in [
        ("a:HASH\n", "a:!HASH::::::nologin\n"),
        ("a:HASH:1:2\r\n", "a:!HASH:1:2::::nologin\r\n"),
        ("a:HASH::::::host=h\n", "a:!HASH::::::host=h nologin\n"),
        ("a:HASH:::::: host=h \n", "a:!HASH:::::: host=h nologin\n"),
        ("a:\n", "a:::::::nologin\n"),
        ("a:!HASH\n", "a:!HASH::::::nologin\n"),
        ("a:HASH::::::nologin=x\n", "a:!HASH::::::nologin=x\n"),
    ] {
        let (text, done) = made(before, "a", Action::Lock(None)).unwrap();
        assert_eq!((text.as_str(), done), (locked, Done::AsAsked), "{before:?}");
        let again = made(&text, "a", Action::Lock(None)).unwrap();
        assert_eq!(again, (text, Done::Already));
    }
    let reason = Action::Lock(Some("left".to_owned()));
    let (text, _) = made("a:!HASH::::::nologin=x host=h\n", "a", reason).unwrap();
    assert_eq!(text, "a:!HASH::::::host=h nologin=left\n");

    for (locked, after, done) in [
        ("a:!HASH::::::nologin\n", "a:HASH\n", Done::AsAsked),
        (
            "a:!HASH::::::nologin host=h\n",
            "a:HASH::::::host=h\n",
            Done::AsAsked,
        ),
        (
            "a:!HASH:1:::::nologin=x y\n",
            "a:HASH:1:::::y\n",
            Done::AsAsked,
        ),
        ("a:!!HASH\n", "a:HASH\n", Done::AsAsked),
        (
            "a:{CRYPT}!$1$12345678$0JA35UXRQMWa4Hfq5/.1o.\n",
            "a:{CRYPT}$1$12345678$0JA35UXRQMWa4Hfq5/.1o.\n",
            Done::AsAsked,
        ),
        ("a:HASH::::::nologin\n", "a:HASH\n", Done::AsAsked),
        ("a:*::::::nologin\n", "a:*\n", Done::NoPassword),
        ("a:HASH\n", "a:HASH\n", Done::Already),
    ] {
        let text = made(locked, "a", Action::Unlock).unwrap();
        assert_eq!(text, (after.to_owned(), done), "{locked:?}");
    }
    for locked in ["a:*\n", "a:\n", "a:x\n", "a:!\n", "a:*LK*\n"] {
        assert!(
            matches!(made(locked, "a", Action::Unlock), Err(Refused::Line(_))),
            "{locked:?}"
        );
    }
}

#[test]
fn a_password_in_clear_that_is_locked_matches_no_password() {
    let plain = PasswordRules {
        accepted: WeakSchemes::Allowed.into(),
        default_scheme: Some("PLAIN".to_owned()),
    };
    let by = |text: &str, action| made_by(text, &LineLogins::default(), &plain, "a", action);
    for (before, locked, after) in [
        ("a:pw\n", "a:!{PLAIN}pw::::::nologin\n", "a:{PLAIN}pw\n"),
        // The password begins with the sign of a lock.
        ("a:!pw\n", "a:!{PLAIN}!pw::::::nologin\n", "a:{PLAIN}!pw\n"),
        ("a:{SHA}x\n", "a:!{SHA}x::::::nologin\n", "a:!{SHA}x\n"),
    ] {
        let (text, _) = by(before, Action::Lock(None)).unwrap();
        assert_eq!(text, locked);
        if before != "a:{SHA}x\n" {
            assert_eq!(by(locked, Action::Unlock).unwrap().0, after);
        }
    }
}

#[test]
fn another_password_does_not_unlock() {
    for (before, after, done) in [
        ("a:!HASH\n", "a:!HASH\n", Done::StaysLocked),
        (
            "a:!HASH::::::nologin\n",
            "a:!HASH::::::nologin\n",
            Done::StaysLocked,
        ),
        (
            "a:x::::::nologin\n",
            "a:HASH::::::nologin\n",
            Done::StaysLocked,
        ),
        ("a:*\n", "a:HASH\n", Done::AsAsked),
        ("a:!\n", "a:HASH\n", Done::AsAsked),
    ] {
        let text = made(before, "a", Action::Password(stored(HASH))).unwrap();
        assert_eq!(text, (after.to_owned(), done), "{before:?}");
    }
}

#[test]
fn deleting_removes_every_line_of_the_login_and_nothing_else() {
    for (before, after, done) in [
        ("# a\na:x\nb:y", "# a\nb:y", Done::AsAsked),
        ("b:y\r\na:x", "b:y\r\n", Done::AsAsked),
        ("a:x\n\na:y\nb:z\n", "\nb:z\n", Done::Removed(2)),
        ("a:x\n", "# no users\n", Done::AsAsked),
    ] {
        let text = made(before, "a", Action::Delete).unwrap();
        assert_eq!(text, (after.to_owned(), done), "{before:?}");
    }
}

#[test]
fn edits_that_cannot_be_made_are_refused() {
    let set = || Action::Password(stored(HASH));
    let twice = "a:x\nb:y\na:z\n";
    for (before, login, action, why) in [
        ("a:x\n", "b", set(), Refused::Unknown),
        ("a:x\n", "b", Action::Delete, Refused::Unknown),
        ("a:x\n", "b", Action::Lock(None), Refused::Unknown),
        ("#a:x\n", "a", Action::Unlock, Refused::Unknown),
        ("a:x\n", "a", add(), Refused::Exists(1)),
        (twice, "a", add(), Refused::Exists(1)),
        (twice, "a", set(), Refused::Several(vec![1, 3])),
        (twice, "a", Action::Lock(None), Refused::Several(vec![1, 3])),
    ] {
        assert_eq!(made(before, login, action), Err(why), "{before:?} {login}");
    }
    let long = "a".repeat(255);
    for login in ["", "a:b", "#a", "a\nb", "a\0", "\r", "\u{feff}a", &long] {
        let refused = made("", login, add());
        assert!(
            matches!(refused, Err(Refused::Login(_))),
            "{login:?}: {refused:?}"
        );
    }
    for bad in ["{NOPE}x", "{PLAIN}x", "plain", "a:b"] {
        let action = Action::Add {
            stored: stored(bad),
            extra: Vec::new(),
        };
        if bad != "a:b" {
            assert!(
                matches!(made("", "a", action), Err(Refused::Line(_))),
                "{bad}"
            );
        }
    }
    let action = Action::Add {
        stored: stored(HASH),
        extra: vec!["port=x".to_owned()],
    };
    let port = Refused::Line("the line is unusable: port is not 1 to 65535".to_owned());
    assert_eq!(made("", "a", action), Err(port));
}

#[test]
fn of_several_edits_all_are_made_or_none() {
    let logins = LineLogins::default();
    let edits = [
        edit("c", add()),
        edit("a", Action::Delete),
        edit("b", Action::Lock(None)),
        edit(b"\xff\xe9", add()),
    ];
    let text = b"a:x\nb:\n".to_vec();
    let (text, done) = apply(&text, &logins, &rules(), &edits).unwrap();
    let expected = [
        b"b:::::::nologin\nc:",
        HASH.as_bytes(),
        b"\n\xff\xe9:",
        HASH.as_bytes(),
        b"\n",
    ];
    assert_eq!(*text, expected.concat());
    assert_eq!(done, [Done::AsAsked; 4]);

    let edits = [
        edit("b", add()),
        edit("x", Action::Delete),
        edit("c", add()),
        edit("c", add()),
        edit("a", add()),
    ];
    let refused = apply(b"a:x\n", &logins, &rules(), &edits).err().unwrap();
    let expected = [
        (1, Refused::Unknown),
        (3, Refused::Again(2)),
        (4, Refused::Exists(1)),
    ];
    assert_eq!(refused, expected);
}

//! Tests of app passwords in a file.

use super::*;
use crate::secret::{Password, Proof, WeakSchemes};

const GOOD: &str = "\
# phones and scripts\r
alice:{PLAIN}phone:phone
bob:{PLAIN}x:bob's
alice:{PLAIN}scan:the scanner:protocols=smtp allow_nets=192.0.2.0/24,::1 expires=2027-01-31\r
alice:*:lost
";

fn load(text: &str) -> Result<AppPasswords, Vec<Problem>> {
    AppPasswords::load(
        text.into(),
        "apps".into(),
        WeakSchemes::Allowed,
        &LineLogins::default(),
    )
}

fn both(text: &str) -> [AppPasswords; 2] {
    let lazy = AppPasswords::lazy(
        text.into(),
        "apps".into(),
        WeakSchemes::Allowed,
        &LineLogins::default(),
    );
    [load(text).unwrap(), lazy.unwrap()]
}

fn login(text: &str) -> Login {
    Login::new(text.into()).unwrap()
}

#[test]
fn each_login_has_its_own_in_the_order_of_the_file() {
    for apps in both(GOOD) {
        let (found, unusable) = apps.of(&login("alice"));
        assert_eq!(unusable, None);
        let labels: Vec<_> = found.iter().map(|one| one.label.as_deref()).collect();
        assert_eq!(labels, [Some("phone"), Some("the scanner")]);
        let proof = Proof::Password(Password::new(b"scan".to_vec()).unwrap());
        let fits: Vec<_> = found.iter().map(|one| one.secret.matches(&proof)).collect();
        assert_eq!(fits, [false, true]);
        let [phone, scanner] = found.as_slice() else {
            panic!()
        };
        assert!(phone.protocols.is_none() && phone.allow_nets.is_none() && phone.expires.is_none());
        assert_eq!(scanner.protocols.as_ref().map(Vec::len), Some(1));
        assert_eq!(scanner.allow_nets.as_ref().map(Vec::len), Some(2));
        assert!(scanner.expires.is_some());
        assert_eq!(apps.of(&login("bob")).0.len(), 1);
        for name in ["carol", "", "Alice", "alice:{PLAIN}phone"] {
            assert!(apps.of(&login(name)).0.is_empty(), "{name}");
        }
    }
}

#[test]
fn a_misspelt_limit_is_an_error_with_its_position() {
    for (line, place, message) in [
        ("alice:{PLAIN}x", 7, "no label follows the password"),
        (
            "alice:{PLAIN}x:",
            16,
            "the label is not 1 to 64 bytes of plain text",
        ),
        ("alice", 1, "no colon follows the login"),
        (":{PLAIN}x:y", 1, "the login is empty"),
        (
            "a:{PLAIN}x:y:protocols=imaps",
            14,
            "protocols are imap, pop3 and smtp",
        ),
        (
            "a:{PLAIN}x:y:protocols=imap allow_nets=",
            29,
            "allow_nets is not a list of networks",
        ),
        (
            "a:{PLAIN}x:y:expires=never",
            14,
            "expires is neither a date (2027-01-31), a date and time (2027-01-31T12:00:00Z) nor \
             seconds since 1970",
        ),
        (
            "a:{PLAIN}x:y:expires=1801440000000",
            14,
            "expires is too large for seconds since 1970 and looks like milliseconds: divide it by \
             1000",
        ),
        (
            "a:{PLAIN}x:y:expire=2027-01-31",
            14,
            "extra fields are protocols=, allow_nets= and expires=",
        ),
        (
            "a:{PLAIN}x:y:nologin",
            14,
            "extra fields are protocols=, allow_nets= and expires=",
        ),
        (
            "a:{PLAIN}x:y:protocols=smtp protocols=imap",
            29,
            "this extra field is present twice",
        ),
        (
            "a:{PLAIN}x:y:expires=9999-12-31 expires=2027-01-31",
            33,
            "this extra field is present twice",
        ),
        ("a:{ROT13}x:y", 3, "the password scheme is not known"),
    ] {
        let text = format!("# one\n{line}\n");
        let warning = format!("apps:2:{place}: {message}");
        let told = load(&text).unwrap();
        let told: Vec<String> = told.warnings().iter().map(Problem::to_string).collect();
        assert_eq!(told, [warning.as_str()]);
        let name = line.split(':').next().unwrap();
        for apps in both(&text) {
            let (found, unusable) = apps.of(&login(name));
            assert!(found.is_empty(), "{line}");
            assert_eq!(unusable.as_deref(), Some(warning.as_str()));
        }
        // The others of the login can be used.
        for apps in both(&format!("{text}{name}:{{PLAIN}}good:good\n")) {
            let others = usize::from(!name.is_empty());
            assert_eq!(apps.of(&login(name)).0.len(), others, "{line}");
        }
    }
}

#[test]
fn an_address_that_is_not_allowed_is_skipped() {
    let text = "alice:{PLAIN}a:weak\nalice:{SSHA256}Vt+j3ChFbtQnwVE3hxJFqGvS5LpAL1KGF+EXJ4cIBJhzYWx0c2FsdA==:good\n";
    let apps = AppPasswords::load(
        text.into(),
        "apps".into(),
        WeakSchemes::Refused,
        &LineLogins::default(),
    )
    .unwrap();
    assert_eq!(apps.warnings().len(), 1);
    assert_eq!(apps.of(&login("alice")).0.len(), 1);
}

#[test]
fn too_many_app_passwords_are_all_ignored() {
    let line = |number: usize| format!("alice:{{PLAIN}}x{number}:y\n");
    for apps in both(&(0..31).map(line).collect::<String>()) {
        assert_eq!(apps.of(&login("alice")).0.len(), 31);
    }
    for many in [32, 40] {
        for apps in both(&(0..many).map(line).collect::<String>()) {
            let (found, unusable) = apps.of(&login("alice"));
            assert!(found.is_empty());
            let error =
                "apps:32:1: the login has more than 31 app passwords, and none of them counts";
            assert_eq!(unusable.as_deref(), Some(error));
        }
    }
}

#[test]
fn too_many_app_passwords_are_a_warning() {
    let line = |number: usize| format!("alice:{{PLAIN}}x{number}:y\n");
    let warnings = |text: String| {
        let logins = LineLogins::default();
        let apps = AppPasswords::load(text.into(), "apps".into(), WeakSchemes::Allowed, &logins);
        apps.unwrap()
            .warnings()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let lines = |many: usize| (0..many).map(line).collect::<String>();
    let error = "the login has more than 31 app passwords, and none of them counts";
    assert_eq!(warnings(lines(31)), [""; 0]);
    // What is locked or of another login does not count.
    let others = (0..40).map(|n| format!("u{n}:{{PLAIN}}x:y\nalice:!{{PLAIN}}x:y\n"));
    assert_eq!(warnings(others.collect::<String>() + &lines(31)), [""; 0]);
    for many in [32, 40, 80] {
        let bob = "bob:{PLAIN}x:y\n".repeat(33);
        assert_eq!(
            warnings(lines(many) + &bob),
            [
                format!("apps:32:1: {error}"),
                format!("apps:{}:1: {error}", many + 32)
            ]
        );
    }
}

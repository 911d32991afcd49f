//! Masters, who log in as another user.

use super::*;
use crate::login::rules::LoginRules;
use crate::users::file::{FileStore, Settings, UsersFile};

const MASTERS: &str = "boss:{PLAIN}m4ster\n\
    off:{PLAIN}m4ster::::::nologin\n\
    away:{PLAIN}m4ster::::::allow_nets=198.51.100.0/24\n\
    locked:!\n\
    two*three:{PLAIN}m4ster\n";

pub(super) fn masters(separator: &str) -> Masters {
    let settings = Settings {
        path: "masters".into(),
        allow_weak_schemes: true,
        max_hash_ms: 500,
        app_passwords: None,
        rehash: None,
        default_scheme: None,
        logins: Default::default(),
    };
    let store = FileStore::load(MASTERS.into(), &settings).map_err(|problems| {
        let messages = problems.into_iter().map(|problem| problem.message);
        messages.collect::<Vec<_>>()
    });
    Masters {
        separator: separator.into(),
        users: Arc::new(UsersFile::new(&settings, store.unwrap(), Vec::new())),
    }
}

fn mastered(users: Vec<(&'static str, Account)>, master: Option<MasterUse>) -> Gate {
    Gate {
        masters: Some(masters("*")),
        ..gate(users, master)
    }
}

#[test]
fn a_login_is_split_at_the_last_separator() {
    for (separator, login, expected) in [
        ("*", "bob*boss", Some(("bob", "boss"))),
        ("*", "a*bob*boss", Some(("a*bob", "boss"))),
        ("*", "*boss", Some(("", "boss"))),
        ("*", "bob*", Some(("bob", ""))),
        ("*", "*", Some(("", ""))),
        ("*", "bob", None),
        ("*", "", None),
        ("**", "bob**boss", Some(("bob", "boss"))),
        ("**", "bob***boss", Some(("bob*", "boss"))),
        ("**", "bob*boss", None),
        ("**", "*", None),
        (
            "+as+",
            "bob+as+boss@example.org",
            Some(("bob", "boss@example.org")),
        ),
    ] {
        let masters = masters(separator);
        let typed = Login::new(login.into()).unwrap();
        let parts = masters.split(&typed, &LoginRules::default());
        let parts = parts.as_ref().map(|(user, master)| {
            let text = |login: &Login| String::from_utf8(login.as_bytes().to_vec()).unwrap();
            (text(user), text(master))
        });
        let expected = expected.map(|(user, master)| (user.to_owned(), master.to_owned()));
        assert_eq!(parts, expected, "{separator} {login}");
        if let Some((user, master)) = masters.split(&typed, &LoginRules::default()) {
            assert_eq!(masters.join(user.as_bytes(), &master), login.as_bytes());
        }
    }
}

#[test]
fn a_master_logs_in_as_the_user_only_with_the_masters_password() {
    let users = || vec![("bob", clear("own")), ("a*bob", clear("own"))];
    let gate = mastered(users(), None);
    for (login, password, expected) in [
        ("bob*boss", "m4ster", says("192.0.2.1:143 - -")),
        ("a*bob*boss", "m4ster", says("192.0.2.1:143 - -")),
        ("bob", "own", says("192.0.2.1:143 - -")),
        ("bob*boss", "own", Err(Refusal::WrongPassword)),
        ("bob", "m4ster", Err(Refusal::WrongPassword)),
        ("bob*nobody", "m4ster", Err(Refusal::WrongPassword)),
        ("bob*locked", "m4ster", Err(Refusal::WrongPassword)),
        ("bob*off", "m4ster", Err(Refusal::Disabled(None))),
        ("bob*off", "x", Err(Refusal::WrongPassword)),
        ("bob*away", "m4ster", Err(Refusal::NetworkNotAllowed)),
        ("bob*away", "x", Err(Refusal::WrongPassword)),
        ("eve*boss", "m4ster", Err(Refusal::UnknownUser)),
        ("boss", "m4ster", Err(Refusal::UnknownUser)),
    ] {
        let sent = sent(&gate, &plain(login, password));
        assert_eq!(sent, expected, "{login} {password}");
    }
}

/// A mail server that has a login for us is asked by that; another one may know the masters.
#[test]
fn the_mail_server_sees_the_user_and_a_master() {
    use MasterUse::{Always, WhenNeeded};
    let robert = Account {
        user: Some(b"robert".to_vec()),
        ..clear("own")
    };
    let users = || vec![("bob", clear("own")), ("rob", robert.clone())];
    for (login, usage, expected) in [
        ("bob*boss", None, "192.0.2.1:143 - -"),
        ("rob*boss", None, "192.0.2.1:143 robert*boss -"),
        (
            "bob*boss",
            Some(WhenNeeded),
            "192.0.2.1:143 bob*nginx proxied",
        ),
        (
            "rob*boss",
            Some(WhenNeeded),
            "192.0.2.1:143 robert*nginx proxied",
        ),
        ("bob*boss", Some(Always), "192.0.2.1:143 bob*nginx proxied"),
    ] {
        let gate = mastered(users(), usage);
        assert_eq!(sent(&gate, &plain(login, "m4ster")), says(expected));
    }
}

/// A master comes from the networks of the masters, whatever those of the user are.
#[test]
fn the_networks_of_the_user_do_not_bind_a_master() {
    let elsewhere = Account {
        allow_nets: Some(vec![Network::parse("198.51.100.0/24").unwrap()]),
        ..clear("own")
    };
    let off = Account {
        disabled: true,
        ..clear("own")
    };
    let gate = mastered(vec![("bob", elsewhere), ("off", off)], None);
    let by = |login, password| sent(&gate, &plain(login, password));
    assert_eq!(by("bob", "own"), Err(Refusal::NetworkNotAllowed));
    assert_eq!(by("bob*boss", "m4ster"), says("192.0.2.1:143 - -"));
    assert_eq!(by("off*boss", "m4ster"), Err(Refusal::Disabled(None)));
}

/// Digests are made for one login, not for two.
#[test]
fn only_a_password_makes_a_master() {
    let gate = mastered(vec![("bob", clear("m4ster"))], None);
    let digest = ChallengeResponse::new(b"<1.2@x>", &[b'0'; 32]).unwrap();
    let request = request("bob*boss", Proof::Apop(digest));
    // An unknown login: the store has nothing to compare a digest with.
    assert_eq!(sent(&gate, &request), Err(Refusal::DigestNotPossible));
    let (without, _) = counting(vec![("bob*boss", clear("own"))], None);
    let request = plain("bob*boss", "own");
    assert_eq!(sent(&without, &request), says("192.0.2.1:143 - -"));
}

/// Who the masters are does not show in the time of a no.
#[test]
fn an_unknown_master_costs_as_much_as_a_known_one() {
    let gate = mastered(vec![("bob", clear("own"))], None);
    let computed = |login: &str| {
        crate::secret::work::take();
        let refused = sent(&gate, &plain(login, "x"));
        assert_eq!(refused, Err(Refusal::WrongPassword), "{login}");
        crate::secret::work::take()
    };
    let known = computed("bob*boss");
    assert_eq!(known.len(), 1);
    assert_eq!(computed("bob*nobody"), known);
    assert_eq!(computed("bob*locked"), known);
}

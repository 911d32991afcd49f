//! Mail that another server brings.

use super::*;
use crate::auth::incoming_mail::{Recipients, Settings};

fn taking(users: Vec<(&'static str, Account)>, host: Option<&str>, recipients: Recipients) -> Gate {
    let mut gate = gate(users, None);
    gate.methods.inbound = Some(Settings {
        domains: vec!["example.org".to_owned()],
        host: host.map(str::to_owned),
        recipients,
        delimiters: Vec::new(),
    });
    gate
}

fn mail(to: &'static [u8]) -> MailRequest<'static> {
    MailRequest {
        connection: Connection {
            protocol: Protocol::Smtp,
            ..connection()
        },
        envelope: Envelope {
            helo: b"mx.example",
            from: b"MAIL FROM:<x@example.net>",
            to,
        },
    }
}

fn sent(gate: &Gate, request: &MailRequest<'_>) -> Result<String, Refusal> {
    decided(gate, AuthRequest::TakeMail(request.clone()))
}

/// What a user may not do, and from where, is no matter of their mail.
#[test]
fn mail_goes_to_the_host_of_the_recipient_or_to_that_of_all_mail() {
    use Recipients::{All, KnownUsers};
    let there = || Account {
        host: Some("192.0.2.9".to_owned()),
        port: Some(port(2525)),
        user: Some(b"robert".to_vec()),
        upstream_password: Some(password("known")),
        disabled: true,
        allow_nets: Some(Vec::new()),
        ..clear("pw")
    };
    let users = || vec![("a@example.org", there()), ("b@example.org", clear("pw"))];
    let unknown = || Err(Refusal::UnknownRecipient);
    for (to, host, recipients, expected) in [
        ("a", None, All, says("192.0.2.9:2525 - -")),
        ("b", None, All, says("192.0.2.1:25 - -")),
        ("c", None, All, says("192.0.2.1:25 - -")),
        ("a", None, KnownUsers, says("192.0.2.9:2525 - -")),
        ("b", None, KnownUsers, says("192.0.2.1:25 - -")),
        ("c", None, KnownUsers, unknown()),
        ("a", Some("192.0.2.4"), All, says("192.0.2.4:25 - -")),
        ("c", Some("192.0.2.4"), All, says("192.0.2.4:25 - -")),
        ("a", Some("192.0.2.4"), KnownUsers, says("192.0.2.4:25 - -")),
        ("c", Some("192.0.2.4"), KnownUsers, unknown()),
    ] {
        let gate = taking(users(), host, recipients);
        let line: &'static [u8] = match to {
            "a" => b"RCPT TO:<a@example.org>",
            "b" => b"RCPT TO:<b@example.org>",
            _ => b"RCPT TO:<c@example.org>",
        };
        let sent = sent(&gate, &mail(line));
        assert_eq!(sent, expected, "{to} {host:?} {recipients:?}");
    }
}

#[test]
fn a_store_is_asked_only_if_its_answer_matters() {
    for (host, recipients, asked) in [
        (Some("192.0.2.4"), Recipients::All, 0),
        (Some("192.0.2.4"), Recipients::KnownUsers, 1),
        (None, Recipients::All, 1),
    ] {
        let (plain, count) = counting(vec![("a@example.org", clear("pw"))], None);
        let gate = Gate {
            methods: taking(Vec::new(), host, recipients).methods,
            ..plain
        };
        assert!(sent(&gate, &mail(b"RCPT TO:<a@example.org>")).is_ok());
        assert_eq!(count.load(SeqCst), asked, "{host:?} {recipients:?}");
    }
}

#[test]
fn a_recipient_is_a_login_after_the_rules() {
    let mut gate = taking(
        vec![("a@example.org", clear("pw"))],
        None,
        Recipients::KnownUsers,
    );
    let upper = mail(b"RCPT TO:<A@example.org>");
    assert_eq!(sent(&gate, &upper), Err(Refusal::UnknownRecipient));
    gate.logins.lower_case = true;
    let mut renamed = Vec::new();
    let admitted = gate.admit(&AuthRequest::TakeMail(upper), &mut |step| {
        if let Step::Renamed(login) = step {
            renamed.push(login.as_bytes().to_vec());
        }
    });
    assert!(admitted.is_ok());
    assert_eq!(renamed, [b"a@example.org"]);
    let elsewhere = sent(&gate, &mail(b"RCPT TO:<a@example.net>"));
    let denied = Refusal::RelayDenied("it is not for one of our domains");
    assert_eq!(elsewhere, Err(denied));
}

/// Of an address that is like that of a user, or may be one, no mail is lost.
#[test]
fn mail_for_a_possible_user_is_deferred() {
    let like = |likeness| Account {
        likeness,
        ..clear("pw")
    };
    let down = Trouble::Store("users: it is down".to_owned());
    for (likeness, recipients, expected) in [
        (Likeness::Other, Recipients::All, says("192.0.2.1:25 - -")),
        (
            Likeness::Other,
            Recipients::KnownUsers,
            Err(Refusal::UnknownRecipient),
        ),
    ] {
        let gate = taking(vec![("a@example.org", like(likeness))], None, recipients);
        let sent = sent(&gate, &mail(b"RCPT TO:<a@example.org>"));
        assert_eq!(sent, expected, "{likeness:?}");
    }
    let gate = taking(
        vec![("a@example.org", like(Likeness::Unsaid))],
        None,
        Recipients::All,
    );
    let put_off = sent(&gate, &mail(b"RCPT TO:<a@example.org>"));
    assert!(matches!(
        put_off,
        Err(Refusal::Temporary(Trouble::Store(_)))
    ));
    let mut gate = taking(Vec::new(), None, Recipients::All);
    gate.logins.strip_domains = vec!["example.org".to_owned()];
    let put_off = sent(&gate, &mail(b"RCPT TO:<down@example.org>"));
    assert_eq!(put_off, Err(down.into()));
}

/// The host of their mail is unknown. Mail is not returned for that, because the entry can be repaired.
#[test]
fn mail_for_a_user_with_an_unusable_entry_is_deferred() {
    let broken = |disabled| Account {
        unusable: Some("line 3".to_owned()),
        disabled,
        ..clear("pw")
    };
    let without_password = Account {
        unusable_password: Some("line 4".to_owned()),
        passwords: Passwords::default(),
        ..clear("pw")
    };
    let users = || {
        vec![
            ("a@example.org", broken(false)),
            ("off@example.org", broken(true)),
            ("postmaster@example.org", broken(false)),
            ("b@example.org", without_password.clone()),
        ]
    };
    for host in [None, Some("192.0.2.4")] {
        for recipients in [Recipients::All, Recipients::KnownUsers] {
            let mut gate = taking(users(), host, recipients);
            let inbound = gate.methods.inbound.as_mut().unwrap();
            inbound.delimiters = b"+".to_vec();
            let asks = inbound.asks_stores();
            for (to, put_off) in [
                (&b"RCPT TO:<a@example.org>"[..], asks),
                (b"RCPT TO:<a+tag@example.org>", asks),
                (b"RCPT TO:<off@example.org>", asks),
                (b"RCPT TO:<b@example.org>", false),
                // With a host for all mail its entry does not matter.
                (b"RCPT TO:<postmaster>", host.is_none()),
                (b"RCPT TO:<postmaster@example.org>", host.is_none()),
                (b"RCPT TO:<postmaster+x@example.org>", host.is_none()),
            ] {
                let sent = sent(&gate, &mail(to));
                let why = sent.as_ref().err().cloned();
                let what = format!("{} {host:?} {recipients:?}: {sent:?}", to.escape_ascii());
                match put_off {
                    true => assert!(
                        matches!(&why, Some(Refusal::Temporary(Trouble::Store(told))) if told.ends_with("line 3")),
                        "{what}"
                    ),
                    false => assert_eq!(why, None, "{what}"),
                }
            }
        }
    }
}

/// Also with a tag, where users can have one.
#[test]
fn mail_for_an_unknown_postmaster_is_accepted() {
    for (delimiters, to, taken) in [
        (&b""[..], &b"RCPT TO:<postmaster@example.org>"[..], true),
        (b"+", b"RCPT TO:<Postmaster+tag@example.org>", true),
        (b"+-", b"RCPT TO:<postmaster-tag+x@example.org>", true),
        (b"", b"RCPT TO:<postmaster+tag@example.org>", false),
        (b"-", b"RCPT TO:<postmaster+tag@example.org>", false),
        (b"+", b"RCPT TO:<postmasters+tag@example.org>", false),
    ] {
        for host in [None, Some("192.0.2.1")] {
            let mut gate = taking(Vec::new(), host, Recipients::KnownUsers);
            let inbound = gate.methods.inbound.as_mut().unwrap();
            inbound.delimiters = delimiters.to_vec();
            let expected = match taken {
                true => says("192.0.2.1:25 - -"),
                false => Err(Refusal::UnknownRecipient),
            };
            assert_eq!(sent(&gate, &mail(to)), expected, "{}", to.escape_ascii());
        }
    }
}

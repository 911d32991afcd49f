//! Which login and which password the mail server gets.

use super::*;
use MasterUse::{Always, WhenNeeded};

/// RFC 2195, 3.
/// Mail that no `[inbound]` takes.
fn no_mail() -> MailRequest<'static> {
    MailRequest {
        connection: connection(),
        envelope: Envelope {
            helo: b"",
            from: b"",
            to: b"",
        },
    }
}

fn cram_md5() -> Proof {
    let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
    let digest = b"b913a602c7eda7a495b4e6e7334d3890";
    Proof::CramMd5(ChallengeResponse::new(challenge, digest).unwrap())
}

/// RFC 1939, 7.
fn apop() -> Proof {
    let challenge = b"<1896.697170952@dbc.mtview.ca.us>";
    let digest = b"c4c9334bac560ecc979e58001b3e22fb";
    Proof::Apop(ChallengeResponse::new(challenge, digest).unwrap())
}

const TLS: Tls<'static> = Tls {
    protocol: None,
    cipher: None,
    verify: Some(b"SUCCESS"),
    subject: Some(b"CN=alice"),
    issuer: None,
    serial: None,
    fingerprint: None,
    cert: None,
};

#[test]
fn a_mail_server_gets_what_the_client_sent_or_what_is_known_or_a_master() {
    let pw = || Proof::Password(password("pw"));
    let hashed = || account(vec![credential("{SHA}GpHWL3ymc5liWkNopqtdSjuqYHM=")]);
    let with_app = || account(vec![credential("{PLAIN}other"), app("phone", "{PLAIN}pw")]);
    let only_app = || account(vec![app("phone", "{PLAIN}pw")]);
    let any = || Account {
        passwords: Passwords::Any,
        ..Account::default()
    };
    let named = |user: &str, account: Account| Account {
        user: Some(user.into()),
        ..account
    };
    let known = |account: Account| Account {
        upstream_password: Some(password("known")),
        ..account
    };
    let mail = "192.0.2.1:143";
    let needed = || Err(Refusal::from(Trouble::PasswordNeeded));
    for (proof, account, master, expected) in [
        (pw(), clear("pw"), None, Ok("- -")),
        (pw(), clear("pw"), Some(WhenNeeded), Ok("- -")),
        (pw(), clear("pw"), Some(Always), Ok("alice*nginx proxied")),
        (pw(), named("robert", clear("pw")), None, Ok("robert -")),
        // nginx already has the login as it was typed.
        (pw(), named("alice", clear("pw")), None, Ok("- -")),
        (
            pw(),
            named("robert", clear("pw")),
            Some(Always),
            Ok("robert*nginx proxied"),
        ),
        (pw(), known(clear("pw")), None, Ok("- known")),
        (pw(), known(clear("pw")), Some(WhenNeeded), Ok("- known")),
        // The mail server has to know app passwords, or a master.
        (pw(), with_app(), None, Ok("- -")),
        (
            pw(),
            with_app(),
            Some(WhenNeeded),
            Ok("alice*nginx proxied"),
        ),
        (pw(), known(with_app()), Some(WhenNeeded), Ok("- known")),
        // Only the mail server checks the password.
        (pw(), any(), None, Ok("- -")),
        (pw(), any(), Some(Always), Ok("- -")),
        (
            cram_md5(),
            clear("tanstaaftanstaaf"),
            None,
            Ok("- tanstaaftanstaaf"),
        ),
        (
            cram_md5(),
            clear("tanstaaftanstaaf"),
            Some(Always),
            Ok("alice*nginx proxied"),
        ),
        (apop(), clear("tanstaaf"), None, Ok("- tanstaaf")),
        (apop(), known(clear("tanstaaf")), None, Ok("- known")),
        (Proof::External, clear("pw"), Some(WhenNeeded), Ok("- pw")),
        (Proof::External, known(hashed()), None, Ok("- known")),
        (
            Proof::External,
            hashed(),
            Some(WhenNeeded),
            Ok("alice*nginx proxied"),
        ),
        (Proof::External, hashed(), None, needed()),
        (Proof::External, with_app(), None, Ok("- other")),
        // The mail server does not know that one.
        (Proof::External, only_app(), None, needed()),
    ] {
        let what = format!("{proof:?} {account:?} {master:?}");
        let mut gate = gate(vec![("alice", account)], master);
        gate.methods.external = Some(certificate::Settings {
            login: certificate::CertificateLogin::CommonName,
            issuer: None,
        });
        let mut request = request("alice", proof);
        request.connection.tls = Some(TLS);
        let sent = sent(&gate, &request);
        let expected = expected.map(|words| format!("{mail} {words}"));
        assert_eq!(sent, expected, "{what}");
        // For SMTP nginx goes on without a password.
        if expected == Err(Trouble::PasswordNeeded.into()) {
            request.connection.protocol = Protocol::Smtp;
            assert_eq!(self::sent(&gate, &request), says("192.0.2.1:25 - -"));
        }
    }
}

/// With a login of ours the mail server asks for no password.
#[test]
fn a_master_login_is_used_only_for_the_user_that_was_proven() {
    let other = |user: Option<&str>| Account {
        likeness: Likeness::Other,
        user: user.map(|user| user.as_bytes().to_vec()),
        ..clear("pw")
    };
    let not = Err(Refusal::LoginNotProven(Likeness::Other));
    for (account, master, expected) in [
        (other(None), None, says("192.0.2.1:143 - -")),
        (other(None), Some(Always), not),
        (
            other(Some("robert")),
            Some(Always),
            says("192.0.2.1:143 robert*nginx proxied"),
        ),
    ] {
        let gate = gate(vec![("alice", account)], master);
        assert_eq!(sent(&gate, &plain("alice", "pw")), expected);
    }
}

#[test]
fn a_network_that_is_not_allowed_is_refused_after_the_proof() {
    let off = Account {
        disabled: true,
        ..clear("pw")
    };
    let elsewhere = Account {
        allow_nets: Some(vec![Network::parse("198.51.100.0/24").unwrap()]),
        ..clear("pw")
    };
    let damaged = Account {
        unusable: Some("line 3".to_owned()),
        ..clear("pw")
    };
    let off_and_damaged = Account {
        disabled: true,
        ..damaged.clone()
    };
    let users = || {
        vec![
            ("off", off.clone()),
            ("elsewhere", elsewhere.clone()),
            ("damaged", damaged.clone()),
            ("both", off_and_damaged.clone()),
        ]
    };
    let gate = gate(users(), None);
    let unusable = Refusal::UnusableEntry("users: line 3".to_owned());
    for (login, why) in [
        ("off", Refusal::Disabled(None)),
        ("elsewhere", Refusal::NetworkNotAllowed),
        ("damaged", unusable),
        ("both", Refusal::Disabled(None)),
    ] {
        assert_eq!(sent(&gate, &plain(login, "pw")), Err(why), "{login}");
        let wrong = sent(&gate, &plain(login, "other"));
        assert_eq!(wrong, Err(Refusal::WrongPassword), "{login}");
    }
}

/// Only the chain knows which store and field the host comes from.
#[test]
fn an_unknown_host_is_reported_with_its_store() {
    let lost = Account {
        host: Some("nowhere".to_owned()),
        ..clear("pw")
    };
    let gate = gate(vec![("alice", lost)], None);
    let why = "users: column host: nowhere: neither a host of [hosts] nor an address";
    let trouble = Trouble::UnknownHost(why.to_owned());
    assert_eq!(sent(&gate, &plain("alice", "pw")), Err(trouble.into()));
}

/// Steps of a decision, as `test` prints them.
#[test]
fn each_step_is_reported_in_order() {
    let mut gate = gate(vec![("alice", clear("pw"))], None);
    gate.logins.lower_case = true;
    let steps = |request: LoginRequest<'_>| {
        let mut steps = Vec::new();
        let _ = gate.admit(&AuthRequest::LogIn(request), &mut |step| {
            let step = format!("{step:?}");
            let word = step.split(|c: char| !c.is_alphanumeric()).next();
            steps.push(word.unwrap_or_default().to_owned());
        });
        steps.join(" ")
    };
    assert_eq!(
        steps(plain("Alice", "pw")),
        "Renamed Found PasswordMatches Proven Permitted Routed"
    );
    assert_eq!(steps(plain("alice", "x")), "Found Refused");
    assert_eq!(steps(plain("bob", "x")), "NotFound");
    assert_eq!(steps(plain("down", "x")), "CannotAnswer");
}

#[test]
fn without_settings_no_other_method_is_accepted() {
    let gate = gate(vec![("alice", clear("pw"))], None);
    let mut request = request("alice", Proof::External);
    request.connection.tls = Some(TLS);
    let unsupported = Err(Refusal::UnsupportedMethod("external"));
    assert_eq!(sent(&gate, &request), unsupported);
    let token = crate::secret::Token::new(b"e30.e30.x".to_vec()).unwrap();
    request.proof = Proof::Token(token);
    let unsupported = Err(Refusal::UnsupportedMethod("token"));
    assert_eq!(sent(&gate, &request), unsupported);
    let mail = AuthRequest::TakeMail(no_mail());
    assert!(matches!(decided(&gate, mail), Err(Refusal::RelayDenied(_))));
}

#[test]
fn a_retry_is_granted_up_to_the_last_attempt_but_not_after_digests() {
    let mut gate = gate(Vec::new(), None);
    let denied = |gate: &Gate, request| {
        let denial = gate.admit(&request, &mut |_| {}).err().unwrap();
        denial.wait.map_or(0, NonZeroU32::get)
    };
    let wait = |gate: &Gate, attempt, proof| {
        let mut request = request("alice", proof);
        request.connection.attempt = attempt;
        denied(gate, AuthRequest::LogIn(request))
    };
    let pw = || Proof::Password(password("x"));
    assert_eq!(wait(&gate, Some(1), pw()), 0);
    gate.retry = Some(Retry {
        wait: NonZeroU32::new(3).unwrap(),
        max_attempts: 4,
        after_digests: false,
    });
    for (attempt, proof, expected) in [
        (Some(1), pw(), 3),
        (Some(3), pw(), 3),
        (Some(4), pw(), 0),
        (Some(5), pw(), 0),
        (None, pw(), 0),
        (Some(1), cram_md5(), 0),
        (Some(1), apop(), 0),
        (Some(1), Proof::External, 3),
    ] {
        let what = format!("{attempt:?} {proof:?}");
        assert_eq!(wait(&gate, attempt, proof), expected, "{what}");
    }
    assert_eq!(denied(&gate, AuthRequest::TakeMail(no_mail())), 3);
    // Where nginx takes it.
    gate.retry = gate.retry.map(|retry| Retry {
        after_digests: true,
        ..retry
    });
    for proof in [cram_md5(), apop()] {
        assert_eq!(wait(&gate, Some(3), proof.clone()), 3);
        assert_eq!(wait(&gate, Some(4), proof), 0);
    }
}

#[test]
fn a_hash_is_computed_within_the_time_of_the_decision() {
    let scheme = crate::secret::Scheme::Sha256Crypt;
    let hash = Secret::hash(scheme, &password("pw")).unwrap();
    for (deadline, expected) in [
        (Duration::from_secs(20), says("192.0.2.1:143 - -")),
        (Duration::ZERO, Err(Trouble::Busy.into())),
    ] {
        let mut gate = gate(vec![("alice", account(vec![credential(&hash)]))], None);
        gate.deadline = deadline;
        assert_eq!(sent(&gate, &plain("alice", "pw")), expected);
    }
}

/// nginx writes the login of SMTP into XCLIENT, where a blank would begin another attribute.
#[test]
fn a_blank_around_a_login_is_refused_for_smtp_or_dropped() {
    for (trim, protocol, login, accepted) in [
        (false, Protocol::Smtp, "bob ", false),
        (false, Protocol::Smtp, "bob", true),
        (true, Protocol::Smtp, "bob ", true),
        (true, Protocol::Imap, " bob", true),
    ] {
        let mut gate = gate(vec![("bob", clear("own"))], None);
        gate.logins.trim = trim;
        let mut request = plain(login, "own");
        request.connection.protocol = protocol;
        let outcome = sent(&gate, &request);
        match accepted {
            true => assert!(outcome.is_ok(), "{trim} {login:?}: {outcome:?}"),
            false => assert_eq!(outcome, Err(Refusal::BadLogin)),
        }
    }
}

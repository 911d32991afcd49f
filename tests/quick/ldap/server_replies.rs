//! Servers with wrong, partial or missing replies: no login is accepted, and each answer is in time.

use std::path::Path;
use std::time::{Duration, Instant};

use nginx_mail_auth::config::Config;
use nginx_mail_auth::login::{Login, Protocol};
use nginx_mail_auth::secret::Password;
use nginx_mail_auth::service::open::open;
use nginx_mail_auth::sys::Lifetime;
use nginx_mail_auth::users::{Account, PasswordCheck, Question};

use crate::support::program::{ACCEPTED, Program, REFUSED, TEMPORARY, with_store};
use crate::support::scripted_directory::{
    Act, BIND, Fake, Request, SEARCH, bound, done, element, entry, message, reference, result,
};

/// Longer than a `timeout` of one second, by what a busy machine may need.
const LIMIT: Duration = Duration::from_millis(1500);

const ALICE: &str = "uid=alice,dc=example,dc=org";

fn keys(fake: &Fake) -> String {
    format!(
        "store = \"ldap\"\nurls = [\"{}\"]\nauth = \"search-bind\"\nbase = \"dc=example,dc=org\"\n\
         filter = \"(uid={{login}})\"\ntimeout = 1\n",
        fake.url()
    )
}

fn bind_keys(fake: &Fake) -> String {
    format!(
        "store = \"ldap\"\nurls = [\"{}\"]\nauth = \"bind\"\n\
         user-dn = \"uid={{login}},dc=example,dc=org\"\ntimeout = 1\n",
        fake.url()
    )
}

/// Finds alice, and accepts every bind.
fn accept_all(request: &Request) -> Act {
    Act::Send(match request.tag {
        BIND => bound(request.id, 0, ""),
        _ => [entry(request.id, ALICE), done(request.id, 0)].concat(),
    })
}

#[test]
fn an_empty_password_costs_no_connection() {
    let fake = Fake::answering(accept_all);
    let program = Program::serve(&with_store(&bind_keys(&fake)));
    assert_eq!(program.ask(b"alice", b""), REFUSED);
    assert_eq!(program.ask(b"alice", b"\0"), REFUSED);
    assert_eq!(program.ask(b"", b""), REFUSED);
    assert_eq!(fake.connections(), 0);
    assert_eq!(program.ask(b"alice", b"x"), ACCEPTED);
    assert_eq!(fake.connections(), 1);
    // With a search before it, there is none for the bind.
    let program = Program::serve(&with_store(&keys(&fake)));
    assert_eq!(program.ask(b"alice", b""), REFUSED);
    assert_eq!(fake.count(BIND), 1);
}

/// The store refuses it without a question to the server, also for an empty name.
#[test]
fn the_store_never_binds_without_a_password() {
    let fake = Fake::answering(accept_all);
    for keys in [bind_keys(&fake), keys(&fake)] {
        let config = Config::parse(Path::new("auth.toml"), with_store(&keys).as_bytes()).unwrap();
        let opened = open(&config, Lifetime::OneRequest);
        let store = &opened.sources[0].store;
        let login = Login::new(b"alice".to_vec()).unwrap();
        let asked = Question {
            login: &login,
            protocol: Protocol::Imap,
            client: None,
            session: nginx_mail_auth::nginx::request::Session::default(),
            network: None,
            deadline: Instant::now() + Duration::from_secs(20),
            steps: None,
        };
        for (handle, password, right) in [
            (ALICE, "", false),
            ("", "x", keys.contains("\"bind\"")),
            (ALICE, "x", true),
        ] {
            let mut account = Account {
                handle: Some(handle.into()),
                ..Account::default()
            };
            let password = Password::new(password.into()).unwrap();
            let before = fake.count(BIND);
            let said = store.verify(&asked, &mut account, &password);
            let expected = if right {
                PasswordCheck::Right
            } else {
                PasswordCheck::Wrong
            };
            assert_eq!(said, Ok(expected), "{keys}");
            assert_eq!(fake.count(BIND) - before, usize::from(right));
        }
    }
}

/// Each search gets this answer, and each bind would succeed.
fn searching(answer: impl Fn(u8) -> Vec<u8> + Send + Sync + 'static) -> (Fake, Program) {
    let fake = Fake::answering(move |request| {
        Act::Send(match request.tag {
            SEARCH => answer(request.id),
            _ => bound(request.id, 0, ""),
        })
    });
    let program = Program::serve(&with_store(&keys(&fake)));
    (fake, program)
}

#[test]
fn only_exactly_one_entry_of_the_right_place_is_a_user() {
    type Answer = fn(u8) -> Vec<u8>;
    let cases: [(&str, Answer, &str); 12] = [
        (
            "one",
            |id| [entry(id, ALICE), done(id, 0)].concat(),
            ACCEPTED,
        ),
        (
            "one, and a referral beside it",
            |id| [reference(id), entry(id, ALICE), done(id, 0)].concat(),
            ACCEPTED,
        ),
        ("none", |id| done(id, 0), REFUSED),
        (
            "a referral only",
            |id| [reference(id), done(id, 0)].concat(),
            REFUSED,
        ),
        (
            "two",
            |id| {
                [
                    entry(id, ALICE),
                    entry(id, "uid=alice,ou=x,dc=example,dc=org"),
                    done(id, 0),
                ]
                .concat()
            },
            REFUSED,
        ),
        (
            "more than two",
            |id| [entry(id, ALICE), entry(id, ALICE), done(id, 4)].concat(),
            REFUSED,
        ),
        (
            "one, and nobody knows whether there are more",
            |id| [entry(id, ALICE), done(id, 4)].concat(),
            TEMPORARY,
        ),
        (
            "one, too late",
            |id| [entry(id, ALICE), done(id, 3)].concat(),
            TEMPORARY,
        ),
        (
            "no name",
            |id| [entry(id, ""), done(id, 0)].concat(),
            TEMPORARY,
        ),
        (
            "elsewhere",
            |id| [entry(id, "uid=alice,dc=example,dc=com"), done(id, 0)].concat(),
            TEMPORARY,
        ),
        (
            "a name that is none",
            |id| [entry(id, "alice"), done(id, 0)].concat(),
            TEMPORARY,
        ),
        (
            "a referral as a whole",
            |id| result(id, 0x65, 10, ""),
            TEMPORARY,
        ),
    ];
    for (what, answer, expected) in cases {
        let (fake, program) = searching(answer);
        assert_eq!(
            program.ask(b"alice", b"x"),
            expected,
            "{what}\n{}",
            program.log()
        );
        if expected == TEMPORARY {
            assert_eq!(fake.count(BIND), 0, "{what}");
        }
    }
}

#[test]
fn no_bind_but_a_successful_one_lets_anybody_in() {
    for (code, words, expected, log) in [
        (0, "", ACCEPTED, ""),
        (49, "", REFUSED, "cause=wrong-password"),
        (32, "", REFUSED, "cause=wrong-password"),
        (10, "", TEMPORARY, "referral (10)"),
        (14, "", TEMPORARY, "saslBindInProgress (14)"),
        // A user who is locked, disabled or without a password is refused like an unknown login.
        (
            19,
            "too often",
            REFUSED,
            "cause=account-refused detail=\"ldap: the bind as uid=alice,dc=example,dc=org: \
             constraintViolation (19): too often\"",
        ),
        (48, "", REFUSED, "cause=no-password"),
        (16, "", REFUSED, "cause=no-password"),
        (
            53,
            "Account inactivated. Contact system administrator.",
            REFUSED,
            "cause=account-refused",
        ),
        (
            53,
            "Minimum SSF not met.",
            TEMPORARY,
            "unwillingToPerform (53)",
        ),
        (34, "", TEMPORARY, "invalidDNSyntax (34)"),
        (50, "", TEMPORARY, "insufficientAccessRights (50)"),
        (51, "", TEMPORARY, "busy (51)"),
        (52, "", TEMPORARY, "unavailable (52)"),
        (53, "", REFUSED, "unwillingToPerform (53)"),
        (
            53,
            "not marker-password, please",
            REFUSED,
            "unwillingToPerform (53)\" ",
        ),
        (80, "", TEMPORARY, "other (80)"),
        (127, "", TEMPORARY, "result code 127"),
        // A server that repeats the password does not get it into the log.
        (80, "not marker-password, please", TEMPORARY, "other (80)"),
    ] {
        let fake = Fake::answering(move |request| Act::Send(bound(request.id, code, words)));
        let program = Program::serve(&with_store(&bind_keys(&fake)));
        assert_eq!(
            program.ask(b"alice", b"marker-password"),
            expected,
            "{code}"
        );
        program.wait_for_log(log);
        assert!(!program.log().contains("marker"), "{}", program.log());
        assert!(fake.was_sent(b"marker-password"));
    }
}

#[test]
fn the_reason_of_active_directory_is_logged_at_level_debug() {
    let words =
        "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 533, v2580\0";
    let fake = Fake::answering(move |request| Act::Send(bound(request.id, 49, words)));
    let config = with_store(&bind_keys(&fake)) + "[log]\nlevel = \"debug\"\n";
    let program = Program::serve(&config);
    assert_eq!(program.ask(b"alice", b"marker"), REFUSED);
    program.wait_for_log("uid=alice,dc=example,dc=org: the account is disabled");
    program.wait_for_log("cause=account-refused detail=\"ldap: the account is disabled\"");
}

/// Sequences in each other, all with the right length.
fn nested_whole(depth: u32) -> Vec<u8> {
    let header = |level: u32| {
        let [a, b, c, d] = (2 + 6 * level).to_be_bytes();
        [0x30, 0x84, a, b, c, d]
    };
    let mut bytes: Vec<u8> = (0..depth).rev().flat_map(header).collect();
    bytes.extend_from_slice(&[0x30, 0]);
    bytes
}

#[test]
fn garbage_is_no_answer() {
    let nested: Vec<u8> = [0x30, 0x84, 0, 3, 0, 0].repeat(32_768);
    type Answer = Box<dyn Fn(u8) -> Vec<u8> + Send + Sync>;
    let cases: Vec<(&str, Answer)> = vec![
        ("nothing in it", Box::new(|_| vec![0x30, 0])),
        ("no operation", Box::new(|id| message(id, &[]))),
        (
            "an empty result",
            Box::new(|id| message(id, &element(0x61, &[]))),
        ),
        (
            "a result without words",
            Box::new(|id| message(id, &element(0x61, &[&[10, 1, 0]]))),
        ),
        (
            "a success of another length",
            Box::new(|id| message(id, &element(0x61, &[&[10, 0], &[4, 0], &[4, 0]]))),
        ),
        (
            "a negative code",
            Box::new(|id| message(id, &element(0x61, &[&[10, 1, 0x80], &[4, 0], &[4, 0]]))),
        ),
        (
            "the answer to another question",
            Box::new(|id| bound(id + 1, 0, "")),
        ),
        ("the end of a search", Box::new(|id| done(id, 0))),
        (
            "an extended success",
            Box::new(|id| result(id, 0x78, 0, "")),
        ),
        ("a disconnection", Box::new(|_| result(0, 0x78, 52, ""))),
        ("a success to nobody", Box::new(|_| bound(0, 0, ""))),
        (
            "a length without end",
            Box::new(|_| vec![0x30, 0x80, 2, 1, 1]),
        ),
        (
            "four gigabytes",
            Box::new(|_| vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
        ),
        (
            "a web server",
            Box::new(|_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ),
        ("nested without end", Box::new(move |_| nested.clone())),
        (
            "nested deeply, and whole",
            Box::new(|_| nested_whole(10_000)),
        ),
        (
            "a code of 2^32",
            Box::new(|id| {
                let code: &[u8] = &[10, 5, 1, 0, 0, 0, 0];
                message(id, &element(0x61, &[code, &[4, 0], &[4, 0]]))
            }),
        ),
        (
            "a number of 2^32 more",
            Box::new(|id| {
                let success = element(0x61, &[&[10, 1, 0], &[4, 0], &[4, 0]]);
                element(0x30, &[&[2, 5, 1, 0, 0, 0, id], &success])
            }),
        ),
    ];
    for (what, answer) in cases {
        let fake = Fake::answering(move |request| Act::Send(answer(request.id)));
        let program = Program::serve(&with_store(&bind_keys(&fake)));
        let said = program.ask_within(LIMIT, b"alice", b"x");
        assert_eq!(said, TEMPORARY, "{what}");
        // It is still there.
        assert_eq!(
            program.ask_within(LIMIT, b"alice", b"x"),
            TEMPORARY,
            "{what}"
        );
    }
}

#[test]
fn an_answer_that_is_cut_off_is_none() {
    let whole = bound(1, 0, "").len();
    for cut in [0, 1, 2, 3, 5, whole - 1] {
        let fake = Fake::answering(move |request| {
            Act::SendAndClose(bound(request.id, 0, "")[..cut].to_vec())
        });
        let program = Program::serve(&with_store(&bind_keys(&fake)));
        assert_eq!(
            program.ask_within(LIMIT, b"alice", b"x"),
            TEMPORARY,
            "{cut}"
        );
    }
}

#[test]
fn the_deadline_holds_whatever_is_sent() {
    type Does = fn(&Request) -> Act;
    let cases: [(&str, Does); 4] = [
        ("nothing", |_| Act::Silence),
        ("a byte in each second", |request| {
            Act::Drip(bound(request.id, 0, ""))
        }),
        ("referrals without end", |request| {
            Act::Forever(reference(request.id))
        }),
        ("entries without end", |request| {
            Act::Forever(entry(request.id, ALICE))
        }),
    ];
    for (what, act) in cases {
        let fake = Fake::answering(act);
        let program = Program::serve(&with_store(&keys(&fake)));
        for _ in 0..2 {
            assert_eq!(
                program.ask_within(LIMIT, b"alice", b"x"),
                TEMPORARY,
                "{what}"
            );
        }
    }
}

/// The connection that searches has never been a user's, and the other way round.
#[test]
fn searches_and_binds_of_users_have_connections_of_their_own() {
    let fake = Fake::answering(accept_all);
    let program = Program::serve(&with_store(&keys(&fake)));
    for _ in 0..20 {
        assert_eq!(program.ask(b"alice", b"x"), ACCEPTED);
    }
    // The questions came one after the other, so one of each kind was enough.
    assert_eq!(fake.connections(), 2);
    assert_eq!((fake.count(SEARCH), fake.count(BIND)), (20, 20));
}

/// For a server that hangs up after each answer, or has restarted, the question is put again.
#[test]
fn a_kept_connection_that_is_closed_costs_no_login() {
    let fake = Fake::answering(|request| match accept_all(request) {
        Act::Send(bytes) => Act::SendAndClose(bytes),
        other => other,
    });
    let program = Program::serve(&with_store(&keys(&fake)));
    for _ in 0..50 {
        assert_eq!(program.ask(b"alice", b"x"), ACCEPTED);
    }
    assert!(!program.log().contains(" WARN "), "{}", program.log());
}

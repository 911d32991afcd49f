//! What is counted, and what follows: the same rules wherever the counts are.

use crate::support::fastcgi::{Client, request};
use crate::support::process::wait_until;
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;
use crate::support::throttled::*;
use std::os::unix::net::UnixStream;

use Said::{In, Out};

#[test]
fn waits_grow_and_then_no_store_is_asked() {
    let server = server("");
    let mut expected = [0, 0, 0, 0, 2, 4, 8, 15].map(Out).to_vec();
    assert_eq!(server.fail(HERE, "alice", 8), expected);
    // The right one comes too late, and looks like a wrong one.
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), Out(15));
    assert_eq!(log_of(&server, "answer=refused cause=throttled"), 1);
    assert_eq!(log_of(&server, "cause=wrong-password"), 8);
    assert_eq!(
        log_of(
            &server,
            "throttle: network=192.0.2.10/32 login=\"alice\" is refused after 8 failures"
        ),
        1
    );
    // Not from elsewhere, where a success forgives nothing here.
    assert_eq!(server.log_in(THERE, "alice", "secret-right"), In);
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), Out(15));
    // An unknown login gets the same.
    expected.push(Out(15));
    let unknown = Serving::listening(&config(""), USERS);
    assert_eq!(unknown.fail(HERE, "nobody", 9), expected);
    assert_eq!(log_of(&unknown, "cause=throttled"), 1);
}

#[test]
fn an_old_password_counts_once_however_often_it_comes() {
    let server = server("");
    for _ in 0..50 {
        for old in ["secret-old-phone", "secret-old-laptop", "secret-old-tablet"] {
            assert_eq!(server.log_in(HERE, "alice", old), Out(0));
        }
    }
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), In);
    // From many networks it counts once for each network, and once for the login.
    for number in 0..40 {
        let address = format!("203.0.113.{number}");
        assert_eq!(server.log_in(&address, "bob", "secret-old-phone"), Out(0));
    }
    assert_eq!(server.log_in(THERE, "bob", "secret-other"), Out(0));
}

#[test]
fn a_network_with_a_success_is_exempt_for_that_login_only() {
    let server = server("");
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), In);
    assert_eq!(server.fail(HERE, "alice", 20), vec![Out(0); 20]);
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), In);
    // Also where the network is refused for others, and the login is guessed from elsewhere.
    for number in 0..40 {
        server.fail(HERE, &format!("guess-{number}"), 1);
    }
    for number in 0..40 {
        server.fail(&format!("203.0.113.{number}"), "alice", 1);
    }
    assert_eq!(server.log_in(HERE, "bob", "secret-right"), Out(15));
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), In);
    // It still does not allow unlimited guesses, even while its owner logs in.
    for round in 0..4 {
        for number in 0..20 {
            let password = format!("secret-more-{round}-{number}");
            server.log_in(HERE, "alice", &password);
        }
        if round < 3 {
            assert_eq!(server.log_in(HERE, "alice", "secret-right"), In);
        }
    }
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), Out(15));
}

/// A mailbox with the name of a master is no way to guess the password of the master.
#[test]
fn masters_are_counted_apart_from_users_of_the_same_name() {
    let folder = TempDir::new();
    folder.write("masters", "bob:{PLAIN}secret-master\n");
    let more = "\n[master]\npath = \"masters\"\nallow-weak-schemes = true\n";
    let server = Serving::listening_in(folder, &(config("") + more), USERS);
    assert_eq!(server.log_in(HERE, "bob", "secret-right"), In);
    let said = server.fail(HERE, "alice*bob", 8);
    assert_eq!(said, [0, 0, 0, 0, 2, 4, 8, 15].map(Out));
    assert_eq!(server.log_in(HERE, "alice*bob", "secret-master"), Out(15));
    assert_eq!(server.log_in(HERE, "bob", "secret-right"), In);
    assert_eq!(server.log_in(THERE, "alice*bob", "secret-master"), In);
}

/// What is wrong for one store counts, also where another could not say and the answer is that.
#[cfg(feature = "servers")]
#[test]
fn a_guess_counts_even_if_another_store_fails() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let first = format!(
        "[[users]]\nstore = \"imap\"\nurl = \"imap://127.0.0.1:{port}\"\ntrouble = \"next\"\n[[users]]\n"
    );
    let text = config("").replacen("[[users]]\n", &first, 1);
    let server = Serving::listening(&text, USERS);
    assert_eq!(server.log_in(THERE, "alice", "secret-right"), In);
    let said = server.fail(HERE, "alice", 8);
    assert_eq!(said, [Said::Temporary; 8]);
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), Out(15));
    // A login that no available store has was not tried.
    assert_eq!(server.fail(THERE, "nobody", 20), [Said::Temporary; 20]);
}

/// Where the password is found wrong by another server, its time passes without that being asked,
/// also in a new process.
#[cfg(feature = "servers")]
#[test]
fn a_refusal_without_a_question_waits_as_long_as_for_the_server() {
    use crate::support::scripted_server::Fake;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    const SLOW: Duration = Duration::from_millis(150);
    let imap = Fake::start(|talk| {
        talk.say(b"* OK ready\r\n");
        while let Some(line) = talk.line() {
            let line = String::from_utf8(line).unwrap();
            let (tag, command) = line.trim_end().split_once(' ').unwrap();
            if command.starts_with("CAPABILITY") {
                talk.say(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n");
                talk.say(format!("{tag} OK\r\n").as_bytes());
            } else if command.starts_with("LOGOUT") {
                break;
            } else {
                sleep(SLOW);
                talk.say(format!("{tag} NO [AUTHENTICATIONFAILED] no\r\n").as_bytes());
            }
        }
    });
    let folder = TempDir::new();
    let state = folder.path().join("throttle.db");
    let keys = format!(
        "state = \"sqlite:{}\"\nfree-failures = 2\nwaits = [1]\n",
        state.display()
    );
    let store = format!(
        "store = \"imap\"\nurl = \"imap://127.0.0.1:{}\"\n[routes]",
        imap.port
    );
    let text = config(&keys);
    let (before, rest) = text.split_once("store = \"file\"").unwrap();
    let (_, after) = rest.split_once("[routes]").unwrap();
    let cgi = Cgi::new(&format!("{before}{store}{after}"));
    assert_eq!(cgi.fail(HERE, "alice", 3), [0, 0, 1].map(Out));
    let heard = imap.heard();
    let start = Instant::now();
    assert_eq!(cgi.log_in(HERE, "alice", "secret-other"), Out(1));
    assert!(start.elapsed() >= SLOW, "{:?}", start.elapsed());
    assert_eq!(imap.heard(), heard, "the server was asked");
}

/// What the hash of a wrong password costs is spent on those that are looked at only.
#[test]
fn a_refusal_without_a_question_costs_no_hash() {
    let users = "alice:$2y$10$DurtMI4l48MQup4.Oj2JLez39QorPl/aEGGfPE9eZac3n8KuzY0t.\n";
    let server = Serving::listening(&config("free-failures = 3\nwaits = [1]"), users);
    // In hundredths of a second (proc_pid_stat(5)).
    let spent = || -> u32 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
        let fields = stat.rsplit(") ").next().unwrap().split(' ');
        let times = fields.skip(11).take(2);
        times.map(|time| time.parse::<u32>().unwrap()).sum()
    };
    let before = spent();
    assert_eq!(server.fail(HERE, "alice", 4), [0, 0, 0, 1].map(Out));
    let hashes = spent() - before;
    assert_eq!(server.fail(HERE, "alice", 12), [Out(1); 12]);
    let unasked = spent() - before - hashes;
    assert!(unasked < hashes, "{unasked} after {hashes}");
}

#[test]
fn a_login_alone_is_slowed_and_not_locked_unless_that_is_wanted() {
    let addresses: Vec<_> = (1..=40)
        .map(|number| format!("203.0.113.{number}"))
        .collect();
    let guess = |server: &Serving| -> Vec<Said> {
        let each = |address: &String| server.fail(address, "alice", 1);
        addresses.iter().flat_map(each).collect()
    };
    let slowing = server("");
    let said = guess(&slowing);
    assert_eq!(said[..8], [0, 0, 0, 0, 2, 4, 8, 15].map(Out));
    assert_eq!(said[8..], vec![Out(15); 32]);
    assert_eq!(slowing.log_in(HERE, "alice", "secret-right"), In);
    let locking = server("refuse-login = 20");
    guess(&locking);
    assert_eq!(locking.log_in(HERE, "alice", "secret-right"), Out(15));
    assert_eq!(locking.log_in(HERE, "bob", "secret-right"), In);
}

#[test]
fn upper_and_lower_case_are_one_login() {
    let server = server("");
    for (number, login) in ["alice", "Alice", "ALICE", "aLice"]
        .iter()
        .cycle()
        .take(8)
        .enumerate()
    {
        server.log_in(HERE, login, &format!("secret-wrong-{number}"));
    }
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), Out(15));
}

#[test]
fn refusals_of_every_kind_count_and_temporary_failures_do_not() {
    let server = server("");
    let users = "alice:{PLAIN}secret-right\noff:{PLAIN}secret-right:::::: nologin\nnets:{PLAIN}secret-right:::::: \
                 allow_nets=10.0.0.0/8\nempty:\n";
    server.replace("users", users);
    wait_until("the new users", || {
        server.log_in(THERE, "off", "secret-right") == Out(0)
            && log_of(&server, "cause=disabled") > 0
    });
    for (number, login) in ["off", "nets", "empty", "nobody", "alice"]
        .iter()
        .enumerate()
    {
        let address = format!("203.0.113.{number}");
        let first = match *login {
            // The correct password of a throttled login gets the same answer as a wrong one.
            "off" | "nets" => server.log_in(&address, login, "secret-right"),
            _ => server.log_in(&address, login, "secret-first"),
        };
        assert_eq!(first, Out(0));
        let said = server.fail(&address, login, 8);
        assert_eq!(said, [0, 0, 0, 2, 4, 8, 15, 15].map(Out), "{login}");
    }
    let stuck = Serving::listening(
        &config("").replace(
            "default = \"192.0.2.1\"",
            "[routes.login]\nbob = \"192.0.2.1\"",
        ),
        USERS,
    );
    for number in 0..20 {
        stuck.fail(HERE, &format!("no-{number}"), 0);
        assert_eq!(stuck.log_in(HERE, "alice", "secret-right"), Said::Temporary);
    }
    assert_eq!(stuck.log_in(HERE, "bob", "secret-right"), In);
}

#[test]
fn failures_are_forgotten_after_the_window() {
    let server = server("window = 1\nfree-failures = 0\nwaits = [1]");
    assert_eq!(server.fail(HERE, "alice", 1), [Out(1)]);
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), Out(1));
    wait_until("it is forgotten", || {
        server.log_in(HERE, "alice", "secret-right") == In
    });
}

#[test]
fn counts_outlive_a_reload() {
    let server = server("");
    server.fail(HERE, "alice", 8);
    let text = config("").replace("192.0.2.1\"", "192.0.2.1\" # again");
    server.replace("auth.toml", &text);
    wait_until("the reload", || {
        server.log_in(THERE, "bob", "secret-right");
        log_of(&server, "auth.toml: loaded") > 0
    });
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), Out(15));
}

/// Guesses made at once do not slip through between reading the counts and changing them.
#[test]
fn guesses_made_at_once_are_counted_each() {
    let server = server("free-failures = 0\nrefuse-network = 1000");
    let socket = server.socket();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let socket = &socket;
            scope.spawn(move || {
                for number in 0..5 {
                    let password = format!("secret-wrong-{thread}-{number}");
                    let mut client = Client::from(UnixStream::connect(socket).unwrap());
                    client.send(&request(
                        1,
                        false,
                        &[
                            ("HTTP_AUTH_USER", "alice"),
                            ("HTTP_AUTH_PASS", &password),
                            ("HTTP_CLIENT_IP", HERE),
                            ("HTTP_X_AUTH_KEY", KEY),
                        ],
                    ));
                    client.answer();
                }
            });
        }
    });
    let asked = log_of(&server, "cause=wrong-password");
    assert_eq!(asked, 4);
    assert_eq!(log_of(&server, "is refused after"), 1, "{}", server.log());
    assert_eq!(asked + log_of(&server, "cause=throttled"), 40);
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), Out(15));
}

/// Counts in memory would end with each process, so they are not made.
#[test]
fn memory_is_of_no_use_to_cgi_programs() {
    let cgi = Cgi::new(&config(""));
    assert_eq!(cgi.fail(HERE, "alice", 20), vec![Out(0); 20]);
    assert_eq!(cgi.log_in(HERE, "alice", "secret-right"), In);
}

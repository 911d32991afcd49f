//! Unusable and locked lines of a password file: the logins that they refuse, and the messages.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use crate::support::binary;
use crate::support::process::wait_until;
use crate::support::serving::{REFUSED, Serving, accepted};
use crate::support::temp_dir::TempDir;

const HOST: &str = "192.0.2.1";
const CONFIG: &str = "[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n";
const ROUTES: &str = "[routes]\ndefault = \"192.0.2.1\"\n";

/// `secret` by `hash --scheme sha512-crypt`.
const HASH: &str = "$6$saltstring$IRIIqqH3Y5kPxzhBnkkWaBDMdJzSMQFuVI0eV7HjlPR4nSuudaQjfExPFPBLIRNxtuVDmJ\
                    .qQe6HkWmBH8vfC.";

/// Logins that must be refused, with the lines that do it. `secret` was the password of each.
fn locked() -> Vec<(String, String)> {
    let fields = [
        format!("{{CRYPT}}!{HASH}"),
        format!("{{CRYPT}}*{HASH}"),
        format!("{{crypt}}!!{HASH}"),
        format!("{{SHA512-CRYPT}}!{HASH}"),
        format!("!{{SHA512-CRYPT}}{HASH}"),
        format!("!{HASH}"),
        "{SSHA}!W6ph5Mm5Pz8GgiULbPgzG37mj9hn2jRB".to_owned(),
        "{SHA512-CRYPT}*".to_owned(),
        "{SSHA512.HEX}*".to_owned(),
        "{SSHA.b64}!".to_owned(),
        "{crypt}x".to_owned(),
        "x".to_owned(),
        "*".to_owned(),
        "!!".to_owned(),
        String::new(),
        "!{PLAIN}secret".to_owned(),
        // Not meant as locks, maybe; but no passwords either.
        "LOCKED".to_owned(),
        "{ROT13}secret".to_owned(),
        "{CRYPT}$6$rounds=99999999$salt$hash".to_owned(),
        "{SSHA512}damaged".to_owned(),
        "{PLAIN}secret::::::port=70000".to_owned(),
        "{PLAIN}secret::::::allow_nets=anywhere".to_owned(),
        "{PLAIN}secret\0".to_owned(),
        format!("{{PLAIN}}secret::::::x={}", "x".repeat(9000)),
    ];
    (0..)
        .map(|number| format!("locked{number}"))
        .zip(fields)
        .collect()
}

/// How often the log warns of this, but for the lines about logins.
fn warned(log: &str, warning: &str) -> usize {
    let is_warning = |line: &&str| line.contains(" WARN ") && !line.contains(" cause=");
    let warnings = log.lines().filter(is_warning);
    warnings.filter(|line| line.contains(warning)).count()
}

fn config() -> String {
    format!("{CONFIG}{ROUTES}")
}

#[test]
fn a_locked_user_is_refused_even_if_other_lines_are_broken() {
    let locked = locked();
    let mut users = "alice:{PLAIN}secret\ntwice:{PLAIN}secret\nbare:{PLAIN}secret\n".to_owned();
    for (login, _) in &locked {
        users += &format!("{login}:{{PLAIN}}secret\n");
    }
    let server = Serving::listening(&config(), &users);
    assert_eq!(server.ask("locked0", "secret"), accepted(HOST));
    let mut users = "alice:{PLAIN}secret\ntwice:{PLAIN}secret\nbare\n".to_owned();
    for (login, field) in &locked {
        users += &format!("{login}:{field}\n");
    }
    users += "new:{PLAIN}secret\ntwice:!\n";
    server.replace("users", &users);
    wait_until("the new user is in", || {
        server.ask("new", "secret") == accepted(HOST)
    });
    for login in locked
        .iter()
        .map(|(login, _)| login.as_str())
        .chain(["twice", "bare"])
    {
        assert_eq!(server.ask(login, "secret"), REFUSED, "{login}");
        assert_eq!(server.ask(login, ""), REFUSED, "{login}");
    }
    assert_eq!(server.ask("alice", "secret"), accepted(HOST));
    let log = server.log();
    for warning in [
        "users:3:1: no colon follows the login",
        "users:21:10: the password scheme is not known",
        "users:24:29: port is not 1 to 65535",
        "users:29:1: the login is also in line 2, and neither line counts: remove one",
    ] {
        assert_eq!(warned(&log, warning), 1, "{warning}: {log}");
    }
    assert!(!log.contains(" ERROR "), "{log}");
}

#[test]
fn the_last_user_of_a_file_can_be_removed() {
    let server = Serving::listening(&config(), "alice:{PLAIN}secret\n");
    assert_eq!(server.ask("alice", "secret"), accepted(HOST));
    server.replace("users", "# alice:{PLAIN}secret\n");
    server.signal(Signal::HUP);
    wait_until("alice is out", || server.ask("alice", "secret") == REFUSED);
    assert!(server.log().contains("users: the file has no users"));
}

/// `user delete` leaves a file that a running server loads at once, and that does not prevent a start.
#[test]
fn the_last_user_is_out_as_soon_as_user_has_deleted_it() {
    let server = Serving::listening(&config(), "alice:{PLAIN}secret\n");
    assert_eq!(server.ask("alice", "secret"), accepted(HOST));
    let program = |words: &[&str]| {
        let mut command = binary::command();
        command
            .arg("--config")
            .arg(server.dir.path().join("auth.toml"));
        binary::output(command.args(words)).status.code()
    };
    assert_eq!(program(&["user", "delete", "alice"]), Some(0));
    let file = server.dir.path().join("users");
    assert_eq!(fs::read_to_string(&file).unwrap(), "# no users\n");
    wait_until("alice is out", || server.ask("alice", "secret") == REFUSED);
    assert!(!server.log().contains("10 s"), "{}", server.log());
    assert_eq!(program(&["check"]), Some(0));
    // An empty file may be only half written.
    fs::write(&file, "").unwrap();
    assert_eq!(program(&["check"]), Some(78));
}

const BROKEN: &str = "bare\nbob:{ROT13}secret\ntwice:{PLAIN}secret\nport:{PLAIN}secret::::::port=0\ntwice:*\n\
                      alice:{PLAIN}secret\n";

const WARNINGS: [(&str, &str, &str); 4] = [
    (
        "bare",
        "users:1:1: no colon follows the login",
        "unusable-entry",
    ),
    (
        "bob",
        "users:2:5: the password scheme is not known",
        "unusable-password",
    ),
    (
        "port",
        "users:4:25: port is not 1 to 65535",
        "unusable-entry",
    ),
    (
        "twice",
        "users:5:1: the login is also in line 3, and neither line counts: remove one",
        "unusable-entry",
    ),
];

/// What a command prints and logs, and whether it succeeds.
fn run(dir: &TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> (bool, String, String) {
    let mut command = binary::command();
    let config = dir.path().join("auth.toml");
    command.env("NGINX_MAIL_AUTH_CONFIG", config);
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(File::open(dir.write("password", "secret\n")).unwrap());
    let output = binary::output(&mut command);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn each_mode_warns_of_each_line_and_refuses_its_login() {
    let dir = TempDir::new();
    dir.write("auth.toml", config());
    dir.write("users", BROKEN);
    let (good, _, said) = run(&dir, &["check"], &[]);
    assert!(good, "{said}");
    for (login, warning, cause) in WARNINGS {
        assert!(said.contains(&format!("{warning}\n")), "{said}");
        // Under CGI the line of the login only is looked at.
        let environment = [
            ("HTTP_AUTH_USER", login),
            ("HTTP_AUTH_PASS", "secret"),
            ("HTTP_AUTH_PROTOCOL", "imap"),
            ("HTTP_CLIENT_IP", "192.0.2.7"),
        ];
        let (_, answer, log) = run(&dir, &[], &environment);
        assert_eq!(answer, REFUSED, "{login}");
        assert!(log.contains(" WARN "), "{log}");
        assert!(log.contains(&format!(" cause={cause} ")), "{log}");
        assert!(log.contains(warning), "{log}");
        let (good, tried, _) = run(&dir, &["test", login], &[]);
        assert!(!good);
        assert!(tried.contains(warning), "{tried}");
    }
    // As mod_fcgid starts it, and as `serve` does.
    let servers = [
        Serving::inheriting_in(dir, &config()),
        Serving::listening(&config(), BROKEN),
    ];
    for server in servers {
        assert_eq!(server.ask("alice", "secret"), accepted(HOST));
        for (login, warning, _) in WARNINGS {
            assert_eq!(server.ask(login, "secret"), REFUSED, "{login}");
            assert_eq!(warned(&server.log(), warning), 1, "{warning}");
        }
    }
}

#[test]
fn no_later_store_lets_a_login_in_whose_line_is_broken() {
    let dir = TempDir::new();
    let second = "[[users]]\nstore = \"file\"\npath = \"second\"\nallow-weak-schemes = true\n";
    let first = format!("{CONFIG}wrong = \"next\"\ntrouble = \"next\"\n");
    dir.write("users", BROKEN);
    let all = "bare:{PLAIN}secret\nbob:{PLAIN}secret\nport:{PLAIN}secret\ntwice:{PLAIN}secret\ncarol:{PLAIN}secret\n";
    dir.write("second", all);
    let server = Serving::inheriting_in(dir, &format!("{first}{second}{ROUTES}"));
    assert_eq!(server.ask("carol", "secret"), accepted(HOST));
    for (login, ..) in WARNINGS {
        assert_eq!(server.ask(login, "secret"), REFUSED, "{login}");
    }
}

/// As above; the log does not name a wrong password either.
#[test]
fn app_passwords_beside_a_broken_line_let_in_and_open_no_later_store() {
    let dir = TempDir::new();
    let apps = "app-passwords-path = \"apps\"\nwrong = \"next\"\ntrouble = \"next\"\n";
    let second = "[[users]]\nstore = \"accept\"\n";
    dir.write("auth.toml", format!("{CONFIG}{apps}{second}{ROUTES}"));
    dir.write("users", BROKEN);
    let logins = WARNINGS.map(|(login, ..)| login);
    dir.write(
        "apps",
        logins
            .map(|login| format!("{login}:{{PLAIN}}app:phone\n"))
            .concat(),
    );
    for (login, _, cause) in WARNINGS {
        for password in ["secret", "app"] {
            let environment = [
                ("HTTP_AUTH_USER", login),
                ("HTTP_AUTH_PASS", password),
                ("HTTP_AUTH_PROTOCOL", "imap"),
                ("HTTP_CLIENT_IP", "192.0.2.7"),
            ];
            let (_, answer, log) = run(&dir, &[], &environment);
            if (login, password) == ("bob", "app") {
                assert!(answer.starts_with("Auth-Status: OK\n"), "{answer}");
                continue;
            }
            assert_eq!(answer, REFUSED, "{login} {password}");
            assert!(log.contains(&format!(" cause={cause} ")), "{log}");
        }
    }
}

/// As `lower-case` makes `alice` of all of them, they are lines of one user.
#[test]
fn a_lock_written_in_another_form_of_the_login_locks() {
    let config = format!("{CONFIG}[logins]\nlower-case = true\n{ROUTES}");
    let users = "alice:{PLAIN}secret\nbob:{PLAIN}secret\nCarl:{PLAIN}secret\n";
    let server = Serving::listening(&config, users);
    let not_carl =
        "users:3:1: this login is never looked up: [logins] rewrites it to \"carl\": write that";
    assert_eq!(warned(&server.log(), not_carl), 1);
    for (login, answer) in [
        ("alice", accepted(HOST)),
        ("Carl", REFUSED.to_owned()),
        ("carl", REFUSED.to_owned()),
    ] {
        assert_eq!(server.ask(login, "secret"), answer, "{login}");
    }
    server.replace("users", &format!("{users}ALICE:!\n"));
    wait_until("the lock is in force", || {
        server.ask("alice", "secret") == REFUSED
    });
    assert_eq!(server.ask("Alice", "secret"), REFUSED);
    assert_eq!(server.ask("bob", "secret"), accepted(HOST));
    let twice = "users:4:1: the login is also in line 1, and neither line counts: remove one";
    assert_eq!(warned(&server.log(), twice), 1);
}

#[test]
fn users_do_not_wait_for_app_passwords_that_cannot_be_used() {
    let dir = TempDir::new();
    let apps = dir.write("apps", "alice:{PLAIN}phone:phone\nbob:{PLAIN}phone:phone\n");
    let config = CONFIG.replace(
        "path = \"users\"",
        "path = \"users\"\napp-passwords-path = \"apps\"",
    );
    let users = "alice:{PLAIN}secret\nbob:{PLAIN}secret\n";
    let server = Serving::listening_in(dir, &format!("{config}{ROUTES}"), users);
    assert_eq!(server.ask("bob", "phone"), accepted(HOST));
    for broken in ["mode", "gone", "half"] {
        server.replace("users", users);
        server.replace("apps", "alice:{PLAIN}phone:phone\nbob:{PLAIN}phone:phone\n");
        wait_until("all is well", || {
            server.ask("bob", "secret") == accepted(HOST)
        });
        match broken {
            "mode" => fs::set_permissions(&apps, fs::Permissions::from_mode(0o666)).unwrap(),
            "gone" => fs::remove_file(&apps).unwrap(),
            _ => server.replace("apps", "alice:{PLAIN}ph"),
        }
        server.replace(
            "users",
            "alice:{PLAIN}secret\nbob:{PLAIN}secret::::::nologin\n",
        );
        wait_until("the user is locked", || {
            server.ask("bob", "secret") == REFUSED
        });
        assert_eq!(server.ask("bob", "phone"), REFUSED, "{broken}");
        assert_eq!(server.ask("alice", "secret"), accepted(HOST), "{broken}");
        // The app passwords before stay in force.
        assert_eq!(server.ask("alice", "phone"), accepted(HOST), "{broken}");
        assert_eq!(server.ask("alice", "ph"), REFUSED, "{broken}");
    }
    let kept = "the previous app passwords stay in force, the users are loaded";
    assert!(server.log().contains(kept), "{}", server.log());
}

#[test]
fn of_unknown_hosts_the_first_twenty_are_named() {
    let user = |number| format!("user{number}:{{PLAIN}}secret::::::host=host{number}\n");
    let users: String = (1..=23).map(user).collect();
    let server = Serving::listening(&config(), &users);
    for (number, times) in [(1, 1), (20, 1), (21, 0)] {
        let what = format!("users:{number}:1: host=host{number} is neither");
        assert_eq!(warned(&server.log(), &what), times, "{number}");
    }
    assert_eq!(warned(&server.log(), "users: and 3 more of this kind"), 1);
    server.replace("users", &(users + "new:{PLAIN}secret\n"));
    wait_until("it is loaded", || {
        server.ask("new", "secret") == accepted(HOST)
    });
    let loads = warned(&server.log(), "users: and 3 more of this kind");
    assert!(loads >= 2);
    let told = warned(&server.log(), "is neither in [hosts] nor an address");
    assert_eq!(told, 20 * loads);
}

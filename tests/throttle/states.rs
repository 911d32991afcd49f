//! Where the counts are: shared by processes, and what happens when they cannot be had.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use std::net::Ipv4Addr;

use super::redis::Redis;
use super::*;
use crate::certificates::Certificates;
use crate::e2e::process::{free_port, program};

use Said::{In, Out, Temporary};

const HERE: &str = "192.0.2.10";
const WAITS: [Said; 8] = [
    Out(0),
    Out(0),
    Out(0),
    Out(0),
    Out(2),
    Out(4),
    Out(8),
    Out(15),
];

/// What one process counts, the others know.
fn is_shared(one: &dyn Asked, other: &dyn Asked) {
    for (number, expected) in WAITS.into_iter().enumerate() {
        let whom = if number % 2 == 0 { one } else { other };
        let password = format!("secret-wrong-{number}");
        assert_eq!(whom.log_in(HERE, "alice", &password), expected);
        // The same one, asked of the other, is known.
        let again = if number % 2 == 0 { other } else { one };
        if number < 7 {
            assert_eq!(again.log_in(HERE, "alice", &password), expected);
        }
    }
    assert_eq!(one.log_in(HERE, "alice", "secret-right"), Out(15));
    assert_eq!(other.log_in(HERE, "alice", "secret-right"), Out(15));
    assert_eq!(one.log_in("192.0.2.11", "alice", "secret-right"), In);
    // A success is known too.
    assert_eq!(one.log_in("192.0.2.12", "bob", "secret-right"), In);
    assert_eq!(other.fail("192.0.2.12", "bob", 9), vec![Out(0); 9]);
}

#[test]
fn an_sqlite_file_is_shared_by_cgi_programs_and_servers() {
    let cgi = Cgi::new(&config("state = \"sqlite:state.db\""));
    let path = cgi.0.path().join("state.db");
    let server = Serving::listening(
        &config(&format!("state = \"sqlite:{}\"", path.display())),
        USERS,
    );
    is_shared(&cgi, &server);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // No part of a password is in it, and none of the names of its digests.
    let content = fs::read(&path).unwrap();
    assert!(
        !content
            .windows(5)
            .any(|window| window == b"secret-wrong" || window == b"secret-right")
    );
}

#[test]
fn many_processes_at_once_lose_no_count() {
    let cgi = Cgi::new(&config(
        "state = \"sqlite:state.db\"\nrefuse-network = 1000\ntimeout-ms = 5000",
    ));
    std::thread::scope(|scope| {
        for thread in 0..12 {
            let cgi = &cgi;
            scope.spawn(move || {
                for number in 0..3 {
                    // Each login once: all are counted for the network.
                    let login = format!("guess-{thread}-{number}");
                    cgi.log_in(HERE, &login, "secret-wrong");
                }
            });
        }
    });
    let list = program_in(&cgi.0)
        .args(["throttle", "list"])
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let network = list
        .lines()
        .find(|line| line.ends_with(" network=192.0.2.10/32"));
    assert!(network.unwrap().contains(" failures=36 "), "{list}");
}

#[test]
fn redis_is_shared_by_servers_and_cgi_programs() {
    let redis = Redis::start();
    let keys = redis.keys();
    let cgi = Cgi::new(&config(&keys));
    let server = Serving::listening(&config(&keys), USERS);
    is_shared(&cgi, &server);
    // Over the Unix socket it is the same; in another database it is another one.
    let socket = redis.folder.path().join("redis.sock");
    let file = redis.password_file();
    let keys = format!(
        "state = \"redis+unix:{}\"\npassword-file = {file:?}\n",
        socket.display()
    );
    let unix = Cgi::new(&config(&keys));
    assert_eq!(unix.log_in(HERE, "alice", "secret-right"), Out(15));
    let port = redis.port;
    let keys =
        format!("state = \"redis://default@127.0.0.1:{port}/3\"\npassword-file = {file:?}\n");
    let other = Cgi::new(&config(&keys));
    assert_eq!(other.log_in(HERE, "alice", "secret-right"), In);
}

#[test]
fn redis_over_tls_must_show_a_certificate_of_its_name() {
    let certificates = Certificates::made_for("DNS:localhost");
    let tls = free_port(Ipv4Addr::LOCALHOST);
    let lines = format!(
        "tls-port {tls}\ntls-cert-file {}\ntls-key-file {}\ntls-auth-clients no",
        certificates.certificate().display(),
        certificates.key().display()
    );
    let redis = Redis::start_with(free_port(Ipv4Addr::LOCALHOST), &lines);
    let keys = |host: &str| {
        let (file, ca) = (redis.password_file(), certificates.ca());
        config(&format!(
            "state = \"rediss://{host}:{tls}\"\npassword-file = {file:?}\nca-file = {ca:?}\n\
             without-state = \"refuse\""
        ))
    };
    let cgi = Cgi::new(&keys("localhost"));
    assert_eq!(cgi.fail(HERE, "alice", 8), WAITS);
    assert_eq!(cgi.log_in(HERE, "alice", "secret-right"), Out(15));
    let other_name = Cgi::new(&keys("127.0.0.1"));
    assert_eq!(other_name.log_in(HERE, "bob", "secret-right"), Temporary);
}

/// Goes on, one warning for each outage, and the counts of before are there afterwards.
#[test]
fn redis_that_is_stopped_killed_and_back_changes_no_answer() {
    use rustix::process::Signal;
    let redis = Redis::start();
    let server = Serving::listening(&config(&redis.keys()), USERS);
    let warned = |server: &Serving| {
        log_of(
            server,
            "throttle: the counts cannot be had: redis://127.0.0.1",
        )
    };
    assert_eq!(server.fail(HERE, "alice", 8), WAITS);
    redis.server.signal_all(Signal::STOP);
    for _ in 0..10 {
        assert_eq!(server.log_in(HERE, "bob", "secret-right"), In);
        assert_eq!(server.log_in(HERE, "bob", "secret-wrong"), Out(0));
    }
    assert_eq!(warned(&server), 1, "{}", server.log());
    // Meanwhile the process counts on its own.
    assert_eq!(server.fail("192.0.2.50", "bob", 8), WAITS);
    redis.server.signal_all(Signal::CONT);
    wait_until("the counts are back", || {
        server.log_in(HERE, "alice", "secret-right") == Out(15)
    });
    wait_until("it is said", || {
        log_of(&server, "throttle: the counts can be had again") == 1
    });
    let port = redis.port;
    drop(redis);
    for _ in 0..10 {
        assert_eq!(server.log_in(HERE, "bob", "secret-right"), In);
    }
    assert_eq!(warned(&server), 2, "{}", server.log());
    let _again = Redis::start_on(port);
    wait_until("it is asked again", || {
        server.log_in(HERE, "bob", "secret-right");
        log_of(&server, "can be had again") == 2
    });
}

#[test]
fn without_the_counts_nobody_gets_in_where_that_is_wanted() {
    {
        let port = free_port(Ipv4Addr::LOCALHOST);
        let keys = format!("state = \"redis://127.0.0.1:{port}\"\nwithout-state = \"refuse\"");
        let server = Serving::listening(&config(&keys), USERS);
        for _ in 0..3 {
            assert_eq!(server.log_in(HERE, "alice", "secret-right"), Temporary);
            assert_eq!(server.log_in(HERE, "alice", "secret-wrong"), Temporary);
        }
        assert_eq!(log_of(&server, "the counts cannot be had"), 1);
        assert_eq!(
            log_of(&server, "answer=temporary cause=throttle-trouble"),
            6
        );
    }
    {
        let cgi = Cgi::new(&config(
            "state = \"sqlite:nowhere/state.db\"\nwithout-state = \"refuse\"",
        ));
        assert_eq!(cgi.log_in(HERE, "alice", "secret-right"), Temporary);
    }
}

#[test]
fn a_state_file_that_cannot_be_used_changes_no_answer() {
    for (what, make) in [
        ("no folder", None),
        (
            "not a database",
            Some((
                "state.db",
                &b"this is no database, but long enough to be read as one. ".repeat(40)[..],
                0o600,
            )),
        ),
        ("writable for others", Some(("state.db", &b""[..], 0o622))),
    ] {
        let state = if make.is_none() {
            "sqlite:nowhere/state.db"
        } else {
            "sqlite:state.db"
        };
        let cgi = Cgi::new(&config(&format!("state = \"{state}\"")));
        if let Some((name, content, mode)) = make {
            let path = cgi.0.write(name, content);
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        assert_eq!(cgi.log_in(HERE, "alice", "secret-right"), In, "{what}");
        assert_eq!(cgi.fail(HERE, "alice", 10), vec![Out(0); 10], "{what}");
        let output = cgi.run(&[
            ("HTTP_AUTH_USER", "alice"),
            ("HTTP_AUTH_PASS", "secret-wrong"),
            ("HTTP_CLIENT_IP", HERE),
            ("HTTP_X_AUTH_KEY", KEY),
        ]);
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            log.matches("throttle: the counts cannot be had").count(),
            1,
            "{what}: {log}"
        );
        let check = program_in(&cgi.0).arg("check").output().unwrap();
        assert_eq!(check.status.code(), Some(78), "{what}");
        let said = String::from_utf8(check.stderr).unwrap();
        assert!(said.contains("throttle.state: "), "{said}");
    }
}

/// Counts of a full disk, or of a copy: they are believed, and what cannot be written there is counted
/// by each process.
#[test]
fn counts_that_can_only_be_read_are_no_way_to_guess() {
    let redis = Redis::start();
    let server = Serving::listening(&config(&redis.keys()), USERS);
    assert_eq!(server.fail(HERE, "alice", 8), WAITS);
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let from = "192.0.2.60";
    assert_eq!(server.fail(from, "bob", 8), WAITS);
    assert_eq!(server.log_in(from, "bob", "secret-right"), Out(15));
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), Out(15));
    assert_eq!(server.log_in("192.0.2.61", "bob", "secret-right"), In);
    assert_eq!(
        log_of(&server, "the counts cannot be written"),
        1,
        "{}",
        server.log()
    );
    assert_eq!(log_of(&server, "again"), 0, "{}", server.log());
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    wait_until("they can be written", || {
        server.log_in("192.0.2.62", "nobody", "secret-wrong");
        log_of(&server, "the counts can be written again") == 1
    });
    // A failure does not outlive its window there.
    let seconds = redis.command(&["TTL", "{nginx-mail-auth}:p 192.0.2.10/32 alice"]);
    assert!((1..=600).contains(&seconds.parse().unwrap()), "{seconds}");
}

/// Many guesses at once are counted each; nobody else notices.
#[test]
fn guesses_at_once_leave_the_counts_of_redis_in_order() {
    let redis = Redis::start();
    let config = config(&(redis.keys() + "without-state = \"refuse\"\ntimeout-ms = 5000"));
    let servers = [(); 3].map(|()| Serving::listening(&config, USERS));
    std::thread::scope(|scope| {
        for number in 0..30 {
            let server = &servers[number % 3];
            scope.spawn(move || {
                let password = format!("secret-wrong-{number}");
                assert_ne!(server.log_in(HERE, "alice", &password), Temporary);
            });
        }
        for _ in 0..20 {
            assert_eq!(servers[0].log_in("192.0.2.99", "bob", "secret-right"), In);
        }
    });
    for server in &servers {
        assert_eq!(server.log_in(HERE, "alice", "secret-right"), Out(15));
        assert_eq!(log_of(server, "the counts cannot"), 0, "{}", server.log());
    }
}

/// Root looks first, and the program, which is somebody else, can use the file afterwards.
#[test]
fn a_state_file_that_root_makes_belongs_to_the_owner_of_its_folder() {
    let cgi = Cgi::new(&config("state = \"sqlite:state/state.db\""));
    let folder = cgi.0.path().join("state");
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::chown(&folder, Some(65534), Some(65534)).unwrap();
    assert!(program_in(&cgi.0).arg("check").status().unwrap().success());
    let file = fs::metadata(folder.join("state.db")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&file), 65534);
    // And root can look again.
    let list = program_in(&cgi.0)
        .args(["throttle", "list"])
        .status()
        .unwrap();
    assert!(list.success());
}

/// What root reads there would be up to somebody else.
#[test]
fn a_state_file_that_somebody_planted_is_not_taken_by_root() {
    let cgi = Cgi::new(&config("state = \"sqlite:state/state.db\""));
    let folder = cgi.0.path().join("state");
    fs::create_dir(&folder).unwrap();
    cgi.0.write("state/state.db", "");
    let file = folder.join("state.db");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::chown(&file, Some(65534), Some(65534)).unwrap();
    let check = || {
        let out = util::output(program_in(&cgi.0).arg("check"));
        (out.status.success(), String::from_utf8(out.stderr).unwrap())
    };
    for mode in [0o777, 0o1777, 0o770, 0o2775] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        let (good, said) = check();
        let why = format!("state may be written by others (mode {mode:04o}, owner 0): ");
        assert!(!good && said.contains(&why), "{said}");
        assert_eq!(cgi.log_in(HERE, "alice", "secret-right"), In);
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let (good, said) = check();
    let why = "state.db: belongs to user 65534, neither to root nor to the user we run as (0)";
    assert!(!good && said.contains(why), "{said}");
    assert_eq!(cgi.log_in(HERE, "alice", "secret-right"), In);
    fs::remove_file(&file).unwrap();
    // SQLite would take these for a part of it.
    let planted = |suffix: &str| folder.join(format!("state.db{suffix}"));
    for suffix in ["-journal", "-wal", "-shm"] {
        let path = planted(suffix);
        fs::write(&path, "").unwrap();
        std::os::unix::fs::chown(&path, Some(65534), Some(65534)).unwrap();
        let (good, said) = check();
        let why = format!("state.db{suffix}: belongs to user 65534, neither");
        assert!(!good && said.contains(&why), "{said}");
        fs::remove_file(&path).unwrap();
        let fifo = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, mode, 0).unwrap();
        let (good, said) = check();
        let why = format!("state.db{suffix}: is not a regular file");
        assert!(!good && said.contains(&why), "{said}");
        fs::remove_file(&path).unwrap();
    }
    // The owner of a folder has no way to be given a file of root.
    let target = cgi.0.write("target", "");
    std::os::unix::fs::chown(&folder, Some(65534), Some(65534)).unwrap();
    fs::hard_link(&target, planted("-journal")).unwrap();
    let (good, said) = check();
    assert!(
        !good && said.contains("state.db-journal: has 2 hard links"),
        "{said}"
    );
    assert_eq!(
        std::os::unix::fs::MetadataExt::uid(&fs::metadata(&target).unwrap()),
        0
    );
    fs::remove_file(planted("-journal")).unwrap();
    assert!(check().0);
}

#[test]
fn another_database_is_not_taken_for_the_state() {
    let cgi = Cgi::new(&config("state = \"sqlite:users.db\""));
    let file = cgi.0.write("users.db", "");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let database = rusqlite::Connection::open(&file).unwrap();
    database
        .execute_batch("CREATE TABLE users (login)")
        .unwrap();
    let out = util::output(program_in(&cgi.0).arg("check"));
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(said.contains("users.db: is another database"), "{said}");
    cgi.fail(HERE, "alice", 1);
    let tables: u32 = database
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
}

/// Counting has its part of the time that a decision may take, and no more.
#[test]
fn counts_that_cannot_be_written_do_not_move_the_deadline() {
    let text = config("state = \"sqlite:state.db\"\ntimeout-ms = 5000");
    let server = Serving::listening(&format!("{text}[limits]\ndeadline = 1\n"), USERS);
    assert_eq!(server.log_in(HERE, "alice", "secret-wrong"), Out(0));
    let path = server.dir.path().join("state.db");
    let writer = rusqlite::Connection::open(path).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = std::time::Instant::now();
    assert_eq!(server.log_in(HERE, "alice", "secret-other"), Out(0));
    // Long before the five seconds.
    assert!(start.elapsed().as_secs() < 4, "{:?}", start.elapsed());
}

/// Tidying needs room for sorting, which a sandbox has none of on disk.
#[test]
fn the_state_file_is_bounded_in_a_sandbox_too() {
    let server = Serving::listening(
        &config("state = \"sqlite:state.db\"\ntimeout-ms = 5000"),
        USERS,
    );
    assert_eq!(server.fail(HERE, "alice", 1), [Out(0)]);
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) \
                INSERT INTO record SELECT CAST('l ' || printf('%0240d', i) AS BLOB), \
                CAST('1 ' || unixepoch() || ' 0 0001' AS BLOB), 0, unixepoch() + 600 FROM n; \
                SELECT 'filled';";
    let database = server.dir.path().join("state.db");
    let sql = |statement: &str| {
        let output = Command::new(program("sqlite3", "sqlite3"))
            .args(["-cmd", ".timeout 20000"])
            .arg(&database)
            .arg(statement)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(sql(fill), "filled");
    let mut number = 0;
    wait_until("it is tidied", || {
        for _ in 0..200 {
            number += 1;
            server.log_in(
                &format!("203.0.{}.{}", number / 250, number % 250),
                "bob",
                "secret-wrong",
            );
        }
        sql("SELECT count(*) FROM record").parse::<u32>().unwrap() <= 50_000
    });
    assert_eq!(log_of(&server, "the counts cannot"), 0, "{}", server.log());
}

/// A lock that somebody holds costs the time that is allowed for it, once, and no answer.
#[test]
fn a_state_file_that_somebody_locks_changes_no_answer() {
    let config = config("state = \"sqlite:state.db\"");
    let server = Serving::listening(&config, USERS);
    assert_eq!(server.fail(HERE, "alice", 8), WAITS);
    let mut sqlite = Command::new(program("sqlite3", "sqlite3"))
        .arg(server.dir.path().join("state.db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::{BufRead as _, Write as _};
    let mut input = sqlite.stdin.take().unwrap();
    input
        .write_all(b"BEGIN EXCLUSIVE; SELECT 'locked';\n")
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(sqlite.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "locked\n");
    assert_eq!(server.log_in(HERE, "bob", "secret-right"), In);
    assert_eq!(server.log_in(HERE, "bob", "secret-wrong"), Out(0));
    drop(input);
    sqlite.wait().unwrap();
    assert_eq!(
        log_of(&server, "the counts cannot be had"),
        1,
        "{}",
        server.log()
    );
    wait_until("the counts are back", || {
        server.log_in(HERE, "alice", "secret-right") == Out(15)
    });
}

/// Another file in its place, and none at all, are used as they are found.
#[test]
fn a_state_file_that_is_removed_is_made_anew() {
    let server = Serving::listening(&config("state = \"sqlite:state.db\""), USERS);
    assert_eq!(server.fail(HERE, "alice", 8), WAITS);
    fs::remove_file(server.dir.path().join("state.db")).unwrap();
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), In);
    assert!(server.dir.path().join("state.db").exists());
    // What the wrong ones are digested with is another one too, for whoever knew the one before.
    assert_eq!(server.log_in(HERE, "bob", "secret-old-phone"), Out(0));
    let new_process = util::output(
        program_in(&server.dir)
            .env("GATEWAY_INTERFACE", "CGI/1.1")
            .envs([
                ("HTTP_AUTH_USER", "bob"),
                ("HTTP_AUTH_PASS", "secret-old-phone"),
                ("HTTP_CLIENT_IP", HERE),
                ("HTTP_X_AUTH_KEY", KEY),
            ]),
    );
    assert!(new_process.stdout.starts_with(REFUSED.as_bytes()));
    let list = util::output(program_in(&server.dir).args(["throttle", "list"]));
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(
        list.contains("failures=1 ") && !list.contains("failures=2 "),
        "{list}"
    );
}

/// Guesses that processes make at once are counted each, however many they are, and those beyond the
/// bound are refused as if nobody had been asked.
#[test]
fn guesses_that_cgi_programs_make_at_once_are_counted_each() {
    let cgi = Cgi::new(&config(
        "state = \"sqlite:state.db\"\nfree-failures = 0\nrefuse-network = 1000",
    ));
    let outputs: Vec<_> = std::thread::scope(|scope| {
        let guess = |number| {
            let cgi = &cgi;
            scope.spawn(move || {
                let password = format!("secret-wrong-{number}");
                cgi.run(&[
                    ("HTTP_AUTH_USER", "alice"),
                    ("HTTP_AUTH_PASS", &password),
                    ("HTTP_CLIENT_IP", HERE),
                    ("HTTP_X_AUTH_KEY", KEY),
                ])
            })
        };
        let guesses: Vec<_> = (0..60).map(guess).collect();
        guesses
            .into_iter()
            .map(|guess| guess.join().unwrap())
            .collect()
    });
    let mut causes = [0, 0];
    for output in outputs {
        let log = String::from_utf8(output.stderr).unwrap();
        causes[0] += log.matches("cause=wrong-password").count();
        causes[1] += log.matches("cause=throttled").count();
    }
    assert_eq!(causes, [4, 56]);
    assert_eq!(cgi.log_in(HERE, "alice", "secret-right"), Out(15));
}

/// A process that ends with its request cannot count on its own: it decides nothing while others hold
/// the counts, or guesses would be free.
#[test]
fn a_cgi_program_decides_nothing_while_the_counts_are_locked() {
    let cgi = Cgi::new(&format!(
        "{}\n[limits]\ndeadline = 1\n",
        config("state = \"sqlite:state.db\"")
    ));
    assert_eq!(cgi.log_in(HERE, "alice", "secret-wrong"), Out(0));
    let other = rusqlite::Connection::open(cgi.0.path().join("state.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    for password in ["secret-right", "secret-wrong"] {
        assert_eq!(cgi.log_in(HERE, "alice", password), Temporary);
    }
    drop(other);
    assert_eq!(cgi.log_in(HERE, "alice", "secret-right"), In);
}

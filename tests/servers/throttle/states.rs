//! Counts that processes share, and the program while they are unavailable.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use std::net::Ipv4Addr;

use crate::support::redis::Redis;
use std::process::{Command, Stdio};

use crate::support::binary;
use crate::support::certificates::Certificates;
use crate::support::process::wait_until;
use crate::support::process::{free_port, program};
use crate::support::serving::Serving;
use crate::support::throttled::*;

use Said::{In, Out, Temporary};

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
            "throttle: cannot read the counts: redis://127.0.0.1",
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
        log_of(&server, "throttle: can read the counts again") == 1
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
        log_of(&server, "throttle: can read the counts again") == 2
    });
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
        log_of(&server, "cannot write the counts"),
        1,
        "{}",
        server.log()
    );
    assert_eq!(log_of(&server, "again"), 0, "{}", server.log());
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    wait_until("they can be written", || {
        server.log_in("192.0.2.62", "nobody", "secret-wrong");
        log_of(&server, "can write the counts again") == 1
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
        let out = binary::output(program_in(&cgi.0).arg("check"));
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
        log_of(&server, "cannot read the counts"),
        1,
        "{}",
        server.log()
    );
    wait_until("the counts are back", || {
        server.log_in(HERE, "alice", "secret-right") == Out(15)
    });
}

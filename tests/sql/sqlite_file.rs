//! The file of SQLite: whose it is, who holds it, how long a statement may take.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::people::sqlite;
use super::service::{Ask, OK, REFUSED, Service, TEMPORARY, cgi, command, folder, users};
use crate::e2e::process::{need_root, program, wait_until};
use crate::util::TempDir;

const QUERY: &str = "SELECT password FROM users WHERE login = :login";
const TABLE: &str = "CREATE TABLE users (login TEXT PRIMARY KEY, password TEXT);";

fn with_user(dir: &TempDir, login: &str) -> String {
    sqlite(
        dir,
        &format!("{TABLE} INSERT INTO users VALUES ('{login}', '{{PLAIN}}right');"),
    )
}

#[test]
fn a_path_is_relative_to_the_configuration() {
    let dir = folder(&users("sqlite:users.db", QUERY, ""));
    with_user(&dir, "alice");
    cgi(&dir, &Ask::new("alice", "right")).must_be(OK, "accepted");
    let checked = command(&dir, &["check"]);
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn a_file_that_is_not_there_or_not_ours_is_not_used() {
    need_root();
    let dir = folder(&users("sqlite:users.db", QUERY, ""));
    let alice = Ask::new("alice", "right");
    let refused = |why: &str| {
        cgi(&dir, &alice).must_be_trouble(why);
        let served = command(&dir, &["serve", "--listen", "127.0.0.1:0"]);
        let printed = String::from_utf8_lossy(&served.stderr);
        assert_eq!(served.status.code(), Some(78), "{printed}");
        assert!(printed.contains("auth.toml:4:7: users.url: "), "{printed}");
        assert!(printed.contains(why), "{printed}");
    };
    refused("users.db: cannot be read: No such file or directory");
    let file = with_user(&dir, "alice");
    cgi(&dir, &alice).must_be(OK, "accepted");
    fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
    refused("users.db: may be written by others (mode 0664): chmod go-w");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    chown(&file, Some(65534), None).unwrap();
    refused("users.db: belongs to user 65534, neither to root nor to the user we run as");
    chown(&file, Some(0), None).unwrap();
    cgi(&dir, &alice).must_be(OK, "accepted");
    fs::write(&file, "what is no database: ".repeat(100)).unwrap();
    refused("file is not a database");
}

/// A log beside a database, by somebody who can write to the folder, replaces what is in it.
#[test]
fn what_is_beside_the_file_counts_as_much_as_the_file() {
    need_root();
    let dir = folder(&users("sqlite:data/users.db", QUERY, ""));
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::rename(with_user(&dir, "alice"), data.join("users.db")).unwrap();
    let mode = |mode| fs::set_permissions(&data, Permissions::from_mode(mode)).unwrap();
    mode(0o755);
    let alice = Ask::new("alice", "right");
    let refused = |why: &str| {
        cgi(&dir, &alice).must_be_trouble(why);
        for arguments in [&["check"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let said = command(&dir, arguments);
            let printed = String::from_utf8_lossy(&said.stderr);
            assert_eq!(said.status.code(), Some(78), "{printed}");
            assert!(printed.contains(why), "{printed}");
        }
    };
    cgi(&dir, &alice).must_be(OK, "accepted");
    for folder in [0o777, 0o1777, 0o2775, 0o775] {
        mode(folder);
        refused(&format!(
            "data may be written by others (mode {folder:04o}, owner 0): "
        ));
    }
    mode(0o755);
    chown(&data, Some(65534), None).unwrap();
    cgi(&dir, &alice).must_be_trouble("data belongs to user 65534, neither to root nor");
    chown(&data, Some(0), None).unwrap();
    for suffix in ["-wal", "-shm", "-journal"] {
        let path = data.join(format!("users.db{suffix}"));
        let companion = |why: &str| {
            refused(&format!("users.db{suffix}: {why}"));
            fs::remove_file(&path).unwrap();
        };
        fs::write(&path, "").unwrap();
        chown(&path, Some(65534), None).unwrap();
        companion("belongs to user 65534, neither to root nor");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
        companion("may be written by others (mode 0664): chmod go-w");
        symlink("/dev/null", &path).unwrap();
        companion("is not a regular file");
        fs::hard_link(data.join("users.db"), &path).unwrap();
        companion("has 2 hard links");
    }
    cgi(&dir, &alice).must_be(OK, "accepted");
    // A link in a folder that others can write to leads nowhere.
    mode(0o1777);
    fs::rename(data.join("users.db"), dir.path().join("real.db")).unwrap();
    symlink("../real.db", data.join("users.db")).unwrap();
    refused("data may be written by others (mode 1777, owner 0): ");
    mode(0o755);
    cgi(&dir, &alice).must_be(OK, "accepted");
}

/// A folder that becomes writable is noticed by a reload.
#[test]
fn a_reload_looks_at_the_folder_again() {
    need_root();
    let dir = folder(&users("sqlite:data/users.db", QUERY, ""));
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::rename(with_user(&dir, "alice"), data.join("users.db")).unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    let service = Service::start_in(dir);
    service
        .ask(&Ask::new("alice", "right"))
        .must_be(OK, "accepted");
    fs::set_permissions(&data, Permissions::from_mode(0o1777)).unwrap();
    let config = fs::read(service.dir().path().join("auth.toml")).unwrap();
    service
        .dir()
        .write("auth.toml", [&config[..], b"\n# changed\n"].concat());
    wait_until("the reload is refused", || {
        service.ask(&Ask::new("alice", "right"));
        service
            .log()
            .contains("data may be written by others (mode 1777, owner 0): ")
    });
}

#[test]
fn the_file_is_only_read() {
    let dir = folder(&users(
        "sqlite:users.db",
        "DELETE FROM users WHERE login = :login RETURNING password",
        "",
    ));
    with_user(&dir, "alice");
    let checked = command(&dir, &["check"]);
    let printed = String::from_utf8_lossy(&checked.stderr);
    assert!(
        printed.contains("it writes, and the file is only read"),
        "{printed}"
    );
    cgi(&dir, &Ask::new("alice", "right")).must_be_trouble("readonly database");
    dir.write(
        "auth.toml",
        users("sqlite:users.db", QUERY, "") + "[routes]\ndefault = \"192.0.2.1\"",
    );
    cgi(&dir, &Ask::new("alice", "right")).must_be(OK, "accepted");
}

#[test]
fn changes_and_replacements_count_at_once() {
    let service = {
        let dir = folder(&users("sqlite:users.db", QUERY, ""));
        with_user(&dir, "alice");
        Service::start_in(dir)
    };
    let dir = service.dir();
    let file = dir.path().join("users.db");
    let (alice, bob) = (Ask::new("alice", "right"), Ask::new("bob", "right"));
    service.ask(&alice).must_be(OK, "accepted");
    service.ask(&bob).must_be(REFUSED, "unknown-user");
    sqlite(dir, "UPDATE users SET password = '{PLAIN}new'");
    service.ask(&alice).must_be(REFUSED, "wrong-password");
    service
        .ask(&Ask::new("alice", "new"))
        .must_be(OK, "accepted");
    // The columns are others now, under a statement that is prepared.
    sqlite(
        dir,
        "ALTER TABLE users ADD COLUMN nologin; UPDATE users SET password = '!'",
    );
    service.ask(&alice).must_be(REFUSED, "no-password");
    let other = TempDir::new();
    fs::rename(with_user(&other, "bob"), &file).unwrap();
    service.ask(&bob).must_be(OK, "accepted");
    service.ask(&alice).must_be(REFUSED, "unknown-user");
    fs::rename(&file, dir.path().join("away")).unwrap();
    service.ask(&bob).must_be_trouble("No such file");
    fs::rename(dir.path().join("away"), &file).unwrap();
    service.ask(&bob).must_be(OK, "accepted");
    let log = service.log();
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
    assert_eq!(log.matches("users.db answers again").count(), 1, "{log}");
}

#[test]
fn the_columns_are_those_of_the_table_as_it_is() {
    let service = {
        let dir = folder(&users(
            "sqlite:users.db",
            "SELECT * FROM users WHERE login = :login",
            "",
        ));
        with_user(&dir, "alice");
        Service::start_in(dir)
    };
    let alice = Ask::new("alice", "right");
    service.ask(&alice).must_be(OK, "accepted");
    let change = "ALTER TABLE users RENAME TO old; CREATE TABLE users AS SELECT 1 AS nologin, \
                  '192.0.2.9' AS host, login, password FROM old;";
    sqlite(service.dir(), change);
    service.ask(&alice).must_be(REFUSED, "disabled");
}

#[test]
fn a_lock_that_is_held_too_long_is_a_temporary_failure() {
    let service = {
        let dir = folder(&users("sqlite:users.db", QUERY, "timeout = 1"));
        with_user(&dir, "alice");
        Service::start_in(dir)
    };
    let alice = Ask::new("alice", "right");
    let mut holder = Command::new(program("sqlite3", "sqlite3"))
        .arg(service.dir().path().join("users.db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = holder.stdin.take().unwrap();
    let mut output = BufReader::new(holder.stdout.take().unwrap());
    input
        .write_all(b"BEGIN EXCLUSIVE; SELECT 'held';\n")
        .unwrap();
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    for ask in [&|| service.ask(&alice), &|| cgi(service.dir(), &alice)] as [&dyn Fn() -> _; 2] {
        let reply = ask();
        reply.must_be_trouble("users.db is locked by another program");
        let late = reply.took.checked_sub(Duration::from_secs(1)).unwrap();
        assert!(late < Duration::from_millis(500), "{:?}", reply.took);
    }
    // One that is held for a moment is waited for.
    let asker = service.asker();
    let waiting = std::thread::spawn(move || asker(&Ask::new("alice", "right")));
    std::thread::yield_now();
    input.write_all(b"COMMIT; SELECT 'done';\n").unwrap();
    assert_eq!(waiting.join().unwrap().0, OK);
    drop(input);
    holder.wait().unwrap();
}

#[test]
fn a_statement_that_takes_too_long_is_ended() {
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE :login = \
                   'slow' OR i < 2) SELECT password FROM users, n WHERE login = :login AND i = 1";
    let service = {
        let dir = folder(&users("sqlite:users.db", endless, "timeout = 1"));
        with_user(&dir, "alice");
        sqlite(&dir, "INSERT INTO users VALUES ('slow', '{PLAIN}right')");
        Service::start_in(dir)
    };
    service
        .ask(&Ask::new("alice", "right"))
        .must_be(OK, "accepted");
    let reply = service.ask(&Ask::new("slow", "right"));
    reply.must_be(TEMPORARY, "store-trouble");
    assert!(
        reply.line.contains("the statement took too long"),
        "{}",
        reply.line
    );
    let late = reply.took.checked_sub(Duration::from_secs(1)).unwrap();
    assert!(late < Duration::from_millis(500), "{:?}", reply.took);
    service
        .ask(&Ask::new("alice", "right"))
        .must_be(OK, "accepted");
}

/// A writer that is at work all the time, in either journal mode, keeps nobody out.
#[test]
fn a_busy_writer_keeps_nobody_out() {
    for mode in ["delete", "wal"] {
        let service = {
            let dir = folder(&users("sqlite:users.db", QUERY, ""));
            with_user(&dir, "alice");
            sqlite(&dir, &format!("PRAGMA journal_mode = {mode}"));
            Service::start_in(dir)
        };
        let mut writer = Command::new(program("sqlite3", "sqlite3"))
            .arg(service.dir().path().join("users.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = writer.stdin.take().unwrap();
        let written = std::thread::spawn(move || {
            input.write_all(b".timeout 5000\n").unwrap();
            for number in 0..300 {
                let sql = format!("INSERT INTO users VALUES ('user-{number}', '!');\n");
                input.write_all(sql.as_bytes()).unwrap();
            }
        });
        let mut asked = 0;
        wait_until("the writer", || {
            service
                .ask(&Ask::new("alice", "right"))
                .must_be(OK, "accepted");
            asked += 1;
            asked >= 200 && written.is_finished()
        });
        written.join().unwrap();
        assert!(writer.wait().unwrap().success());
        let last = service.ask(&Ask::new("user-299", "x"));
        last.must_be(REFUSED, "no-password");
    }
}

/// Whoever fills the table is not trusted with our memory.
#[test]
fn a_value_or_rows_of_any_size_cost_no_memory() {
    let dir = TempDir::new();
    let apps = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) \
                INSERT INTO apps SELECT 'bob', printf('{PLAIN}%.*c', 900000, 'x') FROM n;";
    let file = sqlite(
        &dir,
        &format!(
            "{TABLE} CREATE TABLE apps (login TEXT, password TEXT); \
             INSERT INTO users VALUES ('alice', zeroblob(100000000)); \
             INSERT INTO users VALUES ('bob', '{{PLAIN}}right'); {apps}"
        ),
    );
    let query = format!(
        "app-passwords-query = \"{}\"",
        QUERY
            .replace("users", "apps")
            .replace("SELECT ", "SELECT login, ")
    );
    let service = Service::start(&users(&format!("sqlite:{file}"), QUERY, &query));
    let before = service.peak();
    for (login, why) in [
        (
            "alice",
            "query: the database refuses the statement: string or blob too big",
        ),
        (
            "bob",
            "app-passwords-query: the database refuses the statement: its rows have more than \
             1048576 bytes",
        ),
    ] {
        let ask = Ask::new(login, "right");
        for reply in [service.ask(&ask), cgi(service.dir(), &ask)] {
            reply.must_be_trouble(why);
        }
    }
    let grown = service.peak() - before;
    assert!(grown < 32 * 1024, "{grown} kB");
}

#[test]
fn check_names_the_columns_of_which_nothing_is_made() {
    let query = "SELECT password, login AS user, 'x' AS \"pass\", login AS destuser FROM users WHERE login = :login";
    let dir = folder(&users("sqlite:users.db", query, ""));
    with_user(&dir, "alice");
    let output = command(&dir, &["check"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let warning = "users: store people: query: nothing is made of these columns: user, pass\n";
    assert!(said.contains(warning), "{said}");
    assert!(output.status.success(), "{said}");
}

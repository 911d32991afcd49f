//! SQLite files and folders of other owners, and files that SQLite's own tool holds.

use crate::support::process::{need_root, program, wait_until};
use crate::support::sql_service::{Ask, OK, REFUSED, Service, cgi, command, folder, users};
use crate::support::sqlite::sqlite;
use crate::support::sqlite::*;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

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

/// A writer that is at work all the time, in either journal mode, keeps nobody out.
#[test]
fn a_busy_writer_blocks_no_login() {
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

//! `rehash`: after a login, a stronger hash is in the password file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::thread;

use crate::support::process::wait_until;
use crate::support::program::{ACCEPTED, Program, REFUSED, check};
use crate::support::temp_dir::TempDir;

/// A store of `users` in a folder.
fn config(folder: &TempDir, more: &str) -> String {
    let path = folder.path().join("users");
    format!(
        "[[users]]\nstore = \"file\"\npath = {:?}\nallow-weak-schemes = true\nrehash = \"blf-crypt\"\n\
         {more}[routes]\ndefault = \"192.0.2.1\"\n",
        path.display().to_string()
    )
}

fn users(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.write("users", text);
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    path
}

fn read(path: &PathBuf) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_weaker_hash_is_replaced_after_a_login_and_nothing_else_changes() {
    let folder = TempDir::new();
    let weak = weak();
    let before = format!(
        "# staff\nalice:{weak}:1:2:::: x=y\nbob:{{PLAIN}}hunter2\ncarol:{weak}\ndora:{weak}::::::nologin\n"
    );
    let path = users(&folder, &before);
    let program = Program::serve(&config(&folder, ""));
    // A wrong password, a disabled user and one whose password a digest needs change nothing.
    assert_eq!(program.ask(b"alice", b"wrong"), REFUSED);
    assert_eq!(program.ask(b"dora", b"hunter2"), REFUSED);
    assert_eq!(program.ask(b"bob", b"hunter2"), ACCEPTED);
    assert_eq!(read(&path), before);
    assert_eq!(program.ask(b"alice", b"hunter2"), ACCEPTED);
    wait_until("the new hash", || read(&path) != before);
    let after = read(&path);
    let hash = after.split("alice:").nth(1).unwrap();
    let hash = hash.split(':').next().unwrap();
    assert!(hash.starts_with("{BLF-CRYPT}$2y$11$"), "{hash}");
    assert_eq!(after.replace(hash, &weak), before);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o640
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    // The server reads it, and the password stays what it was.
    program.wait_for_log("users: the password of \"alice\" is stored as blf-crypt now");
    for (password, answer) in [(&b"hunter2"[..], ACCEPTED), (b"hunter3", REFUSED)] {
        assert_eq!(program.ask(b"alice", password), answer);
    }
    assert_eq!(read(&path), after);
}

/// `hunter2` with SHA-512 and salt.
fn weak() -> String {
    use nginx_mail_auth::secret::{Password, Scheme, Secret};
    let password = Password::new(b"hunter2".to_vec()).unwrap();
    Secret::hash(Scheme::Ssha512, &password).unwrap()
}

#[test]
fn with_rehash_all_passwords_in_clear_are_replaced_too() {
    let folder = TempDir::new();
    let path = users(&folder, "bob:{PLAIN}hunter2\n");
    let program = Program::serve(&config(&folder, "rehash-all = true\n"));
    assert_eq!(program.ask(b"bob", b"hunter2"), ACCEPTED);
    wait_until("the new hash", || {
        read(&path).starts_with("bob:{BLF-CRYPT}")
    });
    assert_eq!(program.ask(b"bob", b"hunter2"), ACCEPTED);
}

#[test]
fn two_servers_at_once_lose_no_user() {
    let folder = TempDir::new();
    let weak = weak();
    let names: Vec<String> = (0..5).map(|number| format!("user{number}")).collect();
    let lines: String = names
        .iter()
        .map(|name| format!("{name}:{weak}\n"))
        .collect();
    let path = users(&folder, &lines);
    let servers = [(); 2].map(|()| Program::serve(&config(&folder, "")));
    let is_done = || read(&path).matches("{BLF-CRYPT}").count() == names.len();
    // One password is stored at a time; the next login does it for those left over.
    wait_until("all users to have new hashes", || {
        thread::scope(|scope| {
            for server in &servers {
                let names = &names;
                scope.spawn(move || {
                    for name in names {
                        assert_eq!(server.ask(name.as_bytes(), b"hunter2"), ACCEPTED);
                    }
                });
            }
        });
        is_done()
    });
    let text = read(&path);
    let found: Vec<_> = text
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(found, names);
}

#[test]
fn a_file_that_cannot_be_changed_keeps_nobody_out_and_is_reported_once() {
    let folder = TempDir::new();
    let weak = weak();
    let before = format!("alice:{weak}\nbob:{weak}\n");
    let path = users(&folder, &before);
    fs::hard_link(&path, folder.path().join("other-name")).unwrap();
    let program = Program::serve(&config(&folder, ""));
    assert_eq!(program.ask(b"alice", b"hunter2"), ACCEPTED);
    program.wait_for_log("weaker hashes stay (rehash)");
    for login in [&b"alice"[..], b"bob"] {
        assert_eq!(program.ask(login, b"hunter2"), ACCEPTED);
    }
    assert_eq!(read(&path), before);
    assert_eq!(program.log().matches("weaker hashes stay").count(), 1);
}

#[test]
fn what_rehash_cannot_be_is_named() {
    let folder = TempDir::new();
    users(&folder, "alice:*\n");
    let with = |more: &str| config(&folder, "").replace("rehash = \"blf-crypt\"\n", more);
    for (keys, message) in [
        (
            "rehash = \"ssha512\"\n",
            "users.rehash: must be one of argon2id, argon2i, yescrypt, blf-crypt, sha512-crypt, \
             sha256-crypt",
        ),
        (
            "rehash-all = true\n",
            "users.rehash-all: means nothing without rehash",
        ),
    ] {
        let (code, said) = check(&with(keys));
        assert_eq!(code, 78);
        assert!(said.contains(message), "{said}");
    }
    let slow = with("rehash = \"blf-crypt\"\n") + "[limits]\nmax-hash-ms = 100\n";
    let (code, said) = check(&slow);
    let message =
        "users.rehash: makes hashes that take about 133 ms, and limits.max-hash-ms is 100";
    assert!(code == 78 && said.contains(message), "{said}");
    let (_, said) = check(&with("rehash = \"argon2id\"\nrehash-all = true\n"));
    let message = "users.rehash-all: replaces passwords in clear: their users can then no longer log \
                   in with cram-md5 and apop";
    assert!(said.contains(message), "{said}");
    // Beside the configuration, the server could write that too.
    let beside = "[[users]]\nstore = \"file\"\npath = \"users\"\nrehash = \"argon2id\"\n\
                  [routes]\ndefault = \"192.0.2.1\"\n";
    let (_, said) = check(beside);
    let message = "users.rehash: lets the server write in the folder of the configuration";
    assert!(said.contains(message), "{said}");
}

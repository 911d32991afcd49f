//! `user` beside the other programs that read and write the same file, and as root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{XattrFlags, getxattr, setxattr};

use crate::support::process::{
    Server, ids_of, need_root, program as installed_program, wait_until,
};
use crate::support::temp_dir::TempDir;
use crate::support::user_command::{ONE_FILE, attempt, program, run};

/// Dovecot's authentication alone, with this password file.
const DOVECOT: &str = "\
base_dir = HOME/dovecot
state_dir = HOME/dovecot
log_path = HOME/dovecot.log
protocols =
ssl = no
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = HOME/users
}
userdb {
  driver = static
  args = uid=mail gid=mail home=/nonexistent
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
";

struct Readers {
    dir: TempDir,
    _dovecot: Server,
}

impl Readers {
    fn start() -> Self {
        need_root();
        let dir = TempDir::new();
        dir.write("auth.toml", ONE_FILE);
        dir.write("apps", "");
        let home = dir.path().display().to_string();
        let conf = dir.write("dovecot.conf", DOVECOT.replace("HOME", &home));
        let mut dovecot = Server::start(
            Command::new(installed_program("dovecot", "dovecot-core"))
                .args(["-F", "-c"])
                .arg(conf),
            dir.path().join("dovecot.out"),
        );
        let socket = dir.path().join("dovecot/auth-client");
        dovecot.wait_for("its socket", || socket.exists());
        Self {
            dir,
            _dovecot: dovecot,
        }
    }

    /// Who accepts a password: this program, Dovecot, Apache's tool.
    fn accept(&self, login: &str, password: &str) -> [bool; 3] {
        let home = self.dir.path();
        let ours = attempt(&self.dir, login, password) == "accepted";
        let dovecot = Command::new(installed_program("doveadm", "dovecot-core"))
            .arg("-c")
            .arg(home.join("dovecot.conf"))
            .args(["auth", "test", login, password])
            .output()
            .unwrap();
        let htpasswd = self.htpasswd(&["-v", "-b"], &[login, password]);
        [ours, dovecot.status.success(), htpasswd]
    }

    /// Waits until all see the new file: Dovecot looks for one once a second.
    #[track_caller]
    fn wait_for(&self, login: &str, password: &str, expected: [bool; 3]) {
        wait_until(&format!("{expected:?} for {login}"), || {
            self.accept(login, password) == expected
        });
    }

    fn htpasswd(&self, options: &[&str], words: &[&str]) -> bool {
        let htpasswd = Command::new(installed_program("htpasswd", "apache2-utils"))
            .args(options)
            .arg(self.dir.path().join("users"))
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        htpasswd.unwrap().success()
    }
}

#[test]
fn htpasswd_apache_and_dovecot_agree_about_the_file() {
    let all = Readers::start();
    let dir = &all.dir;
    // Dovecot reads the file as its own user.
    let hashed = ["--scheme", "blf-crypt", "--cost", "5"];
    // Apache knows no `{SCHEME}`: the text behind it is the hash.
    let hash = run(dir, &[&["hash"], &hashed[..]].concat(), "hunter2\n").done();
    let hash = hash.trim().strip_prefix("{BLF-CRYPT}").unwrap().to_owned() + "\n";
    run(dir, &["user", "add", "alice", "--hashed"], &hash).done();
    let dovecot = ids_of("dovecot", "dovecot-core").1;
    chown(dir.path().join("users"), None, Some(dovecot)).unwrap();
    all.wait_for("alice", "hunter2", [true; 3]);
    all.wait_for("alice", "hunter3", [false; 3]);

    run(dir, &["user", "lock", "alice"], "").done();
    all.wait_for("alice", "hunter2", [false; 3]);
    assert_eq!(attempt(dir, "alice", "hunter2"), "disabled");
    run(dir, &["user", "unlock", "alice"], "").done();
    all.wait_for("alice", "hunter2", [true; 3]);

    // htpasswd changes and adds users; the others stay.
    assert!(all.htpasswd(&["-b", "-B", "-C", "5"], &["bob", "hunter2-b"]));
    assert!(all.htpasswd(&["-b", "-B", "-C", "5"], &["alice", "hunter2-a"]));
    run(dir, &["user", "add", "carol", "--hashed"], &hash).done();
    for (login, password) in [
        ("alice", "hunter2-a"),
        ("bob", "hunter2-b"),
        ("carol", "hunter2"),
    ] {
        all.wait_for(login, password, [true; 3]);
    }
    assert!(all.htpasswd(&["-D"], &["bob"]));
    run(dir, &["user", "delete", "carol"], "").done();
    assert_eq!(run(dir, &["user", "list"], "").done().lines().count(), 2);

    // Apache knows no `{SCHEME}`.
    run(dir, &["user", "passwd", "alice"], "hunter2-n\n").done();
    all.wait_for("alice", "hunter2-n", [true, true, false]);
}

/// An access control list (acl(5)) as Linux stores it: the user 33 may read.
fn access_list() -> Vec<u8> {
    let entry = |tag: u16, rights: u16, id: u32| {
        [
            &tag.to_le_bytes()[..],
            &rights.to_le_bytes(),
            &id.to_le_bytes(),
        ]
        .concat()
    };
    let none = u32::MAX;
    [
        2_u32.to_le_bytes().to_vec(),
        entry(0x01, 6, none),
        entry(0x02, 4, 33),
        entry(0x04, 0, none),
        entry(0x10, 4, none),
        entry(0x20, 0, none),
    ]
    .concat()
}

#[test]
fn owner_group_mode_and_access_lists_stay() {
    need_root();
    let dir = TempDir::new();
    dir.write("auth.toml", ONE_FILE);
    let users = dir.write("users", "alice:*\n");
    let (list, name) = (access_list(), "system.posix_acl_access");
    for (user, group, mode) in [(0, 0, 0o600), (0, 33, 0o640), (33, 4, 0o440), (8, 8, 0o400)] {
        chown(&users, Some(user), Some(group)).unwrap();
        // What this user owns, the service must own too.
        chown(dir.path(), Some(user), Some(group)).unwrap();
        fs::set_permissions(&users, Permissions::from_mode(mode)).unwrap();
        run(
            &dir,
            &["user", "add", &format!("user{user}"), "--locked"],
            "",
        )
        .done();
        run(&dir, &["user", "delete", &format!("user{user}")], "").done();
        let found = fs::metadata(&users).unwrap();
        assert_eq!(
            (found.uid(), found.gid(), found.mode() & 0o7777),
            (user, group, mode)
        );
    }
    chown(dir.path(), Some(0), Some(0)).unwrap();
    chown(&users, Some(0), Some(0)).unwrap();
    setxattr(&users, "user.note", b"ours", XattrFlags::empty()).unwrap();
    setxattr(&users, name, &list, XattrFlags::empty()).unwrap();
    let mode = fs::metadata(&users).unwrap().mode();
    run(&dir, &["user", "add", "bob", "--locked"], "").done();
    let read = |path: &Path, name: &str| {
        let mut value = [0; 100];
        let length = getxattr(path, name, &mut value[..]);
        length.map(|length| value[..length].to_vec())
    };
    assert_eq!(read(&users, name).unwrap(), list);
    assert_eq!(read(&users, "user.note").unwrap(), b"ours");
    assert_eq!(fs::metadata(&users).unwrap().mode(), mode);

    // A list that new files in the folder get is not that of the old file.
    let plain = dir.write("plain", "alice:*\n");
    setxattr(
        dir.path(),
        "system.posix_acl_default",
        &list,
        XattrFlags::empty(),
    )
    .unwrap();
    let file = plain.to_str().unwrap();
    run(
        &dir,
        &["user", "add", "bob", "--locked", "--file", file],
        "",
    )
    .done();
    assert!(read(&plain, name).is_err());
    assert_eq!(fs::metadata(&plain).unwrap().mode() & 0o7777, 0o644);
}

#[test]
fn root_follows_no_link_of_the_service() {
    need_root();
    let dir = TempDir::new();
    let (user, group) = ids_of("www-data", "base-passwd");
    let service = dir.path().join("service");
    fs::create_dir(&service).unwrap();
    dir.write(
        "auth.toml",
        ONE_FILE.replace("\"users\"", "\"service/users\""),
    );
    chown(&service, Some(user), Some(group)).unwrap();
    // A new file belongs to the service.
    run(&dir, &["user", "add", "alice", "--locked"], "").done();
    let users = service.join("users");
    let found = fs::metadata(&users).unwrap();
    assert_eq!((found.uid(), found.gid()), (user, group));

    let secret = dir.write("secret", "root:*\n");
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(&users).unwrap();
    symlink(&secret, &users).unwrap();
    let why = run(&dir, &["user", "add", "bob", "--locked"], "").why();
    assert!(why.contains("Permission denied"), "{why}");
    fs::remove_file(&users).unwrap();
    fs::hard_link(&secret, &users).unwrap();
    let why = run(&dir, &["user", "add", "bob", "--locked"], "").why();
    assert!(why.contains("Permission denied"), "{why}");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "root:*\n");
    // Its owner could not stay.
    fs::remove_file(&users).unwrap();
    fs::write(&users, "alice:*\n").unwrap();
    fs::set_permissions(&users, Permissions::from_mode(0o644)).unwrap();
    let why = run(&dir, &["user", "add", "bob", "--locked"], "").why();
    assert!(
        why.contains("so its owner would change: chown the file or the folder"),
        "{why}"
    );
}

#[test]
fn a_disk_that_is_full_leaves_the_old_file() {
    need_root();
    let dir = TempDir::new();
    dir.write("auth.toml", ONE_FILE.replace("\"users\"", "\"disk/users\""));
    fs::create_dir(dir.path().join("disk")).unwrap();
    let before = "alice:*\n".to_owned() + &"# a comment of 32 bytes, no more\n".repeat(1500);
    // In a mount namespace of its own, the disk goes with its processes.
    let script = r#"
        mount -t tmpfs -o size=64k,mode=755 tmpfs "$1/disk" || exit 99
        cp "$1/before" "$1/disk/users"
        "$2" --config "$1/auth.toml" user add bob --random && exit 98
        cmp "$1/before" "$1/disk/users" || exit 97
        [ "$(ls -A "$1/disk")" = users ] || exit 96
    "#;
    dir.write("before", &before);
    let output = Command::new(installed_program("unshare", "util-linux"))
        .args(["-m", "sh", "-c", script, "sh"])
        .arg(dir.path())
        .arg(program(&dir).get_program())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("cannot be changed, and is as before: No space left on device"),
        "{said}"
    );
    assert!(output.stdout.is_empty(), "a password that nobody has");
}

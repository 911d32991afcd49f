//! Owners of Unix sockets and of what lies beside them.

use crate::support::process::wait_until;
use crate::support::process::{ids_of, need_root};
use crate::support::sockets::*;
use crate::support::temp_dir::TempDir;
use nginx_mail_auth::front::fcgi::listener::{Listener, SocketRights};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

#[test]
fn mode_owner_and_group_are_as_configured() {
    need_root();
    let dir = TempDir::new();
    let socket = dir.path().join("socket");
    let (uid, gid) = ids_of("www-data", "base-passwd");
    for (keys, owner, group, mode) in [
        ("", 0, 0, 0o660),
        (
            "socket-mode = \"0600\"\nsocket-owner = \"www-data\"",
            uid,
            0,
            0o600,
        ),
        ("socket-group = \"www-data\"", 0, gid, 0o660),
        (
            "socket-owner = \"12345\"\nsocket-group = \"54321\"",
            12345,
            54321,
            0o660,
        ),
        ("socket-mode = \"0666\"\nsocket-owner = \"0\"", 0, 0, 0o666),
    ] {
        dir.write("auth.toml", format!("{CONFIG}[fastcgi]\n{keys}\n"));
        let child = serve(&dir, &socket, "log");
        wait_until("it serves", || is_served(&socket));
        let file = fs::symlink_metadata(&socket).unwrap();
        assert_eq!((file.uid(), file.gid()), (owner, group), "{keys}");
        assert_eq!(file.mode() & 0o7777, mode, "{keys}");
        terminate(child);
        assert!(!socket.exists(), "{keys}");
    }
    // Nothing else is left behind.
    let left = fs::read_dir(dir.path()).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn what_cannot_be_given_away_is_not_served() {
    need_root();
    let dir = TempDir::new();
    let (uid, gid) = ids_of("www-data", "base-passwd");
    chown(dir.path(), Some(uid), Some(gid)).unwrap();
    dir.write(
        "auth.toml",
        format!("{CONFIG}[fastcgi]\nsocket-owner = \"root\"\n"),
    );
    let socket = dir.path().join("socket");
    let program = dir.path().join("nginx-mail-auth");
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_nginx-mail-auth"))
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    let output = Command::new("setpriv")
        .args([format!("--reuid={uid}"), format!("--regid={gid}")])
        .arg("--clear-groups")
        .arg(program)
        .arg("--config")
        .arg(dir.path().join("auth.toml"))
        .args(["serve", "--listen", &address(&socket)])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(
        log.contains("cannot give the socket to its owner and group: "),
        "{log}"
    );
    assert!(!socket.exists());
}

#[test]
fn a_folder_in_which_others_can_replace_it_is_refused() {
    need_root();
    let dir = TempDir::new();
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("socket");
    let set = |mode| fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
    for (mode, message) in [
        (
            0o777,
            "may be written by others (mode 0777, owner 0): chmod go-w, or +t",
        ),
        (
            0o775,
            "may be written by others (mode 0775, owner 0): chmod go-w, or +t",
        ),
        (
            0o757,
            "may be written by others (mode 0757, owner 0): chmod go-w, or +t",
        ),
    ] {
        set(mode);
        assert_eq!(
            refusal(&path),
            format!("the folder {} {message}", folder.display())
        );
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
    for mode in [0o755, 0o700, 0o1777] {
        set(mode);
        let listener = Listener::bind(&address(&path), SocketRights::of_mode(0o660));
        assert!(listener.is_ok(), "{mode:o}: {listener:?}");
    }
    set(0o755);
    chown(&folder, Some(12345), None).unwrap();
    let message = refusal(&path);
    assert!(
        message.contains("belongs to user 12345, neither to root nor"),
        "{message}"
    );
}

#[test]
fn a_lock_that_somebody_else_laid_there_is_refused() {
    need_root();
    let dir = TempDir::new();
    let path = dir.path().join("socket");
    let lock = dir.path().join("socket.lock");
    fs::write(&lock, "").unwrap();
    chown(&lock, Some(12345), None).unwrap();
    assert!(refusal(&path).contains("is no file of root or of the user we run as"));
    fs::remove_file(&lock).unwrap();
    let target = dir.write("target", "text");
    symlink(&target, &lock).unwrap();
    assert!(refusal(&path).starts_with(&lock.display().to_string()));
    assert_eq!(fs::read(&target).unwrap(), b"text");
    assert!(!path.exists());
    fs::remove_file(&lock).unwrap();
    // One that is ours, and held: another start is under way.
    let held = File::create(&lock).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    drop(UnixListener::bind(&path).unwrap());
    assert!(refusal(&path).starts_with("another program serves this socket, or is about to"));
    assert!(path.exists());
    // One that is left over is none.
    drop(held);
    Listener::bind(&address(&path), SocketRights::of_mode(0o660)).unwrap();
}

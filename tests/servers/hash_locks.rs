//! The files by which processes count their hashes, made by root.

use crate::support::chains::*;
use std::path::Path;
use std::process::Command;

/// A folder that cannot be used bounds nothing, and keeps nobody out.
#[test]
fn the_lock_files_belong_to_the_owner_of_the_folder() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let dir = folder(
        "[limits]\nmax-hashes = 2\nhash-locks = \"locks\"",
        "alice:{PLAIN}secret\n",
    );
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nginx-mail-auth"));
        let config = dir.path().join("auth.toml");
        let output = command.arg("--config").arg(config).arg("check").output();
        String::from_utf8(output.unwrap().stderr).unwrap()
    };
    assert!(check().contains("auth.toml:3:14: limits.hash-locks: "));
    let locks = dir.path().join("locks");
    std::fs::create_dir(&locks).unwrap();
    chown(&locks, Some(12345), Some(54321)).unwrap();
    assert!(!check().contains("hash-locks"));
    for number in 0..2 {
        let file = std::fs::metadata(locks.join(format!("hash-{number}.lock"))).unwrap();
        assert_eq!((file.uid(), file.gid()), (12345, 54321));
        assert_eq!(file.mode() & 0o777 & !0o060, 0o600);
    }
    for mode in [0o777, 0o1777, 0o2775] {
        std::fs::set_permissions(&locks, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(
            check().contains("locks may be written by others (mode"),
            "{mode:o}"
        );
    }
    let ok = (OK.to_owned(), "accepted".to_owned());
    assert_eq!(login(&dir, "alice", "secret"), ok);
}

/// What the owner of the folder puts there neither holds root up nor leads it anywhere.
#[test]
fn only_a_regular_file_of_one_name_is_a_place() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
    let dir = folder(
        "[limits]\nmax-hashes = 1\nhash-locks = \"locks\"",
        "alice:{PLAIN}secret\n",
    );
    let (locks, target) = (dir.path().join("locks"), dir.write("target", "of root"));
    std::fs::create_dir(&locks).unwrap();
    std::fs::set_permissions(&locks, std::fs::Permissions::from_mode(0o755)).unwrap();
    let place = locks.join("hash-0.lock");
    let fifo = |path: &Path| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
    };
    type Make<'a> = &'a dyn Fn(&Path);
    let planted: [(&str, Make<'_>, &str); 5] = [
        ("fifo", &fifo, "is not a regular file"),
        (
            "folder",
            &|path| std::fs::create_dir(path).unwrap(),
            "(os error 21)",
        ),
        (
            "link",
            &|path| symlink(&target, path).unwrap(),
            "is a symbolic link",
        ),
        (
            "hard link",
            &|path| std::fs::hard_link(&target, path).unwrap(),
            "has 2 hard links: remove it",
        ),
        (
            "writable",
            &|path| {
                std::fs::write(path, "").unwrap();
                let mode = std::fs::Permissions::from_mode(0o666);
                std::fs::set_permissions(path, mode).unwrap();
            },
            "may be written by others (mode 0666): chmod go-w",
        ),
    ];
    let ok = (OK.to_owned(), "accepted".to_owned());
    for owner in [0, 12345] {
        chown(&locks, Some(owner), Some(owner)).unwrap();
        for (what, make, why) in planted {
            make(&place);
            let mut command = Command::new(env!("CARGO_BIN_EXE_nginx-mail-auth"));
            let config = dir.path().join("auth.toml");
            let output = command.arg("--config").arg(config).arg("check").output();
            let said = String::from_utf8(output.unwrap().stderr).unwrap();
            let named = format!("limits.hash-locks: {}: ", place.display());
            assert!(said.contains(&named), "{what} of {owner}: {said}");
            // Root has no more rights there than the owner of the folder.
            let kept_out = owner != 0 && said.contains("Permission denied");
            assert!(said.contains(why) || kept_out, "{what} of {owner}: {said}");
            assert_eq!(std::fs::metadata(&target).unwrap().uid(), 0, "{what}");
            assert_eq!(login(&dir, "alice", "secret"), ok, "{what}");
            match place.is_dir() {
                true => std::fs::remove_dir(&place).unwrap(),
                false => std::fs::remove_file(&place).unwrap(),
            }
        }
    }
    assert_eq!(std::fs::read(&target).unwrap(), b"of root");
}

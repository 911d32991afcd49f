use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::path::CREDENTIALS;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("nma-files-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn file(&self, content: &str, mode: u32) -> PathBuf {
        let path = self.0.join("file");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn refusal(path: &Path, max: u64) -> String {
    let problem = read_trusted(path, max, Secrecy::Secret).err().unwrap();
    assert_eq!(problem.file, path);
    problem.message
}

#[test]
fn what_others_may_write_is_refused_and_what_they_may_read_is_warned_of() {
    let scratch = Scratch::new("modes");
    for (mode, secrecy, warned) in [
        (0o600, Secrecy::Secret, false),
        (0o640, Secrecy::Secret, false),
        (0o644, Secrecy::Secret, true),
        (0o644, Secrecy::Open, false),
    ] {
        let trusted = read_trusted(&scratch.file("x", mode), 9, secrecy).unwrap();
        assert_eq!(trusted.bytes, b"x");
        assert_eq!(trusted.exposure.is_some(), warned, "{mode:o}");
    }
    for (mode, message) in [
        (0o620, "may be written by others (mode 0620): chmod go-w"),
        (0o602, "may be written by others (mode 0602): chmod go-w"),
    ] {
        assert_eq!(refusal(&scratch.file("x", mode), 9), message);
    }
}

#[test]
fn only_regular_files_within_the_bound() {
    let scratch = Scratch::new("kinds");
    let path = scratch.file("12345", 0o600);
    assert_eq!(
        read_trusted(&path, 5, Secrecy::Open).unwrap().bytes,
        b"12345"
    );
    assert_eq!(refusal(&path, 4), "is larger than 4 bytes");
    let folder = scratch.0.join("folder");
    fs::create_dir(&folder).unwrap();
    assert_eq!(refusal(&folder, 4), "is not a regular file");
    assert_eq!(refusal(Path::new("/dev/zero"), 4), "is not a regular file");
    assert_eq!(
        refusal(&scratch.0.join("none"), 4),
        "cannot be read: No such file or directory (os error 2)"
    );
}

/// Run as root, as the tests of the program are.
#[test]
fn root_takes_what_was_lent_to_a_service_and_no_other_file_of_its_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let nobody = Some(65_534);
    let scratch = Scratch::new("owners");
    let path = scratch.file("x", 0o400);
    std::os::unix::fs::chown(&path, nobody, nobody).unwrap();
    assert!(refusal(&path, 9).starts_with("belongs to user 65534, "));
    let unit = format!("nma-files-{}.service", std::process::id());
    let lent = Scratch(Path::new(CREDENTIALS).join(unit));
    fs::create_dir_all(&lent.0).unwrap();
    let path = lent.file("x", 0o400);
    std::os::unix::fs::chown(&path, nobody, nobody).unwrap();
    assert!(read_trusted(&path, 9, Secrecy::Secret).is_ok());
    // The path with the link is not checked, only the path that it leads to.
    let around = lent
        .0
        .join("../../..")
        .join(scratch.0.strip_prefix("/").unwrap());
    assert!(refusal(&around.join("file"), 9).starts_with("belongs to user 65534, "));
}

#[test]
fn a_fifo_does_not_block() {
    let scratch = Scratch::new("fifo");
    let path = scratch.0.join("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_eq!(refusal(&path, 4), "is not a regular file");
}

#[test]
fn a_fingerprint_tells_versions_apart() {
    let scratch = Scratch::new("versions");
    let path = scratch.file("one", 0o600);
    let first = fingerprint(&path).unwrap();
    assert_eq!(fingerprint(&path).unwrap(), first);
    assert_eq!(
        read_trusted(&path, 9, Secrecy::Open).unwrap().fingerprint,
        first
    );
    let other = scratch.0.join("other");
    fs::write(&other, "two").unwrap();
    fs::rename(&other, &path).unwrap();
    assert_ne!(fingerprint(&path).unwrap(), first);
}

#[test]
fn a_file_is_fresh_for_a_while_after_its_last_change() {
    let changed = |seconds, nanos| Fingerprint {
        modified: (0, 0),
        changed: (seconds, nanos),
        inode: 1,
        device: 2,
        size: 3,
    };
    let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
    let span = Duration::from_secs(2);
    for (now, fresh) in [
        (9_999, false),
        (10_499, false),
        (10_500, true),
        (12_499, true),
        (12_500, false),
        (20_000, false),
    ] {
        let file = changed(10, 500_000_000);
        assert_eq!(file.is_fresh(at(now), span), fresh, "{now}");
    }
    assert!(!changed(-1, 0).is_fresh(at(0), span));
    let file = changed(10, 0);
    assert!(file.has_size_of(&changed(99, 9)));
    for (inode, device, size) in [(9, 2, 3), (1, 9, 3), (1, 2, 9)] {
        let other = Fingerprint {
            inode,
            device,
            size,
            ..changed(10, 0)
        };
        assert!(!file.has_size_of(&other) && file != other);
    }
}

/// A file of the kernel reports size 0, like a file that grows while it is read.
#[test]
fn half_a_file_is_never_taken_for_the_whole() {
    let growing = Path::new("/proc/sys/kernel/ostype");
    assert_eq!(fs::metadata(growing).unwrap().len(), 0);
    assert_eq!(fs::read(growing).unwrap(), b"Linux\n");
    assert_eq!(refusal(growing, 6), "is being written at the moment");
    assert_eq!(refusal(growing, 5), "is larger than 5 bytes");
    // And not more than that is read.
    let read = |max| read(&mut File::open("/dev/zero").unwrap(), 0, max).unwrap();
    assert_eq!(read(0), [0]);
    assert_eq!(read(4), [0; 5]);
}

#[test]
fn who_may_read_a_secret_is_looked_at_also_where_something_else_reads_it() {
    let scratch = Scratch::new("exposed");
    let exposed = "holds secrets and may be read by everybody (mode 0644): chmod o-r";
    for (mode, expected) in [(0o640, None), (0o604, Some("0604")), (0o644, Some("0644"))] {
        let path = scratch.file("x", mode);
        let message = expected.map(|mode| exposed.replace("0644", mode));
        let expected = Vec::from_iter(message.map(|message| Problem::new(&path, message)));
        assert_eq!(warnings_of_secret(&path), expected);
        let trusted = read_trusted(&path, 9, Secrecy::Secret).unwrap();
        assert_eq!(Vec::from_iter(trusted.exposure), expected);
        assert_eq!(trusted.service, None);
    }
    assert_eq!(warnings_of_secret(&scratch.0.join("none")), []);
}

#[test]
fn a_file_is_the_same_until_it_is_replaced_or_its_mode_changes() {
    let scratch = Scratch::new("identity");
    let path = scratch.file("x", 0o600);
    let first = identify(&path).unwrap();
    fs::write(&path, "other").unwrap();
    assert_eq!(identify(&path).unwrap(), first);
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert_ne!(identify(&path).unwrap(), first);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(identify(&path).unwrap(), first);
    let other = scratch.0.join("other");
    fs::write(&other, "x").unwrap();
    fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
    fs::rename(&other, &path).unwrap();
    assert_ne!(identify(&path).unwrap(), first);
}

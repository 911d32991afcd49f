use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("nma-changed-{}-{number}", std::process::id());
        let path = std::env::temp_dir().canonicalize().unwrap().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, content: &str) -> PathBuf {
        let path = self.0.join("file");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        path
    }

    /// The names in it.
    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = names.map(|it| name(it).into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const MANNER: Manner = Manner {
    max_bytes: 1000,
    patience: Duration::from_secs(60),
    missing: Missing::Fail,
};

type Edited = Result<(Zeroizing<Vec<u8>>, ()), Problem>;

fn to(text: &str) -> impl FnMut(&[u8]) -> Edited {
    move |_| Ok((Zeroizing::new(text.as_bytes().to_vec()), ()))
}

fn append(line: &str) -> impl FnMut(&[u8]) -> Edited {
    move |old| Ok((Zeroizing::new([old, line.as_bytes()].concat()), ()))
}

#[test]
fn the_mode_stays_and_nothing_is_left_behind() {
    let folder = Folder::new();
    let path = folder.file("old\n");
    for mode in [0o600, 0o640, 0o444, 0o604] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        change(&path, MANNER, append("new\n")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "old\nnew\nnew\nnew\nnew\n"
    );
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn the_same_content_is_not_written_again() {
    let folder = Folder::new();
    let path = folder.file("old\n");
    let before = fs::metadata(&path).unwrap().ino();
    change(&path, MANNER, to("old\n")).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().ino(), before);
}

#[test]
fn a_link_stays_and_its_target_changes() {
    let folder = Folder::new();
    let path = folder.file("old\n");
    let link = folder.0.join("link");
    symlink("file", &link).unwrap();
    change(&link, MANNER, to("new\n")).unwrap();
    assert!(symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
}

#[test]
fn the_file_stays_if_it_cannot_be_changed() {
    let folder = Folder::new();
    let path = folder.file("old\n");
    let why = |changed: Result<Changed<()>, Problem>| changed.err().unwrap().message;
    let fails = |_: &[u8]| Err(Problem::new("x", "no"));
    assert_eq!(why(change(&path, MANNER, fails)), "no");
    assert_eq!(
        why(change(&path, MANNER, to(&"a".repeat(1001)))),
        "is larger than 1000 bytes"
    );
    // A folder in the place of the new file stands for all errors while that is written.
    let beside = format!(".nginx-mail-auth.{}", fs::metadata(&path).unwrap().ino());
    fs::create_dir(folder.0.join(&beside)).unwrap();
    let said = why(change(&path, MANNER, to("new\n")));
    assert!(
        said.starts_with("cannot be changed, and is as before: "),
        "{said}"
    );
    fs::remove_dir(folder.0.join(&beside)).unwrap();
    // What a killed run left behind.
    fs::write(folder.0.join(&beside), "half").unwrap();
    let hard = folder.0.join("hard");
    fs::hard_link(&path, &hard).unwrap();
    let said = why(change(&path, MANNER, to("new\n")));
    assert!(said.starts_with("has 2 names (hard links)"), "{said}");
    remove_file(&hard).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "old\n");

    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let said = why(change(&path, MANNER, to("new\n")));
    assert!(said.starts_with("may be written by others"), "{said}");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    change(&path, MANNER, to("new\n")).unwrap();
    assert_eq!(folder.names(), ["file"]);
    let said = why(change(&folder.0.join("none"), MANNER, to("new\n")));
    assert!(said.starts_with("cannot be read: No such file"), "{said}");
    fs::create_dir(folder.0.join("folder")).unwrap();
    let said = why(change(&folder.0.join("folder"), MANNER, to("new\n")));
    assert_eq!(said, "is not a regular file");
}

#[test]
fn a_missing_file_is_created_for_a_change_that_succeeds() {
    let folder = Folder::new();
    let path = folder.0.join("file");
    let manner = Manner {
        missing: Missing::Create,
        ..MANNER
    };
    let fails = |_: &[u8]| Err::<(Zeroizing<Vec<u8>>, ()), _>(Problem::new("x", "no"));
    change(&path, manner, fails).unwrap_err();
    assert!(folder.names().is_empty());
    assert!(change(&path, manner, append("new\n")).unwrap().created);
    assert!(!change(&path, manner, append("new\n")).unwrap().created);
    assert_eq!(fs::read_to_string(&path).unwrap(), "new\nnew\n");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
}

#[test]
fn of_many_changes_at_once_none_is_lost() {
    let folder = Folder::new();
    let path = folder.file("");
    let manner = Manner {
        max_bytes: 100_000,
        missing: Missing::Create,
        ..MANNER
    };
    remove_file(&path).unwrap();
    thread::scope(|scope| {
        for thread in 0..8 {
            let path = &path;
            scope.spawn(move || {
                for number in 0..25 {
                    change(path, manner, append(&format!("{thread}-{number}\n"))).unwrap();
                }
            });
        }
    });
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!((lines.len(), text.lines().count()), (200, 200));
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn a_change_of_another_program_is_the_base_of_the_edit() {
    let folder = Folder::new();
    let path = folder.file("old\n");
    let mut times = 0;
    let replaced = change(&path, MANNER, |old| {
        times += 1;
        match times {
            // It rewrites the file in its place, as htpasswd does.
            1 => fs::write(&path, "theirs\n").unwrap(),
            // It replaces the file.
            2 => {
                fs::write(folder.0.join("new"), "newest\n").unwrap();
                fs::set_permissions(folder.0.join("new"), Permissions::from_mode(0o640)).unwrap();
                rename(folder.0.join("new"), &path).unwrap();
            }
            _ => {}
        }
        Ok::<_, Problem>((Zeroizing::new([old, b"ours\n"].concat()), ()))
    });
    replaced.unwrap();
    assert_eq!(times, 3);
    assert_eq!(fs::read_to_string(&path).unwrap(), "newest\nours\n");
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn a_file_that_stays_locked_is_an_error() {
    let folder = Folder::new();
    let path = folder.file("old\n");
    let other = File::open(&path).unwrap();
    other.lock().unwrap();
    let manner = Manner {
        patience: Duration::ZERO,
        ..MANNER
    };
    let why = change(&path, manner, to("new\n")).err().unwrap();
    assert_eq!(
        why.message,
        "is locked by another process, which is changing it: try later"
    );
    drop(other);
    change(&path, manner, to("new\n")).unwrap();
}

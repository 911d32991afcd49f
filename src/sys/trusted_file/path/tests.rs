use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use super::*;

/// A private folder with folders in it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, folders: &[(&str, u32)]) -> Self {
        let name = format!("nma-place-{name}-{}", std::process::id());
        let scratch = Self(std::env::temp_dir().join(name));
        let _none_yet = fs::remove_dir_all(&scratch.0);
        scratch.folder("", 0o755);
        for (name, mode) in folders {
            scratch.folder(name, *mode);
        }
        scratch
    }

    fn folder(&self, name: &str, mode: u32) {
        let path = self.0.join(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Why a file is refused; empty if it is not.
    fn refusal(&self, name: &str) -> String {
        told(TrustedPath::of_file(&self.at(name)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn told(trusted: Result<TrustedPath, PathError>) -> String {
    match trusted {
        Ok(_) => String::new(),
        Err(PathError::Io(error)) => error.to_string(),
        Err(PathError::Distrusted(why)) => why,
    }
}

const WAYS: [(&str, u32, &str, &str); 9] = [
    ("private", 0o700, "", ""),
    ("open", 0o755, "", ""),
    ("group", 0o775, "chmod go-w", "chmod go-w"),
    ("setgid", 0o2775, "chmod go-w", "chmod go-w"),
    ("others", 0o757, "chmod go-w", "chmod go-w"),
    ("all", 0o777, "chmod go-w", "chmod go-w"),
    ("sticky", 0o1777, "its sticky bit", ""),
    ("sticky-group", 0o3775, "its sticky bit", ""),
    ("execute", 0o711, "", ""),
];

/// The folder that holds the file; the one above that.
#[test]
fn a_folder_that_others_can_write_to_holds_no_trusted_file() {
    for (name, mode, holds, leads) in WAYS {
        let scratch = Scratch::new(name, &[("a/b", 0o755), ("a", mode)]);
        fs::write(scratch.at("a/file"), "").unwrap();
        fs::write(scratch.at("a/b/file"), "").unwrap();
        for (file, expected) in [
            ("a/file", holds),
            ("a/none", holds),
            ("a/b/file", leads),
            ("a/b/none", leads),
            ("a/b/../file", holds),
            ("a/b/../../a/./b/file", leads),
        ] {
            let refusal = scratch.refusal(file);
            assert_eq!(
                refusal.is_empty(),
                expected.is_empty(),
                "{name} {file}: {refusal}"
            );
            let expected = match expected {
                "" => String::new(),
                "its sticky bit" => format!(
                    "the folder {} may be written by others (mode {mode:04o}, owner {}): its \
                     sticky bit does not keep others from putting files there: chmod go-w, or use \
                     another folder",
                    scratch.at("a").display(),
                    geteuid().as_raw(),
                ),
                remedy => format!(
                    "the folder {} may be written by others (mode {mode:04o}, owner {}): {remedy}",
                    scratch.at("a").display(),
                    geteuid().as_raw(),
                ),
            };
            assert_eq!(refusal, expected, "{name} {file}");
        }
        let folder = told(TrustedPath::of_folder(
            &scratch.at("a"),
            FolderRule::Private,
        ));
        assert_eq!(folder.is_empty(), holds.is_empty(), "{name}: {folder}");
        let folder = told(TrustedPath::of_folder(&scratch.at("a"), FolderRule::Sticky));
        assert_eq!(folder.is_empty(), leads.is_empty(), "{name}: {folder}");
    }
}

#[test]
fn each_link_on_the_way_is_in_a_private_folder() {
    let scratch = Scratch::new(
        "links",
        &[("good", 0o755), ("sticky/inner", 0o755), ("sticky", 0o1777)],
    );
    let file = scratch.at("good/file");
    fs::write(&file, "").unwrap();
    let link = |target: &str, name: &str| symlink(target, scratch.at(name)).unwrap();
    link("file", "good/relative");
    link("../good/file", "good/around");
    link(file.to_str().unwrap(), "good/absolute");
    link("absolute", "good/twice");
    link("../good", "good/folder");
    link("good/file", "to-file");
    link(file.to_str().unwrap(), "sticky/planted");
    link("../good", "sticky/folder");
    link("../../good/file", "sticky/inner/fine");
    link("sticky/planted", "through");
    link("loop", "loop");
    link("nowhere", "dangling");
    for name in [
        "good/relative",
        "good/around",
        "good/absolute",
        "good/twice",
        "good/folder/file",
        "good/folder/folder/relative",
        "to-file",
        "sticky/inner/fine",
    ] {
        let trusted = TrustedPath::of_file(&scratch.at(name)).unwrap();
        assert_eq!(trusted.path, file.canonicalize().unwrap(), "{name}");
        assert!(trusted.metadata.is_some_and(|found| found.is_file()));
    }
    for name in ["sticky/planted", "sticky/folder/file", "through"] {
        let refusal = scratch.refusal(name);
        assert!(
            refusal.contains("/sticky may be written by others (mode 1777, "),
            "{name}: {refusal}"
        );
    }
    for (name, expected) in [
        ("loop", "Too many levels of symbolic links (os error 40)"),
        ("dangling", ""),
        ("good/file/more", "Not a directory (os error 20)"),
        ("none/file", "No such file or directory (os error 2)"),
    ] {
        assert_eq!(scratch.refusal(name), expected, "{name}");
    }
    let dangling = TrustedPath::of_file(&scratch.at("dangling")).unwrap();
    assert!(dangling.metadata.is_none());
    assert_eq!(dangling.path, scratch.at("nowhere"));
}

/// As root, as the tests of the program need anyway.
#[test]
fn the_folders_belong_to_root_or_to_the_user_we_run_as() {
    if !geteuid().is_root() {
        return;
    }
    let scratch = Scratch::new("owners", &[("theirs/ours", 0o755), ("ours", 0o755)]);
    let nobody = Some(65_534);
    chown(scratch.at("theirs"), nobody, nobody).unwrap();
    for name in ["theirs/file", "theirs/ours/file", "theirs/../ours/file"] {
        let refusal = scratch.refusal(name);
        assert_eq!(
            refusal,
            format!(
                "the folder {} belongs to user 65534, neither to root nor to the user we run as \
                 (0) (mode 0755): chown it, or use another folder",
                scratch.at("theirs").display()
            )
        );
    }
    assert_eq!(scratch.refusal("ours/file"), "");
}

/// What the system itself has is trusted, through all its links.
#[test]
fn the_folders_of_the_system_pass() {
    for path in [
        "/etc/passwd",
        "/etc/hostname",
        "/usr/bin/env",
        "/proc/version",
    ] {
        let trusted = TrustedPath::of_file(Path::new(path));
        assert!(trusted.is_ok(), "{path}: {}", told(trusted));
    }
    for certificate in fs::read_dir("/etc/ssl/certs").into_iter().flatten() {
        let path = certificate.unwrap().path();
        let trusted = TrustedPath::of_file(&path);
        assert!(trusted.is_ok(), "{path:?}: {}", told(trusted));
    }
}

/// With a list, the bits of the group are the mask of what it grants (acl(5)).
#[test]
fn an_access_control_list_shows_in_the_mode() {
    let scratch = Scratch::new("acl", &[("a", 0o755)]);
    fs::write(scratch.at("a/file"), "").unwrap();
    assert_eq!(scratch.refusal("a/file"), "");
    // As in linux/posix_acl_xattr.h: version 2; then tag, rights and id of each entry. User 65534
    // may write.
    let entries: [(u16, u16, u32); 5] = [
        (0x01, 7, u32::MAX),
        (0x02, 7, 65_534),
        (0x04, 5, u32::MAX),
        (0x10, 7, u32::MAX),
        (0x20, 5, u32::MAX),
    ];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        list.extend(tag.to_le_bytes());
        list.extend(rights.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    let name = "system.posix_acl_access";
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(scratch.at("a"), name, &list, flags) == Err(Errno::OPNOTSUPP) {
        return;
    }
    let refusal = scratch.refusal("a/file");
    assert!(
        refusal.contains("may be written by others (mode 0775, "),
        "{refusal}"
    );
}

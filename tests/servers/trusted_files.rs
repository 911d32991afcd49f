//! Every file that a configuration names, in the states that others could put it into.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::binary;
use crate::support::process::{need_root, program};
use crate::support::temp_dir::TempDir;

/// A key that names a file, and the rest of a configuration around `KEY = "folder/file"`.
type Named = (&'static str, &'static str);

/// What is always there.
const REST: &str = "[routes]\ndefault = \"192.0.2.1\"\n";
const FILE_STORE: &str = "[[users]]\nstore = \"file\"\npath = \"passwd\"\n";

const ALWAYS: [Named; 6] = [
    ("users.path", "[[users]]\nstore = \"file\"\npath = NAME\n"),
    (
        "users.path",
        "[[users]]\nstore = \"file\"\npath = \"passwd\"\napp-passwords-path = NAME\n",
    ),
    ("nginx.key-file", "[nginx]\nkey-file = NAME\nFILE_STORE"),
    (
        "master.path",
        "[master]\nseparator = \"*\"\npath = NAME\nFILE_STORE",
    ),
    (
        "hosts.one.master-password-file",
        "[hosts.one]\naddress = \"192.0.2.1\"\nmaster-login = \"{login}*master\"\n\
         master-password-file = NAME\nFILE_STORE",
    ),
    // Only the file itself.
    ("", "FILE_STORE"),
];

const SQL: [Named; 3] = [
    (
        "users.ca-file",
        "[[users]]\nstore = \"sql\"\nurl = \"mysql://mail@127.0.0.1:1/m\"\ntls = \"verify\"\n\
         ca-file = NAME\nquery = \"SELECT password FROM u WHERE l = {login}\"\n",
    ),
    (
        "users.password-file",
        "[[users]]\nstore = \"sql\"\nurl = \"postgresql://mail@127.0.0.1:1/m\"\n\
         password-file = NAME\nquery = \"SELECT password FROM u WHERE l = {login}\"\n",
    ),
    (
        "users.url",
        "[[users]]\nstore = \"sql\"\nurl = \"sqlite:folder/file\"\n\
         query = \"SELECT password FROM u WHERE l = {login}\"\n",
    ),
];
#[cfg(not(feature = "servers"))]
const SQL: [Named; 0] = [];

const LDAP: [Named; 2] = [
    (
        "users.ca-file",
        "[[users]]\nstore = \"ldap\"\nurl = \"ldaps://127.0.0.1:1\"\nca-file = NAME\n\
         auth = \"bind\"\nuser-dn = \"uid={login},dc=example\"\n",
    ),
    (
        "users.bind-password-file",
        "[[users]]\nstore = \"ldap\"\nurl = \"ldapi://\"\nauth = \"search-bind\"\n\
         base = \"dc=example\"\nfilter = \"(uid={login})\"\nbind-dn = \"cn=mail\"\n\
         bind-password-file = NAME\n",
    ),
];
#[cfg(not(feature = "servers"))]
const LDAP: [Named; 0] = [];

const REMOTE: [Named; 4] = [
    (
        "users.ca-file",
        "[[users]]\nstore = \"imap\"\nurl = \"imaps://127.0.0.1:1\"\nca-file = NAME\n",
    ),
    (
        "users.ca-file",
        "[[users]]\nstore = \"pop3\"\nurl = \"pop3://127.0.0.1:1\"\nstarttls = true\nca-file = NAME\n",
    ),
    (
        "users.ca-file",
        "[[users]]\nstore = \"http\"\nurl = \"https://127.0.0.1:1/\"\nca-file = NAME\n",
    ),
    (
        "users.key-file",
        "[[users]]\nstore = \"http\"\nurl = \"http://127.0.0.1:1/\"\nkey-file = NAME\n",
    ),
];
#[cfg(not(feature = "servers"))]
const REMOTE: [Named; 0] = [];

const OAUTH: [Named; 3] = [
    (
        "oauth.jwks-file",
        "[oauth]\njwks-file = NAME\nissuer = \"x\"\naudience = \"x\"\nFILE_STORE",
    ),
    (
        "oauth.ca-file",
        "[oauth]\nintrospection-url = \"https://127.0.0.1:1/\"\nca-file = NAME\nFILE_STORE",
    ),
    (
        "oauth.client-secret-file",
        "[oauth]\nintrospection-url = \"http://127.0.0.1:1/\"\nclient-id = \"x\"\n\
         client-secret-file = NAME\nFILE_STORE",
    ),
];
#[cfg(not(feature = "servers"))]
const OAUTH: [Named; 0] = [];

const REDIS: [Named; 2] = [
    (
        "throttle.ca-file",
        "[throttle]\nstate = \"rediss://127.0.0.1:1\"\nca-file = NAME\nFILE_STORE",
    ),
    (
        "throttle.password-file",
        "[throttle]\nstate = \"redis://127.0.0.1:1\"\npassword-file = NAME\nFILE_STORE",
    ),
];
#[cfg(not(feature = "servers"))]
const REDIS: [Named; 0] = [];

/// A configuration in a folder of its own, and the file that it names in another.
struct Case {
    dir: TempDir,
    folder: PathBuf,
    file: PathBuf,
}

impl Case {
    fn new((key, keys): Named) -> Self {
        let dir = TempDir::new();
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        mode(&folder, 0o755);
        dir.write("passwd", "alice:{PLAIN}secret-x\n");
        let keys = keys.replace("FILE_STORE", FILE_STORE);
        let config = keys.replace("NAME", "\"folder/file\"") + REST;
        dir.write("auth.toml", &config);
        let mut file = folder.join("file");
        if key.is_empty() {
            file = folder.join("auth.toml");
            fs::rename(dir.path().join("auth.toml"), &file).unwrap();
            fs::rename(dir.path().join("passwd"), folder.join("passwd")).unwrap();
            symlink("folder/auth.toml", dir.path().join("auth.toml")).unwrap();
        } else {
            fs::write(&file, "x").unwrap();
            mode(&file, 0o600);
        }
        Self { dir, folder, file }
    }

    /// What `check` says. One that hangs is ended, with another exit code.
    fn check(&self) -> (Option<i32>, String) {
        let mut command = Command::new(program("timeout", "coreutils"));
        command.arg("20").arg(env!("CARGO_BIN_EXE_nginx-mail-auth"));
        command
            .arg("--config")
            .arg(self.dir.path().join("auth.toml"));
        let output = binary::output(command.arg("check"));
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// How a file is spoilt, and what `check` says of it.
type Spoilt = (&'static str, fn(&Case), &'static str);

fn replace(case: &Case, make: impl FnOnce(&Path)) {
    fs::remove_file(&case.file).unwrap();
    make(&case.file);
}

const STATES: [Spoilt; 9] = [
    (
        "writable",
        |case| mode(&case.file, 0o666),
        "may be written by others (mode 0666): chmod go-w",
    ),
    (
        "of nobody",
        |case| chown(&case.file, Some(65534), None).unwrap(),
        "belongs to user 65534, neither to root nor to the user we run as (0)",
    ),
    (
        "fifo",
        |case| {
            replace(case, |path| {
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                let fifo = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, path, fifo, mode, 0).unwrap();
            });
        },
        "is not a regular file",
    ),
    (
        "endless",
        |case| replace(case, |path| symlink("/dev/zero", path).unwrap()),
        "is not a regular file",
    ),
    (
        "folder",
        |case| replace(case, |path| fs::create_dir(path).unwrap()),
        "is not a regular file",
    ),
    (
        "sticky folder",
        |case| mode(&case.folder, 0o1777),
        "folder may be written by others (mode 1777, owner 0): its sticky bit",
    ),
    (
        "folder of a group",
        |case| mode(&case.folder, 0o2775),
        "folder may be written by others (mode 2775, owner 0): chmod go-w",
    ),
    (
        "planted link",
        |case| {
            let away = case.dir.path().join("away");
            fs::rename(&case.file, &away).unwrap();
            symlink(&away, &case.file).unwrap();
            mode(&case.folder, 0o777);
        },
        "folder may be written by others (mode 0777, owner 0): chmod go-w",
    ),
    (
        "above",
        |case| mode(case.dir.path(), 0o775),
        "may be written by others (mode 0775, owner 0): chmod go-w",
    ),
];

#[test]
fn each_file_that_is_named_is_read_by_the_same_rules() {
    need_root();
    let named = [&ALWAYS[..], &SQL, &LDAP, &REMOTE, &OAUTH, &REDIS].concat();
    for (key, keys) in named {
        for (what, spoil, why) in STATES {
            let case = Case::new((key, keys));
            spoil(&case);
            let (code, said) = case.check();
            assert_eq!(code, Some(78), "{key}, {what}: {said}");
            let line = said.lines().find(|line| line.contains(why));
            let line = line.unwrap_or_else(|| panic!("{key}, {what}: {said}"));
            // Above is the configuration as well.
            if what != "above" {
                assert!(line.contains(&format!("{key}: ")), "{what}: {line}");
            }
            mode(case.dir.path(), 0o755);
        }
    }
}

/// What is named has a bound.
#[test]
fn a_file_of_certificates_or_keys_has_a_bound() {
    for (key, keys) in [&REMOTE[..], &LDAP, &OAUTH, &REDIS].concat() {
        let case = Case::new((key, keys));
        fs::write(&case.file, vec![b'x'; (1 << 20) + 1]).unwrap();
        let (code, said) = case.check();
        assert_eq!(code, Some(78), "{key}: {said}");
        assert!(said.contains("file: is larger than "), "{key}: {said}");
    }
}

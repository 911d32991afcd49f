//! Login rules, masters, chains of stores and app passwords, asked as a web server asks.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::util::{self, TempDir};

const OK: &str = "Auth-Status: OK\nAuth-Server: 192.0.2.1\nAuth-Port: 143\n";
const REFUSED: &str = "Auth-Status: Invalid login or password\n";
const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n";

/// The answer without its blank line, and the cause in the log.
fn ask(dir: &TempDir, request: &[(&str, &str)]) -> (String, String) {
    let mut command = util::program();
    command
        .env("NGINX_MAIL_AUTH_CONFIG", dir.path().join("auth.toml"))
        .env("HTTP_AUTH_PROTOCOL", "imap")
        .env("HTTP_CLIENT_IP", "192.0.2.200")
        .envs(request.iter().copied())
        .stdin(Stdio::null());
    let output = util::output(&mut command);
    let answer = String::from_utf8(output.stdout).unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(!log.contains("secret"), "{log}");
    let cause = log.split_once(" cause=").expect(&log).1;
    let cause = cause.split(' ').next().unwrap();
    let answer = answer.strip_suffix('\n').expect(&answer);
    (answer.to_owned(), cause.to_owned())
}

fn login(dir: &TempDir, login: &str, password: &str) -> (String, String) {
    ask(
        dir,
        &[("HTTP_AUTH_USER", login), ("HTTP_AUTH_PASS", password)],
    )
}

fn folder(config: &str, users: &str) -> TempDir {
    let dir = TempDir::new();
    dir.write(
        "auth.toml",
        format!(
            "{config}\n[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
             [routes]\ndefault = \"192.0.2.1\"\n"
        ),
    );
    dir.write("users", users);
    dir
}

fn accepted(user: &str) -> (String, String) {
    (format!("{OK}Auth-User: {user}\n"), "accepted".to_owned())
}

fn refused(cause: &str) -> (String, String) {
    (REFUSED.to_owned(), cause.to_owned())
}

#[test]
fn the_rules_make_one_login_of_many() {
    let dir = folder(
        "[logins]\nlower-case = true\nstrip-domains = [\"old.example\"]\n\
         default-domain = \"example.org\"\n[logins.aliases]\n\"Sales\" = \"x\"\n\
         \"sales@example.org\" = \"alice@example.org\"",
        "alice@example.org:{PLAIN}secret\nbob@example.org:{PLAIN}secret::::::user=robert\n",
    );
    for typed in ["alice", "Alice@Example.org", "ALICE@old.example", "sales"] {
        assert_eq!(
            login(&dir, typed, "secret"),
            accepted("alice@example.org"),
            "{typed}"
        );
        assert_eq!(login(&dir, typed, "Secret"), refused("wrong-password"));
    }
    // As it is already, nginx need not be told.
    assert_eq!(
        login(&dir, "alice@example.org", "secret"),
        (OK.to_owned(), "accepted".to_owned())
    );
    // What the store says goes before the rules.
    assert_eq!(login(&dir, "BOB", "secret"), accepted("robert"));
    assert_eq!(
        login(&dir, &"a".repeat(250), "secret"),
        refused("login-too-long")
    );
}

#[test]
fn a_master_logs_in_as_somebody_else_and_nobody_else_does() {
    let users = "alice:{PLAIN}secret\noff:{PLAIN}secret::::::nologin\n\
                 office:{PLAIN}secret::::::allow_nets=198.51.100.0/24\nodd*name:{PLAIN}secret\n";
    let dir = folder(
        "[master]\npath = \"masters\"\nallow-weak-schemes = true",
        users,
    );
    dir.write(
        "masters",
        "support:{PLAIN}secret-of-support\n\
         far:{PLAIN}secret-of-far::::::allow_nets=198.51.100.0/24\n\
         gone:{PLAIN}secret-of-gone::::::nologin\nlocked:*\n",
    );
    let ok = (OK.to_owned(), "accepted".to_owned());
    assert_eq!(login(&dir, "alice*support", "secret-of-support"), ok);
    // A master comes from where masters may.
    assert_eq!(login(&dir, "office*support", "secret-of-support"), ok);
    for (typed, password, cause) in [
        ("alice*support", "secret", "wrong-password"),
        ("alice*support", "", "wrong-password"),
        ("alice*alice", "secret", "wrong-password"),
        ("alice", "secret-of-support", "wrong-password"),
        ("support", "secret-of-support", "unknown-user"),
        ("*support", "secret-of-support", "unknown-user"),
        ("nobody*support", "secret-of-support", "unknown-user"),
        ("alice*", "secret", "wrong-password"),
        ("alice*locked", "*", "wrong-password"),
        ("alice*gone", "secret-of-gone", "disabled"),
        ("alice*far", "secret-of-far", "network-not-allowed"),
        ("off*support", "secret-of-support", "disabled"),
        ("odd*name", "secret", "wrong-password"),
    ] {
        assert_eq!(login(&dir, typed, password), refused(cause), "{typed}");
    }
    // Off by default: a star is a letter like another.
    let dir = folder("", users);
    assert_eq!(login(&dir, "odd*name", "secret"), ok);
    assert_eq!(login(&dir, "alice*support", "x"), refused("unknown-user"));
}

#[test]
fn the_master_is_added_to_what_the_rules_made_of_the_user() {
    let dir = folder(
        "[logins]\nlower-case = true\ndefault-domain = \"example.org\"\n\
         [master]\nseparator = \"%%\"\npath = \"masters\"\nallow-weak-schemes = true",
        "alice@example.org:{PLAIN}secret\n",
    );
    dir.write("masters", "Support:{PLAIN}secret\n");
    assert_eq!(
        login(&dir, "Alice%25%25Support", "secret"),
        accepted("alice@example.org%%Support")
    );
}

#[test]
fn app_passwords_work_within_their_limits() {
    let dir = folder("", "");
    let config = "[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
                  app-passwords-path = \"apps\"\n[routes]\ndefault = \"192.0.2.1\"\n";
    dir.write("auth.toml", config);
    dir.write(
        "users",
        "alice:{PLAIN}secret-main\nonly:*\noff:{PLAIN}secret-main::::::nologin\n",
    );
    dir.write(
        "apps",
        "alice:{PLAIN}secret-phone:phone\n\
         alice:{PLAIN}secret-old:old phone:expires=2020-01-01\n\
         alice:{PLAIN}secret-new:new phone:expires=2999-01-01 protocols=imap,pop3\n\
         alice:{PLAIN}secret-scan:scanner:protocols=smtp\n\
         alice:{PLAIN}secret-near:desk:allow_nets=192.0.2.0/24\n\
         alice:{PLAIN}secret-far:lab:allow_nets=198.51.100.0/24\n\
         only:{PLAIN}secret-phone:phone\noff:{PLAIN}secret-phone:phone\n\
         stranger:{PLAIN}secret-phone:phone\n",
    );
    let ok = (OK.to_owned(), "accepted".to_owned());
    for (name, password) in [
        ("alice", "secret-main"),
        ("alice", "secret-phone"),
        ("alice", "secret-new"),
        ("alice", "secret-near"),
        ("only", "secret-phone"),
    ] {
        assert_eq!(login(&dir, name, password), ok, "{name} {password}");
    }
    for (name, password, cause) in [
        ("alice", "secret-old", "password-expired"),
        ("alice", "secret-scan", "protocol-not-allowed"),
        ("alice", "secret-far", "network-not-allowed"),
        ("alice", "secret-wrong", "wrong-password"),
        ("alice", "", "wrong-password"),
        ("only", "*", "wrong-password"),
        ("off", "secret-phone", "disabled"),
        ("stranger", "secret-phone", "unknown-user"),
    ] {
        assert_eq!(login(&dir, name, password), refused(cause), "{password}");
    }
    let scanner = [
        ("HTTP_AUTH_USER", "alice"),
        ("HTTP_AUTH_PASS", "secret-scan"),
        ("HTTP_AUTH_PROTOCOL", "smtp"),
    ];
    assert!(ask(&dir, &scanner).0.starts_with("Auth-Status: OK\n"));
    dir.write(
        "apps",
        "alice:{PLAIN}secret-phone:phone:expire=2020-01-01\n",
    );
    let said = login(&dir, "alice", "secret-phone");
    assert_eq!(said, refused("unusable-password"));
}

#[test]
fn a_chain_goes_on_where_it_is_told_to() {
    let dir = TempDir::new();
    dir.write("first", "alice:{PLAIN}secret-one\nbad:{ROT13}x\n");
    dir.write("second", "alice:{PLAIN}secret-two\nbad:{PLAIN}secret-two\n");
    let config = |first: &str| {
        let table = |path: &str, more: &str| {
            format!(
                "[[users]]\nstore = \"file\"\npath = \"{path}\"\nname = \"{path}\"\n\
                 allow-weak-schemes = true\n{more}"
            )
        };
        let routes = "[routes]\ndefault = \"192.0.2.1\"\n";
        dir.write(
            "auth.toml",
            table("first", first) + &table("second", "") + routes,
        );
    };
    let ok = (OK.to_owned(), "accepted".to_owned());
    config("");
    assert_eq!(
        login(&dir, "alice", "secret-two"),
        refused("wrong-password")
    );
    let unusable = refused("unusable-password");
    assert_eq!(login(&dir, "bad", "secret-two"), unusable);
    config("wrong = \"next\"\ntrouble = \"next\"\n");
    assert_eq!(login(&dir, "alice", "secret-one"), ok);
    assert_eq!(login(&dir, "alice", "secret-two"), ok);
    assert_eq!(login(&dir, "alice", "secret"), refused("wrong-password"));
    assert_eq!(login(&dir, "bad", "secret-two"), unusable);
    assert_eq!(login(&dir, "bad", "secret"), refused("wrong-password"));
    config("domains = [\"example.org\"]\n");
    assert_eq!(login(&dir, "alice", "secret-two"), ok);
}

/// Whoever checks nothing leaves that to the mail server, which must see what was typed.
#[test]
fn a_master_login_is_never_used_for_a_password_that_nobody_has_checked() {
    let dir = TempDir::new();
    dir.write("master", "secret-of-master\n");
    dir.write(
        "auth.toml",
        "[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"one\"\n[hosts.one]\n\
         address = \"192.0.2.1\"\nmaster-login = \"proxy\"\nmaster-password-file = \"master\"\n\
         master-use = \"always\"\n",
    );
    let ok = (OK.to_owned(), "accepted".to_owned());
    for password in ["anything", ""] {
        assert_eq!(login(&dir, "alice", password), ok);
    }
    dir.write("users", "alice:{PLAIN}secret\n");
    let config = std::fs::read_to_string(dir.path().join("auth.toml")).unwrap();
    let file = "\"file\"\npath = \"users\"\nallow-weak-schemes = true";
    dir.write("auth.toml", config.replace("\"accept\"", file));
    let (answer, _) = login(&dir, "alice", "secret");
    let master = format!("{OK}Auth-User: alice*proxy\nAuth-Pass: secret-of-master\n");
    assert_eq!(answer, master);
}

/// Each process that waits for a place holds none; all get one in turn, or the temporary failure.
#[test]
fn hashes_are_counted_across_processes() {
    let dir = folder(
        "[limits]\nmax-hashes = 1\nhash-locks = \"locks\"\ndeadline = 1",
        "",
    );
    std::fs::create_dir(dir.path().join("locks")).unwrap();
    let hash = Command::new("openssl")
        .args(["passwd", "-6", "-salt", "abcdefgh", "secret"])
        .output()
        .unwrap();
    let hash = String::from_utf8(hash.stdout).unwrap();
    dir.write("users", format!("alice:{hash}"));
    let ok = (OK.to_owned(), "accepted".to_owned());
    assert_eq!(login(&dir, "alice", "secret"), ok);
    // Somebody else is in the only place, and stays.
    let lock = std::fs::File::open(dir.path().join("locks/hash-0.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let busy = (TEMPORARY.to_owned(), "busy".to_owned());
    assert_eq!(login(&dir, "alice", "secret"), busy);
    assert_eq!(login(&dir, "nobody", "secret"), busy);
    drop(lock);
    assert_eq!(login(&dir, "alice", "secret"), ok);
}

/// A folder that cannot be used bounds nothing, and keeps nobody out.
#[test]
fn the_files_of_the_places_belong_to_whoever_the_folder_belongs_to() {
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

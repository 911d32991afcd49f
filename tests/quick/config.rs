//! Configuration files, good and bad, through the library.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nginx_mail_auth::config::{Config, StoreConfig};
use nginx_mail_auth::sys::problem::Problem;

use crate::support::temp_dir::TempDir;

/// What a key is in the fixtures; it may be part of no message.
const MARKER: &str = "hunter2";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Writes a file with these permissions.
fn write(folder: &TempDir, name: &str, content: &str, mode: u32) -> PathBuf {
    let path = folder.write(name, content);
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

/// Lines without the folder in front.
fn lines(problems: &[Problem], folder: &Path) -> String {
    let prefix = format!("{}/", folder.display());
    problems
        .iter()
        .map(|problem| problem.to_string().replace(&prefix, "") + "\n")
        .collect()
}

fn problems_of(folder: &TempDir, content: &str) -> String {
    let path = write(folder, "auth.toml", content, 0o600);
    lines(&Config::load(&path).err().unwrap(), folder.path())
}

#[test]
fn bad_files_get_exactly_these_messages() {
    let folder = TempDir::new();
    let fixtures = fs::read_dir(root().join("tests/data/config")).unwrap();
    let mut seen = 0;
    for entry in fixtures {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        // What is wrong with it is only seen by a program that has Redis.
        let of_redis = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("throttle-"));
        if cfg!(not(feature = "servers")) && of_redis {
            continue;
        }
        seen += 1;
        let expected = path.with_extension("err");
        let content = fs::read_to_string(&path).unwrap();
        // Copied, as a checkout may be writable for the group.
        let messages = problems_of(&folder, &content);
        // What is wrong with a store is only seen by a program that has it.
        let has_all = cfg!(feature = "servers");
        if !has_all && messages.contains("this program was built without the store") {
            continue;
        }
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &messages).unwrap();
        }
        let wanted = fs::read_to_string(&expected).unwrap();
        assert_eq!(messages, wanted, "{}", path.display());
        assert!(!messages.is_empty(), "{}", path.display());
        assert!(!messages.contains(MARKER), "{messages}");
    }
    assert!(seen >= 8, "only {seen} fixtures");
}

#[test]
fn the_script_of_the_readme() {
    let folder = TempDir::new();
    let content = fs::read_to_string(root().join("examples/php-script.toml")).unwrap();
    let config = Config::load(&write(&folder, "auth.toml", &content, 0o644)).unwrap();
    let stores: Vec<_> = config.users.iter().map(|users| &users.store).collect();
    assert_eq!(stores, [&StoreConfig::Accept]);
    assert_eq!(
        lines(&config.warnings, folder.path()),
        "auth.toml:2:9: users.store: accept takes every login with every password: the mail \
         servers must check them again; one that does not do so for SMTP becomes an open relay\n"
    );
    assert_eq!(config.files.len(), 1);
}

#[test]
fn keys_come_from_the_file_or_from_another() {
    let folder = TempDir::new();
    let rest =
        "[routes]\ndefault = \"192.0.2.1\"\n[[users]]\nstore = \"file\"\npath = \"passwd\"\n";
    let load = |nginx: &str, mode| {
        let path = write(
            &folder,
            "auth.toml",
            &format!("[nginx]\n{nginx}\n{rest}"),
            mode,
        );
        Config::load(&path).map_err(|problems| lines(&problems, folder.path()))
    };
    let warnings = |config: &Config| lines(&config.warnings, folder.path());

    let config = load("key = \"hunter2-hunter2-hunter2\"", 0o600).unwrap();
    assert!(config.fronts.accept_key(b"hunter2-hunter2-hunter2"));
    assert_eq!(warnings(&config), "");
    assert_eq!(
        warnings(&load("key = \"hunter2-hunter2-hunter2\"", 0o644).unwrap()),
        "auth.toml: holds secrets and may be read by everybody (mode 0644): chmod o-r\n"
    );

    write(
        &folder,
        "key",
        "hunter2-hunter2-hunter2\r\nnot this, nor that\n",
        0o640,
    );
    let config = load("key-file = \"key\"", 0o644).unwrap();
    assert!(config.fronts.accept_key(b"hunter2-hunter2-hunter2"));
    assert_eq!(warnings(&config), "");
    let files: Vec<_> = config.files.iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(
        files,
        [folder.path().join("auth.toml"), folder.path().join("key")]
    );

    write(&folder, "key", "hunter2-hunter2-hunter2", 0o644);
    assert_eq!(
        warnings(&load("key-file = \"key\"", 0o644).unwrap()),
        "key: holds secrets and may be read by everybody (mode 0644): chmod o-r\n"
    );
    let error = |nginx: &str| load(nginx, 0o600).err().unwrap();
    write(&folder, "key", "hunter2-hunter2-hunter2", 0o620);
    assert_eq!(
        error("key-file = \"key\""),
        "auth.toml:2:12: nginx.key-file: key: may be written by others (mode 0620): chmod go-w\n"
    );
    write(&folder, "key", "\nhunter2-hunter2-hunter2", 0o600);
    assert_eq!(
        error("key-file = \"key\""),
        "auth.toml:2:12: nginx.key-file: the key is empty\n"
    );
    assert_eq!(
        error("key-file = \"none\""),
        "auth.toml:2:12: nginx.key-file: none: cannot be read: No such file or directory \
         (os error 2)\n"
    );
}

/// Those that were copied from our own examples, and those that can be guessed.
#[test]
fn a_key_that_everybody_knows_is_refused_and_a_short_one_warned_of() {
    let folder = TempDir::new();
    let check = |key: &str| {
        let nginx = [
            format!("[nginx]\nkey = \"{key}\"\n"),
            format!("[nginx]\nkeys = [\"{key}\"]\n"),
            "[nginx]\nkey-file = \"key\"\n".to_owned(),
        ];
        write(&folder, "key", &format!("{key}\n"), 0o600);
        nginx.map(|nginx| {
            let rest =
                "[[users]]\nstore = \"file\"\npath = \"x\"\n[routes]\ndefault = \"192.0.2.1\"\n";
            let path = write(&folder, "auth.toml", &(nginx + rest), 0o600);
            match Config::load(&path) {
                Ok(config) => (true, lines(&config.warnings, folder.path())),
                Err(problems) => (false, lines(&problems, folder.path())),
            }
        })
    };
    let places = ["2:7: nginx.key", "2:9: nginx.keys", "2:12: nginx.key-file"];
    for (key, accepted, message) in [
        ("0123456789abcdef", true, ""),
        (
            "0123456789abcde",
            true,
            "the key has 15 bytes, and one below 16 can be guessed: make one by openssl rand -hex 24",
        ),
        (
            "x",
            true,
            "the key has 1 bytes, and one below 16 can be guessed: make one by openssl rand -hex 24",
        ),
        ("replace-this-key", false, PLACEHOLDER),
        ("A Long Random String", false, PLACEHOLDER),
    ] {
        for (place, told) in places.iter().zip(check(key)) {
            let message = match message {
                "" => String::new(),
                message => format!("auth.toml:{place}: {message}\n"),
            };
            assert_eq!(told, (accepted, message), "{key}");
        }
    }
    // Each one in what people copy from.
    let mut documents = vec![root().join("README.md")];
    let mut folders = ["docs", "examples", "apache", "fail2ban"]
        .map(|folder| root().join(folder))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => documents.push(path),
            }
        }
    }
    let mut seen = 0;
    for document in documents.iter().filter(|path| path.is_file()) {
        for line in String::from_utf8_lossy(&fs::read(document).unwrap()).lines() {
            for start in ["X-Auth-Key \"", " key = \"", "keys = [\""] {
                let Some((_, rest)) = line.split_once(start) else {
                    continue;
                };
                for key in rest.split(']').next().unwrap().split("\", \"") {
                    let key = key.split('"').next().unwrap();
                    for (accepted, told) in check(key) {
                        assert!(!accepted && told.contains(PLACEHOLDER), "{line}: {told}");
                    }
                    seen += 1;
                }
            }
        }
    }
    assert!(seen >= 4, "only {seen} keys");
}

const PLACEHOLDER: &str = "the key is the placeholder of an example, which everybody knows: make one \
                           by openssl rand -hex 24";

#[test]
fn a_file_that_others_may_write_is_refused() {
    let folder = TempDir::new();
    let path = write(&folder, "auth.toml", "", 0o666);
    assert_eq!(
        lines(&Config::load(&path).err().unwrap(), folder.path()),
        "auth.toml: may be written by others (mode 0666): chmod go-w\n"
    );
}

#[test]
fn no_wrong_value_gets_into_a_message() {
    let folder = TempDir::new();
    for line in [
        "key = hunter2",
        "key = \"hunter2",
        "key = 'hunter2",
        "key = \"\"\"hunter2",
        "key \"hunter2\"",
        "key = \"a\" hunter2",
        "key = \"\\hunter2\"",
        "key = [\"hunter2\"]",
        "key = { hunter2 = 1 }",
        "key = \"hunter2\\u0000\"",
        "key = \" hunter2\"",
        "key-file = \"key\"\nkey = \"hunter2\"",
        "hunter2",
        "key = \nhunter2",
        "key = 2026-01-01hunter2",
    ] {
        let messages = problems_of(&folder, &format!("[nginx]\n{line}\n[[users]]\n"));
        assert!(!messages.contains(MARKER), "{line}: {messages}");
        assert!(messages.starts_with("auth.toml:"), "{line}: {messages}");
    }
    for value in ["12345678", "1234.5678", "12345678-01-01"] {
        let messages = problems_of(&folder, &format!("[nginx]\nkey = {value}\n"));
        assert!(!messages.contains("1234"), "{messages}");
    }
}

/// The threads that look names up log what fails, while the command has the same stderr.
#[test]
fn check_of_a_name_that_dns_does_not_know_ends() {
    let folder = TempDir::new();
    let content = "[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"no-such-host.invalid\"\n";
    let path = write(&folder, "auth.toml", content, 0o600);
    let mut command = Command::new(env!("CARGO_BIN_EXE_nginx-mail-auth"));
    command.arg("--config").arg(&path).arg("check");
    let (done, ended) = mpsc::channel();
    thread::spawn(move || done.send(command.output().unwrap()));
    let output = ended.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(output.status.code(), Some(78));
    let errors = String::from_utf8(output.stderr).unwrap();
    let place = format!(
        "{}:4:11: routes.default: cannot resolve no-such-host.invalid: ",
        path.display()
    );
    assert!(errors.contains(&place), "{errors}");
}

/// The program's exit status; it must not take longer than DNS may.
fn status_of(command: &mut Command) -> Option<i32> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

fn program(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nginx-mail-auth"));
    command.arg("--config").arg(config);
    command
}

#[test]
fn commands_end_though_a_name_has_no_address() {
    let folder = TempDir::new();
    let content = "[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"none.invalid\"\n";
    let config = write(&folder, "auth.toml", content, 0o600);
    assert_eq!(status_of(program(&config).arg("check")), Some(78));
    assert_eq!(status_of(program(&config).args(["test", "alice"])), Some(1));
}

#[test]
fn a_file_full_of_errors_is_soon_read() {
    let folder = TempDir::new();
    let started = Instant::now();
    let lines = problems_of(&folder, &"[\n".repeat(300_000));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(lines.lines().count(), 101);
    assert!(lines.contains("has more problems, which are not shown"));
}

#[test]
fn web_servers_that_are_no_text_are_an_error() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = TempDir::new();
    let content = "[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"192.0.2.1\"\n";
    let config = write(&folder, "auth.toml", content, 0o600);
    let list = std::ffi::OsStr::from_bytes(b"\xff");
    let mut serve = program(&config);
    serve.args(["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(status_of(serve.env("FCGI_WEB_SERVER_ADDRS", list)), Some(1));
}

#[test]
fn a_key_file_that_is_there_again_is_soon_seen() {
    use nginx_mail_auth::front::Application as _;
    use nginx_mail_auth::front::params::{Params, Peer};
    use nginx_mail_auth::service::reload::ReloadingService;
    let folder = TempDir::new();
    let content = "[nginx]\nkey-file = \"key\"\n[[users]]\nstore = \"accept\"\n\
                   [routes]\ndefault = \"192.0.2.1\"\n";
    let config = write(&folder, "auth.toml", content, 0o600);
    let key = write(&folder, "key", "hunter2", 0o600);
    let live = ReloadingService::open(&config, None).ok().unwrap();
    let look = || {
        thread::sleep(Duration::from_millis(1100));
        let _ = live.respond(Peer::Unix, &Params::bounded(0), &mut Vec::new());
        live.current().unwrap().config().fronts.clone()
    };
    fs::remove_file(&key).unwrap();
    assert!(look().accept_key(b"hunter2"));
    write(&folder, "key", "hunter3", 0o600);
    // It is loaded beside the requests, which may take a moment.
    let seen = (0..20).any(|_| look().accept_key(b"hunter3"));
    assert!(seen);
}

/// Each route has a place in the file, and its host. Ten times the time that this takes, and a
/// tenth of what it takes if every place is counted from the beginning of the file.
#[test]
fn thousands_of_routes_hosts_and_moves_are_soon_read() {
    let address = |n: usize| format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255);
    let each = |entry: &dyn Fn(usize) -> String| (0..16_000).map(entry).collect::<String>();
    let folder = TempDir::new();
    for (what, content) in [
        (
            "addresses",
            "[routes.login]\n".to_owned() + &each(&|n| format!("u{n} = \"{}\"\n", address(n))),
        ),
        (
            "names",
            "[routes.login]\n".to_owned() + &each(&|n| format!("u{n} = \"h{n}.example\"\n")),
        ),
        (
            "one long line",
            format!(
                "[routes]\nlogin = {{ {} x = \"192.0.2.1\" }}\n",
                each(&|n| format!("u{n} = \"{}\", ", address(n)))
            ),
        ),
        (
            "hosts",
            "[routes]\ndefault = \"h1\"\n[hosts]\n".to_owned()
                + &each(&|n| format!("h{n} = {{ addresses = [\"{}\"] }}\n", address(n))),
        ),
    ] {
        let content = format!("[[users]]\nstore = \"accept\"\n{content}");
        let path = write(&folder, "auth.toml", &content, 0o600);
        let started = Instant::now();
        assert!(Config::load(&path).is_ok(), "{what}");
        assert!(started.elapsed() < Duration::from_secs(2), "{what}");
    }
    let bad = "[routes.login]\n".to_owned() + &each(&|n| format!("u{n} = \"-bad-{n}\"\n"));
    let started = Instant::now();
    assert!(problems_of(&folder, &bad).lines().count() >= 16_000);
    assert!(started.elapsed() < Duration::from_secs(2));
}

//! Where passwords are not: in the memory of a server that has answered, in what the kernel shows
//! of a process, in anything printed.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustix::fs::{FlockOperation, flock};

use crate::support::process::need_root;
use crate::support::process::wait_until;
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;

/// A password that is nothing else, and the same percent-encoded.
const MARKER: &str = "secret-MarkerOf7Passwords";
const WRONG: &str = "secret-MarkerOf8Passwords";

/// In how many places of what a process can write these bytes are.
fn found_in_memory(pid: u32, wanted: &[u8]) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut places = 0;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; (end - start) as usize];
        memory.seek(SeekFrom::Start(start)).unwrap();
        // Gone since, such as the stack of a thread.
        if memory.read_exact(&mut bytes).is_err() {
            continue;
        }
        let windows = bytes.windows(wanted.len());
        places += windows.filter(|window| *window == wanted).count();
    }
    places
}

/// A password as it may lie about: as it is, and in the forms in which base64 has it within
/// something else.
fn forms(password: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![password.as_bytes().to_vec()];
    for offset in 0..3 {
        let padded = ["\0".repeat(offset).as_bytes(), password.as_bytes()].concat();
        let encoded = STANDARD_NO_PAD.encode(padded);
        // Without the digits that also depend on what is around.
        forms.push(encoded.as_bytes()[4..encoded.len() - 4].to_vec());
    }
    forms
}

/// Asks, and then finds nothing of the password any more.
#[track_caller]
fn ask_and_search(server: &Serving, login: &str, password: &str, expected: &str) {
    let answer = server.ask(login, password);
    assert!(
        answer.contains(expected),
        "{login}: {answer}\n{}",
        server.log()
    );
    let mut places = Vec::new();
    let start = std::time::Instant::now();
    loop {
        places.clear();
        places.extend(
            forms(password)
                .iter()
                .map(|form| found_in_memory(server.pid(), form)),
        );
        // The thread that answered may be about to wipe it.
        if places.iter().all(|count| *count == 0) {
            break;
        }
        let took = start.elapsed();
        assert!(
            took.as_secs() < 5,
            "{login}: the password is in memory: {places:?}"
        );
    }
    // What is searched for would be found.
    assert!(found_in_memory(server.pid(), b"/auth.toml") > 0);
}

/// The hash of [`MARKER`] by the program itself.
fn hash(scheme: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nginx-mail-auth"))
        .args(["hash", "--scheme", scheme])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), MARKER.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

const SCHEMES: [&str; 8] = [
    "argon2id",
    "argon2i",
    "yescrypt",
    "blf-crypt",
    "sha512-crypt",
    "sha256-crypt",
    "pbkdf2",
    "ssha512",
];

#[test]
fn a_server_that_has_answered_has_no_password_of_the_file_store() {
    need_root();
    let config = "[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
                  [routes]\ndefault = \"192.0.2.1\"\n[throttle]\nfree-failures = 1000\n";
    let mut users = String::new();
    for scheme in SCHEMES {
        users += &format!("{scheme}:{}\n", hash(scheme));
    }
    users += &format!("{}:!{}\n", "locked", hash("ssha512"));
    let server = Serving::listening(config, &users);
    for scheme in SCHEMES {
        ask_and_search(&server, scheme, MARKER, "Auth-Server: 192.0.2.1");
        // Remembered now, and asked again.
        ask_and_search(&server, scheme, MARKER, "Auth-Server: 192.0.2.1");
        ask_and_search(&server, scheme, WRONG, "Invalid login");
    }
    ask_and_search(&server, "nobody", MARKER, "Invalid login");
    ask_and_search(&server, "locked", MARKER, "Invalid login");
    // What cannot be a password at all, at the beginning, at the end, and in a request of any size.
    ask_and_search(
        &server,
        "argon2id",
        &format!("{MARKER}%zz"),
        "Invalid login",
    );
    ask_and_search(
        &server,
        "argon2id",
        &format!("{MARKER}%00"),
        "Invalid login",
    );
    let long = MARKER.repeat(1000);
    assert!(server.ask("argon2id", &long).contains("Invalid login"));
    ask_and_search(&server, "nobody", MARKER, "Invalid login");
}

#[test]
fn nor_one_of_a_database() {
    need_root();
    let dir = TempDir::new();
    let database = dir.path().join("users.db");
    let sql = format!(
        "CREATE TABLE users (login TEXT PRIMARY KEY, password TEXT);
         INSERT INTO users VALUES ('alice', '{}');",
        hash("sha512-crypt")
    );
    let made = Command::new("sqlite3").arg(&database).arg(sql).status();
    assert!(made.unwrap().success());
    let config = "[[users]]\nstore = \"sql\"\nurl = \"sqlite:users.db\"\n\
                  query = \"SELECT password FROM users WHERE login = {login}\"\n\
                  [routes]\ndefault = \"192.0.2.1\"\n";
    let server = Serving::listening_in(dir, config, "");
    ask_and_search(&server, "alice", MARKER, "Auth-Server: 192.0.2.1");
    ask_and_search(&server, "alice", WRONG, "Invalid login");
    ask_and_search(&server, "nobody", MARKER, "Invalid login");
}

#[test]
fn nor_one_of_a_directory() {
    use crate::support::scripted_directory::{Act, Fake, bound};
    need_root();
    let fake = Fake::answering(|request| {
        let right = |bytes: &[u8]| {
            bytes
                .windows(MARKER.len())
                .any(|part| part == MARKER.as_bytes())
        };
        let code = if right(&request.content) { 0 } else { 49 };
        Act::Send(bound(request.id, code, ""))
    });
    let config = format!(
        "[[users]]\nstore = \"ldap\"\nurls = [\"{}\"]\nauth = \"bind\"\n\
         user-dn = \"uid={{login}},dc=example,dc=org\"\n[routes]\ndefault = \"192.0.2.1\"\n",
        fake.url()
    );
    for cache in ["", "cache = 60\n"] {
        let config = config.replace("[routes]", &format!("{cache}[routes]"));
        let server = Serving::listening(&config, "");
        ask_and_search(&server, "alice", MARKER, "Auth-Server: 192.0.2.1");
        ask_and_search(&server, "alice", MARKER, "Auth-Server: 192.0.2.1");
        ask_and_search(&server, "alice", WRONG, "Invalid login");
    }
    assert!(fake.was_sent(MARKER.as_bytes()));
}

#[test]
fn nor_one_that_another_server_was_asked_about() {
    use crate::support::scripted_server::Fake;
    need_root();
    for (store, fake) in [
        (
            "imap",
            Fake::saying(&["* OK [CAPABILITY IMAP4rev1] hi\r\n", "+ go\r\n", "+ go\r\n"]),
        ),
        (
            "imap",
            Fake::saying(&["* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n"]),
        ),
        (
            "pop3",
            Fake::saying(&["+OK hi\r\n", "-ERR no\r\n", "+OK go\r\n", "-ERR no\r\n"]),
        ),
        ("http", Fake::saying(&[])),
    ] {
        let config = format!(
            "[[users]]\nstore = \"{store}\"\nurl = \"{store}://127.0.0.1:{}{}\"\ntimeout = 1\n\
             [routes]\ndefault = \"192.0.2.1\"\n",
            fake.port,
            if store == "http" { "/auth" } else { "" },
        );
        let server = Serving::listening(&config, "");
        // The answers are none in the end, which does not matter here.
        ask_and_search(&server, "alice", MARKER, "Auth-Status");
        let heard = fake.heard();
        let sent = |form: &Vec<u8>| {
            heard
                .windows(form.len())
                .any(|part| part == form.as_slice())
        };
        assert!(
            forms(MARKER).iter().any(sent),
            "{store}: {}",
            heard.escape_ascii()
        );
    }
}

/// A CGI program that waits for its turn to compute a hash, with the password in hand.
#[test]
fn a_cgi_program_has_no_password_in_its_environment() {
    need_root();
    let dir = TempDir::new();
    dir.write("users", format!("alice:{}\n", hash("argon2id")));
    let locks = dir.path().join("locks");
    fs::create_dir(&locks).unwrap();
    let config = dir.write(
        "auth.toml",
        "[nginx]\nkey = \"key-MarkerOf9\"\n[[users]]\nstore = \"file\"\npath = \"users\"\n\
         [routes]\ndefault = \"192.0.2.1\"\n[limits]\nmax-hashes = 1\nhash-locks = \"locks\"\n",
    );
    let lock = File::create(locks.join("hash-0.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_nginx-mail-auth"))
        .env_clear()
        .env("GATEWAY_INTERFACE", "CGI/1.1")
        .env("NGINX_MAIL_AUTH_CONFIG", config)
        .env("HTTP_AUTH_USER", "alice")
        .env("HTTP_AUTH_PASS", MARKER)
        .env("HTTP_X_AUTH_KEY", "key-MarkerOf9")
        .env("HTTP_X_ANOTHER_KEY", "key-MarkerOf9")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let environ = format!("/proc/{}/environ", child.id());
    let holds = |text: &[u8]| {
        let environ = fs::read(&environ).unwrap();
        environ.windows(text.len()).any(|part| part == text)
    };
    // Its lock file is open: it has the request, and waits.
    let descriptors = format!("/proc/{}/fd", child.id());
    wait_until("it waits", || {
        let mut links = fs::read_dir(&descriptors).unwrap().flatten();
        links.any(|link| fs::read_link(link.path()).is_ok_and(|to| to.ends_with("hash-0.lock")))
    });
    assert!(holds(b"HTTP_AUTH_PASS=") && holds(b"GATEWAY_INTERFACE=CGI/1.1"));
    assert!(
        !holds(b"Marker"),
        "the environment holds what it should not"
    );
    let command_line = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    assert!(!String::from_utf8_lossy(&command_line).contains("Marker"));
    drop(lock);
    let output = child.wait_with_output().unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(answer.starts_with("Auth-Status: OK\n"), "{answer}");
}

#[test]
fn whatever_is_printed_of_a_value_in_the_program_shows_none() {
    use nginx_mail_auth::config::Config;
    use nginx_mail_auth::front::params::{Params, Peer};
    use nginx_mail_auth::login::Upstream;
    use nginx_mail_auth::nginx::answer::Answer;
    use nginx_mail_auth::nginx::request::{AuthRequest, Fronts, KeyHeader, Keys};
    use nginx_mail_auth::secret::{Password, Proof, Secret, SharedKey, Token, WeakSchemes};
    use nginx_mail_auth::users::{Account, Passwords};

    let password = Password::new(MARKER.into()).unwrap();
    let stored = format!("{{PLAIN}}{MARKER}");
    let secret = Secret::parse(stored.as_bytes(), WeakSchemes::Allowed);
    let secret = secret.unwrap().unwrap();
    let token = Token::new(MARKER.into()).unwrap();
    let account = Account {
        passwords: Passwords::Stored(vec![secret.clone().into()]),
        upstream_password: Some(password.clone()),
        ..Account::default()
    };
    let mut params = Params::bounded(9);
    for (name, value) in [
        ("HTTP_AUTH_USER", "alice"),
        ("HTTP_AUTH_PASS", MARKER),
        ("HTTP_X_AUTH_KEY", MARKER),
    ] {
        params.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    let key = SharedKey::new(MARKER.into()).unwrap();
    let fronts = Fronts {
        keys: Some(Keys {
            header: KeyHeader::new("X-Auth-Key").unwrap(),
            keys: vec![key.clone()],
        }),
        allowed: None,
    };
    let request = AuthRequest::from_params(&params, Peer::Unix, &fronts).unwrap();
    let answer = Answer::Accept {
        upstream: Upstream::new([192, 0, 2, 1].into(), std::num::NonZeroU16::MIN).unwrap(),
        user: None,
        password: Some(password.clone()),
    };
    let dir = TempDir::new();
    dir.write("key", MARKER);
    let mut text = format!("[nginx]\nkey = \"{MARKER}\"\n[[users]]\nstore = \"accept\"\n");
    for scheme in ["postgresql", "mysql"] {
        text += &format!(
            "[[users]]\nstore = \"sql\"\nurl = \"{scheme}://mail:{MARKER}@192.0.2.1/mail\"\n\
             query = \"SELECT password FROM users WHERE login = {{login}}\"\n"
        );
    }
    {
        text += "[[users]]\nstore = \"ldap\"\nurls = [\"ldap://127.0.0.1\"]\nbase = \"dc=org\"\n\
                 filter = \"(uid={login})\"\nauth = \"search-bind\"\nbind-dn = \"cn=x\"\n\
                 bind-password-file = \"key\"\n";
    }
    {
        text +=
            "[[users]]\nstore = \"http\"\nurl = \"http://127.0.0.1/auth\"\nkey-file = \"key\"\n";
    }
    {
        text += "[oauth]\nintrospection-url = \"http://127.0.0.1/x\"\nclient-id = \"mail\"\n\
                 client-secret-file = \"key\"\n";
    }
    text += "[routes]\ndefault = \"mail\"\n[hosts]\nmail = { address = \"192.0.2.1\", \
             master-login = \"us\", master-password-file = \"key\" }\n";
    {
        text += "[throttle]\nstate = \"redis://127.0.0.1:6379/0\"\npassword-file = \"key\"\n";
    }
    let path = dir.write("auth.toml", text);
    let config = match Config::load(&path) {
        Ok(config) => config,
        Err(problems) => panic!("{problems:?}"),
    };
    let shown = [
        format!("{password:?} {:?}", Proof::Password(password.clone())),
        format!("{token:?} {:?}", Proof::Token(token.clone())),
        format!("{secret:?} {account:?} {key:?}"),
        format!("{params:?} {request:?} {answer:?}"),
        format!("{:?} {:?} {fronts:?}", config.users, config.routes),
        format!("{:?} {:?}", config.throttle, config.warnings),
    ];
    let tokens = [format!("{:?}", config.oauth)];
    #[cfg(not(feature = "servers"))]
    let tokens: [String; 0] = [];
    for shown in shown.into_iter().chain(tokens) {
        assert!(!shown.is_empty() && !shown.contains("Marker"), "{shown}");
    }
}

//! The shipped filter of fail2ban, by the real `fail2ban-regex`, on lines that the program really
//! wrote about clients that do their worst.

use crate::support::guesses::*;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::fastcgi::Client;
use crate::support::fronts::{Front, Way, printed};
use crate::support::process::program;
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;

/// Who may in, who may not, and hosts that some of them have no way to.
const CONFIG: &str = r#"
[nginx]
key = "marker-key"
[[users]]
store = "file"
path = "users"
allow-weak-schemes = true
[routes.first-letter]
a = "192.0.2.1"
m = "full"
[hosts]
full = { state = "moving" }
[inbound]
domains = ["example.org"]
"#;

const USERS: &str = "alice:{PLAIN}one\nadam:!\nanna:{PLAIN}one:::::: nologin=\n\
                     abel:{PLAIN}one:::::: allow_nets=192.0.2.0/28\nmoving:{PLAIN}one\n\
                     bob:{PLAIN}one\n";

fn shipped(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fail2ban")
        .join(file)
}

/// The addresses that the filter finds in a log, sorted.
fn found(log: &Path, mode: &str) -> Vec<IpAddr> {
    let filter = shipped("filter.d/nginx-mail-auth.conf")
        .display()
        .to_string();
    let output = Command::new(program("fail2ban-regex", "fail2ban"))
        .args(["--out", "ip"])
        .arg(log)
        .arg(format!("{filter}[mode={mode}]"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut addresses: Vec<_> = text.lines().map(|line| line.parse().expect(line)).collect();
    addresses.sort();
    addresses
}

/// The same of these lines.
fn found_in(dir: &TempDir, lines: &str, mode: &str) -> Vec<IpAddr> {
    found(&dir.write("some.log", lines), mode)
}

/// The forms of the log.
const FORMS: [&str; 2] = ["logfmt", "json"];

/// The configuration with this form of the log.
fn config(form: &str) -> String {
    format!("{CONFIG}[log]\nformat = \"{form}\"\n")
}

/// Asks all of them by `ask`, and looks at what is found in the log.
fn judge(log: &Path, form: &str, mut ask: impl FnMut(&Attempt)) {
    let bad: Vec<_> = hostile().into_iter().chain(guesses()).collect();
    assert!(bad.len() > 300);
    for attempt in bad.iter().chain(&innocent()) {
        ask(attempt);
    }
    let text = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
    for cause in [
        "wrong-password",
        "unknown-user",
        "no-password",
        "disabled",
        "network-not-allowed",
        "bad-login",
        "login-too-long",
        "accepted",
        "moving",
        "no-route",
    ] {
        let field = match form {
            "json" => format!(",\"cause\":\"{cause}\","),
            _ => format!(" cause={cause} "),
        };
        assert!(text.contains(&field), "{cause}: {text}");
    }
    assert_eq!(found(log, "guesses"), sorted(&bad));
    assert_eq!(found(log, "strangers"), Vec::<IpAddr>::new());
}

/// The program's own lines as they are further down the road.
fn retold(log: &Path) {
    let text = fs::read_to_string(log).unwrap();
    let expected = found(log, "guesses");
    assert!(expected.len() > 300);
    let dir = TempDir::new();
    for before in [
        // journalctl -o short, and traditional syslog.
        "Nov  4 23:57:08 mail nginx-mail-auth[123]: ",
        // rsyslog as it is by default.
        "2026-11-24T23:57:08.123456+01:00 mail nginx-mail-auth[123]: ",
    ] {
        let lines: String = text
            .lines()
            .map(|line| format!("{before}{line}\n"))
            .collect();
        assert_eq!(found_in(&dir, &lines, "guesses"), expected, "{before}");
    }
    // Others in the same log, whatever they say.
    for before in [
        "Nov  4 23:57:08 mail sshd[123]: ",
        "[Tue Nov 24 23:57:08.1 2026] [cgi:error] [pid 1:tid 1] [client 192.0.2.1:5] AH01215: \
         stderr from /usr/lib/cgi-bin/other: ",
        "[Tue Nov 24 23:57:08.1 2026] [core:info] [pid 1:tid 1] [client 192.0.2.1:5] AH00128: \
         File does not exist: ",
        "192.0.2.1 - - [24/Nov/2026:23:57:08 +0000] \"GET /",
        "2026-11-24T23:57:08Z x",
    ] {
        let lines: String = text
            .lines()
            .map(|line| format!("{before}{line}\n"))
            .collect();
        assert_eq!(
            found_in(&dir, &lines, "guesses"),
            Vec::<IpAddr>::new(),
            "{before}"
        );
    }
}

#[test]
fn over_fastcgi_each_guess_is_found_with_its_own_address_and_nothing_else() {
    for form in FORMS {
        let serving = Serving::listening(&config(form), USERS);
        let log = serving.dir.path().join("log");
        judge(&log, form, |attempt| {
            let variables = attempt.variables();
            let mut client =
                Client::from(std::os::unix::net::UnixStream::connect(serving.socket()).unwrap());
            client.send(&raw_request(&variables));
            let answer = client.answer().0;
            assert!(answer.starts_with("Auth-Status: "), "{answer}");
            assert!(!serving.log().is_empty());
        });
        retold(&log);
    }
}

/// A second line about the same login does not count.
#[test]
fn a_slow_guess_is_found_once() {
    for form in FORMS {
        let slow = format!("{}slow-ms = 1\n", config(form));
        let user = format!("{USERS}carol:$6$rounds=50000$saltsalt${}\n", "0".repeat(86));
        let serving = Serving::listening(&slow, &user);
        let mut attempt = Attempt::new(7, b"carol".to_vec(), "wrong");
        attempt.login = b"carol".to_vec();
        let mut client =
            Client::from(std::os::unix::net::UnixStream::connect(serving.socket()).unwrap());
        client.send(&raw_request(&attempt.variables()));
        client.answer();
        let log = serving.log();
        assert!(log.contains("slow") && log.contains("hash"), "{log}");
        let found = found(&serving.dir.path().join("log"), "guesses");
        assert_eq!(found.len(), 1, "{log}");
    }
}

#[test]
fn under_cgi_as_well() {
    let dir = TempDir::new();
    let config = dir.write("auth.toml", config("json"));
    dir.write("users", USERS);
    let log = dir.path().join("log");
    File::create(&log).unwrap();
    judge(&log, "json", |attempt| {
        let variables = attempt.variables();
        let variables = variables
            .iter()
            .map(|(name, value)| (name, OsStr::from_bytes(value)));
        let stderr = File::options().append(true).open(&log).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_nginx-mail-auth"))
            .env_clear()
            .env("GATEWAY_INTERFACE", "CGI/1.1")
            .env("NGINX_MAIL_AUTH_CONFIG", &config)
            .envs(variables)
            .stdin(Stdio::null())
            .stderr(stderr)
            .output()
            .unwrap();
        assert!(output.stdout.starts_with(b"Auth-Status: "), "{output:?}");
    });
}

fn behind_apache(way: Way, form: &str) {
    let files = [("auth.toml", config(form).into()), ("users", USERS.into())];
    let front = Front::start(way, &files);
    // mod_cgi logs it behind the program's line.
    let referer = format!("Referer: x\" {FORGED} \r\n");
    judge(&front.log, form, |attempt| {
        let lines = [&attempt.lines(), referer.as_bytes()].concat();
        let answer = front.ask("/mail/auth", &lines).unwrap();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("\r\nAuth-Status: "), "{text}");
    });
}

#[test]
fn in_the_error_log_of_apache_with_mod_cgi() {
    behind_apache(Way::Cgi, "logfmt");
    behind_apache(Way::Cgi, "json");
}

#[test]
fn in_the_error_log_of_apache_with_mod_cgid() {
    behind_apache(Way::Cgid, "logfmt");
}

#[test]
fn in_the_error_log_of_apache_with_mod_fcgid() {
    behind_apache(Way::Fcgid, "json");
}

#[test]
fn each_cause_that_the_filter_names_is_found() {
    let filter = fs::read_to_string(shipped("filter.d/nginx-mail-auth.conf")).unwrap();
    let line = filter
        .lines()
        .find_map(|line| line.strip_prefix("_guess = "));
    let causes: Vec<_> = line.unwrap().split('|').collect();
    assert!(
        causes.len() > 10 && causes.contains(&"throttled"),
        "{causes:?}"
    );
    let dir = TempDir::new();
    // In both forms.
    let log = |cause: &str| {
        format!(
            "2026-11-24T23:57:08Z INFO nginx-mail-auth[7]: login=\"x\" protocol=pop3 \
             client=2001:db8::7 host=- answer=refused cause={cause} ms=0.215\n\
             {{\"time\":\"2026-11-24T23:57:08Z\",\"level\":\"info\",\"program\":\"nginx-mail-auth\",\
             \"pid\":7,\"event\":\"decision\",\"login\":\"x\",\"protocol\":\"pop3\",\
             \"client\":\"2001:db8::7\",\"host\":null,\"answer\":\"refused\",\"cause\":\"{cause}\",\
             \"ms\":0.215}}\n"
        )
    };
    for cause in causes {
        let found = found_in(&dir, &log(cause), "guesses");
        let client = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7]);
        assert_eq!(found, [client; 2], "{cause}");
    }
    for cause in [
        "wrong-key",
        "missing-credentials",
        "unknown-user-x",
        "store-trouble",
        "",
    ] {
        assert_eq!(
            found_in(&dir, &log(cause), "guesses"),
            Vec::<IpAddr>::new(),
            "{cause}"
        );
    }
}

#[test]
fn strangers_are_found_by_the_second_jail_only() {
    let ways = [
        (Way::Cgi, "logfmt"),
        (Way::Cgi, "json"),
        (Way::Fcgid, "logfmt"),
    ];
    for (way, form) in ways {
        let files: [(&str, Vec<u8>); 2] =
            [("auth.toml", config(form).into()), ("users", USERS.into())];
        let front = Front::start(way, &files);
        let mut attempt = Attempt::new(1, b"alice".to_vec(), "one");
        let with_key = attempt.lines();
        attempt.login = b"x\" peer=192.0.2.1 ms=".to_vec();
        let without = attempt.lines();
        let without = String::from_utf8(without).unwrap().replace(KEY, "another");
        for lines in [&with_key[..], without.as_bytes(), b""] {
            front.ask("/mail/auth", lines).unwrap();
        }
        // Both come from this machine.
        let localhost = IpAddr::from(Ipv4Addr::LOCALHOST);
        assert_eq!(found(&front.log, "strangers"), [localhost; 2], "{way:?}");
        assert_eq!(
            found(&front.log, "guesses"),
            Vec::<IpAddr>::new(),
            "{way:?}"
        );
    }
    let dir = TempDir::new();
    let closed = "2026-11-24T23:57:08Z WARN nginx-mail-auth[7]: closed a connection from \
                  192.0.2.9, which is not allowed (and 3 more times before)\n\
                  {\"time\":\"2026-11-24T23:57:08Z\",\"level\":\"warn\",\"program\":\"nginx-mail-auth\",\
                  \"pid\":7,\"message\":\"closed a connection from 192.0.2.9, which is not allowed\"}\n";
    assert_eq!(
        found_in(&dir, closed, "strangers"),
        [IpAddr::from([192, 0, 2, 9]); 2]
    );
}

/// As an administrator would put them: beside what fail2ban brings itself.
#[test]
fn fail2ban_takes_filter_and_jails() {
    let dir = TempDir::new();
    let home = dir.path().join("fail2ban");
    program("fail2ban-client", "fail2ban");
    let copied = Command::new("cp")
        .args(["-r", "/etc/fail2ban"])
        .arg(&home)
        .status();
    assert!(copied.unwrap().success());
    // The jails of the machine itself look for logs that need not be there.
    fs::remove_dir_all(home.join("jail.d")).unwrap();
    fs::create_dir(home.join("jail.d")).unwrap();
    for name in ["filter.d", "jail.d"] {
        let file = format!("{name}/nginx-mail-auth.conf");
        fs::copy(shipped(&file), home.join(&file)).unwrap();
    }
    // All of them, also with the lines that are offered for Apache's log.
    let log = dir.write("error.log", "");
    let jail = home.join("jail.d/nginx-mail-auth.conf");
    let text = fs::read_to_string(&jail).unwrap();
    let offered = text
        .replace("\nbackend = systemd", "")
        .replace("\n#backend", "\nbackend")
        .replace("\n#logpath", "\nlogpath")
        .replace("/var/log/apache2/error.log", &log.display().to_string());
    assert_ne!(text, offered);
    let config = dir.write(
        "auth.toml",
        "[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"192.0.2.1\"\n\
         [throttle]\nalways-allow = [\"192.0.2.64/26\"]\n",
    );
    let (config, log) = (config.display().to_string(), log.display().to_string());
    let own = env!("CARGO_BIN_EXE_nginx-mail-auth");
    let printed = printed(own, &config, &["fail2ban", "--log", &log]);
    assert!(
        printed.contains("\nignoreip = 127.0.0.1/8 192.0.2.64/26\n"),
        "{printed}"
    );
    for text in [
        printed,
        text.clone(),
        text.replace("enabled = false", "enabled = true"),
        offered,
    ] {
        fs::write(&jail, text).unwrap();
        let dumped = Command::new(program("fail2ban-client", "fail2ban"))
            .arg("-c")
            .arg(&home)
            .arg("-d")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&dumped.stderr).into_owned();
        assert!(dumped.status.success() && !said.contains("ERROR"), "{said}");
        let commands = String::from_utf8_lossy(&dumped.stdout).into_owned();
        assert!(
            commands.contains("'nginx-mail-auth', 'maxretry', 10"),
            "{commands}"
        );
        assert!(commands.contains("answer=refused cause="), "{commands}");
    }
}

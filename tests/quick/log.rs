//! The log of the built program: its forms, its priorities for the journal, and slow decisions.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use rustix::process::Signal;

use crate::support::process::wait_until;
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;

const CONFIG: &str = r#"
[[users]]
store = "file"
path = "users"
allow-weak-schemes = true
[routes]
default = "192.0.2.1"
"#;

const USERS: &str = "alice:{PLAIN}one\nbob:!\n";

/// A password with a hash that takes far longer than everything else: 100,000 rounds.
const SLOW_USER: &str = "carol:$6$rounds=100000$saltsalt$\
    00000000000000000000000000000000000000000000000000000000000000000000000000000000000000\n";

/// A server whose stderr is this file, as `JOURNAL_STREAM` says or not.
fn with_log_file(config: &str, stream: impl Fn(&File) -> String) -> (Serving, std::path::PathBuf) {
    let dir = TempDir::new();
    dir.write("auth.toml", config);
    dir.write("users", USERS);
    let path = dir.path().join("stderr");
    let file = File::create(&path).unwrap();
    let stream = stream(&file);
    let serving = Serving::in_folder(dir, |command: &mut Command| {
        command.env("JOURNAL_STREAM", stream).stderr(file);
    });
    (serving, path)
}

fn line_with(path: &std::path::Path, part: &str) -> String {
    let read = || std::fs::read_to_string(path).unwrap();
    wait_until(part, || read().contains(part));
    let text = read();
    text.lines()
        .find(|line| line.contains(part))
        .unwrap()
        .to_owned()
}

#[test]
fn the_journal_gets_the_priority_of_each_line() {
    let (server, log) = with_log_file(CONFIG, |file| {
        let stat = file.metadata().unwrap();
        format!("{}:{}", stat.dev(), stat.ino())
    });
    server.ask("alice", "one");
    let line = line_with(&log, "cause=accepted");
    assert!(line.starts_with("<6>20"), "{line}");
    server.replace("auth.toml", &CONFIG.replace("path", "pth"));
    wait_until("the broken file is reported", || {
        server.ask("bob", "two");
        std::fs::read_to_string(&log).unwrap().contains("pth")
    });
    let line = line_with(&log, "pth");
    assert!(line.starts_with("<3>20"), "{line}");
    let all = std::fs::read_to_string(&log).unwrap();
    assert!(all.lines().all(|line| line.starts_with('<')), "{all}");
}

/// The variable is inherited by programs whose stderr is something else.
#[test]
fn another_reader_than_the_journal_gets_no_priority() {
    for stream in ["8:1", "", "x", "8:x", ":"] {
        let (server, log) = with_log_file(CONFIG, |_| stream.to_owned());
        server.ask("alice", "one");
        let line = line_with(&log, "cause=accepted");
        assert!(line.starts_with("20"), "{stream:?}: {line}");
    }
    let (server, log) = with_log_file(CONFIG, |file| {
        let stat = file.metadata().unwrap();
        format!("{}:{}", stat.dev(), stat.ino() + 1)
    });
    server.ask("alice", "one");
    let line = line_with(&log, "cause=accepted");
    assert!(line.starts_with("20"), "{line}");
}

#[cfg(feature = "servers")]
#[test]
fn each_line_is_a_json_object_with_the_fields_of_the_other_form() {
    let json = format!("{CONFIG}[log]\nformat = \"json\"\nlevel = \"debug\"\n");
    let (server, text) = (
        Serving::listening(&json, USERS),
        Serving::listening(CONFIG, USERS),
    );
    let logins = [
        ("alice", "one"),
        ("alice", "two"),
        ("bob", "two"),
        ("x%22%2C%22client%22%3A%22192.0.2.1", "x"),
        ("a%5Cb", "x"),
        ("m%C3%BCller", "x"),
        ("m%FCller", "x"),
        ("a%1B%0Ab", "x"),
    ];
    for (login, password) in logins {
        assert_eq!(server.ask(login, password), text.ask(login, password));
    }
    let log = server.log();
    let objects: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for object in &objects {
        assert_eq!(object["program"], "nginx-mail-auth");
        assert_eq!(object["pid"], server.pid());
        assert!(object["time"].as_str().unwrap().ends_with('Z'), "{object}");
        assert!(object["level"].is_string(), "{object}");
        assert!(object["message"].is_string() != object["event"].is_string());
    }
    let decisions: Vec<_> = objects
        .iter()
        .filter(|object| object["event"] == "decision")
        .collect();
    let values = |key: &str| -> Vec<_> {
        let values = decisions.iter().map(|object| object[key].clone());
        values.collect()
    };
    assert_eq!(
        values("login"),
        [
            "alice",
            "alice",
            "bob",
            "x\",\"client\":\"192.0.2.1",
            "a\\\\b",
            "m\u{fc}ller",
            "m\\xfcller",
            "a%1B%0Ab"
        ]
    );
    assert!(values("client").iter().all(|client| client == "192.0.2.7"));
    assert_eq!(decisions[0]["host"], "192.0.2.1");
    assert!(decisions[1]["host"].is_null());
    assert_eq!(decisions[1]["cause"], "wrong-password");
    assert!(values("ms").iter().all(serde_json::Value::is_number));
    // The same fields in the same order.
    let text = text.log();
    let lines = text.lines().filter(|line| line.contains("]: login="));
    for (line, object) in lines.zip(&decisions) {
        let names = line.split_once("]: ").unwrap().1.split(' ');
        let names: Vec<_> = names.filter_map(|field| field.split_once('=')).collect();
        for (name, _) in names {
            assert!(object.get(name).is_some(), "{name}: {object}");
        }
    }
}

#[test]
fn a_line_that_tells_of_a_slow_decision_names_the_step() {
    let config = format!("{CONFIG}[log]\nslow-ms = 20\n[limits]\nmax-hash-ms = 10000\n");
    let server = Serving::listening(&config, &format!("{SLOW_USER}{USERS}"));
    server.ask("carol", "wrong");
    let log = server.log();
    let slow: Vec<_> = log.lines().filter(|it| it.contains("]: slow ")).collect();
    let [slow] = slow[..] else { panic!("{log}") };
    assert!(slow.contains(" WARN nginx-mail-auth["), "{slow}");
    assert!(slow.contains("]: slow step=\"hash\" step-ms="), "{slow}");
    assert!(slow.contains(" steps=\"store file "), "{slow}");
    let end =
        " login=\"carol\" protocol=imap client=192.0.2.7 answer=refused cause=wrong-password ms=";
    assert!(slow.contains(end), "{slow}");
}

#[test]
fn without_slow_ms_no_line_tells_of_a_slow_decision() {
    let config = format!("{CONFIG}[limits]\nmax-hash-ms = 10000\n");
    let server = Serving::listening(&config, &format!("{SLOW_USER}{USERS}"));
    server.ask("carol", "wrong");
    let log = server.log();
    assert!(log.contains("cause=wrong-password"), "{log}");
    assert!(!log.contains("slow"), "{log}");
}

#[test]
fn the_start_the_reloads_and_the_end_are_in_the_log() {
    let mut server = Serving::listening(CONFIG, USERS);
    let (config, socket) = (server.dir.path().join("auth.toml"), server.socket());
    wait_until("its start", || server.log().contains("]: started "));
    let log = server.log();
    let started = log.lines().find(|it| it.contains("]: started ")).unwrap();
    let expected = format!(
        "]: started version={} features={} sandbox=",
        env!("CARGO_PKG_VERSION"),
        match cfg!(feature = "servers") {
            true => "servers",
            false => "none",
        }
    );
    assert!(started.contains(&expected), "{started}");
    let end = format!(
        " config={config:?} sockets=\"unix:{}\" stores=\"file: 2 users\"",
        socket.display()
    );
    assert!(started.ends_with(&end), "{started}");
    server.ask("alice", "one");
    server.replace("users", "alice:{PLAIN}one\n");
    wait_until("the users are loaded", || {
        server.ask("bob", "two");
        server.log().contains("users: loaded; 1 user, 2 before\n")
    });
    server.replace("auth.toml", &CONFIG.replace("192.0.2.1", "192.0.2.2"));
    server.signal(Signal::HUP);
    wait_until("the configuration is loaded", || {
        server
            .log()
            .contains("auth.toml: loaded; changed: [routes]\n")
    });
    server.replace("auth.toml", &CONFIG.replace("path", "pth"));
    server.signal(Signal::HUP);
    wait_until("the broken one is reported", || {
        server
            .log()
            .contains("the previous version stays in force\n")
    });
    server.signal(Signal::TERM);
    wait_until("its end", || server.ended().is_some());
    let log = server.log();
    let answers = log.lines().filter(|it| it.contains("]: login=")).count();
    let last = log.lines().last().unwrap();
    let end = format!("]: stopped signal=SIGTERM requests={answers} uptime-s=");
    assert!(last.contains(&end), "{log}");
}

/// A process that mod_fcgid starts does the same.
#[test]
fn a_process_of_a_web_server_logs_its_start_and_its_end() {
    let dir = TempDir::new();
    dir.write("users", USERS);
    let config = format!("{CONFIG}[log]\nformat = \"json\"\n");
    let mut server = Serving::inheriting_in(dir, &config);
    server.ask("alice", "one");
    server.signal(Signal::USR1);
    wait_until("its end", || server.ended().is_some());
    let log = server.log();
    assert!(
        log.lines().all(|line| line.starts_with("{\"time\"")),
        "{log}"
    );
    let socket = format!("\"sockets\":\"unix:{}\"", server.socket().display());
    assert!(log.contains(&socket), "{log}");
    let end = "\"event\":\"stopped\",\"signal\":\"SIGUSR1\",\"requests\":1,\"uptime-s\":";
    assert!(log.lines().last().unwrap().contains(end), "{log}");
}

#[test]
fn a_program_that_cannot_start_complains_to_the_journal_with_a_priority() {
    let dir = TempDir::new();
    dir.write("auth.toml", CONFIG.replace("path", "pth"));
    let path = dir.path().join("stderr");
    let file = File::create(&path).unwrap();
    let stat = file.metadata().unwrap();
    let status = crate::support::binary::command()
        .arg("--config")
        .arg(dir.path().join("auth.toml"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("JOURNAL_STREAM", format!("{}:{}", stat.dev(), stat.ino()))
        .stderr(file)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(78));
    let said = std::fs::read_to_string(&path).unwrap();
    assert!(said.contains("users.pth"), "{said}");
    assert!(said.lines().all(|line| line.starts_with("<3>")), "{said}");
}

/// The part of docs/log.md below this heading.
fn section(heading: &str) -> String {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/log.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap().to_owned()
}

/// The names of the fields of a line; those of quoted text have no blank before them.
fn names(line: &str) -> Vec<String> {
    let (mut names, mut quoted, mut word) = (Vec::new(), false, String::new());
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => word.clear(),
            '=' if !quoted => names.push(std::mem::take(&mut word)),
            other if !quoted => word.push(other),
            _ => {}
        }
    }
    names
}

#[test]
fn the_page_about_the_log_shows_lines_as_they_are() {
    let config = format!("{CONFIG}[log]\nslow-ms = 1\n[limits]\nmax-hash-ms = 10000\n");
    let server = Serving::listening(&config, &format!("{SLOW_USER}{USERS}"));
    server.ask("alice", "one");
    server.ask("alice", "two");
    server.ask("carol", "wrong");
    wait_until("its start", || server.log().contains("]: started "));
    let log = server.log();
    let line = |part: &str| {
        let line = log.lines().find(|line| line.contains(part)).unwrap();
        names(line.split_once("]: ").unwrap().1)
    };
    let decisions = section("Decisions");
    let shown = |page: &str, start: &str| {
        let line = page.lines().find(|line| line.trim().starts_with(start));
        names(line.unwrap().trim())
    };
    assert_eq!(shown(&decisions, "login=\"alice\""), line("cause=accepted"));
    assert_eq!(
        shown(&decisions, "login=\"bob\""),
        line("cause=wrong-password")
    );
    assert_eq!(shown(&section("Slow decisions"), "slow "), line("]: slow "));
    let rows = decisions.lines().filter_map(|row| row.strip_prefix("| `"));
    let rows: Vec<_> = rows.map(|row| row.split('`').next().unwrap()).collect();
    for name in line("cause=accepted") {
        assert!(rows.contains(&name.as_str()), "{name}: {rows:?}");
    }
    let others = section("Start, reload and end");
    let started = others.lines().find(|row| row.starts_with("| `started "));
    let started = started.unwrap().split('`').nth(1).unwrap();
    assert_eq!(names(started), line("]: started "));
    drop(server);
    #[cfg(feature = "servers")]
    {
        let json = format!("{CONFIG}[log]\nformat = \"json\"\n");
        let server = Serving::listening(&json, USERS);
        server.ask("alice", "two");
        let log = server.log();
        let real = log.lines().find(|line| line.contains("\"cause\"")).unwrap();
        let page = section("JSON");
        let shown = page.lines().find(|line| line.starts_with('{')).unwrap();
        let keys = |line: &str| {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            let members = object.as_object().unwrap().keys();
            members.cloned().collect::<Vec<_>>()
        };
        assert_eq!(keys(shown), keys(real));
    }
}

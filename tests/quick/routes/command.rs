//! The command `route`.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use crate::support::process::free_port;
use crate::support::routed::{run, secret};
use crate::support::temp_dir::TempDir;

fn folder(config: &str, users: &str) -> TempDir {
    let dir = TempDir::new();
    dir.write(
        "auth.toml",
        format!(
            "{config}\n[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n"
        ),
    );
    secret(&dir, "users", users);
    dir
}

/// Exit status and output without the times and the name of the folder.
fn route(dir: &TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let (status, out, err) = run(dir, &[&["route"], arguments].concat());
    assert_eq!(err, "");
    let folder = format!("{}/", dir.path().display());
    let without_time = |line: &str| match line.rfind(" [") {
        Some(time) if line.ends_with(" ms]") => line[..time].to_owned() + "\n",
        _ => line.to_owned() + "\n",
    };
    let out = out.replace(&folder, "");
    (status, out.lines().map(without_time).collect())
}

const MOVING: &str = "[logins]\ndefault-domain = \"example.org\"\n[routes]\ndefault = \"spring\"\n\
    [routes.login]\n\"carol@example.org\" = \"limbo\"\n\
    [hosts]\nold = \"192.0.2.1\"\nnew = { address = \"192.0.2.2\", imap = 1143 }\n\
    limbo = { state = \"moving\" }\n\
    [moves]\nspring = { old = \"old\", new = \"new\", moved = 45, moving = 50 }";

#[test]
fn moves_and_what_led_there() {
    let users = "alice@example.org:{PLAIN}secret\nbob@example.org:{PLAIN}secret\n\
                 carol@example.org:{PLAIN}secret\ndave@example.org:{PLAIN}secret::::::host=old \
                 nologin allow_nets=192.0.2.0/24 user=david\n";
    let dir = folder(MOVING, users);
    let found = "store file users: found, scheme plain";
    assert_eq!(
        route(&dir, &["bob"]),
        (
            Some(0),
            format!(
                "login: becomes bob@example.org\n{found}\n\
                 route: default, to move spring: place 40.78 %, new\nhost: new\n\
                 mail server: 192.0.2.2:1143\n"
            )
        )
    );
    assert_eq!(
        route(&dir, &["bob@example.org", "--protocol", "smtp"]).1,
        format!(
            "{found}\nroute: default, to move spring: place 40.78 %, new\nhost: new\n\
             mail server: 192.0.2.2:25\n"
        )
    );
    assert_eq!(
        route(&dir, &["alice@example.org"]),
        (
            Some(1),
            format!(
                "{found}\nroute: default, to move spring: place 47.80 %, moving\n\
                 temporary failure: moving: move spring: place 47.80 %, moving\n"
            )
        )
    );
    assert_eq!(
        route(&dir, &["carol@example.org"]),
        (
            Some(1),
            format!(
                "{found}\nroute: login, to host limbo\n\
                 temporary failure: moving: limbo: its users are being moved\n"
            )
        )
    );
    let dave = format!(
        "{found}, disabled (nologin), only from some networks (allow_nets), host old, \
         user david\nroute: user, to host old\nmail server: 192.0.2.1:143\nrefused: disabled\n"
    );
    assert_eq!(
        route(&dir, &["dave"]),
        (Some(1), format!("login: becomes dave@example.org\n{dave}"))
    );
    assert_eq!(
        route(&dir, &["nobody@example.org"]),
        (
            Some(1),
            "store file users: no such login\nrefused: unknown-user\n".to_owned()
        )
    );
}

#[test]
fn networks_and_master_logins() {
    let dir = folder(
        "[routes]\ndefault = \"one\"\n[hosts.one]\naddress = \"192.0.2.1\"\n\
         master-login = \"proxy\"\nmaster-password-file = \"proxy\"",
        "alice:{PLAIN}secret::::::allow_nets=192.0.2.0/24 user=al\n",
    );
    secret(&dir, "proxy", "secret-of-proxy\n");
    let way = "store file users: found, scheme plain, only from some networks (allow_nets), \
               user al\nroute: default, to host one\nmail server: 192.0.2.1:143\n\
               logs in there as: al*proxy, if the user's own password is unknown\n";
    let inside = route(&dir, &["alice", "--client-ip", "192.0.2.9"]);
    assert_eq!(inside, (Some(0), way.to_owned()));
    assert_eq!(route(&dir, &["alice"]), (Some(0), way.to_owned()));
    assert_eq!(
        route(&dir, &["alice", "--client-ip", "198.51.100.1"]),
        (Some(1), format!("{way}refused: network-not-allowed\n"))
    );
}

#[test]
fn each_server_of_a_pool() {
    let address = |last| Ipv4Addr::new(127, 79, 1, last);
    let port = free_port(address(1));
    let greeter = TcpListener::bind((address(1), port)).unwrap();
    thread::spawn(move || {
        for stream in greeter.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(b"* OK\r\n"));
        }
    });
    let dir = folder(
        &format!(
            "[routes]\ndefault = \"pool\"\n[hosts.pool]\nimap = {port}\naddresses = [\
             \"127.79.1.1\", \"127.79.1.2\", {{ address = \"127.79.1.3\", weight = 2, backup = \
             true }}, {{ address = \"127.79.1.4\", drain = true }}]"
        ),
        "alice:{PLAIN}secret\n",
    );
    let (status, out) = route(&dir, &["alice"]);
    let mut lines: Vec<_> = out.lines().collect();
    assert_eq!(status, Some(0));
    let score = |line: &mut &str| {
        let (start, rest) = line.split_once("score ").unwrap();
        let (score, rest) = rest.split_once(',').unwrap();
        assert!(score.parse::<f64>().unwrap() > 0.0);
        format!("{start}{rest}")
    };
    let mut servers: Vec<_> = lines.drain(2..5).map(|mut line| score(&mut line)).collect();
    servers[..2].sort();
    assert_eq!(
        servers,
        [
            "  127.79.1.1:  weight 1, alive",
            "  127.79.1.2:  weight 1, dead: connection refused",
            "  127.79.1.3:  weight 2, backup, dead: connection refused",
        ]
    );
    let end = format!("mail server: 127.79.1.1:{port}");
    assert_eq!(
        lines,
        [
            "store file users: found, scheme plain",
            "route: default, to host pool",
            "  127.79.1.4: drained",
            &end
        ]
    );
    let (status, out) = route(&dir, &["alice", "--protocol", "smtp"]);
    assert_eq!(status, Some(1));
    let last = out.lines().last().unwrap();
    assert!(last.starts_with("temporary failure: host-trouble: pool: no address is alive: "));
}

#[test]
fn a_broken_configuration_and_pools_that_are_worth_a_look() {
    let dir = folder("[routes]\ndefault = \"x y\"", "alice:{PLAIN}secret\n");
    let (status, out, err) = run(&dir, &["route", "alice"]);
    assert_eq!((status, out.as_str()), (Some(78), ""));
    assert!(err.contains("auth.toml:2:11: routes.default: "), "{err}");
    let pool = |servers: &str, probes: &str| {
        let config = format!(
            "[routes]\ndefault = \"pool\"\n[hosts.pool]\naddresses = [{servers}]\n{probes}"
        );
        let (status, _, err) = run(&folder(&config, "alice:{PLAIN}secret\n"), &["check"]);
        assert_eq!(status, Some(0), "{err}");
        err.lines()
            .filter(|line| !line.starts_with("note: root may read"))
            .map(|line| line.split_once("auth.toml:").unwrap().1.to_owned())
            .collect::<Vec<_>>()
    };
    let [drained, backup] = [
        "{ address = \"192.0.2.1\", drain = true }",
        "{ address = \"192.0.2.2\", backup = true }",
    ];
    assert_eq!(
        pool(drained, ""),
        ["4:13: hosts.pool.addresses: all are drained: users get the temporary failure"]
    );
    assert_eq!(
        pool(&format!("{drained}, {backup}"), ""),
        ["4:13: hosts.pool.addresses: all that are not drained are backups: these get all users"]
    );
    assert_eq!(
        pool(
            &format!("\"192.0.2.3\", {backup}"),
            "[probes]\nkind = \"off\""
        ),
        ["4:13: hosts.pool.addresses: a backup is never used without probes"]
    );
    assert_eq!(pool(&format!("\"192.0.2.3\", {backup}"), ""), [""; 0]);
}

/// The numbers that the documents show are those of the program.
#[test]
fn the_scores_in_the_documents() {
    let config = "[logins]\ndefault-domain = \"example.org\"\n[routes]\ndefault = \"mailbox\"\n\
                  [probes]\nkind = \"off\"\n[hosts.mailbox]\naddresses = [\"192.168.1.22\", \
                  { address = \"192.168.1.33\", weight = 2 }, \
                  { address = \"192.168.1.44\", backup = true }]";
    let dir = folder(config, "alice@example.org:{PLAIN}secret\n");
    let (_, out, _) = run(&dir, &["route", "alice"]);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/routes.md");
    let page = std::fs::read_to_string(page).unwrap();
    let scores = |text: &str| {
        let lines = text.lines().filter(|line| line.contains(": score "));
        let score = lines.map(|line| line.trim_start().split(", ").next().unwrap().to_owned());
        score.collect::<Vec<_>>()
    };
    assert_eq!(scores(&out).len(), 3, "{out}");
    assert_eq!(scores(&page), scores(&out));
}

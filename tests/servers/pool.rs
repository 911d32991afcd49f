//! Several addresses of one host, some of which are dead.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use nginx_mail_auth::config::Config;
use nginx_mail_auth::login::{Login, Protocol};
use nginx_mail_auth::net::dns::Resolver;
use nginx_mail_auth::route::{OwnPassword, Query, Routes};
use rustix::process::Signal;

use crate::support::mail_pool::Dovecots;
use crate::support::process::wait_until;
use crate::support::routed::{Routed, TEMPORARY, Ways, cgi, cgi_ways, logins};
use crate::support::temp_dir::TempDir;

const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);

fn three(network: u8) -> [Ipv4Addr; 3] {
    [1, 2, 3].map(|last| Ipv4Addr::new(127, 78, network, last))
}

fn config(addresses: &str, port: u16) -> String {
    format!(
        "[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"pool\"\n\
         [probes]\ninterval = 1\ntimeout-ms = 2000\n\
         [hosts.pool]\nimap = {port}\npop3 = {port}\naddresses = [{addresses}]\n"
    )
}

/// Waits until nobody goes to `gone` any more, while all others stay where they are; longest as
/// long as a probe every [`INTERVAL`] needs to find it dead.
fn wait_for_the_users_of(gone: Ipv4Addr, before: &Ways, serving: &Routed) -> Ways {
    let gone = Some(IpAddr::from(gone));
    let started = Instant::now();
    loop {
        let now = serving.ways("imap");
        for (before, now) in before.iter().zip(&now) {
            assert!(before == now || *before == gone, "{before:?} -> {now:?}");
            assert!(now.is_some());
        }
        if !now.contains(&gone) {
            return now;
        }
        // Two probes have to fail. The rest is for a busy machine.
        let longest = INTERVAL + TIMEOUT * 2 + Duration::from_secs(3);
        assert!(
            started.elapsed() < longest,
            "still in use after {longest:?}"
        );
    }
}

fn wait_for(ways: &Ways, serving: &Routed) {
    wait_until("everybody is back", || serving.ways("imap") == *ways);
}

fn spread(ways: &Ways, addresses: &[Ipv4Addr]) {
    for address in addresses {
        assert!(ways.contains(&Some((*address).into())), "{address}");
    }
}

#[test]
fn one_that_is_killed_moves_only_its_users_and_gets_them_back() {
    let addresses = three(1);
    let mut dovecots = Dovecots::start(&addresses);
    let serving = Routed::start(&config(&dovecots.list(), dovecots.port));
    let before = serving.ways("imap");
    spread(&before, &addresses);
    dovecots.stop(1);
    let after = wait_for_the_users_of(addresses[1], &before, &serving);
    // As an in-line probe of a CGI process sees it.
    assert_eq!(cgi_ways(&serving.0.dir), after);
    dovecots.start_again(1);
    wait_for(&before, &serving);
    assert_eq!(cgi_ways(&serving.0.dir), before);
    let name = format!("mail server {}:{} (imap)", addresses[1], dovecots.port);
    wait_until("the log", || {
        serving.said(&format!("{name} is alive again")) == 1
    });
    let dead = format!("{name} is dead: connection refused");
    assert_eq!(serving.said(&dead), 1, "{}", serving.log());
    assert_eq!(serving.said("is dead"), 1, "{}", serving.log());
}

#[test]
fn one_that_takes_connections_and_says_nothing_is_dead() {
    let addresses = three(2);
    let dovecots = Dovecots::start(&addresses);
    let serving = Routed::start(&config(&dovecots.list(), dovecots.port));
    let before = serving.ways("imap");
    dovecots.server(2).signal_all(Signal::STOP);
    let after = wait_for_the_users_of(addresses[2], &before, &serving);
    assert_eq!(serving.said("is dead: no greeting within 2000 ms"), 1);
    // The answer of a CGI process waits for one probe, and that only where one is dead.
    let login = logins()
        .zip(&before)
        .find(|(_, at)| **at == Some(addresses[2].into()));
    let started = Instant::now();
    let (answer, _) = cgi(&serving.0.dir, &login.unwrap().0, "imap");
    assert!(answer.starts_with("Auth-Status: OK\n"), "{answer}");
    assert!(started.elapsed() > TIMEOUT && started.elapsed() < TIMEOUT * 2);
    assert!(!after.contains(&Some(addresses[2].into())));
    dovecots.server(2).signal_all(Signal::CONT);
    wait_for(&before, &serving);
}

#[test]
fn with_all_dead_it_is_the_temporary_failure_and_it_ends_with_the_first_that_lives() {
    let addresses = three(3);
    let mut dovecots = Dovecots::start(&addresses);
    let serving = Routed::start(&config(&dovecots.list(), dovecots.port));
    for number in 0..3 {
        dovecots.stop(number);
    }
    let nowhere = serving.ways("imap").iter().map(|_| None).collect::<Ways>();
    wait_for(&nowhere, &serving);
    assert_eq!(serving.answer("alice", "imap"), TEMPORARY);
    assert!(serving.said("cause=host-trouble") > 0, "{}", serving.log());
    assert!(
        serving.said("pool: no address is alive: ") > 0,
        "{}",
        serving.log()
    );
    let (answer, log) = cgi(&serving.0.dir, "alice", "imap");
    assert_eq!(answer, TEMPORARY, "{log}");
    dovecots.start_again(0);
    let only = nowhere.iter().map(|_| Some(addresses[0].into())).collect();
    wait_for(&only, &serving);
}

#[test]
fn what_is_dead_for_one_protocol_lives_for_another() {
    let addresses = three(4);
    let dovecots = Dovecots::start(&addresses);
    let serving = Routed::start(&config(&dovecots.list(), dovecots.port));
    // They are greeted in IMAP on the port of POP3.
    assert_eq!(serving.answer("alice", "pop3"), TEMPORARY);
    assert!(serving.log().contains("(pop3) is dead: its greeting is "));
    spread(&serving.ways("imap"), &addresses);
    assert_eq!(serving.said("(imap) is dead"), 0);
}

#[test]
fn a_probe_leaves_no_trace_but_a_line_and_an_unused_protocol_is_not_probed() {
    let addresses = three(5);
    let dovecots = Dovecots::start(&addresses);
    let serving = Routed::start(&config(&dovecots.list(), dovecots.port));
    serving.ways("imap");
    let probes = || {
        dovecots.log(0).matches("Aborted login").count()
            + dovecots.log(0).matches("Disconnected").count()
            + dovecots.log(0).matches("Logged out").count()
    };
    wait_until("some probes", || probes() >= 3);
    let log = dovecots.log(0);
    assert!(!log.to_lowercase().contains("error"), "{log}");
    assert!(!log.contains("Connection reset"), "{log}");
    assert_eq!(serving.said("(pop3)") + serving.said("(smtp)"), 0);
}

#[test]
fn one_that_is_drained_moves_only_its_users_and_a_reload_forgets_nothing() {
    let addresses = three(6);
    let mut dovecots = Dovecots::start(&addresses);
    let all = config(&dovecots.list(), dovecots.port);
    let serving = Routed::start(&all);
    let before = serving.ways("imap");
    let quoted = format!("\"{}\"", addresses[0]);
    let drained = all.replace(&quoted, &format!("{{ address = {quoted}, drain = true }}"));
    serving.reload(&drained);
    let after = serving.ways("imap");
    for (before, after) in before.iter().zip(&after) {
        assert!(before == after || *before == Some(addresses[0].into()));
        assert!(*after != Some(addresses[0].into()));
    }
    dovecots.stop(1);
    let only = before.iter().map(|_| Some(addresses[2].into())).collect();
    wait_for(&only, &serving);
    // Known to be dead without another look, and nothing is said of it again.
    serving.reload(&drained.replace("[probes]", "[probes] # again"));
    assert_eq!(serving.ways("imap"), only);
    assert_eq!(serving.said("is dead"), 1, "{}", serving.log());
}

#[test]
fn backups_serve_while_all_others_are_dead_and_may_be_dead_too() {
    let addresses = three(7);
    let mut dovecots = Dovecots::start(&addresses[..1]);
    let list = format!(
        "\"{}\", {{ address = \"{}\", backup = true }}",
        addresses[1], addresses[0]
    );
    let dead_backup = format!(
        "{list}, {{ address = \"{}\", backup = true }}",
        addresses[2]
    );
    for list in [list, dead_backup] {
        let serving = Routed::start(&config(&list, dovecots.port));
        let backup: Ways = logins().map(|_| Some(addresses[0].into())).collect();
        assert_eq!(serving.ways("imap"), backup);
        assert_eq!(cgi_ways(&serving.0.dir), backup);
        dovecots.stop(0);
        let nowhere: Ways = backup.iter().map(|_| None).collect();
        wait_for(&nowhere, &serving);
        dovecots.start_again(0);
        wait_for(&backup, &serving);
    }
}

#[test]
fn the_example_of_a_pool() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/pool.toml");
    let content = std::fs::read_to_string(path).unwrap();
    let dir = TempDir::new();
    let config = Config::load(&dir.write("auth.toml", &content)).unwrap();
    assert!(config.warnings.len() <= 1, "but for the accept store");
    let pools = config.routes.hosts().iter().filter(|host| host.is_pool());
    assert!(pools.count() >= 1);
}

/// What nginx is told to log in with works with the master users of a real Dovecot.
#[test]
fn a_master_login_gets_everybody_in() {
    let address = Ipv4Addr::new(127, 78, 8, 1);
    let dovecots = Dovecots::start(&[address]);
    let dir = TempDir::new();
    dir.write("proxy", "of-proxy\n");
    let config = dir.write(
        "auth.toml",
        format!(
            "[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"one\"\n\
             [hosts.one]\naddress = \"{address}\"\nimap = {}\nmaster-login = \"proxy\"\n\
             master-password-file = \"proxy\"\nmaster-use = \"always\"\n",
            dovecots.port
        ),
    );
    let config = Config::load(&config).unwrap();
    assert_eq!(config.files.len(), 2, "a new password is seen at once");
    let alice = Login::new(b"alice".to_vec()).unwrap();
    let to = Routes::lazy(&config.routes, Resolver::system())
        .choose(&Query {
            login: &alice,
            protocol: Protocol::Imap,
            host: None,
            port: None,
            deadline: Instant::now() + Duration::from_secs(5),
        })
        .unwrap();
    let credentials = to.credentials(b"alice", None, OwnPassword::Sent).unwrap();
    let user = String::from_utf8(credentials.user.unwrap()).unwrap();
    let password = credentials.password.unwrap();
    let password = std::str::from_utf8(password.reveal()).unwrap();
    assert!(dovecots.lets_in(0, &user, password));
    assert!(dovecots.lets_in(0, "alice", "of-alice"));
    assert!(!dovecots.lets_in(0, "alice", "of-proxy"));
    assert!(!dovecots.lets_in(0, &user, "of-alice"));
    assert!(!dovecots.lets_in(0, "nobody*proxy", "of-proxy"));
}

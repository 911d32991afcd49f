//! Allowed fronts and keys, and the answers to all other requests.

use crate::support::front_keys::*;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use rustix::process::Signal;

use crate::support::binary;
use crate::support::fastcgi::{Client, request};
use crate::support::process::free_port;
use crate::support::process::wait_until;
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;

/// `serve` on a TCP port.
fn over_tcp(nginx: &str, environment: &[(&str, &str)]) -> (Serving, SocketAddr) {
    let dir = TempDir::new();
    dir.write("auth.toml", config(nginx));
    dir.write("users", USERS);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(Ipv4Addr::LOCALHOST)));
    let serving = Serving::started(dir, |command| {
        command
            .args(["serve", "--listen", &address.to_string()])
            .envs(environment.iter().copied());
    });
    wait_until("it listens", || TcpStream::connect(address).is_ok());
    (serving, address)
}

fn cgi(config: &str, variables: &[(&str, &str)]) -> (String, String) {
    let dir = TempDir::new();
    dir.write("users", USERS);
    let output = binary::output(
        binary::command()
            .env("GATEWAY_INTERFACE", "CGI/1.1")
            .env("NGINX_MAIL_AUTH_CONFIG", dir.write("auth.toml", config))
            .envs(variables.iter().copied())
            .stdin(Stdio::null()),
    );
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn under_cgi_a_front_that_is_not_allowed_gets_the_answer_to_a_wrong_password() {
    let both = "keys = [\"new-marker\", \"old-marker\"]\nkey-header = \"X-Mail-Front\"\n\
                allowed-fronts = [\"127.0.0.0/8\", \"2001:db8::/64\"]";
    let key = |key| ("HTTP_X_MAIL_FRONT", key);
    let from = |address| ("REMOTE_ADDR", address);
    let retry = "[answers]\nretry-wait = 2\ncodes = true\n";
    let config = config(both) + retry;
    let wrong = cgi(
        &config,
        &[
            &login(&[key("new-marker"), from("127.0.0.1")])[..],
            &[("HTTP_AUTH_PASS", "two")],
        ]
        .concat(),
    );
    let wrong_password = wrong.0;
    assert!(wrong_password.contains("Auth-Wait: 2"), "{wrong_password}");
    for (variables, cause) in [
        (vec![key("new-marker"), from("127.0.0.1")], "accepted"),
        (vec![key("old-marker"), from("2001:db8::7")], "accepted"),
        (vec![key("new-market"), from("127.0.0.1")], "wrong-key"),
        (
            vec![key("new-marker, old-marker"), from("127.0.0.1")],
            "wrong-key",
        ),
        (
            vec![("HTTP_X_AUTH_KEY", "new-marker"), from("127.0.0.1")],
            "wrong-key",
        ),
        (vec![from("127.0.0.1")], "wrong-key"),
        (vec![key("new-marker"), from("192.0.2.66")], "wrong-front"),
        (vec![key("new-marker")], "wrong-front"),
    ] {
        let (answer, log) = cgi(&config, &login(&variables));
        assert!(
            log.contains(&format!(" cause={cause} ")),
            "{variables:?}: {log}"
        );
        let others = |line: &&str| !line.contains(": configuration: ");
        assert_eq!(log.lines().filter(others).count(), 1, "{log}");
        assert!(!log.contains("marker"), "{log}");
        if cause == "accepted" {
            assert_eq!(answer, ACCEPTED);
            continue;
        }
        assert_eq!(answer, wrong_password, "{variables:?}");
        assert!(log.contains(" login=- protocol=imap client=- "), "{log}");
        let peer = variables.iter().find(|(name, _)| *name == "REMOTE_ADDR");
        if let Some((_, peer)) = peer {
            assert!(
                log.contains(&format!(" cause={cause} peer={peer} ms=")),
                "{log}"
            );
        }
    }
}

#[test]
fn over_tcp_a_front_that_is_not_allowed_is_closed_at_once_and_logged() {
    let (serving, address) = over_tcp("allowed-fronts = [\"127.0.0.1\", \"127.0.1.0/24\"]", &[]);
    for (source, served) in [
        ([127, 0, 0, 1], true),
        ([127, 0, 1, 77], true),
        ([127, 0, 2, 1], false),
        ([127, 0, 0, 2], false),
    ] {
        // Its own claims are not trusted.
        let asked = ask_from(
            source.into(),
            address,
            &login(&[("REMOTE_ADDR", "127.0.0.1")]),
        );
        let expected = served.then(|| ACCEPTED.to_owned()).ok_or(());
        assert_eq!(asked, expected, "{source:?}");
    }
    let line = " WARN nginx-mail-auth[";
    let what = "closed a connection from 127.0.2.1, which is not allowed";
    wait_until("it is logged", || {
        let log = serving.log();
        log.lines()
            .any(|entry| entry.contains(line) && entry.contains(what))
    });
    // At most one a second.
    let named = serving.log().matches("which is not allowed").count();
    for _ in 0..200 {
        let asked = ask_from([127, 0, 0, 2].into(), address, &login(&[]));
        assert_eq!(asked, Err(()));
    }
    assert_eq!(
        ask_from([127, 0, 0, 1].into(), address, &login(&[])),
        Ok(ACCEPTED.to_owned())
    );
    assert!(serving.log().matches("which is not allowed").count() < named + 50);
}

#[test]
fn a_list_of_web_servers_in_the_environment_must_allow_as_well() {
    let variable = [("FCGI_WEB_SERVER_ADDRS", "127.0.0.1,127.0.0.2")];
    let (_serving, address) = over_tcp("allowed-fronts = [\"127.0.0.2/31\"]", &variable);
    for (last, served) in [(1, false), (2, true), (3, false), (4, false)] {
        let asked = ask_from([127, 0, 0, last].into(), address, &login(&[]));
        assert_eq!(asked.is_ok(), served, "{last}");
    }
}

#[test]
fn the_list_is_reloaded_even_if_it_refuses_all_fronts() {
    let (serving, address) = over_tcp("allowed-fronts = [\"127.0.0.9\"]", &[]);
    assert_eq!(
        ask_from([127, 0, 0, 1].into(), address, &login(&[])),
        Err(())
    );
    serving.replace("auth.toml", &config("allowed-fronts = [\"127.0.0.1\"]"));
    wait_until("the new list", || {
        ask_from([127, 0, 0, 1].into(), address, &login(&[])) == Ok(ACCEPTED.to_owned())
    });
    // A connection that was there before is asked again.
    let mut kept = Client::from(TcpStream::connect(address).unwrap());
    kept.send(&request(1, true, &login(&[])));
    assert_eq!(kept.answer().0, ACCEPTED);
    serving.replace("auth.toml", &config("allowed-fronts = [\"127.0.0.9\"]"));
    serving.signal(Signal::HUP);
    wait_until("the list before", || {
        kept.send(&request(1, true, &login(&[("REMOTE_ADDR", "127.0.0.9")])));
        kept.answer().0 == REFUSED
    });
    let log = serving.log();
    assert!(log.contains("cause=wrong-front peer=127.0.0.1 "), "{log}");
}

#[test]
fn a_socket_of_our_own_is_a_front_if_it_is_listed() {
    let listed = Serving::listening(&config("allowed-fronts = [\"unix\"]"), USERS);
    // A process that can write to it is trusted, whatever it says about the client.
    let variables = login(&[("REMOTE_ADDR", "192.0.2.66")]);
    assert_eq!(listed.answer(&variables), ACCEPTED);
    let others = Serving::listening(&config("allowed-fronts = [\"127.0.0.1\"]"), USERS);
    let mut client = Client::from(UnixStream::connect(others.socket()).unwrap());
    client.send_if_open(&request(1, false, &login(&[("REMOTE_ADDR", "127.0.0.1")])));
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    assert_eq!(answer, b"");
    let what = "closed a connection from a Unix socket, which is not allowed";
    wait_until("it is logged", || others.log().contains(what));
}

#[test]
fn on_a_socket_of_the_web_server_it_names_the_peer() {
    let serving = Serving::inheriting(&config("allowed-fronts = [\"127.0.0.1\", \"unix\"]"));
    serving.dir.write("users", USERS);
    wait_until("the users", || {
        serving.answer(&login(&[("REMOTE_ADDR", "127.0.0.1")])) == ACCEPTED
    });
    assert_eq!(
        serving.answer(&login(&[("REMOTE_ADDR", "192.0.2.66")])),
        REFUSED
    );
    assert_eq!(serving.answer(&login(&[])), REFUSED);
    let log = serving.log();
    assert!(log.contains("cause=wrong-front peer=192.0.2.66 "), "{log}");
}

#[test]
fn a_front_without_the_key_is_logged_by_its_own_address() {
    let (serving, address) = over_tcp("key = \"marker-key\"", &[]);
    let variables = login(&[("REMOTE_ADDR", "192.0.2.66")]);
    let asked = ask_from([127, 0, 0, 5].into(), address, &variables);
    assert_eq!(asked, Ok(REFUSED.to_owned()));
    let log = serving.log();
    assert!(log.contains("cause=wrong-key peer=127.0.0.5 "), "{log}");
    assert!(!log.contains("192.0.2.66"), "{log}");
}

#[test]
fn serve_warns_if_all_fronts_are_accepted() {
    let hint = |serving: &Serving| {
        serving
            .log()
            .contains("can guess passwords: set [nginx] key")
    };
    let (open, _) = over_tcp("", &[]);
    assert!(hint(&open), "{}", open.log());
    let listed = [("FCGI_WEB_SERVER_ADDRS", "127.0.0.1")];
    for (nginx, environment) in [
        ("key = \"marker\"", &[][..]),
        ("allowed-fronts = [\"127.0.0.1\"]", &[]),
        ("", &listed),
    ] {
        let (locked, _) = over_tcp(nginx, environment);
        assert!(!hint(&locked), "{nginx}: {}", locked.log());
    }
    assert!(!hint(&Serving::listening(&config(""), USERS)));
}

/// mod_fcgid starts a process anew that ends: it must answer instead.
#[test]
fn on_descriptor_0_an_unusable_list_of_web_servers_is_the_temporary_failure() {
    let environment = [("FCGI_WEB_SERVER_ADDRS", "localhost")];
    let mut serving = Serving::inheriting_with(TempDir::new(), &config(""), &environment);
    serving.dir.write("users", USERS);
    for _ in 0..3 {
        assert_eq!(serving.answer(&login(&[])), TEMPORARY);
    }
    assert_eq!(serving.ended(), None);
    let log = serving.log();
    let line = "FCGI_WEB_SERVER_ADDRS is not a list of addresses";
    assert_eq!(log.matches(line).count(), 1, "{log}");
    assert!(
        log.contains("every login gets the temporary failure"),
        "{log}"
    );
    serving.signal(Signal::TERM);
    wait_until("it ends", || {
        serving.ended().is_some_and(|status| status.success())
    });
}

#[test]
fn a_listener_on_descriptor_0_is_asked_for_its_peers_too() {
    let dir = TempDir::new();
    dir.write("auth.toml", config("allowed-fronts = [\"127.0.0.2\"]"));
    dir.write("users", USERS);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let _serving = Serving::started(dir, |command| {
        command.stdin(OwnedFd::from(listener));
    });
    let variables = login(&[("REMOTE_ADDR", "127.0.0.2")]);
    assert_eq!(
        ask_from([127, 0, 0, 1].into(), address, &variables),
        Err(())
    );
    assert_eq!(
        ask_from([127, 0, 0, 2].into(), address, &variables),
        Ok(ACCEPTED.to_owned())
    );
}

#[cfg(feature = "servers")]
#[test]
fn no_store_is_asked_for_a_front_that_is_not_allowed() {
    let store = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    store.set_nonblocking(true).unwrap();
    let url = format!("imap://{}", store.local_addr().unwrap());
    let config = format!(
        "[nginx]\nkey = \"marker\"\n[[users]]\nstore = \"imap\"\nurl = \"{url}\"\n\
         connect-timeout = 1\ntimeout = 1\n[routes]\ndefault = \"192.0.2.1\"\n"
    );
    let (answer, _) = cgi(&config, &login(&[("HTTP_X_AUTH_KEY", "other")]));
    assert_eq!(answer, REFUSED);
    assert!(store.accept().is_err(), "a connection");
    // With the key it is, and does not answer.
    let (answer, _) = cgi(&config, &login(&[("HTTP_X_AUTH_KEY", "marker")]));
    assert_eq!(answer, TEMPORARY);
    assert!(store.accept().is_ok());
}

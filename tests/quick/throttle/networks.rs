//! Failures counted by the network of the client.

use crate::support::serving::Serving;
use crate::support::throttled::*;
use Said::{In, Out};

#[test]
fn one_password_for_many_logins_has_the_network_refused() {
    let server = server("refuse-network = 10");
    let spray: Vec<_> = (0..10)
        .map(|number| server.log_in(HERE, &format!("guess-{number}"), "secret-summer"))
        .collect();
    let waits = [0, 0, 0, 0, 2, 4, 8, 15, 15, 15];
    assert_eq!(spray, waits.map(Out));
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), Out(15));
    assert_eq!(
        log_of(&server, "network=192.0.2.10/32 is refused after 10"),
        1
    );
    // The neighbours are others.
    assert_eq!(server.log_in("192.0.2.11", "alice", "secret-right"), In);
}

#[test]
fn networks_are_as_wide_as_configured() {
    let wide = server("ipv4-prefix = 24");
    wide.fail("192.0.2.10", "alice", 8);
    assert_eq!(wide.log_in("192.0.2.99", "alice", "secret-right"), Out(15));
    assert_eq!(wide.log_in("192.0.3.10", "alice", "secret-right"), In);
    let server = server("");
    for number in 1..=8 {
        server.log_in(
            &format!("2001:db8:1:2::{number}"),
            "alice",
            &format!("secret-w{number}"),
        );
    }
    assert_eq!(
        server.log_in("2001:db8:1:2:ffff::1", "alice", "secret-right"),
        Out(15)
    );
    assert_eq!(
        server.log_in("2001:db8:1:3::1", "alice", "secret-right"),
        In
    );
    // An IPv4 client of a socket for both is the same as on one for IPv4.
    server.fail("::ffff:192.0.2.77", "bob", 8);
    assert_eq!(server.log_in("192.0.2.77", "bob", "secret-right"), Out(15));
}

/// Of the clients behind a translator, or of a tunnel's server, only the one that guesses is refused.
#[test]
fn clients_are_counted_by_the_ipv4_address_inside() {
    for (guesses, same, other) in [
        ("64:ff9b::192.0.2.1", "192.0.2.1", "64:ff9b::192.0.2.2"),
        (
            "64:ff9b:1::192.0.2.1",
            "::ffff:192.0.2.1",
            "64:ff9b:1::192.0.2.2",
        ),
        (
            "2002:c000:201:1::1",
            "2002:c000:201:2::2",
            "2002:c000:202:1::1",
        ),
        (
            "2001:0:101:101:0:1:3fff:fdfe",
            "2001:0:202:202:0:2:3fff:fdfe",
            "2001:0:101:101:0:1:3fff:fdfd",
        ),
    ] {
        let server = server("");
        server.fail(guesses, "alice", 8);
        assert_eq!(server.log_in(same, "alice", "secret-right"), Out(15));
        assert_eq!(server.log_in(other, "alice", "secret-right"), In);
    }
    // An unchecked address is logged as the front sent it.
    let lenient = server("always-allow = [\"192.0.2.0/24\"]");
    lenient.fail("64:ff9b::192.0.2.1", "alice", 8);
    let refused = lenient.log_in("64:ff9b::192.0.2.1", "alice", "secret-right");
    assert_eq!(refused, Out(15));
}

#[test]
fn a_network_of_always_allow_is_neither_slowed_nor_counted() {
    let server = server("always-allow = [\"192.0.2.0/24\", \"2001:db8::1\"]");
    assert_eq!(server.fail(HERE, "alice", 40), vec![Out(0); 40]);
    assert_eq!(server.fail("2001:db8::1", "alice", 40), vec![Out(0); 40]);
    assert_eq!(server.log_in(HERE, "alice", "secret-right"), In);
    assert_eq!(server.log_in(THERE, "alice", "secret-wrong"), Out(0));
}

/// Without a key, any client could send any address: a guesser a new one each time, or that of a user.
#[test]
fn an_untrusted_client_address_is_not_counted() {
    let config = config("").replace(&format!("key = \"{KEY}\"\n"), "");
    let server = Serving::listening(&config, USERS);
    let ask = |address: &str, password: &str| {
        Said::read(&server.answer(&[
            ("HTTP_AUTH_USER", "alice"),
            ("HTTP_AUTH_PASS", password),
            ("HTTP_CLIENT_IP", address),
        ]))
    };
    let said: Vec<_> = (0..40)
        .map(|number| {
            ask(
                &format!("203.0.113.{number}"),
                &format!("secret-wrong-{number}"),
            )
        })
        .collect();
    assert_eq!(said[3..9], [0, 2, 4, 8, 15, 15].map(Out));
    // The login is slowed, and not refused.
    assert_eq!(ask("203.0.113.1", "secret-right"), In);
    assert!(
        !server.log().contains("throttle: network"),
        "{}",
        server.log()
    );
    let warning = "auth.toml:8:1: throttle: nothing shows that a Client-IP comes from nginx";
    assert!(server.log().contains(warning), "{}", server.log());
}

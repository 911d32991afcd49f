use super::*;
use crate::nginx::request::AuthRequest;

fn params<'a>(pairs: &[(&'a str, &'a str)]) -> Params<'a> {
    let mut params = Params::bounded(64);
    for (name, value) in pairs {
        params.push(name.as_bytes(), value.as_bytes()).unwrap();
    }
    params
}

/// With a login that cannot be read: who may not ask must not get that far.
fn broken<'a>(pairs: &[(&'a str, &'a str)]) -> Params<'a> {
    params(&[&[("HTTP_AUTH_USER", "%"), ("HTTP_AUTH_PASS", "x")], pairs].concat())
}

fn keyed(header: &str, keys: &[&str]) -> Fronts {
    let keys = keys.iter().map(|key| key.as_bytes().to_vec());
    Fronts {
        keys: Some(Keys {
            header: KeyHeader::new(header).unwrap(),
            keys: keys.filter_map(SharedKey::new).collect(),
        }),
        allowed: None,
    }
}

fn from(allowed: &[&str]) -> Fronts {
    let networks = allowed.iter().filter_map(|place| Network::parse(place));
    Fronts {
        keys: None,
        allowed: Some(AllowedFronts {
            networks: networks.collect(),
            unix: allowed.contains(&"unix"),
        }),
    }
}

fn tcp(address: &str) -> Peer {
    Peer::Tcp(address.parse().unwrap())
}

#[test]
fn one_of_the_keys_comes_before_everything_else() {
    let fronts = keyed(KEY_HEADER, &["k1", "k2-longer", "k3"]);
    for (shown, admitted) in [
        (&[("HTTP_X_AUTH_KEY", "k1")][..], true),
        (&[("HTTP_X_AUTH_KEY", "k2-longer")], true),
        (&[("HTTP_X_AUTH_KEY", "k3")], true),
        (&[], false),
        (&[("HTTP_X_AUTH_KEY", "")], false),
        (&[("HTTP_X_AUTH_KEY", "k")], false),
        (&[("HTTP_X_AUTH_KEY", "k1 ")], false),
        (&[("HTTP_X_AUTH_KEY", "K1")], false),
        // What Apache makes of two such headers.
        (&[("HTTP_X_AUTH_KEY", "k1, k3")], false),
        (&[("HTTP_X_AUTH_KEY", "k1,k1")], false),
        // Two headers that become the same variable.
        (
            &[("HTTP_X_AUTH_KEY", "k1"), ("HTTP_X_AUTH_KEY", "k1")],
            false,
        ),
        (&[("HTTP_X_AUTH_KEYS", "k1")], false),
    ] {
        let refusal = AuthRequest::from_params(&broken(shown), Peer::Unix, &fronts).unwrap_err();
        let expected = match admitted {
            true => Refusal::BadEscape("Auth-User"),
            false => Refusal::WrongKey,
        };
        assert_eq!(refusal, expected, "{shown:?}");
    }
}

#[test]
fn the_key_may_stand_in_another_header() {
    let fronts = keyed("X-Mail-Front", &["k1"]);
    let admit = |pairs: &[(&'static str, &'static str)]| fronts.admit(&params(pairs), Peer::Unix);
    assert_eq!(admit(&[("HTTP_X_MAIL_FRONT", "k1")]), Ok(()));
    assert_eq!(admit(&[("HTTP_X_AUTH_KEY", "k1")]), Err(Refusal::WrongKey));
    let both = [("HTTP_X_MAIL_FRONT", "k1"), ("HTTP_X_AUTH_KEY", "other")];
    assert_eq!(admit(&both), Ok(()));
}

#[test]
fn what_can_hold_a_key() {
    for good in [
        "X-Auth-Key",
        "x-auth-key",
        "X-Front",
        "Key",
        "X",
        "Authentic",
    ] {
        assert!(KeyHeader::new(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "X_Auth_Key",
        "X Auth",
        "X.Auth",
        "X-Kéy",
        "X-Key:",
        "Auth-User",
        "auth-anything",
        "Client-IP",
        "Proxy-Protocol-Addr",
        "Proxy-Authorization",
        "Proxy",
        "AUTHORIZATION",
        "Host",
        "Content-Length",
        "X-Forwarded-For",
        &"x".repeat(101),
    ] {
        assert!(KeyHeader::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn each_way_has_one_thing_that_is_compared() {
    let fronts = from(&["127.0.0.1", "10.0.0.0/8", "2001:db8::/32"]);
    let local = from(&["unix"]);
    for (peer, asker, by_address, by_socket) in [
        (tcp("127.0.0.1"), None, true, false),
        (tcp("10.1.2.3"), Some("192.0.2.1"), true, false),
        (tcp("2001:db8::1"), None, true, false),
        // What a peer says of itself does not count.
        (tcp("192.0.2.1"), Some("127.0.0.1"), false, false),
        (Peer::Unix, Some("192.0.2.1"), false, true),
        (Peer::Unix, Some("127.0.0.1"), false, true),
        (Peer::WebServer, Some("127.0.0.1"), true, false),
        (Peer::WebServer, Some("::ffff:10.0.0.1"), true, false),
        (Peer::WebServer, Some("192.0.2.1"), false, false),
        (Peer::WebServer, Some("127.0.0.1, 10.0.0.1"), false, false),
        (Peer::WebServer, None, false, false),
    ] {
        let pairs = asker.map(|asker| ("REMOTE_ADDR", asker));
        let params = broken(&Vec::from_iter(pairs));
        for (fronts, expected) in [(&fronts, by_address), (&local, by_socket)] {
            let refusal = AuthRequest::from_params(&params, peer, fronts).unwrap_err();
            let admitted = refusal != Refusal::WrongFront;
            assert_eq!(admitted, expected, "{peer:?} {asker:?}");
            // Whoever can be told by the connection alone is not even read.
            let connects = expected || peer == Peer::WebServer;
            assert_eq!(fronts.may_connect(peer), connects, "{peer:?}");
        }
    }
    let twice = params(&[("REMOTE_ADDR", "127.0.0.1"), ("REMOTE_ADDR", "127.0.0.1")]);
    assert_eq!(
        fronts.admit(&twice, Peer::WebServer),
        Err(Refusal::WrongFront)
    );
}

#[test]
fn with_both_both_are_asked_for() {
    let fronts = Fronts {
        keys: keyed(KEY_HEADER, &["k1"]).keys,
        ..from(&["127.0.0.1"])
    };
    let (shown, not) = (params(&[("HTTP_X_AUTH_KEY", "k1")]), params(&[]));
    assert_eq!(fronts.admit(&shown, tcp("127.0.0.1")), Ok(()));
    assert_eq!(fronts.admit(&not, tcp("127.0.0.1")), Err(Refusal::WrongKey));
    assert_eq!(
        fronts.admit(&shown, tcp("127.0.0.2")),
        Err(Refusal::WrongFront)
    );
}

#[test]
fn a_client_is_vouched_for_by_key_or_front() {
    let shown = [
        ("HTTP_AUTH_USER", "alice"),
        ("HTTP_AUTH_PASS", "x"),
        ("HTTP_X_AUTH_KEY", "k1"),
        ("REMOTE_ADDR", "127.0.0.1"),
    ];
    for (fronts, vouched) in [
        (Fronts::default(), false),
        (keyed(KEY_HEADER, &["k1"]), true),
        (from(&["127.0.0.1"]), true),
    ] {
        let params = params(&shown);
        let request = AuthRequest::from_params(&params, Peer::WebServer, &fronts).unwrap();
        assert_eq!(
            request.connection().client.vouched_for,
            vouched,
            "{fronts:?}"
        );
    }
}

#[test]
fn a_stranger_is_named_by_what_it_cannot_make_up() {
    let params = params(&[("REMOTE_ADDR", "192.0.2.9")]);
    let address = |text: &str| Some(text.parse().unwrap());
    let open = Fronts::default();
    assert_eq!(
        open.stranger(&params, tcp("192.0.2.1")),
        address("192.0.2.1")
    );
    assert_eq!(open.stranger(&params, Peer::Unix), address("192.0.2.9"));
    assert_eq!(
        open.stranger(&params, Peer::WebServer),
        address("192.0.2.9")
    );
    let listed = from(&["127.0.0.1"]);
    assert_eq!(
        listed.stranger(&params, tcp("127.0.0.1")),
        address("192.0.2.9")
    );
    assert_eq!(
        listed.stranger(&params, tcp("192.0.2.1")),
        address("192.0.2.1")
    );
}

#[test]
fn keys_are_not_shown() {
    let shown = format!("{:?}", keyed(KEY_HEADER, &["marker"]));
    assert!(!shown.contains("marker"), "{shown}");
}

use super::*;

/// A request of an IMAP client as nginx sends it; `changes` replaces values, `None` drops a name.
fn params(changes: &[(&'static str, Option<&'static [u8]>)]) -> Params<'static> {
    let mut all: Vec<(&str, Option<&'static [u8]>)> = vec![
        ("HTTP_AUTH_METHOD", Some(b"plain")),
        ("HTTP_AUTH_USER", Some(b"alice")),
        ("HTTP_AUTH_PASS", Some(b"secret")),
        ("HTTP_AUTH_PROTOCOL", Some(b"imap")),
        ("HTTP_AUTH_LOGIN_ATTEMPT", Some(b"1")),
        ("HTTP_CLIENT_IP", Some(b"192.0.2.7")),
    ];
    for (name, value) in changes {
        match all.iter_mut().find(|(known, _)| known == name) {
            Some(place) => place.1 = *value,
            None => all.push((name, *value)),
        }
    }
    let mut params = Params::bounded(512);
    for (name, value) in all {
        if let Some(value) = value {
            params.push(name.as_bytes(), value).unwrap();
        }
    }
    params
}

fn read<'a>(params: &Params<'a>) -> Result<AuthRequest<'a>, Refusal> {
    AuthRequest::from_params(params, Peer::Unix, &Fronts::default())
}

/// The same of a client that wants to log in.
fn login_request<'a>(params: &Params<'a>) -> LoginRequest<'a> {
    match read(params) {
        Ok(AuthRequest::LogIn(request)) => request,
        other => panic!("{other:?}"),
    }
}

/// The same of a server that brings mail.
fn mail_request<'a>(params: &Params<'a>) -> MailRequest<'a> {
    match read(params) {
        Ok(AuthRequest::TakeMail(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn refused(changes: &[(&'static str, Option<&'static [u8]>)]) -> Refusal {
    read(&params(changes)).unwrap_err()
}

#[test]
fn an_ordinary_request() {
    let params = params(&[]);
    let request = login_request(&params);
    assert_eq!(request.login.as_bytes(), b"alice");
    let connection = request.connection;
    assert_eq!(connection.protocol, Protocol::Imap);
    assert_eq!(connection.attempt, Some(1));
    assert_eq!(connection.client.address, Some([192, 0, 2, 7].into()));
    assert!(matches!(&request.proof, Proof::Password(p) if p.reveal() == b"secret"));
    assert!(connection.tls.is_none());
}

#[test]
fn credentials_are_decoded_once_and_bytewise() {
    for (raw, decoded) in [
        (&b""[..], &b""[..]),
        (b"a%20b", b"a b"),
        (b"a+b", b"a+b"),
        (b"100%25", b"100%"),
        (b"%2541", b"%41"),
        (b"%e9\xe9", b"\xe9\xe9"),
        (b"%C3%A9", b"\xc3\xa9"),
    ] {
        let params = params(&[("HTTP_AUTH_USER", Some(raw)), ("HTTP_AUTH_PASS", Some(raw))]);
        let request = login_request(&params);
        assert_eq!(request.login.as_bytes(), decoded);
        assert!(matches!(&request.proof, Proof::Password(p) if p.reveal() == decoded));
    }
}

#[test]
fn bad_credentials_are_refused_with_their_own_cause() {
    let user = |value| refused(&[("HTTP_AUTH_USER", Some(value))]);
    let pass = |value| refused(&[("HTTP_AUTH_PASS", Some(value))]);
    for bad in [&b"%"[..], b"%4", b"%zz", b"a%2", b"%%41", b"%+1"] {
        assert_eq!(user(bad), Refusal::BadEscape("Auth-User"));
        assert_eq!(pass(bad), Refusal::BadEscape("Auth-Pass"));
    }
    for bad in [
        &b"a%00"[..],
        b"a%0D%0AUSER b",
        b"a%0A",
        b"%09",
        b"a\x7f",
        b"%1b",
    ] {
        assert_eq!(user(bad), Refusal::BadLogin);
    }
    for bad in [&b"a%00"[..], b"%0D", b"a%0Ab"] {
        assert_eq!(pass(bad), Refusal::BadPassword);
    }
    assert_eq!(user(&[b'a'; 255]), Refusal::LoginTooLong);
    assert_eq!(pass(&[b'a'; 513]), Refusal::PasswordTooLong);
    assert!(read(&params(&[("HTTP_AUTH_PASS", Some(b"\x7f%1b"))])).is_ok());
    assert!(read(&params(&[("HTTP_AUTH_USER", Some(&[b'a'; 254]))])).is_ok());
    assert!(read(&params(&[("HTTP_AUTH_PASS", Some(&[b'a'; 512]))])).is_ok());
    assert_eq!(
        refused(&[("HTTP_AUTH_USER", None)]),
        Refusal::MissingCredentials
    );
    assert_eq!(
        refused(&[("HTTP_AUTH_PASS", None)]),
        Refusal::MissingCredentials
    );
}

/// lighttpd drops headers without a value.
#[test]
fn a_method_needs_no_header_that_it_does_not_go_by() {
    const METHODS: [(&[u8], bool); 8] = [
        (b"plain", true),
        (b"", true),
        (b"cram-md5", true),
        (b"apop", true),
        (b"xoauth2", true),
        (b"external", false),
        (b"none", false),
        (b"unheard-of", true),
    ];
    for (method, needed) in METHODS {
        for absent in ["HTTP_AUTH_USER", "HTTP_AUTH_PASS"] {
            let changes = [("HTTP_AUTH_METHOD", Some(method)), (absent, None)];
            let params = params(&changes);
            let missing = read(&params).err() == Some(Refusal::MissingCredentials);
            assert_eq!(missing, needed, "{} {absent}", method.escape_ascii());
        }
    }
    let without = |method| {
        params(&[
            ("HTTP_AUTH_METHOD", Some(method)),
            ("HTTP_AUTH_USER", None),
            ("HTTP_AUTH_PASS", None),
        ])
    };
    let certified = without(b"external");
    let request = login_request(&certified);
    assert!(matches!(request.proof, Proof::External));
    assert!(request.login.as_bytes().is_empty());
    assert_eq!(mail_request(&without(b"none")).envelope.to, b"");
    // With a login, and without what would be left of an earlier password.
    let params = params(&[
        ("HTTP_AUTH_METHOD", Some(b"external")),
        ("HTTP_AUTH_PASS", None),
    ]);
    assert_eq!(login_request(&params).login.as_bytes(), b"alice");
}

/// Every header that nginx sends, by its CGI variable and as it is called in the log.
const HEADERS: [(&str, &str); 25] = [
    ("HTTP_AUTH_METHOD", "Auth-Method"),
    ("HTTP_AUTH_USER", "Auth-User"),
    ("HTTP_AUTH_PASS", "Auth-Pass"),
    ("HTTP_AUTH_SALT", "Auth-Salt"),
    ("HTTP_AUTH_PROTOCOL", "Auth-Protocol"),
    ("HTTP_AUTH_LOGIN_ATTEMPT", "Auth-Login-Attempt"),
    ("HTTP_CLIENT_IP", "Client-IP"),
    ("HTTP_CLIENT_HOST", "Client-Host"),
    ("HTTP_PROXY_PROTOCOL_ADDR", "Proxy-Protocol-Addr"),
    ("HTTP_PROXY_PROTOCOL_PORT", "Proxy-Protocol-Port"),
    (
        "HTTP_PROXY_PROTOCOL_SERVER_ADDR",
        "Proxy-Protocol-Server-Addr",
    ),
    (
        "HTTP_PROXY_PROTOCOL_SERVER_PORT",
        "Proxy-Protocol-Server-Port",
    ),
    ("HTTP_AUTH_SMTP_HELO", "Auth-SMTP-Helo"),
    ("HTTP_AUTH_SMTP_FROM", "Auth-SMTP-From"),
    ("HTTP_AUTH_SMTP_TO", "Auth-SMTP-To"),
    ("HTTP_AUTH_SSL", "Auth-SSL"),
    ("HTTP_AUTH_SSL_PROTOCOL", "Auth-SSL-Protocol"),
    ("HTTP_AUTH_SSL_CIPHER", "Auth-SSL-Cipher"),
    ("HTTP_AUTH_SSL_VERIFY", "Auth-SSL-Verify"),
    ("HTTP_AUTH_SSL_SUBJECT", "Auth-SSL-Subject"),
    ("HTTP_AUTH_SSL_ISSUER", "Auth-SSL-Issuer"),
    ("HTTP_AUTH_SSL_SERIAL", "Auth-SSL-Serial"),
    ("HTTP_AUTH_SSL_FINGERPRINT", "Auth-SSL-Fingerprint"),
    ("HTTP_AUTH_SSL_CERT", "Auth-SSL-Cert"),
    ("HTTP_X_AUTH_KEY", "X-Auth-Key"),
];

#[test]
fn a_header_that_comes_twice_is_refused() {
    for (variable, name) in HEADERS {
        let all = [("HTTP_AUTH_USER", "alice"), ("HTTP_AUTH_PASS", "secret")];
        let mut params = Params::bounded(512);
        for (other, value) in all.iter().filter(|(other, _)| *other != variable) {
            params.push(other.as_bytes(), value.as_bytes()).unwrap();
        }
        params.push(variable.as_bytes(), b"x").unwrap();
        let once = read(&params).err();
        let twice = Refusal::DuplicateHeader(name);
        assert_ne!(once, Some(twice.clone()), "{variable}");
        // Also an empty one.
        params.push(variable.as_bytes(), b"").unwrap();
        assert_eq!(read(&params).unwrap_err(), twice, "{variable}");
    }
    let mut params = params(&[]);
    for _ in 0..2 {
        params.push(b"HTTP_ACCEPT", b"x").unwrap();
    }
    assert!(read(&params).is_ok());
    params.push(b"HTTP_CLIENT_IP", b"192.0.2.7").unwrap();
    let refusal = read(&params).unwrap_err();
    assert_eq!(refusal, Refusal::DuplicateHeader("Client-IP"));
    // As Apache passes two of them on.
    let joined: &[u8] = b"192.0.2.7, 198.51.100.1";
    let refusal = read(&self::params(&[("HTTP_CLIENT_IP", Some(joined))])).unwrap_err();
    assert_eq!(refusal, Refusal::DuplicateHeader("Client-IP"));
}

#[test]
fn methods() {
    const DIGEST: &[u8] = b"0123456789abcdefABCDEF0123456789";
    let with = |method: &'static [u8], pass: &'static [u8]| {
        let params = params(&[
            ("HTTP_AUTH_METHOD", Some(method)),
            ("HTTP_AUTH_PASS", Some(pass)),
            ("HTTP_AUTH_SALT", Some(b"<123.456@mail.example>")),
        ]);
        read(&params).map(|request| {
            assert_eq!(Outline::of(&params).dialogue(), request.dialogue());
            (request.method(), request.dialogue())
        })
    };
    let login = Dialogue::Login(Protocol::Imap);
    for (word, pass, method) in [
        (&b""[..], &b"secret"[..], Method::Plain),
        (b"plain", b"secret", Method::Plain),
        (b"cram-md5", DIGEST, Method::CramMd5),
        (b"apop", DIGEST, Method::Apop),
        // What is left of an earlier attempt.
        (b"external", b"%", Method::External),
        (b"none", b"%", Method::None),
    ] {
        assert_eq!(with(word, pass), Ok((method, login)));
    }
    for word in [&b"xoauth2"[..], b"oauthbearer"] {
        let token = Dialogue::Token(Protocol::Imap);
        assert_eq!(with(word, b"e30.e30.x_-"), Ok((Method::Token, token)));
        assert!(with(word, &[b'a'; 8192]).is_ok());
        for bad in [&b""[..], b"a%20b", b"a%0d%0a", b"a=b", &[b'a'; 8193]] {
            let refused = with(word, bad).unwrap_err();
            assert!(matches!(refused, Refusal::BadToken(_)), "{refused:?}");
        }
    }
    for word in [
        &b"PLAIN"[..],
        b"XOAUTH2",
        b"login",
        b"plain ",
        b"cram-md5,plain",
    ] {
        assert_eq!(with(word, DIGEST).unwrap_err(), Refusal::UnknownMethod);
    }
}

#[test]
fn answers_to_a_challenge_are_checked_before_anybody_is_asked() {
    for method in [&b"cram-md5"[..], b"apop"] {
        let with = |salt, pass| {
            refused(&[
                ("HTTP_AUTH_METHOD", Some(method)),
                ("HTTP_AUTH_SALT", salt),
                ("HTTP_AUTH_PASS", Some(pass)),
            ])
        };
        for salt in [
            None,
            Some(&b""[..]),
            Some(b"<>"),
            Some(b"x"),
            Some(b"<1.2@x>\n"),
        ] {
            assert_eq!(with(salt, &[b'0'; 32]), Refusal::BadChallenge);
        }
        for pass in [
            &b""[..],
            &[b'0'; 31],
            &[b'0'; 33],
            &[b'x'; 32],
            &[b'0'; 600],
        ] {
            assert_eq!(with(Some(b"<1.2@x>"), pass), Refusal::BadDigest);
        }
        assert_eq!(
            with(Some(b"<1.2@x>"), b"%"),
            Refusal::BadEscape("Auth-Pass")
        );
    }
}

#[test]
fn method_none_brings_the_envelope_and_no_login() {
    let params = params(&[
        ("HTTP_AUTH_METHOD", Some(b"none")),
        ("HTTP_AUTH_USER", Some(b"stale%")),
        ("HTTP_AUTH_PASS", Some(b"stale%")),
        ("HTTP_AUTH_PROTOCOL", Some(b"smtp")),
        ("HTTP_CLIENT_HOST", Some(b"[UNAVAILABLE]")),
        ("HTTP_AUTH_SMTP_HELO", Some(b"\xe9 x")),
        ("HTTP_AUTH_SMTP_FROM", Some(b"mail   from:<a@b%41>")),
        ("HTTP_AUTH_SMTP_TO", Some(b"rcpt to:<c@d>")),
    ]);
    let request = mail_request(&params);
    let host = request.connection.client.host;
    assert_eq!(host, Some(&b"[UNAVAILABLE]"[..]));
    let envelope = request.envelope;
    assert_eq!(envelope.helo, b"\xe9 x");
    assert_eq!(envelope.from, b"mail   from:<a@b%41>");
    assert_eq!(envelope.to, b"rcpt to:<c@d>");
    let outline = Outline::of(&params);
    assert_eq!(outline.user, None);
    assert_eq!(outline.dialogue(), Dialogue::Inbound);
    let dialogue = AuthRequest::TakeMail(request).dialogue();
    assert_eq!(dialogue, Dialogue::Inbound);
}

#[test]
fn what_is_known_of_the_connection_is_read_from_its_own_headers() {
    let params = params(&[
        ("HTTP_AUTH_SSL", Some(b"on")),
        ("HTTP_AUTH_SSL_PROTOCOL", Some(b"TLSv1.3")),
        ("HTTP_AUTH_SSL_CIPHER", Some(b"TLS_AES_256_GCM_SHA384")),
        (
            "HTTP_AUTH_SSL_VERIFY",
            Some(b"FAILED:certificate has expired"),
        ),
        ("HTTP_AUTH_SSL_SUBJECT", Some(b"CN=alice")),
        ("HTTP_AUTH_SSL_ISSUER", Some(b"CN=ca")),
        ("HTTP_AUTH_SSL_SERIAL", Some(b"0A")),
        ("HTTP_AUTH_SSL_FINGERPRINT", Some(b"f00d")),
        ("HTTP_AUTH_SSL_CERT", Some(b"-----BEGIN")),
        ("HTTP_CLIENT_HOST", Some(b"client.example")),
        ("HTTP_PROXY_PROTOCOL_ADDR", Some(b"2001:db8::7")),
        ("HTTP_PROXY_PROTOCOL_PORT", Some(b"4000")),
        ("HTTP_PROXY_PROTOCOL_SERVER_ADDR", Some(b"2001:db8::1")),
        ("HTTP_PROXY_PROTOCOL_SERVER_PORT", Some(b"993")),
    ]);
    let request = read(&params).unwrap();
    let tls = request.connection().tls.unwrap();
    assert_eq!(tls.protocol, Some(&b"TLSv1.3"[..]));
    assert_eq!(tls.cipher, Some(&b"TLS_AES_256_GCM_SHA384"[..]));
    assert_eq!(tls.verify, Some(&b"FAILED:certificate has expired"[..]));
    assert_eq!(tls.subject, Some(&b"CN=alice"[..]));
    assert_eq!(tls.issuer, Some(&b"CN=ca"[..]));
    assert_eq!(tls.serial, Some(&b"0A"[..]));
    assert_eq!(tls.fingerprint, Some(&b"f00d"[..]));
    assert_eq!(tls.cert, Some(&b"-----BEGIN"[..]));
    let client = request.connection().client;
    assert_eq!(client.host, Some(&b"client.example"[..]));
    let from = ("2001:db8::7".parse().unwrap(), 4000);
    let to = ("2001:db8::1".parse().unwrap(), 993);
    assert_eq!(client.proxied_from, Some(from));
    assert_eq!(client.proxied_to, Some(to));
}

#[test]
fn what_is_no_address_with_a_port_is_none() {
    for (address, port) in [
        (None, Some(&b"993"[..])),
        (Some(&b"192.0.2.1"[..]), None),
        (Some(b"192.0.2.1"), Some(b"70000")),
        (Some(b"192.0.2.1"), Some(b"+993")),
        (Some(b"192.0.2.1"), Some(b"")),
        (Some(b"mail.example"), Some(b"993")),
    ] {
        let params = params(&[
            ("HTTP_PROXY_PROTOCOL_ADDR", address),
            ("HTTP_PROXY_PROTOCOL_PORT", port),
            ("HTTP_PROXY_PROTOCOL_SERVER_ADDR", address),
            ("HTTP_PROXY_PROTOCOL_SERVER_PORT", port),
        ]);
        let client = read(&params).unwrap().connection().client;
        assert_eq!((client.proxied_from, client.proxied_to), (None, None));
    }
    for ssl in [None, Some(&b"off"[..]), Some(b""), Some(b"ON")] {
        let params = params(&[
            ("HTTP_AUTH_SSL", ssl),
            ("HTTP_AUTH_SSL_VERIFY", Some(b"SUCCESS")),
        ]);
        assert!(read(&params).unwrap().connection().tls.is_none(), "{ssl:?}");
    }
}

#[test]
fn an_attempt_that_is_no_number_is_none() {
    for (value, attempt) in [
        (None, Some(1)),
        (Some(&b"7"[..]), Some(7)),
        (Some(b""), None),
        (Some(b"-1"), None),
        (Some(b"+1"), None),
        (Some(b"99999999999"), None),
    ] {
        let params = params(&[("HTTP_AUTH_LOGIN_ATTEMPT", value)]);
        assert_eq!(read(&params).unwrap().connection().attempt, attempt);
    }
}

#[test]
fn look_alike_names_have_no_effect() {
    let params = params(&[
        ("HTTP_AUTH_PASS", None),
        ("AUTH_PASS", Some(b"secret")),
        ("Auth-Pass", Some(b"secret")),
        ("HTTP_AUTH_PASS_", Some(b"secret")),
        ("http_auth_pass", Some(b"secret")),
        ("HTTP_PROXY", Some(b"http://127.0.0.1:9")),
    ]);
    let refusal = read(&params).unwrap_err();
    assert_eq!(refusal, Refusal::MissingCredentials);
}

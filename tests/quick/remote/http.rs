//! The http store with a scripted service.

use crate::support::auth_http::*;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::Duration;

use crate::support::program::{ACCEPTED, Program, REFUSED, TEMPORARY, check, path_key, with_store};
use crate::support::scripted_server::{Fake, Fault};
use crate::support::temp_dir::TempDir;

/// Longer than the `timeout` of [`keys`], by what a busy machine may need.
const LIMIT: Duration = Duration::from_secs(5);

/// The reply of the service, and the answer to the client.
#[test]
fn what_the_service_says() {
    let yes = to("192.0.2.9", 1143, "");
    for (said, wanted) in [
        (
            "Auth-Status: OK\r\nAuth-Server: 192.0.2.9\r\nAuth-Port: 1143\r\n\r\n",
            yes.as_str(),
        ),
        (
            "HTTP/1.1 500 Oops\r\nauth-status: OK\nAuth-Server: 192.0.2.9\nAuth-Port: 1143\n\nbody",
            &yes,
        ),
        (
            "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 192.0.2.9\r\nAuth-Port: 1143\r\n\
             Auth-User: al\r\nAuth-Pass: other\r\n\r\n",
            &to("192.0.2.9", 1143, "Auth-User: al\nAuth-Pass: other\n"),
        ),
        (
            "HTTP/1.0 200 OK\r\nAuth-Status: Invalid login or password\r\n\r\n",
            REFUSED,
        ),
        (
            "HTTP/1.0 200 OK\r\nAuth-Status: [AUTHENTICATIONFAILED] x\r\nAuth-Wait: 3\r\n\r\n",
            REFUSED,
        ),
        (
            "HTTP/1.0 200 OK\r\nAuth-Status: no\r\nAuth-Server: 192.0.2.9\r\nAuth-Port: 1\r\n\r\n",
            REFUSED,
        ),
        (
            "HTTP/1.0 200 OK\r\nAuth-Status: Temporary server problem, try again later\r\n\r\n",
            TEMPORARY,
        ),
        (
            "HTTP/1.0 200 OK\r\nAuth-Status: no\r\nAuth-Error-Code: 451 4.3.0\r\n\r\n",
            TEMPORARY,
        ),
        (
            "HTTP/1.0 200 OK\r\nAuth-Status: [UNAVAILABLE] x\r\n\r\n",
            TEMPORARY,
        ),
        (
            "HTTP/1.0 200 OK\r\nAuth-Status: [SYS/TEMP] x\r\n\r\n",
            TEMPORARY,
        ),
        (
            "HTTP/1.0 200 OK\r\nAuth-Status: WAIT\r\nAuth-Wait: 1\r\n\r\n",
            TEMPORARY,
        ),
        (
            "HTTP/1.0 200 OK\r\nAuth-Server: 192.0.2.9\r\nAuth-Port: 143\r\n\r\n",
            TEMPORARY,
        ),
        (
            "HTTP/1.0 200 OK\r\nAuth-Status:\r\nAuth-Server: 192.0.2.9\r\nAuth-Port: 1\r\n\r\n",
            TEMPORARY,
        ),
        ("HTTP/1.0 200 OK\r\nAuth-Status: OK\r\n\r\n", TEMPORARY),
        (
            "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: mail\r\nAuth-Port: 143\r\n\r\n",
            TEMPORARY,
        ),
        (
            "HTTP/1.0 502 Bad Gateway\r\nServer: x\r\n\r\n<html>",
            TEMPORARY,
        ),
        ("HTTP/1.0 200 OK\r\n\r\n", TEMPORARY),
        ("HTTP/1.0 200 OK\r\nAuth_Status: OK\r\n\r\n", TEMPORARY),
        ("* OK hello\r\n\r\n", TEMPORARY),
        ("\r\n", TEMPORARY),
        ("\0\x01\x02\n\n", TEMPORARY),
    ] {
        let fake = saying(said);
        let program = Program::serve(&with_store(&keys(&fake)));
        let answer = program.ask_within(LIMIT, LOGIN, PASSWORD);
        assert_eq!(answer, wanted, "{said}\n{}", program.log());
        assert!(!program.log().contains("marker"), "{}", program.log());
    }
}

#[test]
fn a_service_that_breaks_off_or_stalls_is_given_up_in_time() {
    const FAULTS: [Fault; 8] = [
        ("says nothing", |talk| talk.listen()),
        ("hangs up", |talk| talk.hang_up()),
        ("hangs up after the question", hear),
        ("hangs up within the answer", |talk| {
            hear(talk);
            talk.say(
                b"HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 192.0.2.9\r\nAuth-Port: 14",
            );
        }),
        ("hangs up before the end", |talk| {
            hear(talk);
            talk.say(b"HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 192.0.2.9\r\nAuth-Port: 143\r\n");
        }),
        ("drips", |talk| {
            hear(talk);
            talk.drip(b"X-Drop: y\r\n", Duration::from_millis(50));
        }),
        ("floods with headers", |talk| {
            hear(talk);
            talk.drip(b"X-Drop: y\r\n", Duration::ZERO);
        }),
        ("floods with one line", |talk| {
            talk.drip(b"x", Duration::ZERO);
        }),
    ];
    for (what, fault) in FAULTS {
        let fake = Fake::start(fault);
        let program = Program::serve(&with_store(&keys(&fake)));
        let answer = program.ask_within(LIMIT, LOGIN, PASSWORD);
        assert_eq!(answer, TEMPORARY, "{what}\n{}", program.log());
    }
}

#[test]
fn it_is_asked_in_nginxs_words() {
    let folder = TempDir::new();
    let key = folder.write("key", "a key\nand no more\n");
    let fake = saying("Auth-Status: no\r\n\r\n");
    let more = path_key("key-file", &key) + "headers = { X-Site = \"one two\", Y = \"\" }\n";
    let program = Program::serve(&with_store(&(keys(&fake) + &more)));
    let answer = program.ask_for("pop3", b"a b%+\xe9\"", b"p w\t%");
    assert_eq!(answer, REFUSED, "{}", program.log());
    let wanted = b"GET /auth HTTP/1.0\r\n\
        Host: 127.0.0.1\r\n\
        Auth-Method: plain\r\n\
        Auth-User: a%20b%25+\xe9\"\r\n\
        Auth-Pass: p%20w%09%25\r\n\
        Auth-Protocol: pop3\r\n\
        Auth-Login-Attempt: 1\r\n\
        Client-IP: 192.0.2.7\r\n\
        X-Site: one two\r\n\
        Y: \r\n\
        X-Auth-Key: a key\r\n\
        \r\n";
    assert_eq!(
        fake.heard().escape_ascii().to_string(),
        wanted.escape_ascii().to_string()
    );
    // An empty password is refused without a question.
    assert_eq!(program.ask(LOGIN, b""), REFUSED);
    assert_eq!(fake.heard(), wanted);
}

#[test]
fn own_texts_can_mean_that_it_cannot_say() {
    let fake = saying("Auth-Status: Come later\r\n\r\n");
    let program = Program::serve(&with_store(&keys(&fake)));
    assert_eq!(program.ask(LOGIN, PASSWORD), REFUSED);
    let own = "temporary = [\"Or never\", \"Come later\"]\n";
    let program = Program::serve(&with_store(&(keys(&fake) + own)));
    assert_eq!(program.ask(LOGIN, PASSWORD), TEMPORARY);
}

#[test]
fn a_yes_is_remembered_with_where_it_leads() {
    let fake = Fake::start(|talk| {
        hear(talk);
        talk.say(b"Auth-Status: OK\nAuth-Server: 192.0.2.9\nAuth-Port: 1143\nAuth-Pass: other\n\n");
    });
    let asked = || {
        let heard = fake.heard();
        heard.windows(4).filter(|part| part == b"GET ").count()
    };
    let program = Program::serve(&with_store(&(keys(&fake) + "cache = 60\n")));
    for _ in 0..3 {
        let answer = program.ask(LOGIN, PASSWORD);
        assert_eq!(answer, to("192.0.2.9", 1143, "Auth-Pass: other\n"));
    }
    assert_eq!(asked(), 1);
    program.ask(LOGIN, b"another");
    assert_eq!(asked(), 2);
}

#[test]
fn it_may_listen_on_a_unix_socket() {
    let folder = TempDir::new();
    let socket = folder.path().join("auth.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut question = Vec::new();
            while !question.ends_with(b"\r\n\r\n") {
                let mut part = [0; 512];
                let read = stream.read(&mut part).unwrap();
                question.extend_from_slice(&part[..read]);
            }
            let status = match question.starts_with(b"GET /x?y HTTP/1.0\r\nHost: localhost\r\n") {
                true => "OK",
                false => "not me",
            };
            write!(
                stream,
                "Auth-Status: {status}\nAuth-Server: 192.0.2.1\nAuth-Port: 143\n\n"
            )
            .unwrap();
        }
    });
    let url = format!("unix:{}:/x?y", socket.display());
    let keys = format!("store = \"http\"\nurl = \"{url}\"\n");
    let program = Program::serve(&with_store(&keys));
    assert_eq!(program.ask(LOGIN, PASSWORD), ACCEPTED, "{}", program.log());
    assert_eq!(check(&with_store(&keys)), (0, String::new()));
}

#[test]
fn check_wants_an_answer_of_the_protocol() {
    for (said, complaint) in [
        ("Auth-Status: Invalid login or password\r\n\r\n", None),
        ("Auth-Status: [UNAVAILABLE] later\r\n\r\n", None),
        (
            "HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\n",
            Some("its answer (HTTP/1.1 404 Not Found) has no Auth-Status: is the URL right?"),
        ),
        (
            "<html>\r\n\r\n",
            Some("its answer has an invalid header line"),
        ),
        ("", Some("no answer in time, waiting for the answer")),
    ] {
        let fake = saying(said);
        let (code, told) = check(&with_store(&keys(&fake)));
        match complaint {
            None => assert_eq!((code, told.as_str()), (0, ""), "{said}"),
            Some(complaint) => {
                assert_eq!(code, 78, "{said}: {told}");
                assert!(told.contains(complaint), "{complaint}: {told}");
            }
        }
        let heard = String::from_utf8(fake.heard()).unwrap();
        assert!(
            heard.contains("Auth-User: nginx-mail-auth-check\r\nAuth-Pass: \r\n"),
            "{heard}"
        );
    }
}

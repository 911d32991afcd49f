//! `probe` at the command line: what it sends, says and ends with. What nginx itself does is compared in
//! tests/servers/probe.rs.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

use crate::support::probe::{command, line, run, run_with};
use crate::support::temp_dir::TempDir;

const REFUSAL: &str = "HTTP/1.1 200 OK\r\nAuth-Status: Invalid login or password\r\n\r\n";

fn config(folder: &TempDir, nginx: &str) -> String {
    let text =
        format!("{nginx}\n[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"192.0.2.1\"\n");
    folder.write("auth.toml", text).display().to_string()
}

#[test]
fn the_key_is_that_of_the_configuration_or_of_a_file() {
    let folder = TempDir::new();
    let key_file = folder
        .write("key", "of-the-file-0123456789\n# comment\n")
        .display()
        .to_string();
    let of_config = config(
        &folder,
        "[nginx]\nkey = \"of-the-config-01234\"\nkey-header = \"X-Mine\"",
    );
    for (options, sent) in [
        (
            vec!["--config", of_config.as_str()],
            "\r\nX-Mine: of-the-config-01234\r\n\r\n",
        ),
        (
            vec!["--key-file", &key_file],
            "\r\nX-Auth-Key: of-the-file-0123456789\r\n\r\n",
        ),
        (
            vec![
                "--key-file",
                &key_file,
                "--key-header",
                "X-Other",
                "--header",
                "A:  b c ",
            ],
            "\r\nX-Other: of-the-file-0123456789\r\nA: b c\r\n\r\n",
        ),
        (vec!["--no-key"], "\r\nClient-IP: 127.0.0.1\r\n\r\n"),
    ] {
        let run = run(REFUSAL, &options);
        assert!(run.heard.ends_with(sent), "{options:?}: {}", run.heard);
        assert_eq!(run.status, 1, "{}{}", run.out, run.err);
    }
}

#[test]
fn without_a_usable_key_nothing_is_sent() {
    let folder = TempDir::new();
    let broken = config(&folder, "[nginx]\nkey-file = \"missing\"");
    let empty = folder.write("empty", "\n").display().to_string();
    for (options, error) in [
        (["--config", broken.as_str()], "--key-file"),
        (["--config", "/missing/auth.toml"], "/missing/auth.toml"),
        (
            ["--key-file", "/missing/key"],
            "cannot read the key: /missing/key",
        ),
        (["--key-file", &empty], "is empty"),
    ] {
        // Nobody listens there.
        let run = command("http://127.0.0.1:1/", &options, "");
        assert_eq!(run.status, 78, "{}", run.err);
        assert!(run.err.contains(error), "{}", run.err);
        assert_eq!(run.out, "");
    }
}

#[test]
fn a_command_line_that_does_not_fit_is_refused() {
    for (url, options, error) in [
        ("https://auth/mail", &[][..], "no https"),
        ("http://auth:x/", &[], "invalid port in auth_http"),
        (
            "http://auth/",
            &["--method", "apop", "--protocol", "imap"],
            "apop for pop3 only",
        ),
        (
            "http://auth/",
            &["--method", "none", "--smtp-to", "a@b", "--protocol", "imap"],
            "smtp only",
        ),
        ("http://auth/", &["--method", "none"], "--smtp-to"),
        ("http://auth/", &["--header", "no colon"], "NAME: VALUE"),
        (
            "http://auth/",
            &["--header", "A: b\r\nAuth-User: eve"],
            "one line",
        ),
        (
            "http://auth/",
            &["--ssl-subject", "CN=x\nAuth-User: eve"],
            "one line",
        ),
        (
            "http://auth/",
            &["--key-header", "X_Key"],
            "letters, digits and hyphens",
        ),
        ("http://auth/", &["--timeout", "0"], "1..=3600"),
        (
            "http://auth/",
            &["--proxy-from", "192.0.2.1:1"],
            "--proxy-to",
        ),
    ] {
        let run = command(url, options, "");
        assert_eq!(run.status, 2, "{url} {options:?}: {}", run.err);
        assert!(run.err.contains(error), "{url} {options:?}: {}", run.err);
    }
}

#[test]
fn everything_that_nginx_knows_of_a_client_can_be_sent() {
    let folder = TempDir::new();
    let pem = folder
        .write("cert", "-----BEGIN CERTIFICATE-----\nA+/=\n")
        .display()
        .to_string();
    let run = run(
        REFUSAL,
        &[
            "--no-key",
            "--protocol",
            "smtp",
            "--client-ip",
            "2001:db8::7",
            "--client-host",
            "client.test",
            "--attempt",
            "3",
            "--proxy-from",
            "192.0.2.1:1",
            "--proxy-to",
            "[2001:db8::1]:25",
            "--ssl-verify",
            "SUCCESS",
            "--ssl-subject",
            "CN=alice",
            "--ssl-issuer",
            "CN=ca",
            "--ssl-serial",
            "0A",
            "--ssl-fingerprint",
            "ab",
            "--ssl-cert",
            &pem,
        ],
    );
    let sent = "Auth-Login-Attempt: 3\r\nClient-IP: 2001:db8::7\r\nClient-Host: client.test\r\n\
                Proxy-Protocol-Addr: 192.0.2.1\r\nProxy-Protocol-Port: 1\r\n\
                Proxy-Protocol-Server-Addr: 2001:db8::1\r\nProxy-Protocol-Server-Port: 25\r\n\
                Auth-SSL: on\r\nAuth-SSL-Protocol: TLSv1.3\r\nAuth-SSL-Cipher: TLS_AES_256_GCM_SHA384\r\n\
                Auth-SSL-Verify: SUCCESS\r\nAuth-SSL-Subject: CN=alice\r\nAuth-SSL-Issuer: CN=ca\r\n\
                Auth-SSL-Serial: 0A\r\nAuth-SSL-Fingerprint: ab\r\n\
                Auth-SSL-Cert: -----BEGIN%20CERTIFICATE-----%0AA+/=%0A\r\n\r\n";
    assert!(run.heard.ends_with(sent), "{}{}", run.heard, run.err);
}

#[test]
fn incoming_mail_has_an_envelope_and_no_login() {
    let options = [
        "--no-key",
        "--method",
        "none",
        "--helo",
        "client.test",
        "--smtp-from",
        "a@b",
        "--smtp-to",
        "rcpt to:<c@d> X=1",
    ];
    let run = run(
        "Auth-Status: Relay denied\r\nAuth-Error-Code: 451 4.3.0\r\n\r\n",
        &options,
    );
    let sent = "Auth-SMTP-Helo: client.test\r\nAuth-SMTP-From: MAIL FROM:<a@b>\r\n\
                Auth-SMTP-To: rcpt to:<c@d> X=1\r\n\r\n";
    assert!(run.heard.ends_with(sent), "{}", run.heard);
    assert_eq!(line(&run.out, "client: "), "451 4.3.0 Relay denied");
    assert_eq!(run.status, 75);
}

#[test]
fn neither_password_nor_key_is_shown() {
    let folder = TempDir::new();
    let key = folder
        .write("key", "marker-key-0123456789")
        .display()
        .to_string();
    let answer = "HTTP/1.1 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 192.0.2.1\r\nAuth-Port: 143\r\n\
                  Auth-Pass: marker-upstream\r\n\r\n";
    let run = run(answer, &["--key-file", &key, "--verbose"]);
    assert!(run.heard.contains("secret-of-alice") && run.heard.contains("marker-key"));
    for line in [
        "> Auth-Pass: (15 bytes)",
        "> X-Auth-Key: (21 bytes)",
        "< Auth-Pass: (15 bytes)",
        "> Auth-User: alice",
    ] {
        assert!(run.out.contains(line), "{line}: {}", run.out);
    }
    assert!(
        !run.out.contains("secret-of-alice") && !run.out.contains("marker-"),
        "{}",
        run.out
    );
    let nginx =
        "connects the client to 192.0.2.1:143 as user \"alice\" with the password of Auth-Pass";
    assert_eq!(line(&run.out, "nginx: "), nginx);
    assert_eq!(run.status, 0);
}

/// An answer and the start of the note about it.
#[test]
fn each_fault_on_the_way_has_its_note() {
    let header = |status: &str| format!("HTTP/1.1 {status}\r\nServer: Apache\r\n\r\n");
    let long = format!("Auth-Status: No\r\nX-Long: {}\r\n\r\n", "x".repeat(2000));
    for (answer, note, status) in [
        (
            header("401 Unauthorized"),
            "HTTP/1.1 401 Unauthorized: the URL requires HTTP authentication",
            76,
        ),
        (
            header("403 Forbidden"),
            "HTTP/1.1 403 Forbidden: the web server does not allow this machine",
            76,
        ),
        (
            header("404 Not Found"),
            "HTTP/1.1 404 Not Found: nothing is at this path",
            76,
        ),
        (
            header("500 Oops"),
            "HTTP/1.1 500 Oops: the web server could not start the program",
            76,
        ),
        (
            header("503 Busy"),
            "HTTP/1.1 503 Busy: the web server cannot reach the service",
            76,
        ),
        (
            header("200 OK"),
            "HTTP/1.1 200 OK: the answer has no header of auth_http",
            76,
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: https://x/\r\n\r\n".to_owned(),
            "HTTP/1.1 302 Found: a redirect to https://x/, which nginx does not follow",
            76,
        ),
        (
            long,
            "the header has 2029 bytes, and nginx reads 1024; the longest: X-Long (2010 bytes)",
            76,
        ),
        ("\u{15}\u{3}\u{1}".to_owned(), "the port speaks TLS", 76),
        (
            "Auth_Status: OK\r\n\r\n".to_owned(),
            "line \"Auth_Status: OK\r\": a name",
            76,
        ),
        (
            "Auth-Status: OK\r\n\r\n".to_owned(),
            "the service says OK, but not where",
            76,
        ),
        (
            "Auth-Server: mail\r\nAuth-Port: 1\r\n\r\n".to_owned(),
            "Auth-Server is \"mail\": nginx looks no names up",
            76,
        ),
        (
            "Auth-Server: 192.0.2.1:143\r\nAuth-Port: 1\r\n\r\n".to_owned(),
            "Auth-Server is \"192.0.2.1:143\": the port belongs in Auth-Port",
            76,
        ),
        (
            "Auth-Server: 192.0.2.1\r\nAuth-Port: 1\r\n\r\n".to_owned(),
            "the answer has no Auth-Status",
            0,
        ),
        (
            "Auth-Status: ok\r\n\r\n".to_owned(),
            "\"ok\" is a text for the client",
            1,
        ),
        (
            "Auth-Status: WAIT\r\n\r\n".to_owned(),
            "WAIT without Auth-Wait makes nginx ask again",
            75,
        ),
        (
            String::new(),
            "the service closed the connection without an answer",
            76,
        ),
    ] {
        let run = run(&answer, &["--no-key"]);
        let found = line(&run.out, "note: ");
        let note = note.replace('\r', "\u{fffd}");
        assert!(found.starts_with(&note), "{answer:?}: {}", run.out);
        assert_eq!(run.status, status, "{answer:?}: {}", run.out);
    }
}

#[test]
fn a_long_token_is_found_where_the_web_server_rejects_it() {
    let service = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/", service.local_addr().unwrap());
    let token = "t".repeat(9000) + "\n";
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut stream, _) = service.accept().unwrap();
            // An unread rest would reset the connection.
            let (mut heard, mut byte) = (Vec::new(), [0]);
            while !heard.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                heard.extend(byte);
            }
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap();
        });
        let run = command(&url, &["--no-key", "--method", "xoauth2"], &token);
        let note = line(&run.out, "note: ");
        assert!(
            note.contains("the header Auth-Pass has 9011 bytes"),
            "{}",
            run.out
        );
        assert_eq!(run.status, 76);
    });
}

#[test]
fn what_cannot_be_asked_is_told() {
    let folder = TempDir::new();
    let socket = folder.path().join("socket");
    let dead = folder.path().join("dead");
    drop(UnixListener::bind(&dead).unwrap());
    let silent = UnixListener::bind(&socket).unwrap();
    let at = |path: &Path| format!("unix:{}:/auth", path.display());
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    for (url, said) in [
        (format!("http://{free}/"), "nothing listens there"),
        (at(&dead), "nothing listens there"),
        (at(&folder.path().join("none")), "there is no such socket"),
        (at(&socket), "the service is slow or hangs"),
        ("http://name.invalid/".to_owned(), "\"host not found\""),
    ] {
        let run = command(&url, &["--no-key", "--timeout", "1"], "x\n");
        assert!(run.out.contains(said), "{url}: {}", run.out);
        assert_eq!(run.status, 69, "{url}: {}", run.out);
    }
    drop(silent);
}

#[test]
fn the_log_tells_the_cause() {
    let folder = TempDir::new();
    let log = folder.write("apache.log", "an older line cause=wrong-password\n");
    let options = [
        "--no-key",
        "--log",
        log.to_str().unwrap(),
        "--client-ip",
        "192.0.2.7",
    ];
    let add = |line: &str| {
        let mut file = OpenOptions::new().append(true).open(&log).unwrap();
        writeln!(file, "{line}").unwrap();
    };
    let key = "login=- protocol=imap client=- host=- answer=refused cause=wrong-key peer=127.0.0.1 ms=0.1";
    let run = run_with(REFUSAL.as_bytes(), &options, || add(key));
    assert_eq!(line(&run.out, "log: "), key);
    assert!(
        run.out.contains("note: the key is not that of the program"),
        "{}",
        run.out
    );
    assert_eq!(run.status, 1);

    let trouble = "login=\"alice\" protocol=imap client=192.0.2.7 host=- answer=temporary cause=store-trouble \
                   detail=\"db: down\" ms=0.1";
    let run = run_with(REFUSAL.as_bytes(), &options, || add(trouble));
    assert_eq!(line(&run.out, "log: "), trouble);
    assert_eq!(run.status, 75);

    let run = run_with(b"HTTP/1.1 500 Oops\r\n\r\n", &options, || {
        add("[cgi:error] Premature end")
    });
    assert!(
        run.out.contains("log: [cgi:error] Premature end"),
        "{}",
        run.out
    );
    assert_eq!(run.status, 76);

    fs::remove_file(&log).unwrap();
    let gone = command("http://127.0.0.1:1/", &options, "x\n");
    assert_eq!(gone.status, 1);
    assert!(gone.err.contains("apache.log"), "{}", gone.err);
}

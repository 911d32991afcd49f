//! The http store over TLS.

use crate::support::auth_http::*;
use crate::support::certificates::Certificates;
use crate::support::fronts::LOCALHOST;
use crate::support::process::{Server, free_port, program, wait_until};
use crate::support::program::{ACCEPTED, Program, TEMPORARY, check, path_key, with_store};
use crate::support::temp_dir::TempDir;
use std::fs;
use std::process::Command;

/// An `auth_http` service with this certificate, which accepts every login.
fn openssl_server(folder: &TempDir, certificates: &Certificates) -> (u16, Server) {
    let answer = "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 192.0.2.1\r\n\
        Auth-Port: 143\r\n\r\n";
    fs::write(folder.path().join("auth"), answer).unwrap();
    let port = free_port(LOCALHOST);
    let mut server = Server::start(
        Command::new(program("openssl", "openssl"))
            .current_dir(folder.path())
            .args(["s_server", "-HTTP", "-accept", &port.to_string(), "-cert"])
            .arg(certificates.certificate())
            .arg("-key")
            .arg(certificates.key()),
        folder.path().join("out"),
    );
    server.wait_for_port(LOCALHOST, port);
    (port, server)
}

#[test]
fn over_https_its_certificate_must_be_right() {
    let certificates = Certificates::made_for("DNS:localhost");
    let folder = TempDir::new();
    let (port, _server) = openssl_server(&folder, &certificates);
    let keys = |host: &str, ca: &str| {
        format!("store = \"http\"\nurl = \"https://{host}:{port}/auth\"\n{ca}")
    };
    let ca = path_key("ca-file", &certificates.ca());
    let right = keys("localhost", &ca);
    let program = Program::serve(&with_store(&right));
    assert_eq!(program.ask(LOGIN, PASSWORD), ACCEPTED, "{}", program.log());
    assert_eq!(check(&with_store(&right)), (0, String::new()));
    for wrong in [keys("localhost", ""), keys("127.0.0.1", &ca)] {
        let program = Program::serve(&with_store(&wrong));
        assert_eq!(program.ask(LOGIN, PASSWORD), TEMPORARY, "{wrong}");
        program.wait_for_log("TLS: invalid peer certificate");
    }
}

/// The certificates of the system change while the program runs.
#[test]
fn the_certificates_of_the_system_are_read_again() {
    let (ours, others) = (
        Certificates::made_for("DNS:localhost"),
        Certificates::made_for("DNS:localhost"),
    );
    let folder = TempDir::new();
    let (port, _server) = openssl_server(&folder, &ours);
    let keys = format!("store = \"http\"\nurl = \"https://localhost:{port}/auth\"\n");
    let bundle = folder.path().join("bundle.pem");
    let trust = |certificates: &Certificates| {
        let new = folder.path().join("new.pem");
        fs::copy(certificates.ca(), &new).unwrap();
        fs::rename(&new, &bundle).unwrap();
    };
    trust(&others);
    let program = Program::serve_with(&with_store(&keys), |command| {
        command.env("SSL_CERT_FILE", &bundle);
    });
    assert_eq!(program.ask(LOGIN, PASSWORD), TEMPORARY, "{}", program.log());
    trust(&ours);
    wait_until("the new ones", || program.ask(LOGIN, PASSWORD) == ACCEPTED);
    // While they are unreadable or empty, the previous certificates stay in force.
    fs::remove_file(&bundle).unwrap();
    fs::write(&bundle, "").unwrap();
    wait_for_log_of_requests(&program, "the system has no trusted certificates");
    assert_eq!(program.ask(LOGIN, PASSWORD), ACCEPTED, "{}", program.log());
    trust(&others);
    wait_until("the others", || program.ask(LOGIN, PASSWORD) == TEMPORARY);
}

/// Sends requests until the log contains this text.
fn wait_for_log_of_requests(program: &Program, part: &str) {
    wait_until(part, || {
        program.ask(LOGIN, PASSWORD);
        program.log().contains(part)
    });
}

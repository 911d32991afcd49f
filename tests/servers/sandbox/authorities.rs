//! A reload that names a new server with a new CA file, in the sandbox.

use std::fs;
use std::process::Command;

use crate::support::certificates::Certificates;
use crate::support::fronts::LOCALHOST;
use crate::support::process::{Server, free_port, program, wait_until};
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;

const FILE_STORE: &str = "[[users]]\nstore = \"file\"\npath = \"users\"\n\
    allow-weak-schemes = true\n[routes]\ndefault = \"192.0.2.1\"\n";

#[test]
fn a_reload_names_a_new_server_and_its_ca_file() {
    let certificates = Certificates::made_for("DNS:localhost");
    let pages = TempDir::new();
    let answer = "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 192.0.2.7\r\n\
        Auth-Port: 143\r\n\r\n";
    pages.write("auth", answer);
    let port = free_port(LOCALHOST);
    let mut https = Server::start(
        Command::new(program("openssl", "openssl"))
            .current_dir(pages.path())
            .args(["s_server", "-HTTP", "-accept", &port.to_string(), "-cert"])
            .arg(certificates.certificate())
            .arg("-key")
            .arg(certificates.key()),
        pages.path().join("out"),
    );
    https.wait_for_port(LOCALHOST, port);

    let server = Serving::listening(FILE_STORE, "alice:{PLAIN}one\n");
    assert!(server.ask("alice", "one").contains("192.0.2.1"));
    let with = |ca_file: &str| {
        format!(
            "[[users]]\nstore = \"http\"\nurl = \"https://localhost:{port}/auth\"\n\
             ca-file = {ca_file:?}\n"
        )
    };

    // Another folder: refused with what to do, and the version before stays.
    let elsewhere = TempDir::new();
    let outside = elsewhere.path().join("ca.pem");
    fs::copy(certificates.ca(), &outside).unwrap();
    server.replace("auth.toml", &with(outside.to_str().unwrap()));
    let refusal = format!(
        "auth.toml:4:11: users.ca-file: the sandbox denies {}: no file in {} was named when the server \
         started",
        outside.display(),
        elsewhere.path().display()
    );
    wait_until("the refusal", || {
        assert!(server.ask("alice", "one").contains("192.0.2.1"));
        server.log().contains(&refusal)
    });

    // The folder of the configuration: in force without a restart.
    fs::copy(certificates.ca(), server.dir.path().join("ca.pem")).unwrap();
    server.replace("auth.toml", &with("ca.pem"));
    wait_until("the new server", || {
        server
            .ask("alice", "one")
            .contains("Auth-Server: 192.0.2.7")
    });
}

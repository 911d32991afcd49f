//! Who listens where the database should be, and wants its password, our memory or our trust.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::process::{need_root, program, wait_until};
use crate::support::scripted_server::{Fake, Talk};
use crate::support::sql_service::{Ask, Service, TEMPORARY, cgi, users};
use crate::support::temp_dir::TempDir;

const QUERY: &str = "SELECT password FROM users WHERE login = {login}";

/// PostgreSQL's "the user is who it says", and "ready".
const TAKEN: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
/// MySQL's OK.
const OK: &[u8] = b"\x07\0\0\x02\0\0\0\x02\0\0\0";

type Serve = fn(&mut Talk);

/// Reads the startup of a PostgreSQL client.
fn startup(talk: &mut Talk) {
    let length = talk.bytes(4).try_into().map(u32::from_be_bytes).unwrap();
    talk.bytes(length as usize - 4);
}

/// Reads a packet of a MySQL client; its content.
fn packet(talk: &mut Talk) -> Vec<u8> {
    let head = talk.bytes(4);
    talk.bytes(u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize)
}

/// Greets as MySQL 8 does, without TLS.
fn greet(talk: &mut Talk, method: &str) {
    let mut content = b"\x0a8.0.36\0\x01\0\0\0abcdefgh\0\xff\xf7\x21\x02\0\xff\xc1\x15".to_vec();
    content.extend_from_slice(b"\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0");
    content.extend_from_slice(method.as_bytes());
    content.push(0);
    talk.say(&[&[content.len() as u8, 0, 0, 0], content.as_slice()].concat());
}

/// Asks for another method.
fn switch(talk: &mut Talk, method: &str) {
    greet(talk, "mysql_native_password");
    packet(talk);
    let content = [b"\xfe", method.as_bytes(), b"\0abcdefghijklmnopqrst\0"].concat();
    talk.say(&[&[content.len() as u8, 0, 0, 2], content.as_slice()].concat());
    talk.listen();
}

#[test]
fn hostile_servers_cost_neither_memory_nor_time() {
    let too_much = "the server sends more than 1048576 bytes for one question";
    let table: [(&str, &str, Serve, &str); 8] = [
        (
            "a row of 2 GB",
            "postgresql",
            |talk| {
                startup(talk);
                talk.say(&[TAKEN, b"D\x7f\xff\xff\xff"].concat());
                talk.flood(&[0; 65536]);
            },
            too_much,
        ),
        (
            "an error of 2 GB in place of a login",
            "postgresql",
            |talk| {
                talk.say(b"E\x7f\xff\xff\xff");
                talk.flood(&[b'x'; 65536]);
            },
            too_much,
        ),
        (
            "notices without end",
            "postgresql",
            |talk| talk.flood(&[b"N\0\0\x20\0".as_slice(), &[b'x'; 8188]].concat()),
            too_much,
        ),
        (
            "short notices without end",
            "postgresql",
            |talk| talk.flood(b"N\0\0\0\x05\0"),
            "the server sends too many notices",
        ),
        (
            "parameters without end",
            "postgresql",
            |talk| {
                startup(talk);
                talk.say(TAKEN);
                talk.flood(b"S\0\0\0\x08a\0b\0");
            },
            "the server sends too many notices",
        ),
        (
            "packets in place of a greeting",
            "mysql",
            |talk| {
                talk.say(b"\xff\xff\xff\0");
                talk.flood(&[0; 65536]);
            },
            "a packet is too long",
        ),
        (
            "columns without end",
            "mysql",
            |talk| {
                greet(talk, "mysql_native_password");
                packet(talk);
                talk.say(OK);
                // COM_QUERY sets something; the first statement is prepared.
                while packet(talk).first() == Some(&3) {
                    talk.say(b"\x07\0\0\x01\0\0\0\x02\0\0\0");
                }
                talk.say(b"\x04\0\0\x01\xfd\xff\xff\xff");
                talk.listen();
            },
            "the server announces too many columns",
        ),
        (
            "a packet of 16 MB in answer",
            "mysql",
            |talk| {
                greet(talk, "mysql_native_password");
                packet(talk);
                talk.say(OK);
                packet(talk);
                talk.say(b"\xff\xff\xff\x01");
                talk.flood(&[0; 65536]);
            },
            too_much,
        ),
    ];
    std::thread::scope(|scope| {
        for (name, scheme, serve, reason) in table {
            scope.spawn(move || {
                let fake = Fake::start(serve);
                let url = format!("{scheme}://mail@127.0.0.1:{}/mail", fake.port);
                let service =
                    Service::start(&users(&url, QUERY, "timeout = 1\nconnect-timeout = 1"));
                let before = service.peak();
                let ask = Ask::new("alice", "right");
                for _ in 0..4 {
                    let reply = service.ask(&ask);
                    reply.must_be(TEMPORARY, "store-trouble");
                    assert!(reply.line.contains(reason), "{name}: {}", reply.line);
                    assert!(
                        reply.took < Duration::from_millis(2500),
                        "{name}: {:?}",
                        reply.took
                    );
                }
                cgi(service.dir(), &ask).must_be_trouble(reason);
                let grown = service.peak() - before;
                assert!(grown < 32 * 1024, "{name}: {grown} kB");
            });
        }
    });
}

#[test]
fn a_password_is_not_sent_to_an_unverified_server() {
    const PASSWORD: &str = "hush-hush";
    let table: [(&str, &str, Serve, &str); 9] = [
        (
            "postgresql",
            "off",
            |talk| {
                startup(talk);
                talk.say(b"R\0\0\0\x08\0\0\0\x03");
                talk.listen();
            },
            "the server wants the password in clear text without proof of its identity",
        ),
        (
            "postgresql",
            "prefer",
            |talk| {
                talk.bytes(8);
                talk.say(b"N");
                startup(talk);
                talk.say(b"R\0\0\0\x08\0\0\0\x03");
                talk.listen();
            },
            "the server wants the password in clear text without proof of its identity",
        ),
        (
            "postgresql",
            "off",
            |talk| {
                startup(talk);
                talk.say(b"R\0\0\0\x0c\0\0\0\x05salt");
                talk.listen();
            },
            "the server wants the password by MD5 without proof of its identity",
        ),
        (
            "postgresql",
            "off",
            |talk| {
                startup(talk);
                talk.say(TAKEN);
                talk.listen();
            },
            "the server accepts the login without proof of its identity",
        ),
        (
            "postgresql",
            "off",
            |talk| {
                startup(talk);
                talk.say(b"Z\0\0\0\x05I");
                talk.listen();
            },
            "the server goes on without authentication",
        ),
        (
            "mysql",
            "prefer",
            |talk| {
                greet(talk, "mysql_clear_password");
                talk.listen();
            },
            "the server wants the password itself (mysql_clear_password) without proof",
        ),
        (
            "mysql",
            "off",
            |talk| switch(talk, "mysql_clear_password"),
            "the server wants the password itself (mysql_clear_password) without proof",
        ),
        (
            "mysql",
            "off",
            |talk| switch(talk, "sha256_password"),
            "the server wants the password itself (sha256_password) without proof",
        ),
        (
            "mysql",
            "off",
            |talk| {
                greet(talk, "caching_sha2_password");
                packet(talk);
                talk.say(b"\x02\0\0\x02\x01\x04");
                talk.listen();
            },
            "the server wants the password itself (caching_sha2_password) without proof",
        ),
    ];
    for (scheme, tls, serve, reason) in table {
        let fake = Fake::start(serve);
        let url = format!("{scheme}://mail:{PASSWORD}@127.0.0.1:{}/mail", fake.port);
        let more = format!("timeout = 2\ntls = \"{tls}\"");
        let service = Service::start(&users(&url, QUERY, &more));
        let ask = Ask::new("alice", "right");
        for reply in [service.ask(&ask), cgi(service.dir(), &ask)] {
            reply.must_be_trouble(reason);
        }
        let heard = fake.heard();
        let told = heard
            .windows(PASSWORD.len())
            .any(|part| part == PASSWORD.as_bytes());
        assert!(!told, "{reason}: {}", heard.escape_ascii());
    }
}

/// Somebody who listens on a Unix socket, and takes down what is sent there.
struct Listener(Child);

impl Listener {
    fn start(socket: &Path, heard: &Path) -> Self {
        const PROGRAM: &str = "import socket, sys\n\
            listener = socket.socket(socket.AF_UNIX)\n\
            listener.bind(sys.argv[1])\n\
            listener.listen()\n\
            while True:\n    \
                client, _ = listener.accept()\n    \
                open(sys.argv[2], 'ab').write(client.recv(4096))\n";
        let child = Command::new(program("setpriv", "util-linux"))
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args(["/usr/bin/python3", "-c", PROGRAM])
            .args([socket, heard])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("somebody to listen", || socket.exists());
        Self(child)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_unix_socket_is_trusted_only_if_its_listener_is_allowed() {
    need_root();
    let dir = TempDir::new();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
    let socket = dir.path().join(".s.PGSQL.5432");
    let heard = dir.path().join("heard");
    let _listener = Listener::start(&socket, &heard);
    let (folder, path) = (dir.path().display(), socket.display());
    let encoded = path.to_string().replace('/', "%2F");
    let sql = |url: &str| format!("store = \"sql\"\nurl = \"{url}\"\nquery = \"{QUERY}\"");
    for store in [
        sql(&format!("postgresql://mail:hush@/m?socket={folder}")),
        sql(&format!("mysql://mail:hush@/m?socket={path}")),
        format!("store = \"http\"\nurl = \"unix:{path}:/\""),
        format!(
            "store = \"ldap\"\nurls = [\"ldapi://{encoded}\"]\nauth = \"bind\"\n\
             user-dn = \"uid={{login}},dc=x\""
        ),
    ] {
        let users = |more: &str| format!("[[users]]\n{store}\ntimeout = 1\n{more}");
        let ask = Ask::new("alice", "right");
        let service = Service::start(&users(""));
        for reply in [service.ask(&ask), cgi(service.dir(), &ask)] {
            reply.must_be_trouble("user 65534 listens there, which is not allowed");
        }
        // The MySQL server speaks first; it says nothing.
        let said = fs::read(&heard).unwrap_or_default();
        assert_eq!(said.escape_ascii().to_string(), "", "{store}");
        for user in ["nobody", "65534"] {
            let service = Service::start(&users(&format!("socket-user = \"{user}\"\n")));
            let reply = service.ask(&ask);
            assert!(!reply.line.contains("listens there"), "{}", reply.line);
        }
        let _none = fs::remove_file(&heard);
    }
}

//! The system's resolver in the sandbox: its files change while the server runs, and so do its modules.
//!
//! The server runs in a mount namespace with an /etc and a /run of the test.

use std::ffi::CString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use libc::c_long;

use crate::support::process::wait_until;
use crate::support::serving::Serving;
use crate::support::system_calls::call;
use crate::support::temp_dir::TempDir;

const USERS: &str = "alice:{PLAIN}one\nbob:{PLAIN}two\ncarol:{PLAIN}three\ndave:{PLAIN}four\n";

fn config(hosts: &[(&str, &str)]) -> String {
    let routes = hosts
        .iter()
        .map(|(login, host)| format!("{login} = {host:?}\n"));
    format!(
        "[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n[routes]\nresolve-ttl = \
         1\n[routes.login]\n{}[process]\nsandbox = \"required\"\n",
        routes.collect::<String>()
    )
}

/// Puts a new version in place of a file, by another file with its name.
fn replace(folder: &Path, name: &str, content: &str) {
    let new = folder.join("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, folder.join(name)).unwrap();
}

/// A server that has these folders as /etc and /run, and the third one as /usr/local/lib.
fn serve(config: &str, etc: &Path, run: &Path, modules: Option<&Path>) -> Serving {
    const LIBRARIES: &str = "/usr/local/lib";
    let mounts = [(etc, "/etc"), (run, "/run")].into_iter();
    let mounts: Vec<_> = mounts
        .chain(modules.map(|from| (from, LIBRARIES)))
        .collect();
    let in_namespace = || {
        // A thread can have a view of its own, which the server inherits.
        call(libc::SYS_unshare, &[libc::CLONE_NEWNS.into()]).unwrap();
        let mount = |from: &Path, to: &str, flags: u64| {
            let path = |path: &str| CString::new(path).unwrap();
            let [from, to] = [path(from.to_str().unwrap()), path(to)];
            let [from, to] = [&from, &to].map(|path| path.as_ptr() as c_long);
            call(libc::SYS_mount, &[from, to, 0, flags.cast_signed(), 0]).unwrap();
        };
        mount(Path::new("none"), "/", libc::MS_REC | libc::MS_PRIVATE);
        for (from, to) in mounts {
            mount(from, to, libc::MS_BIND);
        }
        let dir = TempDir::new();
        dir.write("auth.toml", config);
        dir.write("users", USERS);
        let address = format!("unix:{}", dir.path().join("socket").display());
        Serving::started(dir, |command| {
            command.env("LD_LIBRARY_PATH", LIBRARIES);
            command.args(["serve", "--listen", &address]);
        })
    };
    let server = thread::scope(|scope| scope.spawn(in_namespace).join().unwrap());
    wait_until("it listens", || {
        UnixStream::connect(server.socket()).is_ok()
    });
    server
}

/// An /etc with what the resolver reads.
fn etc(nsswitch: &str, resolv: &str, hosts: &str) -> TempDir {
    let etc = TempDir::new();
    etc.write("nsswitch.conf", nsswitch);
    etc.write("resolv.conf", resolv);
    etc.write("hosts", hosts);
    etc
}

/// Answers each question for an IPv4 address with this one, and those for IPv6 with none, until it
/// is asked for `stop.test`.
fn dns(own: Ipv4Addr, answer: Ipv4Addr) {
    let socket = UdpSocket::bind((own, 53)).unwrap();
    thread::spawn(move || {
        let mut question = [0; 512];
        loop {
            let (length, client) = socket.recv_from(&mut question).unwrap();
            let question = &question[..length];
            if question.windows(5).any(|label| label == b"\x04stop") {
                return;
            }
            // The name ends with an empty label; its type and class follow (RFC 1035, 4.1.2).
            let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
            let is_a = question[end - 4..end - 2] == [0, 1];
            let mut reply = question[..end].to_vec();
            // An answer, recursion available; one question, at most one record, nothing else.
            reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
            if is_a {
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
                reply.extend(answer.octets());
            }
            socket.send_to(&reply, client).unwrap();
        }
    });
}

fn stop_dns(own: Ipv4Addr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"............\x04stop", (own, 53)).unwrap();
    // Its port is free again once it has gone.
    wait_until("its end", || UdpSocket::bind((own, 53)).is_ok());
}

#[test]
fn changed_hosts_and_resolv_conf_count_at_the_next_lookup() {
    crate::support::process::need_root();
    let [_, one, two, _] = std::process::id().to_be_bytes();
    let servers = [51, 52].map(|last| Ipv4Addr::new(127, one | 64, two, last));
    dns(servers[0], Ipv4Addr::new(192, 0, 2, 21));
    dns(servers[1], Ipv4Addr::new(192, 0, 2, 22));
    let resolv = |server: Ipv4Addr| format!("nameserver {server}\noptions timeout:1 attempts:1\n");
    let hosts = |last: u8| format!("127.0.0.1 localhost\n192.0.2.{last} one.test\n");
    let etc = etc("hosts: files dns\n", &resolv(servers[0]), &hosts(11));
    let run = TempDir::new();
    let config = config(&[("alice", "one.test"), ("bob", "two.test")]);
    let server = serve(&config, etc.path(), run.path(), None);
    let goes = |login: &str, password: &str, last: u8| {
        let expected = format!("Auth-Server: 192.0.2.{last}\n");
        wait_until(&expected, || {
            server.ask(login, password).contains(&expected)
        });
    };
    goes("alice", "one", 11);
    goes("bob", "two", 21);
    replace(etc.path(), "hosts", &hosts(12));
    goes("alice", "one", 12);
    replace(etc.path(), "resolv.conf", &resolv(servers[1]));
    goes("bob", "two", 22);
    // While DNS has no answer, the last good address serves.
    servers.into_iter().for_each(stop_dns);
    wait_until("the report", || {
        goes("bob", "two", 22);
        server.log().contains("192.0.2.22 stays in use")
    });
    dns(servers[1], Ipv4Addr::new(192, 0, 2, 23));
    goes("bob", "two", 23);
    let log = server.log();
    assert!(!log.contains("Permission denied"), "{log}");
    stop_dns(servers[1]);
}

/// Answers each question on a Unix socket, which ends with `end`, by what `answer` makes of it.
fn answering(path: &Path, end: u8, answer: impl Fn(&str) -> String + Send + 'static) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(path).unwrap();
    let talk = move |mut client: UnixStream| {
        let mut question = Vec::new();
        let mut byte = [0];
        while client.read(&mut byte).is_ok_and(|read| read == 1) && byte[0] != end {
            question.push(byte[0]);
        }
        let answer = answer(&String::from_utf8_lossy(&question));
        let _it_has_gone = client.write_all(answer.as_bytes());
        let _it_has_gone = client.write_all(&[end]);
    };
    thread::spawn(move || {
        for client in listener.incoming() {
            talk(client.unwrap());
        }
    });
}

/// Debian's modules, loaded when the sandbox is in force already.
#[test]
fn modules_of_nsswitch_conf_work_also_if_they_come_later() {
    crate::support::process::need_root();
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/nss-modules");
    for module in ["resolve", "mymachines", "mdns4_minimal", "myhostname"] {
        let file = modules.join(format!("libnss_{module}.so.2"));
        assert!(
            file.exists(),
            "{} is missing: tests/install-packages.sh",
            file.display()
        );
    }
    let etc = etc("hosts: files\n", "", "192.0.2.11 one.test\n");
    let run = TempDir::new();
    fs::create_dir_all(run.path().join("systemd/machines")).unwrap();
    let resolve = run.path().join("systemd/resolve/io.systemd.Resolve");
    answering(&resolve, 0, |question| {
        match question.contains("\"name\":\"two.test\"") {
            true => "{\"parameters\":{\"addresses\":[{\"family\":2,\"address\":[192,0,2,31]}],\
                     \"name\":\"two.test\",\"flags\":1}}"
                .to_owned(),
            false => "{\"error\":\"io.systemd.Resolve.NoSuchResourceRecord\"}".to_owned(),
        }
    });
    let avahi = run.path().join("avahi-daemon/socket");
    answering(&avahi, b'\n', |question| match question {
        "RESOLVE-HOSTNAME-IPV4 three.local" => "+ 2 0 three.local 192.0.2.41".to_owned(),
        _ => "-15 Timeout reached".to_owned(),
    });
    let config = config(&[
        ("alice", "one.test"),
        ("bob", "two.test"),
        ("carol", "three.local"),
        ("dave", "four.localhost"),
    ]);
    let server = serve(&config, etc.path(), run.path(), Some(&modules));
    let answer = server.ask("alice", "one");
    assert!(answer.contains("Auth-Server: 192.0.2.11\n"), "{answer}");
    for login in ["bob", "carol"] {
        let answer = server.ask(login, if login == "bob" { "two" } else { "three" });
        assert!(!answer.contains("Auth-Server"), "{answer}");
    }
    let rules = "hosts: files mymachines mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return] myhostname\n";
    replace(etc.path(), "nsswitch.conf", rules);
    let goes = |login: &str, password: &str, addresses: &[&str]| {
        wait_until(addresses[0], || {
            let answer = server.ask(login, password);
            let led = |address: &&str| answer.contains(&format!("Auth-Server: {address}\n"));
            addresses.iter().any(led)
        });
    };
    goes("bob", "two", &["192.0.2.31"]);
    goes("carol", "three", &["192.0.2.41"]);
    // Without systemd-resolved the next module is asked.
    fs::remove_file(&resolve).unwrap();
    goes("dave", "four", &["127.0.0.1", "::1"]);
    let log = server.log();
    assert!(!log.contains("ERROR"), "{log}");
}

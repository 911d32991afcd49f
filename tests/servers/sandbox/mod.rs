//! What a sandbox denies, tried from inside as root.

mod authorities;
mod calls;
mod resolver;

use crate::support::temp_dir::TempDir;
use nginx_mail_auth::sys::sandbox::{Access, Need, Sandbox};
use rustix::process::{Pid, test_kill_process};
use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// Tells the test that it is the one in the sandbox, and in which folder to play.
const INSIDE: &str = "NGINX_MAIL_AUTH_TEST_SANDBOX";

/// What the one inside must find out there.
struct Outside {
    folder: PathBuf,
    port: u16,
    abstract_name: String,
    parent: u32,
}

impl Outside {
    fn written(&self) -> String {
        format!(
            "{} {} {} {}",
            self.folder.display(),
            self.port,
            self.abstract_name,
            self.parent
        )
    }

    fn read(text: &str) -> Self {
        let mut words = text.split(' ');
        let mut word = || words.next().unwrap();
        Self {
            folder: word().into(),
            port: word().parse().unwrap(),
            abstract_name: word().to_owned(),
            parent: word().parse().unwrap(),
        }
    }
}

/// Nothing can be tried from outside of a process, so this test runs once more as another process,
/// which goes into the sandbox.
#[test]
fn what_is_not_granted_is_denied() {
    if let Ok(outside) = std::env::var(INSIDE) {
        return inside(&Outside::read(&outside));
    }
    crate::support::process::need_root();
    let dir = TempDir::new();
    for folder in ["read", "written", "other", "run"] {
        fs::create_dir(dir.path().join(folder)).unwrap();
        fs::write(dir.path().join(folder).join("file"), "before").unwrap();
    }
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let _unix = UnixListener::bind(dir.path().join("run/socket")).unwrap();
    let abstract_name = format!("nma-sandbox-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let outside = Outside {
        folder: dir.path().to_owned(),
        port: server.local_addr().unwrap().port(),
        abstract_name,
        parent: std::process::id(),
    };
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sandbox::what_is_not_granted_is_denied"])
        .env(INSIDE, outside.written())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(fs::read(dir.path().join("read/file")).unwrap(), b"before");
}

fn inside(outside: &Outside) {
    let at = |name: &str| outside.folder.join(name);
    let need = |what| Need {
        what,
        position: None,
        key: None,
    };
    let all_of_it = || {
        // All of this works before, so that its failure says something.
        let address = SocketAddr::from_abstract_name(&outside.abstract_name).unwrap();
        let parent = Pid::from_raw(outside.parent.cast_signed()).unwrap();
        [
            ("read what is root's", fs::read_dir("/root").map(drop)),
            ("read what all may", fs::read_dir("/var/log").map(drop)),
            ("read of a process", File::open("/proc/1/status").map(drop)),
            ("read beside", File::open(at("other/file")).map(drop)),
            (
                "read a socket's folder",
                File::open(at("run/file")).map(drop),
            ),
            ("list", fs::read_dir(at("other")).map(drop)),
            ("write what is read", append(&at("read/file"))),
            ("make a file", File::create_new(at("read/new")).map(drop)),
            (
                "make a file in /etc",
                File::create_new("/etc/nma-new").map(drop),
            ),
            (
                "make a socket's file",
                File::create_new(at("run/new")).map(drop),
            ),
            ("remove a file", fs::remove_file(at("read/file"))),
            ("make a folder", fs::create_dir(at("written/folder"))),
            ("cut", fs::write(at("other/file"), "x")),
            (
                "link in",
                fs::hard_link(at("other/file"), at("written/link")),
            ),
            ("run", Command::new("/bin/true").status().map(drop)),
            ("listen", TcpListener::bind("127.0.0.1:0").map(drop)),
            (
                "connect to abstract sockets",
                UnixStream::connect_addr(&address).map(drop),
            ),
            (
                "signal others",
                test_kill_process(parent).map_err(io::Error::from),
            ),
            (
                "change the root",
                rustix::process::chroot("/").map_err(io::Error::from),
            ),
        ]
    };
    for (what, done) in all_of_it() {
        assert!(done.is_ok(), "before: {what}: {done:?}");
    }
    fs::remove_dir(at("written/folder")).unwrap();
    fs::remove_file(at("written/link")).unwrap();
    for made in ["read/new", "run/new", "/etc/nma-new"] {
        fs::remove_file(at(made)).unwrap();
    }
    fs::write(at("read/file"), "before").unwrap();
    let needs = [
        need(Access::Read(at("read/file"))),
        need(Access::Write(at("written"))),
        need(Access::Remove(at("run/socket"))),
    ];
    let sandbox = Sandbox::enter(&needs).unwrap();
    assert!(sandbox.is_whole(), "this test needs Landlock and seccomp");
    // As does every thread that is started from now on.
    thread::scope(|scope| {
        scope.spawn(|| {
            for (what, done) in all_of_it() {
                let error = done.expect_err(what);
                // To link from one folder of the sandbox into another is as if to another disk.
                let denied = [
                    io::ErrorKind::PermissionDenied,
                    io::ErrorKind::CrossesDevices,
                ];
                assert!(denied.contains(&error.kind()), "{what}: {error}");
            }
        });
    });
    // What is granted still works, also with files that have been put in place since.
    assert_eq!(fs::read(at("read/file")).unwrap(), b"before");
    fs::write(at("written/new"), "x").unwrap();
    fs::write(at("written/new"), "y").unwrap();
    fs::rename(at("written/new"), at("written/newer")).unwrap();
    fs::remove_file(at("written/newer")).unwrap();
    TcpStream::connect(("127.0.0.1", outside.port)).unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap();
    UnixStream::connect(at("run/socket")).unwrap();
    fs::remove_file(at("run/socket")).unwrap();
    assert!(fs::read_dir("/etc/ssl/certs").unwrap().count() > 0);
    let addresses: Vec<_> = ("localhost", 1).to_socket_addrs().unwrap().collect();
    assert!(addresses.iter().all(|one| one.ip().is_loopback()) && !addresses.is_empty());
    // By one of these drivers are led to the host of a database.
    let own = SocketAddr::from_abstract_name("nma-sandbox-own").unwrap();
    let _listener = UnixListener::bind_addr(&own).unwrap();
    UnixStream::connect_addr(&own).unwrap();
}

fn append(path: &Path) -> io::Result<()> {
    File::options().append(true).open(path).map(drop)
}

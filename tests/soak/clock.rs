//! The clock of the machine jumps by years, forwards and back.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nginx_mail_auth::front::fcgi::Limits;
use nginx_mail_auth::front::fcgi::listener::inherited_on_fd0;
use nginx_mail_auth::front::fcgi::server::Server;
use nginx_mail_auth::service::reload::ReloadingService;

use crate::support::process::wait_until;
use crate::support::soak::load;
use crate::support::soak::load::{Caller, TEMPORARY};
use crate::support::temp_dir::TempDir;

const YEAR: i64 = 365 * 24 * 3600;

/// The jumps from the right time, in seconds, one after the other.
const JUMPS: [i64; 6] = [10 * YEAR, -20 * YEAR, 3600, -3600, 60 * YEAR, 0];

/// The program as its main function starts it, but in this test binary: faketime cannot change the
/// clock of a static program.
#[test]
#[ignore = "a program for the other tests here to start"]
fn serve() {
    nginx_mail_auth::sys::logger::start();
    let config = PathBuf::from(std::env::var_os("SOAK_CONFIG").unwrap());
    let listeners = vec![inherited_on_fd0().unwrap()];
    let live = ReloadingService::open(&config, None).unwrap();
    let server = Server {
        listeners,
        limits: Limits::default(),
        web_servers: None,
    };
    server.run(live).unwrap();
}

fn libfaketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten();
    let files = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    let mut found = files.into_iter().filter(|file| file.exists());
    found
        .next()
        .expect("this test needs libfaketime: apt-get install faketime")
}

struct Faked {
    child: Child,
    dir: TempDir,
}

impl Faked {
    fn start(config: &str, users: &str) -> Self {
        let dir = TempDir::new();
        dir.write("users", users);
        dir.write("jump", "+0");
        let config = dir.write("auth.toml", config);
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["clock::serve", "--exact", "--ignored", "--nocapture"])
            .env("SOAK_CONFIG", config)
            .env("LD_PRELOAD", libfaketime())
            .env("FAKETIME_TIMESTAMP_FILE", dir.path().join("jump"))
            .env("FAKETIME_NO_CACHE", "1")
            // As where an administrator sets the clock: what runs since the start goes on, and the
            // times of files are what they are.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1")
            .stdin(OwnedFd::from(listener))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, dir }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    fn replace(&self, name: &str, content: &str) {
        let new = self.dir.write("new", content);
        fs::rename(new, self.dir.path().join(name)).unwrap();
    }

    /// Sets its clock, and waits until its log has such times.
    fn jump(&self, seconds: i64) {
        self.replace("jump", &format!("{seconds:+}"));
        let mut caller = Caller::new(&self.socket());
        wait_until("the clock to have jumped", || {
            let before = self.log().len();
            caller.ask("alice", "wrong").unwrap();
            let log = self.log();
            let said = log.get(before..).unwrap_or_default();
            let year = said.get(..4).and_then(|year| year.parse::<i64>().ok());
            year.is_some_and(|year| (year - (this_year() + seconds / YEAR)).abs() <= 1)
        });
    }
}

impl Drop for Faked {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn this_year() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    1970 + now.unwrap().as_secs() as i64 / YEAR
}

#[test]
fn logins_deadlines_and_caches_do_not_mind() {
    // One that never answers, and one that always says yes and counts.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (service, asked) = always_yes();
    let config = |host: &str| {
        format!(
            "[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
             [[users]]\nstore = \"http\"\nurl = \"http://{}/\"\ntimeout = 2\n\
             domains = [\"silent\"]\n\
             [[users]]\nstore = \"http\"\nurl = \"http://{service}/\"\ncache = 1\n\
             domains = [\"yes\"]\n\
             [routes]\ndefault = \"{host}\"\n",
            silent.local_addr().unwrap()
        )
    };
    let faked = Faked::start(&config("192.0.2.1"), "alice:{PLAIN}right\n");
    let socket = faked.socket();
    let mut caller = Caller::new(&socket);
    wait_until("the program", || caller.ask("alice", "right").is_ok());
    let pause = Duration::from_millis(2);
    let ((), good) = load::beside(&socket, 2, pause, |_| {
        let mut caller = Caller::new(&socket);
        for (number, jump) in JUMPS.into_iter().enumerate() {
            faked.jump(jump);
            // A deadline that is under way when the clock jumps.
            thread::scope(|scope| {
                let late = scope.spawn(|| {
                    let start = Instant::now();
                    let answer = Caller::new(&socket).ask("alice@silent", "right").unwrap();
                    (answer, start.elapsed())
                });
                thread::sleep(Duration::from_millis(500));
                faked.jump(-jump);
                let (answer, took) = late.join().unwrap();
                assert_eq!(answer, TEMPORARY, "{}", faked.log());
                let seconds = took.as_secs_f64();
                assert!((1.5..8.0).contains(&seconds), "{seconds}");
            });
            faked.jump(jump);
            // What is remembered for a second is not remembered for years.
            assert!(
                caller
                    .ask("alice@yes", "right")
                    .unwrap()
                    .contains("192.0.2.9")
            );
            let before = asked.load(Ordering::SeqCst);
            faked.jump(jump - 2 * YEAR);
            wait_until("the other service to be asked again", || {
                let answer = caller.ask("alice@yes", "right").unwrap();
                assert!(answer.contains("192.0.2.9"), "{answer}");
                asked.load(Ordering::SeqCst) > before
            });
            // A file that changes is noticed.
            faked.replace(
                "users",
                &format!("alice:{{PLAIN}}right\nbob:{{PLAIN}}{number}\n"),
            );
            wait_until("the new password file", || {
                caller.ask("bob", &number.to_string()).unwrap() == load::ACCEPTED
            });
        }
    });
    crate::support::soak::report(
        "logins while the clock jumps by years",
        good.asked,
        good.failed,
        format_args!(
            "{} jumps; slowest {:.0} ms",
            JUMPS.len() * 4,
            good.slowest.as_secs_f64() * 1e3
        ),
    );
    assert_eq!(good.failed, 0, "{:?}\n{}", good.wrong, faked.log());
    assert!(!faked.log().contains("bug"), "{}", faked.log());
}

/// Another `auth_http` service, which says yes to everything; its address, and how often it has
/// been asked. It ends with the tests.
fn always_yes() -> (std::net::SocketAddr, Arc<AtomicU32>) {
    const ANSWER: &[u8] = b"HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 192.0.2.9\r\n\
                            Auth-Port: 143\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut question = Vec::new();
            while !question.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                question.push(byte[0]);
            }
            counted.fetch_add(1, Ordering::SeqCst);
            let _gone = stream.write_all(ANSWER);
        }
    });
    (address, asked)
}

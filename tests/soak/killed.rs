//! Processes that are killed under load, and restarted by their supervisor.

use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::fronts::{Front, Way};
use crate::support::process::{need_root, program, wait_until};
use crate::support::soak::load;
use crate::support::soak::load::{ACCEPTED, Caller, Finally};
use crate::support::soak::victim::is_whole;
use crate::support::soak::victim::{USERS, with_file};
use crate::support::temp_dir::TempDir;

/// How long it may take until a killed process has a successor that answers.
const RESPAWN: Duration = Duration::from_secs(2);
/// What a busy machine may need on top.
const SLACK: Duration = Duration::from_secs(3);

/// The processes that run this program file.
fn workers(program: &Path) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|process| fs::read_link(process.path().join("exe")).is_ok_and(|exe| exe == program))
        .filter_map(|process| Pid::from_raw(process.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// Another address each time: each wrong password is written down.
fn next_client(clients: &AtomicU64) -> Ipv4Addr {
    let number = clients.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::from_bits(0xc633_6400 + number as u32)
}

/// A hash that takes a tenth of a second.
fn slow_hash() -> String {
    let output = Command::new(program("mkpasswd", "whois"))
        .args(["-m", "sha-512", "-R", "200000", "right"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What clients of a web server saw.
#[derive(Default)]
struct Seen {
    answered: AtomicU64,
    /// No answer of the program: the web server says that there was none.
    lost: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

impl Seen {
    fn note(&self, answer: &str, wanted: &str) {
        if answer.contains(wanted) {
            self.answered.fetch_add(1, Ordering::Relaxed);
        } else if !answer.contains("Auth-") && answer.starts_with("HTTP/1.1 5") {
            self.lost.fetch_add(1, Ordering::Relaxed);
        } else {
            self.wrong.lock().unwrap().push(answer.to_owned());
        }
    }
}

/// Four workers of mod_fcgid and 20 requests a second; each kill may cost the one request that the
/// worker has in hand.
#[test]
fn mod_fcgid_loses_no_more_than_the_request_in_the_worker() {
    let kills = crate::support::soak::sizes().kills;
    // One of them with a hash that takes long enough to be interrupted.
    let hash = slow_hash();
    let mut more = "[limits]\nremembered-logins = 0\n[nginx]\nkey = \"the key\"\n".to_owned();
    if cfg!(feature = "servers") {
        more += "[throttle]\nstate = \"sqlite:run/throttle.db\"\n";
    }
    let config = with_file(&more);
    let files = [
        ("auth.toml", config.into_bytes()),
        (
            "users",
            format!("{USERS}slow:{{SHA512-CRYPT}}{hash}\n").into_bytes(),
        ),
    ];
    let front = Front::start(Way::FcgidOfFour, &files);
    let own = front.folder.path().join("nginx-mail-auth");
    let (seen, done) = (Seen::default(), AtomicBool::new(false));
    let clients = AtomicU64::new(0);
    let mut slowest = Duration::ZERO;
    thread::scope(|scope| {
        let (front, seen, done, clients) = (&front, &seen, &done, &clients);
        for number in 0..4 {
            scope.spawn(move || {
                let logins = [
                    ("alice", "right", "Auth-Status: OK"),
                    ("alice", "wrong", "Auth-Status: Invalid"),
                ];
                let slow = [
                    ("slow", "right", "Auth-Status: OK"),
                    ("slow", "wrong", "Auth-Status: Invalid"),
                ];
                let logins = if number == 0 { slow } else { logins };
                for (login, password, wanted) in logins.iter().cycle() {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    let headers = format!(
                        "Auth-Method: plain\r\nAuth-User: {login}\r\nAuth-Pass: {password}\r\n\
                         Auth-Protocol: imap\r\nClient-IP: {}\r\nX-Auth-Key: the key\r\n",
                        next_client(clients)
                    );
                    match front.ask("/mail/auth", headers.as_bytes()) {
                        Ok(answer) => seen.note(&String::from_utf8_lossy(&answer), wanted),
                        Err(error) => seen.wrong.lock().unwrap().push(error.to_string()),
                    }
                    thread::sleep(Duration::from_millis(150));
                }
            });
        }
        let _finished = Finally(done);
        for round in 0..kills {
            wait_until("workers", || !workers(&own).is_empty());
            let all = workers(&own);
            let victim = all[round % all.len()];
            // It may have ended meanwhile.
            let _gone = kill_process(victim, Signal::KILL);
            let start = Instant::now();
            let before = seen.answered.load(Ordering::Relaxed);
            wait_until("answers", || {
                seen.answered.load(Ordering::Relaxed) >= before + 8
            });
            slowest = slowest.max(start.elapsed());
            // Sooner, mod_fcgid would take it for a program that cannot even start: each end scores
            // two, each second takes one away (FcgidSpawnScoreUpLimit).
            thread::sleep(Duration::from_millis(2100).saturating_sub(start.elapsed()));
        }
    });
    let (answered, lost) = (seen.answered.into_inner(), seen.lost.into_inner());
    crate::support::soak::report(
        "mod_fcgid, a worker killed again and again",
        answered + lost,
        lost,
        format_args!(
            "{kills} workers killed; eight answers after {:.1} s at the most",
            slowest.as_secs_f64()
        ),
    );
    let wrong = seen.wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong:?}\n{}", front.logged());
    assert!(
        lost as usize <= kills,
        "{lost} of {kills}\n{}",
        front.logged()
    );
    assert!(slowest < RESPAWN + SLACK, "{slowest:?}");
    is_whole(&front.folder.path().join("run/throttle.db"));
    assert!(!front.logged().contains("throttle"), "{}", front.logged());
}

/// Watches over one process, as systemd does with `Restart=always`: it has the listening socket,
/// and passes it to each successor by its protocol (sd_listen_fds(3)).
struct Supervisor {
    current: Arc<Mutex<Child>>,
    stop: Arc<AtomicBool>,
    watching: Option<thread::JoinHandle<()>>,
}

impl Supervisor {
    fn start(listener: UnixListener, dir: &TempDir) -> Self {
        let config = dir.path().join("auth.toml");
        let log = dir.path().join("log");
        let spawn = move || {
            let listener = listener.try_clone().unwrap();
            let log = fs::File::options()
                .append(true)
                .create(true)
                .open(&log)
                .unwrap();
            Command::new("bash")
                .args([
                    "-c",
                    "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"",
                    "bash",
                ])
                .arg(crate::support::soak::program())
                .arg("--config")
                .arg(&config)
                .arg("serve")
                .stdin(OwnedFd::from(listener))
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap()
        };
        let current = Arc::new(Mutex::new(spawn()));
        let stop = Arc::new(AtomicBool::new(false));
        let watching = {
            let (current, stop) = (Arc::clone(&current), Arc::clone(&stop));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut child = current.lock().unwrap();
                    if child.try_wait().unwrap().is_some() {
                        *child = spawn();
                    }
                    drop(child);
                    thread::sleep(Duration::from_millis(10));
                }
            })
        };
        Self {
            current,
            stop,
            watching: Some(watching),
        }
    }

    fn kill(&self) {
        self.current.lock().unwrap().kill().unwrap();
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ended = self.watching.take().map(thread::JoinHandle::join);
        let mut child = self.current.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// New connections wait meanwhile in the backlog of the socket, which stays open.
#[test]
fn a_supervisor_that_keeps_the_socket_loses_only_what_was_in_hand() {
    const CLIENTS: usize = 4;
    need_root();
    let kills = crate::support::soak::sizes().kills;
    let dir = TempDir::new();
    dir.write("auth.toml", with_file(""));
    dir.write("users", USERS);
    let socket = dir.path().join("socket");
    let supervisor = Supervisor::start(UnixListener::bind(&socket).unwrap(), &dir);
    let mut caller = Caller::new(&socket);
    assert_eq!(caller.ask("alice", "right").unwrap(), ACCEPTED);
    let (slowest, good) = load::beside(&socket, CLIENTS, Duration::from_millis(2), |answered| {
        let mut slowest = Duration::ZERO;
        for _ in 0..kills {
            supervisor.kill();
            let start = Instant::now();
            let before = answered.load(Ordering::Relaxed);
            wait_until("answers", || {
                answered.load(Ordering::Relaxed) > before + 10 * CLIENTS as u64
            });
            slowest = slowest.max(start.elapsed());
        }
        slowest
    });
    crate::support::soak::report(
        "a supervisor with the socket, the server killed again and again",
        good.asked,
        good.failed,
        format_args!(
            "{kills} times; {} answers after {:.1} s at the most",
            10 * CLIENTS,
            slowest.as_secs_f64()
        ),
    );
    // An answer that is not the right one is none that was cut off.
    let cut_off = |wrong: &String| wrong.starts_with("Err(");
    assert!(good.wrong.iter().all(cut_off), "{:?}", good.wrong);
    assert!(good.failed as usize <= kills * CLIENTS, "{good:?}");
    assert!(slowest < RESPAWN + SLACK, "{slowest:?}");
}

//! The program at work, and what it takes of the machine.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::process::{need_root, wait_until};
use crate::support::temp_dir::TempDir;

/// The password file of those tests that need nothing special: alice, whose password is `right`.
pub(crate) const USERS: &str = "alice:{PLAIN}right\n";

/// A configuration with the file `users`.
pub(crate) fn with_file(more: &str) -> String {
    format!(
        "[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n\
         [routes]\ndefault = \"192.0.2.1\"\n{more}"
    )
}

/// How a victim is started.
pub(crate) struct Start {
    dir: TempDir,
    wrapper: Vec<String>,
    log: Option<Stdio>,
}

impl Start {
    pub(crate) fn new(config: &str, users: &str) -> Self {
        need_root();
        let dir = TempDir::new();
        dir.write("auth.toml", config);
        dir.write("users", users);
        Self {
            dir,
            wrapper: Vec::new(),
            log: None,
        }
    }

    /// By another program, which becomes ours in the end: `prlimit --nofile=32`.
    pub(crate) fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper
            .extend(wrapper.iter().map(|word| (*word).to_owned()));
        self
    }

    /// With its log elsewhere than in the file `log`.
    pub(crate) fn logging_to(mut self, log: impl Into<Stdio>) -> Self {
        self.log = Some(log.into());
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&mut self, arguments: &[&str]) -> Command {
        let program = crate::support::soak::program().display().to_string();
        let config = self.path("auth.toml").display().to_string();
        let mut words = std::mem::take(&mut self.wrapper);
        words.extend([program, "--config".to_owned(), config]);
        words.extend(arguments.iter().map(|word| (*word).to_owned()));
        let mut command = Command::new(&words[0]);
        let log = self.log.take();
        command
            .args(&words[1..])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap_or_else(|| File::create(self.path("log")).unwrap().into()))
            .process_group(0);
        command
    }

    /// By `serve --listen`, on the file `socket`.
    pub(crate) fn listening(self) -> Victim {
        self.listening_also(&[])
    }

    /// The same, and on other addresses.
    pub(crate) fn listening_also(mut self, addresses: &[&str]) -> Victim {
        let socket = format!("unix:{}", self.path("socket").display());
        let mut arguments = vec!["serve", "--listen", &socket];
        for address in addresses {
            arguments.extend(["--listen", address]);
        }
        let child = self.command(&arguments).spawn().unwrap();
        let mut victim = Victim {
            child,
            dir: self.dir,
        };
        wait_until("the program to listen", || {
            if let Some(status) = victim.child.try_wait().unwrap() {
                panic!("it ended with {status}:\n{}", victim.log());
            }
            UnixStream::connect(victim.socket()).is_ok()
        });
        victim
    }

    /// With a listening socket as descriptor 0.
    pub(crate) fn inheriting(mut self, listener: OwnedFd) -> Victim {
        let child = self.command(&[]).stdin(listener).spawn().unwrap();
        Victim {
            child,
            dir: self.dir,
        }
    }
}

/// The running program. It is killed when this goes.
pub(crate) struct Victim {
    child: Child,
    dir: TempDir,
}

/// What a process has of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Resident memory in KiB.
    pub(crate) rss: u64,
    /// Open descriptors.
    pub(crate) files: usize,
    pub(crate) threads: usize,
}

impl Victim {
    pub(crate) fn dir(&self) -> &TempDir {
        &self.dir
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.dir.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Prints the end of the log if the test fails.
    pub(crate) fn shown_on_failure(&self) -> impl Drop + use<> {
        struct Shown(PathBuf);
        impl Drop for Shown {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    let log = fs::read(&self.0).unwrap_or_default();
                    let end = log.len().saturating_sub(4000);
                    println!("…{}", String::from_utf8_lossy(&log[end..]));
                }
            }
        }
        Shown(self.dir.path().join("log"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Puts a file in place whole, as an administrator should.
    pub(crate) fn replace(&self, name: &str, content: &str) {
        let new = self.dir.write("new", content);
        fs::rename(new, self.dir.path().join(name)).unwrap();
    }

    pub(crate) fn proc(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.child.id()))
    }

    pub(crate) fn usage(&self) -> Usage {
        usage(&self.proc())
    }

    /// Waits until it has no more descriptors and threads than before, and returns their numbers.
    pub(crate) fn calms_down_to(&self, before: Usage) -> Usage {
        let mut now = self.usage();
        wait_until(&format!("no more than {before:?}, {now:?}"), || {
            now = self.usage();
            now.files <= before.files && now.threads <= before.threads
        });
        now
    }

    /// The processor time that it has used so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(self.proc().join("stat")).unwrap();
        // Behind the name in parentheses: utime and stime are fields 14 and 15, in hundredths
        // (proc_pid_stat(5)).
        let fields = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11);
        let hundredths: u64 = fields
            .take(2)
            .map(|field| field.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(hundredths * 10)
    }
}

/// Checks that a file of counts is undamaged.
#[cfg(feature = "servers")]
pub(crate) fn is_whole(counts: &Path) {
    let state = rusqlite::Connection::open(counts).unwrap();
    let whole: String = state
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn usage(proc: &Path) -> Usage {
    let status = fs::read_to_string(proc.join("status")).unwrap();
    let field = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let value = line.unwrap().split_whitespace().nth(1).unwrap();
        value.parse().unwrap()
    };
    Usage {
        rss: field("VmRSS"),
        files: fs::read_dir(proc.join("fd")).unwrap().count(),
        threads: field("Threads") as usize,
    }
}

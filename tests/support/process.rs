//! Servers of others: found, started, waited for, and ended again whatever happens.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long anything here may take before a test gives up.
const DEADLINE: Duration = Duration::from_secs(30);

/// The path of a program that a test cannot do without; the failure names the Debian package.
pub(crate) fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/lib/postfix/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| {
            file.metadata()
                .is_ok_and(|file| file.permissions().mode() & 0o111 != 0)
        })
        .unwrap_or_else(|| panic!("this test needs {name}: apt-get install {package}"))
}

/// A file that comes with a package, such as a server's module.
pub(crate) fn installed<'a>(file: &'a str, package: &str) -> &'a str {
    assert!(
        Path::new(file).exists(),
        "this test needs {file}: apt-get install {package}"
    );
    file
}

/// The numbers of a user and its group, as they are in /etc/passwd.
pub(crate) fn ids_of(user: &str, package: &str) -> (u32, u32) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{user}:")))
        .unwrap_or_else(|| panic!("no user {user}: apt-get install {package}"));
    let mut numbers = line
        .split(':')
        .skip(1)
        .map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// A port that nobody listens on, below those that the system gives to outgoing connections, and
/// no other than any given before.
pub(crate) fn free_port(address: Ipv4Addr) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Test runs beside each other begin at different places.
        let start = (std::process::id() % 700) as u16 * 16;
        let port = 20_000 + (start + number) % 11_200;
        if TcpListener::bind((address, port)).is_ok() {
            return port;
        }
    }
}

/// Waits for a condition, and panics with its name after the time-out.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether every thread of a process is stopped (proc_pid_stat(5)), or at its end.
pub(crate) fn is_stopped(process: Pid) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero()));
    tasks.into_iter().flatten().flatten().all(|task| {
        let stat = fs::read_to_string(task.path().join("stat"));
        // Gone since, or else the state stands behind the name in parentheses.
        stat.map_or(true, |stat| {
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with(['T', 'Z', 'X']))
        })
    })
}

/// A running server. It and all that it started are ended when this goes.
pub(crate) struct Server {
    child: Child,
    name: String,
    output: PathBuf,
}

impl Server {
    /// Starts a program that stays in the foreground; what it prints goes to the file `output`.
    pub(crate) fn start(command: &mut Command, output: PathBuf) -> Self {
        let file = File::create(&output).unwrap();
        let errors = file.try_clone().unwrap();
        Self::start_with(command, output, file, errors)
    }

    /// The same, with the output to these; `output` is where that of both ends up.
    pub(crate) fn start_with(
        command: &mut Command,
        output: PathBuf,
        out: impl Into<Stdio>,
        errors: impl Into<Stdio>,
    ) -> Self {
        let name = Path::new(command.get_program()).file_name().unwrap();
        let name = name.to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            // Its own group, so that its children can be ended with it.
            .process_group(0)
            .spawn()
            .unwrap();
        Self {
            child,
            name,
            output,
        }
    }

    /// Waits until the server takes connections; fails with what it printed if it ends instead.
    pub(crate) fn wait_for_port(&mut self, address: Ipv4Addr, port: u16) {
        self.wait_for("its port", || TcpStream::connect((address, port)).is_ok());
    }

    /// Waits until something is so; fails with what the server printed if it ends instead.
    pub(crate) fn wait_for(&mut self, what: &str, mut so: impl FnMut() -> bool) {
        let what = format!("{what} of {}", self.name);
        wait_until(&what, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                let printed =
                    String::from_utf8_lossy(&fs::read(&self.output).unwrap()).into_owned();
                panic!("{} ended with {status}:\n{printed}", self.name);
            }
            so()
        });
    }

    /// Sends a signal to the server and all that it started. To be stopped takes the threads of a
    /// process a moment, in which they may answer still; that of the server is waited for.
    pub(crate) fn signal_all(&self, signal: Signal) {
        kill_process_group(self.pid(), signal).unwrap();
        if signal == Signal::STOP {
            wait_until("every thread to stop", || is_stopped(self.pid()));
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process(self.pid(), Signal::TERM);
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < DEADLINE / 3 {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Everything here needs root: the servers change their user, as they do in real life.
pub(crate) fn need_root() {
    let owner = fs::metadata("/proc/self").unwrap().uid();
    assert_eq!(owner, 0, "the tests with real servers must run as root");
}

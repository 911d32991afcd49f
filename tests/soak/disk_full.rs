//! The log cannot be written: the disk is full, or nothing reads the pipe. Logins are still answered.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::process::{need_root, program, wait_until};
use crate::support::soak::load;
use crate::support::soak::load::{ACCEPTED, Caller};
use crate::support::soak::victim::{Start, USERS, Victim, with_file};
use crate::support::temp_dir::TempDir;

/// Far more lines than fit anywhere here.
const LOGINS: u64 = 20_000;

fn logins(victim: &Victim, where_to: &str) {
    let failed = load::run(&victim.socket(), LOGINS, true);
    let ((), good) = load::beside(&victim.socket(), 8, Duration::ZERO, |answered| {
        wait_until("some logins", || answered.load(Ordering::Relaxed) > 2_000);
    });
    crate::support::soak::report(
        &format!("logging to {where_to}"),
        LOGINS + good.asked,
        failed + good.failed,
        format_args!("slowest {:.0} ms", good.slowest.as_secs_f64() * 1e3),
    );
    assert_eq!((failed, good.failed), (0, 0), "{:?}", good.wrong);
}

fn writable(path: &Path) -> File {
    File::options()
        .append(true)
        .create(true)
        .open(path)
        .unwrap()
}

#[test]
fn a_device_that_is_always_full() {
    let full = writable(Path::new("/dev/full"));
    let mut victim = Start::new(&with_file(""), USERS)
        .logging_to(full)
        .listening();
    logins(&victim, "/dev/full");
    assert!(victim.is_alive());
}

/// Dropped lines are counted, and their number is logged when there is room again.
#[test]
fn a_pipe_without_a_reader() {
    let (mut reader, writer) = io::pipe().unwrap();
    let mut victim = Start::new(&with_file(""), USERS)
        .logging_to(writer)
        .listening();
    logins(&victim, "a pipe that nobody reads");
    // What was written are whole lines.
    let mut read = vec![0; 1 << 16];
    let mut text = String::new();
    let mut caller = Caller::new(&victim.socket());
    wait_until("a line that says how many were lost", || {
        let count = reader.read(&mut read).unwrap();
        text += &String::from_utf8_lossy(&read[..count]);
        assert_eq!(caller.ask("alice", "right").unwrap(), ACCEPTED);
        text.contains("log lines were dropped")
    });
    let whole = |line: &str| line.starts_with("20") && line.contains(" nginx-mail-auth[");
    let lines: Vec<_> = text.lines().collect();
    for line in &lines[..lines.len() - 1] {
        assert!(whole(line), "{line}");
    }
    assert!(victim.is_alive());
}

/// No login waits for it, and no line is missing that is not counted.
#[test]
fn a_reader_that_is_slow() {
    const LOGINS: usize = 6_000;
    let (mut reader, writer) = io::pipe().unwrap();
    let mut victim = Start::new(&with_file(""), USERS)
        .logging_to(writer)
        .listening();
    let hurried = AtomicBool::new(false);
    let (text, mut times) = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut text = Vec::new();
            let mut part = vec![0; 4096];
            while let count @ 1.. = reader.read(&mut part).unwrap() {
                text.extend_from_slice(&part[..count]);
                let pause = Instant::now() + Duration::from_millis(800);
                while !hurried.load(Ordering::Relaxed) && Instant::now() < pause {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
            String::from_utf8(text).unwrap()
        });
        let mut caller = Caller::new(&victim.socket());
        let times: Vec<_> = (0..LOGINS)
            .map(|_| {
                let start = Instant::now();
                assert_eq!(caller.ask("alice", "right").unwrap(), ACCEPTED);
                start.elapsed()
            })
            .collect();
        hurried.store(true, Ordering::Relaxed);
        drop(caller);
        victim.signal(rustix::process::Signal::TERM);
        wait_until("its end", || !victim.is_alive());
        (reading.join().unwrap(), times)
    });
    times.sort_unstable();
    let most = times[LOGINS * 98 / 100];
    assert!(most < Duration::from_millis(100), "{most:?}");
    let lost = text.lines().filter_map(|line| {
        let (line, rest) = line.split_once(" log lines were dropped")?;
        assert_eq!(rest, ": the reader of the log did not keep up");
        line.rsplit_once(' ')?.1.parse::<usize>().ok()
    });
    let written = text.matches(" cause=accepted ").count();
    // The last lines can be dropped without a line that counts them.
    let lost: usize = lost.sum();
    assert!(
        written + lost <= LOGINS && written > 1_500,
        "{written} {lost}"
    );
    assert!(text.lines().all(|line| line.contains(" nginx-mail-auth[")));
}

#[test]
fn a_pipe_whose_reader_is_gone() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut victim = Start::new(&with_file(""), USERS)
        .logging_to(writer)
        .listening();
    logins(&victim, "a pipe whose reader is gone");
    assert!(victim.is_alive());
}

/// SIGXFSZ would end a program that does not mind it (setrlimit(2)).
#[test]
fn a_file_at_its_limit() {
    let folder = TempDir::new();
    let file = writable(&folder.path().join("log"));
    let mut victim = Start::new(&with_file(""), USERS)
        .under(&["prlimit", "--fsize=65536"])
        .logging_to(file)
        .listening();
    logins(&victim, "a file at its limit");
    assert!(victim.is_alive());
}

/// A file system of one MiB; it is taken down when this goes.
struct Small(TempDir);

impl Small {
    fn mounted() -> Self {
        need_root();
        let folder = TempDir::new();
        let status = Command::new(program("mount", "mount"))
            .args(["-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs"])
            .arg(folder.path())
            .status();
        assert!(status.unwrap().success(), "mounting a tmpfs needs root");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_disk_that_is_full() {
    let disk = Small::mounted();
    let log = disk.path("log");
    let mut victim = Start::new(&with_file(""), USERS)
        .logging_to(writable(&log))
        .listening();
    logins(&victim, "a full disk");
    assert!(fs::metadata(&log).unwrap().len() > 900_000);
    // There is room again.
    writable(&log).set_len(0).unwrap();
    let answer = Caller::new(&victim.socket()).ask("alice", "right");
    assert_eq!(answer.unwrap(), ACCEPTED);
    wait_until("a line in the room", || {
        let text = fs::read(&log).unwrap();
        String::from_utf8_lossy(&text).contains("login=\"alice\"")
    });
    assert!(victim.is_alive());
}

/// The counts of wrong passwords cannot be written: logins are decided without, and with them again
/// as soon as there is room.
#[test]
fn a_full_disk_for_what_is_counted() {
    let disk = Small::mounted();
    let state = disk.path("throttle.db");
    let more = format!(
        "[nginx]\nallowed-fronts = [\"unix\"]\n\
         [throttle]\nstate = \"sqlite:{}\"\nrefuse-network = 0\n",
        state.display()
    );
    let mut victim = Start::new(&with_file(&more), USERS).listening();
    let _log = victim.shown_on_failure();
    let socket = victim.socket();
    let mut number = 0;
    let mut logins = |count: u64| {
        let mut caller = Caller::new(&socket);
        for _ in 0..count {
            assert_eq!(caller.ask("alice", "right").unwrap(), ACCEPTED);
            // Another login each time, as one would soon be refused without being counted.
            let login = format!("mallory-{number}");
            let answer = caller.ask(&login, &format!("guess {number}")).unwrap();
            assert_eq!(
                answer.lines().next(),
                load::REFUSED.lines().next(),
                "{answer}"
            );
            number += 1;
        }
    };
    logins(50);
    crate::support::soak::victim::is_whole(&state);
    let mut filler = writable(&disk.path("filler"));
    while io::Write::write_all(&mut filler, &[0; 4096]).is_ok() {}
    while io::Write::write_all(&mut filler, &[0]).is_ok() {}
    logins(500);
    let log = victim.log();
    assert!(log.contains("throttle: cannot write the counts"), "{log}");
    filler.set_len(0).unwrap();
    logins(50);
    crate::support::soak::victim::is_whole(&state);
    crate::support::soak::report(
        "counting wrong passwords on a full disk",
        1_200,
        0,
        "decided without the counts, which are whole afterwards",
    );
    assert!(victim.is_alive());
}

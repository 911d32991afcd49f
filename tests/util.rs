//! What the tests share: the program that is started, folders that go away, reproducible randomness.
//!
//! Whatever the program prints to its log in any test is searched for passwords: it is started here,
//! at the most verbose level, and its log is looked at when the test's folder goes or when it has
//! ended.

use std::fs;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags, poll};

/// The program, with nothing in its environment but that it is to log all that it can.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nginx-mail-auth"));
    command.env_clear().env("NGINX_MAIL_AUTH_LOG", "trace");
    command
}

/// What the program printed. Its log, stderr, holds no password.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    must_hold_no_password(&output.stderr);
    output
}

/// What passwords in these tests have in common, and nothing else in them has.
const IN_PASSWORDS: [&str; 7] = [
    "secret-",
    "marker-",
    "Marker",
    "sesame",
    "hunter2",
    "of-the-victim",
    "right",
];

/// What has that in common with passwords, and is none.
const NOT_IN_PASSWORDS: [&str; 5] = [
    "client-secret-file",
    "is the URL right?",
    "for the right syntax to use near",
    // What somebody typed as a login.
    "login=\"alice sesame1",
    r#"login="alice\" \"sesame1"#,
];

/// Fails if a log holds a password, or a part of one.
#[track_caller]
pub(crate) fn must_hold_no_password(log: &[u8]) {
    let log = String::from_utf8_lossy(log);
    for line in log.lines() {
        let line = NOT_IN_PASSWORDS
            .iter()
            .fold(line.to_owned(), |line, words| line.replace(words, ""));
        for password in IN_PASSWORDS {
            assert!(!line.contains(password), "{password} is in the log: {line}");
        }
    }
}

/// A folder that is removed with all that is in it. If it has the file `log`, that of the program is
/// in it.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("nginx-mail-auth-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The folder, which somebody else removes.
    #[cfg(feature = "sql")]
    pub(crate) fn keep(self) -> PathBuf {
        let path = self.0.clone();
        std::mem::forget(self);
        path
    }

    /// Writes a file that only its owner may write and everyone may read.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let log = fs::read(self.0.join("log")).unwrap_or_default();
        let _ = fs::remove_dir_all(&self.0);
        if !std::thread::panicking() {
            must_hold_no_password(&log);
        }
    }
}

/// The log of a server, by a pipe: a line is in it before the answer leaves. To a file lines go when
/// there is time.
pub(crate) struct Log {
    pipe: Arc<Mutex<(PipeReader, fs::File)>>,
    file: PathBuf,
}

impl Log {
    /// What is written to the pipe goes on to this file, which is up to date whenever somebody looks.
    pub(crate) fn to(file: PathBuf) -> (Self, PipeWriter) {
        let (reader, writer) = std::io::pipe().unwrap();
        rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).unwrap();
        let signal = reader.try_clone().unwrap();
        let pipe = Arc::new(Mutex::new((reader, fs::File::create(&file).unwrap())));
        let all = Arc::clone(&pipe);
        // So that it is never full.
        std::thread::spawn(move || {
            let ready = || {
                let mut files = [PollFd::new(&signal, PollFlags::IN)];
                poll(&mut files, None).is_ok()
            };
            while ready() && on(&all) {}
        });
        (Self { pipe, file }, writer)
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        self.drain();
        String::from_utf8_lossy(&fs::read(&self.file).unwrap_or_default()).into_owned()
    }

    /// Brings the file up to date.
    pub(crate) fn drain(&self) {
        on(&self.pipe);
    }
}

/// Moves what is in the pipe; whether there may be more to come.
fn on(pipe: &Mutex<(PipeReader, fs::File)>) -> bool {
    let mut pipe = pipe.lock().unwrap();
    let (reader, file) = &mut *pipe;
    let mut bytes = vec![0; 1 << 16];
    loop {
        match reader.read(&mut bytes) {
            Ok(0) => return false,
            Ok(count) => file.write_all(&bytes[..count]).unwrap(),
            Err(_) => return true,
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.drain();
    }
}

/// The same numbers for the same seed, on every machine (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `bound` - 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

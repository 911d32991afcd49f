//! The log: its level, its form, and how its lines reach stderr.
//!
//! Lines go to stderr, which is Apache's error log under CGI and mod_fcgid and the journal under
//! systemd. The journal gets a priority with each line.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::panic;
use std::sync::{Arc, OnceLock};

use log::{Level, LevelFilter, Log, Metadata, Record};

mod line;
mod queue;
mod sink;

pub use line::{Event, Form, Logfmt, TakeField, Value};
use queue::Queue;

/// The environment variable by which systemd names the file of the journal (systemd.exec(5)).
const JOURNAL_VARIABLE: &str = "JOURNAL_STREAM";

/// The environment variable that sets the level; it overrides `[log] level`.
pub const LEVEL_VARIABLE: &str = "NGINX_MAIL_AUTH_LOG";

/// The most characters of text from outside in one field.
pub const MAX_FIELD: usize = 254;

/// The log of this process, which is on stderr.
static QUEUE: OnceLock<Arc<Queue<BorrowedFd<'static>>>> = OnceLock::new();

/// The messages of this crate. Libraries have nothing to say to an administrator.
struct Messages;

impl Log for Messages {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("nginx_mail_auth")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            write(&line::of_message(record.level(), *record.args()));
        }
    }

    fn flush(&self) {}
}

/// Starts logging at level `info`; call it once. A line is written before the call returns. A line
/// that cannot be written within a second is dropped and counted.
pub fn start() {
    QUEUE.get_or_init(|| Arc::new(Queue::new(rustix::stdio::stderr())));
    if is_the_journal() {
        line::set_priorities();
    }
    if log::set_logger(&Messages).is_ok() {
        log_panics();
        set_level(LevelFilter::Info);
        let named = std::env::var_os(LEVEL_VARIABLE).filter(|word| !word.is_empty());
        if let (Some(word), None) = (named, named_level()) {
            log::warn!(
                "{LEVEL_VARIABLE}: unknown level {word:?}; known levels: off, error, warn, info, \
                 debug, trace; it is ignored"
            );
        }
    }
}

/// Logs an event.
pub fn event<E: Event>(level: Level, event: &E) {
    if level <= log::max_level() {
        write(&line::of_event(level, event));
    }
}

fn write(line: &[u8]) {
    if let Some(queue) = QUEUE.get() {
        queue.take(line);
    }
}

/// Writes a line of text to stderr, for a program that cannot start. The journal gets it with the
/// priority of an error.
pub fn complain(text: &dyn fmt::Display) {
    eprintln!("{}{text}", line::priority(Level::Error));
}

/// Whether stderr is the journal: the variable names its device and inode.
fn is_the_journal() -> bool {
    let Ok(named) = std::env::var(JOURNAL_VARIABLE) else {
        return false;
    };
    let stat = rustix::fs::fstat(rustix::stdio::stderr());
    stat.is_ok_and(|stat| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Makes a panic one line of the log, unless nothing is logged: then the line of the standard
/// library is printed.
fn log_panics() {
    let standard = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if log::max_level() == LevelFilter::Off {
            return standard(info);
        }
        let message = info.payload_as_str().unwrap_or("no message");
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        match info.location() {
            Some(place) => log::error!("thread {thread:?} panicked at {place}: {message}"),
            None => log::error!("thread {thread:?} panicked: {message}"),
        }
    }));
}

/// Prepares for [`serve`]: does what a sandbox would deny.
pub fn get_ready() {
    if let Some(queue) = QUEUE.get() {
        queue.get_ready();
    }
}

/// From now on logging never blocks: a line is written at once, or later by a thread, or dropped
/// and counted if a queue of 256 KiB is full. The first line that needs the thread starts it, so
/// call this inside the sandbox.
pub fn serve() {
    if let Some(queue) = QUEUE.get() {
        queue.serve();
    }
}

/// From now on lines are kept until [`finish`], as under CGI, where the answer is sent first.
pub fn hold() {
    if let Some(queue) = QUEUE.get() {
        queue.hold();
    }
}

/// Writes the remaining lines; a server waits up to half a second for them. Call it before the
/// program ends.
pub fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.finish();
    }
}

/// Sets the level of the log; [`LEVEL_VARIABLE`] overrides it.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(named_level().unwrap_or(level));
}

/// Sets the form of all further lines.
pub fn set_form(form: Form) {
    line::set_form(form);
}

/// The level that [`LEVEL_VARIABLE`] names, if it names one.
fn named_level() -> Option<LevelFilter> {
    std::env::var(LEVEL_VARIABLE).ok()?.parse().ok()
}

/// Untrusted text as a field of a log line: in quotes, escaped, and cut to a maximum length.
pub(crate) fn quoted(text: &[u8]) -> impl fmt::Display {
    Quoted(text, MAX_FIELD)
}

/// Untrusted bytes, in quotes and escaped, cut off after this number of characters.
pub struct Quoted<'a>(pub &'a [u8], pub usize);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        let mut room = self.1;
        let mut rest = self.0;
        while let Some(first) = rest.first() {
            // Most text is plain, and one write of it is cheaper than one for each byte.
            let plain = rest.iter().take(room).take_while(|byte| is_plain(**byte));
            let (plain, after) = rest.split_at(plain.count());
            if !plain.is_empty() {
                f.write_str(std::str::from_utf8(plain).map_err(|_| fmt::Error)?)?;
                room -= plain.len();
                rest = after;
                continue;
            }
            let escaped = std::ascii::escape_default(*first);
            room = match room.checked_sub(escaped.len()) {
                Some(room) => room,
                None => {
                    f.write_str("...")?;
                    break;
                }
            };
            escaped.fmt(f)?;
            rest = rest.get(1..).unwrap_or_default();
        }
        f.write_str("\"")
    }
}

/// Whether a byte stands for itself in a quoted field: printable ASCII except quotes that end the
/// field and backslashes.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_cut_between_characters() {
        for (text, room, field) in [
            (&b""[..], 0, r#""""#),
            (b"a", 0, r#""...""#),
            (b"ab", 2, r#""ab""#),
            (b"abc", 2, r#""ab...""#),
            (b"it's", 3, r#""it'...""#),
            (b"a\"b", 4, r#""a\"b""#),
            (b"a\"b", 2, r#""a...""#),
            (b"a\"b", 3, r#""a\"...""#),
            (b"\\~ \x7f\x1f\n\xff", 99, r#""\\~ \x7f\x1f\n\xff""#),
            (b"\xc3\xa9!", 9, r#""\xc3\xa9!""#),
        ] {
            assert_eq!(Quoted(text, room).to_string(), field, "{text:?} {room}");
        }
    }
}

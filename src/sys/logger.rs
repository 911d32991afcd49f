//! The log: its level, its form, and how its lines reach stderr.
//!
//! Lines go to stderr, which is Apache's error log under CGI and mod_fcgid and the journal under
//! systemd.

use std::fmt;
use std::io::Write as _;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock};

use env_logger::Target;
use log::LevelFilter;

mod queue;
mod sink;

use queue::{Entry, Queue};

/// The environment variable that sets the level, before the configuration's `[log] level`.
pub const LEVEL_VARIABLE: &str = "NGINX_MAIL_AUTH_LOG";

/// The most characters of text from outside in one field.
pub const MAX_FIELD: usize = 254;

/// The log of this process, which is on stderr.
static QUEUE: OnceLock<Arc<Queue<BorrowedFd<'static>>>> = OnceLock::new();

/// Starts logging at level `info`; to be called once. A line is written before the call returns; one
/// that nobody takes for a second is lost, and counted.
pub fn start() {
    let queue = QUEUE.get_or_init(|| Arc::new(Queue::new(rustix::stdio::stderr())));
    let mut builder = env_logger::Builder::new();
    // What is let through is set by `set_level`, also later, when the configuration is known.
    builder.filter_module("nginx_mail_auth", LevelFilter::Trace);
    builder.target(Target::Pipe(Box::new(Entry(Arc::clone(queue)))));
    builder.format(|out, record| {
        let (time, level) = (out.timestamp(), record.level());
        writeln!(
            out,
            "{time} {level} nginx-mail-auth[{}]: {}",
            std::process::id(),
            record.args()
        )
    });
    if builder.try_init().is_ok() {
        set_level(LevelFilter::Info);
        let named = std::env::var_os(LEVEL_VARIABLE).filter(|word| !word.is_empty());
        if let (Some(word), None) = (named, named_level()) {
            log::warn!(
                "{LEVEL_VARIABLE}: there is no level {word:?}; known levels: off, error, warn, info, \
                 debug, trace; it is ignored"
            );
        }
    }
}

/// Makes ready for [`serve`], by what a sandbox would not let.
pub fn get_ready() {
    if let Some(queue) = QUEUE.get() {
        queue.get_ready();
    }
}

/// From now on a line keeps nobody waiting: it is written at once, or by a thread, or lost and
/// counted where a queue of 256 KiB is full. The thread is started by a line that needs it, so this
/// is to be called from inside of the sandbox.
pub fn serve() {
    if let Some(queue) = QUEUE.get() {
        queue.serve();
    }
}

/// From now on lines are kept for [`finish`], as under CGI, where the answer goes first.
pub fn hold() {
    if let Some(queue) = QUEUE.get() {
        queue.hold();
    }
}

/// Writes the lines that are not written yet; they get half a second in a server. To be called before
/// the program ends.
pub fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.finish();
    }
}

/// Lets records of this level and above through; what [`LEVEL_VARIABLE`] says goes first.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(named_level().unwrap_or(level));
}

/// The level that [`LEVEL_VARIABLE`] names, if it names one.
fn named_level() -> Option<LevelFilter> {
    std::env::var(LEVEL_VARIABLE).ok()?.parse().ok()
}

/// Text from outside as a field of a line of ours: in quotes, escaped, and not too long.
pub(crate) fn quoted(text: &[u8]) -> impl fmt::Display {
    Quoted(text, MAX_FIELD)
}

/// Bytes from outside, in quotes and escaped, cut off after this number of characters.
pub struct Quoted<'a>(pub &'a [u8], pub usize);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        let mut room = self.1;
        for byte in self.0 {
            // A quote that ends nothing needs no escape.
            if *byte == b'\'' && room > 0 {
                f.write_str("'")?;
                room -= 1;
                continue;
            }
            let escaped = std::ascii::escape_default(*byte);
            room = match room.checked_sub(escaped.len()) {
                Some(room) => room,
                None => {
                    f.write_str("...")?;
                    break;
                }
            };
            escaped.fmt(f)?;
        }
        f.write_str("\"")
    }
}

//! The queue of log lines: a login hands its line over and does not wait until it is written.
//!
//! While the program starts, a line is written before the call returns. A server writes it at once
//! if that cannot block (a pipe, socket or terminal with room); otherwise the line waits in a queue
//! for a thread. Lines that do not fit into the queue are dropped and counted, and the next line
//! that fits reports how many. Under CGI all lines wait until the answer is sent.

use std::borrow::Cow;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use log::Level;
use rustix::io::Errno;

use super::line;
use super::sink::Sink;

/// The time-out for a slow reader while no login waits. After it, lines are dropped at once until
/// the reader takes one again.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// The maximum number of bytes in the queue. The thread can hold as many again.
const MAX_QUEUE_BYTES: usize = 256 * 1024;
/// How long the thread collects lines after a write: under load it writes many at once, and logins
/// do not have to wake it.
const COLLECT_TIME: Duration = Duration::from_millis(1);
/// The time-out for the last lines at the end.
const FINAL_TIMEOUT: Duration = Duration::from_millis(500);
/// The stack size of the thread, which uses little of it.
const STACK_BYTES: usize = 64 * 1024;

/// The log of a process.
pub(super) struct Queue<F> {
    state: Mutex<State<F>>,
    changed: Condvar,
}

struct State<F> {
    /// The thread holds a reference while it writes.
    sink: Arc<Sink<F>>,
    phase: Phase,
    thread: Thread,
    waiting: Vec<Batch>,
    /// The length of the lines in bytes.
    bytes: usize,
    /// The number of lines that were dropped since the last one in the queue.
    dropped: u64,
    /// The output and its state. The thread holds it while it works.
    losses: MissingLines,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Each call waits until its line is written.
    Start,
    /// Lines are kept until the end.
    Held,
    /// No call waits for its line.
    Served,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Thread {
    None,
    /// It sleeps until a line wakes it.
    Idle,
    /// It checks for lines again without being woken.
    Busy,
}

/// The waiting lines.
struct Batch {
    /// How many lines were dropped before them.
    dropped: u64,
    text: Vec<u8>,
}

/// The lines that are missing from the log.
#[derive(Clone, Copy, Default)]
struct MissingLines {
    /// Lines dropped since the last successful write.
    lost: u64,
    /// The last line was written only in part.
    torn: bool,
}

impl<F: AsFd + Send + Sync + 'static> Queue<F> {
    pub(super) fn new(file: F) -> Self {
        Self {
            state: Mutex::new(State {
                sink: Arc::new(Sink::new(file)),
                phase: Phase::Start,
                thread: Thread::None,
                waiting: Vec::new(),
                bytes: 0,
                dropped: 0,
                losses: MissingLines::default(),
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the output as [`Queue::serve`] needs it.
    pub(super) fn get_ready(&self) {
        if let Some(sink) = Arc::get_mut(&mut self.lock().sink) {
            sink.open_again();
        }
    }

    /// From now on no call waits for its line. The first line that needs the thread starts it.
    pub(super) fn serve(&self) {
        self.lock().phase = Phase::Served;
    }

    /// From now on lines are kept until the end.
    pub(super) fn hold(&self) {
        self.lock().phase = Phase::Held;
    }

    /// Accepts one whole line.
    pub(super) fn take(self: &Arc<Self>, line: &[u8]) {
        let mut state = self.lock();
        match state.phase {
            Phase::Start => state.write(line),
            Phase::Held => state.keep(line),
            Phase::Served => {
                let free = state.waiting.is_empty() && state.thread != Thread::Busy;
                if free && state.write_at_once(line) {
                    return;
                }
                if !free {
                    state.keep(line);
                }
                match state.thread {
                    Thread::None if self.start() => state.thread = Thread::Busy,
                    Thread::Idle => {
                        state.thread = Thread::Busy;
                        self.changed.notify_all();
                    }
                    Thread::None | Thread::Busy => {}
                }
            }
        }
    }

    /// Writes the kept lines, or gives the thread some time for it.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        if state.phase != Phase::Served {
            state.phase = Phase::Start;
            for lines in state.take() {
                state.losses.lost += lines.dropped;
                state.write(&lines.text);
            }
            return;
        }
        let end = Instant::now() + FINAL_TIMEOUT;
        while state.thread == Thread::Busy {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether the thread was started. If not, the next line tries again.
    fn start(self: &Arc<Self>) -> bool {
        let queue = Arc::clone(self);
        let thread = thread::Builder::new()
            .name("log".to_owned())
            .stack_size(STACK_BYTES);
        thread.spawn(move || queue.write_on()).is_ok()
    }

    /// The loop of the thread.
    fn write_on(&self) {
        loop {
            let mut state = self.lock();
            while state.waiting.is_empty() {
                state.thread = Thread::Idle;
                self.changed.notify_all();
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            state.thread = Thread::Busy;
            let (waiting, sink, mut losses) = (state.take(), Arc::clone(&state.sink), state.losses);
            drop(state);
            for lines in waiting {
                losses.lost += lines.dropped;
                let (notice, text) = losses.with_notice(&lines.text);
                let (done, _) = sink.all(&text, None);
                losses.note(&text, notice, done);
            }
            self.lock().losses = losses;
            thread::sleep(COLLECT_TIME);
        }
    }
}

impl<F: AsFd> State<F> {
    fn take(&mut self) -> Vec<Batch> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Writes lines. It waits for a slow reader, except after a dropped line.
    fn write(&mut self, lines: &[u8]) {
        let patience = match self.losses.lost {
            0 => WRITE_TIMEOUT,
            _ => Duration::ZERO,
        };
        let (notice, text) = self.losses.with_notice(lines);
        let (done, _) = self.sink.all(&text, Some(patience));
        self.losses.note(&text, notice, done);
    }

    /// Writes a line if that does not block; otherwise queues it. Returns whether nothing is
    /// queued.
    fn write_at_once(&mut self, line: &[u8]) -> bool {
        self.losses.lost += std::mem::take(&mut self.dropped);
        let (notice, text) = self.losses.with_notice(line);
        match self.sink.at_once(&text) {
            // A part was written, so the rest must not be dropped.
            Some((done, Err(Errno::AGAIN))) if done > 0 => {
                self.losses = MissingLines::default();
                self.keep(text.get(done..).unwrap_or_default());
                false
            }
            None | Some((_, Err(Errno::AGAIN))) => {
                self.keep(line);
                false
            }
            Some((done, _)) => {
                self.losses.note(&text, notice, done);
                true
            }
        }
    }

    /// Queues a line if there is room.
    fn keep(&mut self, line: &[u8]) {
        if self.bytes + line.len() > MAX_QUEUE_BYTES {
            self.dropped += 1;
            return;
        }
        self.bytes += line.len();
        match self.waiting.last_mut() {
            Some(lines) if self.dropped == 0 => lines.text.extend_from_slice(line),
            _ => self.waiting.push(Batch {
                dropped: std::mem::take(&mut self.dropped),
                text: line.to_vec(),
            }),
        }
    }
}

impl MissingLines {
    /// The lines, preceded by a line about dropped lines if there are any; and the length of that
    /// line.
    fn with_notice<'a>(&self, lines: &'a [u8]) -> (usize, Cow<'a, [u8]>) {
        if self.lost == 0 {
            return (0, Cow::Borrowed(lines));
        }
        let lost = format_args!(
            "{} log lines were dropped: the reader of the log did not keep up",
            self.lost
        );
        let mut text = line::of_message(Level::Warn, lost);
        if self.torn {
            text.insert(0, b'\n');
        }
        let notice = text.len();
        text.extend_from_slice(lines);
        (notice, Cow::Owned(text))
    }

    /// Counts the lines of a text that are missing after this many bytes were written.
    fn note(&mut self, text: &[u8], notice: usize, done: usize) {
        if done >= notice {
            self.lost = 0;
        }
        let (written, _) = text.split_at_checked(done).unwrap_or((text, &[]));
        if let Some(last) = written.last() {
            self.torn = *last != b'\n';
        }
        let missing = text.get(done.max(notice)..).unwrap_or_default();
        let ends = missing.iter().filter(|byte| **byte == b'\n').count();
        self.lost += u64::try_from(ends).unwrap_or(u64::MAX);
    }
}

#[cfg(test)]
mod tests;

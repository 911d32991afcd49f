//! Lines on their way to the log: a login hands its line over and does not wait for it.
//!
//! While the program starts, a line is written before the call returns. A server writes it at once
//! where that cannot take long (a pipe, a socket or a terminal that has room); else the line stands
//! in a queue for a thread that has the time. The queue has an end: what comes on top is lost and
//! counted, and the next line that has room says how many. Under CGI all lines wait for the answer.

use std::borrow::Cow;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::sink::Sink;

/// How long a reader that is slow gets while no login waits. Then lines are lost at once, until it
/// takes one again.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most bytes that wait. The thread can have as many in hand.
const ROOM: usize = 256 * 1024;
/// How long the thread collects lines after it has written some: under load it writes many at once,
/// and nobody has to wake it.
const PAUSE: Duration = Duration::from_millis(1);
/// How long the last lines get at the end.
const LAST: Duration = Duration::from_millis(500);
/// Of the thread's stack little is used.
const STACK: usize = 64 * 1024;

/// The log of a process.
pub(super) struct Queue<F> {
    state: Mutex<State<F>>,
    changed: Condvar,
}

struct State<F> {
    /// The thread has a share of it while it writes.
    sink: Arc<Sink<F>>,
    phase: Phase,
    thread: Thread,
    waiting: Vec<Lines>,
    /// How many bytes that is.
    bytes: usize,
    /// Lines for which there was no room after the last one that waits.
    dropped: u64,
    /// Of what was written. The thread has it while it is at work.
    losses: Losses,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Lines are waited for.
    Start,
    /// Lines are kept.
    Held,
    /// Lines are not waited for.
    Served,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Thread {
    None,
    /// It waits to be told of lines.
    Idle,
    /// It looks for lines again by itself.
    Busy,
}

/// Lines that wait.
struct Lines {
    /// How many are missing before them.
    dropped: u64,
    text: Vec<u8>,
}

/// What the log does not have.
#[derive(Clone, Copy, Default)]
struct Losses {
    /// Lines that could not be written since the last one that could.
    lost: u64,
    /// The last line that was begun has no end.
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
                losses: Losses::default(),
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens what is written to as [`Queue::serve`] needs it.
    pub(super) fn get_ready(&self) {
        if let Some(sink) = Arc::get_mut(&mut self.lock().sink) {
            sink.open_again();
        }
    }

    /// From now on no line is waited for. The thread that this may take is started by the first line
    /// that needs it.
    pub(super) fn serve(&self) {
        self.lock().phase = Phase::Served;
    }

    /// From now on lines are kept.
    pub(super) fn hold(&self) {
        self.lock().phase = Phase::Held;
    }

    /// Takes one whole line.
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

    /// Writes what was kept, or gives the thread some time for it.
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
        let end = Instant::now() + LAST;
        while state.thread == Thread::Busy {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether the thread could be started. If not, the next line tries again.
    fn start(self: &Arc<Self>) -> bool {
        let queue = Arc::clone(self);
        let thread = thread::Builder::new()
            .name("log".to_owned())
            .stack_size(STACK);
        thread.spawn(move || queue.write_on()).is_ok()
    }

    /// What the thread does.
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
                let (told, text) = losses.with_gap(&lines.text);
                let (done, _) = sink.all(&text, None);
                losses.note(&text, told, done);
            }
            self.lock().losses = losses;
            thread::sleep(PAUSE);
        }
    }
}

impl<F: AsFd> State<F> {
    fn take(&mut self) -> Vec<Lines> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Writes lines. The reader gets some time, but none where the last line was lost.
    fn write(&mut self, lines: &[u8]) {
        let patience = match self.losses.lost {
            0 => PATIENCE,
            _ => Duration::ZERO,
        };
        let (told, text) = self.losses.with_gap(lines);
        let (done, _) = self.sink.all(&text, Some(patience));
        self.losses.note(&text, told, done);
    }

    /// Writes a line if that takes no time; otherwise it waits. Whether nothing waits.
    fn write_at_once(&mut self, line: &[u8]) -> bool {
        self.losses.lost += std::mem::take(&mut self.dropped);
        let (told, text) = self.losses.with_gap(line);
        match self.sink.at_once(&text) {
            // There was room for a part: the rest is none that may be missing.
            Some((done, Err(Errno::AGAIN))) if done > 0 => {
                self.losses = Losses::default();
                self.keep(text.get(done..).unwrap_or_default());
                false
            }
            None | Some((_, Err(Errno::AGAIN))) => {
                self.keep(line);
                false
            }
            Some((done, _)) => {
                self.losses.note(&text, told, done);
                true
            }
        }
    }

    /// Has a line wait, if there is room.
    fn keep(&mut self, line: &[u8]) {
        if self.bytes + line.len() > ROOM {
            self.dropped += 1;
            return;
        }
        self.bytes += line.len();
        match self.waiting.last_mut() {
            Some(lines) if self.dropped == 0 => lines.text.extend_from_slice(line),
            _ => self.waiting.push(Lines {
                dropped: std::mem::take(&mut self.dropped),
                text: line.to_vec(),
            }),
        }
    }
}

impl Losses {
    /// The lines, after one that tells of others that are missing, if there are any; and how long
    /// that one is.
    fn with_gap<'a>(&self, lines: &'a [u8]) -> (usize, Cow<'a, [u8]>) {
        if self.lost == 0 {
            return (0, Cow::Borrowed(lines));
        }
        // The time, as the first line has it.
        let end = lines.iter().position(|byte| *byte == b' ').unwrap_or(0);
        let time = String::from_utf8_lossy(lines.get(..end).unwrap_or_default());
        let mut text = format!(
            "{}{time} WARN nginx-mail-auth[{}]: {} lines of this log were lost: nobody took them\n",
            if self.torn { "\n" } else { "" },
            std::process::id(),
            self.lost
        )
        .into_bytes();
        let told = text.len();
        text.extend_from_slice(lines);
        (told, Cow::Owned(text))
    }

    /// Counts what is missing of a text, of which so many bytes were written.
    fn note(&mut self, text: &[u8], told: usize, done: usize) {
        if done >= told {
            self.lost = 0;
        }
        let (written, _) = text.split_at_checked(done).unwrap_or((text, &[]));
        if let Some(last) = written.last() {
            self.torn = *last != b'\n';
        }
        let missing = text.get(done.max(told)..).unwrap_or_default();
        let ends = missing.iter().filter(|byte| **byte == b'\n').count();
        self.lost += u64::try_from(ends).unwrap_or(u64::MAX);
    }
}

/// Each call brings one whole line.
pub(super) struct Entry<F>(pub(super) Arc<Queue<F>>);

impl<F: AsFd + Send + Sync + 'static> Write for Entry<F> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.take(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;

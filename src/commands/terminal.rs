//! Reads a password at a terminal without echo, and restores the echo however the prompt ends.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::fs::OFlags;
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use zeroize::Zeroizing;

/// The terminal that controls the process (tty(4)).
const TERMINAL: &str = "/dev/tty";

/// Signals that by default end or stop a process, and that a terminal, a shell or an administrator
/// sends.
const SIGNALS: [i32; 5] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP];

/// The terminal of the process.
pub(super) struct Terminal {
    file: Arc<File>,
    echo: Arc<Echo>,
}

/// Whether the terminal shows the input.
#[derive(Default)]
struct Echo {
    off: Mutex<Option<Modes>>,
}

/// The modes without echo, and those from before.
struct Modes {
    before: Termios,
    silent: Termios,
}

impl Terminal {
    /// Opens the terminal. From now on a signal that ends or stops the process first restores the
    /// echo.
    pub(super) fn open() -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits().cast_signed())
            .open(TERMINAL)?;
        let (file, echo) = (Arc::new(file), Arc::<Echo>::default());
        let mut signals = Signals::new(SIGNALS)?;
        let (terminal, shared) = (Arc::clone(&file), Arc::clone(&echo));
        thread::Builder::new()
            .name("terminal".to_owned())
            .spawn(move || {
                for signal in signals.forever() {
                    shared.restore_and_raise(signal, &terminal);
                }
            })?;
        Ok(Self { file, echo })
    }

    /// Shows a prompt and reads one line of at most this many bytes without echo. The line end is
    /// not part of it; a longer line is truncated.
    pub(super) fn read_without_echo(
        &mut self,
        prompt: &str,
        most: usize,
    ) -> io::Result<Zeroizing<Vec<u8>>> {
        let echo_off = EchoOff::begin(self)?;
        (&*self.file).write_all(prompt.as_bytes())?;
        let mut line = Zeroizing::new(Vec::with_capacity(most));
        // A read from a terminal returns at most one line (termios(3), canonical mode), so the
        // buffer takes nothing of the next one. A buffer of one byte leaves no copy of the
        // password.
        let mut reader = BufReader::with_capacity(1, &*self.file).take(most as u64);
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if read == most && line.last() != Some(&b'\n') {
            // The shell would execute the rest as a command.
            tcflush(&*self.file, QueueSelector::IFlush)?;
        }
        drop(echo_off);
        Ok(line)
    }
}

/// While this value exists, the terminal does not show the input.
struct EchoOff<'a>(&'a Terminal);

impl<'a> EchoOff<'a> {
    fn begin(terminal: &'a Terminal) -> io::Result<Self> {
        let before = tcgetattr(&*terminal.file)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        let mut off = terminal.echo.lock();
        tcsetattr(&*terminal.file, OptionalActions::Flush, &silent)?;
        *off = Some(Modes { before, silent });
        Ok(Self(terminal))
    }
}

impl Drop for EchoOff<'_> {
    fn drop(&mut self) {
        if let Some(modes) = self.0.echo.lock().take() {
            let _gone = tcsetattr(&*self.0.file, OptionalActions::Now, &modes.before);
        }
    }
}

impl Echo {
    fn lock(&self) -> MutexGuard<'_, Option<Modes>> {
        self.off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the default action of the signal, with the terminal restored. After a stop, the input
    /// is hidden again.
    fn restore_and_raise(&self, signal: i32, terminal: &File) {
        // Held until the process ends or continues, so that no prompt begins in between.
        let off = self.lock();
        if let Some(modes) = &*off {
            let _gone = tcsetattr(terminal, OptionalActions::Now, &modes.before);
            // Without a line end, the shell's prompt would follow this one.
            let _gone = (&*terminal).write_all(b"\n");
        }
        let _cannot_fail = emulate_default_handler(signal);
        if let Some(modes) = &*off {
            let _gone = tcsetattr(terminal, OptionalActions::Now, &modes.silent);
        }
    }
}

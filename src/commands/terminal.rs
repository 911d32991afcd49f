//! The terminal that somebody types a password at: without echo, and with it again whatever ends
//! the prompt.

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

/// Signals that end or stop a process that does nothing about them, and that a terminal, a shell
/// or an administrator sends.
const SIGNALS: [i32; 5] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP];

/// The terminal of the process.
pub(super) struct Terminal {
    file: Arc<File>,
    echo: Arc<Echo>,
}

/// Whether the terminal shows what is typed.
#[derive(Default)]
struct Echo {
    off: Mutex<Option<Modes>>,
}

/// The modes while nothing is shown, and those from before.
struct Modes {
    before: Termios,
    silent: Termios,
}

impl Terminal {
    /// Opens it. From now on a signal that ends or stops the process first gives the echo back.
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
                    shared.give_way(signal, &terminal);
                }
            })?;
        Ok(Self { file, echo })
    }

    /// Shows a prompt and reads one line of at most so many bytes without showing it. The end of
    /// the line is not part of it; what is too long comes cut.
    pub(super) fn read_unseen(
        &mut self,
        prompt: &str,
        most: usize,
    ) -> io::Result<Zeroizing<Vec<u8>>> {
        let silence = Silence::begin(self)?;
        (&*self.file).write_all(prompt.as_bytes())?;
        let mut line = Zeroizing::new(Vec::with_capacity(most));
        // One line at most is read from a terminal at once (termios(3), canonical mode), so the
        // buffer takes nothing of the next; with one byte it leaves no copy of the password.
        let mut reader = BufReader::with_capacity(1, &*self.file).take(most as u64);
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if read == most && line.last() != Some(&b'\n') {
            // The shell would take the rest for a command.
            tcflush(&*self.file, QueueSelector::IFlush)?;
        }
        drop(silence);
        Ok(line)
    }
}

/// While there is one, the terminal does not show what is typed.
struct Silence<'a>(&'a Terminal);

impl<'a> Silence<'a> {
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

impl Drop for Silence<'_> {
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

    /// Does what the signal does by default, with the terminal as it was. After a stop, what is
    /// typed is hidden again.
    fn give_way(&self, signal: i32, terminal: &File) {
        // Held until the process ends or goes on, so that no prompt begins meanwhile.
        let off = self.lock();
        if let Some(modes) = &*off {
            let _gone = tcsetattr(terminal, OptionalActions::Now, &modes.before);
            // Where the prompt stands, the shell's would follow.
            let _gone = (&*terminal).write_all(b"\n");
        }
        let _cannot_fail = emulate_default_handler(signal);
        if let Some(modes) = &*off {
            let _gone = tcsetattr(terminal, OptionalActions::Now, &modes.silent);
        }
    }
}

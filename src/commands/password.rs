//! Reads a password: at the terminal without echo, otherwise one line of the input.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use zeroize::Zeroizing;

use super::CommandError;
use super::terminal::Terminal;
use crate::secret::{BadPassword, MAX_PASSWORD_BYTES, Password};

/// The source of a password.
pub(super) trait PasswordPrompt {
    /// The bytes that were typed, without the end of the line.
    fn ask(&mut self, prompt: &str) -> io::Result<Zeroizing<Vec<u8>>>;

    /// The whole input, of at most this many bytes.
    fn all(&mut self, most: u64) -> io::Result<Zeroizing<Vec<u8>>>;

    /// Whether the input is hidden, so that typing errors go unnoticed.
    fn hides_input(&self) -> bool;
}

/// The terminal that the program runs at, or its input.
pub(super) struct Console {
    terminal: Option<Terminal>,
    /// The maximum number of bytes that are read of a line.
    most: usize,
}

impl Console {
    /// For passwords of this length, and enough of a longer one to detect it.
    pub(super) fn of_lines(bytes: usize) -> Self {
        Self {
            terminal: None,
            most: bytes + 3,
        }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::of_lines(MAX_PASSWORD_BYTES)
    }
}

impl PasswordPrompt for Console {
    fn ask(&mut self, prompt: &str) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut line = if self.hides_input() {
            let terminal = match self.terminal.take() {
                Some(terminal) => terminal,
                None => Terminal::open()?,
            };
            let terminal = self.terminal.insert(terminal);
            terminal.read_without_echo(prompt, self.most)?
        } else {
            let mut line = Zeroizing::new(Vec::with_capacity(self.most));
            io::stdin()
                .lock()
                .take(self.most as u64)
                .read_until(b'\n', &mut line)?;
            line
        };
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        Ok(line)
    }

    fn all(&mut self, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut all = Zeroizing::new(Vec::new());
        let taken = most.saturating_add(1);
        io::stdin().lock().take(taken).read_to_end(&mut all)?;
        match all.len() as u64 > most {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => Ok(all),
        }
    }

    fn hides_input(&self) -> bool {
        io::stdin().is_terminal()
    }
}

/// Asks once.
pub(super) fn ask(ask: &mut impl PasswordPrompt, prompt: &str) -> Result<Password, CommandError> {
    let typed = ask.ask(prompt).map_err(CommandError::ReadPassword)?;
    password(&typed).map_err(CommandError::Input)
}

/// Checks the bytes of a password.
pub(super) fn password(typed: &[u8]) -> Result<Password, String> {
    Password::new(typed.to_vec()).map_err(|bad| match bad {
        BadPassword::ControlByte => {
            "a password that holds NUL, CR or LF is always refused".to_owned()
        }
        BadPassword::TooLong => {
            format!("a password of more than {MAX_PASSWORD_BYTES} bytes is always refused")
        }
    })
}

/// Asks for a new password, twice if a typing error would go unnoticed.
pub(super) fn ask_new(whom: &mut impl PasswordPrompt) -> Result<Password, CommandError> {
    let password = ask(whom, "New password: ")?;
    if whom.hides_input() && ask(whom, "Again: ")?.reveal() != password.reveal() {
        return Err(CommandError::Input("the two passwords differ".to_owned()));
    }
    Ok(password)
}

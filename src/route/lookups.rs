//! A process of our own that looks names up, for one that has shut itself in.
//!
//! The sandbox cannot be made to fit the system's resolver: it reads files that are replaced while
//! the program runs (/etc/resolv.conf, /etc/hosts), talks to what /etc/nsswitch.conf names, and may
//! be a program itself. So this program runs once more, from before the sandbox on, and is asked
//! line by line: `NUMBER NAME` gets `NUMBER ADDRESS ADDRESS …` or `NUMBER ! WHY NOT`. It ends when
//! nobody is left to ask.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::System;
use super::system::MOST_OF_ALL;

/// The argument by which the program knows that it is to look names up. Not for typing.
pub const ARGUMENT: &str = "look-names-up";

/// The most lookups at once: those of the process that asks.
const MAX_LOOKUPS: usize = MOST_OF_ALL;

/// The one of this process. It belongs to the process as the sandbox does.
static LOOKUPS: OnceLock<Lookups> = OnceLock::new();

/// The process that looks names up, which nobody asks yet.
pub struct Starting {
    child: Child,
}

struct Lookups {
    questions: Mutex<ChildStdin>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    /// `None` once there will be no more answers.
    answers: Option<HashMap<u64, Sender<Answer>>>,
}

type Answer = Result<Vec<IpAddr>, String>;

impl Starting {
    /// Starts the process.
    pub fn start() -> io::Result<Self> {
        let child = Command::new("/proc/self/exe")
            .arg0("nginx-mail-auth")
            .arg(ARGUMENT)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self { child })
    }

    /// Has all names that are looked up from now on looked up there. The thread that this takes is
    /// in the sandbox, if this one is.
    pub fn attend(mut self) -> io::Result<()> {
        let pipes = self.child.stdin.take().zip(self.child.stdout.take());
        let (questions, answers) = pipes.ok_or(io::ErrorKind::BrokenPipe)?;
        let waiting = Arc::new(Mutex::new(Waiting {
            last: 0,
            answers: Some(HashMap::new()),
        }));
        let lookups = Lookups {
            questions: Mutex::new(questions),
            waiting: Arc::clone(&waiting),
        };
        thread::Builder::new()
            .name("names".to_owned())
            .spawn(move || hand_out(answers, &waiting))?;
        // Only the first one would ever be asked.
        LOOKUPS
            .set(lookups)
            .map_err(|_| io::ErrorKind::AlreadyExists.into())
    }
}

/// All addresses of `name`, if there is a process that looks names up.
pub(super) fn ask(name: &str) -> Option<io::Result<Vec<IpAddr>>> {
    LOOKUPS.get().map(|lookups| lookups.ask(name))
}

impl Lookups {
    fn ask(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        if name.contains(|character: char| character.is_ascii_whitespace() || character == '\0') {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (sender, receiver) = channel();
        let number = {
            let mut waiting = lock(&self.waiting);
            waiting.last += 1;
            let number = waiting.last;
            let answers = waiting.answers.as_mut().ok_or_else(gone)?;
            answers.insert(number, sender);
            number
        };
        let question = format!("{number} {name}\n");
        lock(&self.questions)
            .write_all(question.as_bytes())
            .map_err(|_| gone())?;
        receiver
            .recv()
            .map_err(|_| gone())?
            .map_err(io::Error::other)
    }
}

fn gone() -> io::Error {
    io::Error::other("the process that looks names up has ended: restart the program")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives each answer to whom it belongs, until there are no more.
fn hand_out(answers: ChildStdout, waiting: &Mutex<Waiting>) {
    for line in BufReader::new(answers).lines() {
        let Some((number, answer)) = line.ok().as_deref().and_then(read) else {
            break;
        };
        let sender = lock(waiting)
            .answers
            .as_mut()
            .and_then(|all| all.remove(&number));
        if let Some(sender) = sender {
            let _nobody_waits = sender.send(answer);
        }
    }
    // Whoever waits is told by that.
    lock(waiting).answers = None;
    log::error!("{}; hosts keep the addresses that they had", gone());
}

/// Reads an answer; `None` if it is none.
fn read(line: &str) -> Option<(u64, Answer)> {
    let (number, answer) = line.split_once(' ')?;
    let number = number.parse().ok()?;
    if let Some(why) = answer.strip_prefix("! ") {
        return Some((number, Err(why.to_owned())));
    }
    let addresses = answer.split(' ').map(str::parse).collect::<Result<_, _>>();
    Some((number, Ok(addresses.ok()?)))
}

/// Answers questions until there are no more: what the program does if [`ARGUMENT`] is its only
/// argument.
pub fn serve() -> io::Result<()> {
    // Meant for the one that asks, where a signal goes to both, as from systemd. That one has logins
    // to finish, and with it this one ends.
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    let running = Arc::new(());
    for question in io::stdin().lock().lines() {
        let question = question?;
        let Some((number, name)) = question.split_once(' ') else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let (number, name) = (number.to_owned(), name.to_owned());
        if Arc::strong_count(&running) > MAX_LOOKUPS {
            tell(&number, Err(io::Error::other("too many lookups")));
            continue;
        }
        let counted = Arc::clone(&running);
        let asked = number.clone();
        let started = thread::Builder::new().spawn(move || {
            tell(&number, System.all(&name));
            drop(counted);
        });
        if let Err(error) = started {
            tell(&asked, Err(error));
        }
    }
    Ok(())
}

fn tell(number: &str, answer: io::Result<Vec<IpAddr>>) {
    let answer = match answer {
        Ok(addresses) => addresses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" "),
        Err(error) => format!("! {}", error.to_string().replace(char::is_control, " ")),
    };
    // Whole, as other threads write too.
    let line = format!("{number} {answer}\n");
    let _nobody_is_left = io::stdout().lock().write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_addresses_or_a_reason() {
        let [one, two] = ["192.0.2.1", "2001:db8::1"].map(|address| address.parse().unwrap());
        for (line, answer) in [
            ("7 192.0.2.1", Some((7, Ok(vec![one])))),
            ("8 192.0.2.1 2001:db8::1", Some((8, Ok(vec![one, two])))),
            (
                "9 ! no such name",
                Some((9, Err("no such name".to_owned()))),
            ),
            ("", None),
            ("7", None),
            ("x 192.0.2.1", None),
            ("7 192.0.2.1 mail", None),
            ("7 ", None),
        ] {
            assert_eq!(read(line), answer, "{line:?}");
        }
    }
}

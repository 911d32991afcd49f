//! How long the check of a password takes here and in the C libraries that other mail servers use.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nginx_mail_auth::secret::{Password, Proof, Secret, WeakSchemes};

use crate::Outcome;
use crate::lab::Lab;
use crate::peers::{self, LIBARGON2, LIBXCRYPT, OPENSSL, Peer};
use crate::process::{self, pin, unpin};
use crate::race::{Ratio, median};
use crate::report::{Table, Target};

const PASSWORD: &str = "pass word";

/// No check may take longer than this, as a multiple of the library's time.
const TARGET: Target = Target::AtMost(1.25);

/// The name of a scheme with its cost, the peer, and the peer's arguments after the password.
type Scheme = (&'static str, &'static Peer, &'static [&'static str]);

/// Each at a cost that common tools choose by default.
const SCHEMES: [Scheme; 9] = [
    (
        "SHA512-CRYPT, 5000 rounds",
        &LIBXCRYPT,
        &["$6$saltsaltsaltsalt$"],
    ),
    (
        "SHA256-CRYPT, 5000 rounds",
        &LIBXCRYPT,
        &["$5$saltsaltsaltsalt$"],
    ),
    (
        "bcrypt, cost 10",
        &LIBXCRYPT,
        &["$2b$10$abcdefghijklmnopqrstuu"],
    ),
    (
        "yescrypt, 16 MiB",
        &LIBXCRYPT,
        &["$y$j9T$owaJb273p96n0a7G74zel/$"],
    ),
    ("MD5-CRYPT", &LIBXCRYPT, &["$1$saltsalt$"]),
    ("argon2id, 19 MiB, 2 passes", &LIBARGON2, &["2", "19456"]),
    ("PBKDF2-SHA1, 100000 rounds", &OPENSSL, &["SHA1", "100000"]),
    (
        "PBKDF2-SHA256, 100000 rounds",
        &OPENSSL,
        &["SHA256", "100000"],
    ),
    (
        "PBKDF2-SHA512, 100000 rounds",
        &OPENSSL,
        &["SHA512", "100000"],
    ),
];

pub(crate) fn compare(lab: &Lab) -> Outcome<()> {
    peers::compile(&[&LIBXCRYPT, &LIBARGON2, &OPENSSL], lab.folder())?;
    let (rounds, _) = lab.options.rounds(40, Duration::ZERO);
    pin(&lab.options.cpu.to_string())?;
    let mut table = Table::new();
    for (scheme, peer, arguments) in SCHEMES {
        let (ours, theirs) = race(lab, peer, arguments, rounds)
            .map_err(|error| format!("{scheme}, {}: {error}", peer.name))?;
        let pairs = ours.iter().zip(&theirs);
        let milliseconds = |times: &[f64]| format!("{:.2} ms", median(times) * 1e3);
        table.row(
            &format!("{scheme}: time of a check to {}", peer.name),
            &Ratio::of(pairs.map(|(ours, theirs)| ours / theirs).collect()),
            TARGET,
            &milliseconds(&ours),
            &milliseconds(&theirs),
        );
    }
    table.print(&format!(
        "Check of a password, {rounds} of each, in turns, on one CPU"
    ));
    unpin()
}

/// The seconds of each check, ours and the library's, after one of each that does not count.
fn race(
    lab: &Lab,
    peer: &Peer,
    arguments: &[&str],
    rounds: usize,
) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let (mut checker, stored) = Checker::start(lab, peer, arguments)?;
    let secret = Secret::parse(stored.as_bytes(), WeakSchemes::Allowed)?;
    let secret = secret.ok_or_else(|| format!("{stored:?} has no scheme"))?;
    let proof = Proof::Password(Password::new(PASSWORD.into()).map_err(|_| "the password")?);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let start = Instant::now();
        if !secret.matches(&proof) {
            return Err(format!("the password does not match {stored:?}").into());
        }
        let time = start.elapsed().as_secs_f64();
        let other = checker.check()?;
        if round > 0 {
            ours.push(time);
            theirs.push(other);
        }
    }
    Ok((ours, theirs))
}

/// A C program that checks the password once for each line that it gets.
struct Checker {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Checker {
    /// Starts the program; it answers with the stored hash that it checks.
    fn start(lab: &Lab, peer: &Peer, arguments: &[&str]) -> Outcome<(Self, String)> {
        let mut child = Command::new(lab.path(peer.name))
            .arg(PASSWORD)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = child.stdout.take().ok_or("no standard output")?;
        let mut checker = Self {
            child,
            input,
            output: BufReader::new(output).lines(),
        };
        let stored = checker.line()?;
        Ok((checker, stored))
    }

    /// The seconds of one check.
    fn check(&mut self) -> Outcome<f64> {
        self.input.write_all(b"\n")?;
        Ok(self.line()?.parse::<f64>()? / 1e9)
    }

    fn line(&mut self) -> Outcome<String> {
        let line = self
            .output
            .next()
            .ok_or("the peer ended at once: the library does not support this scheme")?;
        Ok(line?)
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}

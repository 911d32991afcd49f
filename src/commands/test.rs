//! `test`: decides one login as for nginx, and prints the reasons.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

use super::password::{PasswordPrompt, ask};
use super::throttle::{Preview, preview};
use super::{CommandError, Outcome, open};
use crate::auth::{Step, Then};
use crate::config::{Config, StoreConfig, UsersConfig};
use crate::login::printable::Printable;
use crate::login::{Login, Protocol};
use crate::nginx::answer::Answer;
use crate::nginx::refusal::Refusal;
use crate::nginx::request::{AuthRequest, Client, Connection, LoginRequest};
use crate::secret::Proof;
use crate::users::{Account, Passwords};

/// The request that nginx would send.
pub(super) struct Attempt<'a> {
    pub(super) login: &'a str,
    pub(super) protocol: Protocol,
    pub(super) client: Option<IpAddr>,
}

impl Attempt<'_> {
    /// The login, if it could be one.
    pub(super) fn login(&self) -> Result<Login, CommandError> {
        Login::for_protocol(self.login.as_bytes().to_vec(), self.protocol).map_err(|bad| {
            let refusal = Refusal::from(bad);
            CommandError::Input(format!("the login is always refused: {refusal}"))
        })
    }
}

/// Asks for the password and prints each step, then the answer as nginx would get it.
pub(super) fn test(
    config: &Path,
    attempt: &Attempt<'_>,
    whom: &mut impl PasswordPrompt,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let Some(service) = open(config, err)? else {
        return Ok(Outcome::BrokenConfig);
    };
    let login = attempt.login()?;
    let request = AuthRequest::LogIn(LoginRequest {
        connection: Connection {
            protocol: attempt.protocol,
            attempt: Some(1),
            client: Client {
                address: attempt.client,
                ..Client::default()
            },
            tls: None,
        },
        login: login.clone(),
        proof: Proof::Password(ask(whom, "Password: ")?),
    });
    let mut printer = StepPrinter::new(service.config(), out);
    let mut answer = service
        .decide(&request, &mut |step| printer.print_step(&step))
        .answer;
    printer.print_rest();
    printer.written?;
    let (dialogue, messages) = (request.dialogue(), &service.config().messages);
    let mut headers = Vec::new();
    if let Err(unsayable) = answer.write(dialogue, messages, &mut headers) {
        let trouble = crate::nginx::refusal::Trouble::Answer(unsayable.to_string());
        answer = Answer::Refuse {
            why: Refusal::Temporary(trouble),
            wait: None,
        };
        let _texts_are_checked = answer.write(dialogue, messages, &mut headers);
    }
    if let Answer::Refuse { why, .. } = &answer {
        print_refusal(why, out)?;
    }
    if let Some(Preview { why, wait }) = preview(&service, &login, attempt.client, out)? {
        // nginx would get this refusal without any store being asked. The answers of the stores are
        // useful nevertheless.
        let wait = service.gate().wait(&request).max(wait);
        answer = Answer::Refuse { why, wait };
        headers.clear();
        let _texts_are_checked = answer.write(dialogue, messages, &mut headers);
    }
    writeln!(out)?;
    out.write_all(&headers)?;
    Ok(match answer {
        Answer::Accept { .. } => Outcome::Done,
        Answer::Refuse { .. } => Outcome::Refused,
    })
}

/// Why a login is not accepted, in one line.
pub(super) fn print_refusal(why: &Refusal, out: &mut impl Write) -> io::Result<()> {
    let word = match why.is_temporary() {
        true => "temporary failure",
        false => "refused",
    };
    match why.detail() {
        Some(detail) => writeln!(out, "{word}: {why}: {}", printable(&detail)),
        None => writeln!(out, "{word}: {why}"),
    }
}

/// Text on one line, quotes as they are.
fn printable(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(clean).collect()
}

/// Prints each step in a line, with the time it took.
pub(super) struct StepPrinter<'a, W> {
    config: &'a Config,
    last: Instant,
    out: &'a mut W,
    /// Whether all output could be written so far.
    pub(super) written: io::Result<()>,
}

impl<'a, W: Write> StepPrinter<'a, W> {
    pub(super) fn new(config: &'a Config, out: &'a mut W) -> Self {
        Self {
            config,
            last: Instant::now(),
            out,
            written: Ok(()),
        }
    }

    pub(super) fn print_step(&mut self, step: &Step<'_>) {
        let took = self.last.elapsed();
        self.last = Instant::now();
        if self.written.is_ok() {
            let line = self.line(step);
            let ms = took.as_secs_f64() * 1000.0;
            self.written = writeln!(self.out, "{line} [{ms:.3} ms]");
        }
    }

    /// Prints the time since the last step if it is significant: that of an unknown login is spent
    /// on a hash.
    pub(super) fn print_rest(&mut self) {
        let took = self.last.elapsed().as_secs_f64() * 1000.0;
        if self.written.is_ok() && took >= 1.0 {
            self.written = writeln!(self.out, "decoy work [{took:.3} ms]");
        }
    }

    fn line(&self, step: &Step<'_>) -> String {
        match step {
            Step::Renamed(login) => {
                format!("login: becomes {}", Printable(login.as_bytes()))
            }
            Step::AsMaster(master) => format!("master: {}", Printable(master)),
            Step::DomainNotServed(number) => {
                format!("store {}: not asked about this domain", self.store(*number))
            }
            Step::CannotLookUp(number) => format!(
                "store {}: not asked: it cannot answer without a password",
                self.store(*number)
            ),
            Step::NotFound(number) => format!("store {}: no such login", self.store(*number)),
            Step::Found(number, account) => {
                format!("store {}: {}", self.store(*number), describe(account))
            }
            Step::PasswordMatches(number, label) => {
                let which = label.map_or_else(
                    || "password".to_owned(),
                    |label| format!("app password {}", Printable(label.as_bytes())),
                );
                format!("store {}: {which} fits", self.store(*number))
            }
            Step::Refused(number, why) => {
                let detail = why.detail().map(|detail| printable(&detail));
                format!(
                    "store {}: {why}{}{}",
                    self.store(*number),
                    detail.map_or_else(String::new, |detail| format!(": {detail}")),
                    self.then(*number, |users| users.wrong)
                )
            }
            Step::CannotAnswer(number, what) => {
                let why = Refusal::from((*what).clone());
                let detail = printable(&why.detail().unwrap_or_default());
                format!(
                    "store {}: cannot say: {why}: {detail}{}",
                    self.store(*number),
                    self.then(*number, |users| users.trouble)
                )
            }
            Step::Proven => "password: correct".to_owned(),
            Step::Permitted => "account: allowed from this network and protocol".to_owned(),
            Step::Routed(destination) => {
                let user_move = destination.user_move.as_ref();
                format!(
                    "route: {}, {}to host {}\nmail server: {}",
                    destination.rule,
                    user_move.map_or_else(String::new, |user_move| format!("{user_move}, ")),
                    Printable(destination.host.as_bytes()),
                    destination.upstream
                )
            }
        }
    }

    fn store(&self, number: usize) -> String {
        let Some(users) = self.config.users.get(number) else {
            return number.to_string();
        };
        match &users.store {
            StoreConfig::File(settings) => {
                format!("{} {}", users.name, settings.path.display())
            }
            StoreConfig::Domains(settings) => {
                let path = settings.pattern.whole().display();
                format!("{} {path}", users.name)
            }
            _ => users.name.clone(),
        }
    }

    fn then(&self, number: usize, what: impl Fn(&UsersConfig) -> Then) -> &'static str {
        match self.config.users.get(number).map(what) {
            Some(Then::Next) => "; the next store is asked",
            _ => "",
        }
    }
}

/// The data of a store about the login, without the secrets.
fn describe(account: &Account) -> String {
    let mut words = match &account.passwords {
        Passwords::Any => "takes every login with every password".to_owned(),
        Passwords::AskStore => "will check the password itself".to_owned(),
        Passwords::Stored(credentials) => match credentials.as_slice() {
            [] => "found, without a password".to_owned(),
            [only] => format!("found, scheme {}", only.secret.scheme()),
            [first, print_rest @ ..] => format!(
                "found, scheme {}; other passwords: {}",
                first.secret.scheme(),
                print_rest.len()
            ),
        },
    };
    if let Some(what) = &account.unusable_password {
        words.push_str(&format!(
            ", a password that cannot be used: {}",
            printable(what)
        ));
    }
    if let Some(what) = &account.unusable {
        words.push_str(&format!(", unusable: {}", printable(what)));
    }
    if account.disabled {
        words.push_str(", disabled (nologin)");
    }
    if account.allow_nets.is_some() {
        words.push_str(", only from some networks (allow_nets)");
    }
    if let Some(host) = &account.host {
        words.push_str(&format!(", host {}", Printable(host.as_bytes())));
    }
    if let Some(port) = account.port {
        words.push_str(&format!(", port {port}"));
    }
    if let Some(user) = &account.user {
        words.push_str(&format!(", user {}", Printable(user)));
    }
    words
}

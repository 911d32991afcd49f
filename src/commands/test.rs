//! `test`: one login, decided as for nginx, with the reasons.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;

use super::password::{Ask, ask};
use super::{CommandError, Outcome, complain, warn};
use crate::answer::Answer;
use crate::config::UsersConfig;
use crate::gate::Step;
use crate::refusal::Refusal;
use crate::request::{AuthRequest, Client, Login, Protocol};
use crate::secret::Proof;
use crate::service::{Lifetime, Service};
use crate::store::Account;

/// What nginx would send.
pub(super) struct Attempt<'a> {
    pub(super) login: &'a str,
    pub(super) protocol: Protocol,
    pub(super) client: Option<IpAddr>,
}

/// Asks for the password and prints what happens, then the answer as nginx would get it.
pub(super) fn test(
    config: &Path,
    attempt: &Attempt<'_>,
    whom: &mut impl Ask,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let service = match Service::open(config, Lifetime::OneRequest, None, &mut Vec::new()) {
        Ok(service) => service,
        Err(problems) => {
            complain(&problems, err)?;
            return Ok(Outcome::BrokenConfig);
        }
    };
    warn(service.warnings(), err)?;
    let login = Login::new(attempt.login.as_bytes().to_vec()).map_err(|refusal| {
        CommandError::Input(format!("the login is always refused: {refusal}"))
    })?;
    let request = AuthRequest {
        protocol: attempt.protocol,
        login,
        proof: Proof::Password(ask(whom, "Password: ")?),
        attempt: Some(1),
        client: Client {
            address: attempt.client,
            ..Client::default()
        },
        envelope: None,
        tls: None,
    };
    let users = &service.config().users;
    let mut written = Ok(());
    let (mut answer, _) = service.decide(&request, &mut |step| {
        if written.is_ok() {
            written = tell(&step, users, out);
        }
    });
    written?;
    let messages = &service.config().messages;
    let mut headers = Vec::new();
    if let Err(unsayable) = answer.write(request.protocol, messages, &mut headers) {
        let trouble = crate::refusal::Trouble::Answer(unsayable.to_string());
        answer = Answer::Refuse {
            why: Refusal::Temporary(trouble),
            wait: None,
        };
        let _texts_are_checked = answer.write(request.protocol, messages, &mut headers);
    }
    let outcome = match &answer {
        Answer::Accept { .. } => Outcome::Done,
        Answer::Refuse { why, .. } => {
            match why.detail() {
                Some(detail) => writeln!(out, "refused: {why}: {}", detail.escape_debug())?,
                None => writeln!(out, "refused: {why}")?,
            }
            Outcome::Refused
        }
    };
    writeln!(out)?;
    out.write_all(&headers)?;
    Ok(outcome)
}

/// One line for one step.
fn tell(step: &Step<'_>, users: &[UsersConfig], out: &mut impl Write) -> io::Result<()> {
    let store = |number: usize| match users.get(number) {
        Some(UsersConfig::Accept) => "accept".to_owned(),
        Some(UsersConfig::File { settings, .. }) => format!("file {}", settings.path.display()),
        None => number.to_string(),
    };
    match step {
        Step::NotIn(number) => writeln!(out, "store {}: no such login", store(*number)),
        Step::FoundIn(number, account) => {
            let known = match users.get(*number) {
                Some(UsersConfig::Accept) => "takes every login with every password".to_owned(),
                _ => describe(account),
            };
            writeln!(out, "store {}: {known}", store(*number))
        }
        Step::Proven => writeln!(out, "password: right"),
        Step::Admitted => writeln!(out, "account: may log in from there"),
        Step::Routed(destination) => writeln!(
            out,
            "route: {}, to host {}\nmail server: {}",
            destination.rule,
            destination.host.escape_debug(),
            destination.upstream
        ),
    }
}

/// What a store knows, but for the secret itself.
fn describe(account: &Account) -> String {
    let mut words = match &account.secret {
        Some(secret) => format!("found, scheme {}", secret.scheme()),
        None => "found, without a password".to_owned(),
    };
    if account.disabled {
        words.push_str(", switched off (nologin)");
    }
    if account.allow_nets.is_some() {
        words.push_str(", only from some networks (allow_nets)");
    }
    if let Some(host) = &account.host {
        words.push_str(&format!(", host {}", host.escape_debug()));
    }
    if let Some(port) = account.port {
        words.push_str(&format!(", port {port}"));
    }
    if let Some(user) = &account.user {
        words.push_str(&format!(", user {}", user.escape_ascii()));
    }
    words
}

//! `route`: prints the mail server of a login and the rules that led to it, without its password.

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use super::test::{Attempt, StepPrinter, print_refusal};
use super::throttle::preview;
use super::{CommandError, Outcome, open};
use crate::auth::switches::{Networks, refused};
use crate::auth::{Step, wanted};
use crate::login::Login;
use crate::login::printable::Printable;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::Session;
use crate::route::{Candidate, Explanation, MasterUse, Role};
use crate::service::Service;
use crate::users::{Account, Passwords, Question};

/// Prints the steps of a login, and its mail server.
pub(super) fn route(
    config: &Path,
    attempt: &Attempt<'_>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let Some(service) = open(config, err)? else {
        return Ok(Outcome::BrokenConfig);
    };
    let login = attempt.login()?;
    let refused = print_steps(&service, login.clone(), attempt, out)?;
    if let Some(why) = &refused {
        print_refusal(why, out)?;
    }
    let throttled = preview(&service, &login, attempt.client, out)?;
    Ok(match refused.is_none() && throttled.is_none() {
        true => Outcome::Done,
        false => Outcome::Refused,
    })
}

/// Prints each step; returns why the login has no mail server.
fn print_steps(
    service: &Service,
    typed: Login,
    attempt: &Attempt<'_>,
    out: &mut impl Write,
) -> io::Result<Option<Refusal>> {
    let gate = service.gate();
    let mut printer = StepPrinter::new(service.config(), out);
    let login = match gate.logins.canonical(&typed) {
        Ok(login) => login,
        Err(why) => return Ok(Some(why.into())),
    };
    if login != typed {
        printer.print_step(&Step::Renamed(&login));
    }
    let asked = Question {
        login: &login,
        protocol: attempt.protocol,
        client: attempt.client,
        session: Session::default(),
        network: None,
        deadline: Instant::now() + gate.deadline,
        steps: None,
    };
    let found = gate
        .chain
        .presume(&asked, &mut |step| printer.print_step(&step));
    printer.written?;
    let account = match found {
        Ok(account) => account,
        Err(why) => return Ok(Some(why)),
    };
    if matches!(account.passwords, Passwords::AskStore) {
        writeln!(
            out,
            "note: without a password, this store cannot say for certain whether it knows the login, \
             nor its mail server"
        )?;
    }
    let way = gate.routes.explain(&wanted(&asked, &account));
    print_route(&way, &login, &account, out)?;
    let refusal = match way.outcome {
        Err(trouble) => Some(gate.chain.with_origin(trouble, &account).into()),
        Ok(_) => None,
    };
    // Without `--client-ip`, the address is not part of the question.
    let networks = match attempt.client {
        Some(_) => Networks::OfUser,
        None => Networks::Ignored,
    };
    Ok(refused(&account, &asked, networks).or(refusal))
}

fn print_route(
    way: &Explanation,
    login: &Login,
    account: &Account,
    out: &mut impl Write,
) -> io::Result<()> {
    let Some((rule, host)) = &way.host else {
        return Ok(());
    };
    match &way.user_move {
        Some(user_move) => writeln!(out, "route: {rule}, to {user_move}")?,
        None => writeln!(out, "route: {rule}, to host {}", Printable(host.as_bytes()))?,
    }
    if way.user_move.is_some() && !matches!(way.outcome, Err(Trouble::Moving(_))) {
        writeln!(out, "host: {}", Printable(host.as_bytes()))?;
    }
    for candidate in &way.candidates {
        writeln!(out, "  {}", describe(candidate))?;
    }
    let Ok(destination) = &way.outcome else {
        return Ok(());
    };
    writeln!(out, "mail server: {}", destination.upstream)?;
    if let Some(master) = &destination.master {
        let user = account.user.as_deref().unwrap_or(login.as_bytes());
        let when = match master.usage {
            MasterUse::Always => "always",
            MasterUse::WhenNeeded => "if the user's own password is unknown",
        };
        writeln!(
            out,
            "logs in there as: {}{}{}, {when}",
            Printable(user),
            Printable(master.separator.as_bytes()),
            Printable(master.login.as_bytes())
        )?;
    }
    Ok(())
}

/// `192.0.2.1: score 13.945, weight 1, alive`.
fn describe(candidate: &Candidate) -> String {
    let mut words = format!("{}: ", candidate.written);
    if let Ok(address) = &candidate.address
        && address.to_string() != candidate.written
    {
        words.push_str(&format!("at {address}, "));
    }
    if let Some(score) = candidate.score {
        words.push_str(&format!("score {score}, weight {}, ", candidate.weight));
    }
    match (candidate.role, &candidate.address) {
        (Role::Drained, _) => words.push_str("drained"),
        (role, address) => {
            if role == Role::Backup {
                words.push_str("backup, ");
            }
            match address {
                Ok(_) => words.push_str(&candidate.health.to_string()),
                Err(why) => words.push_str(&format!("cannot be resolved: {why}")),
            }
        }
    }
    words
}

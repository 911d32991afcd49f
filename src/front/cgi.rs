//! One request under CGI: meta-variables from the environment, the answer to stdout.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::commands::cli::{ConfigFile, HINT};
use crate::front::environment::{self, Variable};
use crate::front::params::{Params, Peer, TooManyPairs};
use crate::nginx::answer::Messages;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::Outline;
use crate::service::{Service, refuse};
use crate::sys::Lifetime;

/// The most meta-variables that are looked at. nginx sends up to 25 headers.
const MAX_VARIABLES: usize = 512;

/// Answers the request in the environment with this configuration.
///
/// The request's variables, one of which is the password, are gone from the environment then. The
/// answer is always one that nginx understands. It fails only where stdout cannot take it.
pub fn run(file: &ConfigFile) -> io::Result<()> {
    let started = Instant::now();
    let environment = environment::take(is_of_request);
    let mut out = Vec::with_capacity(crate::nginx::answer::MAX_ANSWER_BYTES);
    match params(&environment) {
        Ok(params) => {
            let respond = || respond(file, &params, started, &mut out);
            if catch_unwind(AssertUnwindSafe(respond)).is_err() {
                out.clear();
                let (why, outline) = (Trouble::Panic.into(), Outline::of(&params));
                refuse(why, &outline, &Messages::default(), started, &mut out);
            }
        }
        Err(TooManyPairs) => {
            let nothing = Outline::of(&Params::bounded(0));
            refuse(
                Refusal::TooLarge,
                &nothing,
                &Messages::default(),
                started,
                &mut out,
            );
        }
    }
    // The script's user at a terminal, not a web server.
    let asks = |(name, _): &Variable| name.as_bytes().starts_with(b"HTTP_AUTH_");
    if !environment.iter().any(asks) && io::stdin().is_terminal() {
        eprint!("{HINT}");
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(&out)?;
    stdout.flush()
}

fn respond(file: &ConfigFile, params: &Params<'_>, started: Instant, out: &mut Vec<u8>) {
    match Service::open(&file.path, Lifetime::OneRequest, None, &mut Vec::new()) {
        Ok(service) => {
            crate::sys::logger::set_level(service.config().log_level);
            log::debug!("{file}");
            service.respond(Peer::WebServer, params, out).wait();
        }
        Err(problems) => {
            for problem in problems {
                log::error!("{problem}");
            }
            log::error!("{file}");
            let why = Refusal::Temporary(Trouble::NoConfiguration);
            refuse(
                why,
                &Outline::of(params),
                &Messages::default(),
                started,
                out,
            );
        }
    }
}

/// Headers, and who asked; also as Apache keeps them beside, where it has redirected a request. The
/// rest of an environment can be large and is not a request's.
fn is_of_request(mut name: &[u8]) -> bool {
    while let Some(original) = name.strip_prefix(b"REDIRECT_") {
        name = original;
    }
    name.starts_with(b"HTTP_") || name == b"REMOTE_ADDR"
}

fn params(environment: &[Variable]) -> Result<Params<'_>, TooManyPairs> {
    let mut params = Params::bounded(MAX_VARIABLES);
    for (name, value) in environment {
        params.push(name.as_bytes(), value)?;
    }
    Ok(params)
}

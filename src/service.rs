//! One version of the configuration at work: the stores it opened, and answers to requests.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::auth::Methods;
use crate::auth::incoming_mail;
use crate::auth::{Admission, Chain, Gate, Step};
use crate::config::Config;
use crate::front::pace::Departure;
use crate::front::params::{Params, Peer};
use crate::nginx::answer::{Answer, Dialogue, Messages};
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::{AuthRequest, Outline};
use crate::route::{Routes, System};
use crate::service::open::open_after;
use crate::sys::Lifetime;
use crate::sys::logger::Decision;
use crate::sys::problem::Problem;
use crate::sys::sandbox::{self, Sandbox};
use crate::sys::trusted_file::{Watched, fingerprint};
use crate::sys::turnstile::Turnstile;
use crate::users::file::UsersFile;
use crate::users::file::domains::DomainFiles;

mod inspect;
pub mod needs;
pub mod open;
mod parts;
mod probe;
pub mod reload;

pub use inspect::Inspection;
use parts::{throttle, unread, whole};

/// The configuration and what it opened; it never changes. A reload makes a new one.
pub struct Service {
    config: Config,
    gate: Gate,
    files: Vec<Arc<UsersFile>>,
    domain_files: Vec<Arc<DomainFiles>>,
    warnings: Vec<Problem>,
}

/// An answer, and what the log has of it.
pub struct Decided {
    /// The answer.
    pub answer: Answer,
    /// The name of the host that it leads to.
    pub host: Option<Arc<str>>,
    /// The label of the app password that the client sent.
    pub app_password: Option<String>,
    /// When the answer may leave at the earliest.
    pub earliest: Option<Instant>,
}

impl Service {
    /// Loads the configuration and opens all that it names. Every problem of the load is in the
    /// error; every file that matters is in `watched` either way.
    ///
    /// `before` is the service that this one replaces: what has not changed is kept, and host names
    /// that cannot be looked up at the moment keep the address that they have there.
    pub fn open(
        path: &Path,
        lifetime: Lifetime,
        before: Option<&Self>,
        watched: &mut Watched,
    ) -> Result<Self, Vec<Problem>> {
        let anything = |_: &Config| Vec::new();
        let unfinished = &mut Vec::new();
        whole(Self::assemble(
            path, lifetime, before, watched, unfinished, anything,
        ))
    }

    /// The same for a server, in the sandbox that it is in. What the sandbox rules out is a problem,
    /// and then nothing else is opened.
    ///
    /// Of the configuration and the files with secrets that it names, `unfinished` has those whose
    /// last line has no line feed, so that it may be half.
    pub fn open_in(
        sandbox: Option<&Sandbox>,
        path: &Path,
        before: Option<&Self>,
        watched: &mut Watched,
        unfinished: &mut Vec<PathBuf>,
    ) -> Result<Self, Vec<Problem>> {
        let possible = |config: &Config| sandbox::impossible(sandbox, config);
        whole(Self::assemble(
            path,
            Lifetime::Server,
            before,
            watched,
            unfinished,
            possible,
        ))
    }

    /// Makes what can be made. With any problem, the result is not one to answer with: a store
    /// may be missing in it, or a key. `impossible` tells what need not be tried at all.
    fn assemble(
        path: &Path,
        lifetime: Lifetime,
        before: Option<&Self>,
        watched: &mut Watched,
        unfinished: &mut Vec<PathBuf>,
        impossible: impl FnOnce(&Config) -> Vec<Problem>,
    ) -> (Option<Self>, Vec<Problem>) {
        watched.push((path.to_path_buf(), fingerprint(path).ok()));
        let (config, mut problems) = match Config::salvage(path) {
            Ok(salvaged) => salvaged,
            Err(problem) => return (None, vec![problem]),
        };
        unfinished.clone_from(&config.unfinished);
        watched.extend(
            config
                .files
                .iter()
                .skip(1)
                .map(|(path, seen)| (path.clone(), Some(seen.clone()))),
        );
        if !problems.is_empty() {
            // One of them may be why: what could not be read is watched too.
            watched.extend(unread(&config));
        }
        let impossible = impossible(&config);
        if !impossible.is_empty() {
            // That such a file cannot be read is said already, and better.
            problems.retain(|problem| impossible.iter().all(|other| other.key != problem.key));
            problems.extend(impossible);
            return (None, problems);
        }
        let opened = open_after(&config, lifetime, before);
        watched.extend(opened.watched);
        problems.extend(parts::unsaid(opened.problems, &problems));
        let mut warnings = config.warnings.clone();
        warnings.extend(opened.warnings);
        let methods = Methods::open(&config, lifetime, watched, &mut problems, &mut warnings);
        let (routes, hashes) = match lifetime {
            Lifetime::OneRequest => (
                Routes::lazy(&config.routes, System.lookups_of_hosts()),
                NonZeroUsize::MIN,
            ),
            Lifetime::Server => {
                let before = before.map(|service| &service.gate.routes);
                (
                    Routes::open(&config.routes, System.lookups_of_hosts(), before),
                    config.max_hashes(),
                )
            }
        };
        let hashing = match &config.hash_locks {
            None => Turnstile::new(hashes),
            Some(folder) => {
                Turnstile::shared(config.max_hashes(), folder).unwrap_or_else(|error| {
                    // Logins go on: it bounds work, and keeps nobody out.
                    warnings.push(Problem {
                        file: config.path.clone(),
                        place: config.hash_locks_place,
                        key: Some("limits.hash-locks".to_owned()),
                        message: format!("{error}; each process counts its own hashes"),
                    });
                    Turnstile::new(hashes)
                })
            }
        };
        let gate = Gate {
            logins: config.logins.clone(),
            masters: opened.masters,
            methods,
            chain: Chain::new(opened.sources, hashing, config.remembered_logins)
                .with_memory_of(before.map(|before| &before.gate.chain)),
            routes,
            retry: config.retry,
            throttle: throttle(&config, lifetime, before),
            deadline: config.deadline,
        };
        let service = Self {
            warnings,
            files: opened.files,
            domain_files: opened.domain_files,
            ..Self::new(config, gate)
        };
        (Some(service), problems)
    }

    /// A service made of parts that are at hand.
    pub fn new(config: Config, gate: Gate) -> Self {
        Self {
            config,
            gate,
            files: Vec::new(),
            domain_files: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The decision's parts.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The password files, each of which can be replaced by another version of it.
    pub fn users_files(&self) -> &[Arc<UsersFile>] {
        &self.files
    }

    /// The folders with a password file for each domain.
    pub fn domain_files(&self) -> &[Arc<DomainFiles>] {
        &self.domain_files
    }

    /// What an administrator should look at, though it works.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The same service, but wrong passwords count for nothing: an administrator tries something.
    pub fn without_throttle(mut self) -> Self {
        self.gate.throttle = None;
        self
    }

    /// The hosts that have no address at the moment.
    pub fn unresolved(&self) -> Vec<Problem> {
        self.gate.routes.unresolved(&self.config.path)
    }

    /// Appends the answer to one request, and logs the decision; says when the answer may leave.
    pub fn respond(&self, peer: Peer, params: &Params<'_>, out: &mut Vec<u8>) -> Departure {
        let started = Instant::now();
        let start = out.len();
        let answered = catch_unwind(AssertUnwindSafe(|| self.answer(peer, params, started, out)));
        answered.unwrap_or_else(|_| {
            out.truncate(start);
            let why = Refusal::Temporary(Trouble::Panic);
            refuse(
                why,
                &Outline::of(params),
                &self.config.messages,
                started,
                out,
            );
            in_step(started)
        })
    }

    fn answer(
        &self,
        peer: Peer,
        params: &Params<'_>,
        started: Instant,
        out: &mut Vec<u8>,
    ) -> Departure {
        let messages = &self.config.messages;
        let request = match AuthRequest::from_params(params, peer, &self.config.fronts) {
            Ok(request) => request,
            Err(why) => {
                if why.is_of_a_stranger() {
                    self.turn_away(why, peer, params, started, out);
                } else {
                    refuse(why, &Outline::of(params), messages, started, out);
                }
                return in_step(started);
            }
        };
        let Decided {
            mut answer,
            host,
            app_password,
            earliest,
        } = self.decide(&request, &mut |_| {});
        if let Err(unsayable) = answer.write(request.dialogue(), messages, out) {
            let why = Refusal::Temporary(Trouble::Answer(unsayable.to_string()));
            answer = Answer::Refuse {
                why,
                wait: self.gate.wait(&request),
            };
            write_refusal(&answer, request.dialogue(), messages, out);
        }
        let recipient = request
            .envelope
            .map(|envelope| incoming_mail::shown(envelope.to));
        Decision {
            login: Some(request.login.as_bytes()),
            protocol: request.protocol.word(),
            client: request.client.address,
            recipient: recipient.as_deref(),
            host: host.as_deref(),
            user: match &answer {
                Answer::Accept { user, .. } => user.as_deref(),
                Answer::Refuse { .. } => None,
            },
            app_password: app_password.as_deref(),
            refusal: match &answer {
                Answer::Accept { .. } => None,
                Answer::Refuse { why, .. } => Some(why),
            },
            peer: None,
            took: started.elapsed(),
        }
        .log();
        match answer {
            Answer::Accept { .. } => Departure::AtOnce,
            Answer::Refuse { .. } => match earliest {
                None => in_step(started),
                Some(earliest) => Departure::Held {
                    came: started,
                    earliest,
                },
            },
        }
    }

    /// Answers whoever may not ask as if the password were wrong, and looks at nothing but how to
    /// word that.
    fn turn_away(
        &self,
        why: Refusal,
        peer: Peer,
        params: &Params<'_>,
        started: Instant,
        out: &mut Vec<u8>,
    ) {
        let outline = Outline::of(params);
        let wait = outline
            .method
            .and_then(|method| self.gate.wait_after(method, outline.attempt));
        let answer = Answer::Refuse { why, wait };
        write_refusal(&answer, outline.dialogue(), &self.config.messages, out);
        let Answer::Refuse { why, .. } = &answer else {
            return;
        };
        Decision {
            login: None,
            protocol: outline.protocol.word(),
            client: None,
            recipient: None,
            user: None,
            app_password: None,
            host: None,
            refusal: Some(why),
            peer: self.config.fronts.stranger(params, peer),
            took: started.elapsed(),
        }
        .log();
    }

    /// The answer to a request, and what the log has of it; `note` hears each step.
    pub fn decide(&self, request: &AuthRequest<'_>, note: &mut impl FnMut(Step<'_>)) -> Decided {
        match self.gate.admit(request, note) {
            Ok(Admission {
                destination,
                user,
                password,
                app_password,
            }) => Decided {
                answer: Answer::Accept {
                    upstream: destination.upstream,
                    user,
                    password,
                },
                host: Some(destination.host),
                app_password,
                earliest: None,
            },
            Err(denial) => Decided {
                answer: Answer::Refuse {
                    why: denial.why,
                    wait: denial.wait,
                },
                host: None,
                app_password: None,
                earliest: denial.earliest,
            },
        }
    }
}

/// For whatever is refused without a look at who it is.
fn in_step(came: Instant) -> Departure {
    Departure::InStep { came }
}

/// Appends a refusal where there is no request that could be read, and logs it.
pub fn refuse(
    why: Refusal,
    outline: &Outline<'_>,
    messages: &Messages,
    started: Instant,
    out: &mut Vec<u8>,
) {
    let answer = Answer::Refuse { why, wait: None };
    write_refusal(&answer, outline.dialogue(), messages, out);
    let Answer::Refuse { why, .. } = &answer else {
        return;
    };
    Decision {
        login: outline.user,
        protocol: outline.protocol.word(),
        client: outline.client,
        recipient: None,
        user: None,
        app_password: None,
        host: None,
        refusal: Some(why),
        peer: None,
        took: started.elapsed(),
    }
    .log();
}

/// A refusal consists of checked texts and numbers; should one break a rule all the same, the
/// client still gets an answer.
fn write_refusal(answer: &Answer, dialogue: Dialogue, messages: &Messages, out: &mut Vec<u8>) {
    if answer.write(dialogue, messages, out).is_err() {
        out.extend_from_slice(b"Auth-Status: ");
        out.extend_from_slice(Messages::TEMPORARY.as_bytes());
        out.extend_from_slice(b"\n\n");
    }
}

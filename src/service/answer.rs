//! Answers requests: makes the decision, the bytes for nginx and the log line. All requests are
//! answered here.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::Service;
use super::decision::Decision;
use super::slow::Slow;
use super::status::HostCounts;
use super::status::counts::COUNTS;
use crate::auth::{Admission, Step, incoming_mail};
use crate::front::NoRequest;
use crate::front::pace::SendTime;
use crate::front::params::{Params, Peer};
use crate::login::Protocol;
use crate::nginx::answer::{Answer, Dialogue, Messages};
use crate::nginx::cause::Cause;
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::{AuthRequest, Method, Outline};
use crate::sys::steps::StepTimes;

/// An answer, and its data for the log.
pub struct Decided {
    /// The answer.
    pub answer: Answer,
    /// The name of the host in the answer.
    pub host: Option<Arc<str>>,
    /// The label of the app password that the client sent.
    pub app_password: Option<String>,
    /// The earliest time to send the answer.
    pub earliest: Option<Instant>,
}

impl Decided {
    /// A refusal without a decision.
    fn refused(why: Refusal, wait: Option<NonZeroU32>) -> Self {
        Self {
            answer: Answer::Refuse { why, wait },
            host: None,
            app_password: None,
            earliest: None,
        }
    }
}

/// The data of a request for the answer and the log, besides the decision.
struct Asked<'a> {
    dialogue: Dialogue,
    protocol: Protocol,
    /// `None` if it is unknown or not trusted.
    method: Option<Method>,
    /// The login, or the part of it that could be read and is trusted.
    login: Option<&'a [u8]>,
    client: Option<IpAddr>,
    recipient: Option<Vec<u8>>,
    /// The sender of a request without the key.
    peer: Option<IpAddr>,
    /// Seconds that nginx delays a refusal which replaces an answer that cannot be written.
    wait: Option<NonZeroU32>,
    arrived: Instant,
    /// Counts an accepted login of a host.
    hosts: Option<&'a HostCounts>,
}

impl<'a> Asked<'a> {
    /// A request that could not be read completely.
    fn in_outline(outline: &Outline<'a>, arrived: Instant) -> Self {
        Self {
            dialogue: outline.dialogue(),
            protocol: outline.protocol,
            method: outline.method,
            login: outline.user,
            client: outline.client,
            recipient: None,
            peer: None,
            wait: None,
            arrived,
            hosts: None,
        }
    }
}

impl Service {
    /// Appends the answer to one request, logs the decision, and returns when the answer may be
    /// sent.
    pub fn respond(&self, peer: Peer, params: &Params<'_>, out: &mut Vec<u8>) -> SendTime {
        let arrived = Instant::now();
        let start = out.len();
        let answered = catch_unwind(AssertUnwindSafe(|| self.answer(peer, params, arrived, out)));
        answered.unwrap_or_else(|_| {
            out.truncate(start);
            let why = Refusal::Temporary(Trouble::Panic);
            refuse(
                why,
                &Outline::of(params),
                &self.config.messages,
                arrived,
                out,
            )
        })
    }

    fn answer(
        &self,
        peer: Peer,
        params: &Params<'_>,
        arrived: Instant,
        out: &mut Vec<u8>,
    ) -> SendTime {
        let messages = &self.config.messages;
        let request = match AuthRequest::from_params(params, peer, &self.config.fronts) {
            Ok(request) => request,
            Err(why) if why.is_of_a_stranger() => {
                return self.turn_away(why, peer, params, arrived, out);
            }
            Err(why) => return refuse(why, &Outline::of(params), messages, arrived, out),
        };
        let slow = self.config.log.slow;
        let steps = slow.map(|_| StepTimes::default());
        let decided = self.decide_measured(&request, steps.as_ref(), &mut |_| {});
        let connection = request.connection();
        let (login, recipient) = match &request {
            AuthRequest::LogIn(request) => (request.login.as_bytes(), None),
            AuthRequest::TakeMail(request) => {
                let recipient = incoming_mail::shown(request.envelope.to);
                (&b""[..], Some(recipient))
            }
        };
        let asked = Asked {
            dialogue: request.dialogue(),
            protocol: connection.protocol,
            method: Some(request.method()),
            login: Some(login),
            client: connection.client.address,
            recipient,
            peer: None,
            wait: self.gate.wait(&request),
            arrived,
            hosts: Some(&self.hosts),
        };
        finish_and(decided, &asked, messages, out, |decision| {
            if let (Some(slow), Some(steps)) = (slow, &steps)
                && decision.took >= slow
            {
                Slow::new(decision, steps, &self.config.users).log();
            }
        })
    }

    /// Answers a sender that is not allowed as if the password were wrong, and reads only the parts
    /// that the text depends on.
    fn turn_away(
        &self,
        why: Refusal,
        peer: Peer,
        params: &Params<'_>,
        arrived: Instant,
        out: &mut Vec<u8>,
    ) -> SendTime {
        let outline = Outline::of(params);
        let wait = outline
            .method
            .and_then(|method| self.gate.wait_after(method, outline.attempt));
        let asked = Asked {
            login: None,
            client: None,
            method: None,
            peer: self.config.fronts.stranger(params, peer),
            ..Asked::in_outline(&outline, arrived)
        };
        finish(
            Decided::refused(why, wait),
            &asked,
            &self.config.messages,
            out,
        )
    }

    /// The answer to a request, and its data for the log; `note` gets each step.
    pub fn decide(&self, request: &AuthRequest<'_>, note: &mut impl FnMut(Step<'_>)) -> Decided {
        self.decide_measured(request, None, note)
    }

    fn decide_measured(
        &self,
        request: &AuthRequest<'_>,
        steps: Option<&StepTimes>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Decided {
        match self.gate.admit_measured(request, steps, note) {
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

/// Appends a refusal if there is no readable request, and logs it.
pub fn refuse(
    why: Refusal,
    outline: &Outline<'_>,
    messages: &Messages,
    arrived: Instant,
    out: &mut Vec<u8>,
) -> SendTime {
    let asked = Asked::in_outline(outline, arrived);
    finish(Decided::refused(why, None), &asked, messages, out)
}

/// The log cause for a transport that has no request.
pub(super) fn cause_of(none: NoRequest) -> Refusal {
    match none {
        NoRequest::Aborted | NoRequest::TooSlow => Trouble::Aborted.into(),
        NoRequest::Overloaded => Trouble::Overloaded.into(),
        NoRequest::TooLarge => Refusal::TooLarge,
        NoRequest::Malformed => Refusal::Malformed,
    }
}

/// Appends an answer, and writes its log line.
fn finish(decided: Decided, asked: &Asked<'_>, messages: &Messages, out: &mut Vec<u8>) -> SendTime {
    finish_and(decided, asked, messages, out, |_| {})
}

/// The same, and passes the logged decision on.
fn finish_and(
    decided: Decided,
    asked: &Asked<'_>,
    messages: &Messages,
    out: &mut Vec<u8>,
    logged: impl FnOnce(&Decision<'_>),
) -> SendTime {
    let mut answer = decided.answer;
    if let Err(unsayable) = answer.write(asked.dialogue, messages, out) {
        answer = Answer::Refuse {
            why: Refusal::Temporary(Trouble::Answer(unsayable.to_string())),
            wait: asked.wait,
        };
        // A refusal consists of checked texts and numbers. Should one still violate a rule, the
        // client gets another answer.
        if answer.write(asked.dialogue, messages, out).is_err() {
            out.extend_from_slice(b"Auth-Status: ");
            out.extend_from_slice(Messages::TEMPORARY.as_bytes());
            out.extend_from_slice(b"\n\n");
        }
    }
    let (user, refusal) = match &answer {
        Answer::Accept { user, .. } => (user.as_deref(), None),
        Answer::Refuse { why, .. } => (None, Some(why)),
    };
    let took = asked.arrived.elapsed();
    let cause = refusal.map_or(Cause::Accepted, Refusal::cause);
    COUNTS.note(cause, asked.protocol, asked.method, took);
    if let (None, Some(hosts), Some(host)) = (refusal, asked.hosts, &decided.host) {
        hosts.note(host, asked.protocol);
    }
    let decision = Decision {
        login: asked.login,
        protocol: asked.protocol.word(),
        client: asked.client,
        recipient: asked.recipient.as_deref(),
        host: decided.host.as_deref(),
        user,
        app_password: decided.app_password.as_deref(),
        refusal,
        peer: asked.peer,
        took,
    };
    decision.log();
    logged(&decision);
    let came = asked.arrived;
    match (refusal, decided.earliest) {
        (None, _) => SendTime::AtOnce,
        (Some(_), None) => SendTime::NextStep { came },
        (Some(_), Some(earliest)) => SendTime::Held { came, earliest },
    }
}

//! A circuit breaker: limits the questions that wait for one store, and stops asking a store that
//! does not answer.
//!
//! A question to a store that hangs holds its thread and its connection until the time-out. So the
//! number of waiting questions per store is limited. After several unanswered questions in a row
//! the circuit is open: the store gets one question a second until it answers, and all other
//! questions fail at once.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::sys::outage::Outage;
use crate::sys::semaphore::{NoPermit, Permit, Requester, Semaphore};

/// A question that fails sooner does not count, because it delays no other.
const SLOW_FAILURE: Duration = Duration::from_millis(500);

/// How many questions in a row must fail before the circuit opens. A single login alone can be
/// slow: its statement may take long, while others are quick.
const FAILURES_TO_OPEN: u32 = 3;

/// The probe interval while the circuit is open.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Limits the questions that wait for one store or service.
#[derive(Debug)]
pub struct CircuitBreaker {
    /// The name of the store or service in the log.
    name: String,
    most: NonZeroUsize,
    semaphore: Semaphore,
    state: Mutex<State>,
    outage: Outage,
}

#[derive(Debug, Default)]
struct State {
    /// Slow failed questions since the last answer.
    unanswered: u32,
    /// The time until which the last failure counts.
    until: Option<Instant>,
    /// When the last question was admitted.
    let_in: Option<Instant>,
    /// When the circuit last opened or closed.
    changed: Option<Instant>,
}

/// The state of a circuit, for the status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// Whether it is open: the store is asked once a second.
    pub open: bool,
    /// When it last opened or closed; `None`: it has always been closed.
    pub since: Option<Instant>,
    /// The questions that wait for an answer.
    pub waiting: usize,
    /// The maximum number of them.
    pub most: NonZeroUsize,
}

impl State {
    fn is_open(&self, now: Instant) -> bool {
        self.unanswered >= FAILURES_TO_OPEN && self.until.is_some_and(|until| now < until)
    }
}

/// Why a question is rejected without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// This many questions wait already.
    AllTaken(NonZeroUsize),
    /// This login or this network already has its share of this many.
    ShareTaken(NonZeroUsize),
    /// The circuit is open.
    CircuitOpen,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllTaken(most) => {
                write!(f, "{most} questions wait for it already (max-questions)")
            }
            Self::ShareTaken(most) => write!(
                f,
                "this login, or its network, has its share of the {most} questions that may wait for \
                 it (max-questions)"
            ),
            Self::CircuitOpen => f.write_str("it hangs, and is asked only once a second"),
        }
    }
}

/// An admitted question. It counts until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct AdmittedQuestion<'a> {
    breaker: &'a CircuitBreaker,
    since: Instant,
    _permit: Permit<'a>,
}

impl CircuitBreaker {
    /// Admits at most `most` questions at once; `name` is the name in the log.
    pub fn new(name: String, most: NonZeroUsize) -> Self {
        Self {
            name,
            most,
            semaphore: Semaphore::new(most),
            state: Mutex::default(),
            outage: Outage::default(),
        }
    }

    /// Admits a question, or returns at once why not.
    pub fn enter(&self, requester: Requester<'_>) -> Result<AdmittedQuestion<'_>, Rejection> {
        self.enter_for(requester, Instant::now())
    }

    #[cfg(test)]
    fn enter_at(&self, now: Instant) -> Result<AdmittedQuestion<'_>, Rejection> {
        self.enter_for(Requester::default(), now)
    }

    fn enter_for(
        &self,
        requester: Requester<'_>,
        now: Instant,
    ) -> Result<AdmittedQuestion<'_>, Rejection> {
        let mut state = self.lock();
        let due = |at: Instant| now.saturating_duration_since(at) >= PROBE_INTERVAL;
        if state.is_open(now) && !state.let_in.is_none_or(due) {
            return Err(Rejection::CircuitOpen);
        }
        let permit = self
            .semaphore
            .try_acquire(requester)
            .map_err(|taken| match taken {
                NoPermit::AllTaken => Rejection::AllTaken(self.most),
                NoPermit::ShareTaken => Rejection::ShareTaken(self.most),
            })?;
        state.let_in = Some(now);
        Ok(AdmittedQuestion {
            breaker: self,
            since: now,
            _permit: permit,
        })
    }

    /// Its state now.
    pub fn circuit(&self) -> Circuit {
        let (waiting, _) = self.semaphore.load();
        let now = Instant::now();
        let state = self.lock();
        let open = state.is_open(now);
        // It also closes without an answer, after some time without a question.
        let expired = state.until.filter(|until| !open && *until <= now);
        Circuit {
            open,
            since: expired
                .filter(|_| state.unanswered >= FAILURES_TO_OPEN)
                .or(state.changed),
            waiting,
            most: self.most,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AdmittedQuestion<'_> {
    /// Notes an answer, whatever it says.
    pub fn answered(self) {
        let mut state = self.breaker.lock();
        if state.unanswered >= FAILURES_TO_OPEN {
            state.changed = Some(Instant::now());
        }
        state.unanswered = 0;
        state.until = None;
        drop(state);
        if self.breaker.outage.ends() {
            log::warn!("{}: it answers, and is asked as before", self.breaker.name);
        }
    }

    /// Notes that there was no answer.
    pub fn unanswered(self) {
        self.unanswered_at(Instant::now());
    }

    fn unanswered_at(self, now: Instant) {
        let took = now.saturating_duration_since(self.since);
        if took < SLOW_FAILURE {
            return;
        }
        let mut state = self.breaker.lock();
        let was_open = state.is_open(now);
        state.unanswered = state.unanswered.saturating_add(1);
        // By then, a question that is admitted now has ended.
        state.until = Some(now + took + PROBE_INTERVAL * 2);
        let is_open = state.is_open(now);
        if is_open && !was_open {
            state.changed = Some(now);
        }
        drop(state);
        if is_open && self.breaker.outage.begins() {
            log::warn!(
                "{}: {FAILURES_TO_OPEN} questions in a row were not answered in time; until one is, it is \
                 asked only once a second",
                self.breaker.name
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::Network;

    fn breaker(most: usize) -> CircuitBreaker {
        CircuitBreaker::new("it".to_owned(), NonZeroUsize::new(most).unwrap())
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Makes `FAILURES_TO_OPEN` questions fail, each after `took`; returns the time after that.
    fn unanswered(breaker: &CircuitBreaker, start: Instant, took: Duration) -> Instant {
        let asking: Vec<_> = (0..FAILURES_TO_OPEN)
            .map(|_| breaker.enter_at(start).unwrap())
            .collect();
        for asking in asking {
            asking.unanswered_at(start + took);
        }
        start + took
    }

    #[test]
    fn the_limit_admits_as_many_questions_as_it_has_permits() {
        let breaker = breaker(2);
        let most = breaker.most;
        let enter = || breaker.enter(Requester::default());
        let one = enter().unwrap();
        let two = enter().unwrap();
        assert_eq!(enter().unwrap_err(), Rejection::AllTaken(most));
        one.answered();
        let three = enter().unwrap();
        assert_eq!(enter().unwrap_err(), Rejection::AllTaken(most));
        two.unanswered();
        drop(three);
        let _both = [enter().unwrap(), enter().unwrap()];
    }

    #[test]
    fn one_login_or_network_leaves_some_questions_to_others() {
        let breaker = breaker(4);
        let requester = |login: &'static [u8]| Requester {
            login: Some(login),
            network: Network::parse("192.0.2.1"),
        };
        let logins: [&[u8]; 3] = [b"a", b"b", b"c"];
        let _asking = logins.map(|login| breaker.enter(requester(login)).unwrap());
        let closed = breaker.enter(requester(b"d")).unwrap_err();
        assert_eq!(closed, Rejection::ShareTaken(breaker.most));
        let other = Requester {
            network: None,
            ..requester(b"d")
        };
        let _other = breaker.enter(other).unwrap();
    }

    #[test]
    fn an_open_circuit_probes_once_a_second_until_an_answer() {
        let breaker = breaker(9);
        let now = unanswered(&breaker, Instant::now(), seconds(4));
        assert_eq!(breaker.circuit().since, Some(now));
        let first = breaker.enter_at(now).unwrap();
        for at in [now, now + seconds(1) - Duration::from_millis(1)] {
            assert_eq!(breaker.enter_at(at).unwrap_err(), Rejection::CircuitOpen);
        }
        let second = breaker.enter_at(now + seconds(1)).unwrap();
        first.unanswered_at(now + seconds(4));
        let third = breaker.enter_at(now + seconds(4)).unwrap();
        let at = now + seconds(4);
        assert_eq!(breaker.enter_at(at).unwrap_err(), Rejection::CircuitOpen);
        assert_eq!(breaker.circuit().since, Some(now));
        second.answered();
        let circuit = breaker.circuit();
        assert!(!circuit.open && circuit.since.is_some_and(|since| since != now));
        drop(third);
        let _all: Vec<_> = (0..9).map(|_| breaker.enter_at(at).unwrap()).collect();
    }

    #[test]
    fn old_failures_do_not_count() {
        let breaker = breaker(9);
        let now = unanswered(&breaker, Instant::now(), seconds(4));
        let later = now + seconds(6);
        let _all: Vec<_> = (0..9).map(|_| breaker.enter_at(later).unwrap()).collect();
    }

    #[test]
    fn fast_or_single_failures_do_not_open_the_circuit() {
        let quick = breaker(9);
        let now = unanswered(&quick, Instant::now(), SLOW_FAILURE / 2);
        let _all: Vec<_> = (0..9).map(|_| quick.enter_at(now).unwrap()).collect();
        let sometimes = breaker(9);
        let start = Instant::now();
        for _ in 0..FAILURES_TO_OPEN * 3 {
            let (slow, fine) = (sometimes.enter_at(start), sometimes.enter_at(start));
            slow.unwrap().unanswered_at(start + seconds(4));
            fine.unwrap().answered();
        }
        assert!(sometimes.enter_at(start + seconds(4)).is_ok());
    }
}

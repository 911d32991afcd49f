//! The counts of decisions, which belong to the process: a reload does not forget them.

use std::time::Duration;

use super::history::History;
use crate::login::Protocol;
use crate::nginx::cause::Cause;
use crate::nginx::request::Method;
use crate::sys::count::{Counter, Histogram};

/// The kinds of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) enum Kind {
    /// The login is accepted.
    Accepted,
    /// The login is refused.
    Refused,
    /// A temporary failure.
    Temporary,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 3] = [Self::Accepted, Self::Refused, Self::Temporary];

    /// The kind of answer that a cause leads to.
    pub(in crate::service) fn of(cause: Cause) -> Self {
        match cause {
            Cause::Accepted => Self::Accepted,
            _ if cause.is_temporary() => Self::Temporary,
            _ => Self::Refused,
        }
    }

    /// The word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Temporary => "temporary",
        }
    }
}

/// The protocols, in the order of their numbers.
pub(super) const PROTOCOLS: [Protocol; 3] = [Protocol::Imap, Protocol::Pop3, Protocol::Smtp];

/// The words for the methods, in the order of their numbers. The last one stands for a method that is
/// unknown, or that was not read because the sender is not trusted.
pub(super) const METHODS: [&str; 7] = [
    "plain", "cram-md5", "apop", "external", "none", "token", "unknown",
];

/// The index of a method in [`METHODS`].
fn number_of(method: Option<Method>) -> usize {
    match method {
        Some(Method::Plain) => 0,
        Some(Method::CramMd5) => 1,
        Some(Method::Apop) => 2,
        Some(Method::External) => 3,
        Some(Method::None) => 4,
        Some(Method::Token) => 5,
        None => 6,
    }
}

/// Counts of decisions. All sizes are fixed: no value of a client makes a further counter.
pub(in crate::service) struct Counts {
    causes: [[Counter; PROTOCOLS.len()]; Cause::ALL.len()],
    methods: [[Counter; Kind::ALL.len()]; METHODS.len()],
    took: [Histogram; Kind::ALL.len()],
    history: History,
}

/// The counts of this process.
pub(in crate::service) static COUNTS: Counts = Counts::new();

impl Counts {
    const fn new() -> Self {
        Self {
            causes: [const { [const { Counter::new() }; PROTOCOLS.len()] }; Cause::ALL.len()],
            methods: [const { [const { Counter::new() }; Kind::ALL.len()] }; METHODS.len()],
            took: [const { Histogram::new() }; Kind::ALL.len()],
            history: History::new(),
        }
    }

    /// Counts one decision.
    pub(in crate::service) fn note(
        &self,
        cause: Cause,
        protocol: Protocol,
        method: Option<Method>,
        took: Duration,
    ) {
        let kind = Kind::of(cause) as usize;
        self.history.note(kind, took);
        let of_cause = self.causes.get(cause.number());
        let counter = of_cause.and_then(|protocols| protocols.get(protocol as usize));
        counter.into_iter().for_each(Counter::add_one);
        let of_method = self.methods.get(number_of(method));
        let counter = of_method.and_then(|kinds| kinds.get(kind));
        counter.into_iter().for_each(Counter::add_one);
        if let Some(histogram) = self.took.get(kind) {
            histogram.observe(took);
        }
    }

    /// Each cause with its counts by protocol.
    pub(super) fn causes(&self) -> impl Iterator<Item = (Cause, [u64; PROTOCOLS.len()])> {
        let counts = self
            .causes
            .iter()
            .map(|counters| counters.each_ref().map(Counter::get));
        Cause::ALL.iter().copied().zip(counts)
    }

    /// Each method with its counts by kind of answer.
    pub(super) fn methods(&self) -> impl Iterator<Item = (&'static str, [u64; Kind::ALL.len()])> {
        let counts = self
            .methods
            .iter()
            .map(|counters| counters.each_ref().map(Counter::get));
        METHODS.into_iter().zip(counts)
    }

    /// How long the decisions of each kind took.
    pub(super) fn took(&self) -> impl Iterator<Item = (Kind, &Histogram)> {
        Kind::ALL.into_iter().zip(&self.took)
    }

    /// The counts of the last hour.
    pub(super) fn history(&self) -> &History {
        &self.history
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_have_the_order_of_their_numbers() {
        for (number, protocol) in PROTOCOLS.into_iter().enumerate() {
            assert_eq!(protocol as usize, number);
        }
    }

    #[test]
    fn a_decision_counts_once_in_each_table() {
        let counts = Counts::new();
        let took = Duration::from_micros(300);
        counts.note(Cause::Accepted, Protocol::Imap, Some(Method::Plain), took);
        counts.note(
            Cause::WrongPassword,
            Protocol::Smtp,
            Some(Method::Apop),
            took,
        );
        counts.note(Cause::Panic, Protocol::Pop3, None, took);
        let causes: Vec<_> = counts
            .causes()
            .filter(|(_, counts)| *counts != [0; 3])
            .collect();
        let expected = [
            (Cause::Accepted, [1, 0, 0]),
            (Cause::WrongPassword, [0, 0, 1]),
            (Cause::Panic, [0, 1, 0]),
        ];
        assert_eq!(causes, expected);
        let methods: Vec<_> = counts
            .methods()
            .filter(|(_, counts)| *counts != [0; 3])
            .collect();
        let expected = [
            ("plain", [1, 0, 0]),
            ("apop", [0, 1, 0]),
            ("unknown", [0, 0, 1]),
        ];
        assert_eq!(methods, expected);
        for (kind, histogram) in counts.took() {
            let (buckets, micros) = histogram.read();
            assert_eq!((buckets[1], micros), (1, 300), "{kind:?}");
        }
    }
}

//! What a decision spends its time on, for the line of a slow one.

use std::cell::RefCell;
use std::time::{Duration, Instant};

/// A part of a decision that can take long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimedStep {
    /// Reading and writing the counts of wrong passwords.
    Throttle,
    /// A question to the store of this `[[users]]`, from 0, with the connection that it needs.
    Store(usize),
    /// The users of `[master]`.
    Masters,
    /// Waiting for a free place to compute a password hash.
    HashQueue,
    /// Computing a password hash.
    Hash,
    /// Checking a token, with its introspection.
    Token,
    /// Choosing the mail server: host names in DNS, and the probes of mail servers.
    Route,
}

/// The time of each step of one decision.
#[derive(Debug, Default)]
pub struct StepTimes(RefCell<Vec<(TimedStep, Duration)>>);

impl StepTimes {
    /// Runs `work`, and adds its time to this step; without steps, no clock is read.
    pub fn time<T>(steps: Option<&Self>, step: TimedStep, work: impl FnOnce() -> T) -> T {
        let Some(steps) = steps else {
            return work();
        };
        let started = Instant::now();
        let result = work();
        steps.add(step, started.elapsed());
        result
    }

    fn add(&self, step: TimedStep, took: Duration) {
        let mut steps = self.0.borrow_mut();
        match steps.iter_mut().find(|(other, _)| *other == step) {
            Some((_, sum)) => *sum += took,
            None => steps.push((step, took)),
        }
    }

    /// The steps in the order in which they began, each with its whole time.
    pub fn all(&self) -> Vec<(TimedStep, Duration)> {
        self.0.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_step_are_added() {
        let steps = StepTimes::default();
        assert_eq!(StepTimes::time(Some(&steps), TimedStep::Route, || 7), 7);
        for (step, millis) in [
            (TimedStep::Hash, 20),
            (TimedStep::Store(1), 3),
            (TimedStep::Hash, 22),
        ] {
            steps.add(step, Duration::from_millis(millis));
        }
        let all = steps.all();
        let steps: Vec<_> = all.iter().map(|(step, _)| *step).collect();
        assert_eq!(
            steps,
            [TimedStep::Route, TimedStep::Hash, TimedStep::Store(1)]
        );
        assert_eq!(all[1].1, Duration::from_millis(42));
        assert_eq!(StepTimes::time(None, TimedStep::Token, || 8), 8);
    }
}

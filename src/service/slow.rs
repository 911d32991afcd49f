//! The log line of a slow decision: it names the step that took the time.

use std::fmt;
use std::time::Duration;

use log::Level;

use super::decision::{Decision, Millis};
use crate::config::UsersConfig;
use crate::sys::logger::{self, Event, MAX_FIELD, TakeField, Value};
use crate::sys::steps::{StepTimes, TimedStep};

/// A decision that took longer than `slow-ms`, in logfmt: `slow step="hash-queue" step-ms=2100.000
/// steps="throttle 0.210, hash-queue 2100.000, hash 20.118, other 0.095" login="alice" protocol=imap
/// client=192.0.2.7 answer=OK cause=accepted ms=2120.423`.
///
/// It is a line of its own after that of the decision, whose form does not change.
pub(super) struct Slow<'a> {
    decision: &'a Decision<'a>,
    /// Each step with its time, in the order of their beginning.
    steps: Vec<(String, Duration)>,
}

impl<'a> Slow<'a> {
    /// `users` has the names of the stores.
    pub(super) fn new(
        decision: &'a Decision<'a>,
        steps: &StepTimes,
        users: &[UsersConfig],
    ) -> Self {
        let named = |(step, took)| (name_of(step, users), took);
        let mut steps: Vec<_> = steps.all().into_iter().map(named).collect();
        let known = steps.iter().map(|(_, took)| *took).sum();
        steps.push(("other".to_owned(), decision.took.saturating_sub(known)));
        Self { decision, steps }
    }

    pub(super) fn log(&self) {
        logger::event(Level::Warn, self);
    }
}

fn name_of(step: TimedStep, users: &[UsersConfig]) -> String {
    match step {
        TimedStep::Throttle => "throttle".to_owned(),
        TimedStep::Store(table) => match users.get(table) {
            Some(users) => format!("store {}", users.name),
            None => format!("store {table}"),
        },
        TimedStep::Masters => "masters".to_owned(),
        TimedStep::HashQueue => "hash-queue".to_owned(),
        TimedStep::Hash => "hash".to_owned(),
        TimedStep::Token => "token".to_owned(),
        TimedStep::Route => "route".to_owned(),
    }
}

impl Event for Slow<'_> {
    const NAME: &'static str = "slow";

    fn fields(&self, take: &mut TakeField<'_>) -> fmt::Result {
        if let Some((name, took)) = self.steps.iter().max_by_key(|(_, took)| *took) {
            take("step", Value::Text(name.as_bytes(), MAX_FIELD))?;
            take("step-ms", Value::Number(&Millis(*took)))?;
        }
        let steps = self.steps.iter();
        let steps: Vec<_> = steps
            .map(|(name, took)| format!("{name} {}", Millis(*took)))
            .collect();
        take("steps", Value::Text(steps.join(", ").as_bytes(), MAX_FIELD))?;
        self.decision.in_short(take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nginx::refusal::Refusal;
    use crate::sys::logger::Logfmt;

    #[test]
    fn the_longest_step_comes_first() {
        let refusal = Refusal::WrongPassword;
        let decision = Decision {
            login: Some(b"al\"ice"),
            protocol: "imap",
            client: Some([192, 0, 2, 7].into()),
            recipient: None,
            host: None,
            user: None,
            app_password: None,
            refusal: Some(&refusal),
            peer: None,
            took: Duration::from_millis(2130),
        };
        let steps = StepTimes::default();
        let pause = |step| StepTimes::time(Some(&steps), step, || {});
        pause(TimedStep::Throttle);
        pause(TimedStep::Store(0));
        let mut slow = Slow::new(&decision, &steps, &[]);
        assert_eq!(slow.steps.last().unwrap().0, "other");
        slow.steps = vec![
            ("throttle".to_owned(), Duration::from_micros(210)),
            ("hash-queue".to_owned(), Duration::from_millis(2100)),
            ("other".to_owned(), Duration::from_micros(29_790)),
        ];
        assert_eq!(
            Logfmt(&slow).to_string(),
            "slow step=\"hash-queue\" step-ms=2100.000 steps=\"throttle 0.210, hash-queue 2100.000, \
             other 29.790\" login=\"al\\\"ice\" protocol=imap client=192.0.2.7 answer=refused \
             cause=wrong-password ms=2130.000"
        );
    }
}

//! The record of one key, and how failures and successes change it.

use std::time::Duration;

/// The number of wrong passwords that a record remembers, so that each counts once: the number of devices of
/// one user that can keep sending an old one.
pub(super) const TAGS: usize = 8;

/// A few bits of a keyed digest of a wrong password: enough to recognize the password, too few to recover it.
pub(super) type Tag = u32;

/// The number of these bits: one other password in a million has the same ones.
pub(super) const TAG_BITS: u32 = 20;

/// How long failures and successes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spans {
    /// Failures expire this long after the last one.
    pub window: Duration,
    /// A success exempts its network for that login for this long.
    pub exempt: Duration,
}

/// The record of one key. Times are seconds of the state's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Distinct wrong passwords.
    pub failures: u32,
    /// The time of the last wrong password; 0: none.
    pub failed: u64,
    /// The time of the last right password; 0: never.
    pub succeeded: u64,
    /// Microseconds that the store took to reject the last few wrong passwords, on average.
    pub(super) took: u32,
    /// The last wrong passwords, the latest last.
    pub(super) tags: Vec<Tag>,
}

impl Record {
    /// Removes what has expired. Times in the future were recorded before the clock was set back; they are
    /// removed too, because they might never expire.
    pub(super) fn settle(&mut self, now: u64, spans: Spans) {
        if !within(self.failed, now, spans.window) {
            (self.failures, self.failed, self.took) = (0, 0, 0);
            self.tags.clear();
        }
        if !within(self.succeeded, now, spans.exempt) {
            self.succeeded = 0;
        }
    }

    /// Whether the record is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.failures == 0 && self.succeeded == 0
    }

    /// The time of the last change.
    pub(super) fn touched(&self) -> u64 {
        self.failed.max(self.succeeded)
    }

    /// The time at which the whole record has expired.
    #[cfg(feature = "servers")]
    pub(super) fn until(&self, spans: Spans) -> u64 {
        let end = |then: u64, span: Duration| match then {
            0 => 0,
            then => then.saturating_add(span.as_secs()),
        };
        end(self.failed, spans.window).max(end(self.succeeded, spans.exempt))
    }

    /// Whether this wrong password has been counted already.
    pub(super) fn knows(&self, tag: Option<Tag>) -> bool {
        tag.is_some_and(|tag| self.tags.contains(&tag))
    }

    /// Counts a wrong password; one without a tag always counts as a new one. The store took `took`
    /// microseconds to reject it.
    pub(super) fn fail(&mut self, tag: Option<Tag>, now: u64, took: u32) {
        self.failures = self.failures.saturating_add(1);
        self.failed = now;
        self.took = match self.took {
            0 => took,
            // The average soon forgets a single slow check, such as the first on a new connection.
            before => before / 2 + took / 2,
        };
        if let Some(tag) = tag {
            if self.tags.len() >= TAGS {
                self.tags.remove(0);
            }
            self.tags.push(tag);
        }
    }

    /// Records a right password: the first one clears earlier failures. Later ones do not: otherwise guessing
    /// beside a user who logs in every few minutes would never be stopped.
    pub(super) fn succeed(&mut self, now: u64) {
        if self.succeeded == 0 {
            *self = Self::default();
        }
        self.succeeded = now;
    }
}

/// Whether `then` is at most `span` away from `now`.
fn within(then: u64, now: u64, span: Duration) -> bool {
    then != 0 && then.abs_diff(now) < span.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPANS: Spans = Spans {
        window: Duration::from_secs(60),
        exempt: Duration::from_secs(600),
    };

    #[test]
    fn the_same_password_is_known_as_long_as_few_others_came() {
        let mut record = Record::default();
        record.fail(Some(1), 10, 0);
        for tag in 2..=8 {
            record.fail(Some(tag), 10, 0);
        }
        assert!(record.knows(Some(1)) && !record.knows(Some(9)) && !record.knows(None));
        record.fail(Some(9), 10, 0);
        assert!(!record.knows(Some(1)));
    }

    #[test]
    fn a_record_keeps_what_it_is_told() {
        let mut record = Record::default();
        assert!(record.is_empty());
        record.fail(Some(1), 10, 400);
        record.fail(None, 20, 200);
        record.fail(Some(1), 30, 100);
        let expected = Record {
            failures: 3,
            failed: 30,
            succeeded: 0,
            // 400, then half of 400 and of 200, then half of 300 and of 100.
            took: 200,
            tags: vec![1, 1],
        };
        assert_eq!(record, expected);
        record.failures = u32::MAX;
        record.fail(None, 40, 0);
        assert_eq!(record.failures, u32::MAX);
        for (failed, succeeded, touched, until) in [
            (0, 0, 0, 0),
            (1000, 0, 1000, 1060),
            (0, 1000, 1000, 1600),
            (1000, 500, 1000, 1100),
            (1600, 1000, 1600, 1660),
            (500, 1000, 1000, 1600),
        ] {
            let record = Record {
                failures: u32::from(failed != 0),
                failed,
                succeeded,
                ..Record::default()
            };
            assert_eq!(record.touched(), touched);
            assert_eq!(record.is_empty(), touched == 0);
            #[cfg(feature = "servers")]
            assert_eq!(record.until(SPANS), until);
            #[cfg(not(feature = "servers"))]
            let _not_asked_in_memory = until;
        }
    }

    /// Otherwise guessing could go on without end beside a user who logs in every few minutes.
    #[test]
    fn only_the_first_success_clears_earlier_failures() {
        let mut record = Record::default();
        record.fail(Some(1), 10, 5);
        record.succeed(20);
        let succeeded = |succeeded| Record {
            succeeded,
            ..Record::default()
        };
        assert_eq!(record, succeeded(20));
        record.fail(Some(2), 30, 5);
        record.succeed(40);
        let expected = Record {
            failures: 1,
            failed: 30,
            took: 5,
            tags: vec![2],
            ..succeeded(40)
        };
        assert_eq!(record, expected);
    }

    #[test]
    fn each_part_is_forgotten_in_its_time_and_with_a_clock_set_back() {
        let mut record = Record::default();
        record.fail(Some(1), 1000, 9);
        record.succeeded = 1000;
        let mut forgotten = record.clone();
        forgotten.settle(2000, SPANS);
        assert_eq!(forgotten, Record::default());
        let settled = |now| {
            let mut record = record.clone();
            record.settle(now, SPANS);
            (record.failures, record.succeeded)
        };
        assert_eq!(settled(1059), (1, 1000));
        assert_eq!(settled(1060), (0, 1000));
        assert_eq!(settled(1600), (0, 0));
        assert_eq!(
            settled(950),
            (1, 1000),
            "another machine's clock may be late"
        );
        assert_eq!(settled(900), (0, 1000));
        assert_eq!(settled(100), (0, 0));
    }
}

//! What is remembered of one key, and what follows from it.

use std::time::Duration;

/// How many wrong passwords are remembered, so that they count once: as many devices of one user
/// may go on with an old one.
pub(super) const TAGS: usize = 8;

/// Of a wrong password, some bits of a keyed digest: enough to know it again, too little to find it.
pub(super) type Tag = u32;

/// How many bits: one other password in a million is taken for the same.
pub(super) const TAG_BITS: u32 = 20;

/// When failures are counted together, and for how long a success counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spans {
    /// Failures are forgotten when there was no other for so long.
    pub window: Duration,
    /// For so long after a success a network is exempt for that login.
    pub exempt: Duration,
}

/// What is remembered of one key. Times are seconds of the clock of the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Distinct wrong passwords.
    pub failures: u32,
    /// When the last of them came; 0 without any.
    pub failed: u64,
    /// When a right one came last; 0 for never.
    pub succeeded: u64,
    /// Microseconds that it took to find the last few of the wrong ones out, on average.
    pub(super) took: u32,
    /// The last wrong ones, the latest last.
    pub(super) tags: Vec<Tag>,
}

impl Record {
    /// Forgets what is over. What lies in the future was noted before the clock was set back, and
    /// is forgotten too: it might stay forever otherwise.
    pub(super) fn settle(&mut self, now: u64, spans: Spans) {
        if !within(self.failed, now, spans.window) {
            (self.failures, self.failed, self.took) = (0, 0, 0);
            self.tags.clear();
        }
        if !within(self.succeeded, now, spans.exempt) {
            self.succeeded = 0;
        }
    }

    /// Whether nothing is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.failures == 0 && self.succeeded == 0
    }

    /// When it last changed.
    pub(super) fn touched(&self) -> u64 {
        self.failed.max(self.succeeded)
    }

    /// When there is nothing left to remember.
    #[cfg(any(feature = "sql", feature = "redis"))]
    pub(super) fn until(&self, spans: Spans) -> u64 {
        let end = |then: u64, span: Duration| match then {
            0 => 0,
            then => then.saturating_add(span.as_secs()),
        };
        end(self.failed, spans.window).max(end(self.succeeded, spans.exempt))
    }

    /// Whether this wrong password has been counted.
    pub(super) fn knows(&self, tag: Option<Tag>) -> bool {
        tag.is_some_and(|tag| self.tags.contains(&tag))
    }

    /// Counts a wrong password; without a tag it is one of its own. It was found out in `took`
    /// microseconds.
    pub(super) fn fail(&mut self, tag: Option<Tag>, now: u64, took: u32) {
        self.failures = self.failures.saturating_add(1);
        self.failed = now;
        self.took = match self.took {
            0 => took,
            // One that took long, as the first on a new connection does, is soon forgotten.
            before => before / 2 + took / 2,
        };
        if let Some(tag) = tag {
            if self.tags.len() >= TAGS {
                self.tags.remove(0);
            }
            self.tags.push(tag);
        }
    }

    /// Notes a right password: the first one makes good for what came before. Later ones do not, or
    /// there would be no end of guessing beside somebody who logs in every few minutes.
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
            #[cfg(any(feature = "sql", feature = "redis"))]
            assert_eq!(record.until(SPANS), until);
            #[cfg(not(any(feature = "sql", feature = "redis")))]
            let _not_asked_in_memory = until;
        }
    }

    /// There would be no end of guessing beside somebody who logs in every few minutes.
    #[test]
    fn the_first_success_makes_good_for_what_came_before_and_later_ones_do_not() {
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

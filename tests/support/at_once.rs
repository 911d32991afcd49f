//! Many cases of one test, several at once: each mostly waits.

use std::thread;

/// Cases that run at the same time.
const AT_ONCE: usize = 8;

/// Runs all cases; fails if one does.
pub(crate) fn at_once<T: Sync>(cases: &[T], run: impl Fn(&T) + Sync) {
    let share = cases.len().div_ceil(AT_ONCE).max(1);
    thread::scope(|scope| {
        for cases in cases.chunks(share) {
            scope.spawn(|| cases.iter().for_each(&run));
        }
    });
}

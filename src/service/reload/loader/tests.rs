//! Loads that hang, fail or are repeated.

use super::*;

impl Loader {
    /// Moves the start of all attempts back by this time.
    fn age(&self, by: Duration) {
        for attempt in &mut self.state().attempts {
            attempt.since -= by;
        }
    }
}

fn loader() -> Loader {
    let loader = Loader::new("auth.toml".into(), Vec::new());
    loader.ask();
    loader
}

#[test]
fn one_load_at_a_time() {
    let loader = loader();
    let run = loader.enter().unwrap();
    assert!(run.is_due());
    assert!(loader.enter().is_none());
    assert!(loader.is_busy());
    drop(run);
    assert!(!loader.is_busy());
    assert!(!loader.enter().unwrap().is_due());
}

#[test]
fn a_load_that_hangs_is_reported_and_passed_by() {
    let loader = loader();
    let first = loader.enter().unwrap();
    assert!(first.is_due() && first.is_wanted());
    loader.age(SLOW);
    assert!(!loader.is_busy());
    // Nothing has changed, so the next attempt does not repeat it.
    let second = loader.enter().unwrap();
    assert!(loader.state().attempts[0].reported);
    assert!(!second.is_due());
    assert!(first.is_wanted());
    drop(second);
    loader.ask();
    let third = loader.enter().unwrap();
    assert!(third.is_due());
    // A late result is not used.
    assert!(third.is_wanted() && !first.is_wanted());
}

#[test]
fn loads_that_hang_are_few() {
    let loader = loader();
    let mut hanging = Vec::new();
    while let Some(run) = loader.enter() {
        hanging.push(run);
        loader.age(SLOW);
    }
    assert_eq!(hanging.len(), MAX_HANGING);
    hanging.pop();
    assert!(loader.enter().is_some());
}

#[test]
fn a_file_that_failed_is_tried_again_after_a_while() {
    let loader = loader();
    let run = loader.enter().unwrap();
    assert!(run.is_due());
    let problem = Problem::new("key", "cannot be read");
    run.report(Outcome::Failed(vec![problem]), "");
    assert!(!run.is_due());
    loader.state().tried -= TRY_AGAIN;
    assert!(run.is_due());
}

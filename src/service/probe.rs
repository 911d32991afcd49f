//! Asks stores when they are opened whether their settings work.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::{Config, UsersConfig};
use crate::sys::problem::Fault;
use crate::sys::problem::Problem;

/// Questions to stores, all asked at once: three stores that do not answer take no longer than one.
#[derive(Default)]
pub(super) struct Probes {
    answers: Vec<Receiver<Vec<Problem>>>,
    store: Vec<String>,
}

impl Probes {
    /// Asks a store in a separate thread.
    #[cfg_attr(
        not(feature = "servers"),
        expect(dead_code, reason = "only databases are asked")
    )]
    pub(super) fn start(
        &mut self,
        config: &Config,
        users: &UsersConfig,
        ask: impl FnOnce() -> Result<(), Vec<Fault>> + Send + 'static,
    ) {
        let (done, answer) = channel();
        let (path, positions) = (config.path.clone(), users.positions.clone());
        let probe = move || {
            let faults = ask().err().into_iter().flatten();
            let problems = faults
                .map(|fault| fault.problem(&path, &positions))
                .collect();
            // A late answer is discarded.
            if let Err(late) = done.send(problems) {
                for problem in late.0 {
                    log::error!("{problem}; logins that this store is asked about fail");
                }
            }
        };
        self.answers.push(answer);
        self.store.push(users.name.clone());
        // If no thread can be started, the store is asked at each login.
        if let Err(error) = thread::Builder::new().name("probe".to_owned()).spawn(probe) {
            log::error!("store {}: not asked, no thread: {error}", users.name);
        }
    }

    /// The problems that stores report within `patience`.
    pub(super) fn problems(self, patience: Duration) -> Vec<Problem> {
        let deadline = Instant::now() + patience;
        let mut problems = Vec::new();
        for (answer, store) in self.answers.into_iter().zip(self.store) {
            let left = deadline.saturating_duration_since(Instant::now());
            let said = answer.recv_timeout(left).unwrap_or_else(|_| {
                log::error!("store {store}: no answer yet; it is retried at each login");
                Vec::new()
            });
            problems.extend(said);
        }
        problems
    }
}

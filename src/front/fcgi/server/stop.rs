//! How a server stops: no request that has arrived is lost.

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use super::{Shared, TICK};
use crate::front::Application;
use crate::front::fcgi::slots::Phase;

/// How long a stopping server must be without activity to count as idle: a connection that has just
/// been accepted is not counted yet.
const IDLE_BEFORE_STOP: Duration = Duration::from_millis(15);
/// How long a stopping server waits for a connection on which no bytes arrive.
const SILENCE_BEFORE_STOP: Duration = Duration::from_millis(100);
/// When a stopping server gives up arriving requests; answers are still sent.
const STOP_READING_AFTER: Duration = Duration::from_secs(6);
/// When a stopping server returns in any case: mod_fcgid kills after 8 seconds.
const STOP_DEADLINE: Duration = Duration::from_millis(6500);

impl<A: Application + Send + Sync + 'static> Shared<A> {
    /// Waits until the requests in progress and those in the backlog are answered.
    ///
    /// A listener cannot be shut down: other processes may share it, and the connections in its
    /// backlog would be lost.
    pub(super) fn stop(&self) {
        self.stopping.store(true, SeqCst);
        self.delayed.hurry();
        for shared_listener in &self.listeners {
            shared_listener.listener.remove_file();
        }
        let start = Instant::now();
        let mut busy = start;
        while start.elapsed() < STOP_DEADLINE && busy.elapsed() < IDLE_BEFORE_STOP {
            self.slots.evict_all(&[Phase::Idle], Duration::ZERO);
            self.slots.evict_all(&[Phase::Fresh], SILENCE_BEFORE_STOP);
            if start.elapsed() >= STOP_READING_AFTER {
                self.slots.evict_all(&[Phase::Reading], Duration::ZERO);
            }
            thread::sleep(TICK);
            let backlog = || {
                self.listeners
                    .iter()
                    .any(|shared_listener| shared_listener.listener.has_backlog())
            };
            if self.load.connections() > 0 || backlog() {
                busy = Instant::now();
            }
        }
    }
}

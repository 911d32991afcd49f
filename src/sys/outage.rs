//! Tracks an outage, so that the log reports it once at its start and once at its end.

use std::sync::atomic::{AtomicBool, Ordering};

/// The state of one server or other service. It starts as working.
#[derive(Debug, Default)]
pub struct Outage(AtomicBool);

impl Outage {
    /// It works.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Notes a failure. Returns whether the outage starts with it.
    pub fn begins(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// Notes a success. Returns whether the outage ends with it.
    pub fn ends(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_are_news_once() {
        let outage = Outage::default();
        assert!(!outage.ends());
        assert!(outage.begins() && !outage.begins());
        assert!(outage.ends() && !outage.ends());
    }
}

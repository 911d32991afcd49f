//! Whether something is out of order, so that the log says it once when the trouble begins and once when it
//! ends.

use std::sync::atomic::{AtomicBool, Ordering};

/// The state of one server, or of whatever else can be out of order. It begins in order.
#[derive(Debug, Default)]
pub struct Outage(AtomicBool);

impl Outage {
    /// It has failed. Returns whether the trouble begins with that.
    pub fn begins(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }

    /// It has worked. Returns whether the trouble ends with that.
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

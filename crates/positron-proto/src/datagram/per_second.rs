//! What happens within one second.

use crate::time::{Duration, Instant};

/// Counts what happens within one second.
#[derive(Debug, Default)]
pub(super) struct PerSecond {
    since: Instant,
    pub(super) count: u32,
}

impl PerSecond {
    pub(super) fn in_this_second(&mut self, now: Instant) -> u32 {
        if now.since(self.since) >= Duration::from_secs(1) {
            (self.since, self.count) = (now, 0);
        }
        self.count
    }

    pub(super) fn count(&mut self, now: Instant) {
        self.count = self.in_this_second(now).saturating_add(1);
    }
}

//! How much one source may say in a while: what is said to people and programs has a bound,
//! whatever strangers do.

use std::time::{Duration, Instant};

/// Lines that one source may say in one [`WINDOW`]; the others are counted.
pub(crate) const LINES_PER_WINDOW: u32 = 20;
/// See [`LINES_PER_WINDOW`].
pub(crate) const WINDOW: Duration = Duration::from_secs(1);

/// What one source said lately.
#[derive(Debug)]
pub(crate) struct Rate {
    since: Instant,
    said: u32,
    dropped: u32,
}

impl Rate {
    /// Of a source that says its first line now.
    pub(crate) const fn new(now: Instant) -> Self {
        Self { since: now, said: 0, dropped: 0 }
    }

    /// Whether a line may be said at `now`, and how many were dropped before it.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<u32> {
        if now.duration_since(self.since) >= WINDOW {
            (self.since, self.said) = (now, 0);
        }
        if self.said >= LINES_PER_WINDOW {
            self.dropped = self.dropped.saturating_add(1);
            return None;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.dropped))
    }

    /// How many were dropped and are not told yet, once the window is over.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<u32> {
        let is_over = now.duration_since(self.since) >= WINDOW;
        (is_over && self.dropped > 0).then(|| std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_says_too_much_is_counted_and_heard_again_later() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        for _ in 0..LINES_PER_WINDOW {
            assert_eq!(rate.admit(start), Some(0));
        }
        assert_eq!((rate.admit(start), rate.admit(start)), (None, None));
        assert_eq!(rate.overdue(start), None, "the next line may tell it");
        assert_eq!(rate.admit(start + WINDOW), Some(2));
        assert_eq!(rate.overdue(start + 2 * WINDOW), None, "it was told");
    }

    #[test]
    fn what_a_source_did_not_say_is_told_though_it_fell_silent() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        let said = (0..=LINES_PER_WINDOW).filter(|_| rate.admit(start).is_some()).count();
        assert_eq!(said, LINES_PER_WINDOW as usize);
        assert_eq!(rate.overdue(start + WINDOW), Some(1));
        assert_eq!(rate.overdue(start + WINDOW), None);
    }
}

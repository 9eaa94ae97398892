//! Whether the peer takes what is sent to it `[PROTOCOL 5.5]`.

use crate::{
    limits::{MAX_RECORD, PARTS_ACK_INTERVAL, SLOW_READER_TIMEOUT},
    time::Instant,
};

/// How far apart the signs are that a peer takes what is sent to it.
///
/// A long queue that moves, even slowly, is progress: one record in [`SLOW_READER_TIMEOUT`] is
/// enough. It is meant for while something waits to be acknowledged; that is the caller's to know.
#[derive(Debug)]
pub(super) struct Pace {
    /// When it last acknowledged something, or took a fair amount of a long queue.
    progress: Instant,
    /// Bytes that were taken since then, while something was not acknowledged.
    taken: usize,
    /// When something was sent to the peer last.
    spoke: Instant,
}

impl Pace {
    /// Nothing is expected before `now`.
    pub(super) const fn new(now: Instant) -> Self {
        Self { progress: now, taken: 0, spoke: now }
    }

    /// It acknowledged something, or the first message waits for it.
    pub(super) const fn handle_progress(&mut self, now: Instant) {
        (self.progress, self.taken) = (now, 0);
    }

    /// `bytes` more of what was sent were taken.
    pub(super) fn handle_taken(&mut self, now: Instant, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.taken = self.taken.saturating_add(bytes);
        if self.taken >= MAX_RECORD {
            self.handle_progress(now);
        }
    }

    /// Something was sent to it.
    pub(super) const fn handle_spoken(&mut self, now: Instant) {
        self.spoke = now;
    }

    /// Whether nothing was sent to it for so long that it might hold us for dead.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        now.since(self.spoke) >= PARTS_ACK_INTERVAL
    }

    /// When it will have been too slow, if nothing happens before.
    pub(super) fn slow_at(&self) -> Instant {
        self.progress + SLOW_READER_TIMEOUT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    #[test]
    fn a_record_that_was_taken_in_small_pieces_is_progress_and_less_is_not() {
        let start = Instant::ORIGIN;
        let [sooner, later] = [1, 2].map(|seconds| start + Duration::from_secs(seconds));
        let mut pace = Pace::new(start);
        for _ in 1..MAX_RECORD {
            pace.handle_taken(sooner, 1);
        }
        assert_eq!(pace.slow_at(), start + SLOW_READER_TIMEOUT);
        pace.handle_taken(later, 1);
        assert_eq!(pace.slow_at(), later + SLOW_READER_TIMEOUT);
        pace.handle_taken(later, 1);
        assert_eq!(pace.slow_at(), later + SLOW_READER_TIMEOUT, "counted anew");
    }
}

//! What others know of our own numbers, and our database does not.

use super::{Event, NodeCore};
use crate::{limits::IDENTITY_NOTICE_INTERVAL, time::Now};

/// A node, while a peer shows it what its own key signed.
pub(super) struct Recognition<'a>(pub(super) &'a mut NodeCore);

impl Recognition<'_> {
    /// Our own numbers go on above what this key signed without our knowing it.
    pub(super) fn handle_numbers_behind(&mut self, now: Now) {
        self.0.counters.numbers_behind += 1;
        let told = self.0.told_behind;
        if told.is_none_or(|at| now.mono.since(at) >= IDENTITY_NOTICE_INTERVAL) {
            self.0.told_behind = Some(now.mono);
            self.0.emit(Event::NumbersBehind);
        }
    }

    /// A peer has said what it knows of us; `record` is the sequence of a record of ours that we
    /// did not know of.
    pub(super) fn handle_recognized(&mut self, now: Now, record: Option<u64>) {
        if self.0.publisher.handle_recognized(now, record) {
            self.handle_numbers_behind(now);
        }
        self.0.flush_outgoing(now);
    }
}

//! Flow control of a connection: how much the other end may send ahead of the application.

use super::incoming::Violation;
use crate::{
    limits::{
        CONNECTION_WINDOW_FIRST, ENDPOINT_WINDOW_BYTES, MAX_FRAGMENTS_PER_PEER, WINDOW_SCALE,
    },
    time::{Duration, Instant},
};

/// What the windows of all connections of an endpoint promise together.
#[derive(Debug, Default)]
pub(super) struct WindowBudget {
    promised: u64,
}

/// Room for what arrives at one connection.
///
/// It doubles when the application released more than half of it within two round trips: then it
/// is what limits the sender. It never shrinks: promises are kept.
#[derive(Debug)]
pub(super) struct ReceiveWindow {
    limit: u64,
    most: u64,
    /// Bytes that arrived and were not released.
    held: u64,
    /// What the other end was told last.
    told: u64,
    /// When the measurement began, and what was released since.
    since: Instant,
    released: u64,
}

/// Room that the other end has.
#[derive(Debug)]
pub(super) struct SendWindow {
    room: u64,
    /// The number of the packet that told it.
    told_by: Option<u64>,
}

impl ReceiveWindow {
    /// Nothing is held; grows to `most` bytes at the most.
    pub(super) fn new(now: Instant, most: usize, budget: &mut WindowBudget) -> Self {
        let most = as_u64(most);
        let limit = as_u64(CONNECTION_WINDOW_FIRST).min(most);
        budget.promised += limit;
        Self { limit, most, held: 0, told: limit, since: now, released: 0 }
    }

    /// Bytes arrived and are held from now on.
    ///
    /// An honest sender goes beyond the limit by what it took for lost and sent again while the
    /// first copy was still under way, and by the fragments that became whole messages.
    pub(super) fn arrived(&mut self, bytes: u64) -> Result<(), Violation> {
        let held = self.held.saturating_add(bytes);
        if held > self.limit.saturating_mul(2).saturating_add(as_u64(MAX_FRAGMENTS_PER_PEER)) {
            return Err(Violation::flooding("more than the window allows"));
        }
        self.held = held;
        Ok(())
    }

    /// Bytes were let go.
    pub(super) fn released(
        &mut self,
        now: Instant,
        bytes: u64,
        rtt: Duration,
        budget: &mut WindowBudget,
    ) {
        let bytes = bytes.min(self.held);
        self.held -= bytes;
        if now.since(self.since) > 2 * rtt {
            (self.since, self.released) = (now, 0);
        }
        self.released += bytes;
        if self.released > self.limit / 2 {
            (self.since, self.released) = (now, 0);
            self.grow(budget);
        }
    }

    /// Bytes were let go that nobody will read: that says nothing of how fast the application is.
    pub(super) fn dropped(&mut self, bytes: u64) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// Bytes for which there is room.
    pub(super) const fn room(&self) -> u64 {
        self.limit.saturating_sub(self.held)
    }

    /// The window field of a header that is about to be sent.
    pub(super) fn advertise(&mut self) -> u16 {
        let (field, told) = as_field(self.room());
        self.told = told;
        field
    }

    /// Whether the other end should hear of the room there is by now: half of the window more than
    /// it knows of, or an eighth after there was none (RFC 9293, 3.8.6.2.2: no silly windows).
    pub(super) fn update_due(&self) -> bool {
        let (_, room) = as_field(self.room());
        let news = room.saturating_sub(self.told);
        news >= self.limit / 2 || (self.told == 0 && news > 0 && news >= self.limit / 8)
    }

    /// Bytes that are held.
    pub(super) const fn held(&self) -> u64 {
        self.held
    }

    /// The connection ends: nothing is promised any more.
    pub(super) fn give_back(&mut self, budget: &mut WindowBudget) {
        budget.promised = budget.promised.saturating_sub(core::mem::take(&mut self.limit));
    }

    fn grow(&mut self, budget: &mut WindowBudget) {
        let left = as_u64(ENDPOINT_WINDOW_BYTES).saturating_sub(budget.promised);
        let more = self.limit.min(self.most.saturating_sub(self.limit));
        if more <= left {
            self.limit += more;
            budget.promised += more;
        }
    }
}

impl SendWindow {
    /// What may be sent before the other end told its room.
    pub(super) fn new() -> Self {
        Self { room: as_u64(CONNECTION_WINDOW_FIRST), told_by: None }
    }

    /// The header of packet `number` told this window; an older packet's is not news.
    pub(super) fn told(&mut self, number: u64, window: u16) {
        if self.told_by.is_none_or(|newest| number > newest) {
            (self.room, self.told_by) = (u64::from(window) << WINDOW_SCALE, Some(number));
        }
    }

    /// Bytes that may be sent while so many are outstanding.
    pub(super) const fn left(&self, outstanding: u64) -> u64 {
        self.room.saturating_sub(outstanding)
    }
}

/// The field that tells `room`, and how much the other end understands: never more than there is.
fn as_field(room: u64) -> (u16, u64) {
    let field = u16::try_from(room >> WINDOW_SCALE).unwrap_or(u16::MAX);
    (field, u64::from(field) << WINDOW_SCALE)
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

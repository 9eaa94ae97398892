//! Flow control of a connection: how much the other end may send ahead of the application.

use crate::{
    limits::{CONNECTION_WINDOW_FIRST, ENDPOINT_WINDOW_BYTES},
    misbehavior::Misbehavior,
    session::datagram::incoming::Violation,
    time::{Duration, Instant},
};

/// What all connections of an endpoint have been promised: at most
/// [`ENDPOINT_WINDOW_BYTES`] beyond what each has at first.
#[derive(Debug, Default)]
pub(super) struct WindowBudget {
    lent: u64,
}

/// Room for what arrives.
#[derive(Debug)]
pub(super) struct ReceiveWindow {
    limit: u64,
    most: u64,
    held: u64,
}

/// Room that the other end has.
#[derive(Debug)]
pub(super) struct SendWindow {
    room: u64,
    told_by: Option<u64>,
}

impl ReceiveWindow {
    /// Nothing is held; grows to `most` bytes at the most.
    pub(super) fn new(now: Instant, most: usize) -> Self {
        let _ = (now, CONNECTION_WINDOW_FIRST);
        Self { limit: 0, most: u64::try_from(most).unwrap_or(u64::MAX), held: 0 }
    }

    /// Bytes arrived and are held from now on.
    pub(super) fn arrived(&mut self, _bytes: u64) -> Result<(), Violation> {
        Err(Violation { what: "", misbehavior: Misbehavior::Flooding })
    }

    /// Bytes were let go.
    pub(super) fn released(
        &mut self,
        _now: Instant,
        _bytes: u64,
        _rtt: Duration,
        _budget: &mut WindowBudget,
    ) {
    }

    /// The window field of a header that is about to be sent.
    pub(super) fn advertise(&mut self) -> u16 {
        0
    }

    /// Whether the other end should hear of the room there is by now.
    pub(super) fn update_due(&self) -> bool {
        false
    }

    /// Bytes that are held.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// The connection ends: gives back what it borrowed.
    pub(super) fn give_back(&mut self, _budget: &mut WindowBudget) {}
}

impl SendWindow {
    /// What is sent before the first window is heard of.
    pub(super) fn new() -> Self {
        Self { room: 0, told_by: None }
    }

    /// The header of packet `number` told this window; an older packet's is not news.
    pub(super) fn told(&mut self, _number: u64, _window: u16) {}

    /// Bytes that may be sent while this many are outstanding.
    pub(super) fn left(&self, outstanding: u64) -> u64 {
        self.room.saturating_sub(outstanding)
    }
}

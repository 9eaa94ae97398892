//! The receiving half of a substream.

use crate::limits::{SUBSTREAM_WINDOW_FIRST, SUBSTREAM_WINDOW_LARGEST};

/// How far a substream was received, read, and may be written.
///
/// What is granted and not read counts against the peer's share until it is read or the half is
/// over: [`taken`](Self::taken).
#[derive(Debug)]
pub(super) struct ReceiveHalf {
    received: u64,
    consumed: u64,
    limit: u64,
    state: ReceiveState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReceiveState {
    Open,
    /// The last byte came.
    Finished,
    Over,
}

/// A piece that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong;

impl ReceiveHalf {
    pub(super) const fn new() -> Self {
        let (received, consumed, limit) = (0, 0, SUBSTREAM_WINDOW_FIRST);
        Self { received, consumed, limit, state: ReceiveState::Open }
    }

    /// A piece came; whether it is to be handed over.
    pub(super) fn handle_piece(&mut self, offset: u64, len: u64, fin: bool) -> Result<bool, Wrong> {
        match self.state {
            // We told the writer to stop, and these were under way.
            ReceiveState::Over => return Ok(false),
            ReceiveState::Finished => return Err(Wrong),
            ReceiveState::Open => {}
        }
        if offset != self.received || len > self.limit - self.received {
            return Err(Wrong);
        }
        self.received += len;
        if fin {
            self.state = ReceiveState::Finished;
            self.close_if_read();
        }
        Ok(true)
    }

    /// The application read so many more bytes.
    pub(super) fn consume(&mut self, bytes: u64) {
        self.consumed = (self.consumed + bytes).min(self.received);
        self.close_if_read();
    }

    /// Nothing more will be read.
    pub(super) const fn end(&mut self) {
        self.state = ReceiveState::Over;
    }

    /// What is to be granted, if that is worth a message: `room` bytes are left for all of this
    /// peer's substreams. Half of it each, so that others find room as well.
    pub(super) fn grant(&mut self, room: u64) -> Option<u64> {
        if self.state != ReceiveState::Open {
            return None;
        }
        let share = (room.saturating_add(self.taken()) / 2)
            .clamp(SUBSTREAM_WINDOW_FIRST, SUBSTREAM_WINDOW_LARGEST);
        let limit = self.consumed + share;
        if limit < self.limit + share / 4 {
            return None;
        }
        self.limit = limit;
        Some(limit)
    }

    /// Bytes that the peer may have us keep, now or still.
    pub(super) const fn taken(&self) -> u64 {
        match self.state {
            ReceiveState::Open => self.limit - self.consumed,
            ReceiveState::Finished => self.received - self.consumed,
            ReceiveState::Over => 0,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, ReceiveState::Open)
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, ReceiveState::Over)
    }

    fn close_if_read(&mut self) {
        if self.state == ReceiveState::Finished && self.consumed == self.received {
            self.end();
        }
    }
}

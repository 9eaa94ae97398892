//! Messages from the other end: put together and in order.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    chunk::{Chunk, Filling},
    contract::{Delivery, LaneNumber},
};
use crate::{misbehavior::Misbehavior, time::Instant, wire::packet_frame::Channel};

/// Messages that arrive, in all lanes.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    delivered: VecDeque<Delivered>,
}

/// A message for the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivered {
    pub(super) lane: LaneNumber,
    pub(super) delivery: Delivery,
    pub(super) body: Bytes,
}

/// What happened to a message or a part that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    New,
    Duplicate,
}

/// What the other end did wrong inside its sealed packets. The connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) what: &'static str,
    pub(super) misbehavior: Misbehavior,
}

/// The messages of which only parts have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfinished {
    /// What they take.
    pub(super) bytes: usize,
    /// When the oldest began.
    pub(super) since: Instant,
}

impl Incoming {
    /// A MESSAGE frame.
    pub(super) fn message(
        &mut self,
        _now: Instant,
        _channel: Channel,
        _number: u64,
        _body: Bytes,
    ) -> Result<Arrival, Violation> {
        Ok(Arrival::Duplicate)
    }

    /// A PART frame: bytes from `_offset` on of a message of `_total`.
    pub(super) fn part(
        &mut self,
        _now: Instant,
        _channel: Channel,
        _number: u64,
        (_offset, _total): (u32, u32),
        _body: &[u8],
    ) -> Result<Arrival, Violation> {
        Ok(Arrival::Duplicate)
    }

    /// The next message for the application. Its bytes are held until they are released.
    pub(super) fn poll(&mut self) -> Option<Delivered> {
        self.delivered.pop_front()
    }

    /// Puts WHOLE or GIVEN_UP frames into a packet of their own.
    pub(super) fn fill(&mut self, _packet: &mut Filling<'_>) {}

    /// A packet with this is taken for lost.
    pub(super) fn lost(&mut self, _chunk: &Chunk) {}

    /// Bytes of flow control that came to be held since this was asked last.
    pub(super) fn take_arrived(&mut self) -> u64 {
        0
    }

    /// What unfinished messages take, if there are any.
    pub(super) fn unfinished(&self) -> Option<Unfinished> {
        None
    }

    /// Lets go of the oldest unfinished message: how many bytes that freed.
    pub(super) fn give_up_oldest(&mut self) -> usize {
        0
    }

    /// Lets go of what is unfinished for too long: how many messages.
    pub(super) fn handle_timeout(&mut self, _now: Instant) -> u64 {
        0
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

//! Messages on their way to the other end.

use bytes::Bytes;

use super::{
    chunk::{Chunk, Filling},
    contract::{Delivery, LaneNumber, NotQueued},
};
use crate::wire::packet_frame::Channel;

/// Messages that wait to be sent and acknowledged, in all lanes.
#[derive(Debug, Default)]
pub(super) struct Outgoing {}

impl Outgoing {
    /// Nothing waits; at most `_limit` bytes will.
    pub(super) fn new(_limit: usize) -> Self {
        Self {}
    }

    /// Queues a message; `_elsewhere` are bytes of the same limit that streams take.
    pub(super) fn push(
        &mut self,
        _lane: LaneNumber,
        _delivery: Delivery,
        _body: Bytes,
        _elsewhere: usize,
    ) -> Result<(), NotQueued> {
        Err(NotQueued::Full)
    }

    /// Puts what fits of one lane into a packet.
    pub(super) fn fill(&mut self, _lane: LaneNumber, _packet: &mut Filling<'_>) {}

    /// A packet with this arrived.
    pub(super) fn acknowledged(&mut self, _chunk: &Chunk) {}

    /// A packet with this is taken for lost.
    pub(super) fn lost(&mut self, _chunk: &Chunk) {}

    /// WHOLE: the other end has a message in fragments. Told of what was never sent: an error.
    pub(super) fn whole(&mut self, _channel: Channel, _number: u64) -> Result<(), &'static str> {
        Ok(())
    }

    /// GIVEN_UP: the other end let go of what it had of a message.
    pub(super) fn given_up(&mut self, _channel: Channel, _number: u64) -> Result<(), &'static str> {
        Ok(())
    }

    /// The most urgent lane that has something to send.
    pub(super) fn most_urgent(&self) -> Option<LaneNumber> {
        None
    }

    /// Bytes that wait to be sent or acknowledged.
    pub(super) fn queued_bytes(&self) -> usize {
        0
    }

    /// Whether everything was sent and acknowledged.
    pub(super) fn is_drained(&self) -> bool {
        true
    }

    /// Whether a push was refused and there is room again; told once.
    pub(super) fn take_writable(&mut self, _elsewhere: usize) -> bool {
        false
    }

    /// Unreliable messages dropped unsent, since the start.
    pub(super) fn dropped(&self) -> u64 {
        0
    }
}

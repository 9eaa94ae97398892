//! Streams of bytes, each in one direction.

use bytes::Bytes;

use super::{
    chunk::{Chunk, Filling},
    contract::{LaneNumber, NotQueued, StreamId},
    incoming::Violation,
};
use crate::time::{Duration, Instant};

/// All streams of a connection, in both directions.
#[derive(Debug, Default)]
pub(super) struct Streams {}

/// Something that the application is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEvent {
    Readable(StreamId),
    Writable(StreamId),
}

impl Streams {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {}
    }

    /// Opens one of ours.
    pub(super) fn open(&mut self, _lane: LaneNumber) -> Result<StreamId, NotQueued> {
        Err(NotQueued::TooManyStreams)
    }

    /// Takes as many of `_bytes` as `_room` bytes of the queue allow.
    pub(super) fn write(
        &mut self,
        _id: StreamId,
        _bytes: &[u8],
        _room: usize,
    ) -> Result<usize, NotQueued> {
        Err(NotQueued::StreamClosed)
    }

    /// Nothing more is written.
    pub(super) fn finish(&mut self, _id: StreamId) -> Result<(), NotQueued> {
        Err(NotQueued::StreamClosed)
    }

    /// Reads; what is read counts as released.
    pub(super) fn read(
        &mut self,
        _now: Instant,
        _id: StreamId,
        _limit: usize,
        _rtt: Duration,
    ) -> Result<Option<Bytes>, NotQueued> {
        Err(NotQueued::StreamClosed)
    }

    /// Resets one of ours, or refuses one of theirs.
    pub(super) fn drop_stream(&mut self, _id: StreamId) {}

    /// A STREAM frame.
    pub(super) fn handle_stream(
        &mut self,
        _stream: u64,
        _lane: LaneNumber,
        _offset: u64,
        _body: &[u8],
        _fin: bool,
    ) -> Result<(), Violation> {
        Ok(())
    }

    /// A CREDIT frame; stream 0 tells how many we may open in all.
    pub(super) fn handle_credit(&mut self, _stream: u64, _limit: u64) -> Result<(), Violation> {
        Ok(())
    }

    /// A STREAM_END frame with side 0: the other end sends no more than `_final_offset` of its
    /// own.
    pub(super) fn handle_reset(
        &mut self,
        _stream: u64,
        _final_offset: u64,
    ) -> Result<(), Violation> {
        Ok(())
    }

    /// A STREAM_END frame with side 1: the other end reads no more of one of ours.
    pub(super) fn handle_stop(&mut self, _stream: u64) -> Result<(), Violation> {
        Ok(())
    }

    /// Puts credits and ends, of all lanes, into a packet.
    pub(super) fn fill_control(&mut self, _packet: &mut Filling<'_>) {}

    /// Puts what fits of one lane into a packet.
    pub(super) fn fill(&mut self, _lane: LaneNumber, _packet: &mut Filling<'_>) {}

    /// A packet with this arrived.
    pub(super) fn acknowledged(&mut self, _chunk: &Chunk) {}

    /// A packet with this is taken for lost.
    pub(super) fn lost(&mut self, _chunk: &Chunk) {}

    /// The most urgent lane that has something to send; control frames count as lane 0.
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

    /// The next thing to tell; `_room` bytes of the queue are free.
    pub(super) fn poll_event(&mut self, _room: usize) -> Option<StreamEvent> {
        None
    }

    /// Bytes of flow control that came to be held since this was asked last.
    pub(super) fn take_arrived(&mut self) -> u64 {
        0
    }

    /// Bytes of flow control that were let go since this was asked last: read, or dropped.
    pub(super) fn take_released(&mut self) -> u64 {
        0
    }
}

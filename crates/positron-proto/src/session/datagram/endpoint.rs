//! The table of all datagram connections.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;

use super::contract::{
    ConnectionId, ConnectionView, Delivery, EndpointConfig, EndpointCounters, Event, LaneNumber,
    NotDialled, NotQueued, StreamId, Transmit,
};
use crate::{
    identity::Identity,
    rng::Rng,
    session::contract::Expect,
    time::{Instant, Now},
    wire::frame::CloseReason,
};

/// All datagram connections of one socket.
///
/// Call [`poll_event`](Self::poll_event) and [`poll_transmit`](Self::poll_transmit) until `None`
/// after each other call, and [`handle_timeout`](Self::handle_timeout) when
/// [`poll_timeout`](Self::poll_timeout) says so.
#[derive(Debug)]
pub struct Endpoint {}

impl Endpoint {
    /// No connections. Every draw comes from `rng`; `boot` names this start of the process.
    pub fn new(_config: EndpointConfig, _me: Arc<Identity>, _boot: u64, _rng: Rng) -> Self {
        Self {}
    }

    /// Begins a connection. Exactly one [`Event::Connected`] or [`Event::Closed`] follows.
    pub fn connect(
        &mut self,
        _now: Now,
        _to: SocketAddr,
        _expect: Expect,
        _noise_static: Option<[u8; 32]>,
    ) -> Result<ConnectionId, NotDialled> {
        Err(NotDialled::Handshake)
    }

    /// Datagrams arrived from one address, in one buffer: each has `segment_size` bytes but the
    /// last, which may have less.
    pub fn handle_datagrams(
        &mut self,
        _now: Now,
        _from: SocketAddr,
        _segment_size: usize,
        _datagrams: &[u8],
    ) {
    }

    /// Queues a message. Before the handshake is complete it waits for it.
    pub fn send(
        &mut self,
        _now: Now,
        _connection: ConnectionId,
        _lane: LaneNumber,
        _delivery: Delivery,
        _body: Bytes,
    ) -> Result<(), NotQueued> {
        Err(NotQueued::Closed)
    }

    /// The application has dealt with a message of this many bytes: flow control lets the other
    /// end send more.
    pub fn release(&mut self, _now: Now, _connection: ConnectionId, _bytes: usize) {}

    /// Opens a stream towards the other end, in this lane.
    pub fn open_stream(
        &mut self,
        _now: Now,
        _connection: ConnectionId,
        _lane: LaneNumber,
    ) -> Result<StreamId, NotQueued> {
        Err(NotQueued::Closed)
    }

    /// Takes as much of `bytes` as there is room for: how many. Zero: wait for
    /// [`Event::StreamWritable`].
    pub fn write_stream(
        &mut self,
        _now: Now,
        _connection: ConnectionId,
        _stream: StreamId,
        _bytes: &[u8],
    ) -> Result<usize, NotQueued> {
        Err(NotQueued::Closed)
    }

    /// Nothing more is written to a stream.
    pub fn finish_stream(
        &mut self,
        _now: Now,
        _connection: ConnectionId,
        _stream: StreamId,
    ) -> Result<(), NotQueued> {
        Err(NotQueued::Closed)
    }

    /// Reads what has arrived of a stream, at most `limit` bytes: `Ok(None)` if it ended, empty
    /// bytes if there is nothing now.
    pub fn read_stream(
        &mut self,
        _now: Now,
        _connection: ConnectionId,
        _stream: StreamId,
        _limit: usize,
    ) -> Result<Option<Bytes>, NotQueued> {
        Err(NotQueued::Closed)
    }

    /// Gives up a stream: what we opened is reset, what the other end opened is refused.
    pub fn drop_stream(&mut self, _now: Now, _connection: ConnectionId, _stream: StreamId) {}

    /// Closes after everything that waits was sent and acknowledged. [`Event::Closed`] follows.
    pub fn close(&mut self, _now: Now, _connection: ConnectionId, _reason: CloseReason) {}

    /// Closes at once; the other end is told. [`Event::Closed`] follows.
    pub fn reset(&mut self, _now: Now, _connection: ConnectionId, _reason: CloseReason) {}

    /// Does what is due. Never harmful.
    pub fn handle_timeout(&mut self, _now: Now) {}

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// Fills `buf` (which is cleared first) with the next batch of datagrams to one address, at
    /// most `max_segments` of one size.
    pub fn poll_transmit(
        &mut self,
        _now: Now,
        _max_segments: usize,
        _buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        None
    }

    /// Connections of which something is to be told, in order of their ids.
    pub fn views(&self) -> Vec<ConnectionView> {
        Vec::new()
    }

    /// One connection, while it exists.
    pub fn view(&self, _connection: ConnectionId) -> Option<ConnectionView> {
        None
    }

    /// Bytes of a connection that wait to be acknowledged, while it exists.
    pub fn queued_bytes(&self, connection: ConnectionId) -> Option<usize> {
        self.view(connection).map(|view| view.queued_bytes)
    }

    /// When a packet of the other end of a connection opened last, while it exists.
    pub fn heard(&self, _connection: ConnectionId) -> Option<Instant> {
        None
    }

    /// What happened and what was dropped since the start.
    pub fn counters(&self) -> EndpointCounters {
        EndpointCounters::default()
    }

    /// Handshakes of strangers that are not complete.
    pub fn half_open(&self) -> usize {
        0
    }
}

//! One connection: what two endpoints say to each other once they hold keys `[PROTOCOL 9]`.
//!
//! - `packet`, `event`: what comes in and out;
//! - `lifecycle`: the state, and how it closes;
//! - `data`: messages and streams, both ways;
//! - `idle_timer`: whether the other end is still there;
//! - `send_control`: how much may be sent, and what became of it;
//! - `packet_space`: the packets that carry all that, once there are keys;
//! - here: what the application wants; `packets`: what the network and the time bring.

mod data;
mod event;
mod idle_timer;
mod lifecycle;
mod packet;
mod packet_space;
mod packets;
mod send_control;
#[cfg(test)]
mod tests;

pub(super) use self::{
    event::ConnectionEvent,
    packet::{Handled, OpenedPacket, SealedPacket},
};

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use self::{data::Carried, lifecycle::Lifecycle, packet_space::PacketSpace};
use super::{
    contract::{
        Closed, ConnectionId, ConnectionView, Delivery, EndpointConfig, LaneNumber, NotQueued,
        RemoteNode, StreamId, WireBytes,
    },
    incoming::{Delivered, Unfinished},
    protection::Protection,
    streams::StreamEvent,
    window::WindowBudget,
};
use crate::{
    handshake::expect::Direction,
    limits::{FIRST_RTT, LEAST_DATAGRAM, MESSAGE_COST},
    rng::Rng,
    time::{Duration, Instant},
    wire::{body::Body, frame::CloseReason},
};

/// One connection, from its first SYN to the end of its TIME_WAIT.
///
/// Packets come in by [`handle_packet`](Self::handle_packet) and go out by
/// [`poll_transmit`](Self::poll_transmit); [`poll_event`](Self::poll_event) says what happened.
/// Before [`secure`](Self::secure) it only queues.
///
/// **Guarantees.** Each reliable message arrives once, in order within its lane if it was sent so,
/// as long as the connection lives; what is delivered was said by the other end; nothing changes
/// because of a packet that does not open. The last event is [`ConnectionEvent::Closed`].
///
/// **Bounds**: what waits to be sent by [`EndpointConfig::queue_bytes`], what arrived by the
/// receive window, unfinished messages by
/// [`MAX_FRAGMENTS_PER_PEER`](crate::limits::MAX_FRAGMENTS_PER_PEER), packets in flight by the
/// congestion window.
#[derive(Debug)]
pub(super) struct Connection {
    lifecycle: Lifecycle,
    direction: Direction,
    config: Arc<EndpointConfig>,
    carried: Carried,
    /// There once both ends hold keys.
    space: Option<Box<PacketSpace>>,
    events: VecDeque<ConnectionEvent>,
    /// Whether the application was told the last thing, [`ConnectionEvent::Closed`].
    over: bool,
    /// Whether everything that was sent was acknowledged when that was last told.
    drained: bool,
    wire_bytes: WireBytes,
    rng: Rng,
}

impl Connection {
    /// A connection whose handshake is under way.
    pub(super) fn new(
        now: Instant,
        config: &Arc<EndpointConfig>,
        direction: Direction,
        rng: Rng,
        budget: &mut WindowBudget,
    ) -> Self {
        Self {
            lifecycle: Lifecycle::new(now, direction),
            direction,
            carried: Carried::new(now, config, budget),
            space: None,
            events: VecDeque::new(),
            over: false,
            drained: true,
            wire_bytes: WireBytes::default(),
            rng,
            config: config.clone(),
        }
    }

    /// Both ends hold keys. `theirs` is the other end's name for this connection.
    pub(super) fn secure(
        &mut self,
        now: Instant,
        protection: Protection,
        remote: RemoteNode,
        theirs: u32,
    ) {
        if !self.lifecycle.establish(now) {
            return;
        }
        let mut space = PacketSpace::new(now, &self.config, protection, remote, theirs);
        // Most connections never have two at once.
        self.events.reserve_exact(1);
        self.events.push_back(match self.direction {
            Direction::Outbound => {
                // The listener believes nothing before it opened a sealed packet.
                space.ask();
                ConnectionEvent::Connected(remote)
            }
            Direction::Inbound => ConnectionEvent::Accepted(remote),
        });
        self.space = Some(Box::new(space));
    }

    /// Queues a message. How many unreliable ones were dropped for it.
    pub(super) fn send(
        &mut self,
        lane: LaneNumber,
        delivery: Delivery,
        body: impl Into<Body>,
    ) -> Result<u64, NotQueued> {
        self.check_open()?;
        self.carried.outgoing.push(lane, delivery, body, self.carried.streams.queued_bytes())?;
        self.drained = false;
        Ok(self.carried.outgoing.take_dropped())
    }

    fn check_open(&self) -> Result<(), NotQueued> {
        if self.lifecycle.takes_messages() { Ok(()) } else { Err(NotQueued::Closed) }
    }

    /// The application has dealt with a message of so many bytes.
    pub(super) fn release(&mut self, now: Instant, bytes: usize, budget: &mut WindowBudget) {
        let cost = bytes.saturating_add(MESSAGE_COST);
        self.let_go(now, u64::try_from(cost).unwrap_or(u64::MAX), budget);
    }

    /// Bytes are not held any more, because the application dealt with them.
    fn let_go(&mut self, now: Instant, bytes: u64, budget: &mut WindowBudget) {
        let rtt = self.rtt();
        self.carried.window.handle_release(now, bytes, rtt, budget);
    }

    fn rtt(&self) -> Duration {
        self.space.as_ref().map_or(FIRST_RTT, |space| space.rtt().smoothed())
    }

    /// Closes when everything that waits was sent and acknowledged.
    pub(super) fn close(&mut self, now: Instant, reason: CloseReason) {
        let rtt = self.space.as_deref().map(PacketSpace::rtt);
        self.events.extend(self.lifecycle.close(now, reason, rtt));
        self.lifecycle.close_if_drained(now, &self.carried);
    }

    /// Closes at once and tells the other end.
    pub(super) fn reset(&mut self, now: Instant, reason: CloseReason) {
        let rtt = self.space.as_deref().map(PacketSpace::rtt);
        self.events.extend(self.lifecycle.reset(now, reason, rtt));
    }

    /// Over, at once.
    pub(super) fn abort(&mut self, now: Instant, why: Closed) {
        let rtt = self.space.as_deref().map(PacketSpace::rtt);
        self.events.extend(self.lifecycle.abort(now, why, rtt));
    }

    /// Whether nothing is to be done or said any more: it may be forgotten.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.lifecycle.is_over(now) && self.events.is_empty()
    }

    /// Opens a stream.
    pub(super) fn open_stream(&mut self, lane: LaneNumber) -> Result<StreamId, NotQueued> {
        self.check_open()?;
        self.carried.streams.open(lane)
    }

    /// Writes to a stream as much as there is room for.
    pub(super) fn write_stream(
        &mut self,
        stream: StreamId,
        bytes: &[u8],
    ) -> Result<usize, NotQueued> {
        self.check_open()?;
        let written = self.carried.streams.write(stream, bytes, self.room())?;
        self.drained &= written == 0;
        Ok(written)
    }

    /// Bytes of the queue that are free.
    fn room(&self) -> usize {
        self.config.queue_bytes.saturating_sub(self.queued_bytes())
    }

    /// Bytes that wait to be sent and acknowledged.
    pub(super) fn queued_bytes(&self) -> usize {
        self.carried.queued_bytes()
    }

    /// Bytes of messages in this lane and more urgent ones that wait to be sent and acknowledged.
    pub(super) fn queued_bytes_up_to(&self, lane: LaneNumber) -> usize {
        self.carried.outgoing.queued_bytes_up_to(lane)
    }

    /// What its packets took on the wire.
    pub(super) const fn wire_bytes(&self) -> WireBytes {
        self.wire_bytes
    }

    /// When a packet of the other end opened last.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.space.as_ref().map(|space| space.heard())
    }

    /// The least round trip of late, once there was one.
    pub(super) fn least_rtt(&self) -> Option<Duration> {
        let rtt = self.space.as_ref()?.rtt();
        rtt.measured().then(|| rtt.least())
    }

    /// Bytes in packets that the other end acknowledged.
    pub(super) fn delivered_bytes(&self) -> Option<u64> {
        self.space.as_ref().map(|space| space.delivered_bytes())
    }

    /// Ends a stream that we opened.
    pub(super) fn finish_stream(&mut self, stream: StreamId) -> Result<(), NotQueued> {
        self.check_open()?;
        self.carried.streams.finish(stream)?;
        self.drained = false;
        Ok(())
    }

    /// Reads from a stream that the other end opened.
    pub(super) fn read_stream(
        &mut self,
        now: Instant,
        stream: StreamId,
        limit: usize,
        budget: &mut WindowBudget,
    ) -> Result<Option<Bytes>, NotQueued> {
        let rtt = self.rtt();
        let read = self.carried.streams.read(now, stream, limit, rtt);
        // Hearing that it was given up lets it go too.
        let released = self.carried.streams.take_released();
        self.let_go(now, released, budget);
        self.lifecycle.close_if_drained(now, &self.carried);
        read
    }

    /// Gives up a stream.
    pub(super) fn drop_stream(
        &mut self,
        now: Instant,
        (stream, code): (StreamId, u32),
        budget: &mut WindowBudget,
    ) {
        self.carried.streams.drop_stream(stream, code);
        let released = self.carried.streams.take_released();
        self.let_go(now, released, budget);
        self.lifecycle.close_if_drained(now, &self.carried);
    }

    /// The next thing that happened.
    pub(super) fn poll_event(&mut self) -> Option<ConnectionEvent> {
        if self.over {
            // In TIME_WAIT it may still move, say. Nobody is told, and nothing may wait for that.
            self.events.clear();
            return None;
        }
        let event = self.next_event();
        if let Some(ConnectionEvent::Closed(_)) = event {
            self.over = true;
            if self.lifecycle.resets() {
                // What was said is worth no memory while whoever said it is told so.
                self.carried.forget(&self.config);
            }
        }
        event
    }

    fn next_event(&mut self) -> Option<ConnectionEvent> {
        // Whoever is there is told before what it said, and its end after it.
        if self.events.front().is_some_and(|event| !event.is_end()) {
            return self.events.pop_front();
        }
        if let Some(Delivered { lane, delivery, body }) = self.carried.incoming.poll() {
            return Some(ConnectionEvent::Message { lane, delivery, body });
        }
        match self.carried.streams.poll_event(self.room()) {
            Some(StreamEvent::Readable(stream)) => Some(ConnectionEvent::StreamReadable(stream)),
            Some(StreamEvent::Writable(stream)) => Some(ConnectionEvent::StreamWritable(stream)),
            Some(StreamEvent::Stopped(stream, code)) => {
                Some(ConnectionEvent::StreamStopped(stream, code))
            }
            Some(StreamEvent::Available) => Some(ConnectionEvent::StreamsAvailable),
            None => self.events.pop_front(),
        }
    }

    /// Whether there is more to read of a stream, or its end.
    pub(super) fn is_readable(&self, stream: StreamId) -> bool {
        self.carried.streams.is_readable(stream)
    }

    /// Whether everything that was said was acknowledged, as far as that was told.
    pub(super) const fn is_drained(&self) -> bool {
        self.drained
    }

    /// What unfinished messages take, if there are any.
    pub(super) fn unfinished(&self) -> Option<Unfinished> {
        self.carried.incoming.unfinished()
    }

    /// Gives up the unfinished message that waits longest: how many bytes that freed.
    pub(super) fn give_up_oldest(&mut self) -> usize {
        self.carried.incoming.give_up_oldest()
    }

    /// Bytes that are held beyond what the window promised.
    pub(super) const fn overdraft(&self) -> u64 {
        if self.over { 0 } else { self.carried.window.over_window() }
    }

    /// Gives back what it borrowed; the last thing that is asked of it.
    pub(super) fn give_back(&mut self, budget: &mut WindowBudget) {
        self.carried.window.give_back(budget);
    }

    /// As statistics show it; what it is called in the headers of packets to this end is the
    /// endpoint's to tell.
    pub(super) fn view(&self, connection: ConnectionId) -> ConnectionView {
        let mut view = ConnectionView {
            connection,
            id_here: 0,
            id_there: None,
            remote: None,
            state: self.lifecycle.state(),
            since: self.lifecycle.since(),
            rtt: None,
            least_rtt: None,
            congestion: "none",
            congestion_window: 0,
            in_flight: 0,
            send_window: 0,
            datagram_size: LEAST_DATAGRAM,
            queued_bytes: self.queued_bytes(),
            unreleased_bytes: usize::try_from(self.carried.window.held()).unwrap_or(usize::MAX),
            unfinished_bytes: self.unfinished().map_or(0, |unfinished| unfinished.bytes),
            gaps: 0,
            lost: 0,
            sent: 0,
        };
        if let Some(space) = &self.space {
            space.view(&mut view);
        }
        view
    }
}

//! One connection: what two endpoints say to each other once they hold keys `[PROTOCOL 9]`.
//!
//! - `data`: messages and streams, both ways;
//! - `packet_space`: the packets that carry them, once there are keys;
//! - `recv`: a packet that arrived, frame by frame;
//! - `packet_builder`: the next packets, as far as congestion, pacing, flow control and the path
//!   allow;
//! - `timers`: what time brings: loss, probes, silence;
//! - `close`, `ending`: how it closes.

mod close;
mod data;
mod ending;
mod packet_builder;
mod packet_space;
mod recv;
#[cfg(test)]
mod tests;
mod timers;

pub(super) use recv::{OpenedPacket, SealedPacket};

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use bytes::Bytes;

use self::{
    data::{Carried, SentPacketData},
    packet_space::PacketSpace,
};
use super::{
    contract::{
        Closed, ConnectionId, ConnectionState, ConnectionView, Delivery, EndpointConfig,
        EndpointEvent, LaneNumber, NotQueued, RemoteNode, StreamId,
    },
    incoming::{Delivered, Unfinished},
    protection::{Protection, Unopened},
    rtt::Rtt,
    state::Transition,
    streams::StreamEvent,
    window::WindowBudget,
};
use crate::{
    handshake::expect::Direction,
    limits::{FIRST_RTT, LEAST_DATAGRAM, MESSAGE_COST},
    rng::Rng,
    time::{Duration, Instant},
    wire::frame::CloseReason,
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
    state: ConnectionState,
    direction: Direction,
    since: Instant,
    config: Arc<EndpointConfig>,
    carried: Carried,
    secured: Option<Box<PacketSpace>>,
    ending: ending::Ending,
    events: VecDeque<ConnectionEvent>,
    /// Whether the application was told the last thing, [`ConnectionEvent::Closed`].
    over: bool,
    /// Whether everything that was sent was acknowledged when that was last told.
    drained: bool,
    rng: Rng,
}

/// What happened to a connection: an [`EndpointEvent`] without its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConnectionEvent {
    Connected(RemoteNode),
    Accepted(RemoteNode),
    Message { lane: LaneNumber, delivery: Delivery, body: Bytes },
    Drained,
    Writable,
    StreamReadable(StreamId),
    StreamWritable(StreamId),
    StreamsAvailable,
    Moved(SocketAddr),
    Finished(CloseReason),
    Closed(Closed),
}

impl ConnectionEvent {
    pub(super) fn of(self, connection: ConnectionId) -> EndpointEvent {
        match self {
            Self::Connected(remote) => EndpointEvent::Connected { connection, remote },
            Self::Accepted(remote) => EndpointEvent::Accepted { connection, remote },
            Self::Message { lane, delivery, body } => {
                EndpointEvent::Message { connection, lane, delivery, body }
            }
            Self::Drained => EndpointEvent::Drained { connection },
            Self::Writable => EndpointEvent::Writable { connection },
            Self::StreamReadable(stream) => EndpointEvent::StreamReadable { connection, stream },
            Self::StreamWritable(stream) => EndpointEvent::StreamWritable { connection, stream },
            Self::StreamsAvailable => EndpointEvent::StreamsAvailable { connection },
            Self::Moved(addr) => EndpointEvent::Moved { connection, addr },
            Self::Finished(reason) => EndpointEvent::Finished { connection, reason },
            Self::Closed(why) => EndpointEvent::Closed { connection, why },
        }
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handled {
    /// It opened; what was in it was heard.
    Opened,
    /// It did not.
    NotOpened(Unopened),
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
        let step = match direction {
            Direction::Outbound => Transition::Dialled,
            Direction::Inbound => Transition::Answered,
        };
        Self {
            state: ConnectionState::Closed.after(step).expect("every connection begins closed"),
            direction,
            since: now,
            carried: Carried::new(now, config, budget),
            secured: None,
            ending: ending::Ending::default(),
            events: VecDeque::new(),
            over: false,
            drained: true,
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
        let Some(state) = self.state.after(Transition::Proven) else { return };
        self.state = state;
        self.since = now;
        let mut secured = PacketSpace::new(now, &self.config, protection, remote, theirs);
        // The listener believes nothing before it opened a sealed packet.
        secured.due.ping = self.direction == Direction::Outbound;
        self.secured = Some(Box::new(secured));
        self.events.push_back(match self.direction {
            Direction::Outbound => ConnectionEvent::Connected(remote),
            Direction::Inbound => ConnectionEvent::Accepted(remote),
        });
    }

    /// Queues a message. How many unreliable ones were dropped for it.
    pub(super) fn send(
        &mut self,
        lane: LaneNumber,
        delivery: Delivery,
        body: Bytes,
    ) -> Result<u64, NotQueued> {
        self.check_open()?;
        self.carried.outgoing.push(lane, delivery, body, self.carried.streams.queued_bytes())?;
        self.drained = false;
        Ok(self.carried.outgoing.take_dropped())
    }

    fn check_open(&self) -> Result<(), NotQueued> {
        if self.state.takes_messages() && !self.ending.is_asked_for() {
            Ok(())
        } else {
            Err(NotQueued::Closed)
        }
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
        self.tell_window();
    }

    /// The other end hears of the window if it opened by so much that it should.
    fn tell_window(&mut self) {
        if let Some(secured) = &mut self.secured
            && self.carried.window.update_due()
        {
            secured.due.window = true;
        }
    }

    fn rtt(&self) -> Duration {
        self.secured.as_ref().map_or(FIRST_RTT, |secured| secured.recovery.rtt().smoothed())
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

    /// When a packet of the other end opened last.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.secured.as_ref().map(|secured| secured.heard)
    }

    /// Bytes in packets that the other end acknowledged.
    pub(super) fn delivered_bytes(&self) -> Option<u64> {
        self.secured.as_ref().map(|secured| secured.recovery.delivered_bytes())
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
        self.close_if_drained(now);
        read
    }

    /// Gives up a stream.
    pub(super) fn drop_stream(
        &mut self,
        now: Instant,
        stream: StreamId,
        budget: &mut WindowBudget,
    ) {
        self.carried.streams.drop_stream(stream);
        let released = self.carried.streams.take_released();
        self.let_go(now, released, budget);
        self.close_if_drained(now);
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
            if self.ending.resets() {
                // What was said is worth no memory while whoever said it is told so.
                self.carried.forget(&self.config);
            }
        }
        event
    }

    fn next_event(&mut self) -> Option<ConnectionEvent> {
        // Whoever is there is told before what it said, and its end after it.
        let ends = |event: &ConnectionEvent| {
            matches!(event, ConnectionEvent::Closed(_) | ConnectionEvent::Finished(_))
        };
        if self.events.front().is_some_and(|event| !ends(event)) {
            return self.events.pop_front();
        }
        if let Some(Delivered { lane, delivery, body }) = self.carried.incoming.poll() {
            return Some(ConnectionEvent::Message { lane, delivery, body });
        }
        match self.carried.streams.poll_event(self.room()) {
            Some(StreamEvent::Readable(stream)) => Some(ConnectionEvent::StreamReadable(stream)),
            Some(StreamEvent::Writable(stream)) => Some(ConnectionEvent::StreamWritable(stream)),
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

    /// The other end, once it is known.
    pub(super) fn remote(&self) -> Option<RemoteNode> {
        self.secured.as_ref().map(|secured| secured.remote)
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
        let secured = self.secured.as_deref();
        let rtt = secured.map(|secured| secured.recovery.rtt()).filter(|rtt| rtt.measured());
        ConnectionView {
            connection,
            id_here: 0,
            id_there: secured.map(|it| it.theirs),
            remote: self.remote(),
            state: self.state,
            since: self.since,
            rtt: rtt.map(Rtt::smoothed),
            least_rtt: rtt.map(Rtt::least),
            congestion: secured.map_or("none", |it| it.recovery.congestion().name()),
            congestion_window: secured.map_or(0, |it| it.recovery.congestion().window()),
            in_flight: secured.map_or(0, |it| it.recovery.in_flight()),
            send_window: secured.map_or(0, PacketSpace::budget),
            datagram_size: secured.map_or(LEAST_DATAGRAM, |it| it.size.current()),
            queued_bytes: self.queued_bytes(),
            unreleased_bytes: usize::try_from(self.carried.window.held()).unwrap_or(usize::MAX),
            unfinished_bytes: self.unfinished().map_or(0, |unfinished| unfinished.bytes),
            gaps: secured.map_or(0, |it| it.received.gaps()),
            lost: secured.map_or(0, |it| it.lost),
            sent: secured.map_or(0, |it| it.sent),
        }
    }
}

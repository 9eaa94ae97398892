//! All datagram connections of one socket.

mod dispatch;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;

use super::{
    bindings::Bindings,
    client_handshake::{ClientHandshake, HandshakeProgress},
    connection::Connection,
    contract::{
        Closed, ConnectionId, ConnectionView, Delivery, EndpointConfig, EndpointCounters,
        EndpointEvent, LaneNumber, NotDialled, NotQueued, QueryEvent, StreamId, StunAnswered,
        Transmit, WireBytes,
    },
    demux::Demux,
    half_open::HalfOpenTable,
    memory_budget::MemoryBudget,
    per_second::PerSecond,
    protection::Tuning,
    query::{Answering, Asking},
    transmit_queue::{TransmitQueue, Unsealed},
    window::WindowBudget,
};
use crate::{
    deadlines::Deadlines,
    handshake::{
        expect::{Direction, Expect},
        hello::Local,
    },
    identity::Identity,
    limits::MAX_DATAGRAM_DIALS,
    rng::Rng,
    time::{Duration, Instant, Now},
    wire::{body::Body, frame::CloseReason},
};

/// All datagram connections of one socket.
///
/// Call [`poll_event`](Self::poll_event), [`poll_query`](Self::poll_query) and
/// [`poll_transmit`](Self::poll_transmit) until `None` after each other call, and
/// [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says so.
///
/// **Guarantees.** Whoever is named by an event proved to hold its keys and to be live. Of
/// strangers nothing is believed. Every [`connect`](Self::connect) and every
/// [`EndpointEvent::Accepted`] comes to exactly one [`EndpointEvent::Closed`], its last event. Two
/// ends that dial each other get two. A query is no connection, and whoever answers it keeps
/// nothing of it.
///
/// **Bounds.** [`EndpointConfig::max_connections`], of them [`MAX_DATAGRAM_DIALS`] that are not
/// complete; [`MAX_DATAGRAM_HALF_OPEN`](crate::limits::MAX_DATAGRAM_HALF_OPEN) handshakes of
/// strangers; [`MAX_QUERIES_UNDER_WAY`](crate::limits::MAX_QUERIES_UNDER_WAY) queries of ours, and
/// [`MAX_QUERIES_WAITING`](crate::limits::MAX_QUERIES_WAITING) of others that were not taken;
/// [`MAX_UNSEALED_QUEUE`](crate::limits::MAX_UNSEALED_QUEUE) datagrams of handshakes
/// that wait to be sent; [`ENDPOINT_WINDOW_BYTES`](crate::limits::ENDPOINT_WINDOW_BYTES) promised
/// beyond the first windows; [`ENDPOINT_OVERDRAFT_BYTES`](crate::limits::ENDPOINT_OVERDRAFT_BYTES)
/// held beyond all windows; [`MAX_FRAGMENT_BYTES`](crate::limits::MAX_FRAGMENT_BYTES) of unfinished
/// messages. Messages among the events that wait are bounded by what the windows let the other ends
/// send before [`release`](Self::release).
///
/// ```
/// use std::sync::Arc;
///
/// use positron_proto::{
///     datagram::{
///         Endpoint,
///         contract::{Delivery, EndpointConfig, EndpointEvent},
///     },
///     handshake::Expect,
///     id::NetworkId,
///     identity::Identity,
///     rng::Seed,
///     time::Now,
/// };
///
/// let endpoint = |n: u8| {
///     let config = EndpointConfig::new(NetworkId::from_name("example"));
///     let me = Arc::new(Identity::from_seed([n; 32]));
///     Endpoint::new(config, me, 1, Seed::from_number(n.into()).stream("endpoint"))
/// };
/// let addresses = ["10.0.0.1:7".parse().unwrap(), "10.0.0.2:7".parse().unwrap()];
/// let (mut ends, now) = ([endpoint(1), endpoint(2)], Now::default());
///
/// let connection = ends[0].connect(now, addresses[1], Expect::Anyone, None).unwrap();
/// ends[0].send(now, connection, 0, Delivery::Ordered, "hello").unwrap();
/// let mut buf = Vec::new();
/// for _ in 0..10 {
///     for n in [0, 1] {
///         while let Some(transmit) = ends[n].poll_transmit(now, 1, &mut buf) {
///             let size = transmit.segment_size;
///             ends[1 - n].handle_datagrams(now, addresses[n], size, &buf[..transmit.len]);
///         }
///     }
/// }
/// let heard: Vec<_> = std::iter::from_fn(|| ends[1].poll_event()).collect();
/// let [_, EndpointEvent::Message { body, .. }] = &heard[..] else { panic!("no message") };
/// assert_eq!(body, "hello");
/// ```
#[derive(Debug)]
pub struct Endpoint {
    pub(super) config: Arc<EndpointConfig>,
    local: Local,
    tuning: Tuning,
    rng: Rng,
    demux: Demux,
    /// Handshakes of ours, until their last message is known to have arrived.
    dials: BTreeMap<ConnectionId, Box<ClientHandshake>>,
    half_open: HalfOpenTable,
    asking: Asking,
    answering: Answering,
    query_events: VecDeque<QueryEvent>,
    bindings: Bindings,
    stun_answers: VecDeque<StunAnswered>,
    deadlines: Deadlines<EndpointWake>,
    transmits: TransmitQueue,
    events: VecDeque<EndpointEvent>,
    windows: WindowBudget,
    memory: MemoryBudget,
    stray_hints: PerSecond,
    counters: EndpointCounters,
    /// The packet that was opened last: its place is the next one's.
    opened: Vec<u8>,
    /// Whose packets arrived and were not settled.
    arrived: Option<ConnectionId>,
    changes: u64,
}

/// Why to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EndpointWake {
    /// A stranger took too long.
    HalfOpen,
    /// A handshake of ours says something again.
    Dial(ConnectionId),
    /// A connection has something due.
    Connection(ConnectionId),
    /// The answer to a query of ours is late.
    Query,
}

impl Endpoint {
    /// No connections. Every draw comes from `rng`; `boot` names this start of the process.
    pub fn new(config: EndpointConfig, me: Arc<Identity>, boot: u64, rng: Rng) -> Self {
        Self::with_tuning(config, me, boot, rng, Tuning::default())
    }

    /// The same with other numbers of packets, for tests and simulators.
    pub fn with_tuning(
        config: EndpointConfig,
        me: Arc<Identity>,
        boot: u64,
        mut rng: Rng,
        tuning: Tuning,
    ) -> Self {
        Self {
            local: Local::new(me, config.network, boot),
            half_open: HalfOpenTable::new(&mut rng, tuning),
            config: Arc::new(config),
            tuning,
            rng,
            demux: Demux::default(),
            dials: BTreeMap::new(),
            asking: Asking::new(),
            answering: Answering::new(),
            query_events: VecDeque::new(),
            bindings: Bindings::default(),
            stun_answers: VecDeque::new(),
            deadlines: Deadlines::new(),
            transmits: TransmitQueue::default(),
            events: VecDeque::new(),
            windows: WindowBudget::default(),
            memory: MemoryBudget::default(),
            stray_hints: PerSecond::default(),
            counters: EndpointCounters::default(),
            opened: Vec::new(),
            arrived: None,
            changes: 0,
        }
    }

    /// Begins a connection. At most one [`EndpointEvent::Connected`] and exactly one
    /// [`EndpointEvent::Closed`] follow.
    ///
    /// # Errors
    ///
    /// Nothing was begun: too many connections or handshakes, or no address to dial.
    pub fn connect(
        &mut self,
        now: Now,
        to: SocketAddr,
        expect: Expect,
        noise_static: Option<[u8; 32]>,
    ) -> Result<ConnectionId, NotDialled> {
        self.knock(now, to, expect, noise_static, u32::MAX)
    }

    /// The same with so many SYNs at the most, and one in any case, until something is heard from
    /// there.
    ///
    /// # Errors
    ///
    /// As of [`connect`](Self::connect).
    pub fn knock(
        &mut self,
        now: Now,
        to: SocketAddr,
        expect: Expect,
        noise_static: Option<[u8; 32]>,
        syns: u32,
    ) -> Result<ConnectionId, NotDialled> {
        if to.port() == 0 || to.ip().is_unspecified() || to.ip().is_multicast() {
            return Err(NotDialled::BadAddress(to));
        }
        if self.dials.len() >= MAX_DATAGRAM_DIALS || self.is_full() {
            return Err(NotDialled::TooMany);
        }
        let wire = self.fresh_wire();
        let (to_wire, theirs) = ((to, wire), noise_static.as_ref());
        let (mut dial, syn) =
            ClientHandshake::start(now.mono, &self.local, to_wire, expect, theirs, &mut self.rng)
                .map_err(|_| NotDialled::Handshake)?;
        dial.say_at_most(syns);
        let id = self.insert(now.mono, wire, Direction::Outbound);
        self.dials.insert(id, Box::new(dial));
        self.counters.dials += 1;
        self.wake_dial(id);
        self.transmits.push(to, syn);
        Ok(id)
    }

    /// Queues a message. Before the handshake is complete it waits for it.
    ///
    /// # Errors
    ///
    /// Nothing was queued, and why.
    pub fn send(
        &mut self,
        _now: Now,
        connection: ConnectionId,
        lane: LaneNumber,
        delivery: Delivery,
        body: impl Into<Body>,
    ) -> Result<(), NotQueued> {
        let dropped = self.with(connection, |it, _| it.send(lane, delivery, body))?;
        self.counters.messages_dropped += dropped;
        self.counters.messages_sent += 1;
        Ok(())
    }

    /// The application has dealt with a message of this many bytes: flow control lets the other
    /// end send more.
    pub fn release(&mut self, now: Now, connection: ConnectionId, bytes: usize) {
        let _ = self.with(connection, |it, budget| {
            it.release(now.mono, bytes, budget);
            Ok(())
        });
    }

    /// Opens a stream towards the other end, in this lane.
    ///
    /// # Errors
    ///
    /// There is no such connection or lane, or the other end allows no more streams now.
    pub fn open_stream(
        &mut self,
        _now: Now,
        connection: ConnectionId,
        lane: LaneNumber,
    ) -> Result<StreamId, NotQueued> {
        self.with(connection, |it, _| it.open_stream(lane))
    }

    /// Takes as much of `bytes` as there is room for: how many. Zero: wait for
    /// [`EndpointEvent::StreamWritable`].
    ///
    /// # Errors
    ///
    /// There is no such connection or stream, or it ended.
    pub fn write_stream(
        &mut self,
        _now: Now,
        connection: ConnectionId,
        stream: StreamId,
        bytes: &[u8],
    ) -> Result<usize, NotQueued> {
        self.with(connection, |it, _| it.write_stream(stream, bytes))
    }

    /// Nothing more is written to a stream.
    ///
    /// # Errors
    ///
    /// There is no such connection or stream, or it ended.
    pub fn finish_stream(
        &mut self,
        _now: Now,
        connection: ConnectionId,
        stream: StreamId,
    ) -> Result<(), NotQueued> {
        self.with(connection, |it, _| it.finish_stream(stream))
    }

    /// Reads what has arrived of a stream, at most `limit` bytes: `Ok(None)` if it ended, empty
    /// bytes if there is nothing now.
    ///
    /// # Errors
    ///
    /// There is no such connection or stream, or the other end gave it up.
    pub fn read_stream(
        &mut self,
        now: Now,
        connection: ConnectionId,
        stream: StreamId,
        limit: usize,
    ) -> Result<Option<Bytes>, NotQueued> {
        self.with(connection, |it, budget| it.read_stream(now.mono, stream, limit, budget))
    }

    /// Gives up a stream: what we opened is reset, what the other end opened is refused. The other
    /// end is told why, by a code of the application.
    pub fn drop_stream(&mut self, now: Now, connection: ConnectionId, stream: StreamId, code: u32) {
        let _ = self.with(connection, |it, budget| {
            it.drop_stream(now.mono, (stream, code), budget);
            Ok(())
        });
    }

    /// Closes after everything that waits was sent and acknowledged, or nothing more of it was for
    /// [`FLUSH_TIMEOUT`](crate::limits::FLUSH_TIMEOUT): it is
    /// [`Closed::Silent`](super::contract::Closed::Silent) then. A handshake of ours that is not
    /// complete is given up. [`EndpointEvent::Closed`] follows.
    pub fn close(&mut self, now: Now, connection: ConnectionId, reason: CloseReason) {
        let _ = self.with(connection, |it, _| {
            it.close(now.mono, reason);
            Ok(())
        });
    }

    /// Closes at once; the other end is told. [`EndpointEvent::Closed`] follows.
    pub fn reset(&mut self, now: Now, connection: ConnectionId, reason: CloseReason) {
        let _ = self.with(connection, |it, _| {
            it.reset(now.mono, reason);
            Ok(())
        });
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// Does what is due. Never harmful.
    pub fn handle_timeout(&mut self, now: Now) {
        // Taken first: what is due again at once waits for the next call.
        let mut due = Vec::new();
        while let Some(wake) = self.deadlines.pop_due(now.mono) {
            due.push(wake);
        }
        for wake in due {
            match wake {
                EndpointWake::HalfOpen => {
                    self.half_open.handle_timeout(now.mono, &mut self.counters);
                    self.wake_half_open();
                }
                EndpointWake::Dial(id) => {
                    let Some(dial) = self.dials.get_mut(&id) else { continue };
                    let progress = dial.handle_timeout(now.mono, &self.local, &mut self.rng);
                    self.progress(now.mono, id, progress);
                }
                EndpointWake::Connection(id) => {
                    let Some(connection) = self.demux.get_mut(id) else { continue };
                    connection.handle_timeout(now.mono, &mut self.counters);
                    self.settle(id);
                    self.forget_if_over(now, id);
                }
                EndpointWake::Query => {
                    let (_, asking, mut ground) = self.queries(now);
                    asking.handle_timeout(&mut ground);
                    self.wake_queries();
                }
            }
        }
    }

    /// The operating system of this machine has no way to an address: a handshake of ours with who
    /// is there ends, if nobody has answered, and so do our queries to it. A connection goes on: a
    /// way that is lost may be found again.
    pub fn handle_no_way(&mut self, now: Now, to: SocketAddr) {
        let (_, asking, mut ground) = self.queries(now);
        asking.handle_no_way(to, &mut ground);
        self.wake_queries();
        let is_there = |dial: &ClientHandshake| dial.to() == to && !dial.is_agreed();
        let dials = self.dials.iter().filter(|(_, dial)| is_there(dial));
        let over: Vec<ConnectionId> = dials.map(|(id, _)| *id).collect();
        for id in over {
            self.progress(now.mono, id, HandshakeProgress::Over(Closed::NoWay));
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<EndpointEvent> {
        loop {
            let event = self.events.pop_front()?;
            if !self.is_stale(&event) {
                return Some(event);
            }
        }
    }

    /// Whether an event that waited is not true any more. What it told of is told again when it is.
    fn is_stale(&self, event: &EndpointEvent) -> bool {
        match event {
            EndpointEvent::Drained { connection } => {
                self.demux.get(*connection).is_some_and(|it| !it.is_drained())
            }
            EndpointEvent::StreamReadable { connection, stream } => {
                self.demux.get(*connection).is_some_and(|it| !it.is_readable(*stream))
            }
            _ => false,
        }
    }

    /// Fills `buf` (which is cleared first) with the next batch of datagrams to one address, at
    /// most `max_segments` of one size. Connections take turns.
    pub fn poll_transmit(
        &mut self,
        now: Now,
        max_segments: usize,
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        buf.clear();
        if let Some(Unsealed { to, datagram, hops }) = self.transmits.pop() {
            buf.extend_from_slice(&datagram);
            self.counters.datagrams_sent += 1;
            self.counters.bytes_sent += u64::try_from(buf.len()).unwrap_or(0);
            return Some(Transmit { to, segment_size: buf.len(), len: buf.len(), hops });
        }
        while let Some(id) = self.transmits.next_ready() {
            let sent = self.demux.get_mut(id).and_then(|connection| {
                connection.poll_transmit(now.mono, max_segments, buf, &mut self.counters)
            });
            self.settle(id);
            if sent.is_some() {
                return sent;
            }
            self.transmits.clear_ready(id);
            self.forget_if_over(now, id);
        }
        None
    }

    /// Connections of which something is to be told, in order of their ids.
    pub fn views(&self) -> Vec<ConnectionView> {
        self.demux.views().collect()
    }

    /// One connection, while it exists.
    pub fn view(&self, connection: ConnectionId) -> Option<ConnectionView> {
        self.demux.view(connection)
    }

    /// Bytes of messages of a connection in this lane and more urgent ones that wait to be
    /// acknowledged, while it exists.
    pub fn queued_bytes(&self, connection: ConnectionId, lane: LaneNumber) -> Option<usize> {
        Some(self.demux.get(connection)?.queued_bytes_up_to(lane))
    }

    /// How often anything of a connection changed: while this stays the same, so does what waits
    /// in each of them.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// When a packet of the other end of a connection opened last, while it exists.
    pub fn heard(&self, connection: ConnectionId) -> Option<Instant> {
        self.demux.get(connection)?.heard()
    }

    /// Whether everything that was said over a connection was acknowledged, while it exists.
    pub fn is_drained(&self, connection: ConnectionId) -> Option<bool> {
        self.demux.get(connection).map(Connection::is_drained)
    }

    /// The least round trip of a connection of late, while it exists: what its path takes without
    /// queues and losses.
    pub fn least_rtt(&self, connection: ConnectionId) -> Option<Duration> {
        self.demux.get(connection)?.least_rtt()
    }

    /// What the sealed packets of a connection took on the wire, while it exists.
    pub fn wire_bytes(&self, connection: ConnectionId) -> Option<WireBytes> {
        self.demux.get(connection).map(Connection::wire_bytes)
    }

    /// Bytes in packets of a connection that its other end acknowledged, while it exists: whether
    /// it grows tells a slow path from an end that takes nothing.
    pub fn delivered_bytes(&self, connection: ConnectionId) -> Option<u64> {
        self.demux.get(connection)?.delivered_bytes()
    }

    /// What happened and what was dropped since the start.
    pub fn counters(&self) -> EndpointCounters {
        self.counters
    }

    /// Handshakes of strangers that are not complete.
    pub fn half_open(&self) -> usize {
        self.half_open.len()
    }

    #[cfg(test)]
    pub(super) const fn demux(&mut self) -> &mut Demux {
        &mut self.demux
    }

    /// Unsealed datagrams that wait to be sent.
    #[cfg(test)]
    pub(super) fn unsealed(&self) -> usize {
        self.transmits.unsealed()
    }

    /// SYNs computed on in this second.
    #[cfg(test)]
    pub(super) const fn syns_computed(&self) -> u32 {
        self.half_open.computed()
    }

    /// Whether there can be no further connection.
    fn is_full(&self) -> bool {
        self.demux.len() >= self.config.max_connections
    }

    /// Does something with a connection, and whatever follows from it.
    fn with<T>(
        &mut self,
        id: ConnectionId,
        what: impl FnOnce(&mut Connection, &mut WindowBudget) -> Result<T, NotQueued>,
    ) -> Result<T, NotQueued> {
        let connection = self.demux.get_mut(id).ok_or(NotQueued::Closed)?;
        let done = what(connection, &mut self.windows);
        self.settle(id);
        done
    }

    /// Takes what a connection says and notes when it wants to be woken, after every change.
    pub(super) fn settle(&mut self, id: ConnectionId) {
        let Some(connection) = self.demux.get_mut(id) else { return };
        let mut closed = false;
        while let Some(event) = connection.poll_event() {
            let event = event.of(id);
            closed |= matches!(event, EndpointEvent::Closed { .. });
            self.counters.messages_received +=
                u64::from(matches!(event, EndpointEvent::Message { .. }));
            self.events.push_back(event);
        }
        self.memory.note(id, connection.unfinished(), connection.overdraft());
        self.transmits.set_ready(id);
        self.deadlines.set_or_clear(EndpointWake::Connection(id), connection.poll_timeout());
        self.changes += 1;
        if closed {
            self.forget_dial(id);
        }
        self.enforce_fragment_budget();
    }

    fn forget_if_over(&mut self, now: Now, id: ConnectionId) {
        if self.demux.get(id).is_some_and(|connection| connection.is_over(now.mono)) {
            self.forget(id);
        }
    }

    /// Forgets a connection without a word.
    fn forget(&mut self, id: ConnectionId) {
        self.forget_dial(id);
        let Some(mut connection) = self.demux.remove(id) else { return };
        self.changes += 1;
        connection.give_back(&mut self.windows);
        self.transmits.clear_ready(id);
        self.deadlines.clear(EndpointWake::Connection(id));
        self.memory.forget(id);
    }

    /// Our handshake is over, one way or the other.
    fn forget_dial(&mut self, id: ConnectionId) {
        if self.dials.remove(&id).is_some() {
            self.deadlines.clear(EndpointWake::Dial(id));
        }
    }
}

/// Whether there are keys, although the last message of our handshake may not have arrived.
fn is_agreed(dials: &BTreeMap<ConnectionId, Box<ClientHandshake>>, id: ConnectionId) -> bool {
    dials.get(&id).is_none_or(|dial| dial.is_agreed())
}

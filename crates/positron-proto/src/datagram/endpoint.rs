//! The table of all datagram connections.

use core::cmp::Reverse;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
};

use bytes::Bytes;

use super::{
    client_handshake::{ClientHandshake, HandshakeProgress},
    connection::Connection,
    contract::{
        Closed, ConnectionId, Delivery, EndpointConfig, EndpointCounters, EndpointEvent,
        LaneNumber, NotDialled, NotQueued, StreamId,
    },
    half_open::{HalfOpenTable, PerSecond, remote, sealed_reset},
    memory_budget::{Share, Shares},
    protection::{Protection, Tuning},
    window::WindowBudget,
};
use crate::{
    deadlines::Deadlines,
    handshake::{
        agreement::Agreement,
        expect::{Direction, Expect},
        hello::Local,
    },
    identity::Identity,
    limits::{MAX_DATAGRAM_DIALS, MAX_UNSEALED_QUEUE},
    rng::{Rng, Seed},
    time::{Instant, Now},
    wire::frame::CloseReason,
};

/// All datagram connections of one socket.
///
/// Call [`poll_event`](Self::poll_event) and [`poll_transmit`](Self::poll_transmit) until `None`
/// after each other call, and [`handle_timeout`](Self::handle_timeout) when
/// [`poll_timeout`](Self::poll_timeout) says so.
///
/// **Guarantees.** Whoever is named by an event proved to hold its keys and to be live. Of
/// strangers nothing is believed. Every [`connect`](Self::connect) and every
/// [`EndpointEvent::Accepted`]
/// comes to exactly one [`EndpointEvent::Closed`], its last event. Two ends that dial each other
/// get two.
///
/// **Bounds.** [`EndpointConfig::max_connections`], of them [`MAX_DATAGRAM_DIALS`] that are not
/// complete; [`MAX_DATAGRAM_HALF_OPEN`](crate::limits::MAX_DATAGRAM_HALF_OPEN) handshakes of
/// strangers; [`MAX_UNSEALED_QUEUE`] datagrams of handshakes that wait to be sent;
/// [`ENDPOINT_WINDOW_BYTES`](crate::limits::ENDPOINT_WINDOW_BYTES) promised beyond the first
/// windows; [`ENDPOINT_OVERDRAFT_BYTES`](crate::limits::ENDPOINT_OVERDRAFT_BYTES) held beyond all
/// windows; [`MAX_FRAGMENT_BYTES`](crate::limits::MAX_FRAGMENT_BYTES) of unfinished messages.
/// Messages among the events that wait are bounded by what the windows let the other ends send
/// before [`release`](Self::release).
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
/// ends[0].send(now, connection, 0, Delivery::Ordered, "hello".into()).unwrap();
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
    pub(super) local: Local,
    pub(super) rng: Rng,
    pub(super) rows: BTreeMap<ConnectionId, Row>,
    /// Connections by our ids on the wire.
    pub(super) by_wire: BTreeMap<u32, ConnectionId>,
    /// Connections by the other ends' ids on the wire, which are not unique.
    pub(super) by_theirs: BTreeSet<(u32, ConnectionId)>,
    pub(super) door: HalfOpenTable,
    pub(super) deadlines: Deadlines<EndpointWake>,
    /// Unsealed datagrams, which go before everything sealed.
    pub(super) unsealed: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Connections that may have something to send.
    pub(super) dirty: BTreeSet<ConnectionId>,
    /// The connection that was served last: the one after it is next.
    pub(super) served: ConnectionId,
    pub(super) stray_hints: PerSecond,
    pub(super) counters: EndpointCounters,
    /// The packet that was opened last: its place is the next one's.
    pub(super) opened: Vec<u8>,
    events: VecDeque<EndpointEvent>,
    /// The last name of a connection that was given.
    named: u64,
    /// Handshakes of ours that are not complete.
    dials: usize,
    budget: WindowBudget,
    /// Unfinished messages: the connection of the oldest gives way.
    pub(super) unfinished: Shares<Instant>,
    /// What is held beyond the windows: the connection that holds most gives way.
    pub(super) overdrafts: Shares<Reverse<u64>>,
    tuning: Tuning,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) connection: Connection,
    /// Our id on the wire.
    pub(super) wire: u32,
    /// Theirs, once it is known.
    pub(super) theirs: Option<u32>,
    /// Our handshake, until its last message is known to have arrived.
    pub(super) dial: Option<Box<ClientHandshake>>,
    /// What was counted of it.
    pub(super) unfinished: Option<Share<Instant>>,
    pub(super) overdraft: Option<Share<Reverse<u64>>>,
}

/// Why to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EndpointWake {
    /// A stranger took too long.
    Door,
    /// A handshake of ours says something again.
    Dial(ConnectionId),
    /// A connection has something due.
    Connection(ConnectionId),
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
            door: HalfOpenTable::new(&mut rng, tuning),
            config: Arc::new(config),
            rng,
            rows: BTreeMap::new(),
            by_wire: BTreeMap::new(),
            by_theirs: BTreeSet::new(),
            deadlines: Deadlines::new(),
            unsealed: VecDeque::new(),
            dirty: BTreeSet::new(),
            served: ConnectionId(0),
            stray_hints: PerSecond::default(),
            counters: EndpointCounters::default(),
            opened: Vec::new(),
            events: VecDeque::new(),
            named: 0,
            dials: 0,
            budget: WindowBudget::default(),
            unfinished: Shares::default(),
            overdrafts: Shares::default(),
            tuning,
        }
    }

    /// Begins a connection. At most one [`EndpointEvent::Connected`] and exactly one
    /// [`EndpointEvent::Closed`]
    /// follow.
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
        if to.port() == 0 || to.ip().is_unspecified() || to.ip().is_multicast() {
            return Err(NotDialled::BadAddress(to));
        }
        if self.dials >= MAX_DATAGRAM_DIALS || self.is_full() {
            return Err(NotDialled::TooMany);
        }
        let wire = self.fresh_wire();
        let (to_wire, theirs) = ((to, wire), noise_static.as_ref());
        let (dial, syn) =
            ClientHandshake::start(now.mono, &self.local, to_wire, expect, theirs, &mut self.rng)
                .map_err(|_| NotDialled::Handshake)?;
        let id = self.insert(now.mono, wire, Some(Box::new(dial)));
        self.counters.dials += 1;
        self.dials += 1;
        self.wake_dial(id);
        self.say(to, syn);
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
        body: Bytes,
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
    /// There is no such connection or stream.
    pub fn read_stream(
        &mut self,
        now: Now,
        connection: ConnectionId,
        stream: StreamId,
        limit: usize,
    ) -> Result<Option<Bytes>, NotQueued> {
        self.with(connection, |it, budget| it.read_stream(now.mono, stream, limit, budget))
    }

    /// Gives up a stream: what we opened is reset, what the other end opened is refused.
    pub fn drop_stream(&mut self, now: Now, connection: ConnectionId, stream: StreamId) {
        let _ = self.with(connection, |it, budget| {
            it.drop_stream(now.mono, stream, budget);
            Ok(())
        });
    }

    /// Closes after everything that waits was sent and acknowledged, or nothing more of it was for
    /// [`FLUSH_TIMEOUT`](crate::limits::FLUSH_TIMEOUT) ([`Closed::Silent`]); a handshake of ours
    /// that is not complete is given up. [`EndpointEvent::Closed`] follows.
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

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<EndpointEvent> {
        loop {
            let event = self.events.pop_front()?;
            if !self.is_stale(&event) {
                return Some(event);
            }
        }
    }
}

// What the rooms of the endpoint share.
impl Endpoint {
    /// Whether there can be no further connection.
    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= self.config.max_connections
    }

    /// A connection id that nobody has here. 0 stands for none.
    pub(super) fn fresh_wire(&mut self) -> u32 {
        loop {
            let wire = u32::from_be_bytes(self.rng.bytes());
            if wire != 0 && !self.by_wire.contains_key(&wire) && !self.door.knows(wire) {
                return wire;
            }
        }
    }

    /// A new row: of a dial of ours, or else of a stranger who proved to be live.
    pub(super) fn insert(
        &mut self,
        now: Instant,
        wire: u32,
        dial: Option<Box<ClientHandshake>>,
    ) -> ConnectionId {
        let direction = if dial.is_some() { Direction::Outbound } else { Direction::Inbound };
        self.named += 1;
        let id = ConnectionId(self.named);
        let rng = Seed::new(self.rng.bytes()).stream("connection");
        let connection = Connection::new(now, &self.config, direction, rng, &mut self.budget);
        let (theirs, unfinished, overdraft) = (None, None, None);
        self.rows.insert(id, Row { connection, wire, theirs, dial, unfinished, overdraft });
        self.by_wire.insert(wire, id);
        id
    }

    /// Queues an unsealed datagram, unless too many wait.
    pub(super) fn say(&mut self, to: SocketAddr, datagram: Vec<u8>) {
        if self.unsealed.len() < MAX_UNSEALED_QUEUE {
            self.unsealed.push_back((to, datagram));
        }
    }

    /// Does something with a connection, and whatever follows from it.
    fn with<T>(
        &mut self,
        id: ConnectionId,
        what: impl FnOnce(&mut Connection, &mut WindowBudget) -> Result<T, NotQueued>,
    ) -> Result<T, NotQueued> {
        let row = self.rows.get_mut(&id).ok_or(NotQueued::Closed)?;
        let done = what(&mut row.connection, &mut self.budget);
        self.settle(id);
        done
    }

    /// Takes what a connection says and notes when it wants to be woken, after every change.
    pub(super) fn settle(&mut self, id: ConnectionId) {
        let Some(row) = self.rows.get_mut(&id) else { return };
        let mut closed = false;
        while let Some(event) = row.connection.poll_event() {
            let event = event.of(id);
            closed |= matches!(event, EndpointEvent::Closed { .. });
            self.counters.messages_received +=
                u64::from(matches!(event, EndpointEvent::Message { .. }));
            self.events.push_back(event);
        }
        if closed {
            self.forget_dial(id);
        }
        self.share(id);
        let Some(row) = self.rows.get(&id) else { return };
        self.dirty.insert(id);
        match row.connection.poll_timeout() {
            Some(at) => self.deadlines.set(EndpointWake::Connection(id), at),
            None => self.deadlines.clear(EndpointWake::Connection(id)),
        }
    }

    /// Forgets a connection without a word.
    pub(super) fn forget(&mut self, id: ConnectionId) {
        self.forget_dial(id);
        let Some(mut row) = self.rows.remove(&id) else { return };
        row.connection.give_back(&mut self.budget);
        self.by_wire.remove(&row.wire);
        if let Some(theirs) = row.theirs {
            self.by_theirs.remove(&(theirs, id));
        }
        self.dirty.remove(&id);
        self.deadlines.clear(EndpointWake::Connection(id));
        self.unfinished.change(id, row.unfinished, None);
        self.overdrafts.change(id, row.overdraft, None);
    }

    /// Our handshake is over, one way or the other.
    pub(super) fn forget_dial(&mut self, id: ConnectionId) {
        self.deadlines.clear(EndpointWake::Dial(id));
        let Some(row) = self.rows.get_mut(&id) else { return };
        if row.dial.take().is_some() {
            self.dials -= 1;
        }
    }

    /// Notes when a handshake of ours wants to be woken.
    pub(super) fn wake_dial(&mut self, id: ConnectionId) {
        let dial = self.rows.get(&id).and_then(|row| row.dial.as_deref());
        match dial {
            Some(dial) => self.deadlines.set(EndpointWake::Dial(id), dial.next()),
            None => self.deadlines.clear(EndpointWake::Dial(id)),
        }
    }

    /// What a handshake of ours came to.
    pub(super) fn progress(&mut self, now: Now, id: ConnectionId, progress: HandshakeProgress) {
        let Some(to) =
            self.rows.get(&id).and_then(|row| row.dial.as_deref()).map(ClientHandshake::to)
        else {
            return;
        };
        match progress {
            HandshakeProgress::Nothing => {}
            HandshakeProgress::Say(datagram) => self.say(to, datagram),
            HandshakeProgress::Agreed(agreed, ack) => {
                self.agreed(now.mono, id, to, *agreed, ack);
            }
            // Its last message was said often enough: what is silent is the connection.
            HandshakeProgress::Over(_) if self.rows.get(&id).is_some_and(Row::is_agreed) => {
                self.forget_dial(id);
            }
            HandshakeProgress::Over(why) => self.fail_dial(id, why),
        }
        self.wake_dial(id);
    }

    fn fail_dial(&mut self, connection: ConnectionId, why: Closed) {
        self.counters.handshakes_failed += 1;
        self.forget(connection);
        self.events.push_back(EndpointEvent::Closed { connection, why });
    }

    /// The listener is known. Go on, or say sealed why not.
    fn agreed(
        &mut self,
        now: Instant,
        id: ConnectionId,
        to: SocketAddr,
        agreed: Agreement,
        ack: Option<Vec<u8>>,
    ) {
        let mut protection =
            Protection::tuned(&agreed.split, agreed.suite, agreed.role, self.tuning);
        let theirs = agreed.connection.unwrap_or_default();
        let is_last = ack.is_none();
        if let Some(ack) = ack {
            self.say(to, ack);
        }
        if let Some(reason) = agreed.refusal {
            if let Some(reset) = sealed_reset(now, &mut protection, theirs, &reason) {
                self.say(to, reset);
            }
            let why = match reason {
                CloseReason::SelfDial => Closed::Ourselves,
                CloseReason::WrongNode => Closed::WrongNode { found: agreed.id },
                reason => Closed::ByUs(reason),
            };
            self.fail_dial(id, why);
            return;
        }
        if is_last {
            self.forget_dial(id);
        }
        let Some(row) = self.rows.get_mut(&id) else { return };
        if let Some(dial) = &mut row.dial {
            dial.agreed(now);
        }
        row.theirs = Some(theirs);
        self.by_theirs.insert((theirs, id));
        let remote = remote(&agreed, to, Direction::Outbound);
        row.connection.secure(now, protection, remote, theirs);
        self.counters.connections += 1;
        self.settle(id);
    }
}

impl Row {
    /// Whether there are keys, although our last message may not have arrived.
    pub(super) fn is_agreed(&self) -> bool {
        self.dial.as_ref().is_none_or(|dial| dial.is_agreed())
    }
}

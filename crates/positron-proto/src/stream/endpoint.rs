//! The table of all links over byte streams.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

use bytes::Bytes;

use super::{
    contract::{
        Draft, Hangup, LinkDown, Reading, StreamCounters, StreamEffect, StreamFault,
        StreamLinkEvent,
    },
    handshake::{
        Answered, Heard, Initiator, NotOurs, Packet, Responder, StreamHandshakeError, protocol_of,
    },
    inbound::Inbound,
    record::{HEADER, Keys, Opener, RECORD_OVERHEAD, Sealer},
};
use crate::{
    datagram::contract::WireBytes,
    handshake::{
        Direction, Expect, HandshakeFailure, RemoteNode,
        agreement::{Agreement, HandshakeCarrier},
        hello::Local,
    },
    id::LinkId,
    limits::{LINK_WRITE_WINDOW, MAX_RECORD, RELAY_STEP},
    rng::Rng,
    scope::is_relayed,
    time::{Instant, Now},
    wire::frame::{CloseReason, Frame},
};

/// All links over byte streams of one node: from a stream that is dialled or accepted to one that
/// carries sealed records of an authenticated node.
///
/// The caller names the links. **Inputs** of each, in the order in which they happen:
/// [`connect`](Self::connect) and then [`handle_connected`](Self::handle_connected), or
/// [`handle_accepted`](Self::handle_accepted); then [`handle_bytes`](Self::handle_bytes) and
/// [`handle_written`](Self::handle_written); at last [`handle_link_down`](Self::handle_link_down).
/// Take [`poll_event`](Self::poll_event) and [`poll_effect`](Self::poll_effect) until `None` when
/// an input is done with. A record is written in one buffer: [`begin`](Self::begin) lends it,
/// [`send`](Self::send) seals what was appended.
///
/// **Guarantees.** Whoever is named by [`StreamLinkEvent::Authenticated`] holds its keys, and of
/// whom we did not dial an old message sent again is not enough. Nothing is written to a stream
/// after its [`Hangup`]. A link has one [`StreamLinkEvent::Closed`], its last event.
///
/// **Bounds.** A link holds one incomplete handshake message or record and, as long as the caller
/// asks [`has_room`](Self::has_room), [`LINK_WRITE_WINDOW`] bytes that the kernel has not taken;
/// an idle one holds its keys. How many links there are, and how long a handshake may take, is the
/// caller's to bound.
#[derive(Debug)]
pub struct StreamEndpoint {
    local: Local,
    rng: Rng,
    links: BTreeMap<LinkId, StreamLink>,
    events: VecDeque<StreamLinkEvent>,
    effects: VecDeque<Pending>,
    counters: StreamCounters,
}

/// One link.
#[derive(Debug)]
struct StreamLink {
    addr: SocketAddr,
    state: State,
    inbound: Inbound,
    /// When bytes arrived last.
    heard: Option<Instant>,
    /// Bytes written that the kernel has not taken.
    in_flight: usize,
    /// Bytes that it took.
    taken: u64,
    wire_bytes: WireBytes,
}

/// How far a link is.
#[derive(Debug)]
enum State {
    /// We dial; there is no stream yet.
    Connecting { expect: Expect, noise_static: Option<[u8; 32]> },
    /// Our SYN is out.
    Initiating(Box<Initiator>),
    /// The other end dialled.
    Responding(Box<Responder>, HandshakeCarrier),
    /// The other end dialled and has keys; its first record is awaited.
    Unproven(Box<Keys>, RemoteNode),
    /// Records go both ways.
    Open(Box<Keys>),
    /// Of no use: the caller is about to hang up.
    Failed,
    /// We hung up; what still arrives is dropped.
    Closing,
}

/// What is to be done with a stream, while writes to one still grow.
#[derive(Debug)]
enum Pending {
    Done(StreamEffect),
    Write { link: LinkId, bytes: Vec<u8> },
}

impl StreamEndpoint {
    /// No links. Every draw comes from `rng`.
    pub(crate) fn new(local: Local, rng: Rng) -> Self {
        Self {
            local,
            rng,
            links: BTreeMap::new(),
            events: VecDeque::new(),
            effects: VecDeque::new(),
            counters: StreamCounters::default(),
        }
    }

    /// Dials, and expects this node there.
    pub fn connect(
        &mut self,
        link: LinkId,
        to: SocketAddr,
        expect: Expect,
        noise_static: Option<[u8; 32]>,
    ) {
        self.insert(link, to, State::Connecting { expect, noise_static });
        self.effects.push_back(Pending::Done(StreamEffect::Dial { link, to }));
    }

    /// A stream that we dialled is open, under this certificate of the other end if there is one.
    pub fn handle_connected(&mut self, link: LinkId, certificate: Option<[u8; 32]>) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        let State::Connecting { expect, noise_static } = &entry.state else { return };
        let carrier = HandshakeCarrier::Stream { certificate };
        self.events.push_back(StreamLinkEvent::Reached { link });
        let theirs = noise_static.as_ref();
        match Initiator::start(&self.local, carrier, *expect, theirs, &mut self.rng) {
            Ok((initiator, syn)) => {
                entry.state = State::Initiating(Box::new(initiator));
                self.write(link, &syn);
            }
            Err(_) => self.fail(link, HandshakeFailure::Broken("no handshake can be started")),
        }
    }

    /// Somebody opened a stream to us, under this certificate of ours if there is one.
    pub fn handle_accepted(
        &mut self,
        link: LinkId,
        from: SocketAddr,
        certificate: Option<[u8; 32]>,
    ) {
        let responder = Box::new(Responder::Listening { after_ik: false });
        let carrier = HandshakeCarrier::Stream { certificate };
        self.insert(link, from, State::Responding(responder, carrier));
    }

    fn insert(&mut self, link: LinkId, addr: SocketAddr, state: State) {
        let inbound = Inbound::default();
        let wire_bytes = WireBytes::default();
        let entry =
            StreamLink { addr, state, inbound, heard: None, in_flight: 0, taken: 0, wire_bytes };
        self.links.insert(link, entry);
    }

    /// Bytes of a link arrived, in order, cut anywhere.
    pub fn handle_bytes(&mut self, now: Now, link: LinkId, bytes: Bytes) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        let len = u64::try_from(bytes.len()).unwrap_or(0);
        self.counters.bytes_received += len;
        entry.wire_bytes.received += len;
        if let State::Connecting { .. } | State::Failed | State::Closing = entry.state {
            return;
        }
        entry.heard = Some(now.mono);
        entry.inbound.push(bytes);
        while self.advance(link) {}
        if let Some(entry) = self.links.get_mut(&link) {
            entry.inbound.settle();
        }
    }

    /// The kernel took `bytes` of what was written.
    pub fn handle_written(&mut self, link: LinkId, bytes: usize) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        entry.in_flight = entry.in_flight.saturating_sub(bytes);
        entry.taken = entry.taken.saturating_add(u64::try_from(bytes).unwrap_or(0));
        if let State::Open(_) = entry.state {
            self.events.push_back(StreamLinkEvent::Taken { link });
        }
    }

    /// A stream ended, or could not be opened; also the answer to [`StreamEffect::Hangup`].
    pub fn handle_link_down(&mut self, link: LinkId, why: LinkDown) {
        if self.links.remove(&link).is_some() {
            self.events.push_back(StreamLinkEvent::Closed { link, why });
        }
    }

    /// Whether the write window has room for another record. Through a relay nothing is written
    /// before it may go: whatever waits there, what is more urgent waits behind.
    pub fn has_room(&self, link: LinkId) -> bool {
        match self.links.get(&link) {
            Some(entry) if is_relayed(entry.addr.ip()) => entry.in_flight == 0,
            Some(entry) => entry.in_flight + RECORD_OVERHEAD + MAX_RECORD <= LINK_WRITE_WINDOW,
            None => true,
        }
    }

    /// Bytes that the next record may have.
    pub fn largest_record(&self, link: LinkId) -> usize {
        match self.links.get(&link) {
            Some(entry) if is_relayed(entry.addr.ip()) => RELAY_STEP - RECORD_OVERHEAD,
            Some(_) | None => MAX_RECORD,
        }
    }

    /// A buffer for the next record: behind what is written to the link and not yet taken by
    /// [`poll_effect`](Self::poll_effect), so that records of one input share a write.
    pub fn begin(&mut self, link: LinkId) -> Draft {
        let mut bytes = match self.effects.pop_back() {
            Some(Pending::Write { link: same, bytes }) if same == link => bytes,
            Some(other) => {
                self.effects.push_back(other);
                Vec::new()
            }
            None => Vec::new(),
        };
        let start = Sealer::begin(&mut bytes);
        Draft::within(bytes, start, HEADER)
    }

    /// Seals and writes what was appended, at once after [`begin`](Self::begin) of the same link.
    /// An empty draft is written as if it had not begun.
    pub fn send(&mut self, link: LinkId, draft: Draft) {
        let is_empty = draft.is_empty();
        let Draft { mut bytes, start, .. } = draft;
        match self.links.get_mut(&link) {
            Some(StreamLink { state: State::Open(keys), in_flight, wire_bytes, .. })
                if !is_empty =>
            {
                keys.sealer.seal(&mut bytes, start);
                *in_flight += bytes.len() - start;
                self.counters.records_sealed += 1;
                let len = u64::try_from(bytes.len() - start).unwrap_or(0);
                self.counters.bytes_sent += len;
                wire_bytes.sent += len;
            }
            _ => bytes.truncate(start),
        }
        if !bytes.is_empty() {
            self.effects.push_back(Pending::Write { link, bytes });
        }
    }

    /// Says why, sealed if there are keys, and hangs up after everything that was written.
    pub fn close(&mut self, link: LinkId, reason: CloseReason) {
        let Some(entry) = self.links.get(&link) else { return };
        if let State::Open(_) = entry.state {
            let mut draft = self.begin(link);
            Frame::Close(reason).encode(&mut draft.bytes);
            self.send(link, draft);
        }
        self.hang_up(link, Hangup::Flush);
    }

    /// Hangs up after everything that was written, without a word: the other end had the last.
    pub fn answer_close(&mut self, link: LinkId) {
        self.hang_up(link, Hangup::Flush);
    }

    /// Hangs up at once.
    pub fn reset(&mut self, link: LinkId) {
        self.hang_up(link, Hangup::Abort);
    }

    /// Reads a stream, or leaves what arrives with the kernel.
    pub fn set_reading(&mut self, link: LinkId, reading: Reading) {
        if self.links.contains_key(&link) {
            self.effects.push_back(Pending::Done(StreamEffect::Read { link, reading }));
        }
    }

    fn hang_up(&mut self, link: LinkId, how: Hangup) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        entry.state = State::Closing;
        entry.inbound = Inbound::default();
        self.effects.push_back(Pending::Done(StreamEffect::Hangup { link, how }));
    }

    /// When bytes of the other end arrived last.
    pub fn heard(&self, link: LinkId) -> Option<Instant> {
        self.links.get(&link)?.heard
    }

    /// What went over the stream.
    pub fn wire_bytes(&self, link: LinkId) -> WireBytes {
        self.links.get(&link).map_or(WireBytes::default(), |entry| entry.wire_bytes)
    }

    /// Bytes that the kernel took since the start of the link.
    pub fn taken(&self, link: LinkId) -> u64 {
        self.links.get(&link).map_or(0, |entry| entry.taken)
    }

    /// What happened since the start.
    pub const fn counters(&self) -> StreamCounters {
        self.counters
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<StreamLinkEvent> {
        self.events.pop_front()
    }

    /// The next thing to be done with a stream.
    pub fn poll_effect(&mut self) -> Option<StreamEffect> {
        Some(match self.effects.pop_front()? {
            Pending::Done(effect) => effect,
            Pending::Write { link, bytes } => StreamEffect::Write { link, bytes: bytes.into() },
        })
    }

    #[cfg(test)]
    pub(crate) const fn local_mut(&mut self) -> &mut Local {
        &mut self.local
    }
}

// From bytes to records.
impl StreamEndpoint {
    /// Takes one piece of what arrived on a link; false if more is needed.
    fn advance(&mut self, link: LinkId) -> bool {
        match self.links.get(&link).map(|entry| &entry.state) {
            Some(State::Initiating(_)) => self.initiate(link),
            Some(State::Responding(..)) => self.respond(link),
            Some(State::Unproven(..) | State::Open(_)) => self.open_record(link),
            _ => false,
        }
    }

    fn initiate(&mut self, link: LinkId) -> bool {
        let Some(entry) = self.links.get_mut(&link) else { return false };
        let packet = Packet::read(&mut entry.inbound);
        if let Ok(None) = packet {
            return false;
        }
        let state = core::mem::replace(&mut entry.state, State::Failed);
        let State::Initiating(initiator) = state else { return false };
        let answered = match packet {
            Ok(Some(packet)) => initiator.answer(&packet, &self.local, &mut self.rng),
            Ok(None) | Err(NotOurs) => {
                Err(HandshakeFailure::NotPositron(protocol_of(&entry.inbound.front(8))))
            }
        };
        match answered {
            Ok(Answered::Again(initiator, syn)) => {
                entry.state = State::Initiating(Box::new(initiator));
                self.write(link, &syn);
            }
            Ok(Answered::Secured(agreed, ack)) => {
                self.write(link, &ack);
                self.agreed(link, *agreed, Direction::Outbound);
            }
            Err(failure) => self.fail(link, failure),
        }
        true
    }

    fn respond(&mut self, link: LinkId) -> bool {
        let Some(entry) = self.links.get_mut(&link) else { return false };
        let packet = Packet::read(&mut entry.inbound);
        if let Ok(None) = packet {
            return false;
        }
        let state = core::mem::replace(&mut entry.state, State::Failed);
        let State::Responding(responder, carrier) = state else { return false };
        let heard = match packet {
            Ok(Some(packet)) => responder.hear(&packet, carrier, &self.local, &mut self.rng),
            Ok(None) | Err(NotOurs) => Err(StreamHandshakeError::NotOurs),
        };
        match heard {
            Ok(Heard::Reply(responder, reply)) => {
                entry.state = State::Responding(Box::new(responder), carrier);
                self.write(link, &reply);
            }
            Ok(Heard::Secured(agreed, reply)) => {
                self.write(link, &reply);
                self.agreed(link, *agreed, Direction::Inbound);
            }
            Ok(Heard::OtherVersion(hint)) => {
                self.write(link, &hint);
                self.fail(link, HandshakeFailure::Refused(CloseReason::WrongVersion));
            }
            // To garbage there is no answer [PROTOCOL 1].
            Err(StreamHandshakeError::NotOurs) => {
                self.fail(link, HandshakeFailure::NotPositron("something else"));
            }
            Err(StreamHandshakeError::Broken) => {
                self.fail(link, HandshakeFailure::Broken("a message out of turn"));
            }
        }
        true
    }

    /// The other end is known. What we have against it is said sealed when the link is closed. A
    /// dialler's message may be an old one sent again: nothing happens before its first record
    /// opens [PROTOCOL 5.2].
    fn agreed(&mut self, link: LinkId, agreed: Agreement, direction: Direction) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        let remote = RemoteNode::of(&agreed, entry.addr, direction);
        let Agreement { split, suite, role, refusal, .. } = agreed;
        let keys = Box::new(Keys::derive(&split, suite, role, self.local.records_per_key));
        match (refusal, direction) {
            (Some(reason), _) => {
                entry.state = State::Open(keys);
                let mut draft = self.begin(link);
                Frame::Close(reason.clone()).encode(&mut draft.bytes);
                self.send(link, draft);
                self.fail(link, HandshakeFailure::of(reason, remote.id));
            }
            (None, Direction::Outbound) => {
                entry.state = State::Open(keys);
                self.events.push_back(StreamLinkEvent::Authenticated { link, remote });
            }
            (None, Direction::Inbound) => entry.state = State::Unproven(keys, remote),
        }
    }

    fn open_record(&mut self, link: LinkId) -> bool {
        let Some(entry) = self.links.get_mut(&link) else { return false };
        let (State::Unproven(keys, _) | State::Open(keys)) = &mut entry.state else {
            return false;
        };
        let Some(header) = entry.inbound.peek::<HEADER>() else { return false };
        let opened = match Opener::record_len(header) {
            Ok(len) => {
                let Some(record) = entry.inbound.take(len) else { return false };
                keys.opener.open(record)
            }
            Err(forged) => Err(forged),
        };
        let Ok(contents) = opened else {
            self.fail_forged(link);
            return false;
        };
        if let State::Unproven(_, remote) = &entry.state {
            let remote = *remote;
            let state = core::mem::replace(&mut entry.state, State::Closing);
            if let State::Unproven(keys, _) = state {
                entry.state = State::Open(keys);
            }
            self.events.push_back(StreamLinkEvent::Authenticated { link, remote });
        }
        self.counters.records_opened += 1;
        self.events.push_back(StreamLinkEvent::Record { link, contents });
        true
    }

    /// A record does not open. What goes the other way still does: the other end is told.
    fn fail_forged(&mut self, link: LinkId) {
        let Some(entry) = self.links.get(&link) else { return };
        if let State::Open(_) = entry.state {
            let mut draft = self.begin(link);
            Frame::Close(CloseReason::RecordBroken).encode(&mut draft.bytes);
            self.send(link, draft);
        }
        if let Some(entry) = self.links.get_mut(&link) {
            entry.state = State::Failed;
        }
        self.events.push_back(StreamLinkEvent::Failed { link, why: StreamFault::Forged });
    }

    /// A link of which nothing came.
    fn fail(&mut self, link: LinkId, why: HandshakeFailure) {
        if let Some(entry) = self.links.get_mut(&link) {
            entry.state = State::Failed;
            entry.inbound = Inbound::default();
        }
        let why = StreamFault::Handshake(why);
        self.events.push_back(StreamLinkEvent::Failed { link, why });
    }

    /// Writes bytes of the handshake.
    fn write(&mut self, link: LinkId, bytes: &[u8]) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        if bytes.is_empty() {
            return;
        }
        entry.in_flight += bytes.len();
        let len = u64::try_from(bytes.len()).unwrap_or(0);
        self.counters.bytes_sent += len;
        entry.wire_bytes.sent += len;
        match self.effects.back_mut() {
            Some(Pending::Write { link: same, bytes: before }) if *same == link => {
                before.extend_from_slice(bytes);
            }
            _ => self.effects.push_back(Pending::Write { link, bytes: bytes.to_vec() }),
        }
    }
}

//! A peer that holds keys and says what the input says.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
};

use positron_proto::{
    datagram::{
        Endpoint,
        contract::{ConnectionId, Delivery, EndpointConfig, EndpointEvent},
    },
    direct::DirectMessage,
    gossip::GossipMessage,
    handshake::{Expect, link_public_key},
    id::{NetworkId, NodeId},
    identity::{Identity, Signature, Signed},
    limits::{LARGE_GOSSIP, SKETCH_PIECE},
    node::Message,
    peers::PeersMessage,
    recommendation::RecommendationMessage,
    reconciliation::{Code, Sketch},
    rng::Seed,
    time::{Now, WallTime},
    wire::{
        Address, Reader,
        frame::{CloseReason, Frame, Lane},
        holdings::{Holdings, Ranges},
        message::{AppMessage, Audience},
        record::PeerRecord,
    },
    words::Recommendation,
};

use super::input::Bytes;

/// Nobody who takes part: nothing is signed by it.
pub(crate) const VICTIM: usize = 7;

/// One peer: its connection to the node, and what it said over it.
pub(crate) struct Hostile {
    pub(crate) end: Endpoint,
    pub(crate) addr: SocketAddr,
    /// Whether it answers as the protocol asks.
    pub(crate) obliges: bool,
    me: usize,
    connection: Option<ConnectionId>,
    /// Whether it dialled that, and has said how far it heard each lane.
    dialled: bool,
    introduced: bool,
    /// The connection that stood when the node dialled, and the same of it: a node that only looks
    /// who is there hangs up at once.
    before: Option<(ConnectionId, bool, bool, [u64; Lane::KNOWN.len()])>,
    /// How often it dialled, and whether it holds its earlier links for dead.
    dials: u64,
    instead: bool,
    /// The next message of each lane.
    numbers: [u64; Lane::KNOWN.len()],
    /// A message of which it said a part, and how much of that.
    partial: Option<(Lane, bytes::Bytes, usize)>,
}

/// The first PING over a session names what it remembers of the conversation.
const MEMORY: Frame = Frame::Ping { token: 1 };

/// What the first PING of a dialler says beside how often it dialled.
const INSTEAD: u64 = 1 << 63;

static IDENTITIES: LazyLock<Vec<Arc<Identity>>> = LazyLock::new(|| {
    (0..=u8::try_from(VICTIM).unwrap_or(0))
        .map(|n| Arc::new(Identity::from_seed([n + 1; 32])))
        .collect()
});

/// The node is the first one, its peers follow.
pub(crate) fn identity(n: usize) -> &'static Arc<Identity> {
    &IDENTITIES[n % IDENTITIES.len()]
}

pub(crate) fn address(n: usize) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, u8::try_from(n + 1).unwrap_or(0)], 4000))
}

pub(crate) fn network() -> NetworkId {
    NetworkId::from_name("fuzz")
}

impl Hostile {
    pub(crate) fn new(me: usize) -> Self {
        let config = EndpointConfig::new(network());
        let number = u64::try_from(me).unwrap_or(0);
        let rng = Seed::from_number(number).stream("hostile");
        let end = Endpoint::new(config, Arc::clone(identity(me)), number, rng);
        Self {
            end,
            addr: address(me),
            obliges: true,
            me,
            connection: None,
            dialled: false,
            introduced: false,
            before: None,
            dials: 0,
            instead: false,
            numbers: [0; Lane::KNOWN.len()],
            partial: None,
        }
    }

    pub(crate) fn dial(&mut self, now: Now, node: &Identity, how: usize) {
        let key = (how & 1 == 0).then(|| link_public_key(node));
        let to = address(0);
        self.instead = how & 2 == 2;
        if let Ok(connection) = self.end.connect(now, to, Expect::Node(node.node_id()), key) {
            self.begin(connection, true);
        }
    }

    fn begin(&mut self, connection: ConnectionId, dialled: bool) {
        self.connection = Some(connection);
        (self.dialled, self.introduced) = (dialled, false);
        (self.numbers, self.partial) = ([0; Lane::KNOWN.len()], None);
    }

    /// Hears what came, and answers it if it obliges.
    pub(crate) fn listen(&mut self, now: Now) {
        while let Some(event) = self.end.poll_event() {
            match event {
                EndpointEvent::Connected { connection, .. } => {
                    self.begin(connection, true);
                    self.greet(now);
                }
                EndpointEvent::Accepted { connection, .. } => {
                    let state = (self.dialled, self.introduced, self.numbers);
                    self.before = self.connection.map(|before| (before, state.0, state.1, state.2));
                    self.begin(connection, false);
                }
                EndpointEvent::Message { connection, body, .. } => {
                    self.end.release(now, connection, body.len());
                    if self.connection == Some(connection) {
                        self.hear(now, body);
                    }
                }
                EndpointEvent::Closed { connection, .. } => self.handle_closed(connection),
                _ => {}
            }
        }
    }

    fn handle_closed(&mut self, connection: ConnectionId) {
        self.before = self.before.filter(|(before, ..)| *before != connection);
        if self.connection == Some(connection) {
            self.connection = None;
            if let Some((before, dialled, introduced, numbers)) = self.before.take() {
                self.connection = Some(before);
                (self.dialled, self.introduced, self.numbers) = (dialled, introduced, numbers);
            }
        }
    }

    fn hear(&mut self, now: Now, record: bytes::Bytes) {
        let mut reader = Reader::new(record);
        while let Ok(frame) = Frame::decode(&mut reader) {
            if let Frame::Ack { lane, next } = frame
                && let Some(number) = self.numbers.get_mut(usize::from(lane.number()))
            {
                // What it said over an earlier link counts too.
                *number = next.max(*number);
            }
            if !self.obliges {
                continue;
            }
            match frame {
                Frame::Ping { token } => {
                    self.put(now, Lane::CONTROL, &Frame::Pong { token });
                    if !self.dialled && !self.introduced {
                        self.introduce(now);
                    }
                }
                Frame::Pong { .. } if self.dialled && !self.introduced => self.introduce(now),
                Frame::Message { lane, number, .. } => {
                    self.put(now, Lane::CONTROL, &Frame::Ack { lane, next: number + 1 });
                }
                _ => {}
            }
        }
    }

    /// The first words of a dialler.
    fn greet(&mut self, now: Now) {
        self.dials += 1;
        let instead = if self.instead { INSTEAD } else { 0 };
        self.put(now, Lane::CONTROL, &Frame::Ping { token: self.dials | instead });
    }

    /// The session is up: names its memory, and says how far it heard each lane.
    fn introduce(&mut self, now: Now) {
        self.introduced = true;
        self.put(now, Lane::CONTROL, &MEMORY);
        // In lane 0, whatever lane they are of: elsewhere they would end the session.
        for lane in Lane::KNOWN {
            self.put(now, Lane::CONTROL, &Frame::Ack { lane, next: 0 });
        }
    }

    fn put(&mut self, now: Now, lane: Lane, frame: &Frame) {
        let mut record = Vec::new();
        frame.encode(&mut record);
        self.put_record(now, lane, record);
    }

    fn put_record(&mut self, now: Now, lane: Lane, record: Vec<u8>) {
        if let Some(connection) = self.connection {
            // A queue that is full is no reason to stop.
            let _ = self.end.send(now, connection, lane.number(), Delivery::Ordered, record);
        }
    }

    pub(crate) fn leave(&mut self, now: Now, how: usize) {
        let Some(connection) = self.connection.take() else { return };
        if how & 1 == 0 {
            self.end.close(now, connection, CloseReason::Pruned);
        } else {
            self.end.reset(now, connection, CloseReason::Banned);
        }
    }

    /// A message, where and as it belongs.
    pub(crate) fn say(&mut self, now: Now, input: &mut Bytes<'_>) {
        let (lane, body) = self.message(now, input);
        let number = self.next_number(lane);
        self.put(now, lane, &Frame::Message { lane, number, body });
    }

    fn next_number(&mut self, lane: Lane) -> u64 {
        let Some(next) = self.numbers.get_mut(usize::from(lane.number())) else { return 0 };
        *next += 1;
        *next - 1
    }

    /// Frames as nobody honest says them.
    pub(crate) fn say_frame(&mut self, now: Now, input: &mut Bytes<'_>) {
        let (what, how) = (input.byte(), input.byte());
        // One of those that are known, or the first that is not.
        let lane = how % (Lane::KNOWN.len() + 1);
        let lane = Lane::from_number(u8::try_from(lane).unwrap_or(0)).unwrap_or(Lane::CONTROL);
        let other = Lane::from_number(u8::try_from(how % 16).unwrap_or(0)).unwrap_or(lane);
        // Where it belongs, or astray.
        let place = if how & 0x40 == 0 { Lane::CONTROL } else { lane };
        match what % 14 {
            0 => self.put(now, place, &Frame::Ping { token: number(how) }),
            1 => self.put(now, place, &Frame::Pong { token: number(how) }),
            2 => self.put(now, place, &Frame::Ack { lane: other, next: number(input.byte()) }),
            3 => {
                let (_, body) = self.message(now, input);
                self.put(now, lane, &Frame::Message { lane, number: number(how), body });
            }
            4..=6 => self.say_part(now, input),
            7 => {
                let (number, total) = (number(input.byte()), 1 << (how % 22));
                let (offset, body) = (total / 2, bytes::Bytes::from_static(b"part"));
                self.put(now, lane, &Frame::Fragment { lane, number, offset, total, body });
            }
            8 => self.put(now, lane, &Frame::Close(CloseReason::Other(u16::MAX))),
            9 => self.put(
                now,
                lane,
                &Frame::Unknown { kind: 0x40 | u8::try_from(how & 0x3F).unwrap_or(0) },
            ),
            10 => self.put_record(now, lane, raw(input)),
            11 => self.put(now, place, &Frame::Credit { limit: number(how) }),
            12 => self.put(now, place, &Frame::Demand { limit: number(how) }),
            // Many small things in one record.
            _ => {
                let mut record = Vec::new();
                for token in 0..200 {
                    Frame::Ping { token }.encode(&mut record);
                }
                self.put_record(now, place, record);
            }
        }
    }

    /// The next part of a message in parts.
    fn say_part(&mut self, now: Now, input: &mut Bytes<'_>) {
        let (lane, message, said) = match self.partial.take() {
            Some(partial) => partial,
            None => {
                let (lane, message) = self.message(now, input);
                (lane, message, 0)
            }
        };
        let rest = message.slice(said..);
        let len = (1 + input.byte() * 64).min(rest.len());
        if len == 0 {
            return;
        }
        let narrow = |n: usize| u32::try_from(n).expect("messages are short");
        let number = self.numbers[usize::from(lane.number())];
        let (offset, total) = (narrow(said), narrow(message.len()));
        let body = rest.slice(..len);
        self.put(now, lane, &Frame::Fragment { lane, number, offset, total, body });
        if said + len == message.len() {
            self.next_number(lane);
        } else {
            self.partial = Some((lane, message, said + len));
        }
    }

    fn message(&self, now: Now, input: &mut Bytes<'_>) -> (Lane, bytes::Bytes) {
        let (what, how) = (input.byte(), input.byte());
        let message: Message = match what % 16 {
            0 | 1 => PeersMessage::Hello {
                answer: how & 1 == 1,
                record: self.record(now, self.me, input),
                observed: address(how % 9).into(),
                peers: self.records(now, how / 2 % 4, input),
            }
            .into(),
            2 if how & 1 == 1 => PeersMessage::ObservedAddress(address(how % 9).into()).into(),
            9 if how & 1 == 1 => GossipMessage::Offer(holdings(input)).into(),
            10 if how & 1 == 1 => GossipMessage::Receipt(holdings(input)).into(),
            11 if how & 1 == 1 => {
                let (sender, sequence) = (identity(how % 5).node_id(), number(input.byte()));
                GossipMessage::Large { sender, sequence, bytes: LARGE_GOSSIP << (how % 7) }.into()
            }
            2 => PeersMessage::Heartbeat(u32::MAX >> (how % 32)).into(),
            3 if how & 15 == 5 => GossipMessage::More { first: input.word() % 1025 }.into(),
            3 if how & 15 == 9 => {
                GossipMessage::Lacking((0..how % 33).map(|_| code(input)).collect()).into()
            }
            3 if how & 15 == 13 => {
                let sketch = Sketch::new((0..how % 33).map(|_| code(input)), SKETCH_PIECE);
                let (elements, length) = (sketch.elements(), SKETCH_PIECE << (how % 6));
                let symbols = sketch.symbols().to_vec();
                GossipMessage::Sketch { elements, length, first: 0, symbols }.into()
            }
            3 if how & 3 == 1 => GossipMessage::Graft.into(),
            3 if how & 7 == 3 => GossipMessage::Prune.into(),
            3 if how & 7 == 7 => GossipMessage::Announce(how & 8 == 0).into(),
            3 if how & 31 == 6 => {
                RecommendationMessage::Request(u8::try_from(input.byte()).unwrap_or(0)).into()
            }
            3 if how & 15 == 6 => {
                let word = |n: usize| Recommendation {
                    node: NodeId::from_bytes([u8::try_from(n).unwrap_or(0); 32]),
                    strength: u16::MAX >> (how % 16),
                };
                let recommended = (0..input.word() % 33).map(word).collect();
                if how & 32 == 0 {
                    RecommendationMessage::Update(recommended).into()
                } else {
                    RecommendationMessage::Response(recommended).into()
                }
            }
            3 => PeersMessage::Discovery(u8::try_from(how).unwrap_or(0)).into(),
            4 => PeersMessage::Announcement(self.records(now, how % 33, input)).into(),
            5..=8 => {
                let message = self.signed(now, how, Audience::Everyone, input);
                GossipMessage::Gossip(u8::try_from(how).unwrap_or(0), message).into()
            }
            9 => GossipMessage::IHave(holdings(input)).into(),
            10 => GossipMessage::IWant(holdings(input)).into(),
            11 => {
                let sum = [u8::try_from(how).unwrap_or(0); 16];
                GossipMessage::Digest { key: [7; 16], count: number(how), sum }.into()
            }
            12 | 13 => {
                let to = Audience::Node(identity(if how & 0x40 == 0 { 0 } else { 1 }).node_id());
                DirectMessage::CustomData(self.signed(now, how, to, input)).into()
            }
            14 => return (Lane::KNOWN[how % 3], raw(input).into()),
            _ => {
                let (lane, body) = self.message(now, &mut Bytes(&[how_of(how), 0]));
                let mut body = body.to_vec();
                let at = input.word() % body.len();
                body[at] ^= u8::try_from(input.byte()).unwrap_or(0);
                if how & 0x80 != 0 {
                    body.truncate(at);
                }
                return (lane, body.into());
            }
        };
        (message.lane(), message.encode())
    }

    /// Signed by this peer or another one, or by nobody in the name of somebody.
    fn signed(
        &self,
        now: Now,
        how: usize,
        to: Audience,
        input: &mut Bytes<'_>,
    ) -> Signed<AppMessage> {
        let forged = how & 0x30 == 0x30;
        let by = if forged { VICTIM * (how >> 6 & 1) } else { 1 + how % (VICTIM - 1) };
        let len = [0, 3, 200, 5_000, 70_000][input.byte() % 5];
        let offset = number(input.byte());
        let message = AppMessage {
            sender: *identity(by).public_key(),
            audience: to,
            sequence: if how & 8 == 0 { offset } else { now.wall.as_unix_micros() + offset % 64 },
            timestamp: WallTime::from_unix_micros(if how & 4 == 0 { u64::MAX } else { 0 }),
            payload: vec![u8::try_from(len % 251).unwrap_or(0); len].into(),
        };
        if forged {
            return Signed::new(message, Signature::from_bytes([1; 64]));
        }
        identity(by).sign(message, &network()).claim().clone()
    }

    fn record(&self, now: Now, of: usize, input: &mut Bytes<'_>) -> Signed<PeerRecord> {
        let how = input.byte();
        let mut addresses: Vec<Address> = vec![address(of).into(); how & 1];
        for n in 0..how >> 1 & 3 {
            addresses.push(
                SocketAddr::from(([198, 51, 100, u8::try_from(n * 60).unwrap_or(0)], 4000)).into(),
            );
        }
        let me = identity(of);
        let record = PeerRecord {
            key: *me.public_key(),
            sequence: if how & 8 == 0 { now.wall.as_unix_micros() } else { number(how) },
            noise_static: if how & 16 == 0 { link_public_key(me) } else { [3; 32] },
            capabilities: 0,
            addresses,
            carriers: vec![],
            software: "hostile".to_owned(),
        };
        if how & 0xC0 == 0xC0 {
            return Signed::new(record, Signature::from_bytes([1; 64]));
        }
        me.sign(record, &network()).claim().clone()
    }

    fn records(&self, now: Now, count: usize, input: &mut Bytes<'_>) -> Vec<Signed<PeerRecord>> {
        (0..count.min(32)).map(|n| self.record(now, n, input)).collect()
    }
}

/// What is read and written is never the mutant of a mutant.
fn how_of(how: usize) -> u8 {
    u8::try_from(how % 14).unwrap_or(0)
}

/// One of 256, under a key that the node may have, too.
fn code(input: &mut Bytes<'_>) -> Code {
    Code::of(&[7; 16], &input.byte().to_be_bytes())
}

/// A number as an attacker likes it.
fn number(byte: usize) -> u64 {
    const EDGES: [u64; 8] = [0, 63, 64, 1 << 30, (1 << 60) - 1, 1 << 60, 1 << 61, (1 << 62) - 1];
    if byte < 128 { u64::try_from(byte).unwrap_or(0) } else { EDGES[byte % 8] }
}

fn holdings(input: &mut Bytes<'_>) -> Holdings {
    let mut holdings = Holdings::new();
    for _ in 0..input.byte() % 6 {
        let who = input.byte();
        let sender = if who < 128 { identity(who).node_id() } else { NodeId::from_bytes([3; 32]) };
        let mut ranges = Ranges::new();
        for _ in 0..1 + input.byte() % 4 {
            let (a, b) = (number(input.byte()), number(input.byte()));
            ranges.insert_range(a.min(b)..=a.max(b));
        }
        holdings.insert_ranges(sender, ranges);
    }
    holdings
}

fn raw(input: &mut Bytes<'_>) -> Vec<u8> {
    (0..1 + input.byte() % 64).map_while(|_| input.next()).collect()
}

//! Attacks: by strangers, who hold no keys, and by peers, who do.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use zeroize::Zeroizing;

use super::{World, stranger};
use crate::{
    datagram::{
        Endpoint,
        client_handshake::unsealed,
        contract::{
            Closed, ConnectionId, ConnectionState, ConnectionView, Delivery, EndpointConfig,
            EndpointEvent, RemoteNode, StreamId,
        },
        protection::{Protection, Tuning},
    },
    handshake::{
        aead::{Role, Suite},
        expect::Direction,
        link_public_key,
        noise::Split,
    },
    id::NetworkId,
    identity::Identity,
    limits::{HANDSHAKE_TIMEOUT, LEAST_DATAGRAM, MAX_FRAGMENTS_PER_PEER},
    rng::Seed,
    time::{Duration, Instant, Now},
    wire::{
        frame::CloseReason,
        packet::{Flags, Fragment, HEADER_LEN, Header, Hint, PacketType, Syn, TAG_LEN},
        packet_frame::{AckRanges, Channel, Frames, PacketFrame, StreamSide},
    },
};

mod amplification;
mod floods;
mod frenzy;
mod strangers;
mod violations;

const MIB: u64 = 1 << 20;

/// The most that was held at a time while `what` ran, in bytes.
fn peak(what: impl FnOnce()) -> u64 {
    allocation_counter::measure(what).bytes_max
}

/// An endpoint, and an application that takes what it hears.
struct Victim {
    end: Endpoint,
    now: Now,
    /// Whether the application releases what it hears at once; otherwise it keeps it.
    releases: bool,
    /// What it keeps.
    kept: Vec<Bytes>,
    messages: u64,
    readable: Vec<(ConnectionId, StreamId)>,
    closed: Vec<(ConnectionId, Closed)>,
    /// Bytes from and to every address.
    ledger: BTreeMap<SocketAddr, (usize, usize)>,
    buf: Vec<u8>,
}

impl Victim {
    fn new() -> Self {
        let me = Arc::new(Identity::from_seed([1; 32]));
        let config = EndpointConfig::new(NetworkId::from_name("test"));
        let rng = Seed::from_number(1).stream("victim");
        let mut now = Now::default();
        now.mono = now.mono + Duration::from_secs(1000);
        Self {
            end: Endpoint::new(config, me, 1, rng),
            now,
            releases: true,
            kept: Vec::new(),
            messages: 0,
            readable: Vec::new(),
            closed: Vec::new(),
            ledger: BTreeMap::new(),
            buf: Vec::new(),
        }
    }

    /// A datagram arrives, and the application deals with what came of it.
    fn hear(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.ledger.entry(from).or_default().0 += datagram.len();
        self.end.handle_datagrams(self.now, from, datagram.len(), datagram);
        self.attend();
    }

    fn attend(&mut self) {
        while let Some(event) = self.end.poll_event() {
            match event {
                EndpointEvent::Message { connection, body, .. } => {
                    self.messages += 1;
                    if self.releases {
                        self.end.release(self.now, connection, body.len());
                    } else {
                        self.kept.push(body);
                    }
                }
                EndpointEvent::StreamReadable { connection, stream } => {
                    self.readable.push((connection, stream));
                }
                EndpointEvent::Closed { connection, why } => self.closed.push((connection, why)),
                _ => {}
            }
        }
    }

    /// What it has to say now.
    fn say(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut said = Vec::new();
        let mut buf = core::mem::take(&mut self.buf);
        while let Some(transmit) = self.end.poll_transmit(self.now, 8, &mut buf) {
            self.ledger.entry(transmit.to).or_default().1 += transmit.len;
            for datagram in buf.chunks(transmit.segment_size) {
                said.push((transmit.to, datagram.to_vec()));
            }
        }
        self.buf = buf;
        self.attend();
        said
    }

    /// Says what it has to say to whoever listens.
    fn talk(&mut self, peers: &mut [Hostile]) {
        for (to, datagram) in self.say() {
            for peer in peers.iter_mut().filter(|peer| peer.addr == to) {
                peer.hear(self.now.mono, &datagram);
            }
        }
    }

    /// Time goes by, and nobody says anything.
    fn wait(&mut self, by: Duration, peers: &mut [Hostile]) {
        let until = self.now.mono + by;
        for _ in 0..1_000_000 {
            self.talk(peers);
            let Some(at) = self.end.poll_timeout().filter(|at| *at <= until) else {
                self.now.mono = until;
                return;
            };
            self.now.mono = self.now.mono.max(at);
            self.end.handle_timeout(self.now);
            self.attend();
        }
        panic!("it never sleeps");
    }

    fn view(&self, peer: &Hostile) -> Option<ConnectionView> {
        self.end.view(peer.connection)
    }

    fn is_established(&self, peer: &Hostile) -> bool {
        self.view(peer).is_some_and(|view| view.state == ConnectionState::Established)
    }

    fn unfinished(&self) -> usize {
        self.end.views().iter().map(|view| view.unfinished_bytes).sum()
    }

    fn violations(&self) -> usize {
        let is = |(_, why): &&(_, Closed)| matches!(why, Closed::Violation { .. });
        self.closed.iter().filter(is).count()
    }
}

/// A peer that has keys and says whatever it likes.
struct Hostile {
    addr: SocketAddr,
    connection: ConnectionId,
    /// The victim's id of the connection, on the wire.
    wire: u32,
    keys: Protection,
    /// The fields of its headers.
    ack: u64,
    window: u16,
    /// What it heard, if it listens.
    heard: Vec<(PacketType, PacketFrame)>,
    listens: bool,
}

impl Hostile {
    /// One that completed a handshake.
    fn new(victim: &mut Victim, n: u8) -> Self {
        Self::tuned(victim, n, Tuning::default())
    }

    /// One that changes its keys more often.
    fn tuned(victim: &mut Victim, n: u8, tuning: Tuning) -> Self {
        let addr = SocketAddr::from(([10, 66, 0, n], 666));
        let split = || Split {
            hash: [n; 32],
            from_initiator: Zeroizing::new([2; 32]),
            from_responder: Zeroizing::new([3; 32]),
        };
        let me = Identity::from_seed([n.max(2); 32]);
        let remote = RemoteNode {
            id: me.node_id(),
            key: *me.public_key(),
            noise_static: link_public_key(&me),
            boot: 1,
            addr,
            direction: Direction::Inbound,
        };
        let (end, now) = (&mut victim.end, victim.now.mono);
        let wire = end.fresh_wire();
        let connection = end.insert(now, wire, Direction::Inbound);
        let theirs = u32::from(n) + 1;
        end.demux().set_theirs(connection, theirs);
        let keys = |role| Protection::tuned(&split(), Suite::Aes256Gcm, role, tuning);
        let secured = end.demux().get_mut(connection).unwrap();
        secured.secure(now, keys(Role::Responder), remote, theirs);
        end.settle(connection);
        let (heard, listens) = (Vec::new(), false);
        let keys = keys(Role::Initiator);
        Self { addr, connection, wire, keys, ack: 0, window: 256, heard, listens }
    }

    /// Takes what the victim says, and acknowledges all of it from now on.
    fn hear(&mut self, now: Instant, datagram: &[u8]) {
        let (header, _) = Header::decode(datagram).unwrap();
        if !header.flags.contains(Flags::ENCRYPTED) {
            return;
        }
        let (mut out, pto) = (Vec::new(), Duration::from_secs(1));
        let number = self.keys.open(now, pto, &header, datagram, &mut out).unwrap();
        self.ack = self.ack.max(number + 1);
        if let Some(last) = header.ack.checked_sub(1) {
            self.keys.handle_ack(last.into());
        }
        if self.listens {
            let frames = Frames::new(header.kind, header.fragment, Bytes::from(out));
            self.heard.extend(frames.map(|frame| (header.kind, frame.unwrap())));
        }
    }

    /// A packet of these bytes, sealed as it should be.
    fn seal(
        &mut self,
        now: Instant,
        (kind, fragment): (PacketType, Fragment),
        frames: &[u8],
    ) -> Vec<u8> {
        let mut datagram = vec![0; HEADER_LEN];
        datagram.extend_from_slice(frames);
        datagram.extend_from_slice(&[0; TAG_LEN]);
        let mut header = Header::new(kind, self.wire);
        if kind == PacketType::Fragment {
            header.flags = Flags::FRAGMENTED;
            if fragment.index + 1 == fragment.total {
                header.flags = header.flags.with(Flags::LAST_FRAGMENT);
            }
        }
        let low = u32::try_from(self.ack & u64::from(u32::MAX)).unwrap();
        (header.fragment, header.ack, header.window) = (fragment, low, self.window);
        header.payload_len = u32::try_from(datagram.len() - HEADER_LEN).unwrap();
        header.encode(datagram.first_chunk_mut().unwrap());
        // Keys that are used up seal nothing.
        if self.keys.seal(now, &mut datagram).is_err() {
            datagram.clear();
        }
        datagram
    }

    fn packet(&mut self, now: Instant, kind: PacketType, frames: &[PacketFrame]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for frame in frames {
            frame.encode(&mut bytes);
        }
        let total = u16::from(kind == PacketType::Fragment);
        self.seal(now, (kind, Fragment { id: 0, index: 0, total }), &bytes)
    }

    fn strike(&mut self, victim: &mut Victim, kind: PacketType, frames: &[PacketFrame]) {
        let packet = self.packet(victim.now.mono, kind, frames);
        victim.hear(self.addr, &packet);
    }

    /// A DATA packet.
    fn say(&mut self, victim: &mut Victim, frames: &[PacketFrame]) {
        self.strike(victim, PacketType::Data, frames);
    }

    /// The first byte of a message of `total` bytes.
    fn lone_part(&mut self, victim: &mut Victim, delivery: Delivery, number: u64, total: u32) {
        let part = PacketFrame::Fragment {
            channel: channel(delivery),
            number,
            offset: 0,
            total,
            body: Bytes::from_static(b"x"),
        };
        self.say(victim, &[part]);
    }
}

fn channel(delivery: Delivery) -> Channel {
    Channel { delivery, lane: 3 }
}

fn message(delivery: Delivery, number: u64, body: &'static [u8]) -> PacketFrame {
    PacketFrame::Message { channel: channel(delivery), number, body: Bytes::from_static(body) }
}

fn piece(id: u64, offset: u64, body: &'static [u8], fin: bool) -> PacketFrame {
    PacketFrame::Stream { id, lane: 0, fin, offset, body: Bytes::from_static(body) }
}

fn acks(low: u64, high: u64) -> PacketFrame {
    let ranges = AckRanges::from_descending([low..=high]).unwrap();
    PacketFrame::PacketAck { ranges, delay: Duration::ZERO }
}

/// One frame of each kind that says nothing wrong by itself.
fn one_of_each() -> Vec<PacketFrame> {
    let (unordered, token) = (channel(Delivery::Unordered), [7; 8]);
    vec![
        PacketFrame::Ping { token: 1 },
        PacketFrame::Pong { token: 1 },
        message(Delivery::Ordered, 0, b"body"),
        PacketFrame::Fragment {
            channel: unordered,
            number: 0,
            offset: 0,
            total: 9,
            body: Bytes::from_static(b"part"),
        },
        PacketFrame::Close(CloseReason::Pruned),
        piece(1, 0, b"piece", false),
        PacketFrame::MaxData { stream: 0, limit: 70 },
        acks(0, 0),
        PacketFrame::StopWaiting { number: 0 },
        PacketFrame::PathChallenge { token },
        PacketFrame::PathResponse { token },
        PacketFrame::StreamEnd { id: 1, side: StreamSide::Sending, offset: 9, code: 0 },
        PacketFrame::MessageAck { channel: unordered, number: 0 },
        PacketFrame::MessageNack { channel: unordered, number: 0 },
        PacketFrame::Unknown { kind: 0x50 },
        PacketFrame::Padding { len: 3 },
    ]
}

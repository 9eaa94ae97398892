//! A peer of a later version over a datagram connection, whose frames are written one by one:
//! extensions, lanes and messages that mean nothing to the node at the other end.

use std::net::SocketAddr;

use bytes::Bytes;
use positron_proto::{
    datagram::{
        Endpoint,
        contract::{ConnectionId, Delivery, EndpointConfig, EndpointEvent},
    },
    handshake::{Expect, link_public_key},
    identity::Identity,
    limits::LANES,
    node::{Effect, Input, NodeCore, Snapshot},
    rng::Seed,
    session::sessions::LinkKinds,
    time::{Duration, Instant, Now, WallTime},
    wire::{
        Reader, Writer as _,
        frame::{Frame, Lane},
        record::PeerRecord,
    },
};

use crate::rig::{address, config, identity, network};

const NODE: usize = 0;
const PEER: usize = 1;

struct Pair {
    node: NodeCore,
    peer: Endpoint,
    connection: ConnectionId,
    now: Now,
    /// What the node said: messages.
    heard: Vec<Bytes>,
    /// What the node answered to: tokens.
    pongs: Vec<u64>,
    closed: bool,
}

impl Pair {
    fn connected() -> Self {
        let wall = WallTime::from_unix_micros(1_800_000_000_000_000);
        let now = Now { mono: Instant::from_micros(1_000_000), wall };
        let seed = Seed::from_number(7);
        let mut config = config(Vec::new());
        config.session.transports = LinkKinds::UDP;
        let dice = seed.child("node");
        let mut node = NodeCore::new(config, identity(NODE), Snapshot::default(), &dice, now);
        node.handle(now, Input::Listening(vec![address(NODE)]));
        let rng = seed.stream("peer");
        let mut peer = Endpoint::new(EndpointConfig::new(network()), identity(PEER), 1, rng);
        let me = identity(NODE);
        let (expect, key) = (Expect::Node(me.node_id()), Some(link_public_key(&me)));
        let connection = peer.connect(now, address(NODE), expect, key).unwrap();
        let (heard, pongs) = (Vec::new(), Vec::new());
        Self { node, peer, connection, now, heard, pongs, closed: false }
    }

    /// One record: its frames in one ordered message of the connection.
    fn say(&mut self, lane: Lane, frames: &[u8]) {
        let (lane, body) = (lane.number(), Bytes::copy_from_slice(frames));
        self.peer.send(self.now, self.connection, lane, Delivery::Ordered, body).unwrap();
    }

    fn say_frames(&mut self, lane: Lane, frames: &[Frame]) {
        let mut bytes = Vec::new();
        for frame in frames {
            frame.encode(&mut bytes);
        }
        self.say(lane, &bytes);
    }

    fn say_message(&mut self, lane: Lane, number: u64, body: &[u8]) {
        let body = Bytes::copy_from_slice(body);
        self.say_frames(lane, &[Frame::Message { lane, number, body }]);
    }

    /// Carries datagrams both ways for a while.
    fn run(&mut self) {
        for _ in 0..200 {
            let mut buf = Vec::new();
            while let Some(sent) = self.peer.poll_transmit(self.now, 1, &mut buf) {
                if sent.to == address(NODE) {
                    let from: SocketAddr = address(PEER);
                    self.node.handle_datagrams(self.now, from, sent.segment_size, &buf);
                    self.settle();
                }
            }
            self.settle();
            while let Some(sent) = self.node.poll_transmit(self.now, 1, &mut buf) {
                if sent.to == address(PEER) {
                    self.peer.handle_datagrams(self.now, address(NODE), sent.segment_size, &buf);
                }
            }
            self.hear();
            let step = Duration::from_millis(5);
            self.now = Now { mono: self.now.mono + step, wall: self.now.wall + step };
            self.peer.handle_timeout(self.now);
            self.node.handle(self.now, Input::Timeout);
            self.settle();
        }
    }

    fn settle(&mut self) {
        while let Some(effect) = self.node.poll_effect() {
            let input = match effect {
                Effect::Verify { check, job, .. } => Input::Verdict { check, verdict: job.run() },
                Effect::Persist { id, .. } => Input::Persisted { up_to: id },
                _ => continue,
            };
            self.node.handle(self.now, input);
        }
    }

    fn hear(&mut self) {
        while let Some(event) = self.peer.poll_event() {
            match event {
                EndpointEvent::Message { connection, body, .. } => {
                    self.peer.release(self.now, connection, body.len());
                    if connection == self.connection {
                        self.hear_record(body);
                    }
                }
                EndpointEvent::Finished { connection, .. }
                | EndpointEvent::Closed { connection, .. } => {
                    self.closed |= connection == self.connection;
                }
                _ => {}
            }
        }
    }

    fn hear_record(&mut self, record: Bytes) {
        let mut reader = Reader::new(record);
        while !reader.is_empty() {
            match Frame::decode(&mut reader).unwrap() {
                Frame::Ping { token } => self.say_frames(Lane::CONTROL, &[Frame::Pong { token }]),
                Frame::Pong { token } => self.pongs.push(token),
                Frame::Message { lane, number, body } => {
                    self.heard.push(body);
                    self.say_frames(Lane::CONTROL, &[Frame::Ack { lane, next: number + 1 }]);
                }
                _ => {}
            }
        }
    }
}

fn hello(me: &Identity) -> Vec<u8> {
    let record = PeerRecord {
        key: *me.public_key(),
        sequence: 1_900_000_000_000_000,
        noise_static: link_public_key(me),
        capabilities: 0,
        addresses: vec![address(PEER).into()],
        carriers: Vec::new(),
        software: "positron-net/9.0.0".into(),
    };
    let record = me.sign(record, &network()).claim().to_bytes();
    [&[1][..], &record, &[99, 3], b"you", &[0]].concat()
}

#[test]
fn frames_lanes_and_messages_of_a_later_version_cost_nobody_anything() {
    let mut pair = Pair::connected();
    pair.run();
    let id = identity(PEER).node_id();
    let before = pair.node.trust().standings().of(&id).score;
    // The first dial of this peer, then where it stands: nothing was said so far [PROTOCOL 4].
    pair.say_frames(Lane::CONTROL, &[Frame::Ping { token: 1 }]);
    pair.run();
    assert_eq!(pair.pongs, [1], "let in");
    let acks = Lane::KNOWN.map(|lane| Frame::Ack { lane, next: 0 });
    pair.say_frames(Lane::CONTROL, &[&[Frame::Ping { token: 9 }][..], &acks].concat());

    let mut extensions = Vec::new();
    for kind in 0x40..=0x7F {
        extensions.push(kind);
        extensions.append_blob(&[kind; 40]);
    }
    pair.say(Lane::CONTROL, &extensions);
    let unknown = (0..LANES).filter_map(Lane::from_number).filter(|lane| !lane.is_known());
    for lane in unknown {
        pair.say_message(lane, 0, b"of a later version");
        pair.say_message(lane, 70, &[0xFF; 5_000]);
    }
    for (number, kind) in [60, 22, 99, 255].into_iter().enumerate() {
        let body = [&[kind][..], &[0xFF; 300]].concat();
        pair.say_message(Lane::CONTROL, u64::try_from(number).unwrap(), &body);
    }
    pair.say_message(Lane::CONTROL, 4, &hello(&identity(PEER)));
    pair.run();

    assert!(!pair.closed, "the link stays");
    let view = pair.node.view(pair.now);
    assert_eq!(view.peers.len(), 1);
    let counters = view.counters;
    assert_eq!((counters.node.unknown_types, counters.node.malformed), (4, 0));
    let unknown = u64::from(LANES) - u64::try_from(Lane::KNOWN.len()).unwrap();
    assert_eq!(counters.session.messages_unknown, 2 * unknown);
    assert!(pair.heard.iter().any(|body| body[0] == 2), "what it knows is heard and answered");
    assert!(pair.node.trust().standings().of(&id).score >= before);
}

//! The protocol as data: `tests/vectors/*.txt` hold one value a line, `name = hex`, from keys whose
//! seeds are 32 equal bytes. An implementation in another language can check itself against them
//! [PROTOCOL 10].
//!
//! When a vector differs, the protocol has changed: other nodes will not understand this one.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fmt::Write as _;

use bytes::Bytes;
#[path = "vectors/packets.rs"]
mod packets;
#[path = "vectors/relayed.rs"]
mod relayed;
#[path = "vectors/stun.rs"]
mod stun;
#[path = "vectors/table.rs"]
mod table;

use positron_proto::{
    dht::{DhtAnswer, DhtQuery, NameHash, Place, RecordKind, StoreOutcome},
    direct::DirectMessage,
    gossip::{GossipMessage, SHAPES},
    id::{NetworkId, NodeId},
    identity::{Identity, Signed, Verified},
    node::Message,
    peers::PeersMessage,
    recommendation::RecommendationMessage,
    reconciliation::{Code, Sketch},
    request::{RequestMessage, Status},
    stun::StunMessage,
    substream::{Label, SubstreamEnd, SubstreamMessage},
    succession::{Succession, SuccessionMessage},
    time::{Duration, WallTime},
    trace::{
        NodePrefix, SampledNode, SlowestHop, TraceAnswer, TraceMessage, TraceOrder, TraceSum,
        TraceTag,
    },
    wire::{
        Address, Reader,
        frame::{CloseReason, Frame, Lane},
        holdings::Holdings,
        message::{AppMessage, Audience},
        packet::{HEADER_LEN, HandshakeAck, Header, Hint, PacketType, SynAck, checksum},
        packet_frame::{AckRanges, Channel, Delivery, PacketFrame, StreamSide},
        record::{CarrierParameter, PeerRecord},
    },
    words::Recommendation,
};
use table::{ask, errand, found, get, living, stored, told, tombstone};

#[test]
fn identities_are_as_written_down() {
    let mut lines = Lines::default();
    for (name, seed) in [("alice", 1), ("bob", 2), ("carol", 3)] {
        let identity = identity(seed);
        lines.add(&format!("{name}.seed"), identity.seed());
        lines.add(&format!("{name}.key"), identity.public_key().as_bytes());
        lines.add(&format!("{name}.id"), identity.node_id().as_bytes());
        lines.add(&format!("{name}.link_secret"), identity.link_secret());
    }
    for name in ["", "positron", "vectors"] {
        lines.add(&format!("network.{name:?}"), NetworkId::from_name(name).as_bytes());
    }
    lines.compare_with(include_str!("vectors/identity.txt"));
}

#[test]
fn statements_are_signed_as_written_down() {
    let mut lines = Lines::default();
    let mut add = |name: &str, signed: &[u8], id: &[u8; 32], signature: &[u8; 64]| {
        lines.add(&format!("{name}.signed_bytes"), signed);
        lines.add(&format!("{name}.id"), id);
        lines.add(&format!("{name}.signature"), signature);
    };
    for (name, message) in [("broadcast", broadcast()), ("direct", direct())] {
        let claim = message.claim();
        let signed = claim.signed_bytes(&network());
        add(name, &signed, message.id().as_bytes(), claim.signature().as_bytes());
    }
    for (name, record) in [
        ("record", record(1)),
        ("record_without_address", record(2)),
        ("record_of_a_later_version", later_record()),
    ] {
        let claim = record.claim();
        let signed = claim.signed_bytes(&network());
        add(name, &signed, record.id().as_bytes(), claim.signature().as_bytes());
    }
    let succession = succession(1, 2);
    let acceptance = succession.content().acceptance();
    let (claim, id) = (succession.claim(), acceptance.id(&network()));
    let signed = acceptance.signed_bytes(&network());
    add("acceptance", &signed, id.as_bytes(), acceptance.signature().as_bytes());
    let order = order();
    let signed = order.claim().signed_bytes(&network());
    add("trace_order", &signed, order.id().as_bytes(), order.claim().signature().as_bytes());
    for (name, record) in [("dht_record", stored()), ("dht_tombstone", tombstone())] {
        let signed = record.claim().signed_bytes(&network());
        let signature = record.claim().signature().as_bytes();
        add(name, &signed, record.id().as_bytes(), signature);
    }
    let signed = claim.signed_bytes(&network());
    add("succession", &signed, succession.id().as_bytes(), claim.signature().as_bytes());
    let name = NameHash::of_name("my_key").unwrap();
    let publisher = identity(1).node_id();
    for (what, kind) in [
        ("immutable", RecordKind::Immutable),
        ("owned", RecordKind::Owned),
        ("shared", RecordKind::Shared),
    ] {
        lines.add(&format!("dht_key.{what}"), name.key(kind, &publisher).as_bytes());
    }
    for addr in ["198.51.100.7:8888", "[2001:db9:7::1]:8888", "127.0.0.1:8888", "10.0.0.1:8888"] {
        let place = Place::of_node(&publisher, addr.parse().unwrap());
        lines.add(&format!("dht_place.{addr}"), place.as_bytes());
    }
    lines.compare_with(include_str!("vectors/statements.txt"));
}

#[test]
fn messages_are_as_written_down_and_read_back() {
    let mut lines = Lines::default();
    for (name, message) in messages() {
        let bytes = message.encode();
        lines.add(name, &bytes);
        let back = Message::decode(bytes, identity(2).node_id());
        assert_eq!(back, Ok(Some(message)), "{name}");
    }
    lines.compare_with(include_str!("vectors/messages.txt"));
}

#[test]
fn frames_are_as_written_down_and_read_back() {
    let mut lines = Lines::default();
    for (name, frame) in frames() {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        lines.add(name, &bytes);
        assert_eq!(Frame::decode(&mut Reader::new(bytes.into())), Ok(frame), "{name}");
    }
    lines.compare_with(include_str!("vectors/frames.txt"));
}

#[test]
fn packets_are_as_written_down_and_read_back() {
    let mut lines = Lines::default();
    let mut types = Vec::new();
    for (name, datagram) in packets::packets() {
        lines.add(name, &datagram);
        let (header, sum) = Header::decode(&datagram).unwrap();
        assert_eq!(sum, checksum(&datagram), "{name}");
        types.push(header.kind);
        let mut front = [0; HEADER_LEN];
        header.encode(&mut front);
        assert_eq!(front[..14], datagram[..14], "{name}");
        assert_eq!(front[16..], datagram[16..HEADER_LEN], "{name}");
    }
    types.sort();
    types.dedup();
    assert_eq!(types, PacketType::ALL);
    lines.compare_with(include_str!("vectors/packets.txt"));
}

#[test]
fn packet_frames_are_as_written_down_and_read_back() {
    let mut lines = Lines::default();
    for (name, frame) in packet_frames() {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        lines.add(name, &bytes);
        assert_eq!(PacketFrame::decode(&mut Reader::new(bytes.into())), Ok(frame), "{name}");
    }
    lines.compare_with(include_str!("vectors/packet_frames.txt"));
}

/// Each line of `refused.txt` is what the bytes are taken for, the reason and its offset, and the
/// bytes.
#[test]
fn what_must_be_refused_is_refused_where_and_why_it_is_written_down() {
    for line in include_str!("vectors/refused.txt").lines().filter(|line| !line.starts_with('#')) {
        let (what, hex) = line.split_once('=').unwrap();
        let bytes = Bytes::from(unhex(hex.trim()));
        let (kind, at) = what.split_once(": ").unwrap();
        let malformed = match kind {
            "message" => Message::decode(bytes, identity(2).node_id()).unwrap_err(),
            "frame" => Frame::decode(&mut Reader::new(bytes)).unwrap_err(),
            "packet" => Header::decode(&bytes).unwrap_err(),
            "packet frame" => PacketFrame::decode(&mut Reader::new(bytes)).unwrap_err(),
            "SYN_ACK" => SynAck::decode(&bytes).unwrap_err(),
            "handshake ACK" => HandshakeAck::decode(&bytes).unwrap_err(),
            "hint" => Hint::decode(&bytes).unwrap_err(),
            other => panic!("{other} is no kind of vector"),
        };
        assert_eq!(malformed.to_string(), at.trim_end(), "{hex}");
    }
}

/// Each line of `ignored.txt` is what the bytes are taken for, and bytes that mean nothing to
/// version 1 and are read past without harm.
#[test]
fn what_may_come_later_is_ignored_as_it_is_written_down() {
    for line in include_str!("vectors/ignored.txt").lines().filter(|line| !line.starts_with('#')) {
        let (kind, hex) = line.split_once(" = ").unwrap();
        let bytes = Bytes::from(unhex(hex));
        let mut reader = Reader::new(bytes.clone());
        let ignored = match kind {
            "message" => Message::decode(bytes, identity(2).node_id()) == Ok(None),
            "frame" => {
                let frame = Frame::decode(&mut reader);
                frame == Ok(Frame::Unknown { kind: bytes[0] }) && reader.is_empty()
            }
            "packet frame" => {
                let frame = PacketFrame::decode(&mut reader);
                frame == Ok(PacketFrame::Unknown { kind: bytes[0] }) && reader.is_empty()
            }
            other => panic!("{other} is no kind of vector"),
        };
        assert!(ignored, "{line}");
    }
}

fn messages() -> Vec<(&'static str, Message)> {
    let records = || vec![record(1).claim().clone(), record(2).claim().clone()];
    let hello = |answer, peers| PeersMessage::Hello {
        answer,
        record: record(1).claim().clone(),
        observed: address("[2001:db8::7]:65535"),
        peers,
    };
    let later = PeersMessage::Announcement(vec![later_record().claim().clone()]);
    let (label, code) = (Label { number: 64, by_sender: true }, SubstreamEnd::Application(7));
    let piece = |offset, fin| SubstreamMessage::Data {
        label: Label { number: 3, by_sender: false },
        offset,
        fin,
        bytes: Bytes::from_static(b"bytes"),
    };
    let history = [(1, 2), (2, 3)].map(|(old, new)| succession(old, new).claim().clone()).into();
    vec![
        ("handshake", hello(false, Vec::new()).into()),
        ("handshake_ack", hello(true, records()).into()),
        ("heartbeat", PeersMessage::Heartbeat(258).into()),
        ("peer_discovery", PeersMessage::Discovery(16).into()),
        ("peer_announcement.empty", PeersMessage::Announcement(Vec::new()).into()),
        ("peer_announcement", PeersMessage::Announcement(records()).into()),
        ("peer_announcement.later", later.into()),
        ("observed_address", PeersMessage::ObservedAddress(address("198.51.100.7:61000")).into()),
        ("gossip_message", GossipMessage::Gossip(10, broadcast().claim().clone()).into()),
        (
            "gossip_message.shapes",
            GossipMessage::Gossip(10 | SHAPES, broadcast().claim().clone()).into(),
        ),
        ("custom_data", DirectMessage::CustomData(direct().claim().clone()).into()),
        ("request", RequestMessage::Request { id: 64, payload: b"what?".as_slice().into() }.into()),
        ("response", response(Status::Answered, b"this")),
        ("response.failed", response(Status::Failed, b"no such block")),
        ("response.later", response(Status::Other(200), b"")),
        ("cancel", RequestMessage::Cancel { id: 64 }.into()),
        ("substream_data", piece(0, false).into()),
        ("substream_data.last", piece(70_000, true).into()),
        ("substream_credit", SubstreamMessage::Credit { label, limit: 1 << 23 }.into()),
        ("substream_reset", SubstreamMessage::Reset { label, why: code }.into()),
        ("substream_reset.gone", SubstreamMessage::Reset { label, why: SubstreamEnd::Gone }.into()),
        ("substream_stop", SubstreamMessage::Stop { label, why: SubstreamEnd::Busy }.into()),
        ("succession", SuccessionMessage(history).into()),
        ("trust_update.empty", RecommendationMessage::Update(Vec::new()).into()),
        ("trust_update", RecommendationMessage::Update(recommended()).into()),
        ("trusted_peers_request", RecommendationMessage::Request(32).into()),
        ("trusted_peers_response", RecommendationMessage::Response(recommended()).into()),
        ("trace_ask", TraceMessage::Ask { hops: 16, order: order().claim().clone() }.into()),
        ("trace_answer", answer(TraceAnswer::Sum { age: 70_000, held: 1_500, sum: sum() })),
        ("trace_answer.not_yours", answer(TraceAnswer::NotYours)),
        ("trace_answer.forgotten", answer(TraceAnswer::Forgotten)),
        ("trace_answer.busy", answer(TraceAnswer::Busy)),
        ("dht_query.find", ask(DhtQuery::Find(stored().content().key()))),
        ("dht_query.get", ask(get(None))),
        ("dht_query.get_of_one", ask(get(Some(identity(1).node_id())))),
        ("dht_query.store", ask(DhtQuery::Store(living(&stored())))),
        ("dht_query.delete", ask(DhtQuery::Store(living(&tombstone())))),
        ("dht_query.store_on_the_way", ask(DhtQuery::StoreOnTheWay(living(&stored())))),
        ("dht_answer.found", told(DhtAnswer::Found(found()))),
        ("dht_answer.kept", told(DhtAnswer::Stored(StoreOutcome::Kept))),
        ("dht_answer.refused", told(DhtAnswer::Stored(StoreOutcome::Refused))),
        (
            "dht_answer.kept_on_the_way",
            told(DhtAnswer::StoredOnTheWay(StoreOutcome::Kept, found().contacts)),
        ),
        ("dht_answer.held", told(DhtAnswer::Held(vec![identity(2).node_id()]))),
        ("dht_errand.find", errand(DhtQuery::Find(stored().content().key()))),
        ("dht_errand.get", errand(get(None))),
        ("dht_errand.store", errand(DhtQuery::Store(living(&stored())))),
    ]
    .into_iter()
    .chain(gossip_messages())
    .chain(relayed::messages())
    .collect()
}

fn gossip_messages() -> Vec<(&'static str, Message)> {
    let (have, want) = (holdings(&[0, 1, 2, 7]), holdings(&[300, (1 << 62) - 1]));
    assert!(have.of(&identity(1).node_id()).is_some());
    let digest = GossipMessage::Digest { key: [0xCD; 16], count: 4, sum: [0xAB; 16] };
    vec![
        ("gossip_ihave.empty", GossipMessage::IHave(Holdings::new()).into()),
        ("gossip_ihave", GossipMessage::IHave(have.clone()).into()),
        ("gossip_iwant", GossipMessage::IWant(want).into()),
        ("gossip_offer", GossipMessage::Offer(have.clone()).into()),
        ("gossip_receipt", GossipMessage::Receipt(have).into()),
        (
            "gossip_large",
            GossipMessage::Large { sender: identity(2).node_id(), sequence: 64, bytes: 65_536 }
                .into(),
        ),
        ("gossip_graft", GossipMessage::Graft.into()),
        ("gossip_prune", GossipMessage::Prune.into()),
        ("gossip_digest", digest.into()),
        ("gossip_sketch", sketch().into()),
        ("gossip_more", GossipMessage::More { first: 24 }.into()),
        ("gossip_lacking", GossipMessage::Lacking(vec![Code::of(&[0xCD; 16], &[1; 40])]).into()),
        ("gossip_announce", GossipMessage::Announce(true).into()),
    ]
}

fn sketch() -> GossipMessage {
    let sketch = Sketch::new((1..=5).map(|n| Code::of(&[0xCD; 16], &[n; 40])), 4);
    let symbols = sketch.symbols()[1..3].to_vec();
    GossipMessage::Sketch { elements: sketch.elements(), length: 4, first: 1, symbols }
}

fn answer(answer: TraceAnswer) -> Message {
    TraceMessage::Answer { tag: TraceTag::of(order().id()), answer }.into()
}

fn order() -> Verified<TraceOrder> {
    let (sender, message) = (*identity(1).public_key(), broadcast().id());
    let at = WallTime::from_unix_micros(1_700_000_060_000_000);
    identity(1).sign(TraceOrder { sender, message, at }, &network())
}

/// Of a node that may be named, one below it that may not, and one that declines.
fn sum() -> Box<TraceSum> {
    let mut sum = TraceSum { reached: 2, declined: 1, longest: 42_000, ..TraceSum::default() };
    (sum.depths[0], sum.depths[1], sum.holds[2]) = (1, 1, 1);
    (sum.lost, sum.named) = ([1, 0, 0, 0, 300], true);
    let (from, to) = (NodePrefix::of(Some(&identity(2).node_id())), NodePrefix::default());
    sum.slowest = Some(SlowestHop { from, to, depth: 1, micros: 42_000 });
    let parent = NodePrefix::of(Some(&identity(2).node_id()));
    let below = SampledNode { parent, depth: 1, hop: 420, total: 420, ..SampledNode::default() };
    sum.sample = vec![SampledNode::default(), below];
    Box::new(sum)
}

fn recommended() -> Vec<Recommendation> {
    let trusted = [(1, u16::MAX), (2, 0x8000)];
    let mut all =
        trusted.map(|(of, strength)| Recommendation { node: identity(of).node_id(), strength });
    all.sort_unstable_by_key(|recommended| recommended.node);
    all.into()
}

fn response(status: Status, payload: &'static [u8]) -> Message {
    RequestMessage::Response { id: 64, status, payload: payload.into() }.into()
}

fn frames() -> Vec<(&'static str, Frame)> {
    let body = Bytes::from_static(b"body");
    let part = |offset, total| Frame::Fragment {
        lane: Lane::DIRECT,
        number: 64,
        offset,
        total,
        body: Bytes::from_static(b"body"),
    };
    vec![
        ("ping", Frame::Ping { token: 0x0102_0304_0506_0708 }),
        ("pong", Frame::Pong { token: u64::MAX }),
        ("message.control", Frame::Message { lane: Lane::CONTROL, number: 0, body: body.clone() }),
        ("message.gossip", Frame::Message { lane: Lane::GOSSIP, number: 16_384, body }),
        ("fragment.first", part(0, 1_000_000)),
        ("fragment.last", part(999_996, 1_000_000)),
        ("ack", Frame::Ack { lane: Lane::DIRECT, next: (1 << 62) - 1 }),
        ("credit", Frame::Credit { limit: 300_000 }),
        ("demand", Frame::Demand { limit: 70 }),
        ("close.shutting_down", Frame::Close(CloseReason::ShuttingDown)),
        ("close.violation", Frame::Close(CloseReason::Violation("number 7 after 5".into()))),
        ("close.other_process", Frame::Close(CloseReason::OtherProcess("10.0.0.1:8888".into()))),
        ("close.application", {
            let reason = "café closed".into();
            Frame::Close(CloseReason::Application { code: 0x0102_0304, reason })
        }),
        ("close.key_retired", Frame::Close(CloseReason::KeyRetired)),
        ("close.memory_full", Frame::Close(CloseReason::MemoryFull)),
        ("close.record_broken", Frame::Close(CloseReason::RecordBroken)),
        ("close.probe", Frame::Close(CloseReason::Probe)),
        ("close.unknown", Frame::Close(CloseReason::Other(65_535))),
        ("extension", Frame::Unknown { kind: 0x40 }),
    ]
}

fn packet_frames() -> Vec<(&'static str, PacketFrame)> {
    use PacketFrame as F;
    let body = Bytes::from_static(b"body");
    let in_lane = |delivery, lane| Channel { delivery, lane };
    let ordered = in_lane(Delivery::Ordered, 0);
    let last = in_lane(Delivery::Unordered, 15);
    let part = |offset, total| F::Fragment {
        channel: last,
        number: 64,
        offset,
        total,
        body: Bytes::from_static(b"body"),
    };
    let ack = |ranges: &[core::ops::RangeInclusive<u64>], delay| F::PacketAck {
        ranges: AckRanges::from_descending(ranges.iter().cloned()).unwrap(),
        delay: Duration::from_micros(delay),
    };
    let stream = |fin, offset, body| F::Stream { id: 2, lane: 3, fin, offset, body };
    let end = |side| F::StreamEnd { id: 3, side, offset: 70_000, code: 0x0102_0304 };
    vec![
        ("padding", F::Padding { len: 3 }),
        ("ping", F::Ping { token: 0x0102_0304_0506_0708 }),
        ("pong", F::Pong { token: u64::MAX }),
        ("message.ordered", F::Message { channel: ordered, number: 0, body: body.clone() }),
        ("message.unordered", F::Message { channel: last, number: 16_384, body: body.clone() }),
        (
            "message.unreliable",
            F::Message { channel: in_lane(Delivery::Unreliable, 7), number: 1, body: Bytes::new() },
        ),
        ("fragment.first", part(0, 1_000_000)),
        ("fragment.last", part(999_996, 1_000_000)),
        ("close.shutting_down", F::Close(CloseReason::ShuttingDown)),
        ("close.violation", F::Close(CloseReason::Violation("number 7 after 5".into()))),
        ("stream", stream(false, 0, body.clone())),
        ("stream.last", stream(true, 1 << 32, body)),
        ("stream.end", stream(true, (1 << 62) - 1, Bytes::new())),
        ("max_data.stream", F::MaxData { stream: 2, limit: 131_072 }),
        ("max_data.streams", F::MaxData { stream: 0, limit: 64 }),
        ("packet_ack.one", ack(&[0..=0], 0)),
        ("packet_ack.three", ack(&[900..=1000, 898..=898, 0..=100], 4_999)),
        ("stop_waiting", F::StopWaiting { number: (1 << 62) - 1 }),
        ("path_challenge", F::PathChallenge { token: [0xC1; 8] }),
        ("path_response", F::PathResponse { token: [0xC1; 8] }),
        ("stream_end.sending", end(StreamSide::Sending)),
        ("stream_end.reading", end(StreamSide::Reading)),
        ("message_ack", F::MessageAck { channel: last, number: 64 }),
        ("message_nack", F::MessageNack { channel: ordered, number: 65 }),
        ("extension", F::Unknown { kind: 0x7F }),
    ]
}

fn broadcast() -> Verified<AppMessage> {
    said(1, Audience::Everyone, b"\x81\xa7message\xafHello, network!")
}

fn direct() -> Verified<AppMessage> {
    said(1, Audience::Node(identity(2).node_id()), b"")
}

fn said(by: u8, audience: Audience, payload: &'static [u8]) -> Verified<AppMessage> {
    let sender = *identity(by).public_key();
    let timestamp = WallTime::from_unix_micros(1_700_000_000_000_000);
    let payload = Bytes::from_static(payload);
    let message = AppMessage { sender, audience, sequence: 1024, timestamp, payload };
    identity(by).sign(message, &network())
}

fn record(of: u8) -> Verified<PeerRecord> {
    let addresses = match of {
        1 => vec![address("192.0.2.1:8888"), address("[2001:db8::1]:8888")],
        _ => Vec::new(),
    };
    let record = PeerRecord {
        key: *identity(of).public_key(),
        sequence: 1_700_000_000_000_000,
        noise_static: [0x20; 32],
        capabilities: 0,
        addresses,
        carriers: Vec::new(),
        software: "positron-net/0.1.0".into(),
    };
    identity(of).sign(record, &network())
}

fn succession(old: u8, new: u8) -> Verified<Succession> {
    Succession::sign(&identity(old), &identity(new), &network())
}

/// What a node of a later version may say of itself: addresses, carriers and capabilities that mean
/// nothing here, and a valid signature over them.
fn later_record() -> Verified<PeerRecord> {
    let record = PeerRecord {
        capabilities: 0x8000_0001,
        addresses: vec![
            Address::new(200, b"somewhere").unwrap(),
            address("192.0.2.3:8888"),
            Address::new(0, b"").unwrap(),
        ],
        carriers: vec![
            CarrierParameter::new(201, &[0xC3; 32]).unwrap(),
            CarrierParameter::new(201, &[0xC4; 32]).unwrap(),
        ],
        ..record(3).content().clone()
    };
    identity(3).sign(record, &network())
}

fn holdings(numbers: &[u64]) -> Holdings {
    let mut holdings = Holdings::new();
    for &number in numbers {
        holdings.insert(identity(1).node_id(), number);
        holdings.insert(NodeId::from_bytes([0; 32]), number / 2);
    }
    holdings
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed([seed; 32])
}

fn network() -> NetworkId {
    NetworkId::from_name("vectors")
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, bytes: &[u8]) {
        write!(self.0, "{name} = ").unwrap();
        for byte in bytes {
            write!(self.0, "{byte:02x}").unwrap();
        }
        self.0.push('\n');
    }

    fn compare_with(&self, stated: &str) {
        let stated = stated.lines().filter(|line| !line.starts_with('#'));
        assert!(
            stated.eq(self.0.lines()),
            "the vectors differ from the code, which says:\n{}",
            self.0
        );
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn messages_of_stun_are_read_and_written_as_written_down() {
    let stated = include_str!("vectors/stun.txt");
    let value = |name: &str| {
        let found = stated.lines().filter_map(|line| line.split_once(" = "));
        unhex(found.into_iter().find(|(of, _)| *of == name).unwrap().1)
    };
    let mut lines = Lines::default();
    for (name, says) in stun::read() {
        let bytes = value(name);
        assert_eq!(StunMessage::decode(&bytes), Ok(says), "{name}");
        lines.add(name, &bytes);
    }
    for (name, bytes) in stun::written() {
        lines.add(name, &bytes);
    }
    lines.compare_with(stated);
}

#[test]
fn claims_in_the_vectors_are_valid() {
    fn valid<T: positron_proto::identity::Statement>(claim: Signed<T>) -> bool {
        let verdict = claim.job(&network()).run();
        claim.accept(verdict).is_some()
    }
    assert!(valid(broadcast().claim().clone()) && valid(direct().claim().clone()));
    assert!(valid(record(1).claim().clone()) && valid(record(2).claim().clone()));
    assert!(valid(later_record().claim().clone()));
    assert!(valid(order().claim().clone()));
    let succession = succession(1, 2);
    assert!(valid(succession.claim().clone()) && valid(succession.content().acceptance().clone()));
}

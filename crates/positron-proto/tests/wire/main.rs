//! Bytes and values, as an attacker sees them: every value survives its encoding, no bytes panic,
//! every limit holds at its edge, and a count costs nothing before its elements are there.

#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use positron_proto::{
    direct::DirectMessage,
    gossip::{GossipMessage, SHAPES},
    id::NodeId,
    identity::{Identity, PublicKey, Signature, Signed},
    limits::{
        MAX_ADDRESSES, MAX_CARRIERS, MAX_HOLDINGS_RANGES, MAX_HOLDINGS_SENDERS, MAX_MESSAGE,
        MAX_PAYLOAD, MAX_PEER_RECORD, MAX_REASON_TEXT, MAX_RECORDS_PER_MESSAGE, MAX_SOFTWARE,
        MAX_TRACE_DEPTH, MAX_TTL,
    },
    node::Message,
    peers::PeersMessage,
    relay::RelayMessage,
    request::{REQUEST, RESPONSE},
    substream::SUBSTREAM_DATA,
    time::WallTime,
    wire::{
        Address, Malformed, Reader, Writer as _,
        frame::{CloseReason, Frame, Lane},
        holdings::{Holdings, Ranges},
        message::{AppMessage, Audience, CUSTOM_DATA, GOSSIP_MESSAGE, RoomMessage as _},
        record::{CarrierParameter, PeerRecord},
    },
};
use proptest::prelude::*;

use any::{any_bytes, any_frame, any_lane, any_message, below_2_62};

mod any;
mod packets;

const RECEIVER: NodeId = NodeId::from_bytes([9; 32]);

proptest! {
    #[test]
    fn every_message_survives_its_encoding(message in any_message()) {
        prop_assert_eq!(decode(message.encode()), Ok(Some(message)));
    }

    #[test]
    fn every_message_that_is_read_is_written_back_byte_for_byte(
        message in any_message(),
        (at, flip) in (any::<prop::sample::Index>(), any::<u8>()),
    ) {
        let mut bytes = message.encode().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(Some(read)) = decode(bytes.clone().into()) {
            // GOSSIP_MESSAGE, TRACE_ASK: hops are cut to what they may be. CONNECT, ANSWER: flags
            // that nobody knows are dropped.
            let clamped = match bytes[0] {
                6 => bytes[1] & !SHAPES > MAX_TTL,
                38 => bytes[1] > MAX_TRACE_DEPTH,
                16 | 17 => bytes[9] > 3,
                _ => false,
            };
            prop_assert!(clamped || read.encode() == bytes);
        }
    }

    #[test]
    fn every_cut_of_a_message_is_refused(
        (message, at) in (any_message(), any::<prop::sample::Index>()),
    ) {
        let bytes = message.encode();
        let cut = bytes.slice(..at.index(bytes.len()));
        // What an application says is whatever is left: a cut there is a shorter one.
        let kind = message.message_type();
        let open_ended = matches!(
            kind,
            GOSSIP_MESSAGE | CUSTOM_DATA | REQUEST | RESPONSE | SUBSTREAM_DATA
        );
        let is_piece = matches!(message, Message::Relay(RelayMessage::Data { .. }));
        prop_assert!(decode(cut).is_err() || open_ended || is_piece);
    }

    #[test]
    fn every_frame_survives_its_encoding_and_its_neighbours(
        frames in prop::collection::vec(any_frame(), 1..5)
    ) {
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.encode(&mut bytes);
        }
        let mut reader = Reader::new(bytes.into());
        for frame in frames {
            prop_assert_eq!(Frame::decode(&mut reader), Ok(frame));
        }
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn a_frame_around_a_body_stays_within_its_stated_overhead(
        (lane, number, body) in (any_lane(), below_2_62(), any_bytes(0..300)),
        (offset, rest) in (0..500_000_u32, 0..500_000_u32),
    ) {
        let len = u32::try_from(body.len()).unwrap();
        let (total, size) = (offset + len + rest, body.len());
        let whole = usize::try_from(total).unwrap();
        for frame in [
            Frame::Message { lane, number, body: body.clone() },
            Frame::Fragment { lane, number, offset, total, body },
        ] {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            prop_assert!(bytes.len() <= size + Frame::overhead(number, whole));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(kind in 0..20_u8, bytes in any_bytes(0..600)) {
        let tagged: Bytes = [&[kind][..], &bytes].concat().into();
        for bytes in [bytes, tagged] {
            let _ = decode(bytes.clone());
            let _ = read(&bytes, Signed::<PeerRecord>::decode);
            let _ = read(&bytes, |reader| Signed::<AppMessage>::decode(reader, Audience::Everyone));
            let mut reader = Reader::new(bytes.clone());
            while Frame::decode(&mut reader).is_ok() {}
            let mut reader = Reader::new(bytes);
            let (_, _, _) = (reader.varint(), reader.len(7), reader.bytes(7));
            let (_, _) = (reader.u32(), reader.array::<3>());
            reader.rest();
            prop_assert!(reader.finish().is_ok());
        }
    }
}

#[test]
fn unknown_messages_are_skipped_and_messages_that_go_on_too_long_are_not() {
    let known = Message::types().collect::<Vec<_>>();
    for kind in (0..=255).filter(|kind| !known.contains(kind)) {
        assert_eq!(decode(vec![kind, 1, 2, 3].into()), Ok(None));
    }
    assert_eq!(decode(Bytes::new()).unwrap_err().what, "truncated");
    let mut bytes = PeersMessage::Heartbeat(1).encode().to_vec();
    bytes.push(0);
    assert_eq!(decode(bytes.into()), Err(Malformed { what: "trailing bytes", offset: 5 }));
}

#[test]
fn a_ttl_is_clamped_on_entry_and_a_number_above_its_range_is_refused() {
    let message = app_message(0, Bytes::new());
    for shapes in [0, SHAPES] {
        let bytes = GossipMessage::Gossip(0x7f | shapes, message.clone()).encode();
        let clamped = GossipMessage::Gossip(MAX_TTL | shapes, message.clone());
        assert_eq!(decode(bytes), Ok(Some(clamped.into())));
    }
    for (sequence, ok) in [((1 << 62) - 1, true), (1 << 62, false), (u64::MAX, false)] {
        let message = app_message(sequence, Bytes::new());
        assert_eq!(decode(GossipMessage::Gossip(1, message).encode()).is_ok(), ok);
    }
}

#[test]
fn a_key_of_small_order_signs_neither_messages_nor_records() {
    for (kind, key_at) in [(6, 2), (5, 2), (1, 1)] {
        let mut bytes = match kind {
            6 => GossipMessage::Gossip(1, app_message(0, Bytes::new())).encode(),
            5 => PeersMessage::Announcement(vec![record(1)]).encode(),
            _ => hello(1, 1).encode(),
        }
        .to_vec();
        bytes[key_at..key_at + 32].fill(0);
        let malformed = decode(bytes.into()).unwrap_err();
        assert_eq!((malformed.what, malformed.offset), ("public key of small order", key_at));
    }
}

/// Two spellings of one address would be two entries in every table that is keyed by addresses.
#[test]
fn an_ipv4_address_in_ipv6_clothes_is_refused() {
    let record = |form: &[u8]| {
        let mut bytes = record(0).to_bytes().to_vec();
        bytes.splice(COUNT_AT..=COUNT_AT, [&[1][..], form].concat());
        read(&bytes.into(), Signed::<PeerRecord>::decode)
    };
    let ipv6 = |front: [u8; 2]| [&[6, 18][..], &[0; 10], &front, &[127, 0, 0, 1, 0, 80]].concat();
    let malformed = record(&ipv6([0xFF; 2])).unwrap_err();
    assert_eq!((malformed.what, malformed.offset), ("IPv4 address in an IPv6 one", COUNT_AT + 2));
    let read = record(&ipv6([0xFF, 0xFE])).unwrap();
    assert_eq!(read.content().addresses, ["[::fffe:7f00:1]:80".parse().unwrap()]);
}

/// Who speaks a later version names addresses and carriers that mean nothing here.
#[test]
fn a_record_with_unknown_kinds_is_read_and_written_as_the_same_bytes() {
    let address = |kind, len: usize| Address::new(kind, &vec![0xFF; len]).unwrap();
    let content = PeerRecord {
        capabilities: 0xFFFF_FFFF,
        addresses: vec![address(0, 0), "192.0.2.1:1".parse().unwrap(), address(255, 128)],
        carriers: vec![
            CarrierParameter::new(0, b"").unwrap(),
            CarrierParameter::new(255, &[0; 128]).unwrap(),
        ],
        ..record(0).content().clone()
    };
    let bytes = Signed::new(content.clone(), Signature::from_bytes([5; 64])).to_bytes();
    let back = read(&bytes, Signed::<PeerRecord>::decode).unwrap();
    assert_eq!((back.content(), back.to_bytes()), (&content, bytes));
}

#[test]
fn every_limit_holds_at_its_edge() {
    let around = |limit: usize| [(limit - 1, true), (limit, true), (limit + 1, false)];
    let check = |name: &str, limit: usize, encode: &dyn Fn(usize) -> Bytes| {
        for (n, ok) in around(limit) {
            assert_eq!(decode(encode(n)).is_ok(), ok, "{name}: {n} of {limit}");
        }
    };
    check("payload of a broadcast", MAX_PAYLOAD, &|n| {
        GossipMessage::Gossip(1, app_message(0, vec![7; n].into())).encode()
    });
    check("payload of a direct message", MAX_PAYLOAD, &|n| {
        DirectMessage::CustomData(app_message(0, vec![7; n].into())).encode()
    });
    check("records of an announcement", MAX_RECORDS_PER_MESSAGE, &|n| {
        PeersMessage::Announcement(vec![record(1); n]).encode()
    });
    check("records of a hello", MAX_RECORDS_PER_MESSAGE, &|n| hello(n, 1).encode());
    check("addresses", MAX_ADDRESSES, &|n| hello(1, n).encode());
    let carriers = |bodies: &[usize]| {
        let carriers =
            bodies.iter().map(|len| CarrierParameter::new(7, &vec![9; *len]).unwrap()).collect();
        let content = PeerRecord { carriers, ..record(0).content().clone() };
        let peers = vec![Signed::new(content, Signature::from_bytes([5; 64]))];
        PeersMessage::Announcement(peers).encode()
    };
    check("carriers", MAX_CARRIERS, &|n| carriers(&vec![1; n]));
    check("peer record", MAX_PEER_RECORD, &|n| {
        // Type and count stand before the record; seven carriers, the last as long as it must be.
        let bodies = |last| [[110; 6].as_slice(), &[last]].concat();
        carriers(&bodies(64 + n + 2 - carriers(&bodies(64)).len()))
    });
    check("software", MAX_SOFTWARE, &|n| {
        let peers = vec![record_of("s".repeat(n), 1)];
        PeersMessage::Announcement(peers).encode()
    });
    check("senders", MAX_HOLDINGS_SENDERS, &|n| GossipMessage::IHave(holdings(n, 1)).encode());
    check("ranges of one sender", MAX_HOLDINGS_RANGES, &|n| {
        GossipMessage::IWant(holdings(1, n)).encode()
    });
    check("ranges of all senders", MAX_HOLDINGS_RANGES, &|n| {
        let mut all = holdings(2, MAX_HOLDINGS_RANGES / 2);
        all.insert_ranges(sender(1), ranges(n - MAX_HOLDINGS_RANGES / 2));
        GossipMessage::IHave(all).encode()
    });
}

#[test]
fn every_limit_of_a_frame_holds_at_its_edge() {
    let (lane, number) = (Lane::DIRECT, 0);
    let ok = |frame: Frame| {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        read(&bytes.into(), Frame::decode).is_ok()
    };
    for (n, fits) in [(MAX_MESSAGE - 1, true), (MAX_MESSAGE, true), (MAX_MESSAGE + 1, false)] {
        assert_eq!(ok(Frame::Message { lane, number, body: vec![0; n].into() }), fits);
        let body = Bytes::from_static(b"x");
        let total = u32::try_from(n).unwrap();
        assert_eq!(
            ok(Frame::Fragment { lane, number, offset: 0, total, body: body.clone() }),
            fits
        );
        assert_eq!(ok(Frame::Fragment { lane, number, offset: total - 1, total, body }), fits);
    }
    for (n, fits) in
        [(MAX_REASON_TEXT - 1, true), (MAX_REASON_TEXT, true), (MAX_REASON_TEXT + 1, false)]
    {
        let mut bytes = vec![0x06, 0, 10];
        bytes.append_blob(&vec![b'x'; n]);
        assert_eq!(read(&bytes.into(), Frame::decode).is_ok(), fits);
    }
    // What is longer is cut by the writer, so that our own reason is never the peer's violation.
    assert!(ok(Frame::Close(CloseReason::Violation("x".repeat(10 * MAX_REASON_TEXT)))));
}

#[test]
fn a_large_count_or_length_with_few_bytes_behind_it_takes_no_memory() {
    // What `Bytes` takes when a buffer is sliced for the first time.
    const SHARED: u64 = 32;
    let count = |kind: u8, count: u64| {
        let mut bytes = vec![kind];
        bytes.append_varint(count);
        Bytes::from(bytes)
    };
    let ranges_of_one = {
        let mut bytes = vec![12, 1];
        bytes.extend_from_slice(&[1; 32]);
        bytes.append_varint(u64::try_from(MAX_HOLDINGS_RANGES).unwrap());
        Bytes::from(bytes)
    };
    for bytes in [
        count(5, u64::try_from(MAX_RECORDS_PER_MESSAGE).unwrap()),
        count(5, (1 << 62) - 1),
        count(12, u64::try_from(MAX_HOLDINGS_SENDERS).unwrap()),
        count(13, (1 << 62) - 1),
        ranges_of_one,
    ] {
        let used = allocation_counter::measure(|| assert!(decode(bytes).is_err()));
        assert!(used.bytes_total <= SHARED);
    }
    let mut frame = vec![0x03, 0, 0];
    frame.append_varint(u64::try_from(MAX_MESSAGE).unwrap());
    let frame = Bytes::from(frame);
    let used = allocation_counter::measure(|| assert!(read(&frame, Frame::decode).is_err()));
    assert!(used.bytes_total <= SHARED);
}

#[test]
fn a_range_over_all_numbers_is_read_without_counting_them() {
    let mut holdings = Holdings::new();
    let mut bytes = vec![12, 1];
    bytes.extend_from_slice(sender(0).as_bytes());
    bytes.extend_from_slice(&[1, 0]);
    bytes.append_varint((1 << 62) - 1);
    let Ok(Some(Message::Gossip(GossipMessage::IHave(all)))) = decode(bytes.into()) else {
        panic!("refused")
    };
    let theirs = all.of(&sender(0)).unwrap();
    let ours: Ranges = [0, 1, 5].into_iter().collect();
    assert_eq!(theirs.missing_from(&ours, 3).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(ours.missing_from(theirs, 3).count(), 0);
    holdings.insert_ranges(sender(0), ours);
    assert!(holdings.of(&sender(0)).is_some());
}

#[test]
fn ranges_that_touch_overlap_or_end_above_the_last_number_are_refused() {
    let claim = |pairs: &[(u64, u64)]| {
        let mut bytes = vec![12, 1];
        bytes.extend_from_slice(&[1; 32]);
        bytes.append_varint(u64::try_from(pairs.len()).unwrap());
        for &(gap, more) in pairs {
            bytes.append_varint(gap);
            bytes.append_varint(more);
        }
        decode(bytes.into()).is_ok()
    };
    const LAST: u64 = (1 << 62) - 1;
    assert!(claim(&[(0, 0), (1, 0)]) && claim(&[(LAST, 0)]) && claim(&[(0, LAST)]));
    assert!(!claim(&[(0, 0), (0, 0)]), "two ranges that touch are one");
    assert!(!claim(&[(1, LAST)]) && !claim(&[(LAST, 1)]), "above 2^62");
    assert!(!claim(&[(0, LAST), (1, 0)]), "after the last number");
    assert!(!claim(&[]), "a sender of nothing");
}

/// Where the count of addresses stands in a record.
const COUNT_AT: usize = 32 + 8 + 32 + 4;

fn decode(bytes: Bytes) -> Result<Option<Message>, Malformed> {
    Message::decode(bytes, RECEIVER)
}

fn read<T>(
    bytes: &Bytes,
    decode: impl FnOnce(&mut Reader) -> Result<T, Malformed>,
) -> Result<T, Malformed> {
    decode(&mut Reader::new(bytes.clone()))
}

fn key(seed: u8) -> PublicKey {
    *Identity::from_seed([seed; 32]).public_key()
}

fn app_message(sequence: u64, payload: Bytes) -> Signed<AppMessage> {
    let message = AppMessage {
        sender: key(1),
        audience: Audience::Everyone,
        sequence,
        timestamp: WallTime::default(),
        payload,
    };
    Signed::new(message, Signature::from_bytes([5; 64]))
}

fn record_of(software: String, addresses: usize) -> Signed<PeerRecord> {
    let record = PeerRecord {
        key: key(1),
        sequence: 1,
        noise_static: [2; 32],
        capabilities: 0,
        addresses: vec!["[2001:db8::1]:8888".parse().unwrap(); addresses],
        carriers: Vec::new(),
        software,
    };
    Signed::new(record, Signature::from_bytes([5; 64]))
}

fn record(addresses: usize) -> Signed<PeerRecord> {
    record_of("positron-net/0.1.0".into(), addresses)
}

fn hello(records: usize, addresses: usize) -> PeersMessage {
    PeersMessage::Hello {
        answer: false,
        record: record(addresses),
        observed: "192.0.2.1:1".parse().unwrap(),
        peers: vec![record(addresses); records],
    }
}

fn sender(n: usize) -> NodeId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&u64::try_from(n).unwrap().to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn ranges(n: usize) -> Ranges {
    (0..n).map(|n| 2 * u64::try_from(n).unwrap()).collect()
}

fn holdings(senders: usize, ranges_each: usize) -> Holdings {
    let mut holdings = Holdings::new();
    for n in 0..senders {
        holdings.insert_ranges(sender(n), ranges(ranges_each));
    }
    holdings
}

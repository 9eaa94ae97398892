use super::*;
use crate::limits::{
    MAX_DATAGRAM_MESSAGE, MAX_MESSAGE_SPAN, MAX_STREAMS, RTO_LONGEST, STREAM_WINDOW_FIRST,
};

const LARGEST: u64 = (1 << 62) - 1;

fn part(number: u64, offset: u32, total: u32, body: &'static [u8]) -> PacketFrame {
    let (channel, body) = (channel(Delivery::Unordered), Bytes::from_static(body));
    PacketFrame::Fragment { channel, number, offset, total, body }
}

fn end(id: u64, side: StreamSide, offset: u64) -> PacketFrame {
    PacketFrame::StreamEnd { id, side, offset, code: 0 }
}

/// Whether a peer that says these frames in DATA packets, one after the other, is sent away.
fn is_sent_away(packets: &[Vec<PacketFrame>]) -> bool {
    let mut victim = Victim::new();
    let mut peers = [Hostile::new(&mut victim, 1)];
    for frames in packets {
        peers[0].say(&mut victim, frames);
        victim.talk(&mut peers);
    }
    let away = victim.violations() == 1;
    assert_eq!(away, !victim.is_established(&peers[0]));
    away
}

#[test]
fn what_no_honest_peer_says_ends_the_connection_and_what_one_may_say_does_not() {
    use StreamSide::{Reading, Sending};
    let window = u64::try_from(STREAM_WINDOW_FIRST).unwrap();
    let whole = u32::try_from(MAX_DATAGRAM_MESSAGE).unwrap();
    let (ordered, unordered) = (Delivery::Ordered, Delivery::Unordered);
    let bad: Vec<Vec<PacketFrame>> = vec![
        vec![acks(0, 999)],
        vec![acks(0, LARGEST)],
        vec![PacketFrame::StopWaiting { number: 1 }],
        vec![PacketFrame::StopWaiting { number: LARGEST }],
        vec![message(ordered, MAX_MESSAGE_SPAN, b"")],
        vec![message(unordered, MAX_MESSAGE_SPAN, b"")],
        vec![message(ordered, LARGEST, b"")],
        vec![part(MAX_MESSAGE_SPAN, 0, 9, b"x")],
        vec![part(0, 0, 9, b"abc"), part(0, 3, 10, b"def")],
        vec![part(0, 0, 9, b"abc"), part(0, 2, 9, b"def")],
        vec![part(0, 0, 9, b"abc"), message(unordered, 0, b"four")],
        vec![
            part(0, 0, whole, b"a"),
            part(1, 0, whole, b"a"),
            part(2, 0, whole, b"a"),
            part(3, 0, whole, b"a"),
        ],
        (0..257).map(|number| part(number, 0, 9, b"a")).collect(),
        vec![piece(1, window, b"x", false)],
        vec![piece(1, LARGEST - 1, b"x", false)],
        vec![piece(1, 5, b"", true), piece(1, 5, b"x", false)],
        vec![piece(1, 5, b"", true), piece(1, 6, b"", true)],
        vec![piece(1, 5, b"", true), piece(1, 4, b"", true)],
        vec![piece(1, 5, b"x", false), piece(1, 5, b"", true)],
        vec![piece(1, 5, b"", true), end(1, Sending, 6)],
        vec![piece(1, 5, b"x", false), end(1, Sending, 5)],
        vec![end(1, Sending, 5), piece(1, 5, b"x", false)],
        vec![end(1, Sending, window + 1)],
        vec![end(1, Sending, LARGEST)],
        vec![piece(MAX_STREAMS + 1, 0, b"x", false)],
        vec![piece(LARGEST, 0, b"x", false)],
        vec![end(MAX_STREAMS + 1, Sending, 0)],
        vec![end(1, Reading, 0)],
        vec![end(LARGEST, Reading, LARGEST)],
        vec![PacketFrame::MaxData { stream: 1, limit: 5 }],
        vec![PacketFrame::MaxData { stream: LARGEST, limit: LARGEST }],
        vec![PacketFrame::MessageAck { channel: channel(ordered), number: 0 }],
        vec![PacketFrame::MessageAck { channel: channel(unordered), number: LARGEST }],
        vec![PacketFrame::MessageNack { channel: channel(unordered), number: 0 }],
    ];
    for frames in &bad {
        assert!(is_sent_away(core::slice::from_ref(frames)), "{frames:?}");
        // Not in one packet either.
        let packets: Vec<_> = frames.iter().map(|frame| vec![frame.clone()]).collect();
        assert!(is_sent_away(&packets), "{frames:?}");
    }
    let good: Vec<Vec<PacketFrame>> = vec![
        vec![PacketFrame::StopWaiting { number: 0 }],
        vec![message(ordered, MAX_MESSAGE_SPAN - 1, b"")],
        vec![message(unordered, MAX_MESSAGE_SPAN - 1, b"")],
        vec![message(unordered, 0, b""), message(unordered, MAX_MESSAGE_SPAN, b"")],
        vec![message(Delivery::Unreliable, LARGEST, b"")],
        vec![part(0, 0, 9, b"abc"), part(0, 2, 9, b"cde"), part(0, 0, 9, b"abcde")],
        (0..256).map(|number| part(number, 0, 9, b"a")).collect(),
        vec![piece(1, window - 1, b"x", false)],
        vec![piece(1, 5, b"", true), piece(1, 4, b"x", true), end(1, Sending, 5)],
        vec![piece(MAX_STREAMS, 0, b"x", false)],
        vec![end(MAX_STREAMS, Sending, window)],
        vec![PacketFrame::MaxData { stream: 0, limit: LARGEST }],
        vec![PacketFrame::PathResponse { token: [1; 8] }],
        vec![PacketFrame::Unknown { kind: 0x7F }],
    ];
    for frames in &good {
        assert!(!is_sent_away(core::slice::from_ref(frames)), "{frames:?}");
    }
}

/// Frames that nobody encodes: as bytes.
#[test]
fn bytes_that_are_no_frames_end_the_connection() {
    let malformed: &[&[u8]] = &[
        &[0x05],
        &[0x07, 0],
        &[0x0E],
        &[0x12],
        &[0x3F],
        &[0x80],
        &[0xFF],
        // Not all zero after padding.
        &[0, 0, 1],
        // Cut off.
        &[0x01, 1, 2],
        &[0x03, 0],
        &[0x03, 0, 0, 5, 1],
        // Channels of no delivery.
        &[0x03, 0x30, 0, 0],
        &[0x03, 0xFF, 0, 0],
        // A part that is empty, or outside of its message.
        &[0x04, 0x10, 0, 0, 9, 0],
        &[0x04, 0x10, 0, 9, 9, 1, 7],
        // Stream 0, lane 16, neither the end nor not, nothing without the end, beyond 2^62.
        &[0x08, 0, 0, 0, 0, 1, 7],
        &[0x08, 1, 16, 0, 0, 1, 7],
        &[0x08, 1, 0, 2, 0, 1, 7],
        &[0x08, 1, 0, 0, 0, 0],
        &[0x08, 1, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 7],
        &[0x0F, 0, 0, 0],
        &[0x0F, 1, 2, 0],
        // Ranges below zero, and more of them than there may be.
        &[0x0A, 0, 0, 0, 1],
        &[0x0A, 5, 0, 1, 0, 4, 0],
        &[0x0A, 5, 0, 1, 5, 0, 1],
        &[0x0A, 5, 0, 0x40, 0x40, 0],
        // A varint that is longer than it must be.
        &[0x0B, 0x40, 0],
        // A length beyond the packet.
        &[0x50, 0xBF, 0xFF, 0xFF, 0xFF],
    ];
    for bytes in malformed {
        let mut victim = Victim::new();
        let mut peer = Hostile::new(&mut victim, 1);
        let at = (PacketType::Data, Fragment::default());
        let packet = peer.seal(victim.now.mono, at, bytes);
        victim.hear(peer.addr, &packet);
        assert_eq!(victim.violations(), 1, "{bytes:02x?}");
    }
}

#[test]
fn every_frame_where_it_may_not_be_ends_the_connection() {
    let (mut refused, mut taken) = (0, 0);
    for kind in PacketType::ALL {
        // Of no connection, or unsealed.
        let is_other = [PacketType::Syn, PacketType::SynAck, PacketType::Query, PacketType::Answer];
        if is_other.contains(&kind) {
            continue;
        }
        for frame in one_of_each() {
            let mut victim = Victim::new();
            let mut peer = Hostile::new(&mut victim, 1);
            // Something of a message is known, so that its end is no surprise.
            let (now, id) = (victim.now, peer.connection);
            let body = Bytes::from(vec![1; 3000]);
            victim.end.send(now, id, 3, Delivery::Unordered, body).unwrap();
            victim.say();
            let fragment = Fragment { id: 0, index: 0, total: 3 };
            let fragment =
                if kind == PacketType::Fragment { fragment } else { Fragment::default() };
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            let packet = peer.seal(now.mono, (kind, fragment), &bytes);
            victim.hear(peer.addr, &packet);
            let one = matches!(
                kind,
                PacketType::Fin
                    | PacketType::Rst
                    | PacketType::Ping
                    | PacketType::Pong
                    | PacketType::Fragment
            );
            let missing = one && !frame.says_something();
            let expected = usize::from(!frame.allowed_in(kind) || missing);
            assert_eq!(victim.violations(), expected, "{frame:?} in {kind:?}");
            if expected == 1 { refused += 1 } else { taken += 1 }
        }
    }
    assert_eq!(refused + taken, 10 * 16);
    assert!(refused > 100 && taken > 30, "{refused} {taken}");
}

#[test]
fn the_frames_of_a_later_version_are_ignored_and_counted() {
    let mut victim = Victim::new();
    let mut peers = [Hostile::new(&mut victim, 1)];
    let extensions = [PacketFrame::Unknown { kind: 0x40 }, PacketFrame::Unknown { kind: 0x7F }];
    peers[0].strike(&mut victim, PacketType::Data, &extensions);
    victim.talk(&mut peers);
    assert_eq!((victim.end.counters().extensions_ignored, victim.violations()), (2, 0));
    peers[0].say(&mut victim, &[message(Delivery::Ordered, 0, b"after")]);
    victim.talk(&mut peers);
    assert_eq!(victim.messages, 1);
}

#[test]
fn what_follows_a_fin_or_a_reset_is_not_heard() {
    for kind in [PacketType::Fin, PacketType::Rst] {
        let mut victim = Victim::new();
        let mut peers = [Hostile::new(&mut victim, 1)];
        peers[0].say(&mut victim, &[message(Delivery::Ordered, 0, b"before")]);
        peers[0].strike(&mut victim, kind, &[PacketFrame::Close(CloseReason::Pruned)]);
        for n in 1..1000 {
            peers[0].say(
                &mut victim,
                &[
                    message(Delivery::Ordered, n, b"after"),
                    message(Delivery::Unordered, n, b"after"),
                    piece(1, n, b"x", false),
                    PacketFrame::Ping { token: n },
                ],
            );
            peers[0].strike(&mut victim, kind, &[PacketFrame::Close(CloseReason::Banned)]);
            victim.talk(&mut peers);
        }
        assert_eq!((victim.messages, victim.readable.len()), (1, 0), "{kind:?}");
        victim.wait(Duration::from_secs(60), &mut peers);
        let why = Closed::ByPeer(CloseReason::Pruned);
        assert_eq!(victim.closed, [(peers[0].connection, why)], "{kind:?}");
        assert!(victim.end.demux().is_empty());
    }
}

#[test]
fn the_same_packet_again_and_phases_that_are_not_due_change_nothing() {
    let mut victim = Victim::new();
    let mut peers = [Hostile::new(&mut victim, 1)];
    let first = peers[0].packet(
        victim.now.mono,
        PacketType::Data,
        &[message(Delivery::Unordered, 0, b"once")],
    );
    for n in 0..10_000_u32 {
        let mut packet = first.clone();
        if n % 2 == 1 {
            // Its phase is part of what is sealed.
            packet[3] ^= Flags::KEY_PHASE.0;
            packet[4..8].copy_from_slice(&(n + 1).to_be_bytes());
        }
        victim.hear(peers[0].addr, &packet);
    }
    victim.talk(&mut peers);
    let counters = victim.end.counters();
    assert_eq!((victim.messages, counters.replayed, counters.decrypt_failed), (1, 4_999, 5_000));
    assert!(victim.is_established(&peers[0]));
}

#[test]
fn a_peer_that_changes_its_keys_with_every_packet_may() {
    let mut victim = Victim::new();
    let tuning = Tuning { packets_per_key: 1, first_number: 0 };
    let mut peers = [Hostile::tuned(&mut victim, 1, tuning)];
    for n in 0..2_000 {
        peers[0].say(&mut victim, &[message(Delivery::Ordered, n, b"x")]);
        victim.wait(Duration::from_millis(20), &mut peers);
    }
    assert_eq!(victim.messages, 2_000);
    assert!(peers[0].keys.key_updates() > 100, "{}", peers[0].keys.key_updates());
}

#[test]
fn who_answered_late_is_not_remembered_for_long_once_it_is_sent_away() {
    let mut victim = Victim::new();
    let mut peers = [Hostile::new(&mut victim, 1)];
    let (now, connection) = (victim.now, peers[0].connection);
    victim.end.send(now, connection, 0, Delivery::Ordered, Bytes::from_static(b"x")).unwrap();
    victim.talk(&mut peers);
    let ack = core::mem::take(&mut peers[0].ack);
    // It is there, and says only after a minute what it received.
    for _ in 0..60 {
        victim.now.mono = victim.now.mono + Duration::from_secs(1);
        peers[0].say(&mut victim, &[]);
    }
    peers[0].ack = ack;
    peers[0].say(&mut victim, &[]);
    assert_eq!(victim.view(&peers[0]).unwrap().rtt, Some(Duration::from_secs(60)));
    // Four mebibytes of a message that waits for others.
    let body: &'static [u8] = &[7; 16_000];
    for number in 1..250 {
        peers[0].say(&mut victim, &[message(Delivery::Ordered, number, body)]);
    }
    assert_eq!(victim.view(&peers[0]).unwrap().unreleased_bytes, 249 * 16_064);
    let freed = allocation_counter::measure(|| {
        peers[0].say(&mut victim, &[PacketFrame::Close(CloseReason::Pruned)]);
    });
    assert_eq!(victim.violations(), 1);
    assert!(freed.bytes_current < -3_900_000, "{} bytes", freed.bytes_current);
    victim.wait(RTO_LONGEST, &mut peers);
    assert!(victim.end.demux().is_empty());
}

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;

use super::SendChannels;
use crate::{
    datagram::{
        contract::NotQueued,
        incoming::{Delivered, RecvChannels},
        sent_frames::{PacketBuilder, PacketKind, SentFrame, SentFrames},
    },
    limits::{
        CONNECTION_QUEUE_MESSAGES, FRAGMENT_AGE, LARGEST_DATAGRAM, MAX_DATAGRAM_MESSAGE,
        MAX_FRAGMENTS_PER_PEER, MAX_MESSAGE_SPAN, MAX_UNFINISHED_PER_PEER,
    },
    time::{Duration, Instant},
    wire::{
        codec::Reader,
        packet_frame::{Channel, Delivery, PacketFrame},
    },
};

const PLENTY: u64 = 1 << 40;

/// What a packet carried, and its frames.
struct Packet {
    kind: PacketKind,
    contents: SentFrames,
    frames: Vec<PacketFrame>,
}

fn packet(full: usize, fill: impl FnOnce(&mut PacketBuilder<'_>)) -> Option<Packet> {
    packet_within(full, PLENTY, fill)
}

fn packet_within(
    full: usize,
    budget: u64,
    fill: impl FnOnce(&mut PacketBuilder<'_>),
) -> Option<Packet> {
    let mut out = Vec::new();
    let mut filling = PacketBuilder::new(&mut out, full, full, budget);
    fill(&mut filling);
    let (kind, contents) = (filling.kind, core::mem::take(&mut filling.contents));
    assert!(out.len() <= full);
    let mut reader = Reader::new(Bytes::from(out));
    let mut frames = Vec::new();
    while !reader.is_empty() {
        frames.push(PacketFrame::decode(&mut reader).unwrap());
    }
    if let (PacketKind::Fragment(fragment), [frame]) = (kind, &frames[..])
        && let PacketFrame::Fragment { number, offset, total, body, .. } = frame
    {
        assert!(fragment.agrees_with(*number, *offset, body.len(), *total));
    }
    (kind != PacketKind::Empty).then_some(Packet { kind, contents, frames })
}

fn next(outgoing: &mut SendChannels, full: usize) -> Option<Packet> {
    next_within(outgoing, full, PLENTY)
}

fn next_within(outgoing: &mut SendChannels, full: usize, budget: u64) -> Option<Packet> {
    let ready = outgoing.most_urgent(full, budget);
    let next = packet_within(full, budget, |filling| {
        (0..16).for_each(|lane| outgoing.fill(lane, filling));
    });
    assert_eq!(ready.is_some(), next.is_some(), "what is said to be ready is");
    next
}

fn arrive(incoming: &mut RecvChannels, now: Instant, packet: &Packet) {
    for frame in packet.frames.clone() {
        match frame {
            PacketFrame::Message { channel, number, body } => {
                incoming.message(channel, number, &body).unwrap();
            }
            PacketFrame::Fragment { channel, number, offset, total, body } => {
                incoming.part(now, channel, number, (offset, total), &body).unwrap();
            }
            other => unreachable!("{other:?}"),
        }
    }
}

fn answer(incoming: &mut RecvChannels, outgoing: &mut SendChannels) {
    while let Some(packet) = packet(1200, |filling| incoming.fill(filling)) {
        for frame in packet.frames {
            match frame {
                PacketFrame::MessageAck { channel, number } => {
                    outgoing.whole(channel, number).unwrap();
                }
                PacketFrame::MessageNack { channel, number } => {
                    outgoing.given_up(channel, number).unwrap();
                }
                other => unreachable!("{other:?}"),
            }
        }
    }
}

fn body(index: usize, len: usize) -> Bytes {
    let name = u32::try_from(index).unwrap().to_be_bytes();
    name.iter()
        .copied()
        .cycle()
        .take(len)
        .enumerate()
        .map(|(at, byte)| byte ^ at.to_le_bytes()[0])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn reliable_messages_arrive_once_and_in_order_whatever_the_network_does(
        messages in prop::collection::vec((0_u8..3, 0_usize..5, 4_usize..6000), 1..40),
        fates in prop::collection::vec((0_u8..8, 0_usize..9), 1..200),
        sizes in prop::collection::vec(600_usize..2000, 1..6),
    ) {
        let mut outgoing = SendChannels::new(1 << 20);
        let mut incoming = RecvChannels::default();
        let mut expected: BTreeMap<Channel, Vec<Bytes>> = BTreeMap::new();
        for (index, &(lane, delivery, len)) in messages.iter().enumerate() {
            let delivery = [
                Delivery::Ordered,
                Delivery::Ordered,
                Delivery::Unordered,
                Delivery::Unordered,
                Delivery::Unreliable,
            ][delivery];
            let body = body(index, len);
            outgoing.push(lane, delivery, body.clone(), 0).unwrap();
            expected.entry(Channel { delivery, lane }).or_default().push(body);
        }
        let mut fates = fates.into_iter().chain(core::iter::repeat((7, 0)));
        let mut under_way: Vec<Packet> = Vec::new();
        let mut now = Instant::ORIGIN;
        for round in 0..4000 {
            now = now + Duration::from_millis(500);
            let full = sizes[(round / 8).min(sizes.len() - 1)];
            under_way.extend(next(&mut outgoing, full));
            let (fate, which) = fates.next().unwrap();
            if !under_way.is_empty() {
                let at = which % under_way.len();
                match fate {
                    // Lost; lost spuriously; acknowledged late; the peer gave something up.
                    0 => under_way.remove(at).contents.iter().for_each(|c| outgoing.handle_loss(c)),
                    1 => {
                        arrive(&mut incoming, now, &under_way[at]);
                        under_way[at].contents.iter().for_each(|chunk| outgoing.handle_loss(chunk));
                    }
                    2 => _ = incoming.give_up_oldest(),
                    3 => answer(&mut incoming, &mut outgoing),
                    _ => {
                        let packet = under_way.remove(at);
                        arrive(&mut incoming, now, &packet);
                        for _ in 0..2 {
                            packet.contents.iter().for_each(|c| outgoing.handle_ack(c));
                        }
                        packet.contents.iter().for_each(|chunk| outgoing.handle_loss(chunk));
                    }
                }
            } else {
                answer(&mut incoming, &mut outgoing);
                if outgoing.is_drained() {
                    break;
                }
            }
        }
        prop_assert!(outgoing.is_drained());
        prop_assert_eq!(outgoing.queued_bytes(), 0);
        // Unreliable messages that never became whole.
        incoming.handle_timeout(now + FRAGMENT_AGE);
        prop_assert_eq!(incoming.unfinished(), None);
        let mut found: BTreeMap<Channel, Vec<Bytes>> = BTreeMap::new();
        while let Some(Delivered { lane, delivery, body }) = incoming.poll() {
            found.entry(Channel { delivery, lane }).or_default().push(body);
        }
        for (channel, bodies) in found.iter_mut().chain(expected.iter_mut()) {
            if channel.delivery != Delivery::Ordered {
                bodies.sort();
            }
        }
        // What is unreliable arrives at most once.
        let unreliable = |channel: &Channel| channel.delivery == Delivery::Unreliable;
        for (channel, found) in found.iter().filter(|(channel, _)| unreliable(channel)) {
            prop_assert!(found.windows(2).all(|two| two[0] != two[1]));
            prop_assert!(found.iter().all(|body| expected[channel].contains(body)));
        }
        found.retain(|channel, _| !unreliable(channel));
        expected.retain(|channel, _| !unreliable(channel));
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn small_messages_share_a_packet_and_lower_lanes_go_first() {
    let mut outgoing = SendChannels::new(1 << 20);
    for lane in [3, 1] {
        for _ in 0..2 {
            outgoing.push(lane, Delivery::Ordered, Bytes::from_static(b"x"), 0).unwrap();
        }
    }
    let packet = next(&mut outgoing, 1000).unwrap();
    let lanes: Vec<u8> = packet
        .frames
        .iter()
        .map(|frame| match frame {
            PacketFrame::Message { channel, .. } => channel.lane,
            other => unreachable!("{other:?}"),
        })
        .collect();
    assert_eq!((lanes, packet.contents.iter().count()), (vec![1, 1, 3, 3], 2));
    assert_eq!(next(&mut outgoing, 1000).map(|packet| packet.kind), None);
}

#[test]
fn a_full_queue_refuses_until_half_of_it_is_free_and_says_so_once() {
    let mut outgoing = SendChannels::new(1000);
    let push = |outgoing: &mut SendChannels, len| {
        outgoing.push(0, Delivery::Ordered, Bytes::from(vec![0; len]), 0)
    };
    push(&mut outgoing, 600).unwrap();
    assert_eq!(push(&mut outgoing, 401), Err(NotQueued::Full));
    push(&mut outgoing, 400).unwrap();
    assert!(!outgoing.take_writable(0));
    let packet = next(&mut outgoing, 2000).unwrap();
    packet.contents.iter().for_each(|chunk| outgoing.handle_ack(chunk));
    assert!(outgoing.take_writable(0) && !outgoing.take_writable(0));
    let (len, limit) = (MAX_DATAGRAM_MESSAGE + 1, MAX_DATAGRAM_MESSAGE);
    assert_eq!(push(&mut outgoing, len), Err(NotQueued::TooLarge { len, limit }));
    assert_eq!(push(&mut outgoing, limit), Ok(()));
}

#[test]
fn no_more_messages_in_fragments_are_begun_than_an_honest_receiver_takes() {
    let (mut outgoing, mut incoming) = (SendChannels::new(64 << 20), RecvChannels::default());
    for _ in 0..2 * MAX_UNFINISHED_PER_PEER {
        outgoing.push(0, Delivery::Unordered, Bytes::from(vec![1; 2000]), 0).unwrap();
    }
    let mut first = Vec::new();
    while let Some(packet) = next(&mut outgoing, 1200) {
        first.push(packet);
    }
    let number = |frame: &PacketFrame<Bytes>| match frame {
        PacketFrame::Fragment { number, .. } => *number,
        other => unreachable!("{other:?}"),
    };
    let begun: BTreeSet<u64> =
        first.iter().flat_map(|packet| packet.frames.iter().map(number)).collect();
    assert_eq!(begun.len(), MAX_UNFINISHED_PER_PEER - 1, "one place is kept");
    for packet in first.iter().step_by(2).chain(first.iter().skip(1).step_by(2)) {
        arrive(&mut incoming, Instant::ORIGIN, packet);
    }
    answer(&mut incoming, &mut outgoing);
    assert!(next(&mut outgoing, 1200).is_some());
}

#[test]
fn no_message_is_sent_that_lies_too_far_from_the_oldest_that_did_not_arrive() {
    let mut outgoing = SendChannels::new(1 << 20);
    let push = |outgoing: &mut SendChannels| {
        outgoing.push(0, Delivery::Ordered, Bytes::from_static(b"x"), 0)
    };
    for _ in 0..CONNECTION_QUEUE_MESSAGES {
        push(&mut outgoing).unwrap();
    }
    assert_eq!(push(&mut outgoing), Err(NotQueued::Full));
    while next(&mut outgoing, 10_000).is_some() {}
    let messages = |first, end| {
        let channel = Channel { delivery: Delivery::Ordered, lane: 0 };
        SentFrame::Messages { channel, first, count: u32::try_from(end - first).unwrap() }
    };
    // All but the first one arrived.
    outgoing.handle_ack(&messages(1, MAX_MESSAGE_SPAN));
    push(&mut outgoing).unwrap();
    assert!(next(&mut outgoing, 1000).is_none());
    outgoing.handle_loss(&messages(0, 1));
    let again = next(&mut outgoing, 1000).unwrap();
    assert_eq!(again.frames.len(), 1);
    assert!(next(&mut outgoing, 1000).is_none());
    again.contents.iter().for_each(|chunk| outgoing.handle_ack(chunk));
    let last = next(&mut outgoing, 1000).unwrap();
    assert!(matches!(last.frames[..], [PacketFrame::Message { number: MAX_MESSAGE_SPAN, .. }]));
    last.contents.iter().for_each(|chunk| outgoing.handle_ack(chunk));
    assert!(outgoing.is_drained());
}

#[test]
fn large_messages_are_begun_up_to_the_bound_and_all_arrive_through_a_small_window() {
    let (mut outgoing, mut incoming) = (SendChannels::new(64 << 20), RecvChannels::default());
    let count = 3 * MAX_FRAGMENTS_PER_PEER / (1 << 20);
    for _ in 0..count {
        outgoing.push(0, Delivery::Unordered, Bytes::from(vec![1; 1 << 20]), 0).unwrap();
        outgoing.push(1, Delivery::Ordered, Bytes::from(vec![2; 3000]), 0).unwrap();
    }
    let now = Instant::ORIGIN;
    let (mut most, mut late) = (0, Vec::new());
    for budget in (1_000_u64..4_000).cycle().take(1_000_000) {
        match next_within(&mut outgoing, 8_000, budget * 4) {
            // The first piece of each comes last.
            Some(packet) if matches!(packet.frames[0], PacketFrame::Fragment { offset: 0, .. }) => {
                late.push(packet);
            }
            Some(packet) => {
                arrive(&mut incoming, now, &packet);
                packet.contents.iter().for_each(|chunk| outgoing.handle_ack(chunk));
                most = most.max(incoming.unfinished().map_or(0, |it| it.bytes));
            }
            None if outgoing.is_drained() => break,
            None => {
                for packet in late.drain(..) {
                    arrive(&mut incoming, now, &packet);
                    packet.contents.iter().for_each(|chunk| outgoing.handle_ack(chunk));
                }
                answer(&mut incoming, &mut outgoing);
            }
        }
    }
    assert!(outgoing.is_drained());
    assert!(most <= MAX_FRAGMENTS_PER_PEER && most > MAX_FRAGMENTS_PER_PEER / 2, "{most}");
    assert_eq!(core::iter::from_fn(|| incoming.poll()).count(), 2 * count);
}

#[test]
fn what_was_lost_whole_goes_in_pieces_even_when_what_came_after_it_fills_the_window() {
    let channel = Channel { delivery: Delivery::Ordered, lane: 0 };
    let mut outgoing = SendChannels::new(1 << 20);
    outgoing.push(0, channel.delivery, body(0, 3_000), 0).unwrap();
    let whole = next(&mut outgoing, 9_000).unwrap();
    whole.contents.iter().for_each(|chunk| outgoing.handle_loss(chunk));
    // Datagrams became smaller, and the other end holds what is out of order.
    let mut incoming = RecvChannels::default();
    while let Some(piece) = next_within(&mut outgoing, 1_200, 0) {
        arrive(&mut incoming, Instant::ORIGIN, &piece);
    }
    let Delivered { body: heard, .. } = incoming.poll().unwrap();
    assert_eq!(heard, body(0, 3_000));
    answer(&mut incoming, &mut outgoing);
    assert!(outgoing.is_drained());
}

#[test]
fn only_a_fragment_that_fills_its_packet_has_one_of_its_own() {
    let mut outgoing = SendChannels::new(1 << 20);
    for (index, len) in [(0, 2_000), (1, 2_000), (2, 100)] {
        outgoing.push(0, Delivery::Ordered, body(index, len), 0).unwrap();
    }
    let packets: Vec<Packet> = core::iter::from_fn(|| next(&mut outgoing, 1_200)).collect();
    assert!(matches!(packets[0].kind, PacketKind::Fragment(_)), "of the first message");
    let contents = |packet: &Packet| packet.contents.iter().count();
    assert_eq!(packets.iter().map(contents).collect::<Vec<_>>(), [1, 2, 1, 2]);
    let mut incoming = RecvChannels::default();
    packets.iter().for_each(|packet| arrive(&mut incoming, Instant::ORIGIN, packet));
    for (index, len) in [(0, 2_000), (1, 2_000), (2, 100)] {
        assert_eq!(incoming.poll().unwrap().body, body(index, len));
    }
}

#[test]
fn what_was_lost_goes_before_the_rest_of_a_later_message_that_waits_for_the_window() {
    let mut outgoing = SendChannels::new(1 << 20);
    outgoing.push(0, Delivery::Ordered, body(0, 100), 0).unwrap();
    outgoing.push(0, Delivery::Ordered, body(1, 5_000), 0).unwrap();
    let (first, second) = (next(&mut outgoing, 1_200), next(&mut outgoing, 1_200));
    assert!(matches!(&second.unwrap().frames[..], [PacketFrame::Fragment { number: 1, .. }]));
    first.unwrap().contents.iter().for_each(|chunk| outgoing.handle_loss(chunk));
    let again = next_within(&mut outgoing, 1_200, 0).expect("the other end has had room for it");
    assert!(matches!(&again.frames[..], [PacketFrame::Message { number: 0, .. }, ..]));
    assert!(next_within(&mut outgoing, 1_200, 0).is_none());
}

#[test]
fn there_is_room_to_cut_what_was_lost_whole_however_many_messages_are_begun() {
    for (count, len) in [(MAX_UNFINISHED_PER_PEER, 2_000), (8, 524_200)] {
        let mut outgoing = SendChannels::new(8 << 20);
        outgoing.push(1, Delivery::Ordered, body(0, 15_000), 0).unwrap();
        let whole = next(&mut outgoing, LARGEST_DATAGRAM).unwrap();
        for index in 0..count {
            outgoing.push(0, Delivery::Unordered, body(index, len), 0).unwrap();
        }
        while next(&mut outgoing, 1_200).is_some() {}
        whole.contents.iter().for_each(|chunk| outgoing.handle_loss(chunk));
        let piece = next_within(&mut outgoing, 1_200, 0).expect("its place was kept");
        assert!(matches!(&piece.frames[..], [PacketFrame::Fragment { total: 15_000, .. }]));
    }
}

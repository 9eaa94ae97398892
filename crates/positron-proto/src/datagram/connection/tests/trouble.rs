//! What strangers, hostile ends and long silences do to a connection.

use super::{streams::long, *};
use crate::{
    limits::{MAX_FRAGMENTS_PER_PEER, MAX_PAYLOAD, MESSAGE_COST},
    wire::packet_frame::{Channel, put_message},
};

#[test]
fn unauthenticated_words_make_a_busy_connection_ask_ten_times_a_second_at_most() {
    let mut pair = Pair::new(1, CALM);
    pair.run(Duration::from_secs(1));
    let asked = |pair: &Pair| pair.ends[0].space.as_ref().unwrap().pings();
    let before = asked(&pair);
    for _ in 0..1_000 {
        pair.ends[1].send(0, Delivery::Ordered, Bytes::from_static(b"busy")).unwrap();
        pair.ends[0].ping_if_suspect(pair.now);
        pair.run(Duration::from_millis(1));
    }
    let asked = asked(&pair) - before;
    assert!((1..=11).contains(&asked), "{asked} in a second");
}

#[test]
fn a_small_message_that_waits_does_not_keep_a_packet_of_padding_alive() {
    let usage = allocation_counter::measure(|| {
        let mut pair = Pair::new(2, CALM);
        // The first one of the lane never comes.
        for number in 1..1_000 {
            let mut frames = Vec::new();
            let channel = Channel { delivery: Delivery::Ordered, lane: 0 };
            put_message(&mut frames, channel, number, [b"x", b""]);
            frames.resize(60_000, 0);
            let header = Header::new(PacketType::Data, 7);
            let from = pair.addrs[0];
            let opened = OpenedPacket { from, header: &header, number, frames: &frames, len: 0 };
            pair.ends[1].handle_opened(pair.now, opened, &mut pair.counters[1]);
        }
        let held = pair.ends[1].view(ConnectionId(0)).unreleased_bytes;
        assert_eq!(held, 999 * (1 + MESSAGE_COST));
        core::mem::forget(pair);
    });
    assert!(usage.bytes_current < 500_000, "{} bytes", usage.bytes_current);
}

#[test]
fn messages_in_fragments_beyond_what_an_end_takes_at_once_go_through_a_small_window() {
    let window = |config: &mut EndpointConfig| {
        (config.window_bytes, config.queue_bytes) = (64 * 1024, 16 << 20);
    };
    let weather = PathLaws { loss: 0.03, ..CALM };
    let mut pair = Pair::configured(3, weather, Tuning::default(), window);
    let bodies = numbered(12, MAX_PAYLOAD);
    assert!(bodies.len() * MAX_PAYLOAD > 2 * MAX_FRAGMENTS_PER_PEER);
    for body in &bodies {
        pair.ends[0].send(0, Delivery::Ordered, body.clone()).unwrap();
    }
    pair.run(Duration::from_secs(120));
    pair.expect(1, &bodies);
}

#[test]
fn a_probe_of_what_has_arrived_otherwise_asks_all_the_same() {
    // No acknowledgment of the fragments comes back, only the word that the message is whole.
    let mut pair = Pair::new(4, CALM);
    pair.eats = Some(PacketType::Ack);
    for body in numbered(3, 30_000) {
        pair.ends[0].send(0, Delivery::Ordered, body).unwrap();
        pair.run(Duration::from_secs(5));
    }
    assert_eq!(pair.messages(1).len(), 3);
    assert_eq!(pair.ends[0].view(ConnectionId(0)).in_flight, 0);
}

#[test]
fn nobody_looks_for_larger_datagrams_on_a_path_that_answers_nothing() {
    let mut pair = Pair::new(7, CALM);
    pair.ends[0].send(0, Delivery::Ordered, Bytes::from_static(b"hello")).unwrap();
    pair.run(Duration::from_secs(2));
    pair.weather().loss = 1.0;
    for body in numbered(20, 10_000) {
        pair.ends[0].send(0, Delivery::Ordered, body).unwrap();
    }
    pair.run(Duration::from_secs(2));
    let before = pair.ends[0].view(ConnectionId(0)).sent;
    pair.run(Duration::from_secs(20));
    // Timeouts after about 4, 8 and 16 s, with the two packets of the least window each.
    let sent = pair.ends[0].view(ConnectionId(0)).sent - before;
    assert!((3..=6).contains(&sent), "{sent}");
}

#[test]
fn a_connection_that_idles_for_a_day_lives_and_its_keys_change_when_it_speaks() {
    let tuning = Tuning { packets_per_key: 1_000, first_number: 0 };
    let mut pair = Pair::tuned(5, CALM, tuning);
    pair.run(Duration::from_secs(24 * 3600));
    assert!(pair.closed(0).is_empty() && pair.closed(1).is_empty());
    let updates = pair.ends[0].space.as_ref().unwrap().key_updates();
    assert!(updates >= 3, "{updates}");
    let bodies = numbered(3_000, 1_000);
    for body in &bodies {
        pair.ends[0].send(0, Delivery::Ordered, body.clone()).unwrap();
    }
    pair.run(Duration::from_secs(10));
    pair.expect(1, &bodies);
}

#[test]
fn an_idle_connection_holds_a_few_kilobytes() {
    let usage = allocation_counter::measure(|| {
        let mut pair = Pair::new(6, CALM);
        for body in numbered(300, 3_000) {
            pair.ends[0].send(0, Delivery::Ordered, body.clone()).unwrap();
            pair.ends[1].send(2, Delivery::Unordered, body).unwrap();
        }
        pair.stream(0, 1, long(6, 300_000));
        pair.run(Duration::from_secs(60));
        assert_eq!(pair.messages(0).len() + pair.messages(1).len(), 600);
        // Of all that the story took, only the two ends are kept.
        core::mem::forget(pair.ends);
    });
    let heap = usage.bytes_current / 2;
    let whole = heap + i64::try_from(size_of::<Connection>()).unwrap();
    // Measured: 8,900; before idle connections kept no room, 66,000.
    assert!(whole <= 10_240, "{whole} bytes, of them {heap} on the heap");
}

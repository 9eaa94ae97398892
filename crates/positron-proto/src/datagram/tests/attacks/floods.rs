use super::*;
use crate::limits::{
    CONNECTION_WINDOW_FIRST, ENDPOINT_OVERDRAFT_BYTES, MAX_DATAGRAM_MESSAGE, SLOW_READER_TIMEOUT,
    UNFINISHED_PER_BYTE,
};

/// The largest packet of frames.
const LARGE: usize = 16 * 1024 - HEADER_LEN - TAG_LEN;

fn as_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap()
}

#[test]
fn a_million_lone_parts_of_a_peer_take_four_mebibytes_and_go_in_thirty_seconds() {
    let mut victim = Victim::new();
    let mut peers = [Hostile::new(&mut victim, 1)];
    let most = peak(|| {
        for number in 0..1_000_000 {
            let total = if number % 32 == 0 { 100_000 } else { 2_000 };
            peers[0].lone_part(&mut victim, Delivery::Unreliable, number, total);
            if number % 64 == 0 {
                victim.talk(&mut peers);
                assert!(victim.unfinished() <= MAX_FRAGMENTS_PER_PEER);
            }
        }
    });
    assert!(most < 6 * MIB, "{most} bytes");
    assert!(victim.is_established(&peers[0]));
    assert!(as_u64(victim.unfinished()) > MIB / 2);
    victim.wait(Duration::from_secs(31), &mut peers);
    assert_eq!(victim.unfinished(), 0);
}

#[test]
fn lone_parts_of_many_peers_take_no_more_than_their_bound_and_go_in_thirty_seconds() {
    let mut victim = Victim::new();
    let mut peers: Vec<_> = (1..=64).map(|n| Hostile::new(&mut victim, n)).collect();
    let total = u32::try_from(MAX_DATAGRAM_MESSAGE).unwrap();
    let used = allocation_counter::measure(|| {
        for number in 0..100 {
            for peer in &mut peers {
                peer.lone_part(&mut victim, Delivery::Unordered, number, total);
                victim.now.mono = victim.now.mono + Duration::from_micros(1);
            }
            victim.talk(&mut peers);
        }
        assert!(victim.unfinished() <= crate::limits::MAX_FRAGMENT_BYTES);
        assert!(as_u64(victim.unfinished()) > 30 * MIB);
        victim.wait(Duration::from_secs(31), &mut peers);
    });
    assert!(used.bytes_max < 48 * MIB, "{} bytes", used.bytes_max);
    // Each clears what it may begin once, and not again for every byte.
    let first = 64 * as_u64(MAX_FRAGMENTS_PER_PEER);
    assert!(used.bytes_total < first + 64 * MIB, "{} bytes in all", used.bytes_total);
    assert!(used.bytes_current < 4 << 20, "{} bytes stay", used.bytes_current);
    assert_eq!((victim.unfinished(), victim.violations()), (0, 0));
    assert!(victim.end.counters().reassemblies_abandoned >= 6_300);
}

#[test]
fn messages_that_are_begun_by_one_byte_make_us_clear_no_memory_that_nobody_paid_for() {
    let mut victim = Victim::new();
    let mut peers = [Hostile::new(&mut victim, 1)];
    let total = u32::try_from(MAX_DATAGRAM_MESSAGE).unwrap();
    let parts = 10_000;
    let used = allocation_counter::measure(|| {
        for number in 0..parts {
            peers[0].lone_part(&mut victim, Delivery::Unreliable, number, total);
            victim.talk(&mut peers);
        }
    });
    // What may be begun, what the bytes paid for, and what packets take.
    let paid = as_u64(MAX_FRAGMENTS_PER_PEER) + parts * as_u64(UNFINISHED_PER_BYTE);
    assert!(used.bytes_total < paid + parts * 4096, "{} bytes", used.bytes_total);
    // Whoever says all that it begins is heard as ever.
    let body: &'static [u8] = &[3; LARGE - 100];
    let total = 4 * u32::try_from(body.len()).unwrap();
    for number in parts..parts + 100 {
        for offset in (0..total).step_by(body.len()) {
            let (channel, body) = (channel(Delivery::Unreliable), Bytes::from_static(body));
            let part = PacketFrame::Fragment { channel, number, offset, total, body };
            peers[0].say(&mut victim, &[part]);
            victim.talk(&mut peers);
        }
    }
    assert_eq!((victim.violations(), victim.messages), (0, 100));
}

#[test]
fn a_thousand_crumbs_of_each_message_cost_no_more_than_it_does() {
    // From the end to the beginning, which is the worst order for a list.
    let mut victim = Victim::new();
    let mut peers = [Hostile::new(&mut victim, 1)];
    let total = u32::try_from(MAX_DATAGRAM_MESSAGE).unwrap();
    let most = peak(|| {
        let mut number = 0;
        while victim.violations() == 0 {
            let mut frames = Vec::new();
            for n in 0..1000 {
                let offset = total - 2 * (number * 1000 + n) - 1;
                let body = Bytes::from_static(b"x");
                let channel = channel(Delivery::Unordered);
                frames.push(PacketFrame::Fragment { channel, number: 0, offset, total, body });
            }
            peers[0].say(&mut victim, &frames);
            victim.talk(&mut peers);
            number += 1;
            assert!(number < 20);
        }
    });
    assert!(most < 2 * MIB, "{most} bytes");
}

#[test]
fn crumbs_of_streams_are_bounded() {
    let mut victim = Victim::new();
    let mut peers = [Hostile::new(&mut victim, 1)];
    let most = peak(|| {
        'streams: for id in 1..=64 {
            for packet in 0..3_u64 {
                let offset = |n: u64| 128 * 1024 - 1 - 2 * (packet * 500 + n);
                let frames: Vec<_> = (0..500).map(|n| piece(id, offset(n), b"x", false)).collect();
                peers[0].say(&mut victim, &frames);
                victim.talk(&mut peers);
                if victim.violations() > 0 {
                    break 'streams;
                }
            }
        }
    });
    // 64 streams reach as far as they may, and that is beyond the window.
    assert_eq!(victim.violations(), 1);
    assert!(most < 10 * MIB, "{most} bytes");
}

#[test]
fn empty_messages_cost_something() {
    for delivery in [Delivery::Ordered, Delivery::Unordered, Delivery::Unreliable] {
        let mut victim = Victim::new();
        victim.releases = false;
        let mut peers = [Hostile::new(&mut victim, 1)];
        let mut number = 0;
        let most = peak(|| {
            while victim.violations() == 0 && number < 200_000 {
                let frames: Vec<_> =
                    (number..number + 1000).map(|n| message(delivery, n, b"")).collect();
                peers[0].say(&mut victim, &frames);
                number += 1000;
            }
        });
        // Twice the window and the fragments, at 64 bytes each.
        assert!((70_000..80_000).contains(&number), "{number} {delivery:?}");
        assert!(most < 12 * MIB, "{most} bytes");
        // Who is heard by an application that reads may say as many as it likes.
        let mut victim = Victim::new();
        let mut peers = [Hostile::new(&mut victim, 1)];
        for packet in 0..200 {
            let frames: Vec<_> =
                (0..1000).map(|n| message(delivery, packet * 1000 + n, b"")).collect();
            peers[0].say(&mut victim, &frames);
            victim.talk(&mut peers);
        }
        assert_eq!((victim.messages, victim.violations()), (200_000, 0));
    }
}

/// Each comes in a packet of its own that is as large as packets get.
#[test]
fn a_message_of_one_byte_does_not_hold_its_packet() {
    for delivery in [Delivery::Ordered, Delivery::Unordered, Delivery::Unreliable] {
        for overtaken in [false, true] {
            let mut victim = Victim::new();
            victim.releases = false;
            let mut peers = [Hostile::new(&mut victim, 1)];
            let most = peak(|| {
                for n in 0..5_000 {
                    let number = n + u64::from(overtaken);
                    let one = message(delivery, number, b"x");
                    peers[0].say(&mut victim, &[one, PacketFrame::Padding { len: LARGE - 8 }]);
                }
            });
            assert_eq!(victim.violations(), 0);
            assert!(most < 2 * MIB, "{most} bytes for 5,000 messages, {delivery:?}");
        }
    }
}

/// Each keeps back the message that all others wait for.
#[test]
fn many_peers_that_hold_more_than_their_windows_give_way_and_others_do_not() {
    let mut victim = Victim::new();
    victim.releases = false;
    let mut honest = Hostile::new(&mut victim, 200);
    let body: &'static [u8] = &[7; LARGE - 100];
    let held = 2 * MIB / as_u64(body.len());
    let fill = |victim: &mut Victim, peer: &mut Hostile, count: u64| {
        for number in 1..=count {
            peer.say(victim, &[message(Delivery::Ordered, number, body)]);
        }
    };
    fill(&mut victim, &mut honest, held);
    let mut peers: Vec<_> = (1..=60).map(|n| Hostile::new(&mut victim, n)).collect();
    let used = allocation_counter::measure(|| {
        for peer in &mut peers {
            fill(&mut victim, peer, 2 * held);
        }
    });
    let bound = as_u64(ENDPOINT_OVERDRAFT_BYTES) + 60 * as_u64(CONNECTION_WINDOW_FIRST);
    assert!(used.bytes_max < bound + 8 * MIB, "{} bytes", used.bytes_max);
    let full = |(_, why): &&(_, Closed)| *why == Closed::ByUs(CloseReason::ConnectionsFull);
    let given_way = victim.closed.iter().filter(full).count();
    assert!((20..40).contains(&given_way), "{given_way}");
    assert_eq!(victim.closed.len(), given_way);
    assert!(victim.is_established(&honest));
    honest.say(&mut victim, &[message(Delivery::Ordered, 0, b"")]);
    assert_eq!(victim.messages, held + 1);
}

#[test]
fn messages_out_of_order_are_held_within_the_window() {
    let mut victim = Victim::new();
    let mut peers = [Hostile::new(&mut victim, 1)];
    let body: &'static [u8] = &[7; 100];
    let most = peak(|| {
        // Number 0 never comes, in any lane.
        for number in 1..60_000 {
            for lane in 0..16 {
                let channel = Channel { delivery: Delivery::Ordered, lane };
                let body = Bytes::from_static(body);
                peers[0].say(&mut victim, &[PacketFrame::Message { channel, number, body }]);
            }
            if victim.violations() > 0 {
                break;
            }
        }
    });
    assert_eq!((victim.violations(), victim.messages), (1, 0));
    assert!(most < 12 * MIB, "{most} bytes");
}

#[test]
fn pings_and_challenges_are_answered_and_not_remembered() {
    for padded in [0, 1000] {
        let mut victim = Victim::new();
        let mut peer = Hostile::new(&mut victim, 1);
        let frames = |n: u64| match n % 2 {
            0 => vec![PacketFrame::Ping { token: n }, PacketFrame::Padding { len: padded + 1 }],
            _ => vec![PacketFrame::PathChallenge { token: n.to_be_bytes() }],
        };
        let mut answers = 0;
        let most = peak(|| {
            for n in 0..100_000 {
                peer.say(&mut victim, &frames(n));
                // It never acknowledges anything.
                answers += victim.say().len();
                if n % 1000 == 0 {
                    victim.now.mono = victim.now.mono + Duration::from_millis(10);
                    victim.end.handle_timeout(victim.now);
                }
            }
        });
        assert!((100_000..=250_000).contains(&answers), "{answers}");
        assert!(most < MIB, "{most} bytes");
        let view = victim.view(&peer).unwrap();
        assert!(view.in_flight < 64 * 1024, "{} in flight", view.in_flight);
    }
}

#[test]
fn many_questions_in_one_packet_get_one_answer_of_each_kind_and_no_more_bytes_than_they_had() {
    for pings in [true, false] {
        for len in [60, 300, 1200, 9000] {
            let mut victim = Victim::new();
            let peer = &mut Hostile::new(&mut victim, 1);
            let question = |n: u64| match pings {
                true => PacketFrame::Ping { token: n },
                false => PacketFrame::PathChallenge { token: n.to_be_bytes() },
            };
            let frames: Vec<_> = (0..(len - HEADER_LEN - TAG_LEN) / 9).map(as_u64).collect();
            let frames: Vec<_> = frames.into_iter().map(question).collect();
            let packet = peer.packet(victim.now.mono, PacketType::Data, &frames);
            victim.hear(peer.addr, &packet);
            let (came, went) = victim.ledger[&peer.addr];
            assert_eq!((came, went), (packet.len(), 0));
            let said = victim.say();
            // The answer, and an acknowledgment.
            assert!((1..=2).contains(&said.len()), "{} answers to {len} bytes", said.len());
            let (came, went) = victim.ledger[&peer.addr];
            assert!(went <= 2 * came, "{went} bytes for {came}");
        }
    }
}

#[test]
fn questions_that_cannot_be_answered_yet_are_forgotten() {
    let mut victim = Victim::new();
    let mut peer = Hostile::new(&mut victim, 1);
    let most = peak(|| {
        for n in 0..100_000_u64 {
            let token = n.to_be_bytes();
            peer.say(
                &mut victim,
                &[PacketFrame::Ping { token: n }, PacketFrame::PathChallenge { token }],
            );
        }
    });
    assert!(most < MIB / 4, "{most} bytes");
    assert!(victim.say().len() < 50);
}

#[test]
fn a_peer_that_opens_no_window_keeps_what_waits_bounded_and_cannot_keep_the_connection() {
    for window in [0, u16::MAX] {
        let mut victim = Victim::new();
        let mut peers = [Hostile::new(&mut victim, 1)];
        peers[0].window = window;
        peers[0].say(&mut victim, &[PacketFrame::Ping { token: 1 }]);
        let connection = peers[0].connection;
        let body = Bytes::from(vec![1; 100_000]);
        let mut queued = 0;
        let mut queue = |victim: &mut Victim| {
            let now = victim.now;
            while victim.end.send(now, connection, 0, Delivery::Ordered, body.clone()).is_ok() {
                queued += body.len();
            }
        };
        // It acknowledges whatever it was sent, and says the same window again.
        let mut acknowledge = |victim: &mut Victim, seconds: u64| {
            for _ in 0..20 * seconds {
                victim.wait(Duration::from_millis(50), &mut peers);
                peers[0].strike(victim, PacketType::Ack, &[]);
            }
        };
        for _ in 0..60 {
            queue(&mut victim);
            acknowledge(&mut victim, 1);
            let view = victim.end.view(connection).unwrap();
            assert_eq!(view.state, ConnectionState::Established);
            assert!(view.queued_bytes <= victim.end.config.queue_bytes);
        }
        victim.end.close(victim.now, connection, CloseReason::Pruned);
        acknowledge(&mut victim, SLOW_READER_TIMEOUT.as_secs() + 10);
        assert_eq!(victim.closed.len(), 1, "closing ends, window {window}");
        if window == 0 {
            assert!(queued < 9 << 20, "{queued} bytes");
        }
        victim.wait(Duration::from_secs(60), &mut peers);
        assert!(victim.end.demux().is_empty());
    }
}

#[test]
fn a_peer_that_closes_and_takes_nothing_is_let_go() {
    let mut victim = Victim::new();
    let mut peers = [Hostile::new(&mut victim, 1)];
    peers[0].window = 0;
    let (now, connection) = (victim.now, peers[0].connection);
    peers[0].strike(&mut victim, PacketType::Ping, &[PacketFrame::Ping { token: 1 }]);
    let body = Bytes::from(vec![1; 100_000]);
    victim.end.send(now, connection, 0, Delivery::Ordered, body).unwrap();
    peers[0].strike(&mut victim, PacketType::Fin, &[PacketFrame::Close(CloseReason::Pruned)]);
    for _ in 0..20 {
        peers[0].strike(&mut victim, PacketType::Ack, &[]);
        victim.wait(Duration::from_secs(1), &mut peers);
    }
    assert_eq!(victim.closed.len(), 1);
}

/// Whoever acknowledges everything at once, arrived or not, gets no more than the queue.
#[test]
fn optimistic_acknowledgments_and_those_of_size_probes_break_nothing() {
    let mut victim = Victim::new();
    let mut peers = [Hostile::new(&mut victim, 1)];
    peers[0].window = u16::MAX;
    let (connection, body) = (peers[0].connection, Bytes::from(vec![1; 50_000]));
    let most = peak(|| {
        for n in 0..2_000_u64 {
            let now = victim.now;
            while victim.end.send(now, connection, 0, Delivery::Ordered, body.clone()).is_ok() {}
            // What goes out is acknowledged before any of it can have arrived.
            for _ in 0..20 {
                victim.talk(&mut peers);
                let all = acks(0, peers[0].ack.saturating_sub(1));
                let frames = if n % 2 == 0 && peers[0].ack > 0 { vec![all] } else { vec![] };
                peers[0].strike(&mut victim, PacketType::Ack, &frames);
            }
            victim.now.mono = victim.now.mono + Duration::from_micros(50);
            victim.end.handle_timeout(victim.now);
        }
    });
    let view = victim.view(&peers[0]).unwrap();
    assert!(view.datagram_size <= victim.end.config.max_datagram);
    assert!(view.datagram_size > LEAST_DATAGRAM, "its probes were acknowledged");
    assert!(as_u64(view.queued_bytes) <= 8 * MIB && view.in_flight <= 9 * MIB);
    assert!(most < 32 * MIB, "{most} bytes");
    assert_eq!(victim.violations(), 0);
}

#[test]
fn limits_beyond_all_measure_let_nobody_do_more_than_it_could() {
    let mut victim = Victim::new();
    let mut peers = [Hostile::new(&mut victim, 1)];
    let connection = peers[0].connection;
    let largest = (1 << 62) - 1;
    peers[0].say(&mut victim, &[PacketFrame::MaxData { stream: 0, limit: largest }]);
    let stream = victim.end.open_stream(victim.now, connection, 2).unwrap();
    let flood = vec![PacketFrame::MaxData { stream: stream.number, limit: largest }; 1000];
    for _ in 0..100 {
        peers[0].say(&mut victim, &flood);
    }
    let most = peak(|| {
        for _ in 0..100 {
            let bytes = vec![5; 1 << 20];
            let _ = victim.end.write_stream(victim.now, connection, stream, &bytes).unwrap();
            victim.wait(Duration::from_millis(10), &mut peers);
            peers[0].strike(&mut victim, PacketType::Ack, &[]);
        }
    });
    let view = victim.view(&peers[0]).unwrap();
    assert!(view.queued_bytes <= victim.end.config.queue_bytes);
    assert!(most < 32 * MIB, "{most} bytes");
    // Given up again and again: each time all of a message is to be sent anew, no faster.
    let body = Bytes::from(vec![1; 200_000]);
    victim.end.send(victim.now, connection, 3, Delivery::Unordered, body).unwrap();
    victim.wait(Duration::from_millis(10), &mut peers);
    let before = victim.end.counters().bytes_sent;
    let given_up = PacketFrame::MessageNack { channel: channel(Delivery::Unordered), number: 0 };
    for _ in 0..10_000 {
        peers[0].strike(&mut victim, PacketType::MessageNack, core::slice::from_ref(&given_up));
        victim.talk(&mut peers);
    }
    let sent = victim.end.counters().bytes_sent - before;
    assert!(sent < 16 * MIB, "{sent} bytes");
    assert_eq!(victim.violations(), 0);
}

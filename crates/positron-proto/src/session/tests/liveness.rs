use super::*;
use crate::{
    limits::{
        LINK_WRITE_WINDOW, MAX_NUMBER, MAX_PAYLOAD, MAX_PEER_QUEUE_BYTES, MAX_PINGS_PER_SECOND,
    },
    misbehavior::Misbehavior,
    session::{
        carrier::Draft,
        conversation::Conversation,
        receive_lanes::Freshness,
        sessions::{Flow, NotSent},
        stage::Stage,
    },
    wire::frame::Frame,
};

/// Puts frames of `n` on its only link, sealed, past all of its own rules.
pub(super) fn say(world: &mut World, n: usize, frames: &[Frame]) {
    let (id, stage) = world.nodes[n].sessions.links.table.stages().next().unwrap();
    assert!(matches!(stage, Stage::Established(_)), "not up");
    world.with(n, |s, _, _| {
        let mut record = s.carriers_mut().streams.begin(id);
        for frame in frames {
            frame.encode(&mut record.bytes);
        }
        s.carriers_mut().streams.send(id, record);
    });
}

#[test]
fn a_peer_that_falls_silent_is_noticed_within_three_seconds_of_traffic() {
    let mut world = World::connected();
    world.advance(secs(60));
    world.wires[0].stalled = [true; 2];
    world.send(0, 1, Lane::GOSSIP, "anybody there?");
    world.advance(millis(2_999));
    assert_eq!(world.downs(0), [DownReason::ByUs(CloseReason::Timeout)]);
    assert_eq!(world.nodes[0].sessions.counters().keepalive_timeouts, 1);
}

#[test]
fn an_idle_link_costs_a_ping_each_heartbeat_and_a_dead_one_is_noticed_then() {
    let mut world = World::connected();
    world.advance(secs(60));
    let before = world.nodes[0].sessions.counters().records_sent;
    world.advance(secs(300));
    let records = world.nodes[0].sessions.counters().records_sent - before;
    assert!((10..=21).contains(&records), "{records} records in 300 s");
    assert!(world.is_up(0, 1) && world.is_up(1, 0));
    world.wires[0].stalled = [true; 2];
    world.advance(secs(32));
    assert_eq!(world.downs(0), [DownReason::ByUs(CloseReason::Timeout)]);
    assert_eq!(world.downs(1), [DownReason::ByUs(CloseReason::Timeout)]);
}

#[test]
fn a_node_that_slept_for_an_hour_asks_before_it_gives_up() {
    let mut world = World::connected();
    world.now.mono = world.now.mono + secs(3600);
    world.advance(secs(10));
    assert!(world.is_up(0, 1) && world.is_up(1, 0));
}

#[test]
fn a_conversation_is_continued_after_a_timeout() {
    let mut world = World::connected();
    world.wires[0].stalled = [true; 2];
    world.send(0, 1, Lane::GOSSIP, "lost on the way");
    world.advance(secs(12));
    assert!(!world.is_up(0, 1) && !world.is_up(1, 0));
    let again = world.known(1);
    world.dial(0, again);
    world.run();
    assert_eq!(world.heard(1), ["lost on the way"]);
}

#[test]
fn the_round_trip_time_is_measured() {
    let mut world = World::connected();
    for (n, samples) in [(0, 2), (1, 1)] {
        let rtt = world.nodes[n].sessions.views().next().unwrap().rtt;
        assert_eq!(rtt, Some(Duration::ZERO), "of {samples}");
    }
    world.advance(secs(60));
    // The next PING of the idle link is answered 80 ms later: an eighth of it counts.
    world.wires[0].stalled = [true; 2];
    while world.wires[0].pipes[0].is_empty() {
        world.now.mono = world.now.mono + millis(100);
        world.with(0, Sessions::handle_timeout);
    }
    world.now.mono = world.now.mono + millis(80);
    world.wires[0].stalled = [false; 2];
    world.run();
    assert_eq!(world.nodes[0].sessions.views().next().unwrap().rtt, Some(millis(10)));
}

#[test]
fn more_pings_than_allowed_end_the_session_as_flooding() {
    let mut world = World::connected();
    let pings: Vec<_> =
        (0..u64::from(MAX_PINGS_PER_SECOND) - 2).map(|token| Frame::Ping { token }).collect();
    say(&mut world, 0, &pings);
    world.run();
    assert!(world.is_up(1, 0), "two PINGs opened the session");
    say(&mut world, 0, &[Frame::Ping { token: 0 }]);
    world.run();
    let (peer, what) = (world.nodes[0].id, Misbehavior::Flooding);
    assert!(world.nodes[1].said.contains(&SessionEffect::Misbehaved { peer, what }));
    assert!(!world.is_up(1, 0) && !world.is_up(0, 1));
}

#[test]
fn frames_that_say_nothing_are_told_to_whoever_counts_work_and_others_are_not() {
    let (lane, unknown) = (Lane::DIRECT, Lane::from_number(9).unwrap());
    let message = |lane, number, len| Frame::Message { lane, number, body: vec![7; len].into() };
    let part = |number, offset, len: usize| {
        let body = vec![7; len].into();
        Frame::Fragment { lane, number, offset, total: 1000, body }
    };
    let len = |frame: &Frame| {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        bytes.len()
    };
    let mut world = World::connected();
    world.send(1, 0, lane, "acknowledged");
    world.run();
    // What honest ends say, however much of it, costs them what is around the parts of a message.
    assert_eq!(idle(&world), 0);
    // What is said by hand is not known at the other end, and its acknowledgment is a violation.
    world.wires[0].stalled[1] = true;
    say(&mut world, 0, &[Frame::Ping { token: 5 }, message(lane, 0, 500), part(1, 0, 990)]);
    say(&mut world, 0, &[part(1, 990, 10), message(lane, 2, 500)]);
    world.run();
    assert_eq!(idle(&world), len(&part(1, 0, 990)) - 990);
    for frame in [
        Frame::Pong { token: 77 },
        Frame::Ack { lane, next: 1 },
        Frame::Credit { limit: 1 << 20 },
        Frame::Demand { limit: 1 << 20 },
        Frame::Unknown { kind: 0x41 },
        message(lane, 0, 500),
        part(1, 0, 990),
        message(unknown, 0, 500),
        message(unknown, 0, 500),
    ] {
        let before = idle(&world);
        say(&mut world, 0, core::slice::from_ref(&frame));
        world.run();
        assert_eq!(idle(&world) - before, len(&frame), "{frame:?}");
    }
    // A message in as many parts as it has bytes is work for each of them.
    let before = idle(&world);
    (0..999).for_each(|offset| say(&mut world, 0, &[part(3, offset, 1)]));
    world.run();
    assert!(idle(&world) - before > 5 * 999);
    assert!(world.is_up(1, 0));
}

/// Bytes of frames that said nothing to node 1.
fn idle(world: &World) -> usize {
    let idle = world.nodes[1].said.iter().map(|said| match said {
        SessionEffect::Idle { bytes, .. } => *bytes,
        _ => 0,
    });
    idle.sum()
}

#[test]
fn frames_that_break_the_rules_end_the_session_and_are_held_against_their_sender() {
    let lane = Lane::GOSSIP;
    let body = Bytes::from_static(b"x");
    let part =
        |number, offset| Frame::Fragment { lane, number, offset, total: 9, body: body.clone() };
    let violation = Misbehavior::ProtocolViolation;
    for (frames, what) in [
        (vec![Frame::Message { lane, number: 1, body: body.clone() }], violation),
        (vec![part(1, 0)], violation),
        (vec![part(0, 1)], violation),
        (vec![part(0, 0), part(0, 2)], violation),
        (
            vec![
                part(0, 0),
                Frame::Fragment { lane, number: 0, offset: 1, total: 8, body: body.clone() },
            ],
            violation,
        ),
        (vec![part(0, 0), part(0, 0)], violation),
        (vec![part(0, 0), Frame::Message { lane, number: 0, body: body.clone() }], violation),
        (vec![Frame::Ack { lane, next: 1 }], violation),
        (vec![Frame::Unknown { kind: 0x3F }], Misbehavior::Malformed),
    ] {
        let mut world = World::connected();
        say(&mut world, 0, &frames);
        world.run();
        let peer = world.nodes[0].id;
        assert!(
            world.nodes[1].said.contains(&SessionEffect::Misbehaved { peer, what }),
            "{frames:?}"
        );
        assert!(matches!(world.downs(1)[..], [DownReason::ByUs(CloseReason::Violation(_))]));
        assert!(matches!(world.downs(0)[..], [DownReason::ByPeer(CloseReason::Violation(_))]));
        assert_eq!(world.heard(1), [""; 0]);
    }
}

#[test]
fn an_unknown_extension_is_skipped_and_an_old_message_is_acknowledged_again() {
    let mut world = World::connected();
    world.send(0, 1, Lane::GOSSIP, "first");
    world.run();
    let (lane, body) = (Lane::GOSSIP, Bytes::from_static(b"again"));
    say(
        &mut world,
        0,
        &[
            Frame::Unknown { kind: 0x41 },
            Frame::Message { lane, number: 0, body: body.clone() },
            Frame::Fragment { lane, number: 0, offset: 3, total: 8, body },
        ],
    );
    world.run();
    assert!(world.is_up(1, 0));
    assert_eq!(world.heard(1), ["first"]);
    assert_eq!(world.nodes[1].sessions.counters().messages_duplicate, 2);
}

#[test]
fn an_acknowledgment_beyond_all_numbers_is_a_violation_and_no_panic() {
    for (next, survives) in [(MAX_NUMBER, true), (MAX_NUMBER + 1, false), ((1 << 62) - 1, false)] {
        let now = Instant::ORIGIN;
        let mut talk = Conversation::new(1, now);
        talk.resume(now, 1, &mut 0);
        talk.handle_epoch(1);
        let said = talk.handle_ack(now, Lane::GOSSIP, next, |_| {});
        assert_eq!(said.is_ok(), survives, "{next}");
        talk.push(now, Lane::GOSSIP.into(), "after it".into(), None).unwrap();
        let put = talk.put(&Lane::KNOWN, &mut Draft::default(), 1000, &mut { usize::MAX });
        assert_eq!(put.bytes > 0, survives);
    }
}

#[test]
fn the_few_messages_of_one_sender_do_not_wait_for_the_many_of_another() {
    let mut world = World::connected();
    world.wires[0].stalled[0] = true;
    let (peer, [many, few]) = (world.nodes[1].id, [1, 2].map(|n| NodeId::from_bytes([n; 32])));
    let mut send = |of: NodeId, body: Vec<u8>| {
        let flow = Flow { lane: Lane::GOSSIP, of: Some(of) };
        world.with(0, |s, now, out| s.send(now, peer, flow, body.into(), None, out))
    };
    let taken = (0..=255).position(|n| send(many, vec![n; 30_000]).is_err()).unwrap();
    for n in 0..3 {
        send(few, vec![n; 100]).expect("room is left for others");
    }
    let unsent = |s: &mut Sessions| s.conversations.get_mut(&peer).unwrap().unsent_bytes();
    let waiting = world.with(0, |s, _, _| unsent(s)) / 30_000;
    assert!(waiting > 90, "{waiting} of the many wait");
    world.wires[0].stalled[0] = false;
    world.run();
    let heard = world.heard(1);
    assert_eq!(heard.len(), taken + 3);
    let (many, few): (Vec<_>, Vec<_>) = heard.iter().partition(|body| body.len() == 30_000);
    assert!(many.is_sorted_by_key(|body| body[0]) && few.is_sorted_by_key(|body| body[0]));
    let last = heard.iter().rposition(|body| body.len() == 100).unwrap();
    assert!(last <= taken - waiting + 5, "{last} of {taken}, of which {waiting} waited");
}

#[test]
fn a_queue_is_bounded_in_bytes_and_messages() {
    let mut world = World::connected();
    world.wires[0].stalled[0] = true;
    let peer = world.nodes[1].id;
    let large = Bytes::from(vec![0; MAX_PAYLOAD]);
    for _ in 0..MAX_PEER_QUEUE_BYTES / MAX_PAYLOAD {
        world.send(0, 1, Lane::DIRECT, large.clone());
    }
    let mut send = |body: &'static str| {
        world.with(0, |s, now, out| s.send(now, peer, Lane::DIRECT, body.into(), None, out))
    };
    assert_eq!(send("x"), Err(NotSent::QueueFull));
    assert_eq!(world.nodes[0].sessions.counters().messages_refused, 1);
    assert!(world.is_up(0, 1));

    let mut world = World::connected();
    world.wires[0].stalled[0] = true;
    let full = (0..crate::limits::MAX_PEER_QUEUE_MESSAGES + 1)
        .map(|_| world.with(0, |s, now, out| s.send(now, peer, Lane::DIRECT, "".into(), None, out)))
        .position(|sent| sent == Err(NotSent::QueueFull));
    assert_eq!(full, Some(crate::limits::MAX_PEER_QUEUE_MESSAGES));
}

#[test]
fn a_slow_reader_is_paused_and_then_dropped_with_the_reason() {
    let mut world = World::connected();
    for _ in 0..3 {
        world.send(0, 1, Lane::DIRECT, vec![0; MAX_PAYLOAD]);
    }
    let in_flight: usize = world.wires[0].pipes[0].iter().map(Bytes::len).sum();
    assert!(in_flight <= LINK_WRITE_WINDOW, "{in_flight}");
    world.wires[0].stalled[0] = true;
    // The peer goes on talking, and reads a few bytes now and then.
    for n in 0..40_u8 {
        let sip = world.wires[0].pipes[0].front_mut().unwrap().split_to(20);
        let [(_, ours), (_, theirs)] = world.wires[0].ends;
        world.with(0, |s, now, out| s.handle_written(now, ours, 20, out));
        world.with(1, |s, now, out| s.handle_bytes(now, theirs, sip, out));
        if world.is_up(1, 0) {
            world.send(1, 0, Lane::CONTROL, vec![n]);
        }
        world.advance(millis(300));
        if !world.is_up(0, 1) {
            break;
        }
    }
    assert_eq!(world.downs(0), [DownReason::ByUs(CloseReason::SlowReader)]);
    assert_eq!(world.nodes[0].sessions.counters().slow_readers, 1);
    assert!(world.now.mono.since(Instant::from_micros(1_000_000)) < secs(12));
}

#[test]
fn a_large_message_over_a_slow_path_is_neither_silence_nor_slow_reading() {
    let mut world = World::connected();
    let large = Bytes::from(vec![1; MAX_PAYLOAD]);
    world.send(0, 1, Lane::DIRECT, large.clone());
    world.wires[0].stalled[0] = true;
    // 48 KiB a second: 21 s for the message.
    for _ in 0..1000 {
        world.wires[0].stalled[0] = false;
        let mut budget = 4800;
        while budget > 0
            && let Some(mut bytes) = world.wires[0].pipes[0].pop_front()
        {
            let piece = bytes.split_to(bytes.len().min(budget));
            budget -= piece.len();
            if !bytes.is_empty() {
                world.wires[0].pipes[0].push_front(bytes);
            }
            let [(_, ours), (_, theirs)] = world.wires[0].ends;
            let len = piece.len();
            world.with(0, |s, now, out| s.handle_written(now, ours, len, out));
            world.with(1, |s, now, out| s.handle_bytes(now, theirs, piece, out));
        }
        world.wires[0].stalled[0] = true;
        world.advance(millis(100));
        if !world.heard(1).is_empty() {
            break;
        }
    }
    assert_eq!(world.heard(1), [large]);
    assert!(world.now.mono.since(Instant::ORIGIN) > secs(15));
    assert_eq!((world.downs(0), world.downs(1)), (vec![], vec![]));
}

#[test]
fn a_bulk_transfer_delays_a_control_message_by_no_more_than_a_write_window() {
    let mut world = World::connected();
    for _ in 0..3 {
        world.send(0, 1, Lane::DIRECT, vec![0; MAX_PAYLOAD]);
    }
    for _ in 0..10 {
        world.carry(0, 0);
    }
    world.send(0, 1, Lane::CONTROL, "urgent");
    let before = world.nodes[1].sessions.counters().bytes_received;
    while !world.heard(1).contains(&Bytes::from_static(b"urgent")) {
        assert!(world.carry(0, 0));
    }
    let between = world.nodes[1].sessions.counters().bytes_received - before;
    assert!(between <= 2 * LINK_WRITE_WINDOW as u64, "{between} bytes went before it");
    assert!(world.heard(1).len() == 1, "no bulk message was complete");
}

#[test]
fn what_comes_in_an_unknown_lane_is_counted_acknowledged_and_dropped() {
    let mut world = World::connected();
    let (lane, last) = (Lane::from_number(7).unwrap(), Lane::from_number(15).unwrap());
    let body = Bytes::from_static(b"of a later version");
    let part =
        |offset| Frame::Fragment { lane: last, number: 0, offset, total: 36, body: body.clone() };
    // What a later version may say: it numbers from anywhere, and acknowledges what we never said.
    let frames = [
        Frame::Ack { lane, next: 9 },
        Frame::Message { lane, number: 0, body: body.clone() },
        Frame::Message { lane, number: 0, body: body.clone() },
        Frame::Message { lane, number: 40, body: body.clone() },
        part(0),
        part(18),
    ];
    say(&mut world, 0, &frames);
    world.run();
    world.send(0, 1, Lane::GOSSIP, "known");
    world.run();
    assert_eq!(world.heard(1), ["known"]);
    let counters = world.nodes[1].sessions.counters();
    assert_eq!((counters.messages_unknown, counters.messages_duplicate), (3, 1));
    for n in [0, 1] {
        assert_eq!(world.downs(n), [], "nobody closes");
        assert_eq!(world.count(n, |out| matches!(out, SessionEffect::Misbehaved { .. })), 0);
    }
    let peer = world.nodes[0].id;
    let talk = world.nodes[1].sessions.conversations.get_mut(&peer).unwrap();
    assert_eq!(talk.incoming.check_duplicate(lane, 40), Ok(Freshness::Duplicate));
    assert_eq!(talk.incoming.check_duplicate(last, 1), Ok(Freshness::New));

    say(&mut world, 0, &[Frame::Unknown { kind: 0x7F }]);
    world.run();
    assert!(world.is_up(1, 0), "an unknown extension is nothing");
}

use super::*;
use crate::{
    handshake::aead::Suite,
    limits::{
        LINK_WRITE_WINDOW, MAX_MESSAGE, MAX_RECORD, PROBE_AFTER, PROVING_ACK_DELAY,
        STREAM_SYN_PATIENCE,
    },
    session::sessions::NotSent,
};

#[test]
fn a_dial_that_knows_the_static_key_takes_two_messages_and_one_that_does_not_three() {
    for (known, messages) in [(true, 2), (false, 3)] {
        let mut world = World::new(2);
        let dial = if known { world.known(1) } else { dial(world.nodes[1].addr) };
        world.dial(0, dial);
        let mut carried = 0;
        while world.ups(1) == 0 {
            carried += 1;
            assert!(world.carry(0, 0) | world.carry(0, 1));
        }
        world.run();
        assert!(carried <= messages, "{carried} steps for {messages} messages");
        for (n, peer) in [(0, 1), (1, 0)] {
            assert!(world.is_up(n, peer));
            assert_eq!(world.ups(n), 1);
            let view = world.nodes[n].sessions.views().next().unwrap();
            assert_eq!(view.peer.id, world.nodes[peer].id);
            assert_eq!(view.peer.noise_static, world.nodes[peer].noise_static);
        }
        assert_eq!(world.outcomes(0), [DialOutcome::Connected(world.nodes[1].id, LinkKind::Tcp)]);
        assert_eq!(world.nodes[0].sessions.half_open() + world.nodes[1].sessions.half_open(), 0);
    }
}

#[test]
fn a_sparing_dial_is_impatient_only_until_something_answers() {
    let mut world = World::new(2);
    let dial = DialRequest { effort: Effort::Packets(1), ..world.known(1) };
    world.dial(0, dial);
    // Each message takes nearly as long as the first sign of life may.
    while !world.is_up(0, 1) {
        world.now.mono = world.now.mono + STREAM_SYN_PATIENCE - millis(1);
        world.with(0, Sessions::handle_timeout);
        assert!(world.carry(0, 0) | world.carry(0, 1), "{:?}", world.failures(0));
    }
    assert!(world.is_up(1, 0));
}

#[test]
fn messages_arrive_in_both_directions_and_tickets_come_back() {
    let mut world = World::connected();
    for n in 0..10_u8 {
        world.send(0, 1, Lane::GOSSIP, vec![n]);
        world.send(1, 0, Lane::CONTROL, vec![n, n]);
    }
    world.send_ticket(0, 1, "direct", 7);
    world.run();
    assert_eq!(world.heard(0), (0..10).map(|n| vec![n, n]).collect::<Vec<_>>());
    assert_eq!(world.heard(1).len(), 11);
    assert!(world.nodes[0].said.contains(&SessionEffect::Delivered { ticket: Ticket(7) }));
    assert_eq!(world.nodes[0].sessions.views().next().unwrap().queued_bytes, 0);
}

#[test]
fn messages_of_one_input_share_a_record_and_acknowledgments_ride_along() {
    let mut world = World::connected();
    let before = world.nodes[0].sessions.counters();
    let peer = world.nodes[1].id;
    world.with(0, |s, now, out| {
        for n in 0..50_u8 {
            s.send(now, peer, Lane::GOSSIP, vec![n; 100].into(), None, out).unwrap();
        }
    });
    assert_eq!(world.nodes[0].sessions.counters().records_sent, before.records_sent + 1);
    let acks = world.nodes[1].sessions.counters().records_sent;
    world.run();
    assert_eq!(world.heard(1).len(), 50);
    assert_eq!(world.nodes[1].sessions.counters().records_sent, acks, "nobody waits for them");
    world.send(1, 0, Lane::DIRECT, "an answer");
    world.run();
    assert_eq!(world.nodes[1].sessions.counters().records_sent, acks + 1);
    assert_eq!(world.nodes[0].sessions.views().next().unwrap().queued_bytes, 0);
}

#[test]
fn gossip_that_nobody_answers_is_acknowledged_before_anybody_is_asked_for_a_sign_of_life() {
    let mut world = World::connected();
    world.send(0, 1, Lane::GOSSIP, "news");
    world.run();
    let queued = |world: &World| world.nodes[0].sessions.views().next().unwrap().queued_bytes;
    let sent = |world: &World| world.nodes[0].sessions.counters().records_sent;
    let (before, begun) = (sent(&world), world.now.mono);
    while queued(&world) > 0 {
        assert!(world.now.mono.since(begun) < PROBE_AFTER);
        world.advance(millis(50));
    }
    assert!(world.now.mono.since(begun) >= PROVING_ACK_DELAY);
    assert_eq!(sent(&world), before, "nobody was asked");
}

#[test]
fn without_a_flush_the_next_timeout_is_due_at_once_and_does_it() {
    let mut world = World::connected();
    let (peer, now) = (world.nodes[1].id, world.now);
    let sessions = &mut world.nodes[0].sessions;
    let mut out = VecDeque::new();
    sessions.send(now, peer, Lane::GOSSIP, "late".into(), None, &mut out).unwrap();
    assert!(out.is_empty());
    assert_eq!(sessions.poll_timeout(), Some(now.mono));
    sessions.handle_timeout(now, &mut out);
    assert!(matches!(out.pop_front(), Some(SessionEffect::Write { .. })));
    assert_ne!(sessions.poll_timeout(), Some(now.mono));
}

#[test]
fn messages_of_every_size_around_the_limits_arrive_unharmed() {
    let mut world = World::connected();
    for around in [1, MAX_RECORD - 12, MAX_RECORD, 2 * MAX_RECORD, LINK_WRITE_WINDOW, MAX_MESSAGE] {
        for len in around.saturating_sub(15)..=(around + 15).min(MAX_MESSAGE) {
            let body: Vec<u8> = (0..251_u8).cycle().take(len).collect();
            world.send(0, 1, Lane::DIRECT, body.clone());
            world.run();
            assert!(world.heard(1).last() == Some(&Bytes::from(body)), "{len} bytes");
            world.nodes[1].said.clear();
        }
    }
    let (peer, too_large) = (world.nodes[1].id, Bytes::from(vec![0; MAX_MESSAGE + 1]));
    let refused =
        world.with(0, |s, now, out| s.send(now, peer, Lane::DIRECT, too_large.into(), None, out));
    assert_eq!(refused, Err(NotSent::TooLarge));
}

#[test]
fn streams_cut_into_single_bytes_say_the_same() {
    let mut world = World::new(2);
    let to_second = world.known(1);
    world.dial(0, to_second);
    for round in 0..20 {
        for side in [0, 1] {
            let bytes: Vec<u8> = world.wires[0].pipes[side].drain(..).flatten().collect();
            world.wires[0].pipes[side] =
                bytes.into_iter().map(|byte| Bytes::from(vec![byte])).collect();
        }
        world.run();
        if world.is_up(0, 1) {
            world.send(0, 1, Lane::GOSSIP, vec![round; 1000]);
        }
    }
    world.run();
    assert_eq!(world.heard(1).len(), 20);
}

#[test]
fn keys_are_stepped_many_times_and_nothing_is_lost() {
    let mut world = World::new(2);
    for node in &mut world.nodes {
        node.sessions.carriers_mut().streams.local_mut().records_per_key = 3;
    }
    let to_second = world.known(1);
    world.dial(0, to_second);
    world.run();
    for n in 0..100_u8 {
        world.send(0, 1, Lane::GOSSIP, vec![n]);
        world.send(1, 0, Lane::GOSSIP, vec![n]);
        world.run();
    }
    let all: Vec<_> = (0..100_u8).map(|n| vec![n]).collect();
    assert_eq!(world.heard(0), all);
    assert_eq!(world.heard(1), all);
}

#[test]
fn a_dialler_that_offers_only_chacha_gets_it_with_ik() {
    let mut world = World::new(2);
    world.nodes[0].sessions.carriers_mut().streams.local_mut().suites =
        Suite::ChaCha20Poly1305.bit();
    let to_second = world.known(1);
    world.dial(0, to_second);
    world.run();
    world.send(0, 1, Lane::GOSSIP, "over chacha");
    world.run();
    assert_eq!(world.heard(1), ["over chacha"]);
}

#[test]
fn the_same_seeds_say_the_same_bytes() {
    let transcript = || {
        let mut world = World::new(2);
        let (to_second, to_first) = (world.known(1), dial(world.nodes[0].addr));
        world.dial(0, to_second);
        world.dial(1, to_first);
        let mut bytes = Vec::new();
        for _ in 0..50 {
            for wire in 0..2 {
                for side in 0..2 {
                    bytes.extend(world.wires[wire].pipes[side].front().cloned());
                    world.carry(wire, side);
                }
            }
        }
        (bytes, world.nodes.remove(0).said)
    };
    assert_eq!(transcript(), transcript());
}

#[test]
fn close_tells_the_peer_why_after_what_was_said_before() {
    let mut world = World::connected();
    world.send(0, 1, Lane::DIRECT, "last words");
    world.close(0, 1, CloseReason::Pruned);
    world.run();
    assert_eq!(world.heard(1), ["last words"]);
    assert_eq!(world.downs(0), [DownReason::ByUs(CloseReason::Pruned)]);
    assert_eq!(world.downs(1), [DownReason::ByPeer(CloseReason::Pruned)]);
    for node in &world.nodes {
        assert!(!node.sessions.has_links() && node.sessions.conversations.peers().count() == 0);
    }
}

#[test]
fn close_all_ends_sessions_dials_and_knocks() {
    let mut world = World::new(4);
    world.nodes[2].door = AtTheDoor::Wait;
    for to in [1, 2] {
        let dial = world.known(to);
        world.dial(0, dial);
    }
    world.run();
    let to_fourth = world.known(3);
    world.dial(0, to_fourth);
    world.send_ticket(0, 1, "never acknowledged", 1);
    world.with(0, |s, now, out| s.close_all(now, CloseReason::ShuttingDown, out));
    let undelivered = SessionEffect::Undelivered { ticket: Ticket(1) };
    assert_eq!(world.count(0, |out| *out == undelivered), 1);
    assert_eq!(world.outcomes(0).len(), 3);
    assert_eq!(world.downs(0), [DownReason::ByUs(CloseReason::ShuttingDown)]);
    world.run();
    assert_eq!(world.downs(1), [DownReason::ByPeer(CloseReason::ShuttingDown)]);
    assert!(world.nodes.iter().all(|node| !node.sessions.has_links()));
}

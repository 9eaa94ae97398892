use super::*;
use crate::limits::MAX_PAYLOAD;

/// Everything that `n` heard, as numbers.
fn numbers(world: &World, n: usize) -> Vec<u8> {
    world.heard(n).iter().map(|body| body[0]).collect()
}

#[test]
fn a_simultaneous_dial_ends_in_the_link_of_the_smaller_id_whatever_overtakes_what() {
    // Every order in which the first messages of the two wires can arrive, as bits.
    for order in 0..1 << 10 {
        let mut world = World::new(2);
        let (to_second, to_first) = (world.known(1), world.known(0));
        world.dial(0, to_second);
        world.dial(1, to_first);
        for step in 0..10 {
            let wire = order >> step & 1;
            world.carry(wire, 0);
            world.carry(wire, 1);
            for n in [0, 1] {
                if world.is_up(n, 1 - n) {
                    world.send(n, 1 - n, Lane::GOSSIP, vec![step]);
                }
            }
        }
        let sent = [0, 1].map(|n| world.nodes[n].sessions.counters().messages_sent);
        world.run();
        for n in [0, 1] {
            assert!(world.is_up(n, 1 - n), "order {order:b}");
            assert_eq!(world.ups(n), 1, "order {order:b}");
            assert_eq!(world.downs(n), [], "order {order:b}");
            assert_eq!(
                world.outcomes(n),
                [DialOutcome::Connected(world.nodes[1 - n].id, LinkKind::Tcp)]
            );
            assert_eq!(world.nodes[n].sessions.links.table.stages().count(), 1, "order {order:b}");
            let heard = numbers(&world, n);
            assert!(heard.is_sorted(), "order {order:b}: {heard:?}");
            assert_eq!(heard.len() as u64, sent[1 - n], "order {order:b}");
        }
        let view = world.nodes[0].sessions.views().next().unwrap();
        assert_eq!(view.peer.direction, crate::handshake::Direction::Outbound);
    }
}

#[test]
fn of_two_links_from_the_same_end_the_newer_one_stays() {
    let mut world = World::connected();
    world.send(0, 1, Lane::GOSSIP, vec![1]);
    world.send(1, 0, Lane::GOSSIP, vec![1]);
    let again = world.known(1);
    world.dial(0, again);
    world.run();
    world.send(0, 1, Lane::GOSSIP, vec![2]);
    world.send(1, 0, Lane::GOSSIP, vec![2]);
    world.run();
    for n in [0, 1] {
        assert_eq!(numbers(&world, n), [1, 2]);
        assert_eq!((world.ups(n), world.downs(n)), (1, vec![]));
        assert_eq!(world.nodes[n].sessions.links.table.stages().count(), 1);
    }
    assert!(world.wires[0].over && !world.wires[1].over);
}

#[test]
fn a_link_that_is_reset_before_we_hear_that_the_peer_has_its_successor_ends_no_session() {
    let mut world = World::connected();
    let first = world.nodes[1].sessions.views().next().unwrap().peer.link;
    let again = world.known(1);
    world.dial(0, again);
    while world.nodes[1].sessions.views().all(|view| view.peer.link == first) {
        assert!(world.carry(1, 0) || world.carry(1, 1), "the second link comes up");
    }
    assert!(world.nodes[0].sessions.links.table.is_confirming(&world.nodes[1].id));
    world.send(0, 1, Lane::GOSSIP, vec![1]);
    world.reset(0);
    world.send(0, 1, Lane::GOSSIP, vec![2]);
    world.run();
    assert_eq!(numbers(&world, 1), [1, 2]);
    for n in [0, 1] {
        assert_eq!((world.ups(n), world.downs(n)), (1, vec![]), "node {n}");
    }
}

#[test]
fn a_link_that_dies_in_the_middle_of_everything_loses_and_doubles_nothing() {
    let bodies: Vec<Bytes> = (0..12_u8)
        .map(|n| vec![n; if n % 3 == 0 { MAX_PAYLOAD / 4 } else { 3000 }].into())
        .collect();
    for dies_after in (1..60).step_by(3) {
        let mut world = World::connected();
        for body in &bodies {
            world.send(0, 1, Lane::GOSSIP, body.clone());
            world.send(1, 0, Lane::DIRECT, body.clone());
        }
        for step in 0..dies_after {
            world.carry(0, step % 2);
        }
        world.reset(0);
        assert!(!world.is_up(0, 1));
        let back = dial(world.nodes[0].addr);
        world.dial(1, back);
        world.run();
        for n in [0, 1] {
            assert!(world.heard(n) == bodies, "after {dies_after} steps");
            assert_eq!((world.ups(n), world.downs(n).len()), (2, 1));
        }
    }
}

#[test]
fn a_message_of_a_megabyte_starts_over_on_the_next_link() {
    let mut world = World::connected();
    let large = Bytes::from(vec![7; MAX_PAYLOAD]);
    world.send_ticket(0, 1, large.clone(), 1);
    for _ in 0..5 {
        world.carry(0, 0);
    }
    world.reset(0);
    let again = world.known(1);
    world.dial(0, again);
    world.run();
    assert_eq!(world.heard(1), [large]);
    assert_eq!(world.count(0, |out| *out == SessionEffect::Delivered { ticket: Ticket(1) }), 1);
}

#[test]
fn what_was_acknowledged_by_the_first_acks_of_a_new_link_is_not_sent_again() {
    let mut world = World::connected();
    world.wires[0].stalled[1] = true;
    world.send_ticket(0, 1, "arrives, but its acknowledgment does not", 1);
    world.run();
    world.reset(0);
    let again = world.known(1);
    world.dial(0, again);
    world.run();
    assert_eq!(world.heard(1).len(), 1);
    assert_eq!(world.nodes[0].sessions.counters().messages_retransmitted, 0);
    assert_eq!(world.count(0, |out| *out == SessionEffect::Delivered { ticket: Ticket(1) }), 1);
}

#[test]
fn a_peer_that_forgot_the_conversation_is_talked_to_all_the_same() {
    for forgetful in [0, 1] {
        let mut world = World::connected();
        for n in 1..4 {
            world.send(0, 1, Lane::DIRECT, vec![n]);
            world.send(1, 0, Lane::DIRECT, vec![n]);
        }
        world.run();
        world.reset(0);
        let forgotten = world.nodes[1 - forgetful].id;
        let node = &mut world.nodes[forgetful].sessions;
        node.conversations.forget(forgotten, &mut VecDeque::new());
        assert_eq!(node.conversations.peers().count(), 0);
        let again = world.known(1);
        world.dial(0, again);
        world.run();
        world.send(0, 1, Lane::DIRECT, vec![4]);
        world.send(1, 0, Lane::DIRECT, vec![4]);
        world.run();
        assert_eq!(numbers(&world, 0), [1, 2, 3, 4]);
        assert_eq!(numbers(&world, 1), [1, 2, 3, 4]);
    }
}

#[test]
fn a_peer_that_started_again_gets_what_its_earlier_process_did_not_acknowledge() {
    let mut world = World::connected();
    world.send(0, 1, Lane::DIRECT, vec![1]);
    world.run();
    world.wires[0].stalled[0] = true;
    world.send(0, 1, Lane::DIRECT, vec![2]);
    world.restart(1, 1);
    assert_eq!(world.downs(0), [DownReason::Link(LinkDown::Reset)]);
    let back = dial(world.nodes[0].addr);
    world.dial(1, back);
    world.run();
    world.send(0, 1, Lane::DIRECT, vec![3]);
    world.send(1, 0, Lane::DIRECT, vec![4]);
    world.run();
    assert_eq!(numbers(&world, 1), [1, 2, 3]);
    assert_eq!(numbers(&world, 0), [4]);
}

#[test]
fn a_restart_that_nobody_noticed_ends_the_old_session_before_the_new_one_begins() {
    let mut world = World::connected();
    // The process dies without a word: its links hang.
    world.wires[0].over = true;
    world.restart(1, 1);
    let back = dial(world.nodes[0].addr);
    world.dial(1, back);
    world.run();
    let story: Vec<_> = world.nodes[0]
        .said
        .iter()
        .filter_map(|out| match out {
            SessionEffect::Up(_) => Some("up"),
            SessionEffect::Down { .. } => Some("down"),
            SessionEffect::Incoming(_) => Some("knock"),
            _ => None,
        })
        .collect();
    assert_eq!(story, ["up", "down", "knock", "up"]);
}

#[test]
fn a_dormant_conversation_is_forgotten_after_its_grace_and_its_tickets_come_back() {
    let mut world = World::connected();
    world.wires[0].stalled = [true; 2];
    world.send_ticket(0, 1, "never arrives", 1);
    world.reset(0);
    let refused = world.nodes[1].id;
    let send =
        world.with(0, |s, now, out| s.send(now, refused, Lane::GOSSIP, "".into(), None, out));
    assert_eq!(send, Err(crate::session::sessions::NotSent::NotConnected));
    let undelivered = SessionEffect::Undelivered { ticket: Ticket(1) };
    world.advance(secs(29));
    assert_eq!(world.count(0, |out| *out == undelivered), 0);
    world.advance(secs(2));
    assert_eq!(world.count(0, |out| *out == undelivered), 1);
    assert_eq!(world.nodes[0].sessions.conversations.peers().count(), 0);
    assert_eq!(world.nodes[0].sessions.poll_timeout(), None);
}

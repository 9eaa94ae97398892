//! Peers that the application keeps a slot for.

use std::net::SocketAddr;

use super::world::{World, address, config, crowd};
use crate::{
    id::NodeId,
    limits::{MAX_GOOD_FAILURES, MAX_RESERVED, RESERVED_LONGEST},
    peers::{PeersConfig, Reservation},
    session::sessions::{DialFailure, LinkDown},
    time::Duration,
};

const REACHED_WITHIN: Duration = Duration::from_secs(10);

/// A hub with 50 slots that 200 others know, and a late node that is down and known to none.
fn crowded(late: PeersConfig) -> (World, usize) {
    let others = PeersConfig { min_peers: 2, ..config() };
    let mut world = crowd(1, 201, &others);
    let late = world.add(&address(201), late);
    world.kill(late);
    world.run(Duration::from_secs(20));
    let counters = world.nodes[0].peers.counters();
    assert!(counters.inbound_refused_full + counters.inbound_refused_inbound > 0, "it is full");
    (world, late)
}

fn reserve(world: &mut World, peer: NodeId, at: Option<SocketAddr>) {
    let slot = Reservation { peer, at };
    world.act(0, |node, now, out| node.peers.reserve(now, slot, out));
}

fn guests(world: &World) -> usize {
    world.links.iter().filter(|(_, at)| *at == 0).count()
}

#[test]
fn of_200_that_compete_for_50_slots_the_reserved_one_is_let_in() {
    let knows_the_hub = PeersConfig { bootstrap: vec![address(0)], ..config() };
    let (mut world, late) = crowded(knows_the_hub.clone());
    let id = world.id(late);
    reserve(&mut world, id, None);
    let full = guests(&world);
    world.restart(late, knows_the_hub);
    let reached = world.run_until(REACHED_WITHIN, |world| world.linked(0, late));
    assert!(reached, "the hub keeps a slot for it");
    assert!(guests(&world) > full, "nobody had to leave for it");
}

#[test]
fn with_200_linked_or_knocking_the_reserved_one_is_dialled_within_ten_seconds() {
    let (mut world, late) = crowded(config());
    let (id, at) = (world.id(late), address(late).parse().unwrap());
    reserve(&mut world, id, Some(at));
    // It is down for so long that the back-off is at its longest.
    world.run(Duration::from_secs(120));
    world.restart(late, config());
    assert!(world.run_until(REACHED_WITHIN, |world| world.linked(0, late)));
    // And again, although it is down at every dial for a day: it is never given up.
    world.kill(late);
    world.run(Duration::from_secs(300));
    let dials = world.nodes[0].dialled.iter().filter(|(_, dial)| dial.to == at).count();
    let most = Duration::from_secs(420).as_micros() / (RESERVED_LONGEST * 3 / 4).as_micros() + 10;
    assert!((dials as u128) <= most, "{dials}");
    world.restart(late, config());
    assert!(world.run_until(REACHED_WITHIN, |world| world.linked(0, late)));
}

#[test]
fn at_whichever_place_it_comes_back_it_is_dialled_within_ten_seconds() {
    // The application names one place and the book another one. Where it is not, nobody answers.
    let elsewhere: SocketAddr = "203.0.113.7:8888".parse().unwrap();
    for (case, is_moved) in (0..8).flat_map(|case| [false, true].map(|moved| (case, moved))) {
        let mut world = crowd(u64::from(case), 2, &config());
        world.run(Duration::from_secs(10));
        let (id, home) = (world.id(1), world.nodes[1].addr);
        reserve(&mut world, id, Some(elsewhere));
        let nobody = DialFailure::Link(LinkDown::TimedOut);
        world.services.insert(if is_moved { home } else { elsewhere }, nobody);
        if is_moved {
            world.nodes[1].addr = elsewhere;
        }
        world.kill(1);
        world.run(Duration::from_secs(60) + Duration::from_millis(1_300) * case);
        // It remembers nobody, so that it is we who dial.
        world.nodes[1].stored.clear();
        world.restart(1, config());
        let reached = world.run_until(REACHED_WITHIN, |world| world.linked(0, 1));
        assert!(reached, "case {case}, moved: {is_moved}");
    }
}

#[test]
fn a_reserved_peer_stays_in_the_book_however_often_it_is_not_there() {
    let mut world = crowd(1, 2, &config());
    world.run(Duration::from_secs(10));
    let id = world.id(1);
    reserve(&mut world, id, None);
    world.kill(1);
    world.run(RESERVED_LONGEST * 3 * MAX_GOOD_FAILURES);
    assert!(world.nodes[0].peers.knows(&id));
    world.restart(1, config());
    assert!(world.run_until(REACHED_WITHIN, |world| world.linked(0, 1)));
}

#[test]
fn a_ban_lifts_a_reservation_and_reservations_are_bounded() {
    let mut world = crowd(1, 2, &config());
    world.run(Duration::from_secs(10));
    let (id, peers) = (world.id(1), u8::try_from(MAX_RESERVED).unwrap());
    reserve(&mut world, id, None);
    for n in 1..=peers {
        reserve(&mut world, NodeId::from_bytes([n; 32]), None);
    }
    world.act(0, |node, _, _| {
        assert!(node.peers.is_reserved(&NodeId::from_bytes([peers - 1; 32])));
        assert!(!node.peers.is_reserved(&NodeId::from_bytes([peers; 32])), "one too many");
        assert!(node.peers.may_reserve(&id), "it has its own");
    });
    world.ban(0, 1);
    assert!(!world.nodes[0].peers.is_reserved(&id));
    world.run(Duration::from_secs(60));
    assert!(!world.linked(0, 1));
}

#[test]
fn who_has_no_reservation_any_more_is_one_of_many_again() {
    let knows_the_hub = PeersConfig { bootstrap: vec![address(0)], ..config() };
    let (mut world, late) = crowded(knows_the_hub.clone());
    let id = world.id(late);
    reserve(&mut world, id, None);
    world.restart(late, knows_the_hub);
    assert!(world.run_until(REACHED_WITHIN, |world| world.linked(0, late)));
    world.act(0, |node, _, out| node.peers.unreserve(&id, &node.standings, out));
    world.run(Duration::from_secs(1));
    let links = world.links.iter().filter(|(a, b)| *a == 0 || *b == 0).count();
    assert!(links <= 50, "{links}");
}

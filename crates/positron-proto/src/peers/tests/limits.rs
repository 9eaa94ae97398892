//! How many peers there may be, and how many there should be.

use std::net::SocketAddr;

use super::world::{World, address, config, crowd};
use crate::{
    peers::{BootstrapState, PeersConfig, Reservation},
    session::sessions::DialFailure,
    time::Duration,
    wire::frame::CloseReason,
};

fn inbound(world: &World, node: usize) -> usize {
    world.links.iter().filter(|(_, at)| *at == node).count()
}

fn outbound(world: &World, node: usize) -> usize {
    world.links.iter().filter(|(dialler, _)| *dialler == node).count()
}

#[test]
fn those_who_dial_are_max_inbound_at_most_and_the_next_is_told_so() {
    let mut world = World::new(1);
    let hub = PeersConfig { max_peers: 20, max_inbound: Some(3), ..config() };
    let hub = world.add(&address(0), hub);
    for node in 1..12 {
        let bootstrap = vec![address(0)];
        world.add(&address(node), PeersConfig { bootstrap, min_peers: 1, ..config() });
    }
    world.run(Duration::from_secs(10));
    assert_eq!(inbound(&world, hub), 3);
    assert!(outbound(&world, hub) > 3, "what it dials is not counted: {:?}", world.links);
    assert!(world.nodes[hub].refused.contains(&CloseReason::InboundFull));
    let told = BootstrapState::Failed(DialFailure::refused(CloseReason::InboundFull));
    assert!((1..12).any(|node| world.state(node) == told));
}

#[test]
fn links_that_a_node_dials_are_max_outbound_at_most_whatever_they_are_for() {
    let mut world = crowd(1, 12, &config());
    let bootstrap = (0..12).map(address).collect();
    let few = PeersConfig { max_outbound: Some(2), bootstrap, ..config() };
    let node = world.add(&address(20), few);
    let never_more = |world: &World| outbound(world, node) > 2;
    assert!(!world.run_until(Duration::from_secs(60), never_more));
    assert_eq!(outbound(&world, node), 2);
    // A message waits for each node that it knows.
    for other in 0..12 {
        let id = world.id(other);
        world.act(node, |node, now, out| node.peers.connect(now, id, out));
        assert!(!world.run_until(Duration::from_secs(1), never_more));
    }
    // A person asks for one.
    let other = (0..12).find(|other| !world.linked(node, *other)).unwrap();
    world.act(node, |node, now, _| assert!(node.peers.join(now, address(other))));
    let says = BootstrapState::NoFreeOutbound(world.id(other));
    let told = |world: &World| {
        let mut all = world.nodes[node].peers.bootstrap();
        all.any(|one| one.address == address(other) && one.state == says)
    };
    assert!(world.run_until(Duration::from_secs(2), told));
    // The operator keeps a slot for it.
    let id = world.id(other);
    world.act(node, |node, now, out| {
        node.peers.reserve(now, Reservation { peer: id, at: None }, out);
    });
    assert!(world.run_until(Duration::from_secs(10), |world| world.linked(node, other)));
}

#[test]
fn a_node_that_may_dial_nobody_is_dialled_and_has_every_slot_for_those_who_do() {
    let mut world = World::new(1);
    let hub = PeersConfig { max_peers: 6, max_outbound: Some(0), ..config() };
    let hub = world.add(&address(0), hub);
    for node in 1..12 {
        world.add(&address(node), PeersConfig { bootstrap: vec![address(0)], ..config() });
    }
    world.run(Duration::from_secs(60));
    assert_eq!((inbound(&world, hub), outbound(&world, hub)), (6, 0));
}

#[test]
fn a_reserved_peer_stands_beside_both_limits() {
    let mut world = World::new(1);
    let nobody = PeersConfig { max_inbound: Some(0), max_outbound: Some(0), ..config() };
    let node = world.add(&address(0), nobody);
    let dialled = world.add(&address(1), config());
    let dials = world.add(&address(2), PeersConfig { bootstrap: vec![address(0)], ..config() });
    world.run(Duration::from_secs(10));
    assert_eq!(world.degree(node), 0);
    let (dialled_id, dials_id) = (world.id(dialled), world.id(dials));
    let at = address(1).parse().ok();
    world.act(node, |node, now, out| {
        node.peers.reserve(now, Reservation { peer: dialled_id, at }, out);
    });
    world.act(node, |node, now, out| {
        node.peers.reserve(now, Reservation { peer: dials_id, at: None }, out);
    });
    let both = |world: &World| world.linked(node, dialled) && world.linked(node, dials);
    assert!(world.run_until(Duration::from_secs(60), both));
    world.act(node, |node, _, out| node.peers.unreserve(&dialled_id, &node.standings, out));
    world.act(node, |node, _, out| node.peers.unreserve(&dials_id, &node.standings, out));
    world.run(Duration::from_secs(1));
    assert_eq!(world.degree(node), 0);
}

/// With enough peers an address that answers is left in peace for half a minute at a time.
#[test]
fn when_there_are_too_few_peers_no_bootstrap_address_is_left_in_peace() {
    let mut world = World::new(1);
    for node in 0..3 {
        world.add(&address(node), config());
    }
    let full: SocketAddr = "9.9.9.9:1".parse().unwrap();
    world.services.insert(full, DialFailure::refused(CloseReason::SlotsFull));
    let mut bootstrap: Vec<String> = (0..3).map(address).collect();
    bootstrap.push(full.to_string());
    let node = world.add(&address(9), PeersConfig { bootstrap, min_peers: 3, ..config() });
    world.run(Duration::from_secs(300));
    assert_eq!(world.degree(node), 3);
    world.nodes[node].dialled.clear();
    world.kill(2);
    let is_dialled = |world: &World| world.nodes[node].dialled.iter().any(|(_, to)| to.to == full);
    assert!(world.run_until(Duration::from_secs(5), is_dialled));
}

#[test]
fn a_node_below_min_peers_says_so_once_until_it_has_enough() {
    let mut world = crowd(1, 3, &PeersConfig { min_peers: 2, ..config() });
    let lonely = world.add(&address(9), PeersConfig { min_peers: 2, ..config() });
    world.run(Duration::from_secs(120));
    assert_eq!(world.nodes[lonely].few, [0]);
    assert!((0..3).all(|node| world.nodes[node].few.is_empty()));
    world.kill(2);
    world.run(Duration::from_secs(120));
    assert_eq!(world.nodes[0].few, [1]);
    world.restart(2, PeersConfig { bootstrap: vec![address(0)], min_peers: 2, ..config() });
    world.run(Duration::from_secs(120));
    assert_eq!(world.nodes[0].few, [1]);
    world.kill(2);
    world.run(Duration::from_secs(120));
    assert_eq!(world.nodes[0].few, [1, 1]);
}

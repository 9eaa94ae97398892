use super::world::{address, config, crowd};
use crate::{
    handshake::Direction,
    misbehavior::Observation,
    peers::{BootstrapState, PeersConfig, PeersMessage},
    time::Duration,
};

fn satisfied(world: &super::world::World) -> bool {
    let count = world.nodes.len();
    world.is_connected() && (0..count).all(|node| world.degree(node) >= 5)
}

#[test]
fn thirty_nodes_that_know_one_become_one_network_within_seconds() {
    for seed in 0..5 {
        let mut world = crowd(seed, 30, &config());
        let joined = world.run_until(Duration::from_secs(5), satisfied);
        assert!(joined, "{:?}", (0..30).map(|node| world.degree(node)).collect::<Vec<_>>());
        assert_eq!(world.state(1), BootstrapState::Reached(world.id(0)));
    }
}

#[test]
fn many_nodes_that_know_one_of_few_slots_still_become_one_network() {
    let few = PeersConfig { max_peers: 12, ..config() };
    let mut world = crowd(1, 120, &few);
    let joined = world.run_until(Duration::from_secs(60), satisfied);
    assert!(joined, "{:?}", (0..120).map(|node| world.degree(node)).collect::<Vec<_>>());
    assert!((0..120).all(|node| world.degree(node) <= 12));
}

#[test]
fn five_nodes_on_one_machine_all_find_each_other() {
    let mut world = super::world::World::new(3);
    for node in 0..5 {
        let bootstrap = if node == 0 { Vec::new() } else { vec!["127.0.0.1:9000".to_owned()] };
        world.add_bound(
            &format!("127.0.0.1:{}", 9000 + node),
            &format!("0.0.0.0:{}", 9000 + node),
            PeersConfig { bootstrap, ..config() },
            Vec::new(),
        );
    }
    let all = |world: &super::world::World| (0..5).all(|node| world.degree(node) == 4);
    assert!(world.run_until(Duration::from_secs(5), all));
    let dialled: usize = world.nodes.iter().map(|node| node.dialled.len()).sum();
    world.run(Duration::from_secs(120));
    let later: usize = world.nodes.iter().map(|node| node.dialled.len()).sum();
    assert!(later - dialled <= 5, "who has everybody dials nobody: {dialled} {later}");
}

#[test]
fn a_settled_network_stays_quiet_and_within_its_bounds() {
    let mut world = crowd(4, 30, &config());
    world.run(Duration::from_secs(120));
    let dials = |world: &super::world::World| -> usize {
        world.nodes.iter().map(|node| node.dialled.len()).sum()
    };
    let before = dials(&world);
    world.run(Duration::from_secs(300));
    let per_minute = (dials(&world) - before) as f64 / 30.0 / 5.0;
    println!("{per_minute} dials a node and minute");
    assert!(per_minute < 12.0, "{per_minute}");
    for node in 0..30 {
        let links = world.links.iter();
        let outbound = links.filter(|(dialler, _)| *dialler == node).count();
        assert!(outbound <= 9, "{outbound} outbound links");
        assert!(world.degree(node) >= 5, "{node}: {}", world.degree(node));
    }
}

#[test]
fn who_is_alone_with_one_peer_asks_it_often_but_does_not_flood_it() {
    let mut world = crowd(4, 2, &config());
    world.run(Duration::from_secs(300));
    let asked = |(_, message): &&(_, PeersMessage)| matches!(message, PeersMessage::Discovery(_));
    let questions = world.nodes[1].said.iter().filter(asked).count();
    assert!((30..80).contains(&questions), "{questions}");
    let unanswered = (world.id(0), Observation::TimedOut);
    assert!(world.nodes[1].observed.contains(&(world.id(0), Observation::Answered)));
    assert!(!world.nodes[1].observed.contains(&unanswered));
}

#[test]
fn when_both_took_the_other_for_the_dialler_both_say_hello() {
    let mut world = crowd(4, 1, &config());
    let id = world.id(0);
    let mut inbound = world.peer(0, world.nodes[0].addr, Direction::Inbound);
    inbound.id = crate::id::NodeId::from_bytes([5; 32]);
    world.act(0, |node, now, out| {
        node.peers.peer_up(now, inbound, &node.standings, out);
        assert!(out.is_empty(), "who was dialled waits");
    });
    world.run(Duration::from_secs(2));
    let said = &world.nodes[0].said;
    assert!(said.iter().any(|(to, message)| {
        *to == inbound.id && matches!(message, PeersMessage::Hello { answer: false, .. })
    }));
    world.run(Duration::from_secs(20));
    assert!(world.nodes[0].observed.contains(&(inbound.id, Observation::TimedOut)));
    assert_ne!(id, inbound.id);
}

#[test]
fn the_same_seed_makes_the_same_network() {
    let links = |seed| {
        let mut world = crowd(seed, 20, &config());
        world.run(Duration::from_secs(20));
        world.links
    };
    assert_eq!(links(9), links(9));
    assert_ne!(links(9), links(10));
}

#[test]
fn a_late_node_is_found_by_others_although_it_dials_only_the_bootstrap() {
    let mut world = crowd(6, 12, &config());
    world.run(Duration::from_secs(10));
    let bootstrap = vec![address(0)];
    let late = world.add(&address(12), PeersConfig { bootstrap, ..config() });
    assert!(world.run_until(Duration::from_secs(3), |world| world.degree(late) >= 5));
    let id = world.id(late);
    let known = |world: &super::world::World| {
        (0..12).all(|node| {
            world.nodes[node].peers.known().any(|known| known.record.content().node_id() == id)
        })
    };
    assert!(world.run_until(Duration::from_secs(120), known));
}

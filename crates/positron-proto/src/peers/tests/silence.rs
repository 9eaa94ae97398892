use super::world::{World, address, config, crowd};
use crate::{
    limits::{LOST_LONGEST, SILENT_FOR},
    peers::PeersConfig,
    session::sessions::Effort,
    time::Duration,
};

/// Nodes behind one translator, each at a port of its own, that know one node elsewhere.
fn neighbours(seed: u64, count: usize, config: &PeersConfig) -> World {
    let mut world = World::new(seed);
    world.add(&address(0), config.clone());
    for node in 1..=count {
        let bootstrap = vec![address(0)];
        let at = format!("90.1.1.1:{}", 8000 + node);
        world.add(&at, PeersConfig { bootstrap, ..config.clone() });
    }
    world
}

fn many_of_one_address() -> PeersConfig {
    PeersConfig { max_peers_per_address: 32, ..config() }
}

#[test]
fn many_nodes_behind_one_address_become_one_network() {
    for seed in 0..3 {
        let mut world = neighbours(seed, 14, &many_of_one_address());
        world.run(Duration::from_secs(20));
        world.kill(0);
        world.run(Duration::from_secs(5));
        let degrees: Vec<_> = (1..=14).map(|node| world.degree(node)).collect();
        assert!(world.is_connected() && degrees.iter().all(|links| *links >= 5), "{degrees:?}");
    }
}

#[test]
fn behind_an_address_at_which_half_of_the_nodes_are_dead_the_others_are_found() {
    for seed in 0..3 {
        let config = many_of_one_address();
        let mut world = neighbours(seed, 14, &config);
        world.run(Duration::from_secs(20));
        (1..=14).step_by(2).for_each(|node| world.kill(node));
        // Its bootstrap node does not know yet who is dead, and is soon dead itself.
        let bootstrap = vec![address(0)];
        let new = world.add(&address(1), PeersConfig { bootstrap, ..config });
        world.run(Duration::from_secs(1));
        world.kill(0);
        let found = |world: &World| (1..=14).any(|node| world.linked(new, node));
        assert!(world.run_until(SILENT_FOR * 4, found), "seed {seed}");
        let all = |world: &World| world.degree(new) >= 5;
        assert!(world.run_until(Duration::from_secs(60), all), "{}", world.degree(new));
    }
}

#[test]
fn a_node_that_was_reached_once_is_found_as_soon_as_it_is_back() {
    let mut world = crowd(1, 2, &config());
    world.run(Duration::from_secs(20));
    assert!(world.linked(0, 1));
    world.kill(1);
    world.run(Duration::from_secs(300));
    world.nodes[1].stored.clear();
    world.nodes[0].dialled.clear();
    world.restart(1, config());
    let back = world.run_until(LOST_LONGEST + Duration::from_secs(6), |world| world.linked(0, 1));
    assert!(back, "{:?}", world.nodes[0].dialled);
    let dials = &world.nodes[0].dialled;
    assert!(dials.iter().all(|(_, dial)| dial.effort == Effort::Full), "{dials:?}");
}

#[test]
fn a_node_that_was_never_reached_is_found_when_it_is_back_and_gets_few_dials_until_then() {
    let mut world = crowd(2, 2, &config());
    world.run(Duration::from_secs(20));
    world.kill(1);
    // The bootstrap node has not noticed, and tells of it.
    let new = world.add(&address(2), PeersConfig { bootstrap: vec![address(0)], ..config() });
    world.run(Duration::from_secs(1));
    world.kill(0);
    world.run(Duration::from_secs(60));
    let is_there = world.nodes[1].addr;
    let dials = world.nodes[new].dialled.iter().filter(|(_, dial)| dial.to == is_there);
    let dials: Vec<_> = dials.collect();
    assert!((1..=2).contains(&dials.len()), "{dials:?}");
    assert!(dials.iter().all(|(_, dial)| dial.effort == Effort::Packets(2)), "{dials:?}");
    world.nodes[1].stored.clear();
    world.restart(1, config());
    let found = |world: &World| world.linked(new, 1);
    assert!(world.run_until(SILENT_FOR * 2, found), "{:?}", world.nodes[new].dialled);
}

#[test]
fn whom_the_application_wants_is_dialled_at_a_silent_address_too() {
    let mut world = crowd(3, 2, &config());
    world.run(Duration::from_secs(20));
    world.kill(1);
    let new = world.add(&address(2), PeersConfig { bootstrap: vec![address(0)], ..config() });
    world.run(Duration::from_secs(1));
    world.kill(0);
    world.run(Duration::from_secs(10));
    let (id, is_there) = (world.id(1), world.nodes[1].addr);
    for _ in 0..2 {
        world.nodes[new].dialled.clear();
        world.act(new, |node, now, out| node.peers.connect(now, id, out));
        world.run(Duration::from_secs(1));
        let dials = &world.nodes[new].dialled;
        let is_wanted = |dial: &crate::session::sessions::DialRequest| {
            dial.to == is_there && dial.effort == Effort::Full
        };
        assert!(dials.iter().any(|(_, dial)| is_wanted(dial)), "{dials:?}");
        world.run(Duration::from_secs(5));
    }
}

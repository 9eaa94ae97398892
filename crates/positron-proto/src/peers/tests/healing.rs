use super::world::{World, address, config, crowd};
use crate::{peers::PeersConfig, time::Duration};

fn joined(seed: u64, count: usize) -> World {
    let mut world = crowd(seed, count, &config());
    world.run(Duration::from_secs(20));
    assert!(world.is_connected());
    world
}

#[test]
fn without_its_bootstrap_node_the_network_stays_one() {
    for seed in 0..5 {
        let mut world = joined(seed, 30);
        world.kill(0);
        world.run(Duration::from_secs(8));
        assert!(world.is_connected());
        assert!((1..30).all(|node| world.degree(node) >= 5));
    }
}

#[test]
fn the_rest_is_one_network_soon_after_a_third_was_killed() {
    for seed in 0..5 {
        let mut world = joined(seed, 30);
        for node in (0..30).step_by(3) {
            world.kill(node);
        }
        // 3 s pass before anybody notices.
        world.run(Duration::from_secs(8));
        assert!(world.is_connected());
        let alive = (0..30).filter(|node| node % 3 != 0);
        for node in alive {
            assert!(world.degree(node) >= 5, "{}", world.degree(node));
        }
    }
}

#[test]
fn who_lost_all_peers_and_bootstrap_nodes_for_good_finds_those_that_are_left() {
    for seed in 0..5 {
        let mut world = joined(seed, 60);
        // Whoever is dialled on the other island does not answer.
        world.split(50);
        let is_one = |world: &World| {
            let mut found = vec![50];
            let mut next = 0;
            while let Some(node) = found.get(next).copied() {
                next += 1;
                let new = |other: &usize| world.linked(node, *other) && !found.contains(other);
                let more: Vec<usize> = (50..60).filter(new).collect();
                found.extend(more);
            }
            found.len() == 10
        };
        assert!(world.run_until(Duration::from_secs(30), is_one), "seed {seed}");
    }
}

#[test]
fn two_satisfied_halves_become_one_within_ten_seconds_of_the_heal() {
    for (seed, minutes) in [(0, 1), (1, 1), (2, 5), (3, 20), (4, 60)] {
        let mut world = joined(seed, 30);
        world.split(15);
        world.run(Duration::from_secs(60 * minutes));
        let satisfied = (0..30).filter(|node| world.degree(*node) >= 5).count();
        assert_eq!(satisfied, 30, "each half is content");
        assert!(!world.is_connected());
        world.heal();
        let healed = world.run_until(Duration::from_secs(10), World::is_connected);
        assert!(healed, "after {minutes} minutes");
    }
}

#[test]
fn a_node_that_was_cut_off_alone_comes_back() {
    let mut world = joined(1, 10);
    world.split(9);
    world.run(Duration::from_secs(600));
    assert_eq!(world.degree(9), 0);
    world.heal();
    assert!(world.run_until(Duration::from_secs(10), World::is_connected));
}

#[test]
fn a_restarted_node_needs_no_bootstrap() {
    let mut world = joined(2, 20);
    world.run(Duration::from_secs(60));
    assert!(world.nodes[7].stored.len() >= 5);
    world.kill(7);
    world.run(Duration::from_secs(30));
    world.kill(0);
    world.restart(7, PeersConfig { bootstrap: Vec::new(), ..config() });
    let back = world.run_until(Duration::from_secs(2), |world| world.degree(7) >= 5);
    assert!(back, "{}", world.degree(7));
}

#[test]
fn of_remembered_peers_those_that_answered_are_dialled_first() {
    let mut world = joined(3, 20);
    world.run(Duration::from_secs(60));
    world.kill(7);
    for (number, known) in (0..).zip(world.nodes[7].stored.values_mut()) {
        known.failures = number % 2;
    }
    let answered = world.nodes[7].stored.values().filter(|known| known.failures == 0);
    let answered: Vec<_> = answered.filter_map(|known| known.dialled).collect();
    world.nodes[7].dialled.clear();
    world.restart(7, PeersConfig { bootstrap: Vec::new(), ..config() });
    world.run(Duration::from_millis(500));
    let first = world.nodes[7].dialled[0].1.to;
    assert!(answered.contains(&first));
}

#[test]
fn lost_peers_are_dialled_at_a_bounded_rate() {
    let mut world = joined(5, 30);
    world.split(1);
    world.nodes[0].dialled.clear();
    world.run(Duration::from_secs(300));
    let dials = world.nodes[0].dialled.len();
    let known = world.nodes[0].peers.known().count();
    assert!(dials > 0 && dials < 2_500, "{dials} dials of {known} peers in five minutes");
}

#[test]
fn everybody_restarting_at_once_finds_each_other_again() {
    let mut world = joined(8, 20);
    for node in 0..20 {
        world.kill(node);
    }
    world.run(Duration::from_secs(100));
    for node in 0..20 {
        world.restart(node, PeersConfig { bootstrap: Vec::new(), ..config() });
    }
    assert!(world.run_until(Duration::from_secs(5), World::is_connected));
    assert!(!address(0).is_empty());
}

//! Stories of nodes at home, behind what homes have.

use super::*;

/// One node with a public address, and others at home that know it.
fn homes(types: &[NatType], lasting: u64) -> Scenario {
    let nodes = types.len() + 1;
    let mut story = Scenario::quiet("homes", nodes, secs(lasting));
    story.listen = Listen::Port;
    let story = types.iter().enumerate().fold(story, |story, (n, it)| story.at_home(n + 1, *it));
    story.everyone_says_something(secs(20), secs(lasting - 20))
}

/// Whom a node is linked with.
fn peers_of(world: &World, node: usize) -> Vec<usize> {
    let view = world.view(node).unwrap();
    let number = |id| world.live().find(|of| world.id(*of) == id);
    let mut peers: Vec<_> =
        view.peers.iter().filter_map(|peer| number(peer.session.peer.id)).collect();
    peers.sort_unstable();
    peers
}

#[test]
fn two_nodes_at_home_meet_the_open_one_and_hear_each_other() {
    for seed in 0..5 {
        let story = homes(&[NatType::Linux, NatType::Linux], 60);
        let mut world = World::new(&story, seed);
        world.run_until(secs(60));
        // Today the two meet as well, if both dial at once; the story does not ask for it.
        assert_eq!(peers_of(&world, 0), [1, 2], "seed {seed}");
        let report = world.finish();
        report.expect_ok();
        assert_eq!((report.broadcasts, report.deliveries), (3, 6), "seed {seed}");
    }
}

#[test]
fn two_nodes_at_home_that_cannot_meet_hear_each_other_through_the_open_one() {
    use NatType::{Blocked, CarrierGrade, Firewall, Linux, Symmetric};
    let pairs = [
        [Symmetric, Linux],
        [Symmetric, Firewall],
        [Symmetric, CarrierGrade],
        [Symmetric, Symmetric],
        [Blocked, Linux],
        [Blocked, Blocked],
    ];
    for (pair, seed) in pairs.into_iter().flat_map(|pair| (0..2).map(move |seed| (pair, seed))) {
        let mut world = World::new(&homes(&pair, 60), seed);
        world.run_until(secs(60));
        assert_eq!(peers_of(&world, 0), [1, 2], "{pair:?}, seed {seed}");
        for home in [1, 2] {
            assert_eq!(peers_of(&world, home), [0], "{pair:?}, seed {seed}");
        }
        let report = world.finish();
        report.expect_ok();
        assert_eq!((report.broadcasts, report.deliveries), (3, 6), "{pair:?}, seed {seed}");
    }
}

#[test]
fn a_node_at_home_of_any_type_meets_the_open_one_and_is_seen_where_its_box_is() {
    for nat_type in NatType::ALL {
        let mut world = World::new(&homes(&[nat_type], 60), 1);
        world.run_until(secs(60));
        assert_eq!(peers_of(&world, 1), [0], "{nat_type}");
        let seen = world.view(1).unwrap().external_addresses;
        let own = world.address(1).ip();
        let translates = nat_type.behavior().is_some();
        assert_eq!(seen.iter().all(|seen| seen.ip() != own), translates, "{nat_type}: {seen:?}");
        world.finish().expect_ok();
    }
}

#[test]
fn a_home_whose_router_starts_again_or_that_is_renumbered_comes_back_and_misses_nothing() {
    let faults = [Fault::RebootBoxes(Selector::Node(1)), Fault::Renumber(Selector::Node(1))];
    for (nat_type, fault) in NatType::ALL.into_iter().flat_map(|it| faults.clone().map(|f| (it, f)))
    {
        let story = homes(&[nat_type, NatType::Linux], 120)
            .fault(secs(50), fault.clone())
            .say(secs(55), Workload::Broadcast { from: Some(0), bytes: 100 });
        let mut world = World::new(&story, 2);
        world.run_until(secs(120));
        assert!(peers_of(&world, 1).contains(&0), "{nat_type}, {fault:?}");
        let report = world.finish();
        report.expect_ok();
        assert_eq!((report.broadcasts, report.deliveries), (4, 8), "{nat_type}, {fault:?}");
    }
}

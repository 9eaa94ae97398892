//! Stories of addresses: where nodes are, and where they say that others are.

use std::collections::BTreeSet;

use positron_proto::limits::MAX_TOLD_UNPROVEN;

use super::*;

#[test]
fn nodes_that_only_know_their_port_learn_where_they_are() {
    let mut story = chatty("ports", 8, 40).fault(secs(12), crash(Selector::Node(0), Death::Killed));
    story.listen = Listen::Port;
    for report in play(&story, 0..20) {
        assert_eq!(report.connected_nodes, 7);
    }
}

#[test]
fn who_moves_to_another_address_tells_everybody_and_a_newcomer_dials_it_there() {
    let moves = 2;
    let kinds = [LinkKinds::BOTH, LinkKinds::UDP, LinkKinds::TCP];
    for (seed, kinds) in (0..7).flat_map(|seed| kinds.map(|kinds| (seed, kinds))) {
        let told = format!("{kinds:?}, seed {seed}");
        let mut story = chatty("a laptop moves", 6, 120);
        story.listen = Listen::Port;
        story.absent = vec![5];
        story.config.session.transports = kinds;
        let mut world = World::new(&story, seed);
        let addresses = |world: &World, of: usize| world.view(of).unwrap().external_addresses;
        // Where a node would say that the moving one is.
        let passed_on = |world: &World, by: usize| {
            let moving = world.node(3).unwrap().id();
            let of = |known: &KnownPeer| known.record.content().node_id() == moving;
            let known = world.snapshot(by).peers.into_iter().find(of);
            known.and_then(|known| known.dialled)
        };
        world.run_until(secs(10));
        for round in 1..=moves {
            let before = addresses(&world, 3);
            world.apply(&Fault::Renumber(Selector::Node(3)));
            world.run_until(secs(10 + 20 * round));
            let after = addresses(&world, 3);
            assert_eq!(after.len(), 1, "{told}: {after:?}");
            assert_ne!(before, after, "{told}");
            for by in [0, 1, 2, 4] {
                let at = passed_on(&world, by);
                // Without byte streams only who is not linked to it can tell that strangers reach
                // it, and everybody is.
                let nobody_can_tell = kinds == LinkKinds::UDP && at.is_none();
                assert!(at == Some(after[0]) || nobody_can_tell, "{told}: {by} says {at:?}");
            }
        }
        world.apply(&Fault::Start(Selector::Node(5)));
        world.run_until(secs(10 + 20 * moves + 20));
        let links = world.view(5).unwrap().peers.len();
        assert_eq!(links, 5, "{told}");
        assert_eq!(passed_on(&world, 0), addresses(&world, 3).first().copied(), "{told}");
        world.run_until(secs(120));
        world.finish().expect_ok();
    }
}

/// Whether the router of a home lets strangers in to its node.
#[derive(Clone, Copy, PartialEq)]
enum Forwarded {
    Yes,
    No,
}

/// What became of the address of the last node of a network, which is at home.
struct AtHome {
    world: World,
    linked: BTreeSet<usize>,
    heard: BTreeSet<usize>,
    /// By how many it was dialled as a stranger would.
    proven: usize,
}

impl AtHome {
    fn play(
        (nat_type, forwarded): (NatType, Forwarded),
        min_peers: usize,
        others: usize,
        seed: u64,
    ) -> Self {
        let mut story = Scenario::quiet("at home", others + 1, secs(400)).at_home(others, nat_type);
        story.listen = Listen::Port;
        story.forwarded = if forwarded == Forwarded::Yes { vec![others] } else { Vec::new() };
        story.config.peers.min_peers = min_peers;
        let mut world = World::new(&story, seed);
        let (mut linked, mut heard) = (BTreeSet::new(), BTreeSet::new());
        for look in 1..=80 {
            world.run_until(secs(5 * look));
            let home = world.node(others).unwrap().id();
            for node in 0..others {
                let (view, core) = (world.view(node).unwrap(), world.node(node).unwrap());
                if view.peers.iter().any(|peer| peer.session.peer.id == home) {
                    linked.insert(node);
                }
                if core.peers().known().any(|known| known.record.content().node_id() == home) {
                    heard.insert(node);
                }
            }
        }
        let home = world.node(others).unwrap().id();
        let proven = |by: &usize| {
            let mut peers = world.snapshot(*by).peers.into_iter();
            peers.any(|of| of.proven.is_some() && of.record.content().node_id() == home)
        };
        let proven = (0..others).filter(proven).count();
        let seen = world.view(others).unwrap().external_addresses;
        assert_eq!(seen.len(), 1, "{nat_type}, seed {seed}: it says where it is seen");
        Self { world, linked, heard, proven }
    }
}

#[test]
fn an_address_that_no_stranger_reaches_is_passed_on_to_few() {
    let homes = [NatType::Firewall, NatType::AddressRestricted, NatType::Linux];
    for (nat_type, seed) in homes.into_iter().flat_map(|it| (0..3).map(move |seed| (it, seed))) {
        let told = format!("{nat_type}, seed {seed}");
        let AtHome { mut world, linked, heard, proven } =
            AtHome::play((nat_type, Forwarded::No), 2, 19, seed);
        assert_eq!(proven, 0, "{told}: nobody passes it on to all");
        let strangers = heard.difference(&linked).count();
        assert!(strangers <= MAX_TOLD_UNPROVEN * linked.len(), "{told}: {strangers}");
        world.finish().expect_ok();
    }
}

#[test]
fn an_address_that_strangers_reach_is_proven_by_one_and_passed_on_to_most() {
    let home = (NatType::Linux, Forwarded::Yes);
    let mut proven_by = 0;
    for seed in 0..3 {
        // Whom a node spoke to is no stranger, and of few others the hash table has it speak to
        // all: hardly anybody's dial proves it, and those whom it tells itself are most of them.
        let AtHome { mut world, heard, .. } = AtHome::play(home, 8, 19, seed);
        assert!(heard.len() >= 15, "seed {seed}: {heard:?}");
        world.finish().expect_ok();
        // Among more there are some, in one network of three at least, whose dial proves it.
        let AtHome { mut world, heard, proven, .. } = AtHome::play(home, 8, 39, seed);
        assert!(heard.len() >= 30, "seed {seed}: {heard:?}");
        world.finish().expect_ok();
        proven_by += proven;
    }
    assert!(proven_by > 0, "in one of three networks at least");
}

/// Where a node of a story is after so many moves.
fn network_of(node: u8, moves: u8) -> Subnet {
    format!("10.{}.0.0/16", node + 16 * moves).parse().unwrap()
}

fn ban(world: &mut World, by: usize, addresses: Subnet) {
    let (why, lasts) = ("scans us".into(), secs(3600));
    let order = PeerOrder::BanAddress { addresses, why, lasts };
    world.order(by, order).unwrap().unwrap();
}

#[test]
fn who_moves_into_a_banned_network_is_not_heard_there_and_who_moves_out_of_one_is() {
    for (seed, kinds) in
        (0..3).flat_map(|seed| [LinkKinds::UDP, LinkKinds::TCP].map(|kinds| (seed, kinds)))
    {
        let told = format!("{kinds:?}, seed {seed}");
        let mut story = chatty("a banned network", 6, 200);
        story.listen = Listen::Port;
        story.config.session.transports = kinds;
        let mut world = World::new(&story, seed);
        let is_peer = |world: &World| {
            let moving = world.node(3).unwrap().id();
            world.view(0).unwrap().peers.iter().any(|peer| peer.session.peer.id == moving)
        };
        let dropped = |world: &World| world.view(0).unwrap().counters.node.banned_addresses_dropped;
        world.run_until(secs(10));
        ban(&mut world, 0, network_of(3, 1));
        world.run_until(secs(12));
        assert!(is_peer(&world) && dropped(&world) == 0, "it is elsewhere: {told}");
        world.apply(&Fault::Renumber(Selector::Node(3)));
        world.run_until(secs(30));
        assert!(!is_peer(&world) && dropped(&world) > 0, "it moved there: {told}");
        world.apply(&Fault::Renumber(Selector::Node(3)));
        world.run_until(secs(80));
        assert!(is_peer(&world), "the ban is not its own: {told}");

        // From now on, where it is: its session is closed, and nobody else's.
        let others = world.view(0).unwrap().peers.len() - 1;
        ban(&mut world, 0, network_of(3, 2));
        world.run_until(secs(90));
        assert!(!is_peer(&world), "{told}");
        assert_eq!(world.view(0).unwrap().peers.len(), others, "{told}");
        world.apply(&Fault::Renumber(Selector::Node(3)));
        world.run_until(secs(150));
        assert!(is_peer(&world), "{told}");
        world.run_until(secs(200));
        world.finish().expect_ok();
    }
}

//! Stories of addresses: where nodes are, and where they say that others are.

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

#[test]
fn an_address_is_passed_on_where_strangers_reach_its_node_and_nowhere_else() {
    use Filtering::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
    const PUBLIC: usize = 5;
    let gateways = [
        (Gateway::Firewall, false),
        (Gateway::Translator(EndpointIndependent), true),
        (Gateway::Translator(AddressDependent), false),
        (Gateway::Translator(AddressAndPortDependent), false),
    ];
    for (gateway, open) in gateways {
        for seed in 0..5 {
            let mut story = Scenario::quiet("behind a gateway", PUBLIC + 2, secs(200));
            story.listen = Listen::Port;
            story.gateways = vec![(PUBLIC, gateway)];
            story.absent = vec![PUBLIC + 1];
            let mut world = World::new(&story, seed);
            let told = format!("{gateway:?}, seed {seed}");
            // Whom a node would pass on.
            let passes_on = |world: &World, by: usize, whom: usize| {
                let whom = world.node(whom).unwrap().id();
                let peers = world.snapshot(by).peers;
                peers.iter().any(|known| known.record.content().node_id() == whom)
            };
            let others = |of: usize| (0..PUBLIC).filter(move |by| *by != of);
            world.run_until(secs(60));
            let seen = world.view(PUBLIC).unwrap().external_addresses;
            assert_eq!(seen.len(), 1, "{told}: it says where it is seen");
            for whom in 0..PUBLIC {
                for by in others(whom) {
                    assert!(passes_on(&world, by, whom), "{told}: {by} of {whom}");
                }
            }
            world.apply(&Fault::Start(Selector::Node(PUBLIC + 1)));
            world.run_until(secs(200));
            let by = (0..=PUBLIC + 1).filter(|by| passes_on(&world, *by, PUBLIC)).count();
            assert!(open || by == 0, "{told}: passed on by {by}");
            let fresh = world.view(PUBLIC + 1).unwrap().peers;
            let public = fresh.iter().filter(|peer| {
                (0..PUBLIC).any(|node| world.node(node).unwrap().id() == peer.session.peer.id)
            });
            assert_eq!(public.count(), PUBLIC, "{told}");
            world.finish().expect_ok();
        }
    }
}

//! Stories of ends between whole nodes: both name the same reason, within two seconds.

use positron_proto::{
    node::{LostPeer, NodeCore, PeerOrder},
    reason::{By, Reason},
    session::sessions::LinkKinds,
    time::Instant,
};

use super::*;

/// Two nodes with a session, over this kind of link, for ten seconds.
fn linked(kinds: LinkKinds, seed: u64) -> World {
    let mut story = Scenario::quiet("an end", 2, secs(3_600));
    story.config.session.transports = kinds;
    let mut world = World::new(&story, seed);
    world.run_until(secs(10));
    for node in 0..2 {
        assert_eq!(world.view(node).unwrap().peers.len(), 1, "seed {seed}");
    }
    world
}

fn pass(world: &mut World, time: Duration) {
    world.run_until(world.now().since(Instant::ORIGIN) + time);
}

/// The first end that a node tells of.
fn first(node: &NodeCore) -> LostPeer {
    *node.lost_peers().last().expect("a session has ended")
}

/// Both ends tell of each other, alike; the ends of `0` and `1`.
fn agreed(world: &World, told: &str) -> [LostPeer; 2] {
    let ends = [0, 1].map(|node| first(world.node(node).expect("it runs")));
    let [here, there] = ends;
    assert_eq!((here.peer, there.peer), (world.id(1), world.id(0)), "{told}");
    assert_eq!((here.reason, here.transport), (there.reason, there.transport), "{told}");
    assert_ne!(here.direction, there.direction, "{told}");
    let other = match there.by {
        By::Us => By::Peer,
        By::Peer => By::Us,
        By::Network => By::Network,
    };
    assert_eq!(here.by, other, "{told}");
    ends
}

/// Does this to two linked nodes, of which both must tell this after that time.
fn ends(
    what: impl Fn(&mut World),
    after: Duration,
    (reason, by): (Reason, By),
    kinds: &[LinkKinds],
) {
    for &kinds in kinds {
        for seed in 0..5 {
            let told = format!("{reason} over {kinds:?}, seed {seed}");
            let mut world = linked(kinds, seed);
            what(&mut world);
            pass(&mut world, after);
            let [here, _] = agreed(&world, &told);
            assert_eq!((here.reason, here.by), (reason, by), "{told}");
        }
    }
}

const BOTH: [LinkKinds; 2] = [LinkKinds::TCP, LinkKinds::UDP];

#[test]
fn what_an_application_decides_is_named_alike_at_both_ends() {
    let order = |world: &mut World, order| assert_eq!(world.order(0, order), Some(Ok(())));
    ends(
        |world| {
            let (peer, lasts) = (world.id(1), secs(3_600));
            order(world, PeerOrder::Ban { peer, why: "\u{1b}[2J".into(), lasts });
        },
        secs(2),
        (Reason::Banned, By::Us),
        &BOTH,
    );
    ends(
        |world| {
            let peer = world.id(1);
            order(world, PeerOrder::Disconnect { peer });
        },
        secs(2),
        (Reason::Pruned, By::Us),
        &BOTH,
    );
}

#[test]
fn a_network_that_is_cut_is_named_alike_at_both_ends_whatever_became_of_their_connections() {
    for cut in [Cut::Hold, Cut::Sever] {
        let part = |world: &mut World| {
            world.apply(&Fault::Partition { side: Selector::Node(0), cut });
        };
        ends(part, secs(120), (Reason::Timeout, By::Network), &BOTH);
    }
    let reset = |world: &mut World| world.apply(&Fault::Reset { who: Selector::All, part: 1.0 });
    ends(reset, secs(2), (Reason::ConnectionLost, By::Network), &[LinkKinds::TCP]);
}

#[test]
fn a_node_that_stops_says_why_and_one_that_dies_is_missed() {
    for (kinds, seed) in BOTH.into_iter().zip(0..) {
        let mut world = linked(kinds, seed);
        world.apply(&Fault::Stop(Selector::Node(0)));
        pass(&mut world, secs(2));
        let told = first(world.node(1).unwrap());
        assert_eq!((told.reason, told.by), (Reason::ShuttingDown, By::Peer));

        let mut world = linked(kinds, seed);
        world.apply(&crash(Selector::Node(0), Death::PowerCut));
        pass(&mut world, secs(60));
        let told = first(world.node(1).unwrap());
        assert_eq!((told.reason, told.by), (Reason::Timeout, By::Network));
    }
    let mut world = linked(LinkKinds::TCP, 7);
    world.apply(&crash(Selector::Node(0), Death::Killed));
    pass(&mut world, secs(2));
    let told = first(world.node(1).unwrap());
    assert_eq!((told.reason, told.by), (Reason::ConnectionLost, By::Network));
}

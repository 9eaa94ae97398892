//! Stories of keys that give way to others.

use positron_proto::{
    id::NodeId,
    node::{PeerOrder, Refused},
};

use super::*;

const NODES: usize = 20;
/// Whose key gives way, at [`ROTATED`].
const ROTATOR: usize = 1;
const ROTATED: Duration = secs(40);

/// Twenty nodes; node 1 stops at 38 s, has its key give way to another, and starts again.
fn rotation(name: &str, lasting: u64) -> Scenario {
    let mut story = Scenario::quiet(name, NODES, secs(lasting))
        .fault(ROTATED - secs(2), Fault::Stop(Selector::Node(ROTATOR)))
        .fault(ROTATED, Fault::Rotate(Selector::Node(ROTATOR)))
        .fault(ROTATED, Fault::Start(Selector::Node(ROTATOR)));
    for n in 0..150 {
        // What it says is how others come to think well of it.
        let from = Some(if n % 3 == 0 { usize::try_from(n).unwrap() % NODES } else { ROTATOR });
        let saying = Workload::Broadcast { from, bytes: 100 };
        story = story.say(secs(4) + Duration::from_millis(200 * n), saying);
    }
    story
}

fn reserve(peer: NodeId) -> PeerOrder {
    PeerOrder::Reserve { peer, at: None }
}

fn ban(peer: NodeId) -> PeerOrder {
    PeerOrder::Ban { peer, why: "sold us a horse".into(), lasts: secs(100_000) }
}

fn order(world: &mut World, node: usize, order: PeerOrder) {
    world.order(node, order).unwrap().unwrap();
}

/// Whether the application of `node` keeps a slot for `peer`.
fn is_reserved(world: &mut World, node: usize, peer: NodeId) -> bool {
    let refused = world.order(node, PeerOrder::Disconnect { peer }).unwrap();
    refused == Err(Refused::IsReserved(peer))
}

fn is_linked(world: &World, node: usize, peer: NodeId) -> bool {
    world.view(node).unwrap().peers.iter().any(|at| at.session.peer.id == peer)
}

/// Whether the rotator was ever more than hearsay to `node`: of others no successor is kept.
fn has_met(world: &World, node: usize) -> bool {
    let counted = world.view(node).unwrap().counters.succession;
    assert!(counted.learned > 0 || counted.strange > 0 || node == ROTATOR, "node {node}");
    counted.learned > 0 || node == ROTATOR
}

#[test]
fn trust_bans_and_reservations_follow_a_key_whoever_was_away_or_forgot_it() {
    let (keeps, bans, restored, away, away_bans) = (3, 4, 5, 7, 8);
    for seed in 0..3 {
        let mut story = rotation("a key gives way", 170)
            .fault(secs(30), Fault::BackUp(Selector::Node(restored)))
            .fault(secs(80), crash(Selector::Node(restored), Death::Killed))
            .fault(secs(81), Fault::RestoreBackup(Selector::Node(restored)))
            .fault(secs(82), Fault::Start(Selector::Node(restored)));
        for node in [away, away_bans] {
            story = story
                .fault(secs(36), crash(Selector::Node(node), Death::PowerCut))
                .fault(secs(90), Fault::Start(Selector::Node(node)));
        }
        let mut world = World::new(&story, seed);
        let old = world.id(ROTATOR);
        world.run_until(secs(20));
        for node in [keeps, away] {
            order(&mut world, node, reserve(old));
        }
        for node in [bans, restored, away_bans] {
            order(&mut world, node, ban(old));
        }
        world.run_until(secs(35));
        let trusted = |world: &World, node: usize, peer: NodeId| {
            world.node(node).unwrap().trust().standings().of(&peer).score
        };
        let before: Vec<_> = (0..NODES).map(|node| trusted(&world, node, old)).collect();
        // Whoever has messages from it, along the tree, trusts it more than a stranger.
        let trusting = (0..NODES).filter(|node| *node != ROTATOR && before[*node] > 0.55).count();
        assert!(trusting >= 2, "seed {seed}: {before:?}");

        world.run_until(secs(60));
        let new = world.id(ROTATOR);
        assert_ne!(old, new);
        for node in world.live().filter(|node| *node != ROTATOR).collect::<Vec<_>>() {
            if !has_met(&world, node) {
                continue;
            }
            let standings = world.node(node).unwrap().trust().standings();
            assert_eq!(standings.current(old), new, "node {node}, seed {seed}");
            let score = standings.of(&new).score;
            assert!(score >= before[node] - 0.05, "node {node}: {} then {score}", before[node]);
            assert!(!is_linked(&world, node, old));
        }

        // It starts again with a configuration that names the old key.
        world.run_until(secs(91));
        order(&mut world, away, reserve(old));
        world.run_until(secs(160));
        for node in (0..NODES).filter(|node| *node != ROTATOR) {
            let standings = world.node(node).unwrap().trust().standings();
            let now = world.view(node).unwrap();
            let knows = standings.current(old) == new;
            assert_eq!(knows, has_met(&world, node), "node {node}, seed {seed}");
            let is_banned = standings.of(&new).banned_until.is_some();
            assert_eq!(is_banned, [bans, restored, away_bans].contains(&node), "node {node}");
            assert_eq!(now.banned, usize::from(is_banned), "node {node}");
            assert!(!is_linked(&world, node, old));
            let is_kept = is_reserved(&mut world, node, new);
            assert_eq!(is_kept, [keeps, away].contains(&node), "node {node}, seed {seed}");
            if is_kept {
                assert!(is_linked(&world, node, new), "node {node}, seed {seed}");
            }
        }
        world.run_until(secs(170));
        world.finish().expect_ok();
    }
}

#[test]
fn who_has_an_old_key_is_refused_everywhere_and_hears_why() {
    for seed in 0..3 {
        let mut story = rotation("an old copy of a key", 120).fault(secs(60), Fault::Double(1));
        story.twins = vec![ROTATOR];
        let mut world = World::new(&story, seed);
        let (old, thief) = (world.id(ROTATOR), NODES);
        world.run_until(secs(59));
        let new = world.id(ROTATOR);
        let score = |world: &World| world.node(0).unwrap().trust().standings().of(&new).score;
        let before = score(&world);
        world.run_until(secs(110));
        assert_eq!(world.id(thief), old);
        assert_eq!(world.view(thief).unwrap().peers.len(), 0, "seed {seed}");
        assert_eq!(
            world.node(thief).unwrap().trust().standings().current(old),
            new,
            "it knows why"
        );
        let refused = |node| world.view(node).unwrap().counters.peers.inbound_refused_retired;
        assert!((0..NODES).map(refused).sum::<u64>() > 0, "seed {seed}");
        for node in 0..NODES {
            assert!(!is_linked(&world, node, old), "node {node}, seed {seed}");
            assert_eq!(world.view(node).unwrap().banned, 0);
        }
        assert!((score(&world) - before).abs() < 0.2, "{before} then {}", score(&world));
        world.run_until(secs(120));
        world.finish().expect_ok();
    }
}

#[test]
fn a_forged_or_repeated_succession_is_refused_and_its_teller_is_found_out() {
    for attack in [Attack::Usurp, Attack::Replay] {
        for seed in 0..3 {
            let mut story = rotation("usurpers", 90);
            story.guests = vec![Adversary::Byzantine(attack); 2];
            let mut world = World::new(&story, seed);
            let old = world.id(ROTATOR);
            world.run_until(secs(85));
            let new = world.id(ROTATOR);
            for node in 0..NODES {
                let standings = world.node(node).unwrap().trust().standings();
                let expected = usize::from(has_met(&world, node));
                assert_eq!(standings.retired(), expected, "node {node}, {attack:?}, seed {seed}");
                assert!(expected == 0 || standings.current(old) == new);
            }
            world.run_until(secs(90));
            let report = world.finish();
            report.expect_ok();
            assert_eq!(counted(&report, "succession", "conflicts"), 0);
            let forged = counted(&report, "succession", "forged");
            assert_eq!(forged > 0, attack == Attack::Usurp, "{}", report.counters);
            assert!(counted(&report, "peers", "inbound_refused_banned") > 0, "{attack:?}");
        }
    }
}

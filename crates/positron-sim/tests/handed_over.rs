//! Stories of nodes that go: what they kept for others is kept by others then.

use positron_proto::{
    dht::{NameHash, NewRecord, RecordKind},
    node::{Outcome, Refused, TableOrder},
    time::Duration,
};
use positron_sim::{Death, Fault, Scenario, Selector, World};

const NODES: usize = 16;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Nodes that looked around a second time, when all others were there already.
fn world(seed: u64) -> World {
    let mut world = World::new(&Scenario::quiet("holders", NODES, secs(900)), seed);
    world.run_until(secs(760));
    world
}

fn record(name: &str) -> NewRecord {
    let (kind, name) = (RecordKind::Shared, NameHash::of_name(name).unwrap());
    NewRecord { kind, name, value: b"value".as_slice().into(), ttl: secs(600) }
}

/// Records that this node keeps for others.
fn kept(world: &World, node: usize) -> u64 {
    world.view(node).map_or(0, |view| view.levels.dht.records.used)
}

fn kept_by_others(world: &World, than: usize) -> u64 {
    (0..NODES).filter(|node| *node != than).map(|node| kept(world, node)).sum()
}

#[test]
fn who_stops_hands_over_what_who_dies_takes_along() {
    for seed in 0..2 {
        for dies in [true, false] {
            let mut world = world(seed);
            let kept_before: Vec<_> = (0..NODES).map(|node| kept(&world, node)).collect();
            // Each is kept by the eight nearest of all, who know one another by now.
            for n in 0..45 {
                let order = TableOrder::Store(record(&format!("name {n}")));
                assert_eq!(world.order_table(1 + n % (NODES - 1), order), Some(Ok(())));
                let now = world.progress().at;
                world.run_until(now + Duration::from_millis(200));
            }
            world.run_until(secs(775));
            let of_these = |world: &World, node: usize| kept(world, node) - kept_before[node];
            let leaves = (1..NODES).max_by_key(|node| of_these(&world, *node)).unwrap();
            let (before, its) = (kept_by_others(&world, leaves), of_these(&world, leaves));
            assert!(its >= 15, "seed {seed}: {its}");
            let who = Selector::Node(leaves);
            world.apply(&match dies {
                true => Fault::Crash { who, death: Death::Killed },
                false => Fault::Stop(who),
            });
            world.run_until(secs(776));
            let gained = kept_by_others(&world, leaves) - before;
            match dies {
                true => assert_eq!(gained, 0, "seed {seed}"),
                false => assert!(gained > 0, "seed {seed}: {gained} of {its}"),
            }
            world.finish().expect_ok();
        }
    }
}

#[test]
fn who_stops_leaves_no_operation_of_the_table_without_an_end() {
    let mut world = world(7);
    let nobody = positron_proto::id::NodeId::from_bytes([9; 32]);
    for order in [TableOrder::Store(record("late")), TableOrder::FindNode(nobody)] {
        assert_eq!(world.order_table(3, order), Some(Ok(())));
    }
    world.apply(&Fault::Stop(Selector::Node(3)));
    world.run_until(secs(765));
    let stopping = (3, Outcome::Refused(Refused::Stopping));
    assert_eq!(world.table_ends(), [stopping.clone(), stopping]);
    world.finish().expect_ok();
}

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

fn world(seed: u64) -> World {
    let mut world = World::new(&Scenario::quiet("holders", NODES, secs(300)), seed);
    world.run_until(secs(90));
    world
}

/// Records that this node keeps for others.
fn kept(world: &World, node: usize) -> u64 {
    world.view(node).map_or(0, |view| view.levels.dht.records.used)
}

fn kept_by_others(world: &World, than: usize) -> u64 {
    (0..NODES).filter(|node| *node != than).map(|node| kept(world, node)).sum()
}

/// Who keeps a record for others without anybody's doing: eight others of each node's own.
#[test]
fn who_stops_hands_over_what_who_dies_takes_along() {
    for seed in 0..3 {
        for dies in [true, false] {
            let mut world = world(seed);
            let leaves = (1..NODES).max_by_key(|node| kept(&world, *node)).unwrap();
            let (before, its) = (kept_by_others(&world, leaves), kept(&world, leaves));
            assert!(its >= 5, "seed {seed}: {its}");
            let who = Selector::Node(leaves);
            let how =
                if dies { Fault::Crash { who, death: Death::Killed } } else { Fault::Stop(who) };
            world.apply(&how);
            world.run_until(secs(91));
            let gained = kept_by_others(&world, leaves) - before;
            match dies {
                true => assert_eq!(gained, 0, "seed {seed}"),
                // Its own record is not among what it kept for others; that of the newcomer is not
                // kept by the newcomer itself.
                false => assert!(gained * 10 >= its * 8, "seed {seed}: {gained} of {its}"),
            }
            world.finish().expect_ok();
        }
    }
}

#[test]
fn who_stops_leaves_no_operation_of_the_table_without_an_end() {
    let mut world = world(7);
    let record = NewRecord {
        kind: RecordKind::Shared,
        name: NameHash::of_name("late").unwrap(),
        value: b"late".as_slice().into(),
        ttl: secs(60),
    };
    let nobody = positron_proto::id::NodeId::from_bytes([9; 32]);
    for order in [TableOrder::Store(record), TableOrder::FindNode(nobody)] {
        assert_eq!(world.order_table(3, order), Some(Ok(())));
    }
    world.apply(&Fault::Stop(Selector::Node(3)));
    world.run_until(secs(95));
    let stopping = (3, Outcome::Refused(Refused::Stopping));
    assert_eq!(world.table_ends(), [stopping.clone(), stopping]);
    world.finish().expect_ok();
}

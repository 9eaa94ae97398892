//! Stories of nodes that no datagram reaches, and that leave none: others walk through the hash
//! table for them.

use positron_proto::{
    dht::{DhtOutcome, NameHash, NewRecord, ReadMode, RecordKind},
    node::{Outcome, TableOrder},
    session::sessions::LinkKind,
    time::Duration,
};
use positron_sim::{Fault, Scenario, Selector, Workload, World};

const NODES: usize = 14;
/// Two that only have streams.
const READER: usize = 12;
const WRITER: usize = 13;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A network in which two nodes are behind what lets no datagram through.
fn world(seed: u64) -> World {
    let mut story = Scenario::quiet("errands", NODES, secs(300));
    story.absent = vec![READER, WRITER];
    let mut world = World::new(&story, seed);
    for node in [READER, WRITER] {
        world.apply(&Fault::Filter { who: Selector::Node(node), transport: LinkKind::Udp });
        world.apply(&Fault::Start(Selector::Node(node)));
    }
    world.run_until(secs(60));
    for node in [READER, WRITER] {
        assert!(world.node(node).unwrap().routing_table().is_empty(), "nobody answers it");
    }
    world
}

fn board() -> NameHash {
    NameHash::of_name("board").unwrap()
}

/// What the table did for a node last.
fn last(world: &World, node: usize) -> DhtOutcome {
    let (_, end) = world.table_ends().iter().rev().find(|(at, _)| *at == node).unwrap();
    match end {
        Outcome::Table(outcome) => (**outcome).clone(),
        other => panic!("{other:?}"),
    }
}

fn read(world: &mut World, by: usize) -> Vec<Vec<u8>> {
    let key = board().key(RecordKind::Shared, &world.id(by));
    let order = TableOrder::Read { key, publisher: None, mode: ReadMode::Fresh };
    assert_eq!(world.order_table(by, order), Some(Ok(())));
    let now = world.progress().at;
    world.run_until(now + secs(12));
    let DhtOutcome::Read(read) = last(world, by) else { panic!("{:?}", last(world, by)) };
    let value = |found: &positron_proto::dht::FoundRecord| {
        found.record.content().value.as_deref().unwrap().to_vec()
    };
    read.records.iter().map(value).collect()
}

#[test]
fn a_node_without_datagrams_stores_reads_deletes_and_is_found() {
    for seed in 0..3 {
        let mut world = world(seed);
        let record = |value: &'static [u8]| NewRecord {
            kind: RecordKind::Shared,
            name: board(),
            value: value.into(),
            ttl: secs(600),
        };
        assert_eq!(world.order_table(WRITER, TableOrder::Store(record(b"first"))), Some(Ok(())));
        world.run_until(secs(75));
        let DhtOutcome::Stored(stored) = last(&world, WRITER) else { panic!("seed {seed}") };
        // Eight are to keep it. One that has no proof of where the helper is refuses it at first.
        assert!(stored.holders.len() >= 7, "seed {seed}: {stored:?}");

        assert_eq!(read(&mut world, READER), [b"first"], "seed {seed}");
        assert_eq!(read(&mut world, 3), [b"first"], "seed {seed}");
        assert_eq!(world.order_table(3, TableOrder::Store(record(b"other"))), Some(Ok(())));
        world.run_until(secs(110));
        assert_eq!(read(&mut world, READER).len(), 2, "seed {seed}");

        let delete = TableOrder::Delete { kind: RecordKind::Shared, name: board() };
        assert_eq!(world.order_table(WRITER, delete), Some(Ok(())));
        world.run_until(secs(140));
        assert_eq!(read(&mut world, READER), [b"other"], "seed {seed}");
        assert_eq!(read(&mut world, 5), [b"other"], "seed {seed}");

        // Where it is itself, it has said by then.
        let find = TableOrder::FindNode(world.id(WRITER));
        assert_eq!(world.order_table(READER, find), Some(Ok(())));
        world.run_until(secs(180));
        let DhtOutcome::Node(found) = last(&world, READER) else { panic!("seed {seed}") };
        assert!(found.record.is_some() && found.asked > 0, "seed {seed}: {found:?}");
        assert_eq!(
            world.say(Workload::Direct { from: READER, to: WRITER, bytes: 9 }),
            Some(Ok(()))
        );
        world.run_until(secs(200));
        let report = world.finish();
        report.expect_ok();
        assert_eq!(report.directs.acknowledged, 1, "seed {seed}");
    }
}

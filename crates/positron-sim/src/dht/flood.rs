//! One peer that stores as much as it can.

use positron_proto::{
    dht::{DhtOutcome, DhtQuery, DhtRecord, LivingRecord, NameHash, RecordKind},
    id::NodeId,
    identity::Identity,
    limits::REPLICAS,
    time::Duration,
};

use super::{
    experiment::{Experiment, value},
    report::FloodReport,
    table_world::TableWorld,
};

/// For an hour one peer brings one node records of ever new keys of many publishers; every ten
/// seconds somebody else stores a record of which that node is the nearest.
pub(super) fn play(experiment: &mut Experiment) {
    let world = &mut experiment.world;
    let victim = world.somebody();
    let addr = world.address();
    let flooder = world.add_node(addr, false, None);
    let publishers: Vec<_> =
        (0..PUBLISHERS).map(|_| Identity::from_seed(world.dice.bytes())).collect();
    let before = records_at(world, victim);
    let (mut report, mut honest) = (FloodReport::default(), 0);
    for second in 0..3600_u32 {
        for _ in 0..world.scenario.operations {
            let publisher = &publishers[report.brought % publishers.len()];
            let query = store(world, publisher, report.brought);
            world.ask(flooder, victim, query);
            report.brought += 1;
        }
        world.run_for(Duration::from_secs(1));
        if second % 10 == 0 {
            report.honest_near += 1;
            match store_near(world, victim, second) {
                true => honest += 1,
                false => report.honest_refused += 1,
            }
        }
        let here = records_at(world, victim);
        report.most_kept = report.most_kept.max(here.saturating_sub(before + honest));
    }
    experiment.report.flood = Some(report);
}

fn records_at(world: &TableWorld, index: usize) -> usize {
    usize::try_from(world.nodes[index].dht.levels().records.used).unwrap_or(usize::MAX)
}

/// A record of a datagram's size, under a key that nobody has.
fn store(world: &TableWorld, publisher: &Identity, number: usize) -> DhtQuery {
    let now = world.time().wall;
    let record = DhtRecord {
        publisher: *publisher.public_key(),
        kind: RecordKind::Owned,
        name: NameHash::of_name(&format!("flood {number}")).expect("a name"),
        sequence: now.as_unix_micros(),
        created: u32::try_from(now.as_unix_secs()).unwrap_or(u32::MAX),
        ttl: 3600,
        value: Some(vec![0; VALUE].into()),
    };
    let record = publisher.sign(record, &world.network).claim().clone();
    DhtQuery::Store(LivingRecord { record, remaining: 3600 })
}

/// Somebody stores a record of which the node is one of the nearest. Whether the node keeps it.
fn store_near(world: &mut TableWorld, victim: usize, number: u32) -> bool {
    let here = world.nodes[victim].contact;
    let name = (0..).map(|n| format!("record {number} {n}")).find(|name| {
        let name = NameHash::of_name(name).expect("a name");
        let key = name.key(RecordKind::Shared, &NodeId::from_bytes([0; 32]));
        let ours = key.distance(&here.place());
        let others = world.nodes.iter().filter(|node| node.is_of_use());
        others.filter(|node| key.distance(&node.contact.place()) < ours).count() < REPLICAS / 2
    });
    let mut at = world.somebody();
    while at == victim {
        at = world.somebody();
    }
    let name = name.expect("there are many names");
    let (ticket, _) = world.store(at, (RecordKind::Shared, &name, value(0, 0)));
    let DhtOutcome::Stored(stored) = world.wait_for(ticket) else { return false };
    stored.holders.contains(&here.id())
}

/// Keys cost nothing, and each publisher has a quota: these have none that is used up.
const PUBLISHERS: usize = 4096;
/// Bytes of each value: as much as fits into one datagram.
const VALUE: usize = 700;

//! Old copies that are brought back.

use positron_proto::{
    dht::{DhtOutcome, DhtQuery, LivingRecord, Place, ReadMode, RecordKind},
    id::NodeId,
    time::Duration,
};

use super::{
    Hostility,
    experiment::{Experiment, value},
    hostile::Conspiracy,
    table_world::TableWorld,
};

/// A record that was stored and deleted again.
struct Deleted {
    name: String,
    at: usize,
    key: Place,
    holders: Vec<NodeId>,
    hostile: Vec<usize>,
    old: Option<LivingRecord>,
}

/// Records are stored, read, and deleted; every node starts again; then three former holders
/// of each show its old copy and bring it to those near it, and every half hour it is read.
pub(super) fn play(experiment: &mut Experiment) {
    let world = &mut experiment.world;
    let mut records: Vec<_> = (0..world.scenario.operations).map(|n| store(world, n)).collect();
    let publishers: Vec<_> = records.iter().map(|record| record.at).collect();
    world.run_for(Duration::from_secs(60));
    for record in &mut records {
        let at = world.somebody();
        let ticket = world.read(at, record.key, ReadMode::Fresh);
        let DhtOutcome::Read(read) = world.wait_for(ticket) else { panic!("it was read") };
        let found = read.records.first().expect("it is there");
        let remaining = found.record.content().ttl;
        let old = LivingRecord { record: found.record.claim().clone(), remaining };
        let mut conspiracy = Conspiracy::new(Hostility::Replay, None);
        conspiracy.remember(old.clone());
        world.conspiracies.push(conspiracy);
        record.old = Some(old);
        // Each of them is after one record, and publishes none itself.
        let free = |at: &usize| world.nodes[*at].harm.is_none() && !publishers.contains(at);
        let holders = record.holders.iter().filter_map(|holder| index_of(world, holder));
        record.hostile = holders.filter(free).take(HOSTILE_HOLDERS).collect();
        for at in &record.hostile {
            world.nodes[*at].harm = Some(world.conspiracies.len() - 1);
        }
    }
    for record in &records {
        let ticket = world.delete(record.at, RecordKind::Shared, &record.name);
        let outcome = world.wait_for(ticket);
        assert!(matches!(outcome, DhtOutcome::Stored(_)), "it is its publisher's: {outcome:?}");
    }
    for index in 0..world.nodes.len() {
        if world.nodes[index].harm.is_none() {
            world.restart(index);
        }
    }
    let half_hours = experiment.world.scenario.age.as_secs() / 1800;
    for _ in 0..half_hours {
        bring_back(&mut experiment.world, &records);
        experiment.world.run_for(Duration::from_secs(1800));
        for mode in [ReadMode::First, ReadMode::Fresh] {
            read(experiment, &records, mode);
        }
    }
}

fn store(world: &mut TableWorld, n: usize) -> Deleted {
    let (at, name) = (world.somebody(), format!("record {n}"));
    let (ticket, key) = world.store(at, (RecordKind::Shared, &name, value(n, 0)));
    let DhtOutcome::Stored(stored) = world.wait_for(ticket) else { panic!("it was stored") };
    Deleted { name, at, key, holders: stored.holders, hostile: Vec::new(), old: None }
}

fn index_of(world: &TableWorld, id: &NodeId) -> Option<usize> {
    world.nodes.iter().position(|node| node.contact.id() == *id)
}

/// The old copies, as if they were new, to all who may keep them.
fn bring_back(world: &mut TableWorld, records: &[Deleted]) {
    for record in records {
        let mut near: Vec<_> = (0..world.nodes.len()).collect();
        near.sort_by_cached_key(|at| record.key.distance(&world.nodes[*at].contact.place()));
        for at in near.into_iter().take(BROUGHT_BACK_TO) {
            let by = world.dice.index(record.hostile.len());
            if let (Some(by), Some(old)) = (record.hostile.get(by), record.old.clone()) {
                world.ask(*by, at, DhtQuery::Store(old));
            }
        }
    }
}

fn read(experiment: &mut Experiment, records: &[Deleted], mode: ReadMode) {
    let keys = records.iter().map(|record| record.key);
    let ended = experiment.each(keys, |world, at, key| world.read(at, *key, mode));
    for (_, _, outcome) in ended {
        let DhtOutcome::Read(read) = outcome else { continue };
        let old = usize::from(!read.records.is_empty());
        let deletion = experiment.report.deletion.get_or_insert_default();
        let (reads, seen) = match mode {
            ReadMode::Fresh => (&mut deletion.fresh_reads, &mut deletion.fresh_saw),
            ReadMode::First => (&mut deletion.first_reads, &mut deletion.first_saw),
        };
        *reads += 1;
        *seen += old;
    }
}

const HOSTILE_HOLDERS: usize = 3;
/// How many of the nodes nearest to a key are brought its old copy, every half hour.
const BROUGHT_BACK_TO: usize = 24;

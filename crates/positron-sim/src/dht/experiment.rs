//! What is done in a world of hash tables, and what came of it.

use std::collections::BTreeSet;

use bytes::Bytes;
use positron_proto::{
    dht::{DhtOutcome, DhtStats, Place, ReadFrom, ReadMode, RecordKind},
    id::Ticket,
    limits::REPLICAS,
    time::Duration,
};

use super::{
    DhtPlot, DhtReport, DhtScenario,
    report::number,
    table_node::{NodeState, TableNode},
    table_world::TableWorld,
};

/// A world, and what came of it so far.
pub(super) struct Experiment<'a> {
    pub(super) world: TableWorld<'a>,
    pub(super) report: DhtReport,
}

impl<'a> Experiment<'a> {
    /// Everybody is there and has settled.
    pub(super) fn new(scenario: &'a DhtScenario, seed: u64) -> Self {
        let mut world = TableWorld::new(scenario, seed);
        world.has_disks = scenario.plot == DhtPlot::Deletion;
        if scenario.plot != DhtPlot::Growth {
            world.gather();
        }
        let mut experiment = Self { world, report: DhtReport::default() };
        experiment.look_at_tables();
        experiment
    }

    /// Nodes are looked for, records are stored and read.
    pub(super) fn measure(&mut self) {
        let count = self.world.scenario.operations;
        let early = self.puts(0..count, false);
        self.rest();
        self.strike();
        self.finds(count);
        let late = self.puts(count..2 * count, true);
        for mode in [ReadMode::First, ReadMode::Fresh] {
            self.gets(0, &early, mode);
            self.gets(count, &late, mode);
        }
    }

    /// A tenth is there when records are stored, and all others come.
    pub(super) fn grow(&mut self) {
        let (count, nodes) = (self.world.scenario.operations, self.world.scenario.nodes);
        let first = nodes / 10;
        self.world.come(first);
        let keys = self.puts(0..count, true);
        self.world.come(nodes - first);
        self.world.run_for(self.world.scenario.age);
        self.look_at_tables();
        self.look_at_holders(&keys);
        for mode in [ReadMode::First, ReadMode::Fresh] {
            self.gets(0, &keys, mode);
        }
    }

    /// Ten minutes in two halves, and a quarter of an hour to grow together again.
    pub(super) fn partition(&mut self) {
        let count = self.world.scenario.operations;
        self.world.carriage.set_cut(true);
        self.world.run_for(Duration::from_secs(300));
        let keys = self.puts(0..count, true);
        self.world.run_for(Duration::from_secs(300));
        self.world.carriage.set_cut(false);
        self.world.run_for(Duration::from_secs(900));
        self.finds(count);
        for mode in [ReadMode::First, ReadMode::Fresh] {
            self.gets(0, &keys, mode);
        }
    }

    /// One operation every 10 ms, from nodes that dice choose; how each ended.
    pub(super) fn each<T>(
        &mut self,
        of: impl IntoIterator<Item = T>,
        mut begin: impl FnMut(&mut TableWorld, usize, &T) -> Ticket,
    ) -> Vec<(usize, T, DhtOutcome)> {
        let mut begun = Vec::new();
        for what in of {
            let at = self.world.somebody();
            let ticket = begin(&mut self.world, at, &what);
            begun.push((at, what, ticket));
            self.world.run_for(PACE);
        }
        let wait = |(at, what, ticket)| (at, what, self.world.wait_for(ticket));
        begun.into_iter().map(wait).collect()
    }

    /// Stores records of these numbers. Their keys.
    pub(super) fn puts(&mut self, of: core::ops::Range<usize>, is_measured: bool) -> Vec<Place> {
        let mut keys = Vec::new();
        let ended = self.each(of, |world, at, n| {
            let (name, value) = (format!("record {n}"), value(*n, 0));
            let (ticket, key) = world.store(at, (RecordKind::Shared, &name, value));
            keys.push(key);
            ticket
        });
        for (_, _, outcome) in ended {
            let DhtOutcome::Stored(stored) = outcome else { continue };
            if is_measured {
                let asked = stored.asked + stored.holders.len() + stored.refused.len();
                self.report.put.add_time(stored.took);
                self.report.put_asked.add(number(asked + stored.silent));
                self.report.put_holders.add(number(stored.holders.len()));
            }
        }
        keys
    }

    fn finds(&mut self, count: usize) {
        let targets: Vec<_> =
            (0..count).map(|_| Place::from_bytes(self.world.dice.bytes())).collect();
        let ended = self.each(targets, |world, at, target| world.find(at, *target));
        for (at, target, outcome) in ended {
            let DhtOutcome::Nearest(found) = outcome else { continue };
            self.report.find.add_time(found.took);
            self.report.find_asked.add(number(found.steps.len()));
            let mut truth: Vec<_> = self.world.nodes.iter().enumerate().collect();
            truth.retain(|(index, node)| *index != at && node.is_of_use());
            let mut truth: Vec<_> = truth
                .into_iter()
                .map(|(_, node)| (target.distance(&node.contact.place()), node.contact.id()))
                .collect();
            let count = truth.len().min(REPLICAS);
            if count < truth.len() {
                truth.select_nth_unstable(count);
            }
            let is_found = |id| found.contacts.iter().any(|at| at.id() == id);
            let hits = truth.iter().take(count).filter(|(_, id)| is_found(*id)).count();
            self.report.recall.add(number(hits) / number(count.max(1)));
        }
    }

    /// Reads the records of the numbers from `first` on.
    pub(super) fn gets(&mut self, first: usize, keys: &[Place], mode: ReadMode) {
        let of = keys.iter().copied().enumerate();
        let ended = self.each(of, |world, at, (_, key)| world.read(at, *key, mode));
        for (_, (n, _), outcome) in ended {
            let DhtOutcome::Read(read) = outcome else { continue };
            self.note(&read, mode, &value(first + n, 0));
        }
    }

    /// A read of something that is there ended.
    pub(super) fn note(&mut self, read: &ReadFrom, mode: ReadMode, truth: &Bytes) {
        let report = &mut self.report;
        report.reads += 1;
        let mut values = read.records.iter().map(|found| &found.record.content().value);
        let is_right = |value: &Option<Bytes>| value.as_ref() == Some(truth);
        report.false_answers += values.clone().filter(|value| !is_right(value)).count();
        if !values.any(is_right) {
            return;
        }
        report.found += 1;
        let (time, asked) = match mode {
            ReadMode::First => (&mut report.first, &mut report.first_asked),
            ReadMode::Fresh => (&mut report.fresh, &mut report.fresh_asked),
        };
        time.add_time(read.took);
        asked.add(number(read.asked));
    }

    /// Nobody wants anything for a while.
    fn rest(&mut self) {
        let before = self.world.carriage.bytes();
        let mut left = self.world.scenario.age;
        while left > Duration::ZERO {
            let step = left.min(CHURN_STEP);
            self.churn(step);
            self.world.run_for(step);
            left = left.saturating_sub(step);
        }
        let bytes = self.world.carriage.bytes() - before;
        let alive = |node: &&TableNode| node.state != NodeState::Gone;
        let nodes = self.world.nodes.iter().filter(alive).count();
        #[expect(clippy::cast_precision_loss, reason = "bytes of an hour")]
        let bytes = bytes as f64;
        self.report.upkeep = bytes / number(nodes) / self.world.scenario.age.as_secs_f64();
    }

    /// Some go, as many come, who know three others.
    fn churn(&mut self, step: Duration) {
        let part = self.world.scenario.churn * step.as_secs_f64() / 3600.0;
        for index in 0..self.world.nodes.len() {
            if self.world.nodes[index].is_of_use() && self.world.dice.chance(part) {
                self.world.nodes[index].state = NodeState::Gone;
                let addr = self.world.address();
                self.world.add_node(addr, false, None);
            }
        }
    }

    fn strike(&mut self) {
        let (frozen, crashed) = (self.world.scenario.frozen, self.world.scenario.crashed);
        for node in &mut self.world.nodes {
            if self.world.dice.chance(crashed) {
                node.state = NodeState::Gone;
            } else if node.state == NodeState::Runs && self.world.dice.chance(frozen) {
                node.state = NodeState::Frozen;
            }
        }
    }

    /// Of the nodes that should keep what is under these keys, who does.
    fn look_at_holders(&mut self, keys: &[Place]) {
        let now = self.world.time();
        let kept = |node: &TableNode| {
            let kept = DhtStats::of(&node.dht, now).kept.into_iter();
            kept.map(|record| record.key).collect::<BTreeSet<_>>()
        };
        let nodes = self.world.nodes.iter().filter(|node| node.is_of_use());
        let nodes: Vec<_> = nodes.map(|node| (node.contact.place(), kept(node))).collect();
        for key in keys {
            let mut nearest: Vec<_> = nodes.iter().collect();
            nearest.sort_by_key(|(place, _)| key.distance(place));
            let holders = nearest.iter().take(REPLICAS).filter(|(_, kept)| kept.contains(key));
            self.report.kept.add(number(holders.count()) / number(REPLICAS));
        }
    }

    fn look_at_tables(&mut self) {
        for node in self.world.nodes.iter().filter(|node| node.has_user()) {
            self.report.known.add(number(node.dht.table().len()));
            self.report.size.add(node.dht.network_size().unwrap_or(0.0));
        }
    }
}

/// What the record of a number says.
pub(super) fn value(n: usize, version: u8) -> Bytes {
    format!("value {n} of version {version}").into()
}

const PACE: Duration = Duration::from_millis(10);
const CHURN_STEP: Duration = Duration::from_secs(10);

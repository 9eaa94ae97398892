//! What one host's disk remembers, and what a crash makes of it.
//!
//! ```text
//! Persist ──▸ written ──(batch)──▸ committed ──(checkpoint, or a critical change)──▸ durable
//!   lost by a crash of the process ┘    lost by a loss of power ┘
//! ```

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use positron_proto::{
    id::NetworkId,
    node::{ChangeId, Snapshot},
    storage::{Change, Row, Rule, Urgency, Value},
    time::{Duration, Instant},
};

/// The disk of one host.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    durable: Tables,
    committed: VecDeque<Change>,
    written: VecDeque<(ChangeId, Change)>,
    /// How many of `written` are in the batch that is under way.
    batch: usize,
    checkpointed: Instant,
    changes: u64,
}

/// What the changes add up to.
#[derive(Clone, Debug, Default)]
struct Tables(BTreeMap<&'static str, Rows>);

/// The rows of one table.
#[derive(Clone, Debug, Default)]
struct Rows {
    by_key: BTreeMap<Bytes, (u64, Value)>,
    /// Numbers the keys in the order in which they were first kept.
    last: u64,
}

/// Whether a disk takes what it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DiskState {
    #[default]
    Works,
    /// Not for now: it is tried again.
    Away,
    /// Never again.
    Broken,
}

/// How a process ended, as far as its disk is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Everything was flushed before.
    Nothing,
    /// What was not committed is gone.
    Process,
    /// What was not on the platter is gone too.
    Power,
}

impl Disk {
    /// Takes a change. Returns whether a batch must be begun.
    pub(crate) fn write(&mut self, id: ChangeId, change: Change) -> bool {
        self.changes += 1;
        self.written.push_back((id, change));
        self.batch == 0 && self.begin()
    }

    /// Begins a batch with everything that waits. Returns whether there is any.
    pub(crate) fn begin(&mut self) -> bool {
        self.batch = self.written.len();
        self.batch > 0
    }

    /// The batch is committed. Returns its last change.
    pub(crate) fn commit(&mut self, now: Instant, checkpoint: Duration) -> Option<ChangeId> {
        let mut last = None;
        let mut critical = now.since(self.checkpointed) >= checkpoint;
        for (id, change) in self.written.drain(..self.batch) {
            critical |= change.urgency == Urgency::Critical;
            self.committed.push_back(change);
            last = Some(id);
        }
        self.batch = 0;
        if critical {
            self.sync();
            self.checkpointed = now;
        }
        last
    }

    /// Everything written reaches the platter. Returns the last change.
    pub(crate) fn flush(&mut self) -> Option<ChangeId> {
        self.begin();
        let last = self.commit(self.checkpointed, Duration::ZERO);
        self.sync();
        last
    }

    /// Everything committed reaches the platter.
    pub(crate) fn sync(&mut self) {
        for change in std::mem::take(&mut self.committed) {
            self.durable.apply(change);
        }
    }

    /// Somebody writes to the database beside the process.
    pub(crate) fn put(&mut self, change: Change) {
        self.committed.push_back(change);
        self.sync();
    }

    /// The process is gone.
    pub(crate) fn crash(&mut self, loss: Loss) {
        if loss == Loss::Power {
            self.committed.clear();
        }
        self.written.clear();
        self.batch = 0;
        self.sync();
    }

    /// What a process that starts now is told.
    pub(crate) fn snapshot(&self, network: &NetworkId) -> Snapshot {
        self.readable().snapshot(network)
    }

    /// A disk with what can be read from this one.
    pub(crate) fn copy(&self) -> Self {
        Self { durable: self.readable(), ..Self::default() }
    }

    fn readable(&self) -> Tables {
        let mut tables = self.durable.clone();
        for change in &self.committed {
            tables.apply(change.clone());
        }
        tables
    }

    /// How many changes were ever written.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }
}

impl Tables {
    /// Applying a change twice is applying it once.
    fn apply(&mut self, change: Change) {
        let Change { table, key, value, urgency: _ } = change;
        // Nothing reads a log back.
        if matches!(table.rule, Rule::Log { .. }) {
            return;
        }
        let rows = self.0.entry(table.name).or_default();
        let Some(value) = value else {
            rows.by_key.remove(&key);
            return;
        };
        if let Some((_, stands)) = rows.by_key.get_mut(&key) {
            if table.rule != Rule::Rise || value.iter().gt(stands.iter()) {
                *stands = value;
            }
        } else {
            rows.last += 1;
            rows.by_key.insert(key, (rows.last, value));
        }
    }

    /// What a process that starts now is told: nothing rots here, so every row makes sense.
    fn snapshot(&self, network: &NetworkId) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for table in Snapshot::tables() {
            let Some(rows) = self.0.get(table.name) else { continue };
            let mut in_order: Vec<_> = rows.by_key.iter().collect();
            in_order.sort_unstable_by_key(|(_, (number, _))| *number);
            for (key, (_, value)) in in_order {
                let row = Row { table, key: key.clone(), value: value.to_bytes() };
                snapshot.load(row, network).expect("a room reads what it wrote");
            }
        }
        snapshot
    }
}

#[cfg(test)]
mod tests {
    use positron_proto::{
        gossip::change::keep_floor,
        id::NodeId,
        node::{SequenceKind, change::reserve},
        storage::Table,
    };

    use super::*;

    const NEVER: Duration = Duration::from_secs(1_000_000);

    fn floor(floor: u64) -> Change {
        keep_floor(&NodeId::from_bytes([1; 32]), floor)
    }

    fn snapshot(disk: &Disk) -> Snapshot {
        disk.snapshot(&NetworkId::from_name("test"))
    }

    fn floor_on(disk: &Disk) -> u64 {
        snapshot(disk).gossip.floors.first().map_or(0, |(_, floor)| *floor)
    }

    #[test]
    fn a_crash_of_the_process_loses_what_was_not_committed() {
        let mut disk = Disk::default();
        assert!(disk.write(ChangeId(1), floor(1)));
        assert!(!disk.write(ChangeId(2), floor(2)));
        assert_eq!(disk.commit(Instant::ORIGIN, NEVER), Some(ChangeId(1)));
        disk.crash(Loss::Process);
        assert_eq!(floor_on(&disk), 1);
    }

    #[test]
    fn a_loss_of_power_loses_what_no_critical_change_followed() {
        let mut disk = Disk::default();
        let critical = reserve(SequenceKind::Broadcast, 9);
        for (id, change) in [(1, floor(1)), (2, critical), (3, floor(3))] {
            disk.write(ChangeId(id), change);
            disk.begin();
            disk.commit(Instant::ORIGIN, NEVER);
        }
        assert_eq!(floor_on(&disk), 3);
        disk.crash(Loss::Power);
        assert_eq!((floor_on(&disk), snapshot(&disk).numbers.next_broadcast), (1, 9));
    }

    #[test]
    fn rows_keep_their_place_and_follow_the_rule_of_their_table() {
        const PLAIN: Table = Table { name: "plain_rows", rule: Rule::Replace, essential: false };
        const RISING: Table = Table { name: "rising_rows", rule: Rule::Rise, essential: false };
        let mut tables = Tables::default();
        for (key, value) in [("b", "2"), ("a", "1"), ("b", "1"), ("c", "3"), ("a", "0")] {
            let value = || value.as_bytes().to_vec();
            tables.apply(Change::keep(&PLAIN, key, value()));
            tables.apply(Change::keep(&RISING, key, value()));
        }
        tables.apply(Change::forget(&PLAIN, "c"));
        let of = |table: &Table| {
            let rows = tables.0[table.name].by_key.iter();
            let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
            let rows = rows.map(|(key, (n, value))| (*n, text(key), text(&value.to_bytes())));
            let mut rows: Vec<_> = rows.collect();
            rows.sort();
            rows.into_iter().map(|(_, key, value)| key + &value).collect::<Vec<_>>()
        };
        assert_eq!(of(&PLAIN), ["b1", "a0"]);
        assert_eq!(of(&RISING), ["b2", "a1", "c3"]);
    }
}

//! What came of a story.

use core::fmt;

use positron_proto::time::{Duration, Instant};

use crate::scenario::Check;

/// What came of a story. The same scenario and seed give the same report, except for
/// [`wall_s`](Self::wall_s), which is for the caller to fill in: the world has no clock but its
/// own.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
    /// Nodes in all.
    pub nodes: usize,
    /// Nodes whose process runs at the end.
    pub live_nodes: usize,
    /// Live nodes in the largest part of the network that live sessions connect.
    pub connected_nodes: usize,
    /// Broadcasts that nodes accepted.
    pub broadcasts: usize,
    /// Broadcasts that nobody live can be expected to have, because their sender died before they
    /// were durable, and no live node holds them.
    pub broadcasts_lost: usize,
    /// Times that a broadcast was handed to an application, the first of each node only.
    pub deliveries: u64,
    /// Times that it should have been: live nodes at the end, times broadcasts, less senders.
    pub expected_deliveries: u64,
    /// Of these, times that it left every retention window while its receiver was away.
    pub excused_deliveries: u64,
    /// Times that one was handed over again within a life. A broken promise.
    pub duplicate_deliveries: u64,
    /// Times that one was handed over again by a later process of the same node. Allowed.
    pub redeliveries_across_restarts: u64,
    /// Direct messages that were accepted, acknowledged, given up, and handed over.
    pub directs: Directs,
    /// Streams between nodes.
    pub streams: StreamTally,
    /// From the saying to the hearing, for broadcasts that no partition or death concerned.
    pub latency_ms: Latency,
    /// The same for all broadcasts.
    pub latency_overall_ms: Latency,
    /// How far and how fast broadcasts spread that no partition or death concerned.
    pub dissemination: Dissemination,
    /// Copies of broadcasts that came to live nodes beside the first, for each delivery.
    pub extra_copies: f64,
    /// Bytes that nodes gave to links.
    pub wire_bytes: u64,
    /// Signatures that nodes had checked. The world remembers verdicts, so it checked fewer.
    pub verifications: u64,
    /// Changes that nodes gave to disks.
    pub changes: u64,
    /// Inputs that nodes were given.
    pub events: u64,
    /// Virtual seconds.
    pub duration_s: f64,
    /// Real seconds; filled in by the caller.
    pub wall_s: Option<f64>,
    /// What the live nodes counted, added up, by room.
    pub counters: serde_json::Value,
    /// A hash over every effect of every node: equal runs have equal hashes.
    pub run_hash: String,
    /// What went against a promise; empty when everything is well.
    pub violations: Vec<Violation>,
}

/// What became of direct messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Directs {
    /// Taken by the sender's node.
    pub sent: u64,
    /// Acknowledged end to end.
    pub acknowledged: u64,
    /// Given up.
    pub given_up: u64,
    /// Handed to the receiver's application.
    pub received: u64,
}

/// What became of streams between nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct StreamTally {
    /// Opened.
    pub opened: u64,
    /// Wished for, and there was no link in time.
    pub not_opened: u64,
    /// Read up to their end, with every byte in its place.
    pub whole: u64,
    /// Acknowledged up to their end, to their writers.
    pub delivered: u64,
    /// Ended before, as their writers were told.
    pub lost: u64,
    /// Bytes that stood in another place, and streams that ended in another: a broken promise.
    pub wrong: u64,
}

impl core::ops::AddAssign for StreamTally {
    fn add_assign(&mut self, other: Self) {
        let Self { opened, not_opened, whole, delivered, lost, wrong } = other;
        self.opened += opened;
        self.not_opened += not_opened;
        self.whole += whole;
        self.delivered += delivered;
        self.lost += lost;
        self.wrong += wrong;
    }
}

/// Latency in virtual milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Latency {
    /// How many deliveries.
    pub count: usize,
    /// Half were not later.
    pub p50: f64,
    /// 99 of 100 were not later.
    pub p99: f64,
    /// None was later.
    pub max: f64,
}

/// How far and how fast broadcasts spread, among the nodes that ran when they were said.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Dissemination {
    /// Over how many links a broadcast came to the node that is farthest from its sender.
    pub last_hop: Hops,
    /// From the saying to the last hearing of a broadcast.
    pub to_all_ms: Latency,
}

/// Numbers of links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Hops {
    /// Half were not more.
    pub p50: u8,
    /// 99 of 100 were not more.
    pub p99: u8,
    /// None was more.
    pub max: u8,
}

/// A promise that was broken.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Violation {
    /// Which check found it.
    pub check: Check,
    /// When, in virtual seconds.
    pub at_s: f64,
    /// At which node, if at one.
    pub node: Option<usize>,
    /// What.
    pub what: String,
    /// The last things that happened to the node before, oldest first.
    pub history: Vec<String>,
}

/// How far a story is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Virtual time.
    pub at: Duration,
    /// Of how much.
    pub of: Duration,
    /// Nodes whose process runs.
    pub live_nodes: usize,
    /// Whether the network is partitioned.
    pub partitioned: bool,
    /// Broadcasts so far.
    pub broadcasts: usize,
    /// Times that one was handed over.
    pub deliveries: u64,
    /// Bytes that nodes gave to links, guests not counted.
    pub wire_bytes: u64,
    /// Inputs so far.
    pub events: u64,
    /// Promises broken so far.
    pub violations: usize,
}

impl Report {
    /// Whether every promise was kept.
    pub const fn is_ok(&self) -> bool {
        self.violations.is_empty()
    }

    /// # Panics
    ///
    /// With everything that is needed to repeat it, if a promise was broken.
    pub fn expect_ok(&self) {
        assert!(self.is_ok(), "{self}");
    }
}

/// Adds the numbers of `more` to those of `sum`, which has the same shape or is null.
pub(crate) fn add_up(sum: &mut serde_json::Value, more: serde_json::Value) {
    use serde_json::Value;
    match (sum, more) {
        (Value::Object(sums), Value::Object(parts)) => {
            for (name, part) in parts {
                add_up(sums.entry(name).or_insert(Value::Null), part);
            }
        }
        (Value::Number(sum), Value::Number(part)) => {
            *sum = (sum.as_u64().unwrap_or(0) + part.as_u64().unwrap_or(0)).into();
        }
        (sum, more) => *sum = more,
    }
}

impl Latency {
    /// Sorts `micros` and sums them up.
    pub(crate) fn of(micros: &mut [u32]) -> Self {
        let [p50, p99, max] = percentiles(micros).map(|m| f64::from(m) / 1_000.0);
        Self { count: micros.len(), p50, p99, max }
    }
}

impl Hops {
    /// Sorts `hops` and sums them up.
    pub(crate) fn of(hops: &mut [u8]) -> Self {
        let [p50, p99, max] = percentiles(hops);
        Self { p50, p99, max }
    }
}

/// Sorts `all`: what half of them, 99 of 100 and all do not exceed.
fn percentiles<T: Copy + Default + Ord>(all: &mut [T]) -> [T; 3] {
    all.sort_unstable();
    [50, 99, 100].map(|part| {
        let rank = (all.len() * part).div_ceil(100).max(1) - 1;
        all.get(rank).copied().unwrap_or_default()
    })
}

impl Violation {
    pub(crate) fn new(check: Check, at: Instant, node: Option<usize>, what: String) -> Self {
        Self { check, at_s: seconds(at), node, what, history: Vec::new() }
    }
}

/// Seconds since the beginning of the world.
pub(crate) fn seconds(at: Instant) -> f64 {
    at.since(Instant::ORIGIN).as_secs_f64()
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6} s", self.at_s)?;
        if let Some(node) = self.node {
            write!(f, ", node {node}")?;
        }
        write!(f, ", {:?}: {}", self.check, self.what)?;
        for line in &self.history {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, seed, nodes, deliveries, expected_deliveries, .. } = self;
        writeln!(f, "story {scenario:?}, {nodes} nodes, seed {seed}, run {}", self.run_hash)?;
        writeln!(f, "{deliveries} of {expected_deliveries} deliveries")?;
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_several_nodes_are_added_up_by_name() {
        let mut sum = serde_json::Value::Null;
        for n in 1..=3 {
            add_up(&mut sum, serde_json::json!({ "room": { "a": n, "b": 10 } }));
        }
        assert_eq!(sum, serde_json::json!({ "room": { "a": 6, "b": 30 } }));
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_numbers() {
        let mut micros: Vec<u32> = (1..=100).rev().map(|n| n * 1_000).collect();
        let latency = Latency::of(&mut micros);
        assert_eq!(latency, Latency { count: 100, p50: 50.0, p99: 99.0, max: 100.0 });
        assert_eq!(Latency::of(&mut []), Latency::default());
        assert_eq!(Latency::of(&mut [7_000]).p50, 7.0);
    }
}

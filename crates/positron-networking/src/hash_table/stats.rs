//! What a node tells of the table, and of its own part in it.

use std::net::SocketAddr;

use positron_proto::{
    dht::{
        self, DhtMode, KeptRecord, KnownBucket, KnownContact, LookupTimes, Place, PublishedRecord,
        RecordKind,
    },
    id::NodeId,
    limits::{BUCKET, SERVES_AFTER},
    node::{self, NodeCore},
    shown::{millis, ratio},
    time::Now,
};
use serde::Serialize;

/// The table at one moment, as this node takes part in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DhtStats {
    /// What the node is to the table.
    pub mode: DhtRole,
    /// Why, in words.
    pub why: String,
    /// Its place, if it serves the table.
    pub place: Option<Place>,
    /// Keys under which something alive is kept here, what it publishes itself among them.
    pub stored_keys: usize,
    /// Records that it keeps for others, tombstones included.
    pub stored_records: u64,
    /// Their bytes in memory.
    pub stored_bytes: u64,
    /// The most bytes that it keeps.
    pub stored_bytes_limit: u64,
    /// Those of them that say that something was deleted.
    pub tombstones: usize,
    /// Records that it publishes itself, and renews.
    pub published: u64,
    /// Those of them that fewer nodes keep than should.
    pub under_replicated: usize,
    /// How many should: fewer than eight, if fewer are known.
    pub wanted_holders: usize,
    /// Nodes in its routing table.
    pub total_nodes: usize,
    /// How many other nodes serve the table, as far as lookups tell.
    pub network_size: Option<u64>,
    /// Operations since the start, upkeep included.
    pub lookups: u64,
    /// Of them, those that reached nobody.
    pub lookups_failed: u64,
    /// The part that reached somebody, from 0.0 to 1.0.
    pub success: Option<f64>,
    /// Questions that it asked.
    pub questions: u64,
    /// Those that were not answered in time.
    pub unanswered: u64,
    /// Questions of others that it answered.
    pub queries: u64,
    /// How the last operations went.
    pub recent: DhtTimes,
    /// From where its table looks: its own place, or one that was drawn if it serves nobody.
    pub here: Place,
    /// Whom it knows, the farthest from its place first.
    pub buckets: Vec<DhtBucket>,
    /// What it publishes, those first that end first; 256 at most.
    pub published_values: Vec<PublishedValue>,
    /// What it keeps for others, likewise.
    pub kept_values: Vec<KeptValue>,
}

/// What a node is to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DhtRole {
    /// It answers others and keeps records for them.
    Server,
    /// It only asks.
    Client,
}

/// How the last operations went, 256 at most: half of them, and 99 of a hundred, were no worse.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DhtTimes {
    /// How many they are.
    pub operations: usize,
    /// Nodes in a row that had to answer.
    pub hops_p50: u32,
    /// The same.
    pub hops_p99: u32,
    /// From the first question to the end.
    pub took_ms_p50: f64,
    /// The same.
    pub took_ms_p99: f64,
}

/// Contacts whose places begin with as many bits as `here` does, and then differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DhtBucket {
    /// How many bits.
    pub common_bits: u32,
    /// Who answered.
    pub members: Vec<DhtContact>,
    /// How many there may be.
    pub capacity: usize,
    /// How many others may take their places.
    pub candidates: usize,
}

/// A node of the table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DhtContact {
    /// Who.
    pub node_id: NodeId,
    /// Where it answers.
    pub address: SocketAddr,
    /// Where it is among keys.
    pub place: Place,
    /// The smoothed round trip.
    pub rtt_ms: Option<f64>,
    /// Questions in a row that it left unanswered.
    pub failures: u8,
    /// Whether it is asked and named to others: it answers.
    pub alive: bool,
}

/// Something that this node publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PublishedValue {
    /// Under which key.
    pub key: Place,
    /// Who else may.
    pub kind: RecordKind,
    /// Which of its records it is.
    pub sequence: u64,
    /// Bytes of its value; none, if it was deleted.
    pub value_bytes: Option<usize>,
    /// How many others keep it.
    pub holders: usize,
    /// Seconds that it is kept from now on, if nobody renews it.
    pub remaining_s: u64,
}

/// Something that this node keeps for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KeptValue {
    /// Under which key.
    pub key: Place,
    /// Who else may publish there.
    pub kind: RecordKind,
    /// Who published it.
    pub publisher: NodeId,
    /// Which of its records it is.
    pub sequence: u64,
    /// Bytes of its value; none, if it was deleted.
    pub value_bytes: Option<usize>,
    /// Who brought it.
    pub from: NodeId,
    /// Seconds that it is kept from now on, if nobody renews it.
    pub remaining_s: u64,
}

/// What the node of this core tells now.
pub(crate) fn dht_stats(core: &NodeCore, now: Now) -> DhtStats {
    node::dht_stats(core, now).into()
}

impl From<dht::DhtStats> for DhtStats {
    fn from(stats: dht::DhtStats) -> Self {
        let (role, place) = match stats.mode {
            DhtMode::Server(place) => (DhtRole::Server, Some(place)),
            DhtMode::Unreachable | DhtMode::Young | DhtMode::ToldTo => (DhtRole::Client, None),
        };
        let buckets: Vec<_> = stats.buckets.into_iter().map(DhtBucket::from).collect();
        let members = buckets.iter().flat_map(|bucket| &bucket.members);
        let (lookups, failed) = (stats.counters.lookups, stats.counters.lookups_failed);
        Self {
            mode: role,
            why: why(stats.mode),
            place,
            stored_keys: stats.keys,
            stored_records: stats.levels.records.used,
            stored_bytes: stats.levels.record_bytes.used,
            stored_bytes_limit: stats.levels.record_bytes.limit,
            tombstones: stats.tombstones,
            published: stats.levels.published.used,
            under_replicated: stats.under_replicated,
            wanted_holders: stats.wanted_holders,
            total_nodes: members.filter(|contact| contact.alive).count(),
            network_size: stats.network_size.map(rounded),
            lookups,
            lookups_failed: failed,
            success: (lookups > 0).then(|| ratio(1.0 - part(failed, lookups))),
            questions: stats.counters.questions,
            unanswered: stats.counters.unanswered,
            queries: stats.counters.queries,
            recent: stats.recent.into(),
            here: stats.here,
            buckets,
            published_values: stats.published.into_iter().map(PublishedValue::from).collect(),
            kept_values: stats.kept.into_iter().map(KeptValue::from).collect(),
        }
    }
}

fn why(mode: DhtMode) -> String {
    match mode {
        DhtMode::Server(_) => {
            "it answers others and keeps records for them: they reach it by datagrams".to_owned()
        }
        DhtMode::Unreachable => "it only asks: no address is known at which others reach it by \
                                 datagrams without having been called"
            .to_owned(),
        DhtMode::Young => format!(
            "it only asks until it has been up for {} minutes: who comes and goes costs others \
             more than it gives",
            SERVES_AFTER.as_secs() / 60
        ),
        DhtMode::ToldTo => "it only asks: `dht_serve` is false".to_owned(),
    }
}

impl From<LookupTimes> for DhtTimes {
    fn from(times: LookupTimes) -> Self {
        let LookupTimes { operations, hops_p50, hops_p99, took_p50, took_p99 } = times;
        let (took_ms_p50, took_ms_p99) = (millis(took_p50), millis(took_p99));
        Self { operations, hops_p50, hops_p99, took_ms_p50, took_ms_p99 }
    }
}

impl From<KnownBucket> for DhtBucket {
    fn from(bucket: KnownBucket) -> Self {
        let KnownBucket { common_bits, members, candidates } = bucket;
        let members = members.into_iter().map(DhtContact::from).collect();
        Self { common_bits, members, capacity: BUCKET, candidates }
    }
}

impl From<KnownContact> for DhtContact {
    fn from(known: KnownContact) -> Self {
        Self {
            node_id: known.contact.id(),
            address: known.contact.addr(),
            place: known.contact.place(),
            rtt_ms: known.rtt.map(millis),
            failures: known.failures,
            alive: known.is_alive(),
        }
    }
}

impl From<PublishedRecord> for PublishedValue {
    fn from(record: PublishedRecord) -> Self {
        let PublishedRecord { key, kind, sequence, value_bytes, holders, remaining } = record;
        let remaining_s = remaining.as_secs();
        Self { key, kind, sequence, value_bytes, holders, remaining_s }
    }
}

impl From<KeptRecord> for KeptValue {
    fn from(record: KeptRecord) -> Self {
        let KeptRecord { key, kind, publisher, sequence, value_bytes, from, remaining } = record;
        let remaining_s = remaining.as_secs();
        Self { key, kind, publisher, sequence, value_bytes, from, remaining_s }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn part(of: u64, all: u64) -> f64 {
    of as f64 / all as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is at least one")]
fn rounded(estimate: f64) -> u64 {
    estimate.round() as u64
}

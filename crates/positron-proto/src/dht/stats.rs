//! What a node tells of the table, and of its own part in it.

use super::{
    DhtCounters, DhtLevels, DhtMode, KnownContact, LookupTimes, Place, RecordKind,
    dht::Dht,
    published::{Publication, Title},
};
use crate::{
    id::NodeId,
    limits::MAX_RECORDS_TOLD,
    time::{Duration, Instant, Now},
};

/// The table at one moment, as one node takes part in it.
#[derive(Clone, Debug, PartialEq)]
pub struct DhtStats {
    /// What the node is to the table, and why.
    pub mode: DhtMode,
    /// From where its table looks: its own place, or one that was drawn if it serves nobody.
    pub here: Place,
    /// How many other nodes serve the table, as far as lookups tell.
    pub network_size: Option<f64>,
    /// Keys under which something alive is kept here, its own among them.
    pub keys: usize,
    /// Tombstones that are kept for others.
    pub tombstones: usize,
    /// Of what this node publishes, how many records fewer nodes keep than should.
    pub under_replicated: usize,
    /// How many should.
    pub wanted_holders: usize,
    /// How the last operations went.
    pub recent: LookupTimes,
    /// What is there, beside the most that there can be.
    pub levels: DhtLevels,
    /// What happened.
    pub counters: DhtCounters,
    /// What this node publishes, those first that end first; at most
    /// [`MAX_RECORDS_TOLD`](crate::limits::MAX_RECORDS_TOLD).
    pub published: Vec<PublishedRecord>,
    /// What it keeps for others, likewise.
    pub kept: Vec<KeptRecord>,
    /// Whom it knows, the farthest from its place first.
    pub buckets: Vec<KnownBucket>,
}

/// Contacts that are about as far away as one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBucket {
    /// The first bits that their places have in common with ours.
    pub common_bits: u32,
    /// Who answered.
    pub members: Vec<KnownContact>,
    /// How many may take their places.
    pub candidates: usize,
}

/// Something that this node publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedRecord {
    /// Under which key.
    pub key: Place,
    /// Who else may.
    pub kind: RecordKind,
    /// Which of its records it is.
    pub sequence: u64,
    /// Bytes of its value; none of a tombstone.
    pub value_bytes: Option<usize>,
    /// How many others keep it, as far as was heard.
    pub holders: usize,
    /// How long it is kept from now on, if nobody renews it.
    pub remaining: Duration,
}

/// Something that this node keeps for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptRecord {
    /// Under which key.
    pub key: Place,
    /// Who else may publish there.
    pub kind: RecordKind,
    /// Who published it.
    pub publisher: NodeId,
    /// Which of its records it is.
    pub sequence: u64,
    /// Bytes of its value; none of a tombstone.
    pub value_bytes: Option<usize>,
    /// Who brought it.
    pub from: NodeId,
    /// How long it is kept from now on, if nobody renews it.
    pub remaining: Duration,
}

impl DhtStats {
    /// Those of a node that has this table.
    pub fn of(dht: &Dht, now: Now) -> Self {
        let mut keys: Vec<Place> = Vec::new();
        let mut tombstones = 0;
        for held in dht.keeper.store.held().filter(|held| held.life.until > now.mono) {
            if held.record.content().is_tombstone() {
                tombstones += 1;
            } else {
                keys.push(held.slot.key);
            }
        }
        let wanted_holders = dht.wanted_holders();
        let mut under_replicated = 0;
        for publication in published_by_application(dht) {
            under_replicated += usize::from(publication.holders < wanted_holders);
            let record = publication.record.content();
            if !record.is_tombstone() {
                keys.push(record.key());
            }
        }
        keys.sort_unstable();
        keys.dedup();
        Self {
            mode: dht.mode(),
            here: dht.table.here(),
            network_size: dht.network_size(),
            keys: keys.len(),
            tombstones,
            under_replicated,
            wanted_holders,
            recent: dht.recent.times(),
            levels: dht.levels(),
            counters: dht.counters(),
            published: published(dht, now.mono),
            kept: kept(dht, now.mono),
            buckets: buckets(dht),
        }
    }
}

/// The node's own peer record stands beside what its application publishes.
fn published_by_application(dht: &Dht) -> impl Iterator<Item = &Publication> {
    let ours = Title::of_peer_record();
    dht.published.iter().filter(move |kept| Title::of(kept.record.content()) != ours)
}

fn published(dht: &Dht, now: Instant) -> Vec<PublishedRecord> {
    let mut all: Vec<_> = published_by_application(dht).collect();
    all.sort_unstable_by_key(|publication| publication.ends);
    let told = all.into_iter().take(MAX_RECORDS_TOLD);
    told.map(|publication| {
        let record = publication.record.content();
        PublishedRecord {
            key: record.key(),
            kind: record.kind,
            sequence: record.sequence,
            value_bytes: record.value.as_ref().map(bytes::Bytes::len),
            holders: publication.holders,
            remaining: publication.ends.since(now),
        }
    })
    .collect()
}

fn kept(dht: &Dht, now: Instant) -> Vec<KeptRecord> {
    let alive = dht.keeper.store.held().filter(|held| held.life.until > now);
    let mut all: Vec<_> = alive.collect();
    all.sort_unstable_by_key(|held| (held.life.until, held.slot));
    let told = all.into_iter().take(MAX_RECORDS_TOLD);
    told.map(|held| {
        let record = held.record.content();
        KeptRecord {
            key: held.slot.key,
            kind: record.kind,
            publisher: held.slot.publisher,
            sequence: record.sequence,
            value_bytes: record.value.as_ref().map(bytes::Bytes::len),
            from: held.bringer.id,
            remaining: Duration::from_secs(held.remaining(now).into()),
        }
    })
    .collect()
}

fn buckets(dht: &Dht) -> Vec<KnownBucket> {
    let known = dht.table.buckets().map(|(common_bits, bucket)| KnownBucket {
        common_bits,
        members: bucket.members().to_vec(),
        candidates: bucket.candidates().len(),
    });
    known.collect()
}

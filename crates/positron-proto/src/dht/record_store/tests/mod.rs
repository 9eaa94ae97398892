//! Stories of a store: what honest nodes have a right to, and what attackers try.

mod attacks;
mod stories;

use std::{
    collections::BTreeMap,
    mem::size_of,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use bytes::Bytes;

use super::*;
use crate::{
    crypto::sha256,
    dht::{NameHash, RecordKind, held::Floor},
    id::NetworkId,
    identity::{PublicKey, Signature, Signed},
    limits::{
        FARTHEST_KEPT, MAX_RECORD_BYTES_PER_NETWORK, MAX_RECORDS_PER_NETWORK, MAX_RECORDS_PER_PEER,
        MAX_RECORDS_PER_PUBLISHER, MAX_SLOTS, MAX_VALUE, RECORD_OVERHEAD,
    },
    storage::{Remembered as _, Row},
    subnet::Subnet,
    time::{Duration, WallTime},
};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// A store, its disk, and both clocks.
struct Keeper {
    store: RecordStore,
    now: Now,
    disk: BTreeMap<(&'static str, Bytes), Row>,
    evidence: Vec<[Verified<DhtRecord>; 2]>,
    evicted: u64,
}

fn key_of(number: u64) -> PublicKey {
    PublicKey::parse(sha256(&[b"publisher", &number.to_be_bytes()])).unwrap()
}

/// A record of the second in which the world begins, for an hour.
fn record(kind: RecordKind, publisher: u64, name: &str, sequence: u64, value: &str) -> DhtRecord {
    let value = Bytes::copy_from_slice(value.as_bytes());
    let name = match kind {
        RecordKind::Immutable => NameHash::of_value(&value),
        _ => NameHash::of_name(name).unwrap(),
    };
    let (publisher, value) = (key_of(publisher), Some(value));
    DhtRecord { publisher, kind, name, sequence, created: BEGIN, ttl: 3600, value }
}

fn owned(publisher: u64, sequence: u64, value: &str) -> DhtRecord {
    record(RecordKind::Owned, publisher, "name", sequence, value)
}

fn shared(publisher: u64, name: &str) -> DhtRecord {
    record(RecordKind::Shared, publisher, name, 1, "value")
}

fn tombstone(of: &DhtRecord) -> DhtRecord {
    DhtRecord { sequence: of.sequence + 1, value: None, ..of.clone() }
}

/// As if it had been signed: a store believes evidence, and these are many.
fn evidence(record: &DhtRecord) -> Verified<DhtRecord> {
    let claim = Signed::new(record.clone(), Signature::from_bytes([7; 64]));
    Verified::from_own_storage(claim, &NetworkId::from_name("test"))
}

/// Peer `number` of a public /24.
fn peer(network: u16, number: u8) -> RecordBringer {
    let [high, low] = network.to_be_bytes();
    let ip = IpAddr::V4(Ipv4Addr::new(41, high, low, number));
    let id = NodeId::from_bytes(sha256(&[&[high, low, number]]));
    RecordBringer { id, addr: SocketAddr::new(ip, 7777) }
}

/// The publisher of a record itself, in a public /24.
fn itself(record: &DhtRecord, network: u16) -> RecordBringer {
    RecordBringer { id: record.publisher.node_id(), ..peer(network, 1) }
}

const BEGIN: u32 = 1_800_000_000;

impl Keeper {
    fn new() -> Self {
        let wall = WallTime::from_unix_micros(u64::from(BEGIN) * 1_000_000);
        Self {
            store: RecordStore::new(),
            now: Now { mono: Instant::from_micros(999), wall },
            disk: BTreeMap::new(),
            evidence: Vec::new(),
            evicted: 0,
        }
    }

    /// Somebody brings a record, and says that so many seconds of its life are left.
    fn bring_left(
        &mut self,
        record: &DhtRecord,
        left: u32,
        bringer: &RecordBringer,
    ) -> StoreOutcome {
        let judged = self.store.judge(self.now, record, left, bringer, None);
        let before = self.levels();
        let mut out = StoreChanges::default();
        let outcome = self.store.insert(self.now, evidence(record), left, bringer, &mut out);
        if let Err(judged) = judged {
            assert_eq!(judged, outcome, "what is judged without a signature is what becomes of it");
            assert!(out.rows.is_empty() && out.equivocations.is_empty());
            assert_eq!(self.levels(), before, "what is refused leaves no trace");
        }
        self.heed(out);
        outcome
    }

    fn bring(&mut self, record: &DhtRecord, bringer: &RecordBringer) -> StoreOutcome {
        self.bring_left(record, record.ttl, bringer)
    }

    fn heed(&mut self, out: StoreChanges) {
        for change in out.rows {
            let place = (change.table.name, change.key.clone());
            match change.value {
                Some(value) => {
                    let (table, key, value) = (change.table, change.key, value.to_bytes());
                    self.disk.insert(place, Row { table, key, value });
                }
                None => drop(self.disk.remove(&place)),
            }
        }
        self.evidence.extend(out.equivocations);
        self.evicted += out.evicted;
    }

    /// So many seconds pass.
    fn later(&mut self, seconds: u64) {
        let end = self.now.mono + Duration::from_secs(seconds);
        let wall = self.now.wall + Duration::from_secs(seconds);
        while let Some(due) = self.store.poll_timeout().filter(|due| *due <= end) {
            let passed = due.since(self.now.mono);
            self.now = Now { mono: self.now.mono + passed, wall: self.now.wall + passed };
            self.handle_timeout();
        }
        self.now = Now { mono: end, wall };
    }

    fn handle_timeout(&mut self) {
        let mut out = StoreChanges::default();
        self.store.handle_timeout(self.now, &mut out);
        self.heed(out);
    }

    /// The process ends, and the next one begins when the wall clock says so many seconds more.
    fn restart(&mut self, seconds: i64) {
        let mut remembered = RememberedRecords::default();
        for row in self.disk.values() {
            remembered.load(row.clone(), &NetworkId::from_name("test")).unwrap();
        }
        let passed = Duration::from_secs(seconds.unsigned_abs());
        let wall = if seconds < 0 { self.now.wall - passed } else { self.now.wall + passed };
        self.now = Now { mono: Instant::from_micros(999), wall };
        self.store = RecordStore::load(self.now, remembered);
        self.later(0);
    }

    /// What a reader of this key gets: publisher's number by the order of the keys, value, seconds.
    fn read(&self, key: Place) -> Vec<(Option<&[u8]>, u32)> {
        let found = self.store.get(self.now.mono, &key, None);
        found.map(|(record, left)| (record.content().value.as_deref(), left)).collect()
    }

    fn levels(&self) -> [u64; 3] {
        let store = &self.store;
        [store.records(), store.bytes(), store.floors()].map(|level| {
            assert!(level.used <= level.limit, "{level:?}");
            level.used
        })
    }

    /// What is added up while records come and go is what there is.
    fn check(&self) {
        let (mut quotas, mut shares) = (Quotas::default(), Shares::default());
        for (slot, held) in &self.store.held {
            assert_eq!(*slot, Slot::of(held.record.content()));
            assert!(self.store.floors.get(slot).is_none(), "kept, and a floor under it");
            quotas.add(&charge(held));
            shares.add(Sharer::of(&held.bringer), held.life.until, *slot, held.cost());
            assert_eq!(self.store.ends.get(*slot), Some(held.life.until));
        }
        assert_eq!(self.store.quotas, quotas);
        assert_eq!(self.store.shares, shares);
        let sum: usize = self.store.held.values().map(Held::cost).sum();
        assert_eq!(self.store.bytes, sum);
        let rows = |table: &str| self.disk.keys().filter(|(name, _)| *name == table).count();
        assert_eq!(rows("dht_records"), self.store.held.len());
        assert_eq!(rows("dht_floors"), self.store.floors.len());
    }
}

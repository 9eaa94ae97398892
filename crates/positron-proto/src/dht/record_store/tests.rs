//! Stories of a store: what honest nodes have a right to, and what attackers try.

use std::{
    collections::BTreeMap,
    mem::size_of,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use bytes::Bytes;

use super::*;
use crate::{
    crypto::sha256,
    dht::NameHash,
    id::NetworkId,
    identity::{PublicKey, Signature, Signed},
    limits::{
        FARTHEST_KEPT, MAX_RECORD_BYTES_PER_NETWORK, MAX_RECORDS_PER_NETWORK, MAX_RECORDS_PER_PEER,
        MAX_RECORDS_PER_PUBLISHER, MAX_VALUE, RECORD_OVERHEAD,
    },
    storage::{Remembered as _, Row},
    subnet::Subnet,
    time::WallTime,
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
    expired: u64,
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
fn peer(network: u16, number: u8) -> Bringer {
    let [high, low] = network.to_be_bytes();
    let ip = IpAddr::V4(Ipv4Addr::new(41, high, low, number));
    let id = NodeId::from_bytes(sha256(&[&[high, low, number]]));
    Bringer { id, addr: SocketAddr::new(ip, 7777) }
}

/// The publisher of a record itself, in a public /24.
fn itself(record: &DhtRecord, network: u16) -> Bringer {
    Bringer { id: record.publisher.node_id(), ..peer(network, 1) }
}

const BEGIN: u32 = 1_800_000_000;

impl Keeper {
    fn new() -> Self {
        let wall = WallTime::from_unix_micros(u64::from(BEGIN) * 1_000_000);
        Self {
            store: RecordStore::new(),
            now: Now { mono: Instant::from_micros(5), wall },
            disk: BTreeMap::new(),
            evidence: Vec::new(),
            evicted: 0,
            expired: 0,
        }
    }

    /// Somebody brings a record, and says that so many seconds of its life are left.
    fn bring_left(&mut self, record: &DhtRecord, left: u32, bringer: &Bringer) -> StoreOutcome {
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

    fn bring(&mut self, record: &DhtRecord, bringer: &Bringer) -> StoreOutcome {
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
        self.expired += out.expired;
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

    fn levels(&self) -> [u64; 4] {
        let store = &self.store;
        [store.records(), store.bytes(), store.tombstones(), store.floors()].map(|level| {
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

#[test]
fn what_was_deleted_does_not_come_back_however_long_somebody_waits_with_a_copy() {
    let mut keeper = Keeper::new();
    let old = DhtRecord { ttl: 48 * 3600, ..owned(1, 4, "old") };
    assert_eq!(keeper.bring(&old, &itself(&old, 1)), StoreOutcome::Kept);
    keeper.later(HOUR / 2);
    // It says that it lives for a minute, and stays for as long as what it kills would have.
    let dead = DhtRecord { ttl: 60, created: BEGIN + 1800, ..tombstone(&old) };
    assert_eq!(keeper.bring(&dead, &itself(&old, 1)), StoreOutcome::Kept);
    for hour in 0..100_u8 {
        for hostile in 2..5 {
            let outcome = keeper.bring(&old, &peer(hostile, hour));
            assert!(!outcome.is_held(), "hour {hour}: {outcome:?}");
        }
        let read = keeper.read(old.key());
        assert!(read.iter().all(|(value, left)| value.is_none() && *left <= 60), "hour {hour}");
        assert_eq!(read.len(), usize::from(hour < 48), "hour {hour}");
        if hour % 5 == 0 {
            keeper.restart(10);
        }
        keeper.later(HOUR);
    }
    keeper.check();
    assert_eq!(keeper.levels(), [0; 4], "in the end nothing is left of it");
    assert!(keeper.disk.is_empty());
    assert_eq!(keeper.bring(&old, &peer(2, 1)), StoreOutcome::WrongTime);
}

#[test]
fn what_ended_does_not_come_back_and_what_is_newer_does() {
    let mut keeper = Keeper::new();
    let old = owned(1, 4, "old");
    keeper.bring(&old, &itself(&old, 1));
    keeper.later(HOUR);
    assert_eq!((keeper.read(old.key()), keeper.expired), (Vec::new(), 1));
    for hour in 0..30_u64 {
        // Not even its publisher brings it back: it says something new, if it means it.
        for bringer in [peer(2, 1), itself(&old, 1)] {
            let outcome = keeper.bring(&old, &bringer);
            let expected = if hour < 25 { StoreOutcome::Stale } else { StoreOutcome::WrongTime };
            assert_eq!(outcome, expected, "hour {hour}");
        }
        if hour % 7 == 0 {
            keeper.restart(0);
        }
        keeper.later(HOUR);
    }
    let new = DhtRecord { created: BEGIN + 31 * 3600, ..owned(1, 5, "new") };
    assert_eq!(keeper.bring(&new, &peer(2, 1)), StoreOutcome::Kept);
    assert_eq!(keeper.read(new.key()), [(Some(&b"new"[..]), 3600)]);
    keeper.check();
}

#[test]
fn the_same_sequence_never_lives_longer_whoever_brings_it_again() {
    let mut keeper = Keeper::new();
    let lasting = owned(1, 1, "value");
    keeper.bring(&lasting, &itself(&lasting, 1));
    for minute in 1..60_u8 {
        keeper.later(60);
        let others = [itself(&lasting, 1), peer(2, minute)];
        let outcomes = others.map(|bringer| keeper.bring_left(&lasting, u32::MAX, &bringer));
        assert_eq!(outcomes, [StoreOutcome::Known; 2], "minute {minute}");
        let left = 3600 - 60 * u32::from(minute);
        assert_eq!(keeper.read(lasting.key()), [(Some(&b"value"[..]), left)]);
        if minute == 30 {
            keeper.restart(0);
        }
    }
    keeper.later(60);
    assert_eq!(keeper.read(lasting.key()), []);
    assert_eq!(keeper.bring(&lasting, &itself(&lasting, 1)), StoreOutcome::Stale);
}

#[test]
fn a_record_that_gave_way_comes_back_for_what_was_left_of_its_life() {
    let mut keeper = Keeper::new();
    let lasting = owned(1, 1, "value");
    keeper.bring(&lasting, &peer(1, 1));
    let mut out = StoreChanges::default();
    keeper.store.let_go(keeper.now, &Slot::of(&lasting), &mut out);
    keeper.heed(out);
    keeper.restart(1200);
    assert_eq!(keeper.bring(&lasting, &peer(2, 1)), StoreOutcome::Kept);
    assert_eq!(keeper.read(lasting.key()), [(Some(&b"value"[..]), 2400)]);
    keeper.check();
}

#[test]
fn a_stranger_who_says_that_little_is_left_cuts_nothing_off() {
    let mut keeper = Keeper::new();
    let lasting = owned(1, 1, "value");
    let hostile = peer(2, 1);
    assert_eq!(keeper.bring_left(&lasting, 0, &hostile), StoreOutcome::Stale);
    assert_eq!(keeper.bring_left(&lasting, 9, &hostile), StoreOutcome::Kept);
    assert_eq!(keeper.bring(&lasting, &peer(3, 1)), StoreOutcome::Known);
    assert_eq!(keeper.read(lasting.key()), [(Some(&b"value"[..]), 9)]);
    keeper.later(4);
    assert_eq!(keeper.bring(&lasting, &itself(&lasting, 1)), StoreOutcome::Known);
    assert_eq!(keeper.read(lasting.key()), [(Some(&b"value"[..]), 3596)]);
    keeper.check();
    // Neither if it had left by then.
    let other = owned(2, 1, "value");
    keeper.bring_left(&other, 1, &hostile);
    keeper.later(2);
    assert_eq!(keeper.bring(&other, &peer(3, 1)), StoreOutcome::Stale);
    assert_eq!(keeper.bring(&other, &itself(&other, 1)), StoreOutcome::Kept);
    keeper.later(3597);
    assert_eq!(keeper.read(other.key()), [(Some(&b"value"[..]), 1)]);
    keeper.check();
}

#[test]
fn what_a_stranger_brought_first_is_its_publishers_when_it_brings_it_itself() {
    let mut keeper = Keeper::new();
    let raced = owned(1, 1, "value");
    keeper.bring(&raced, &peer(2, 1));
    assert_eq!(keeper.bring(&raced, &itself(&raced, 1)), StoreOutcome::Known);
    let held = &keeper.store.held[&Slot::of(&raced)];
    assert_eq!(held.bringer, itself(&raced, 1), "it does not leave with what a flood brought");
    keeper.check();
}

#[test]
fn no_peer_network_or_publisher_has_more_kept_than_its_share_tombstones_included() {
    let kept = |bring: fn(u64) -> (DhtRecord, Bringer)| {
        let mut keeper = Keeper::new();
        let outcomes = (0..400).map(|n| {
            let (record, bringer) = bring(n);
            keeper.bring(&record, &bringer)
        });
        let outcomes: Vec<_> = outcomes.collect();
        keeper.check();
        let kept = outcomes.iter().filter(|outcome| **outcome == StoreOutcome::Kept).count();
        let others = outcomes.iter().filter(|outcome| **outcome == StoreOutcome::OverQuota);
        assert_eq!(others.count(), outcomes.len() - kept);
        kept
    };
    assert_eq!(kept(|n| (owned(n, 1, ""), peer(1, 1))), MAX_RECORDS_PER_PEER);
    let graves = |n| (tombstone(&owned(n, 1, "")), peer(1, 1));
    assert_eq!(kept(graves), MAX_RECORDS_PER_PEER);
    let in_one_network = |n: u64| (owned(n, 1, ""), peer(1, u8::try_from(n % 200).unwrap()));
    assert_eq!(kept(in_one_network), MAX_RECORDS_PER_NETWORK);
    let by_one_publisher = |n: u64| {
        let name = format!("name {n}");
        let record = record(RecordKind::Owned, 1, &name, 1, "");
        (record, peer(u16::try_from(n).unwrap(), 1))
    };
    assert_eq!(kept(by_one_publisher), MAX_RECORDS_PER_PUBLISHER);
    // Nearby, there is one network.
    let near = |n: u64| {
        let addr = SocketAddr::from(([127, 0, 0, 1], 1000 + u16::try_from(n).unwrap()));
        (owned(n, 1, ""), Bringer { addr, ..peer(u16::try_from(n).unwrap(), 1) })
    };
    assert_eq!(kept(near), 400);
    // Large ones.
    let large = |n: u64| {
        let value = "x".repeat(MAX_VALUE);
        (owned(n, 1, &value), peer(1, u8::try_from(n % 200).unwrap()))
    };
    assert_eq!(kept(large), MAX_RECORD_BYTES_PER_NETWORK / (MAX_VALUE + RECORD_OVERHEAD));
}

#[test]
fn no_quota_keeps_anybody_from_deleting_or_from_saying_something_shorter() {
    let mut keeper = Keeper::new();
    let full = peer(1, 1);
    for n in 0..u64::try_from(MAX_RECORDS_PER_PEER).unwrap() {
        assert_eq!(keeper.bring(&owned(n, 1, ""), &full), StoreOutcome::Kept);
    }
    let mine = owned(1000, 1, "value");
    keeper.bring(&mine, &peer(2, 1));
    let longer = owned(1000, 2, "longer value");
    assert_eq!(keeper.bring(&longer, &full), StoreOutcome::OverQuota);
    assert_eq!(keeper.bring(&owned(1000, 2, "short"), &full), StoreOutcome::Kept);
    let dead = DhtRecord { value: None, ..owned(1000, 3, "") };
    assert_eq!(keeper.bring(&dead, &full), StoreOutcome::Kept);
    assert_eq!(keeper.read(mine.key()), [(None, 3600)]);
    // It is on the account on which it was.
    assert_eq!(keeper.store.held[&Slot::of(&mine)].bringer, peer(2, 1));
    keeper.check();
}

#[test]
fn a_key_that_is_far_away_is_refused_and_what_is_kept_can_be_deleted_from_anywhere() {
    let mut keeper = Keeper::new();
    let place = Place::from_bytes([0; 32]);
    // Where 1,000 nodes are, 8 of them keep a key.
    let mut far = [0; 32];
    let part = 65_536 * 8 / 1_000 * FARTHEST_KEPT;
    far[..2].copy_from_slice(&u16::try_from(part).unwrap().to_be_bytes());
    let within = place.distance(&Place::from_bytes(far));
    let reach = Reach { place, within };
    let mut taken = 0;
    for n in 0..1000 {
        let record = owned(n, 1, "");
        let judged = keeper.store.judge(keeper.now, &record, 60, &peer(1, 1), Some(&reach));
        let is_near = place.distance(&record.key()) <= within;
        assert_eq!(judged, if is_near { Ok(()) } else { Err(StoreOutcome::TooFar) });
        taken += u32::from(is_near);
        if !is_near && keeper.store.held.len() < 9 {
            keeper.bring(&record, &peer(1, 1));
            let dead = tombstone(&record);
            let judged = keeper.store.judge(keeper.now, &dead, 60, &peer(1, 1), Some(&reach));
            assert_eq!(judged, Ok(()), "else the dead would outlive it");
        }
    }
    assert!((10..60).contains(&taken), "{taken}");
}

#[test]
fn small_records_are_not_cheaper_than_the_memory_around_them() {
    // A value, its count of references; trees are three quarters full.
    let heap = 32 + 32;
    let held = size_of::<Held>() + size_of::<Slot>();
    let ends = 2 * (size_of::<Slot>() + size_of::<Instant>());
    let shares = size_of::<(Sharer, Instant, Slot)>() + 2 * size_of::<(usize, Sharer)>();
    let quotas = 3 * (size_of::<Subnet>().max(size_of::<NodeId>()) + 1 + 2 * size_of::<usize>());
    let all = heap + (held + ends + shares + quotas) * 4 / 3;
    assert!(all <= RECORD_OVERHEAD + RECORD_OVERHEAD / 2, "{all} bytes for one record");
}

#[test]
fn in_a_full_store_those_give_way_who_brought_the_most() {
    let mut keeper = Keeper::new();
    let honest = owned(1_000_000, 1, "a word");
    assert_eq!(keeper.bring(&honest, &peer(1, 1)), StoreOutcome::Kept);
    let late = |n: u64| DhtRecord { ttl: 48 * 3600, ..owned(n, 1, &"x".repeat(MAX_VALUE)) };
    let (mut n, mut outcomes) = (0, BTreeMap::new());
    for network in 100..170 {
        for number in 0..60 {
            n += 1;
            let outcome = keeper.bring(&late(n), &peer(network, number));
            *outcomes.entry(outcome).or_insert(0) += 1;
        }
    }
    assert_eq!(keeper.evicted > 0, outcomes[&StoreOutcome::Kept] > 3_855);
    assert!(outcomes[&StoreOutcome::OverQuota] + outcomes[&StoreOutcome::Full] > 0);
    assert!(MAX_HELD_BYTES as u64 - keeper.levels()[1] < 20_000, "{outcomes:?}");
    // It lives for a shorter time than all of them, and is still there; there is room for others.
    assert_eq!(keeper.read(honest.key()).len(), 1);
    for n in 0..50_u16 {
        let honest = owned(2_000_000 + u64::from(n), 1, "a word");
        assert_eq!(keeper.bring(&honest, &peer(1000 + n, 1)), StoreOutcome::Kept);
    }
    // For the flood there is none.
    assert_eq!(keeper.bring(&late(n + 1), &peer(100, 250)), StoreOutcome::Full);
    assert_eq!(keeper.read(honest.key()).len(), 1);
    keeper.check();
    keeper.restart(60);
    assert_eq!(keeper.read(honest.key()).len(), 1);
    keeper.check();
    keeper.later(48 * HOUR);
    assert_eq!(keeper.levels()[..3], [0; 3]);
}

#[test]
fn two_contents_of_one_sequence_end_as_one_on_all_nodes_and_are_evidence_once() {
    let [one, other] = ["one", "other"].map(|value| owned(1, 3, value));
    let third = owned(1, 3, "third");
    let mut ends = Vec::new();
    for order in [[&one, &other, &third], [&third, &other, &one], [&other, &one, &third]] {
        let mut keeper = Keeper::new();
        for (said, n) in order.into_iter().zip(1..) {
            let outcome = keeper.bring(said, &peer(n, 1));
            assert!(matches!(outcome, StoreOutcome::Kept | StoreOutcome::Stale), "{outcome:?}");
            keeper.later(60);
        }
        assert_eq!(keeper.evidence.len(), 1);
        let [a, b] = &keeper.evidence[0];
        assert_eq!(a.content().sequence, b.content().sequence);
        assert_ne!(a.content().value, b.content().value);
        // None of them made its life longer.
        let read = keeper.read(one.key());
        assert_eq!(read[0].1, 3600 - 180);
        ends.push(read[0].0.map(<[u8]>::to_vec));
        keeper.check();
    }
    assert!(ends.windows(2).all(|two| two[0] == two[1]), "{ends:?}");
}

#[test]
fn a_squatter_of_a_shared_key_pushes_nobody_out_and_needs_many_networks() {
    let mut keeper = Keeper::new();
    let honest: Vec<_> = (0..4_u64).map(|n| shared(n, "board")).collect();
    for (record, network) in honest.iter().zip(1..) {
        assert_eq!(keeper.bring(record, &itself(record, network)), StoreOutcome::Kept);
    }
    let slots = |keeper: &Keeper| keeper.read(honest[0].key()).len();
    // From one network two, whatever it calls itself.
    for n in 0..200 {
        let outcome = keeper.bring(&shared(1000 + u64::from(n), "board"), &peer(50, n));
        assert_eq!(outcome == StoreOutcome::Kept, n < 2, "{n}: {outcome:?}");
    }
    for n in 0..100_u16 {
        keeper.bring(&shared(2000 + u64::from(n), "board"), &peer(60 + n, 1));
        keeper.bring(&tombstone(&shared(3000 + u64::from(n), "board")), &peer(60 + n, 2));
    }
    assert_eq!(slots(&keeper), MAX_SLOTS);
    for record in &honest {
        let (key, publisher) = (record.key(), record.publisher.node_id());
        let found = keeper.store.get(keeper.now.mono, &key, Some(&publisher));
        assert_eq!(found.count(), 1);
    }
    // What squats from many networks does not go on to from one.
    let moved = DhtRecord { sequence: 9, ..shared(2000, "board") };
    assert_eq!(keeper.bring(&moved, &peer(50, 1)), StoreOutcome::Full);
    keeper.check();
}

#[test]
fn a_grave_gives_way_to_the_living_on_a_full_key_and_the_dead_stay_away() {
    let mut keeper = Keeper::new();
    for n in 0..16_u16 {
        keeper.bring(&shared(u64::from(n), "board"), &peer(n, 1));
    }
    let newcomer = shared(100, "board");
    assert_eq!(keeper.bring(&newcomer, &peer(100, 1)), StoreOutcome::Full);
    let gone = shared(3, "board");
    assert_eq!(keeper.bring(&tombstone(&gone), &peer(3, 1)), StoreOutcome::Kept);
    let grave = tombstone(&shared(200, "board"));
    assert_eq!(keeper.bring(&grave, &peer(100, 1)), StoreOutcome::Full);
    assert_eq!(keeper.bring(&newcomer, &peer(100, 1)), StoreOutcome::Kept);
    assert_eq!(keeper.read(newcomer.key()).len(), MAX_SLOTS);
    let another = tombstone(&shared(4, "board"));
    assert_eq!(keeper.bring(&another, &peer(4, 1)), StoreOutcome::Kept);
    assert_eq!(keeper.bring(&gone, &peer(3, 1)), StoreOutcome::Stale);
    keeper.check();
}

#[test]
fn what_cannot_change_is_kept_once_whoever_publishes_it_and_for_as_long_as_somebody_does() {
    let mut keeper = Keeper::new();
    let of = |publisher| record(RecordKind::Immutable, publisher, "", 1, "truth");
    let one = of(1);
    assert_eq!(keeper.bring(&one, &peer(1, 1)), StoreOutcome::Kept);
    assert_eq!(keeper.bring(&of(2), &peer(2, 1)), StoreOutcome::Known);
    keeper.later(100);
    assert_eq!(keeper.bring(&one, &peer(1, 1)), StoreOutcome::Known);
    assert_eq!(keeper.bring_left(&of(2), 3500, &peer(2, 1)), StoreOutcome::Known);
    let other = DhtRecord { created: BEGIN + 100, ..of(2) };
    assert_eq!(keeper.bring(&other, &peer(2, 1)), StoreOutcome::Kept);
    assert_eq!(keeper.read(one.key()), [(Some(&b"truth"[..]), 3600)]);
    let renewed = DhtRecord { sequence: 2, ttl: 7200, ..other.clone() };
    assert_eq!(keeper.bring(&renewed, &peer(3, 1)), StoreOutcome::Kept);
    assert_eq!(keeper.read(one.key()), [(Some(&b"truth"[..]), 7200)]);
    assert_eq!(keeper.levels()[0], 1);
    keeper.check();
}

#[test]
fn what_was_kept_lives_on_after_a_restart_and_no_clock_makes_it_live_longer() {
    let mut keeper = Keeper::new();
    let lasting = shared(1, "board");
    keeper.bring(&lasting, &itself(&lasting, 1));
    keeper.later(600);
    keeper.restart(600);
    assert_eq!(keeper.read(lasting.key()), [(Some(&b"value"[..]), 2400)]);
    keeper.check();
    // The wall clock goes back by a year: it has what it had when it was written down.
    keeper.restart(-365 * 24 * 3600);
    assert_eq!(keeper.read(lasting.key()), [(Some(&b"value"[..]), 3600)]);
    keeper.later(3600);
    assert_eq!(keeper.read(lasting.key()), []);
    keeper.check();
    let ended = owned(1, 1, "value");
    let mut keeper = Keeper::new();
    keeper.bring(&ended, &itself(&ended, 1));
    keeper.restart(3601);
    assert_eq!(keeper.read(ended.key()), []);
    assert_eq!(keeper.bring(&ended, &peer(1, 1)), StoreOutcome::Stale);
    keeper.check();
}

#[test]
fn a_record_of_another_time_is_refused() {
    let mut keeper = Keeper::new();
    let day = u32::try_from(DAY).unwrap();
    for (created, outcome) in [
        (BEGIN + day, StoreOutcome::Kept),
        (BEGIN + day + 1, StoreOutcome::WrongTime),
        (BEGIN - day - 3600, StoreOutcome::Kept),
        (BEGIN - day - 3601, StoreOutcome::WrongTime),
    ] {
        let said = DhtRecord { created, ..owned(u64::from(created), 1, "") };
        assert_eq!(keeper.bring(&said, &peer(1, 1)), outcome, "{created}");
    }
}

#[test]
fn keys_are_told_each_once_and_those_near_a_place_without_the_others() {
    let mut keeper = Keeper::new();
    for n in 0..300_u16 {
        let name = format!("board {}", n / 3);
        keeper.bring(&shared(n.into(), &name), &peer(n, 1));
    }
    let all: Vec<_> = keeper.store.keys(None).collect();
    assert_eq!(all.len(), 100);
    assert!(all.is_sorted());
    assert!(keeper.store.keys(Some(all[40])).eq(all[41..].iter().copied()));
    for (place, farthest) in [(all[3], all[50]), (all[99], all[98]), (all[0], all[0])] {
        let within = place.distance(&farthest);
        let near = all.iter().copied().filter(|key| place.distance(key) <= within);
        assert!(keeper.store.keys_near(place, within).eq(near));
    }
    let renewed = keeper.store.renewed(&all[3]);
    keeper.later(60);
    let copy = (0..300).map(|n| shared(n, &format!("board {}", n / 3)));
    let copy = copy.into_iter().find(|copy| copy.key() == all[3]).unwrap();
    keeper.bring(&copy, &peer(900, 1));
    assert_eq!(keeper.store.renewed(&all[3]), renewed, "a copy is no news");
    let newer = DhtRecord { sequence: 2, ..copy };
    keeper.bring(&newer, &peer(900, 1));
    assert_eq!(keeper.store.renewed(&all[3]), Some(keeper.now.mono));
    assert!(keeper.store.has_key(keeper.now.mono, &all[3]));
    assert!(!keeper.store.has_key(keeper.now.mono, &Place::from_bytes([1; 32])));
}

#[test]
fn a_flood_of_what_comes_and_goes_pushes_out_its_own_floors_only() {
    let mut floors = Floors::new(100);
    let floor = |bringer: Bringer, until: u64| Floor {
        sequence: 1,
        life: Life { until: Instant::ORIGIN, latest: Instant::ORIGIN },
        until: Instant::from_micros(until),
        bringer,
    };
    let slot = |n: u64| Slot::of(&owned(n, 1, ""));
    for n in 0..40_u8 {
        // They end before those of the flood.
        assert_eq!(floors.insert(slot(n.into()), floor(peer(n.into(), 1), 10)), None);
    }
    for n in 0..1_000 {
        floors.insert(slot(1_000 + n), floor(peer(500, 1), 20 + n));
    }
    assert_eq!(floors.len(), 100);
    assert!((0..40).all(|n| floors.get(&slot(n)).is_some()));
    assert_eq!(floors.next_end(), Some(Instant::from_micros(10)));
    let due = core::iter::from_fn(|| floors.pop_due(Instant::from_micros(10))).count();
    assert_eq!((due, floors.len()), (40, 60));
}

#[test]
fn whatever_is_brought_in_any_order_nothing_older_is_ever_read_and_no_life_grows() {
    for seed in 0..40_u32 {
        let (mut keeper, mut dice) = (Keeper::new(), seed);
        let mut newest = BTreeMap::<Slot, u64>::new();
        let mut ends = BTreeMap::<(Slot, u64), Instant>::new();
        for _ in 0..300 {
            dice = dice.wrapping_mul(0x9E37_79B1).rotate_left(7).wrapping_add(1);
            let mut said = match dice % 3 {
                0 => owned((dice / 3 % 4).into(), (dice / 12 % 5).into(), "owned"),
                1 => DhtRecord {
                    sequence: (dice / 12 % 5).into(),
                    ..shared((dice / 3 % 30).into(), "board")
                },
                _ => record(RecordKind::Immutable, (dice / 3 % 4).into(), "", 1, "truth"),
            };
            said.ttl = 60 + dice / 60 % 4 * 600;
            if dice / 240 % 4 == 0 && said.kind != RecordKind::Immutable {
                said.value = None;
            }
            let bringer = peer(u16::try_from(dice / 960 % 12).unwrap(), 1);
            let slot = Slot::of(&said);
            let is_higher = newest.get(&slot).is_none_or(|newest| said.sequence > *newest);
            let outcome = keeper.bring_left(&said, dice / 7 % 2_000, &bringer);
            if outcome == StoreOutcome::Kept {
                let newest = newest.entry(slot).or_default();
                assert!(said.sequence >= *newest, "seed {seed}: {said:?}");
                *newest = said.sequence;
                let end = keeper.store.held[&slot].life.until;
                let before = ends.insert((slot, said.sequence), end);
                assert!(before.is_none_or(|before| is_higher || end <= before), "seed {seed}");
            }
            if dice / 11 % 9 == 0 {
                keeper.later((dice / 99 % 1_000).into());
            }
            if dice / 13 % 40 == 0 {
                let ago = keeper.now.mono;
                keeper.restart(0);
                // The monotonic clock begins anew, and rows were written with what was left then.
                let by = ago.since(keeper.now.mono);
                ends.values_mut().for_each(|end| *end = *end - by);
            }
            keeper.check();
        }
    }
}

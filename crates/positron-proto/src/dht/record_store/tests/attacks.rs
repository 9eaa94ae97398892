//! What attackers try.

use super::*;

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
    assert_eq!(keeper.levels(), [0; 3], "in the end nothing is left of it");
    assert!(keeper.disk.is_empty());
    assert_eq!(keeper.bring(&old, &peer(2, 1)), StoreOutcome::WrongTime);
}

#[test]
fn what_ended_does_not_come_back_and_what_is_newer_does() {
    let mut keeper = Keeper::new();
    let old = owned(1, 4, "old");
    keeper.bring(&old, &itself(&old, 1));
    keeper.later(HOUR);
    assert_eq!(keeper.read(old.key()), Vec::new());
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
    let kept = |bring: fn(u64) -> (DhtRecord, RecordBringer)| {
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
        (owned(n, 1, ""), RecordBringer { addr, ..peer(u16::try_from(n).unwrap(), 1) })
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
    // A value and its count of references. Trees are three quarters full.
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
    assert!(outcomes[&StoreOutcome::Full] > 0, "it is one of its own that would give way");
    let bytes = keeper.store.bytes();
    assert!(bytes.limit - bytes.used < 20_000, "{outcomes:?}");
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
    assert_eq!(keeper.levels()[..2], [0; 2]);
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
        let publisher = record.publisher.node_id();
        let found = keeper.store.get(keeper.now.mono, &record.key(), Some(&publisher));
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
fn a_flood_of_what_comes_and_goes_pushes_out_its_own_floors_only() {
    let mut floors = Floors::new(100);
    let floor = |bringer: RecordBringer, until: u64| Floor {
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

//! What honest nodes have a right to, whatever comes in which order.

use super::*;

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

//! Many hash tables: what is stored is found, whatever happens to the nodes or is done by them.
//!
//! Times are virtual, so they may be asserted: they are the same for the same seed.

use positron_proto::{limits::MAX_RECORDS_PER_PEER, time::Duration};
use positron_sim::dht::{DhtReport, DhtScenario, play};

/// A story of few nodes, few operations, and a quick start.
fn small(name: &str, nodes: usize) -> DhtReport {
    let story = DhtScenario::named(name, nodes).expect("a story of that name");
    let settles = Duration::from_secs(60);
    let report = play(&DhtScenario { operations: 50, settles, ..story }, 1);
    println!("{name} of {nodes} nodes, seed 1\n{report}");
    report
}

#[test]
fn a_quiet_network_answers_within_a_few_round_trips() {
    // After half an hour each knows how many there are, and suspects nobody.
    let story = DhtScenario::named("quiet", 200).expect("a story of that name");
    let report = play(&DhtScenario { operations: 50, ..story }, 1);
    println!("{report}");
    assert_eq!((report.found, report.false_answers), (report.reads, 0));
    assert_eq!(report.recall.mean(), 1.0);
    assert!(report.put_holders.quantile(0.0) >= 8.0);
    assert!(report.find.quantile(0.5) <= 240.0 && report.find_asked.mean() <= 14.0);
    assert!(report.first.quantile(0.5) <= 120.0 && report.first_asked.mean() <= 5.0);
    assert!(report.put.quantile(0.5) <= 360.0 && report.put_asked.mean() <= 22.0);
}

#[test]
fn one_seed_is_one_run() {
    let times = |report: DhtReport| {
        [0.0, 0.5, 1.0].map(|part| (report.put.quantile(part), report.fresh.quantile(part)))
    };
    assert_eq!(times(small("loss", 60)), times(small("loss", 60)));
}

#[test]
fn a_third_that_is_frozen_holds_nobody_up_for_long() {
    let report = small("frozen", 200);
    assert_eq!((report.found, report.false_answers), (report.reads, 0));
    assert!(report.put.quantile(0.5) <= 600.0 && report.put.quantile(0.99) <= 1_200.0);
    assert!(report.first.quantile(0.99) <= 300.0);
}

/// Newcomers meet one another before who keeps a record meets them: it comes to all of them.
#[test]
fn what_is_stored_when_few_are_there_comes_to_those_who_are_nearest_when_many_are() {
    for seed in 1..=3 {
        let story = DhtScenario::named("growth", 300).expect("a story of that name");
        let report = play(&story, seed);
        println!("{report}");
        assert_eq!((report.found, report.false_answers), (report.reads, 0));
        assert!(report.kept.quantile(0.0) >= 0.75 && report.kept.mean() >= 0.98);
    }
}

#[test]
fn those_that_crash_or_are_slow_or_cannot_be_reached_take_nothing_with_them() {
    for name in ["crash", "slow", "clients", "loss", "partition"] {
        let report = small(name, 150);
        assert_eq!((report.found, report.false_answers), (report.reads, 0), "{name}");
    }
}

#[test]
fn what_colluders_hide_is_found_over_other_paths() {
    for (name, part) in [("hostile-20", 0.999), ("hostile-30", 0.99), ("hostile-50", 0.9)] {
        let report = small(name, 200);
        let found = report.found as f64 / report.reads as f64;
        assert!(found >= part, "{name}: {found}");
        assert_eq!(report.false_answers, 0, "{name}");
    }
}

#[test]
fn ids_that_are_ground_beside_a_key_do_not_hide_it() {
    let report = small("eclipse-4", 150);
    assert_eq!((report.found, report.false_answers), (report.reads, 0));
}

/// Old copies are of their time for a day longer than their life of an hour.
#[test]
fn what_was_deleted_stays_so_whoever_shows_old_copies() {
    let story = DhtScenario::named("deletion", 60).expect("a story of that name");
    let (settles, age) = (Duration::from_secs(60), Duration::from_secs(3 * 3600));
    let report = play(&DhtScenario { operations: 5, settles, age, ..story }, 1);
    let deletion = report.deletion.expect("it deletes");
    assert_eq!((deletion.fresh_reads, deletion.fresh_saw), (30, 0), "{deletion:?}");
}

#[test]
fn a_flood_gets_no_more_than_its_share() {
    let story = DhtScenario::named("flood", 40).expect("a story of that name");
    let settles = Duration::from_secs(60);
    let report = play(&DhtScenario { operations: 10, settles, ..story }, 1);
    let flood = report.flood.expect("it floods");
    // What was kept of others although they did not hear of it counts as the flood's.
    assert!(flood.most_kept <= MAX_RECORDS_PER_PEER + flood.honest_refused, "{flood:?}");
    // Of so few nodes a publisher knows, now and then, eight others that seem nearer.
    assert!(flood.honest_refused * 20 < flood.honest_near, "{flood:?}");
}

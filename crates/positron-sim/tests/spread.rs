//! How far and how fast broadcasts spread: what a report says of it, beside what was seen.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use positron_proto::{
    id::MessageId,
    time::{Duration, Instant},
};
use positron_sim::{Cut, Physics, Scenario, Seen, Selector, Workload, run, run_watched};

const NODES: usize = 40;

/// Where a message is: since when, and over how many links it came there.
type Way = BTreeMap<usize, (Instant, u8)>;

#[test]
fn a_report_tells_over_how_many_links_and_how_late_broadcasts_reach_the_last_node() {
    let secs = Duration::from_secs;
    let story = Scenario::quiet("spread", NODES, secs(30)).physics(Physics::calm());
    let story = story.broadcasts(30, 200, secs(10), secs(25));
    let ways: Arc<Mutex<BTreeMap<MessageId, Way>>> = Arc::default();
    let seen = Arc::clone(&ways);
    let report = run_watched(
        &story,
        7,
        |_| {},
        move |_| {
            Some(Box::new(move |at, what| {
                let Seen::Has { message, node, from } = what else { return };
                let mut ways = seen.lock().unwrap();
                let way = ways.entry(message).or_default();
                let hops = from.map_or(0, |from| way.get(&from).map_or(0, |(_, hops)| *hops) + 1);
                way.insert(node, (at, hops));
            }))
        },
    );
    report.expect_ok();
    let ways = ways.lock().unwrap();
    assert!(ways.len() == 30 && ways.values().all(|way| way.len() == NODES));
    let farthest = ways.values().flat_map(|way| way.values().map(|(_, hops)| *hops)).max();
    assert_eq!(Some(report.dissemination.last_hop.max), farthest);
    assert!(report.dissemination.last_hop.p50 >= 2, "nobody is linked with {NODES} nodes at once");
    // The saying itself is not seen, but when the sender's disk has it.
    let lasting = |way: &Way| {
        let times = way.values().map(|(at, _)| *at);
        times.clone().max().unwrap().since(times.min().unwrap()).as_secs_f64() * 1e3
    };
    let longest = ways.values().map(lasting).fold(0.0, f64::max);
    let told = report.dissemination.to_all_ms;
    assert_eq!(told.count, 30);
    assert!((longest..longest + 20.0).contains(&told.max), "{told:?} beside {longest} ms");
    assert!(report.extra_copies > 0.0, "the first message of all goes over every link");
}

#[test]
fn what_came_while_the_network_was_parted_says_nothing_of_how_fast_messages_spread() {
    let secs = Duration::from_secs;
    let story = Scenario::quiet("parted", 12, secs(60))
        .say(secs(10), Workload::Broadcast { from: Some(1), bytes: 99 })
        .partition(secs(15), secs(25), Selector::Part(0.5), Cut::Hold)
        .say(secs(16), Workload::Broadcast { from: Some(1), bytes: 99 });
    let report = run(&story, 7);
    report.expect_ok();
    assert_eq!(report.latency_overall_ms.count, 2 * 11);
    assert_eq!(report.dissemination.to_all_ms.count, 1);
    assert!(report.dissemination.to_all_ms.max < 2_000.0);
}

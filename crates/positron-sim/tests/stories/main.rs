//! Stories: many small worlds, each from a seed. A failure prints the scenario, the seed and the
//! last things that happened to the node; `run(&scenario, seed)` repeats it to the last bit.

mod addresses;
mod bandwidth;
mod homes;
mod identities;
mod reasons;
mod reserved;
mod rotation;
mod strangers;

use std::ops::Range;

use positron_proto::{
    node::PeerOrder,
    peers::KnownPeer,
    session::sessions::{LinkKind, LinkKinds},
    subnet::Subnet,
    time::Duration,
};
use positron_sim::{
    Adversary, Attack, BootstrapBy, Check, Cut, Death, Fault, Listen, NatType, Physics, Report,
    Scenario, Selector, Workload, World, run, stories,
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Plays the story with each seed; every promise must be kept.
fn play(scenario: &Scenario, seeds: Range<u64>) -> Vec<Report> {
    let report = |seed| {
        let report = run(scenario, seed);
        report.expect_ok();
        report
    };
    seeds.map(report).collect()
}

/// Nodes that say something every now and then, and nothing else happens.
fn chatty(name: &str, nodes: usize, lasting: u64) -> Scenario {
    Scenario::quiet(name, nodes, secs(lasting)).broadcasts(20, 200, secs(3), secs(lasting - 8))
}

fn crash(who: Selector, death: Death) -> Fault {
    Fault::Crash { who, death }
}

#[test]
fn nodes_find_each_other_through_one_bootstrap_node() {
    for nodes in [2, 3, 5, 12] {
        for report in play(&chatty("bootstrap", nodes, 20), 0..10) {
            assert_eq!(report.connected_nodes, nodes);
            assert_eq!(report.deliveries, 20 * (nodes as u64 - 1));
        }
    }
}

#[test]
fn a_bootstrap_node_may_be_given_by_name() {
    let mut story = chatty("by name", 6, 20);
    story.bootstrap_by = BootstrapBy::Name;
    play(&story, 0..10);
}

#[test]
fn one_seed_gives_one_run_and_another_seed_another() {
    let story = stories::default(5);
    let [first, again, other] = [1, 1, 2].map(|seed| run(&story, seed));
    assert_eq!(first.run_hash, again.run_hash);
    assert_eq!(first.events, again.events);
    assert_ne!(first.run_hash, other.run_hash);
}

#[test]
fn the_default_story_is_kept_by_small_networks() {
    for nodes in [5, 10] {
        for report in play(&stories::default(nodes), 0..10) {
            assert_eq!((report.broadcasts, report.broadcasts_lost), (100, 0));
            assert_eq!(report.deliveries, 100 * (nodes as u64 - 1));
        }
    }
}

#[test]
fn the_network_outlives_its_bootstrap_node() {
    let story = chatty("no bootstrap", 8, 40)
        .fault(secs(8), crash(Selector::Node(0), Death::Killed))
        .fault(secs(25), Fault::Start(Selector::All));
    play(&story, 0..20);
}

#[test]
fn any_third_may_die_and_the_others_miss_nothing() {
    for death in [Death::Killed, Death::PowerCut] {
        let story =
            chatty("a third dies", 9, 40).fault(secs(10), crash(Selector::Part(0.34), death));
        for report in play(&story, 0..20) {
            assert_eq!(report.live_nodes, 6);
        }
    }
}

#[test]
fn who_died_comes_back_and_catches_up() {
    for death in [Death::Killed, Death::PowerCut] {
        let story = chatty("a third comes back", 9, 60)
            .fault(secs(10), crash(Selector::Part(0.34), death))
            .fault(secs(35), Fault::Start(Selector::All));
        for report in play(&story, 0..20) {
            assert_eq!((report.live_nodes, report.connected_nodes), (9, 9));
        }
    }
}

#[test]
fn a_partition_heals_whatever_became_of_its_connections() {
    for cut in [Cut::Hold, Cut::Sever] {
        let story =
            chatty("partition", 9, 60).partition(secs(8), secs(35), Selector::Part(0.5), cut);
        play(&story, 0..20);
    }
}

#[test]
fn a_late_joiner_gets_what_was_said_before_it_came() {
    let mut story = Scenario::quiet("late", 6, secs(30))
        .broadcasts(30, 300, secs(2), secs(12))
        .fault(secs(15), Fault::Start(Selector::All));
    story.absent = vec![5];
    for report in play(&story, 0..20) {
        assert_eq!(report.deliveries, 150);
    }
}

#[test]
fn a_number_is_never_used_twice_even_if_the_disk_forgot_what_was_said() {
    // The sender loses its power at every stage between the saying and the disk.
    for late in 0..20 {
        let mut story = Scenario::quiet("unsynced", 4, secs(40))
            .fault(
                secs(10) + Duration::from_millis(3 * late),
                crash(Selector::Node(2), Death::PowerCut),
            )
            .fault(secs(15), Fault::Start(Selector::All));
        for n in 0..20 {
            let saying = Workload::Broadcast { from: Some(2), bytes: 100 };
            story = story.say(secs(10) + Duration::from_millis(3 * n), saying);
            story = story.say(secs(16) + Duration::from_millis(3 * n), saying);
        }
        story.physics.commit = (Duration::from_millis(1), Duration::from_millis(40));
        play(&story, late..late + 3);
    }
}

#[test]
fn a_message_is_handed_over_once_in_a_life_and_seldom_twice_across_lives() {
    let mut story = chatty("lives", 6, 90);
    for round in 0..8 {
        let at = secs(5 + 9 * round);
        let death = if round % 2 == 0 { Death::Killed } else { Death::PowerCut };
        story = story
            .fault(at, crash(Selector::Part(0.4), death))
            .fault(at + secs(4), Fault::Start(Selector::All));
    }
    for report in play(&story, 0..20) {
        assert_eq!(report.duplicate_deliveries, 0);
        // A message in each life would be several times the deliveries.
        assert!(report.redeliveries_across_restarts * 4 <= report.deliveries, "{report:?}");
    }
}

#[test]
fn a_slow_reader_holds_up_nobody_else() {
    let mut story = Scenario::quiet("slow reader", 7, secs(60))
        .broadcasts(60, 60_000, secs(5), secs(35))
        .fault(secs(6), Fault::StopReading(Selector::Node(3)))
        .fault(secs(40), Fault::ReadAgain(Selector::Node(3)));
    story.physics.kernel_buffer = 64 * 1024;
    for report in play(&story, 0..5) {
        assert!(report.latency_ms.p50 < 2_000.0, "{:?}", report.latency_ms);
    }
}

#[test]
fn large_messages_survive_links_that_are_reset_under_them() {
    let mut story = Scenario::quiet("bulk", 5, secs(60));
    for n in 0..8 {
        let from = Some(usize::try_from(n % 5).unwrap());
        story = story.say(secs(4 + 2 * n), Workload::Broadcast { from, bytes: 1 << 20 });
    }
    for n in 0..12 {
        story = story.fault(
            secs(4) + Duration::from_millis(1_370 * n),
            Fault::Reset { who: Selector::All, part: 0.3 },
        );
    }
    play(&story, 0..5);
}

#[test]
fn a_slow_line_carries_a_large_message_once() {
    let mut story = Scenario::quiet("slow lines", 4, secs(120));
    for n in 0..6 {
        let from = Some(usize::try_from(n % 3).unwrap());
        story = story.say(secs(5 + n), Workload::Broadcast { from, bytes: 300_000 });
    }
    // A message takes six seconds, and whoever comes late and asks for it asks again after one.
    story.physics = Physics { rate: Some(50_000), ..Physics::calm() };
    story.absent = vec![3];
    for report in play(&story.fault(secs(45), Fault::Start(Selector::Node(3))), 0..5) {
        let served = counted(&report, "gossip", "iwant_served");
        // Each holder sends each message to each other once: the author to two, they to each other,
        // and all three to who comes late.
        assert!(served <= 6 * (2 + 2 + 3), "{served} copies: {}", report.counters);
    }
}

#[test]
fn who_publishes_eight_windows_at_once_over_slow_lines_loses_nothing() {
    for (bytes, count) in [(1_000, 1_600), (100, 1_600)] {
        let mut story = Scenario::quiet("a burst", 8, secs(180));
        story.config.gossip.cache_size = 200;
        story.physics = Physics { rate: Some(150_000), ..Physics::default() };
        // The last ones wait for longer than a ticket does otherwise.
        story = story.waive(Check::Liveness);
        for _ in 0..count {
            story = story.say(secs(5), Workload::Broadcast { from: Some(2), bytes });
        }
        for report in play(&story, 0..3) {
            assert_eq!(counted(&report, "gossip", "published"), count, "{}", report.counters);
            assert_eq!(report.deliveries, 7 * count, "{}", report.counters);
        }
    }
}

#[test]
fn verdicts_may_come_late_and_in_any_order() {
    let story = chatty("verdicts", 7, 40).physics(Physics::default().slow_verdicts());
    play(&story, 0..20);
}

#[test]
fn disks_may_be_slow() {
    let story = chatty("disks", 7, 40)
        .physics(Physics::default().slow_disks())
        .fault(secs(12), crash(Selector::Part(0.3), Death::PowerCut))
        .fault(secs(20), Fault::Start(Selector::All));
    play(&story, 0..20);
}

#[test]
fn wall_clocks_may_be_hours_apart_and_jump() {
    let skewed = Physics { clock_skew: secs(40_000), ..Physics::default() };
    let story = chatty("clocks", 7, 40)
        .physics(skewed)
        .fault(secs(10), Fault::TurnClock { who: Selector::Part(0.3), seconds: -90_000 })
        .fault(secs(14), Fault::TurnClock { who: Selector::Part(0.3), seconds: 90_000 });
    play(&story, 0..20);
}

#[test]
fn direct_messages_arrive_once_across_resets() {
    let mut story = Scenario::quiet("direct", 5, secs(60));
    for n in 0..60 {
        let node = |k: u64| usize::try_from(k % 5).unwrap();
        let direct = Workload::Direct { from: node(n), to: node(n * 3 + n / 5 + 1), bytes: 3_000 };
        if matches!(direct, Workload::Direct { from, to, .. } if from != to) {
            story = story.say(secs(5) + Duration::from_millis(300 * n), direct);
        }
    }
    for n in 0..15 {
        let reset = Fault::Reset { who: Selector::All, part: 0.4 };
        story = story.fault(secs(5) + Duration::from_millis(1_210 * n), reset);
    }
    for report in play(&story, 0..20) {
        let directs = report.directs;
        assert_eq!(directs.acknowledged + directs.given_up, directs.sent, "{directs:?}");
        assert!(directs.received >= directs.acknowledged, "{directs:?}");
        assert!(directs.acknowledged * 10 >= directs.sent * 9, "{directs:?}");
    }
}

#[test]
fn links_that_die_without_a_word_are_noticed() {
    let story = chatty("silence", 7, 60)
        .fault(secs(10), Fault::Silence { who: Selector::All, part: 0.5 })
        .fault(secs(25), Fault::Silence { who: Selector::All, part: 0.5 });
    play(&story, 0..20);
}

#[test]
fn a_node_that_stood_still_catches_up() {
    let frozen = |who, lasting| Fault::Freeze { who, lasting };
    let story = chatty("freeze", 7, 60)
        .fault(secs(10), frozen(Selector::Part(0.3), secs(2)))
        .fault(secs(20), frozen(Selector::Part(0.3), secs(12)));
    play(&story, 0..20);
}

#[test]
fn a_node_that_stops_says_goodbye_and_comes_back() {
    let story = chatty("stop", 7, 60)
        .fault(secs(12), Fault::Stop(Selector::Part(0.3)))
        .fault(secs(30), Fault::Start(Selector::All));
    for report in play(&story, 0..20) {
        // Everything was flushed: nothing has to be handed over again.
        assert_eq!(report.redeliveries_across_restarts, 0);
    }
}

#[test]
fn a_broken_disk_does_not_stop_the_gossip_of_others() {
    let story = chatty("broken disk", 6, 40).fault(secs(10), Fault::BreakDisk(Selector::Node(3)));
    play(&story, 0..10);
}

#[test]
fn a_disk_that_was_away_heals_by_itself_and_nothing_is_missing_on_it() {
    // The broadcasts of node 3 wait meanwhile, and complete: nobody has to ask again.
    let story = chatty("disk away", 6, 60)
        // More than is given to a disk at a time.
        .broadcasts(120, 48_000, secs(9), secs(20))
        .fault(secs(8), Fault::TakeDisk(Selector::Node(3)))
        .say(secs(12), Workload::Broadcast { from: Some(3), bytes: 100 })
        .fault(secs(24), Fault::GiveDiskBack(Selector::Node(3)))
        // What it keeps is on its disk: who starts again hands nothing over twice.
        .fault(secs(40), crash(Selector::Node(3), Death::Killed))
        .fault(secs(42), Fault::Start(Selector::Node(3)));
    for report in play(&story, 0..5) {
        assert_eq!(report.redeliveries_across_restarts, 0);
        assert_eq!(report.counters["node"]["changes_dropped"], 0);
    }
}

#[test]
fn what_is_made_right_again_is_so_for_a_machine_that_starts_later_too() {
    // Node 3 is dead when its network and its disk are made right again.
    let dead = Selector::Node(3);
    let story = chatty("right again", 6, 70)
        .fault(secs(8), Fault::TakeDisk(dead.clone()))
        .fault(secs(8), Fault::Filter { who: dead.clone(), transport: LinkKind::Udp })
        .fault(secs(8), Fault::Mute(dead.clone()))
        .fault(secs(8), Fault::StopReading(dead.clone()))
        .fault(secs(9), crash(dead.clone(), Death::PowerCut))
        .fault(secs(10), Fault::GiveDiskBack(Selector::All))
        .fault(secs(10), Fault::Unfilter(Selector::All))
        .fault(secs(10), Fault::ReadAgain(Selector::All))
        .fault(secs(12), Fault::Start(dead))
        .say(secs(20), Workload::Broadcast { from: Some(3), bytes: 100 });
    for report in play(&story, 0..5) {
        assert_eq!(report.broadcasts, 21);
    }
}

#[test]
fn who_brings_more_than_a_disk_takes_is_slowed_and_keeps_its_link() {
    // A batch of 4 MiB takes 0.4 s: 10 MB/s. It is told 16 MB/s.
    for kind in [LinkKind::Udp, LinkKind::Tcp] {
        let mut story = Scenario::quiet("slow disk", 2, secs(25)).waive(Check::Convergence);
        for n in 0..1_024 {
            let saying = Workload::Broadcast { from: Some(0), bytes: 64 * 1024 };
            story = story.say(secs(5) + Duration::from_micros(4_096 * n), saying);
        }
        story.physics = Physics::calm();
        story.physics.delay = (Duration::from_millis(1), Duration::from_millis(1));
        story.physics.commit = (Duration::from_millis(400), Duration::from_millis(400));
        story.config.session.transports = LinkKinds::of(&[kind]);
        for report in play(&story, 0..1) {
            let (node, session) = (&report.counters["node"], &report.counters["session"]);
            assert!(node["links_held"].as_u64() > Some(0), "{kind}");
            assert_eq!(node["changes_dropped"], 0);
            assert_eq!(session["sessions"], 2, "{kind}: {session}");
        }
    }
}

#[test]
fn who_brings_more_than_is_checked_is_slowed_and_nothing_is_dropped() {
    for kind in [LinkKind::Udp, LinkKind::Tcp] {
        let mut story = Scenario::quiet("slow checks", 2, secs(25)).waive(Check::Convergence);
        for n in 0..4_000 {
            let saying = Workload::Broadcast { from: Some(0), bytes: 256 };
            story = story.say(secs(5) + Duration::from_micros(20 * n), saying);
        }
        story.physics = Physics::calm();
        story.physics.verdict = (Duration::from_millis(5), Duration::from_millis(60));
        story.config.session.transports = LinkKinds::of(&[kind]);
        for report in play(&story, 0..3) {
            let (node, gossip) = (&report.counters["node"], &report.counters["gossip"]);
            assert!(node["links_held"].as_u64() > Some(0), "{kind}");
            assert_eq!(node["verifications_dropped"], 0, "{kind}");
            assert_eq!(gossip["verifications_deferred"], 0, "{kind}");
            assert_eq!(gossip["delivered"], 4_000, "{kind}");
        }
    }
}

#[test]
fn strangers_who_talk_nonsense_change_nothing() {
    let mut story = chatty("strangers", 6, 40);
    story.guests = vec![Adversary::Outsider; 4];
    play(&story, 0..20);
}

#[test]
fn every_story_with_a_name_is_kept() {
    for name in stories::NAMES {
        let story = stories::named(name, 10).unwrap();
        play(&story, 0..3);
    }
}

#[test]
fn a_broken_promise_is_found_and_told_with_its_history() {
    // Nobody can have heard what was said a moment ago.
    let story = Scenario::quiet("too short", 3, secs(10))
        .say(Duration::from_micros(9_999_000), Workload::Broadcast { from: Some(1), bytes: 10 });
    let report = run(&story, 1);
    let violation = report.violations.first().expect("the message cannot have arrived");
    assert_eq!(violation.check, Check::Convergence);
    assert!(!violation.history.is_empty());
    assert!(run(&story.waive(Check::Convergence), 1).is_ok());
}

#[test]
fn a_world_can_be_stepped_through() {
    let mut world = World::new(&Scenario::quiet("steps", 3, secs(60)), 5);
    world.run_until(secs(5));
    assert_eq!(world.live().count(), 3);
    assert_eq!(world.view(2).unwrap().peers.len(), 2);
    world.apply(&crash(Selector::Node(1), Death::Killed));
    // Nobody says anything to it, so that it is missed when a heartbeat is.
    world.run_until(secs(45));
    assert!(world.node(1).is_none());
    assert_eq!(world.view(2).unwrap().peers.len(), 1);
    world.say(Workload::Broadcast { from: Some(2), bytes: 50 }).unwrap().unwrap();
    world.run_until(secs(47));
    world.finish().expect_ok();
    assert_eq!(world.snapshot(0).gossip.messages.len(), 1);
}

/// What all nodes counted together under this name.
fn counted(report: &Report, room: &str, name: &str) -> u64 {
    report.counters[room][name].as_u64().unwrap()
}

#[test]
fn traitors_with_an_identity_are_outlived_and_found_out() {
    for (attack, room, sign) in [
        (Attack::Forge, "gossip", "forged"),
        (Attack::Replay, "gossip", "duplicates"),
        (Attack::Equivocate, "gossip", "equivocations"),
        (Attack::Withhold, "gossip", "iwant_timeouts"),
        (Attack::Flood, "peers", "inbound_refused_banned"),
    ] {
        let mut story = chatty("traitors", 7, 40);
        story.name = format!("byzantine: {attack:?}");
        story.guests = vec![Adversary::Byzantine(attack); 2];
        for report in play(&story, 0..5) {
            assert!(counted(&report, room, sign) > 0, "{attack:?}: {}", report.counters);
        }
    }
}

#[test]
fn who_makes_more_work_than_a_peer_may_is_held_and_sent_away_and_honest_nodes_are_not() {
    let mut story = chatty("more work than others", 7, 40);
    story.guests = vec![Adversary::Byzantine(Attack::Announce)];
    for report in play(&story, 0..2) {
        assert!(counted(&report, "node", "peers_over_budget") > 0, "{}", report.counters);
        assert!(counted(&report, "peers", "inbound_refused_banned") > 0, "{}", report.counters);
    }
    for report in play(&chatty("as much as honest nodes make", 7, 40), 0..2) {
        assert_eq!(counted(&report, "node", "peers_over_budget"), 0, "{}", report.counters);
    }
}

#[test]
fn direct_messages_to_a_node_that_died_wait_for_it_or_are_given_up() {
    let mut story = Scenario::quiet("direct to the dead", 5, secs(70));
    for n in 0..20 {
        let direct = Workload::Direct { from: 1, to: 3, bytes: 500 };
        story = story.say(secs(8) + Duration::from_millis(400 * n), direct);
    }
    for death in [Death::Killed, Death::PowerCut] {
        for (back, all) in [(13, true), (45, false)] {
            let story = story
                .clone()
                .fault(secs(10), crash(Selector::Node(3), death))
                .fault(secs(back), Fault::Start(Selector::Node(3)));
            for report in play(&story, 0..10) {
                let directs = report.directs;
                assert_eq!(directs.acknowledged + directs.given_up, directs.sent, "{directs:?}");
                assert_eq!(directs.given_up == 0, all, "{directs:?}");
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let story = Scenario::quiet("threads", 70, secs(9)).broadcasts(5, 100, secs(5), secs(7));
    let on = |threads| {
        let mut world = World::new(&story, 3);
        world.use_threads(threads);
        world.play(|_| {})
    };
    let [one, three] = [1, 3].map(on);
    one.expect_ok();
    assert_eq!((one.run_hash, one.events), (three.run_hash, three.events));
}

#[test]
fn whatever_goes_wrong_for_a_minute_is_made_good_in_the_next() {
    for seed in 0..40 {
        let nodes = 3 + usize::try_from(seed % 7).unwrap();
        run(&stories::storm(nodes, seed), seed).expect_ok();
    }
}

//! Stories of sessions that move between datagrams and streams: what is said meanwhile arrives
//! once, and no session ends where none has to.

use positron_proto::{
    node::NodeView,
    session::sessions::{LinkKind, LinkKinds},
    time::Duration,
};
use positron_sim::{Death, Fault, Report, Scenario, Selector, StreamTally, Workload, World};

const NODES: usize = 5;
/// Each node's sessions: everybody is linked to everybody.
const SESSIONS: usize = NODES - 1;
/// From the loss of the datagrams until every session with traffic goes on over a stream.
const TO_TCP: Duration = Duration::from_secs(3);
/// Datagrams are tried again after waits of 2, 4, 8 and 16 s.
const TO_UDP: Duration = Duration::from_secs(17);

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Every node says something to everybody five times a second, and to a neighbour as often.
fn busy(name: &str, lasting: u64) -> Scenario {
    let mut story = Scenario::quiet(name, NODES, secs(lasting));
    for n in 0..(lasting - 15) * 5 {
        let at = secs(5) + Duration::from_millis(200 * n);
        for from in 0..NODES {
            let to = (from + 1 + usize::try_from(n).unwrap() % SESSIONS) % NODES;
            story = story
                .say(at, Workload::Broadcast { from: Some(from), bytes: 200 })
                .say(at, Workload::Direct { from, to, bytes: 300 });
        }
    }
    story
}

const fn cut(who: Selector, transport: LinkKind) -> Fault {
    Fault::Filter { who, transport }
}

fn views(world: &World) -> Vec<NodeView> {
    world.live().filter_map(|node| world.view(node)).collect()
}

/// Every session is there, and over `transport`.
fn assert_all_over(world: &World, transport: LinkKind) {
    for (node, view) in views(world).iter().enumerate() {
        let these: Vec<_> = view.peers.iter().map(|peer| peer.session.transport).collect();
        assert_eq!(these, [transport; SESSIONS], "node {node} at {:?}", world.now());
    }
}

fn sum(world: &World, of: impl Fn(&NodeView) -> u64) -> u64 {
    views(world).iter().map(of).sum()
}

/// Sessions that came up, and those that moved to streams and to datagrams.
fn counted(world: &World) -> [u64; 3] {
    let sessions = sum(world, |view| view.counters.session.sessions);
    let to_tcp = sum(world, |view| view.moves[LinkKind::Tcp]);
    [sessions, to_tcp, sum(world, |view| view.moves[LinkKind::Udp])]
}

/// No session came up since, but so many ends of sessions moved to streams, and to datagrams.
fn assert_moved(world: &World, since: [u64; 3], (to_tcp, to_udp): (usize, usize)) {
    let moved = [0, to_tcp, to_udp].map(|count| u64::try_from(count).unwrap());
    let expected = [0, 1, 2].map(|n| since[n] + moved[n]);
    assert_eq!(counted(world), expected, "since {since:?}");
}

/// Every promise was kept, and every direct message was acknowledged.
fn assert_all_arrived(report: &Report) {
    report.expect_ok();
    let directs = report.directs;
    assert_eq!((directs.acknowledged, directs.received), (directs.sent, directs.sent));
    assert_eq!((report.broadcasts_lost, report.duplicate_deliveries), (0, 0));
}

#[test]
fn a_filter_of_datagrams_moves_every_session_to_streams_and_its_end_brings_them_back() {
    for seed in 0..3 {
        let mut world = World::new(&busy("datagrams cut", 70), seed);
        world.run_until(secs(20));
        assert_all_over(&world, LinkKind::Udp);
        let before = counted(&world);
        world.apply(&cut(Selector::All, LinkKind::Udp));
        world.run_until(secs(20) + TO_TCP);
        assert_all_over(&world, LinkKind::Tcp);
        world.run_until(secs(30));
        assert_all_over(&world, LinkKind::Tcp);
        world.apply(&Fault::Unfilter(Selector::All));
        world.run_until(secs(30) + TO_UDP);
        assert_all_over(&world, LinkKind::Udp);
        // Each session has two ends.
        assert_moved(&world, before, (NODES * SESSIONS, NODES * SESSIONS));
        world.run_until(secs(70));
        let report = world.finish();
        assert_all_arrived(&report);
        let longest = report.latency_overall_ms.max;
        assert!(longest < 4_000.0, "seed {seed}: {longest} ms");
    }
}

/// Every node opens a stream to each other one, of half a megabyte.
fn with_streams(mut story: Scenario, at: Duration) -> Scenario {
    for from in 0..NODES {
        for to in (0..NODES).filter(|to| *to != from) {
            story = story.say(at, Workload::Stream { from, to, bytes: 500_000 });
        }
    }
    story
}

/// How many streams that is.
const STREAMS: u64 = (NODES * SESSIONS) as u64;

#[test]
fn streams_go_on_over_tcp_when_datagrams_are_cut_off_and_back_when_they_are_not() {
    for seed in 0..3 {
        let [before, after] = [Duration::from_millis(19_900), Duration::from_millis(29_900)];
        let story = with_streams(with_streams(busy("streams move", 70), before), after);
        let mut world = World::new(&story, seed);
        world.run_until(secs(20));
        let under_way = world.streams();
        assert_eq!(under_way.opened, STREAMS);
        assert!(under_way.delivered < STREAMS, "seed {seed}: {under_way:?}");
        world.apply(&cut(Selector::All, LinkKind::Udp));
        world.run_until(after);
        assert_all_over(&world, LinkKind::Tcp);
        assert_eq!(world.streams().delivered, STREAMS);
        world.run_until(secs(30));
        let under_way = world.streams();
        assert_eq!(under_way.opened, 2 * STREAMS);
        assert!(under_way.delivered < 2 * STREAMS, "seed {seed}: {under_way:?}");
        world.apply(&Fault::Unfilter(Selector::All));
        world.run_until(secs(70));
        assert_all_over(&world, LinkKind::Udp);
        let report = world.finish();
        assert_all_arrived(&report);
        let (opened, whole, delivered) = (2 * STREAMS, 2 * STREAMS, 2 * STREAMS);
        assert_eq!(report.streams, StreamTally { opened, whole, delivered, ..Default::default() });
    }
}

#[test]
fn the_death_of_an_end_is_told_to_the_writers_of_all_its_streams_within_three_seconds() {
    for (seed, death) in [(0, Death::Killed), (1, Death::PowerCut), (2, Death::PowerCut)] {
        let at = Duration::from_millis(19_900);
        let mut world = World::new(&with_streams(busy("streams end", 40), at), seed);
        world.run_until(secs(20));
        let arrived = world.streams().delivered;
        world.apply(&Fault::Crash { who: Selector::Node(2), death });
        world.run_until(secs(23));
        let streams = world.streams();
        // Those of the others to it; what it wrote itself is nobody's business any more.
        let to_it = u64::try_from(SESSIONS).unwrap();
        assert!(streams.lost <= to_it, "seed {seed}: {streams:?}");
        assert!(streams.lost + arrived >= to_it && streams.wrong == 0, "seed {seed}: {streams:?}");
        world.run_until(secs(40));
        assert_eq!(world.finish().streams.wrong, 0);
    }
}

#[test]
fn who_only_sends_in_vain_moves_too() {
    for seed in 0..3 {
        let mut world = World::new(&busy("one way", 60), seed);
        world.run_until(secs(15));
        let before = counted(&world);
        world.apply(&Fault::Mute(Selector::Node(2)));
        world.run_until(secs(15) + TO_TCP);
        let view = world.view(2).unwrap();
        assert!(view.peers.iter().all(|peer| peer.session.transport == LinkKind::Tcp));
        world.run_until(secs(25));
        world.apply(&Fault::Unfilter(Selector::All));
        world.run_until(secs(25) + TO_UDP);
        assert_all_over(&world, LinkKind::Udp);
        // Every session moves at both ends, there and back, and none to and fro. Where the dialler
        // is the one that hears everything, the other end gives up first, and the session may come
        // up anew, once.
        let both_ends = u64::try_from(2 * SESSIONS).unwrap();
        let moved: Vec<u64> = (0..3).map(|n| counted(&world)[n] - before[n]).collect();
        assert!(moved[0] <= both_ends, "seed {seed}: {moved:?}");
        assert_eq!(moved[1..], [both_ends; 2], "seed {seed}: {moved:?}");
        world.run_until(secs(60));
        assert_all_arrived(&world.finish());
    }
}

#[test]
fn where_no_datagram_gets_through_from_the_start_there_are_streams() {
    for seed in 0..3 {
        let story =
            busy("no datagrams", 70).fault(Duration::ZERO, cut(Selector::All, LinkKind::Udp));
        let mut world = World::new(&story, seed);
        world.run_until(secs(8));
        assert_all_over(&world, LinkKind::Tcp);
        world.run_until(secs(20));
        world.apply(&Fault::Unfilter(Selector::All));
        // By now the wait has become as long as 32 s.
        world.run_until(secs(58));
        assert_all_over(&world, LinkKind::Udp);
        world.run_until(secs(70));
        assert_all_arrived(&world.finish());
    }
}

#[test]
fn where_no_stream_gets_through_there_are_datagrams() {
    for seed in 0..3 {
        let story = busy("no streams", 40).fault(Duration::ZERO, cut(Selector::All, LinkKind::Tcp));
        let mut world = World::new(&story, seed);
        for until in [8, 20, 40] {
            world.run_until(secs(until));
            assert_all_over(&world, LinkKind::Udp);
        }
        assert_eq!(counted(&world)[1..], [0, 0]);
        assert_all_arrived(&world.finish());
    }
}

#[test]
fn a_session_follows_its_node_to_another_address() {
    for seed in 0..3 {
        let mut world = World::new(&busy("other addresses", 50), seed);
        world.run_until(secs(15));
        let before = counted(&world);
        for (until, node) in [(20, 1), (25, 3), (30, 1), (35, 0)] {
            world.apply(&Fault::Rebind(Selector::Node(node)));
            world.run_until(secs(until));
        }
        assert_all_over(&world, LinkKind::Udp);
        assert!(sum(&world, |view| view.counters.datagrams.migrations) >= 4 * SESSIONS as u64);
        assert_moved(&world, before, (0, 0));
        world.run_until(secs(50));
        assert_all_arrived(&world.finish());
    }
}

#[test]
fn nodes_that_die_while_datagrams_are_cut_come_back_over_streams() {
    for death in [Death::Killed, Death::PowerCut] {
        for seed in 0..3 {
            let story = Scenario::quiet("cut and crash", NODES, secs(70))
                .broadcasts(100, 200, secs(5), secs(50))
                .fault(secs(15), cut(Selector::All, LinkKind::Udp))
                .fault(secs(17), Fault::Crash { who: Selector::Part(0.4), death })
                .fault(secs(24), Fault::Start(Selector::All));
            let mut world = World::new(&story, seed);
            world.run_until(secs(35));
            assert_all_over(&world, LinkKind::Tcp);
            world.apply(&Fault::Unfilter(Selector::All));
            world.run_until(secs(70));
            assert_all_over(&world, LinkKind::Udp);
            world.finish().expect_ok();
        }
    }
}

#[test]
fn nodes_may_be_told_to_use_one_transport_only() {
    for (transports, transport) in
        [(LinkKinds::UDP, LinkKind::Udp), (LinkKinds::TCP, LinkKind::Tcp)]
    {
        let mut story = busy("one transport", 30);
        story.config.session.transports = transports;
        let mut world = World::new(&story, 1);
        world.run_until(secs(20));
        assert_all_over(&world, transport);
        world.run_until(secs(30));
        assert_all_arrived(&world.finish());
    }
}

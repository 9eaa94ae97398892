//! Stories of limits of bandwidth: whole nodes, of which each has more to say than it may.

use positron_proto::session::sessions::RateLimit;

use super::*;

/// Bytes that a node sent and received so far, over datagrams and byte streams.
fn traffic(world: &World, node: usize) -> [u64; 2] {
    let counters = world.view(node).unwrap().counters;
    let (datagrams, session) = (counters.datagrams, counters.session);
    [datagrams.bytes_sent + session.bytes_sent, datagrams.bytes_received + session.bytes_received]
}

/// Everybody has a stream for everybody, and says something to all now and then.
fn busy(name: &str, nodes: usize, bytes: u64) -> Scenario {
    let mut story = chatty(name, nodes, 60);
    for (from, to) in (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to))) {
        if from != to {
            story = story.say(secs(6), Workload::Stream { from, to, bytes });
        }
    }
    story
}

/// What was counted each tenth of a second, from the tenth second on.
fn watch(world: &mut World, nodes: usize) -> Vec<Vec<[u64; 2]>> {
    let mut seen = vec![vec![]; nodes];
    for tenth in 100..=450 {
        world.run_until(Duration::from_millis(100 * tenth));
        for (node, seen) in seen.iter_mut().enumerate() {
            seen.push(traffic(world, node));
        }
    }
    seen
}

/// The least and the most of any ten seconds, as parts of the limit.
fn any_ten_seconds(seen: &[[u64; 2]], way: usize, rate: u64) -> (f64, f64) {
    let parts = seen.windows(101).map(|ten| {
        let bytes = ten[100][way] - ten[0][way];
        bytes as f64 / (10 * rate) as f64
    });
    parts.fold((f64::INFINITY, 0.0), |(least, most), part| (least.min(part), most.max(part)))
}

#[test]
fn what_whole_nodes_send_and_receive_holds_their_limits() {
    let nodes = 5;
    for (seed, kinds) in [(1, LinkKinds::BOTH), (2, LinkKinds::UDP), (3, LinkKinds::TCP)] {
        for (way, rate) in [(0, 60_000), (1, 60_000)] {
            let told = format!("{kinds:?}, seed {seed}, way {way}");
            let mut story = busy("limits", nodes, 1 << 20);
            story.config.session.transports = kinds;
            let limit = RateLimit { node: Some(rate), peer: None };
            let session = &mut story.config.session;
            *[&mut session.upload, &mut session.download][way] = limit;
            let mut world = World::new(&story, seed);
            let seen = watch(&mut world, nodes);
            for (node, seen) in seen.iter().enumerate() {
                let (least, most) = any_ten_seconds(seen, way, rate);
                println!("{told}: node {node}: {least:.4} to {most:.4}");
                assert!(least >= 0.95 && most <= 1.05, "{told}: node {node}: {least} to {most}");
                assert_eq!(world.view(node).unwrap().peers.len(), nodes - 1, "{told}");
            }
            assert!(world.violations().is_empty(), "{told}: {:?}", world.violations());
        }
    }
}

#[test]
fn a_broadcast_reaches_everybody_although_streams_fill_every_limit() {
    for seed in 0..3 {
        let mut story = busy("limits and broadcasts", 5, 100_000);
        story.config.session.upload = RateLimit { node: Some(100_000), peer: Some(50_000) };
        story.config.session.download = RateLimit { node: Some(80_000), peer: Some(40_000) };
        let report = run(&story, seed);
        report.expect_ok();
        assert_eq!((report.broadcasts, report.deliveries), (20, 80));
        assert_eq!(report.run_hash, run(&story, seed).run_hash);
    }
}

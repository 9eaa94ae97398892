//! Stories of pairs that stay on a relay: what is urgent, while much is said.

use positron_proto::{session::sessions::LinkKind, time::Duration};
use positron_sim::{
    AddressBlock, Adversary, Death, Deceit, Fault, Listen, NatType, Physics, Scenario, Selector,
    Workload, World,
};

const HOMES: [usize; 2] = [1, 2];

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Two homes that cannot meet, and public nodes that all are linked to.
fn homes(relays: usize, lasting: u64) -> Scenario {
    let mut story = Scenario::quiet("relayed", relays + 2, secs(lasting));
    story.physics = Physics { delay: story.physics.delay, ..Physics::calm() };
    story.listen = Listen::Port;
    story.addresses = AddressBlock::Public;
    story.config.peers.min_peers = relays;
    let [a, b] = HOMES;
    story.at_home(a, NatType::Symmetric).at_home(b, NatType::Symmetric)
}

/// Over what kind of link the session of two nodes goes, if there is one.
fn link(world: &World, of: usize, to: usize) -> Option<LinkKind> {
    let id = world.id(to);
    let mut sessions = world.view(of)?.peers.into_iter().map(|peer| peer.session);
    sessions.find(|session| session.peer.id == id).map(|session| session.transport)
}

#[test]
fn what_is_urgent_crosses_a_relay_in_well_under_a_second_however_much_is_said() {
    for (seed, ways) in (0..2).flat_map(|seed| [(seed, 1_u8), (seed, 2)]) {
        let mut world = World::new(&homes(1, 90), seed);
        world.run_until(secs(20));
        for (from, to) in [(1, 2), (2, 1)].into_iter().take(usize::from(ways)) {
            let bytes = 2 << 20;
            assert_eq!(world.say(Workload::Stream { from, to, bytes }), Some(Ok(())));
        }
        // By then the burst of the relay is spent.
        for step in 1..=100 {
            world.run_until(secs(25) + Duration::from_millis(100 * step));
            for (from, to) in [(1, 2), (2, 1)] {
                assert_eq!(world.ask(from, to, Duration::ZERO, secs(60)), Some(Ok(())));
            }
        }
        assert_eq!(link(&world, 1, 2), Some(LinkKind::Relay), "seed {seed}");
        world.run_until(secs(90));
        let questions = world.questions();
        let mut took: Vec<_> = questions.iter().map(|it| it.ends[0].0.since(it.at)).collect();
        took.sort_unstable();
        let at = |part: usize| took[(took.len() - 1) * part / 100];
        println!(
            "seed {seed}, {ways} streams: p50 {:?}, p90 {:?}, max {:?}",
            at(50),
            at(90),
            at(100)
        );
        assert!(at(100) < Duration::from_millis(600), "seed {seed}: {:?} there and back", at(100));
        let report = world.finish();
        report.expect_ok();
        assert_eq!(report.streams.delivered, u64::from(ways), "seed {seed}");
    }
}

/// Pairs of others between which a node forwards.
fn pairs(world: &World, of: usize) -> u64 {
    world.view(of).map_or(0, |view| view.levels.relay.pairs.used)
}

/// The two homes ask and tell each other something ten times a second from 20 s to 50 s; at 30 s
/// something happens. How long the longest question of all took.
fn talk(world: &mut World, happens: impl FnOnce(&mut World)) -> Duration {
    let mut happens = Some(happens);
    for step in 0..300 {
        world.run_until(secs(20) + Duration::from_millis(100 * step));
        if step == 100 {
            happens.take().into_iter().for_each(|happens| happens(world));
        }
        for [from, to] in [HOMES, [HOMES[1], HOMES[0]]] {
            assert_eq!(world.say(Workload::Direct { from, to, bytes: 200 }), Some(Ok(())));
            assert_eq!(world.ask(from, to, Duration::ZERO, secs(30)), Some(Ok(())));
        }
    }
    world.run_until(secs(90));
    let ends = world.questions().iter().map(|it| match &it.ends[..] {
        [(at, Ok(()))] => at.since(it.at),
        _ => panic!("{it:?}"),
    });
    ends.max().unwrap()
}

fn assert_all_arrived(mut world: World, name: &str) {
    let report = world.finish();
    report.expect_ok();
    assert_eq!((report.directs.sent, report.directs.acknowledged), (600, 600), "{name}");
}

#[test]
fn a_relay_that_dies_or_stands_still_costs_its_pair_a_moment_and_no_message() {
    let faults: [fn(usize) -> Fault; 3] = [
        |relay| Fault::Crash { who: Selector::Node(relay), death: Death::Killed },
        |relay| Fault::Crash { who: Selector::Node(relay), death: Death::PowerCut },
        |relay| Fault::Freeze { who: Selector::Node(relay), lasting: secs(20) },
    ];
    for (seed, fault) in (0..3).flat_map(|seed| faults.map(|fault| (seed, fault))) {
        let mut world = World::new(&homes(2, 90), seed);
        let longest = talk(&mut world, |world| {
            let relay = [0, 3].into_iter().find(|relay| pairs(world, *relay) > 0).unwrap();
            assert_eq!(link(world, 1, 2), Some(LinkKind::Relay));
            world.apply(&fault(relay));
        });
        let name = format!("seed {seed}, {:?}", fault(9));
        println!("{name}: longest {longest:?}");
        assert!(longest < secs(3), "{name}: {longest:?}");
        assert_all_arrived(world, &name);
    }
}

#[test]
fn a_relay_that_takes_bytes_and_forwards_none_costs_its_pair_a_moment_and_no_message() {
    let mut deceived = 0;
    for (seed, deceit) in (0..4).flat_map(|it| [(it, Deceit::Starve), (it, Deceit::Pretend)]) {
        let mut story = homes(1, 90);
        story.config.peers.min_peers = 2;
        story.guests = vec![Adversary::FalseRelay { at: secs(30), deceit }];
        let mut world = World::new(&story, seed);
        let longest = talk(&mut world, |world| {
            assert_eq!(link(world, 1, 2), Some(LinkKind::Relay));
            deceived += usize::from(pairs(world, 0) == 0);
        });
        let name = format!("seed {seed}, {deceit:?}");
        println!("{name}: longest {longest:?}, {deceived} deceived");
        assert!(longest < secs(3), "{name}: {longest:?}");
        assert_all_arrived(world, &name);
    }
    assert!(deceived > 0, "no pair went over that relay");
}

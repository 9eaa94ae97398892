//! Stories of pairs that stay on a relay: what is urgent, while much is said.

use positron_proto::{session::sessions::LinkKind, time::Duration};
use positron_sim::{AddressBlock, Listen, NatType, Physics, Scenario, Workload, World};

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

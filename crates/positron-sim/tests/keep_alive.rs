//! A home where nobody says anything: its router forgets a flow after 30 s without a packet from
//! inside, and its links live on little.

use positron_proto::{
    id::NodeId,
    session::sessions::LinkKind,
    time::{Duration, Instant},
};
use positron_sim::{AddressBlock, Listen, NatType, Scenario, Workload, World};

const PEERS: usize = 8;
const HOME: usize = PEERS;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Which sessions the home has: with whom, since when, over what.
fn sessions(world: &World) -> Vec<(NodeId, Instant, LinkKind)> {
    let view = world.view(HOME).unwrap();
    let sessions = view.peers.into_iter().map(|peer| peer.session);
    sessions.map(|session| (session.peer.id, session.since, session.transport)).collect()
}

/// What else says something on a link now and then, says it once an hour.
fn silent_home(nat: NatType) -> Scenario {
    let mut story = Scenario::quiet(&format!("an idle home behind {nat}"), PEERS + 1, secs(1_300));
    story.listen = Listen::Port;
    story.addresses = AddressBlock::Public;
    let hour = secs(3_600);
    story.config.gossip.interval = hour;
    story.config.session.heartbeat = hour;
    story.config.peers.heartbeat_interval = hour;
    story.config.peers.discovery_interval = hour;
    story.config.peers.min_peers = PEERS;
    story.at_home(HOME, nat)
}

/// How many packets the home sends in 900 s of a story in which nobody says anything.
fn packets_of(story: &Scenario) -> u64 {
    let mut world = World::new(story, 1);
    let sent = |world: &World| world.view(HOME).unwrap().counters.datagrams.datagrams_sent;
    world.run_until(secs(300));
    assert_eq!(sessions(&world).len(), PEERS);
    let before = sent(&world);
    world.run_until(secs(1_200));
    sent(&world) - before
}

#[test]
fn a_node_with_all_its_machines_is_nearly_silent_where_nobody_says_anything() {
    let mut story = Scenario::quiet("an idle home, by default", PEERS + 1, secs(1_300));
    story.listen = Listen::Port;
    story.addresses = AddressBlock::Public;
    story.config.peers.min_peers = PEERS;
    let packets = packets_of(&story.at_home(HOME, NatType::Linux));
    println!("{packets} packets to {PEERS} peers in 900 s");
    assert!(packets <= 900 / 6 * PEERS as u64, "{packets}");
}

#[test]
fn who_has_something_for_an_idle_home_finds_its_router_open() {
    for nat in [NatType::PortRestricted, NatType::Linux, NatType::Symmetric] {
        let mut world = World::new(&silent_home(nat), 1);
        world.run_until(secs(300));
        let before = sessions(&world);
        assert_eq!(before.len(), PEERS, "{nat}: linked with all");
        assert!(before.iter().all(|(.., kind)| *kind == LinkKind::Udp), "{nat}: {before:?}");
        let sent = |world: &World| world.view(HOME).unwrap().counters.datagrams.datagrams_sent;
        let said = sent(&world);
        world.run_until(secs(1_200));
        let said = sent(&world) - said;
        println!("{nat}: {said} packets to {PEERS} peers in 900 s");
        for from in 0..PEERS {
            let hello = Workload::Direct { from, to: HOME, bytes: 200 };
            assert_eq!(world.say(hello), Some(Ok(())));
        }
        world.run_until(secs(1_300));
        assert_eq!(sessions(&world), before, "{nat}: no session ended");
        let report = world.finish();
        report.expect_ok();
        assert_eq!(report.directs.acknowledged, report.directs.sent, "{nat}");
    }
}

//! A home where nobody says anything: its router forgets a flow after 30 s without a packet from
//! inside, and its links live on little.

use positron_proto::{
    id::NodeId,
    session::sessions::LinkKind,
    time::{Duration, Instant},
};
use positron_sim::{AddressBlock, Listen, NatType, Scenario, World};

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

#[test]
fn an_idle_home_keeps_its_peers_with_a_packet_in_eighteen_seconds_for_each() {
    for nat in [NatType::PortRestricted, NatType::Linux, NatType::Symmetric] {
        let name = format!("an idle home behind {nat}");
        let mut story = Scenario::quiet(&name, PEERS + 1, secs(1_300));
        story.listen = Listen::Port;
        story.addresses = AddressBlock::Public;
        story.config.peers.min_peers = PEERS;
        // Comparing notes every second says more than enough on every link.
        story.config.gossip.interval = secs(3_600);
        let mut world = World::new(&story.at_home(HOME, nat), 1);
        world.run_until(secs(300));
        let before = sessions(&world);
        let sent = |world: &World| {
            let counters = world.view(HOME).unwrap().counters;
            counters.datagrams.datagrams_sent
        };
        let said = sent(&world);
        world.run_until(secs(1_200));
        let said = sent(&world) - said;
        let a_peer = 900.0 * PEERS as f64 / said as f64;
        println!("{name}: {said} packets in 900 s to {PEERS} peers, one in {a_peer:.1} s for each");
        assert_eq!(before.len(), PEERS, "{name}: linked with all");
        assert!(before.iter().all(|(.., kind)| *kind == LinkKind::Udp), "{name}: {before:?}");
        assert_eq!(sessions(&world), before, "{name}: no session ended or moved");
        assert!(a_peer >= 18.0, "{name}: one packet in {a_peer:.1} s");
        world.run_until(secs(1_300));
        world.finish().expect_ok();
    }
}

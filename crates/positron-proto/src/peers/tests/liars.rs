//! What peers get by lying about themselves, and about us.

use super::{
    addresses::observer,
    world::{World, address, config, crowd},
};
use crate::{
    id::NodeId,
    peers::{PeersConfig, PeersEffect},
    standings::PeerTrust,
    time::Duration,
    wire::frame::CloseReason,
};

/// How many links each of these nodes chose, and how many of them lead to liars.
fn choices(world: &World, of: impl Iterator<Item = usize>) -> Vec<(usize, usize)> {
    let chosen = |node: usize| world.links.iter().filter(move |(dialler, _)| *dialler == node);
    let is_liar = |(_, to): &&(usize, usize)| world.nodes[*to].says_alone;
    of.map(|node| (chosen(node).count(), chosen(node).filter(is_liar).count())).collect()
}

#[test]
fn who_says_that_it_has_no_peers_gets_no_more_links_than_others() {
    const LIARS: usize = 15;
    let calm = PeersConfig {
        min_peers: 8,
        max_peers: 50,
        discovery_interval: Duration::from_secs(30),
        heartbeat_interval: Duration::from_secs(60),
        ..config()
    };
    let mut world = crowd(1, 100 + LIARS, &calm);
    world.nodes[100..].iter_mut().for_each(|node| node.says_alone = true);
    let (mut links, mut of_liars, mut most) = (0, 0, 0);
    for hour in 0..4 {
        world.run(Duration::from_secs(3600));
        assert!(world.is_connected());
        for (chosen, liars) in choices(&world, 0..100) {
            assert!(chosen >= 5, "{chosen} links of its own choice after {hour} hours");
            (links, of_liars) = (links + chosen, of_liars + liars);
            most = most.max(liars);
        }
    }
    let share = of_liars as f64 / links as f64;
    let fair = LIARS as f64 / 115.0;
    println!("{share} of the links, where {fair} would be fair; {most} of one node at most");
    assert!(share < fair * 1.5, "{share}");
    assert!(most <= 6, "{most}");
}

#[test]
fn of_too_many_links_one_of_the_most_crowded_network_goes_and_there_the_least_trusted_one() {
    let mut world = World::new(1);
    world.add(&address(0), PeersConfig { min_peers: 3, ..config() });
    let at = ["41.1.1.1:1", "42.1.1.1:1", "43.1.1.1:1", "44.1.1.1:1", "66.6.1.1:1", "66.6.2.2:1"];
    let peers: Vec<NodeId> =
        (1..).zip(at).map(|(number, at)| dialled(&mut world, number, at)).collect();
    for (peer, score) in peers.iter().zip([0.5, 0.1, 0.5, 0.5, 0.9, 0.8]) {
        world.nodes[0].standings.set(*peer, PeerTrust { score, banned_until: None });
    }
    let mut let_go = Vec::new();
    for _ in 0..120 {
        world.now.mono = world.now.mono + Duration::from_secs(1);
        world.act(0, |node, now, out| {
            node.peers.handle_timeout(now, &node.standings, out);
            let_go.extend(out.iter().filter_map(|effect| match effect {
                PeersEffect::Disconnect { peer, reason: CloseReason::Pruned } => Some(*peer),
                _ => None,
            }));
        });
    }
    assert_eq!(let_go.first(), Some(&peers[5]));
}

/// Who is linked to the first node, which dialled it.
fn dialled(world: &mut World, number: u8, at: &str) -> NodeId {
    observer(world, number, at, "9.9.9.9:1").peer.id
}

//! What peers get by lying about themselves, and about us.

use std::net::SocketAddr;

use super::{
    addresses::{Stranger, assert_own, observer},
    world::{World, address, config, crowd},
};
use crate::{
    handshake::Direction,
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
    const HONEST: usize = 52;
    const LIARS: usize = 8;
    let calm = PeersConfig {
        min_peers: 8,
        max_peers: 50,
        discovery_interval: Duration::from_secs(30),
        heartbeat_interval: Duration::from_secs(60),
        ..config()
    };
    let mut world = crowd(1, HONEST + LIARS, &calm);
    world.nodes[HONEST..].iter_mut().for_each(|node| node.says_alone = true);
    let (mut links, mut of_liars, mut most) = (0, 0, 0);
    for hour in 0..4 {
        world.run(Duration::from_secs(3600));
        assert!(world.is_connected());
        for (chosen, liars) in choices(&world, 0..HONEST) {
            assert!(chosen >= 5, "{chosen} links of its own choice after {hour} hours");
            (links, of_liars) = (links + chosen, of_liars + liars);
            most = most.max(liars);
        }
    }
    let share = of_liars as f64 / links as f64;
    let fair = LIARS as f64 / (HONEST + LIARS) as f64;
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

/// Forty who dial the first node and say that they see it at one of two places.
fn lying_guests(world: &mut World, at: impl Fn(u8) -> String, lies: [&str; 2], own: &[&str]) {
    for number in 10..50 {
        let guest = Stranger::new(number, &at(number), Direction::Inbound);
        let record = guest.record(world, &[]);
        guest.hello_with(world, record, lies[usize::from(number % 2)], Vec::new());
        if !own.is_empty() {
            assert_own(world, own);
        }
    }
}

#[test]
fn where_we_are_seen_is_decided_by_those_whom_we_dialled_however_many_guests_lie() {
    let of_ten_networks = |number| format!("60.{}.{number}.1:1", number % 10);
    let lies = ["6.6.6.6:8888", "7.7.7.7:8888"];
    let dial = |world: &mut World, number: u8| {
        observer(world, number, &format!("{}.5.5.5:1", 40 + number), "9.9.9.9:40");
    };
    let mut world = unaware();
    (1..=5).for_each(|number| dial(&mut world, number));
    assert_own(&mut world, &["9.9.9.9:8888"]);
    lying_guests(&mut world, of_ten_networks, lies, &["9.9.9.9:8888"]);

    // They are believed as long as there is nobody else to ask.
    let mut world = unaware();
    lying_guests(&mut world, of_ten_networks, lies, &[]);
    assert_own(&mut world, &lies);
    dial(&mut world, 1);
    world.run(Duration::from_secs(10));
    assert!(own(&world).contains(&"9.9.9.9:8888".parse().unwrap()));
    dial(&mut world, 2);
    assert_own(&mut world, &["9.9.9.9:8888"]);
}

#[test]
fn the_port_at_which_we_are_dialled_is_known_to_guests_alone() {
    let mut world = unaware();
    for number in 1..=2 {
        observer(&mut world, number, &format!("{}.5.5.5:1", 40 + number), "9.9.9.9:40");
    }
    let of_ten_networks = |number| format!("60.{}.{number}.1:1", number % 10);
    lying_guests(&mut world, of_ten_networks, ["9.9.9.9:9000"; 2], &[]);
    assert_own(&mut world, &["9.9.9.9:8888", "9.9.9.9:9000"]);
}

#[test]
fn guests_of_a_private_network_do_not_push_out_what_somebody_sees_whom_we_dialled() {
    let mut world = unaware();
    observer(&mut world, 1, "10.0.0.5:1", "10.0.0.9:40");
    let neighbours = |number| format!("10.0.1.{number}:1");
    lying_guests(&mut world, neighbours, ["10.6.6.6:8888", "10.7.7.7:8888"], &[]);
    world.run(Duration::from_secs(10));
    assert!(own(&world).contains(&"10.0.0.9:8888".parse().unwrap()));
}

#[test]
fn one_peer_takes_no_address_from_us_though_it_is_the_last_one_that_we_dialled() {
    let mut world = unaware();
    let [first, second] = [1, 2].map(|number| {
        observer(&mut world, number, &format!("{}.5.5.5:1", 40 + number), "9.9.9.9:40")
    });
    assert_own(&mut world, &["9.9.9.9:8888"]);
    let liar = observer(&mut world, 3, "66.6.6.6:1", "6.6.6.6:40");
    for honest in [first, second] {
        honest.leaves(&mut world);
        liar.sees_at(&mut world, "6.6.6.6:40");
    }
    assert_own(&mut world, &["6.6.6.6:8888", "9.9.9.9:8888"]);
}

/// One node that has to be told where it is.
fn unaware() -> World {
    let mut world = World::new(1);
    world.add_bound(&address(0), "0.0.0.0:8888", config(), Vec::new());
    world
}

fn own(world: &World) -> Vec<SocketAddr> {
    world.nodes[0].peers.external_addresses()
}

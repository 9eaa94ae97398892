//! Whether strangers reach an address at which a dial of ours found a node.

use std::collections::BTreeSet;

use super::world::{World, address, config, crowd};
use crate::{
    limits::{MAX_TOLD_UNPROVEN, NAT_MAPPING_LIFETIME},
    peers::{KnownPeer, PeersConfig, PeersMessage},
    time::Duration,
};

const HUB: usize = 0;
const HOME: usize = 1;

/// A node at home that knows and wants the hub only, over datagrams.
fn hub_and_home(seed: u64, filtered: bool) -> World {
    let mut world = World::new(seed);
    world.add(&address(HUB), config());
    let hour = Duration::from_secs(3600);
    let bootstrap = vec![address(HUB)];
    let content = PeersConfig { bootstrap, min_peers: 1, discovery_interval: hour, ..config() };
    world.add(&address(HOME), content);
    (world.nodes[HOME].streams, world.nodes[HOME].filtered) = (false, filtered);
    world.run(Duration::from_secs(5));
    assert!(world.linked(HUB, HOME));
    world
}

/// What a node knows of the one at home.
fn known(world: &World, by: usize) -> Option<KnownPeer> {
    let home = world.id(HOME);
    let mut peers = world.nodes[by].peers.known();
    peers.find(|known| known.record.content().node_id() == home).cloned()
}

/// Who told whom of the node at home.
fn told(world: &World) -> BTreeSet<(usize, usize)> {
    let home = world.id(HOME);
    let mut told = BTreeSet::new();
    for (by, node) in world.nodes.iter().enumerate().filter(|(by, _)| *by != HOME) {
        for (to, message) in node.said.iter().filter(|(to, _)| *to != home) {
            let (PeersMessage::Hello { peers, .. } | PeersMessage::Announcement(peers)) = message
            else {
                continue;
            };
            if peers.iter().any(|record| record.content().node_id() == home) {
                told.insert((by, world.index(*to)));
            }
        }
    }
    told
}

#[test]
fn where_only_the_way_of_a_link_is_open_few_are_told_and_where_all_come_in_everybody_is() {
    for seed in 0..5 {
        for filtered in [true, false] {
            let mut world = hub_and_home(seed, filtered);
            for newcomer in 2..22 {
                let bootstrap = vec![address(HUB)];
                world.add(&address(newcomer), PeersConfig { bootstrap, ..config() });
                world.run(Duration::from_secs(2));
            }
            world.run(Duration::from_secs(600));
            let told = told(&world);
            if filtered {
                assert!((1..=MAX_TOLD_UNPROVEN).contains(&told.len()), "{told:?}");
                assert!(told.iter().all(|(by, _)| *by == HUB), "{told:?}");
                assert_eq!(known(&world, HUB).unwrap().proven, None);
                assert_eq!(world.degree(HOME), 1);
                assert_eq!(world.nodes[HUB].peers.counters().unproven_told, told.len() as u64);
            } else {
                assert!((2..22).all(|node| known(&world, node).is_some()), "{told:?}");
            }
        }
    }
}

#[test]
fn who_pretends_to_reach_a_node_frees_only_the_place_that_it_took_itself() {
    for seed in 0..5 {
        let mut world = hub_and_home(seed, true);
        world.hostile = true;
        let colludes = |node: usize| node.is_multiple_of(2);
        for newcomer in 2..22 {
            let bootstrap = vec![address(HUB)];
            world.add(&address(newcomer), PeersConfig { bootstrap, ..config() });
            world.run(Duration::from_secs(30));
            let record = known(&world, HUB).unwrap().record.claim().clone();
            let linked = |by: &usize| colludes(*by) && world.linked(HUB, *by);
            for by in (2..=newcomer).filter(linked).collect::<Vec<_>>() {
                let (from, records) = (world.id(by), vec![record.clone()]);
                world.act(HUB, |node, now, out| {
                    let message = PeersMessage::Announcement(records);
                    node.peers.handle_message(now, from, message, &node.standings, out);
                });
            }
        }
        let (liars, honest): (Vec<_>, Vec<_>) =
            told(&world).into_iter().partition(|(_, to)| colludes(*to));
        assert!(!liars.is_empty(), "{honest:?}");
        assert_eq!(honest.len(), MAX_TOLD_UNPROVEN, "{honest:?}, and {liars:?}");
    }
}

#[test]
fn three_nodes_of_whom_nobody_is_proven_are_all_linked() {
    let mut world = hub_and_home(1, false);
    assert_eq!(known(&world, HUB).unwrap().proven, None);
    let bootstrap = vec![address(HUB)];
    world.add(&address(2), PeersConfig { bootstrap, ..config() });
    assert!(world.run_until(Duration::from_secs(5), |world| world.linked(2, HOME)));
    world.run(Duration::from_secs(1));
    assert_eq!(known(&world, 2).unwrap().proven, Some(world.nodes[HOME].addr), "to a stranger");
}

#[test]
fn over_datagrams_alone_thirty_nodes_become_one_network_within_seconds() {
    for seed in 0..5 {
        let mut world = crowd(seed, 30, &config());
        world.nodes.iter_mut().for_each(|node| node.streams = false);
        let joined = world.run_until(Duration::from_secs(5), |world| {
            world.is_connected() && (0..30).all(|node| world.degree(node) >= 5)
        });
        assert!(joined, "{:?}", (0..30).map(|node| world.degree(node)).collect::<Vec<_>>());
    }
}

#[test]
fn a_dial_proves_nothing_while_a_translator_may_remember_that_its_node_spoke_to_us() {
    let slack = Duration::from_secs(60);
    for (away, proves) in
        [(NAT_MAPPING_LIFETIME - slack, false), (NAT_MAPPING_LIFETIME + slack, true)]
    {
        let mut world = hub_and_home(1, false);
        world.kill(HOME);
        world.run(away);
        world.nodes[HOME].stored.clear();
        world.restart(HOME, config());
        assert!(world.run_until(slack, |world| world.linked(HUB, HOME)));
        world.run(slack);
        let known = known(&world, HUB).unwrap();
        assert_eq!(known.dialled, Some(world.nodes[HOME].addr), "worth another dial of ours");
        assert_eq!(known.proven.is_some(), proves, "{away:?}");
    }
}

#[test]
fn a_stream_proves_an_address_whatever_spoke_to_us_from_there() {
    let mut world = crowd(1, 2, &config());
    world.run(Duration::from_secs(5));
    assert_eq!(known(&world, HUB).unwrap().proven, Some(world.nodes[HOME].addr));
}

#[test]
fn who_dialled_us_when_we_dialled_it_may_have_let_us_in() {
    for crossed in [true, false] {
        let mut world = hub_and_home(1, false);
        let bootstrap = vec![address(HOME)];
        let other = world.add(&address(2), PeersConfig { bootstrap, ..config() });
        assert!(world.run_until(Duration::from_secs(5), |world| world.linked(other, HOME)));
        world.run(Duration::from_secs(if crossed { 1 } else { 10 }));
        let (home, from) = (world.id(HOME), world.nodes[HOME].addr);
        assert_eq!(known(&world, other).unwrap().proven, Some(from));
        world.act(other, |node, now, out| node.peers.handle_dialled_us(now, home, from, out));
        assert_eq!(known(&world, other).unwrap().proven.is_none(), crossed);
        assert_eq!(world.nodes[other].stored[&home].proven.is_none(), crossed);
    }
}

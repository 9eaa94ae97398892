use std::{collections::VecDeque, net::SocketAddr};

use super::world::{World, address, closed, config, crowd};
use crate::{
    handshake::Direction,
    id::{LinkId, NodeId},
    identity::Identity,
    limits::{REFUSALS_TOLD_INTERVAL, REFUSED_PAUSE},
    peers::{PeersConfig, PeersEffect, PeersMessage, Reservation},
    scope::Group,
    session::sessions::{DownReason, LinkDown, Peer},
    standings::{PeerTrust, TrustTable},
    time::Duration,
    wire::frame::CloseReason,
};

pub(super) fn stranger(number: u64, addr: &str) -> Peer {
    let mut seed = [9; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    let key = *Identity::from_seed(seed).public_key();
    Peer {
        id: key.node_id(),
        key,
        noise_static: [1; 32],
        addr: addr.parse().unwrap(),
        direction: Direction::Inbound,
        link: LinkId::of_driver(number),
        boot: 1,
    }
}

/// Strangers of as many addresses of one network knock and are let in until one is refused; how
/// many were let in, and why no more.
fn flood(world: &mut World, node: usize) -> (usize, CloseReason) {
    flood_from(world, node, |number| format!("6.6.{number}.6:666"))
}

/// The same of as many networks: none of them crowds out others.
fn flood_from_everywhere(world: &mut World, node: usize) -> (usize, CloseReason) {
    flood_from(world, node, |number| format!("66.{number}.6.6:666"))
}

fn flood_from(world: &mut World, node: usize, at: impl Fn(u64) -> String) -> (usize, CloseReason) {
    let standings = TrustTable::new(0.5, 1.0);
    let now = world.now;
    for number in 0..1_000 {
        let peer = stranger(number, &at(number));
        let mut out = VecDeque::new();
        let peers = &mut world.nodes[node].peers;
        peers.handle_incoming(now, peer, &standings, &mut out);
        match out.pop_front() {
            Some(PeersEffect::Admit(_)) => peers.peer_up(now, peer, &standings, &mut out),
            Some(PeersEffect::Refuse { reason, .. }) => {
                return (usize::try_from(number).unwrap(), reason);
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("everybody is let in")
}

#[test]
fn guests_never_get_the_slots_of_our_own_choice() {
    let mut world = World::new(1);
    for node in 1..8 {
        world.add(&address(node), config());
    }
    let bootstrap = (1..8).map(address).collect();
    let victim = world.add(&address(0), PeersConfig { bootstrap, max_peers: 20, ..config() });
    assert_eq!(flood(&mut world, victim), (15, CloseReason::InboundFull));
    world.run(Duration::from_secs(10));
    let outbound = world.links.iter().filter(|(dialler, _)| *dialler == victim).count();
    assert!(outbound >= 5, "{outbound}");
    assert_eq!(world.nodes[victim].peers.counters().inbound_refused_inbound, 1);
}

#[test]
fn even_with_as_many_wanted_as_allowed_half_of_the_slots_are_for_guests() {
    let mut world = World::new(1);
    let node = world.add(&address(0), PeersConfig { max_peers: 5, ..config() });
    assert_eq!(flood(&mut world, node), (3, CloseReason::InboundFull));
    let only = world.add(&address(1), PeersConfig { max_peers: 1, ..config() });
    assert_eq!(flood(&mut world, only), (1, CloseReason::SlotsFull));
}

#[test]
fn a_slot_is_free_again_when_its_guest_is_gone() {
    let mut world = World::new(1);
    let node = world.add(&address(0), PeersConfig { max_peers: 20, ..config() });
    assert_eq!(flood(&mut world, node), (15, CloseReason::InboundFull));
    let first = stranger(0, "6.6.0.6:666").id;
    world.act(node, |node, now, out| {
        node.peers.peer_down(now, first, &DownReason::Link(LinkDown::Eof), out);
    });
    let now = world.now;
    let mut out = VecDeque::new();
    let peer = stranger(5_000, "6.6.6.6:666");
    world.nodes[node].peers.handle_incoming(now, peer, &TrustTable::new(0.5, 1.0), &mut out);
    assert_eq!(out, [PeersEffect::Admit(peer)]);
}

#[test]
fn who_is_refused_gets_addresses_and_joins_elsewhere() {
    let mut world = crowd(1, 10, &config());
    world.run(Duration::from_secs(30));
    flood_from_everywhere(&mut world, 0);
    let bootstrap = vec![address(0)];
    let newcomer = world.add(&address(10), PeersConfig { bootstrap, ..config() });
    let joined = world.run_until(Duration::from_secs(3), |world| world.degree(newcomer) >= 5);
    assert!(joined, "{}", world.degree(newcomer));
    assert_eq!(world.state(newcomer), closed(CloseReason::InboundFull));
    assert!(!world.linked(0, newcomer));
}

#[test]
fn who_is_refused_for_its_address_is_told_so_and_joins_elsewhere() {
    let mut world = crowd(1, 6, &PeersConfig { max_peers_per_address: 2, ..config() });
    world.run(Duration::from_secs(30));
    // Ten nodes behind one address that know only the hub.
    let only_hub = PeersConfig { bootstrap: vec![address(0)], ..config() };
    let members: Vec<usize> =
        (0..10).map(|n| world.add(&format!("5.5.5.5:{}", 1000 + n), only_hub.clone())).collect();
    world.run(Duration::from_secs(3));
    let is_told = |member: &usize| world.state(*member) == closed(CloseReason::AddressFull);
    let refused: Vec<usize> = members.into_iter().filter(is_told).collect();
    assert!(!refused.is_empty());
    let hub = world.nodes[0].peers.counters();
    assert_eq!(hub.inbound_refused_full + hub.inbound_refused_inbound, 0, "it has slots");
    assert!(hub.inbound_refused_address >= u64::try_from(refused.len()).unwrap());
    assert_eq!(world.nodes[0].refused, [CloseReason::AddressFull]);
    for member in refused {
        assert!(world.degree(member) > 0, "node {member} is alone");
    }
}

#[test]
fn a_private_network_may_be_behind_one_address() {
    for at in ["10.0.0.1", "192.168.1.1", "100.64.0.1", "[fd00::1]", "127.0.0.1"] {
        let mut world = World::new(1);
        let hub = world.add(&address(0), config());
        let mut out = VecDeque::new();
        let standings = TrustTable::new(0.5, 1.0);
        for number in 0..40 {
            let (now, peer) = (world.now, stranger(number, &format!("{at}:666")));
            world.nodes[hub].peers.handle_incoming(now, peer, &standings, &mut out);
        }
        let is_admitted = |effect: &PeersEffect| matches!(effect, PeersEffect::Admit(_));
        assert!(out.len() == 40 && out.iter().all(is_admitted), "{at}");
    }
}

#[test]
fn the_limit_of_an_address_is_the_operators_and_a_slash_64_is_one_address() {
    let mut world = World::new(1);
    let hub = world.add(&address(0), PeersConfig { max_peers_per_address: 3, ..config() });
    let standings = TrustTable::new(0.5, 1.0);
    let mut admitted = 0;
    for number in 0..40 {
        let (now, mut out) = (world.now, VecDeque::new());
        let peer = stranger(number, &format!("[2a00:1:2:3::{number}]:666"));
        world.nodes[hub].peers.handle_incoming(now, peer, &standings, &mut out);
        admitted += usize::from(out[0] == PeersEffect::Admit(peer));
    }
    assert_eq!(admitted, 3);
}

#[test]
fn refusals_are_told_at_a_bounded_rate_and_none_is_lost() {
    let mut world = World::new(1);
    let hub = world.add(&address(0), PeersConfig { max_peers_per_address: 1, ..config() });
    let standings = TrustTable::new(0.5, 1.0);
    let mut told = Vec::new();
    for number in 0..102 {
        if number == 101 {
            world.run(REFUSALS_TOLD_INTERVAL);
        }
        let (now, mut out) = (world.now, VecDeque::new());
        let peer = stranger(number, "6.6.6.6:666");
        let peers = &mut world.nodes[hub].peers;
        peers.handle_incoming(now, peer, &standings, &mut out);
        if number == 0 {
            peers.peer_up(now, peer, &standings, &mut out);
        }
        told.extend(out.into_iter().filter_map(|effect| match effect {
            PeersEffect::Refused { reason: CloseReason::AddressFull, untold, .. } => Some(untold),
            _ => None,
        }));
    }
    assert_eq!(told, [0, 99]);
}

#[test]
fn what_is_said_at_parting_is_proven_by_dials_of_ours() {
    let mut world = crowd(1, 10, &config());
    world.run(Duration::from_secs(30));
    flood_from_everywhere(&mut world, 0);
    let now = world.now;
    let mut out = VecDeque::new();
    let knocking = stranger(9_999, "7.7.7.7:777");
    world.nodes[0].peers.handle_incoming(now, knocking, &TrustTable::new(0.5, 1.0), &mut out);
    let Some(PeersEffect::Refuse { parting: Some(PeersMessage::Announcement(peers)), .. }) =
        out.pop_front()
    else {
        panic!("{out:?}");
    };
    assert!(!peers.is_empty());
    for record in peers {
        let id = record.content().node_id();
        assert!(world.nodes[0].stored[&id].dialled.is_some());
    }
}

#[test]
fn who_is_banned_is_refused_and_not_dialled() {
    let mut world = crowd(2, 12, &config());
    world.run(Duration::from_secs(20));
    let bad = world.index(first_outbound(&world, 3));
    world.ban(3, bad);
    world.run(Duration::from_secs(1));
    assert!(!world.linked(3, bad));
    world.nodes[3].dialled.clear();
    let id = world.id(bad);
    world.act(3, |node, now, out| node.peers.connect(now, id, out));
    world.run(Duration::from_secs(600));
    let to = world.nodes[bad].addr;
    assert!(world.nodes[3].dialled.iter().all(|(_, dial)| dial.to != to));
    assert!(!world.linked(3, bad));
    let knocking = world.peer(bad, world.nodes[bad].addr, Direction::Inbound);
    world.nodes[3].said.clear();
    let now = world.now;
    let node = &mut world.nodes[3];
    let mut out = VecDeque::new();
    node.peers.handle_incoming(now, knocking, &node.standings, &mut out);
    let reason = CloseReason::Banned;
    assert_eq!(out[0], PeersEffect::Refuse { peer: knocking, reason, parting: None });
    assert!(node.peers.counters().inbound_refused_banned > 0);
    world.run(Duration::from_secs(60));
    let told = world.nodes[3].said.iter().any(|(_, message)| match message {
        PeersMessage::Announcement(peers) => peers.iter().any(|r| r.content().node_id() == id),
        _ => false,
    });
    assert!(!told, "nobody is sent to who is banned");
}

#[test]
fn a_direct_message_gets_its_link() {
    let mut world = crowd(2, 40, &config());
    world.run(Duration::from_secs(30));
    let stranger = world.nodes[3].peers.known().map(|known| known.record.content().node_id());
    let other = stranger.map(|id| world.index(id)).find(|other| !world.linked(3, *other)).unwrap();
    let id = world.id(other);
    world.act(3, |node, now, out| node.peers.connect(now, id, out));
    assert!(world.run_until(Duration::from_millis(100), |world| world.linked(3, other)));
}

#[test]
fn outbound_links_are_spread_over_networks_while_there_are_others() {
    // Forty nodes of one attacker in one /16, and ten others.
    let crowd = (0..40).map(|node| format!("66.6.1.{}:1", node + 1));
    let all = crowd.chain((0..10).map(address));
    let chosen = chosen_by_a_latecomer(4, all, "1.1.1.1:1", "2.2.2.2:1");
    let attacker = Group::of("66.6.1.1".parse().unwrap());
    let evil = chosen.iter().filter(|addr| Group::of(addr.ip()) == attacker).count();
    assert!(chosen.len() >= 5 && evil <= 1, "{chosen:?}");
}

#[test]
fn one_machine_of_a_private_network_counts_once_however_many_nodes_it_has() {
    for seed in 0..8 {
        let crowd = (0..40).map(|node| format!("10.6.6.6:{}", node + 1));
        let others = (1..=10).map(|node| format!("10.0.0.{node}:1"));
        let all = crowd.chain(others);
        let chosen = chosen_by_a_latecomer(seed, all, "10.0.1.1:1", "10.0.2.2:1");
        let evil = chosen.iter().filter(|addr| addr.ip().to_string() == "10.6.6.6").count();
        assert!(chosen.len() >= 5 && evil <= 1, "{chosen:?}");
    }
}

/// Whom a node dials within seconds that comes to all others a minute late and knows one of them.
fn chosen_by_a_latecomer(
    seed: u64,
    others: impl Iterator<Item = String>,
    hub: &str,
    late: &str,
) -> Vec<SocketAddr> {
    let mut world = World::new(seed);
    let bootstrap = vec![hub.to_owned()];
    for addr in others {
        world.add(&addr, PeersConfig { bootstrap: bootstrap.clone(), ..config() });
    }
    let hub = world.add(hub, PeersConfig { max_peers: 200, ..config() });
    world.run(Duration::from_secs(60));
    let late = world.add(late, PeersConfig { bootstrap, ..config() });
    world.run(Duration::from_secs(5));
    assert!(world.degree(hub) >= 5);
    let chosen = world.links.iter().filter(|(dialler, _)| *dialler == late);
    chosen.map(|(_, to)| world.nodes[*to].addr).collect()
}

fn first_outbound(world: &World, node: usize) -> NodeId {
    let (_, to) = world.links.iter().find(|(dialler, _)| *dialler == node).unwrap();
    world.id(*to)
}

#[test]
fn who_is_let_go_is_left_alone_until_the_pause_is_over_or_somebody_asks() {
    let mut world = crowd(1, 2, &config());
    world.run(Duration::from_secs(10));
    assert!(world.linked(0, 1));
    let (hub, dials) = (world.id(0), world.nodes[1].dialled.len());
    world.act(1, |node, _, out| assert!(node.peers.disconnect(hub, out)));
    world.run(Duration::from_secs(1));
    world.act(1, |node, _, out| assert!(!node.peers.disconnect(hub, out), "it is gone already"));
    // The hub was told that it is not wanted, and it is the only bootstrap address besides.
    world.run(REFUSED_PAUSE * 3 / 4 - Duration::from_secs(2));
    assert_eq!(world.nodes[1].dialled.len(), dials);
    assert!(!world.linked(0, 1));
    world.act(1, |node, now, _| assert!(node.peers.join(now, address(0))));
    assert!(world.run_until(Duration::from_secs(2), |world| world.linked(0, 1)));
    world.run(Duration::from_secs(1));

    world.act(1, |node, _, out| assert!(node.peers.disconnect(hub, out)));
    assert!(world.run_until(REFUSED_PAUSE * 3 / 2, |world| world.linked(0, 1)), "it is over");
}

#[test]
fn who_is_banned_no_more_is_dialled_at_once() {
    let mut world = crowd(1, 2, &config());
    world.run(Duration::from_secs(10));
    world.ban(1, 0);
    world.run(Duration::from_secs(60));
    assert!(!world.linked(0, 1));
    let hub = world.id(0);
    let welcome = PeerTrust { score: 0.5, banned_until: None };
    world.nodes[1].standings.set(hub, welcome);
    world.act(1, |node, now, _| node.peers.handle_unbanned(now, hub));
    assert!(world.run_until(Duration::from_secs(2), |world| world.linked(0, 1)));
}

#[test]
fn who_is_at_a_banned_address_is_let_go_and_refused_unless_a_slot_is_reserved_for_it() {
    let mut world = crowd(1, 3, &config());
    world.run(Duration::from_secs(10));
    assert!(world.linked(0, 1) && world.linked(0, 2));
    let (spared, address) = (world.id(2), world.nodes[1].addr.ip());
    world.act(0, |node, now, out| {
        node.peers.reserve(now, Reservation { peer: spared, at: None }, out);
    });
    let everybody = ["0.0.0.0/0".parse().unwrap()].to_vec();
    world.nodes[0].standings.set_banned_addresses(everybody);
    world.act(0, |node, _, out| node.peers.handle_address_banned(&node.standings, out));
    world.run(Duration::from_secs(1));
    assert!(!world.linked(0, 1) && world.linked(0, 2));
    let peers = &world.nodes[0].peers;
    assert!(!peers.expects_at(address) && peers.expects_at(world.nodes[2].addr.ip()));

    let (now, mut out) = (world.now, VecDeque::new());
    let [stranger, expected] =
        [1, 2].map(|node| world.peer(node, world.nodes[node].addr, Direction::Inbound));
    let node = &mut world.nodes[0];
    node.peers.handle_incoming(now, stranger, &node.standings, &mut out);
    let reason = CloseReason::Banned;
    assert_eq!(out[0], PeersEffect::Refuse { peer: stranger, reason, parting: None });
    out.clear();
    node.peers.handle_incoming(now, expected, &node.standings, &mut out);
    assert_eq!(out, [PeersEffect::Admit(expected)]);

    // Without its slot it is one of those.
    world.act(0, |node, _, out| node.peers.unreserve(&spared, &node.standings, out));
    world.run(Duration::from_secs(1));
    assert!(!world.linked(0, 2));
}

#[test]
fn who_is_linked_and_shows_up_at_a_banned_address_is_let_go() {
    let mut world = crowd(1, 2, &config());
    world.run(Duration::from_secs(10));
    let (peer, mut out) = (world.id(1), VecDeque::new());
    let now = world.now;
    let node = &mut world.nodes[0];
    node.standings.set_banned_addresses(vec!["203.0.113.0/24".parse().unwrap()]);
    let [elsewhere, there] = ["203.0.112.7:1", "[::ffff:203.0.113.7]:1"];
    node.peers.handle_moved(now, peer, elsewhere.parse().unwrap(), &node.standings, &mut out);
    let disconnect = PeersEffect::Disconnect { peer, reason: CloseReason::Banned };
    assert!(!out.contains(&disconnect), "{out:?}");
    node.peers.handle_moved(now, peer, there.parse().unwrap(), &node.standings, &mut out);
    assert!(out.contains(&disconnect), "{out:?}");
}

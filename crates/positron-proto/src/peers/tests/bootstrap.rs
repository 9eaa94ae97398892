use std::net::SocketAddr;

use super::world::{World, address, closed, config};
use crate::{
    handshake::HandshakeFailure,
    limits::{BOOTSTRAP_LONGEST, HEAD_START, MAX_BOOTSTRAP, MAX_RACING_ADDRESSES},
    peers::{BootstrapState, Given, PeersConfig},
    session::sessions::{DialFailure, LinkDown},
    time::{Duration, Instant},
    wire::frame::CloseReason,
};

fn with(bootstrap: &[&str]) -> PeersConfig {
    PeersConfig { bootstrap: bootstrap.iter().map(|&text| text.to_owned()).collect(), ..config() }
}

fn dials_of(world: &World, node: usize) -> Vec<Instant> {
    world.nodes[node].dialled.iter().map(|(at, _)| *at).collect()
}

#[test]
fn each_failure_is_told_in_its_own_words_and_retried_at_a_bounded_rate() {
    let cases = [
        (None, BootstrapState::Failed(DialFailure::Link(LinkDown::Refused))),
        (
            Some(HandshakeFailure::NotPositron("HTTP").into()),
            BootstrapState::Failed(HandshakeFailure::NotPositron("HTTP").into()),
        ),
        (Some(DialFailure::Timeout), BootstrapState::Failed(DialFailure::Timeout)),
        (Some(DialFailure::refused(CloseReason::WrongNetwork)), closed(CloseReason::WrongNetwork)),
        (
            Some(HandshakeFailure::Ourselves.into()),
            BootstrapState::Failed(HandshakeFailure::Ourselves.into()),
        ),
    ];
    for (service, expected) in cases {
        let mut world = World::new(1);
        if let Some(service) = service {
            world.services.insert("9.9.9.9:80".parse().unwrap(), service);
        }
        let node = world.add(&address(1), with(&["9.9.9.9:80"]));
        world.run(Duration::from_secs(1));
        assert_eq!(world.state(node), expected);
        world.run(Duration::from_secs(3600));
        let dials = dials_of(&world, node);
        let least = 3600 / BOOTSTRAP_LONGEST.as_secs();
        let count = u64::try_from(dials.len()).unwrap();
        assert!((least..2 * least).contains(&count), "{count} dials for {expected:?}");
        let gaps = dials.windows(2).map(|pair| pair[1].since(pair[0]));
        assert!(gaps.clone().min() > Some(Duration::from_millis(300)));
        assert!(gaps.max() < Some(BOOTSTRAP_LONGEST * 2));
        assert_eq!(world.state(node), expected);
    }
}

#[test]
fn a_node_that_is_its_own_bootstrap_says_so() {
    let mut world = World::new(1);
    let node = world.add(&address(0), with(&[&address(0)]));
    world.run(Duration::from_secs(120));
    assert_eq!(world.state(node), BootstrapState::Failed(HandshakeFailure::Ourselves.into()));
    assert!(world.nodes[node].dialled.len() < 10);
}

#[test]
fn a_name_is_looked_up_again_for_each_attempt_and_all_its_addresses_are_tried() {
    let mut world = World::new(1);
    let seed = world.add(&address(0), config());
    let node = world.add(&address(1), with(&["seed.example:8888"]));
    world.run(Duration::from_secs(10));
    assert_eq!(world.state(node), BootstrapState::Unresolved("no such name".to_owned()));
    assert!(world.nodes[node].resolved > 2);
    let addresses = vec!["9.9.9.9:1".parse().unwrap(), world.nodes[seed].addr];
    world.names.insert("seed.example:8888".to_owned(), Ok(addresses));
    let reached = |world: &World| world.state(node) == BootstrapState::Reached(world.id(seed));
    assert!(world.run_until(BOOTSTRAP_LONGEST, reached));
}

#[test]
fn who_lost_everybody_says_that_it_tries_again_and_not_that_somebody_was_there() {
    let mut world = World::new(1);
    let seed = world.add(&address(0), config());
    let node = world.add(&address(1), with(&[&address(0)]));
    let reached = BootstrapState::Reached(world.id(seed));
    let linked = |world: &World| world.state(node) == reached && world.degree(node) == 1;
    assert!(world.run_until(Duration::from_secs(1), linked));
    world.kill(seed);
    let tries = |world: &World| world.state(node) == BootstrapState::Trying;
    assert!(world.run_until(Duration::from_secs(10), tries));
}

#[test]
fn a_name_whose_first_addresses_are_silent_is_reached_by_any_other_without_waiting_for_them() {
    for (silent, own) in [(0, "9.1.1.1:1"), (3, "9.1.1.1:1"), (7, "[2600::1]:1"), (31, "9.1.1.1:1")]
    {
        let mut world = World::new(1);
        let seed = world.add(own, config());
        let node = world.add(&address(1), with(&["seed.example:8888"]));
        let mut addresses: Vec<SocketAddr> =
            (0..silent).map(|n| format!("9.9.9.{n}:1").parse().unwrap()).collect();
        for addr in &addresses {
            world.services.insert(*addr, DialFailure::Link(LinkDown::TimedOut));
        }
        addresses.push(own.parse().unwrap());
        world.names.insert("seed.example:8888".to_owned(), Ok(addresses));
        let reached = BootstrapState::Reached(world.id(seed));
        assert!(world.run_until(Duration::from_secs(30), |world| world.state(node) == reached));
        if silent < MAX_RACING_ADDRESSES {
            let dialled = world.nodes[node].dialled.len();
            assert!(dialled <= silent + 1, "{dialled} dials for {silent} silent addresses");
            let took = world.now.mono.since(world.nodes[node].dialled[0].0);
            let turns = u32::try_from(silent).unwrap() + 1;
            assert!(took <= HEAD_START * turns, "{silent} silent addresses took {took:?}");
        }
    }
}

#[test]
fn an_address_that_does_not_read_is_unusable_and_never_dialled() {
    let mut world = World::new(1);
    let node = world.add(&address(1), with(&["no port"]));
    world.run(Duration::from_secs(60));
    assert!(matches!(world.state(node), BootstrapState::Unusable(_)));
    assert!(world.nodes[node].dialled.is_empty() && world.nodes[node].resolved == 0);
}

#[test]
fn a_bootstrap_node_that_comes_up_late_is_reached() {
    let mut world = World::new(1);
    let seed = world.add(&address(0), config());
    world.kill(seed);
    let node = world.add(&address(1), with(&[&address(0)]));
    world.run(Duration::from_secs(600));
    world.restart(seed, config());
    assert!(world.run_until(BOOTSTRAP_LONGEST, |world| world.linked(seed, node)));
}

#[test]
fn a_bootstrap_node_that_vanished_is_found_again_when_it_returns() {
    let mut world = World::new(1);
    let seed = world.add(&address(0), config());
    let node = world.add(&address(1), with(&[&address(0)]));
    assert!(world.run_until(Duration::from_secs(1), |world| world.linked(seed, node)));
    world.kill(seed);
    world.run(Duration::from_secs(60));
    world.restart(seed, config());
    assert!(world.run_until(Duration::from_secs(10), |world| world.linked(seed, node)));
}

#[test]
fn who_has_enough_peers_leaves_the_bootstrap_node_in_peace() {
    let mut world = super::world::crowd(1, 12, &config());
    world.run(Duration::from_secs(20));
    world.kill(0);
    world.run(Duration::from_secs(30));
    for node in &mut world.nodes {
        node.dialled.clear();
    }
    world.run(Duration::from_secs(1200));
    let seed = world.nodes[0].addr;
    let anyone = |node: &super::world::TestNode| {
        let dials = node.dialled.iter();
        dials.filter(|(_, dial)| dial.to == seed && dial.noise_static.is_none()).count()
    };
    assert_eq!(world.nodes.iter().map(anyone).sum::<usize>(), 0);
}

#[test]
fn a_bootstrap_node_that_we_banned_is_left_in_peace() {
    let mut world = World::new(1);
    let seed = world.add(&address(0), config());
    let node = world.add(&address(1), with(&[&address(0)]));
    world.ban(node, seed);
    world.run(Duration::from_secs(300));
    assert_eq!(world.state(node), closed(CloseReason::Banned));
    assert!(!world.linked(seed, node));
    assert!(world.nodes[node].dialled.len() <= 2);
}

#[test]
fn an_address_can_be_added_later_but_not_without_end() {
    let mut world = World::new(1);
    let seed = world.add(&address(0), config());
    let node = world.add(&address(1), config());
    let text = address(0);
    world.act(node, |node, now, _| assert!(node.peers.join(now, text)));
    assert!(world.run_until(Duration::from_secs(1), |world| world.linked(seed, node)));
    for number in 0..1_000 {
        let text = format!("9.9.9.9:{}", 1 + number);
        world.act(node, |node, now, _| _ = node.peers.join(now, text));
    }
    assert_eq!(world.nodes[node].peers.bootstrap().count(), MAX_BOOTSTRAP);
    world.run(Duration::from_secs(30));
}

#[test]
fn an_address_is_dialled_until_it_is_forgotten_and_then_no_more() {
    let mut world = World::new(1);
    let seed = world.add(&address(0), config());
    let node = world.add(&address(1), with(&[&address(0), "9.9.9.9:80"]));
    world.act(node, |node, now, _| assert!(node.peers.join(now, "9.9.9.9:81".into())));
    let given = |world: &World| {
        world.nodes[node].peers.bootstrap().map(|one| (one.address.clone(), one.given)).collect()
    };
    let before: Vec<_> = given(&world);
    assert_eq!(before[1], ("9.9.9.9:80".into(), Given::Configured));
    assert_eq!(before[2], ("9.9.9.9:81".into(), Given::Joined));
    world.run(Duration::from_secs(3600));
    let dials = dials_of(&world, node).len();
    assert!(dials > 50, "both are dialled for as long as nobody forgets them: {dials}");
    for (address, is_there) in
        [("9.9.9.9:81", true), ("9.9.9.9:80", true), ("9.9.9.9:80", false), (&address(0), true)]
    {
        world.act(node, |node, _, _| assert_eq!(node.peers.forget(address), is_there, "{address}"));
    }
    world.run(Duration::from_secs(3600));
    assert_eq!(dials_of(&world, node).len(), dials);
    assert!(world.linked(seed, node), "a link is not what is forgotten");
    // A number that was in use belongs to nobody else.
    world.act(node, |node, now, _| assert!(node.peers.join(now, "9.9.9.9:82".into())));
    assert_eq!(given(&world), [("9.9.9.9:82".into(), Given::Joined)]);
}

/// Somebody asks who answers at `address`, and waits for what comes of it.
fn join(world: &mut World, node: usize, address: &str) -> BootstrapState {
    let text = address.to_owned();
    world.act(node, |node, now, _| assert!(node.peers.join(now, text)));
    let state = |world: &World| {
        let mut all = world.nodes[node].peers.bootstrap();
        all.find(|one| one.address == address).unwrap().state.clone()
    };
    let is_decided = |world: &World| state(world) != BootstrapState::Trying;
    assert!(world.run_until(Duration::from_secs(15), is_decided), "nothing came of it");
    state(world)
}

#[test]
fn who_asks_is_told_what_a_dial_of_now_came_to_and_not_what_was() {
    let mut world = World::new(1);
    let seed = world.add(&address(0), config());
    let node = world.add(&address(1), with(&[&address(0)]));
    assert!(world.run_until(Duration::from_secs(1), |world| world.linked(seed, node)));
    let reached = BootstrapState::Reached(world.id(seed));
    assert_eq!(join(&mut world, node, &address(0)), reached);
    let dialled = world.nodes[node].dialled.len();
    assert_eq!(join(&mut world, node, &address(0)), reached, "by one more dial");
    assert_eq!(world.nodes[node].dialled.len(), dialled + 1);
    assert!(world.linked(seed, node), "which is only a question");
    world.kill(seed);
    let gone = join(&mut world, node, &address(0));
    assert!(matches!(gone, BootstrapState::Failed(_)), "{gone:?}");
}

#[test]
fn who_has_no_slot_left_asks_all_the_same_and_says_so() {
    let mut world = World::new(1);
    let first = world.add(&address(0), config());
    let other = world.add(&address(1), config());
    let full = PeersConfig { max_peers: 1, ..with(&[&address(0)]) };
    let node = world.add(&address(2), full);
    assert!(world.run_until(Duration::from_secs(1), |world| world.linked(first, node)));
    let no_slot = BootstrapState::NoFreeSlot(world.id(other));
    assert_eq!(join(&mut world, node, &address(1)), no_slot);
    let reached = BootstrapState::Reached(world.id(first));
    assert_eq!(join(&mut world, node, &address(0)), reached, "the peer that it has");
    assert!(world.linked(first, node) && !world.linked(other, node));
}

#[test]
fn who_asks_while_overtaken_dials_are_under_way_is_told_of_his_own() {
    let name = "seed.example:8888";
    let mut world = World::new(1);
    let seed = world.add(&address(0), config());
    let node = world.add(&address(1), with(&[name]));
    let silent: SocketAddr = "9.9.9.9:1".parse().unwrap();
    world.services.insert(silent, DialFailure::Link(LinkDown::TimedOut));
    world.names.insert(name.to_owned(), Ok(vec![silent, world.nodes[seed].addr]));
    let reached = BootstrapState::Reached(world.id(seed));
    assert!(world.run_until(Duration::from_secs(1), |world| world.state(node) == reached));
    world.names.insert(name.to_owned(), Ok(vec![world.nodes[seed].addr]));
    assert_eq!(join(&mut world, node, name), reached);
    world.run(Duration::from_secs(10));
    assert_eq!(world.state(node), reached);
}

#[test]
fn a_full_node_is_knocked_at_rarely_by_who_has_a_peer_and_soon_by_who_has_none() {
    let full: SocketAddr = "9.9.9.9:80".parse().unwrap();
    let knocks = |others: &[String]| {
        let mut world = World::new(1);
        world.services.insert(full, DialFailure::refused(CloseReason::SlotsFull));
        world.add(&address(0), config());
        let mut bootstrap = vec![full.to_string()];
        bootstrap.extend_from_slice(others);
        let node = world.add(&address(1), PeersConfig { bootstrap, ..config() });
        world.run(Duration::from_secs(15));
        world.nodes[node].dialled.iter().filter(|(_, dial)| dial.to == full).count()
    };
    let (alone, beside_a_peer) = (knocks(&[]), knocks(&[address(0)]));
    assert!(alone >= 4, "{alone}");
    assert!(beside_a_peer <= 3, "{beside_a_peer}");
}

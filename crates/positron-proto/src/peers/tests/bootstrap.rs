use super::world::{World, address, closed, config};
use crate::{
    limits::{BOOTSTRAP_LONGEST, MAX_BOOTSTRAP},
    peers::{BootstrapState, PeersConfig},
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
            Some(DialFailure::NotPositron("HTTP")),
            BootstrapState::Failed(DialFailure::NotPositron("HTTP")),
        ),
        (Some(DialFailure::Timeout), BootstrapState::Failed(DialFailure::Timeout)),
        (Some(DialFailure::Closed(CloseReason::WrongNetwork)), closed(CloseReason::WrongNetwork)),
        (Some(DialFailure::Ourselves), BootstrapState::Failed(DialFailure::Ourselves)),
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
    assert_eq!(world.state(node), BootstrapState::Failed(DialFailure::Ourselves));
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
    world.act(node, |node, now, out| node.peers.add_bootstrap(now, text, out));
    assert!(world.run_until(Duration::from_secs(1), |world| world.linked(seed, node)));
    for number in 0..1_000 {
        let text = format!("9.9.9.9:{}", 1 + number);
        world.act(node, |node, now, out| node.peers.add_bootstrap(now, text, out));
    }
    assert_eq!(world.nodes[node].peers.bootstrap().count(), MAX_BOOTSTRAP);
    world.run(Duration::from_secs(30));
}

use std::collections::VecDeque;

use super::world::{World, address, config, crowd, network};
use crate::{
    identity::{Identity, Signed},
    limits::{MAX_ADDRESSES_PER_QUESTION, MAX_QUESTIONS},
    peers::{PeersConfig, PeersEffect, PeersMessage},
    session::sessions::Purpose,
    time::Duration,
    wire::record::PeerRecord,
};

/// How many of the others would pass on `whom`.
fn passed_on(world: &World, whom: usize) -> usize {
    let id = world.id(whom);
    let passes_on = |of: &usize| *of != whom && world.nodes[*of].stored.contains_key(&id);
    (0..world.nodes.len()).filter(passes_on).count()
}

/// A node that knows the first one.
fn joins(world: &mut World) -> usize {
    let node = world.nodes.len();
    let config = PeersConfig { bootstrap: vec![address(0)], ..config() };
    world.add(&address(node), config)
}

#[test]
fn who_lets_in_only_those_to_whom_it_spoke_is_passed_on_by_nobody() {
    let mut world = crowd(1, 5, &config());
    let inside = joins(&mut world);
    world.nodes[inside].gateway = true;
    world.run(Duration::from_secs(120));
    assert_eq!(world.degree(inside), 5);
    assert_eq!(passed_on(&world, inside), 0);
    assert!((0..5).all(|node| passed_on(&world, node) >= 4), "the others are");
    // They lose it, dial it again, and are let in because it remembers them.
    world.split(5);
    world.run(Duration::from_secs(20));
    world.heal();
    assert!(world.run_until(Duration::from_secs(60), |world| world.degree(inside) == 5));
    world.run(Duration::from_secs(120));
    assert_eq!(passed_on(&world, inside), 0);
    // Who comes is asked, and does not find it.
    let newcomer = joins(&mut world);
    world.run(Duration::from_secs(120));
    assert_eq!(passed_on(&world, inside), 0);
    assert!(passed_on(&world, newcomer) >= 5);
}

#[test]
fn without_byte_streams_who_comes_later_tells_of_those_who_came_before() {
    let mut world = World::new(1);
    world.datagrams_only = true;
    world.add(&address(0), config());
    let [first, inside] = [(); 2].map(|()| joins(&mut world));
    world.nodes[inside].gateway = true;
    world.run(Duration::from_secs(1200));
    let last = joins(&mut world);
    let proven = |world: &World| world.nodes[0].stored.contains_key(&world.id(first));
    assert!(world.run_until(Duration::from_secs(60), proven));
    assert!(world.run_until(Duration::from_secs(60), |world| world.linked(first, last)));
    world.run(Duration::from_secs(120));
    assert_eq!(passed_on(&world, inside), 0);
}

/// A record of somebody, who says that it listens there.
fn record(world: &World, number: u8, addresses: &[&str]) -> Signed<PeerRecord> {
    let me = Identity::from_seed([number; 32]);
    let record = PeerRecord {
        key: *me.public_key(),
        sequence: world.now.wall.as_unix_micros(),
        noise_static: [number; 32],
        capabilities: 0,
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        carriers: Vec::new(),
        software: String::new(),
    };
    me.sign(record, &network()).claim().clone()
}

/// Lets a linked peer say something to the first node.
fn say(world: &mut World, from: usize, message: PeersMessage) {
    let from = world.id(from);
    world.act(0, |node, now, out: &mut VecDeque<PeersEffect>| {
        node.peers.handle_message(now, from, message, &node.standings, out);
    });
}

#[test]
fn who_asks_for_many_dials_gets_few_and_no_answer_for_those_that_find_nobody() {
    let mut world = crowd(1, 2, &config());
    world.run(Duration::from_secs(10));
    let dials = world.nodes[0].dialled.len();
    let refused = world.nodes[0].peers.counters().checks_refused;
    for number in 100..125 {
        let text: Vec<String> = (1..=8).map(|n| format!("{n}.{number}.0.1:80")).collect();
        let addresses: Vec<&str> = text.iter().map(String::as_str).collect();
        let question = PeersMessage::Check(record(&world, number, &addresses));
        say(&mut world, 1, question);
    }
    world.run(Duration::from_secs(8));
    let probed = world.nodes[0].dialled[dials..].iter();
    let probed = probed.filter(|(_, dial)| dial.purpose.is_probe()).count();
    assert_eq!(probed, MAX_QUESTIONS / 4 * MAX_ADDRESSES_PER_QUESTION);
    let nobody = |record: &Signed<PeerRecord>| world.find(record.content().node_id()).is_none();
    let passed_on = |message: &PeersMessage| match message {
        PeersMessage::Announcement(peers) => peers.iter().any(nobody),
        _ => false,
    };
    assert!(!world.nodes[0].said.iter().any(|(_, message)| passed_on(message)));
    assert_eq!(world.nodes[0].peers.counters().checks_refused, refused + 25 - 4);
}

#[test]
fn who_is_linked_to_a_node_or_was_a_moment_ago_is_no_witness_of_it() {
    let mut world = crowd(1, 3, &config());
    world.nodes[1].gateway = true;
    world.run(Duration::from_secs(10));
    let told = world.nodes[1].peers.own.claim().clone();
    let refused = |world: &World| world.nodes[0].peers.counters().checks_refused;
    let before = refused(&world);
    say(&mut world, 2, PeersMessage::Check(told.clone()));
    assert_eq!(refused(&world), before + 1);
    world.kill(1);
    world.run(Duration::from_secs(10));
    let before = refused(&world);
    say(&mut world, 2, PeersMessage::Check(told));
    assert_eq!(refused(&world), before + 1);
}

#[test]
fn who_vouches_for_an_address_where_nobody_is_changes_nothing() {
    let mut world = crowd(1, 3, &config());
    world.nodes[1].gateway = true;
    world.run(Duration::from_secs(10));
    // Nothing gets through to it any more, not even from those to whom it spoke.
    world.nodes[1].addr = "66.6.6.6:8888".parse().unwrap();
    let told = world.nodes[1].peers.own.claim().clone();
    say(&mut world, 2, PeersMessage::Announcement(vec![told]));
    world.run(Duration::from_secs(120));
    let node = &world.nodes[0];
    assert!(node.dialled.iter().any(|(_, dial)| dial.purpose == Purpose::Probe), "it was tried");
    assert!(!node.stored.contains_key(&world.id(1)));
}

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use super::world::{World, address, config, crowd, network};
use crate::{
    id::NodeId,
    identity::{PublicKey, Signature, Signed, Verified},
    limits::{MAX_BOOK, MAX_BOOK_PER_IP, MAX_BOOK_PER_SOURCE, MAX_GOOD_PER_GROUP},
    misbehavior::{Misbehavior, Observation},
    peers::{
        KnownPeer, PeersEffect, PeersMessage,
        address_book::{AddressBook, Learned},
        entry::SourceShare,
    },
    rng::{Rng, Seed},
    scope::Group,
    time::{Duration, WallTime},
    wire::{Address, record::PeerRecord},
};

/// A verified record of a node that nobody ever met.
fn record(rng: &mut Rng, addr: SocketAddr) -> Verified<PeerRecord> {
    let record = PeerRecord {
        key: PublicKey::parse(rng.bytes()).unwrap(),
        sequence: 1,
        noise_static: [0; 32],
        capabilities: 0,
        addresses: vec![addr.into()],
        carriers: Vec::new(),
        software: String::new(),
    };
    let claim = Signed::new(record, Signature::from_bytes([0; 64]));
    Verified::from_own_storage(claim, &network())
}

fn public(rng: &mut Rng) -> SocketAddr {
    let [a, b, c] = rng.bytes();
    format!("{}.{a}.{b}.{c}:1", 20 + a % 60).parse().unwrap()
}

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 32])
}

fn learn(book: &mut AddressBook, rng: &mut Rng, share: SourceShare) -> Option<NodeId> {
    let addr = public(rng);
    let record = record(rng, addr);
    let id = record.content().node_id();
    (book.learn(record, vec![addr], share) == Learned::New).then_some(id)
}

fn prove(book: &mut AddressBook, id: NodeId, seen: u64) {
    book.change(&id, |entry| {
        let addr = entry.usable[0];
        entry.answered_at(addr, true, WallTime::from_unix_micros(seen));
    });
}

#[test]
fn a_flood_of_records_stays_within_the_bounds_and_displaces_nothing_proven() {
    let mut rng = Seed::from_number(1).stream("book");
    let mut book = AddressBook::default();
    let proven: Vec<NodeId> =
        (0..50).filter_map(|_| learn(&mut book, &mut rng, SourceShare::Hearsay(node(0)))).collect();
    for &id in &proven {
        prove(&mut book, id, 1);
    }
    for flood in 0..100_000_u32 {
        let source = u8::try_from(flood % 40 + 1).unwrap();
        learn(&mut book, &mut rng, SourceShare::Hearsay(node(source)));
    }
    assert_eq!(book.iter().count(), MAX_BOOK);
    assert!(proven.iter().all(|id| book.get(id).is_some()));
}

#[test]
fn one_source_gets_no_more_than_its_share() {
    let mut rng = Seed::from_number(2).stream("book");
    let mut book = AddressBook::default();
    let taken = (0..10_000)
        .filter_map(|_| learn(&mut book, &mut rng, SourceShare::Hearsay(node(1))))
        .count();
    assert_eq!(taken, MAX_BOOK_PER_SOURCE);
    let first = *book.iter().next().unwrap().0;
    book.change(&first, |entry| entry.known.failures = 1);
    assert!(
        learn(&mut book, &mut rng, SourceShare::Hearsay(node(1))).is_some(),
        "failing ones give way"
    );
    assert!(book.get(&first).is_none());
    assert!(learn(&mut book, &mut rng, SourceShare::Hearsay(node(1))).is_none());
    assert!(
        learn(&mut book, &mut rng, SourceShare::Hearsay(node(2))).is_some(),
        "others have their own"
    );
}

#[test]
fn uninvited_guests_displace_each_other_only() {
    let mut rng = Seed::from_number(3).stream("book");
    let mut book = AddressBook::default();
    let invited: Vec<NodeId> = (0..100)
        .filter_map(|_| learn(&mut book, &mut rng, SourceShare::Hearsay(node(1))))
        .collect();
    for _ in 0..10_000 {
        learn(&mut book, &mut rng, SourceShare::Inbound);
    }
    assert_eq!(book.iter().count(), invited.len() + MAX_BOOK_PER_SOURCE);
    assert!(invited.iter().all(|id| book.get(id).is_some()));
}

#[test]
fn many_proven_identities_in_one_group_displace_each_other_only() {
    let mut rng = Seed::from_number(4).stream("book");
    let mut book = AddressBook::default();
    let honest = learn(&mut book, &mut rng, SourceShare::Inbound).unwrap();
    prove(&mut book, honest, 1);
    for number in 0..2_000_u16 {
        let [a, b] = number.to_be_bytes();
        let addr = format!("66.6.{a}.{b}:1").parse().unwrap();
        let record = record(&mut rng, addr);
        let id = record.content().node_id();
        book.learn(record, vec![addr], SourceShare::Inbound);
        prove(&mut book, id, 1_000 + u64::from(number));
    }
    let group = Group::of("66.6.0.0".parse().unwrap());
    let in_group = book.iter().filter(|(_, entry)| Group::of(entry.usable[0].ip()) == group);
    assert_eq!(in_group.count(), MAX_GOOD_PER_GROUP);
    assert!(book.get(&honest).is_some());
}

/// The book hears of a node at `addr`, and finds it there.
fn find(book: &mut AddressBook, rng: &mut Rng, addr: SocketAddr, seen: u64) -> NodeId {
    let record = record(rng, addr);
    let id = record.content().node_id();
    book.learn(record, vec![addr], SourceShare::Inbound);
    prove(book, id, seen);
    id
}

#[test]
fn one_address_is_in_the_book_a_few_times_only() {
    let at: [fn(u16) -> String; 4] = [
        |number| format!("8.8.8.8:{number}"),
        |number| format!("10.0.0.9:{number}"),
        |number| format!("[2a00:1:2:3::{number:x}]:1"),
        |number| format!("[fd00::9]:{number}"),
    ];
    for at in at {
        let mut rng = Seed::from_number(5).stream("book");
        let mut book = AddressBook::default();
        for number in 1..1_000 {
            let addr = at(number).parse().unwrap();
            let record = record(&mut rng, addr);
            book.learn(record, vec![addr], SourceShare::Hearsay(node(1)));
        }
        assert_eq!(book.iter().count(), MAX_BOOK_PER_IP, "{}", at(1));
    }
}

#[test]
fn one_machine_of_a_private_network_displaces_nobody_however_many_nodes_are_proven_on_it() {
    let mut rng = Seed::from_number(12).stream("book");
    let mut book = AddressBook::default();
    let honest: Vec<NodeId> = (1..=50)
        .map(|host| find(&mut book, &mut rng, format!("10.1.0.{host}:1").parse().unwrap(), 1))
        .collect();
    let crowded: IpAddr = "10.0.0.9".parse().unwrap();
    for number in 0..6_800_u16 {
        let seen = 1_000 + u64::from(number);
        find(&mut book, &mut rng, SocketAddr::new(crowded, number + 1), seen);
    }
    let there = book.iter().filter(|(_, entry)| entry.usable[0].ip() == crowded);
    assert_eq!(there.count(), MAX_BOOK_PER_IP);
    assert!(honest.iter().all(|id| book.get(id).is_some()));
}

#[test]
fn what_storage_brings_back_of_one_address_is_bounded_and_the_rest_is_forgotten() {
    let mut rng = Seed::from_number(13).stream("book");
    let mut book = AddressBook::default();
    for port in 1..=100 {
        let addr = SocketAddr::new("10.0.0.9".parse().unwrap(), port);
        // It names another address, too, where nobody ever found it.
        let usable = vec![public(&mut rng), addr];
        let (record, last_seen) = (record(&mut rng, addr), WallTime::from_unix_micros(1));
        let (dialled, proven) = (Some(addr), None);
        let chosen_for = Duration::ZERO;
        let known = KnownPeer { record, dialled, proven, last_seen, failures: 0, chosen_for };
        book.restore(known, usable);
    }
    let mut out = VecDeque::new();
    book.report_evicted(&mut out);
    assert_eq!((book.len(), out.len()), (MAX_BOOK_PER_IP, 100 - MAX_BOOK_PER_IP));
}

#[test]
fn linked_peers_are_never_displaced() {
    let mut rng = Seed::from_number(6).stream("book");
    let mut book = AddressBook::default();
    let linked = learn(&mut book, &mut rng, SourceShare::Inbound).unwrap();
    book.change(&linked, |entry| {
        entry.linked = true;
        entry.known.failures = 100;
    });
    for _ in 0..1_000 {
        learn(&mut book, &mut rng, SourceShare::Inbound);
    }
    assert!(book.get(&linked).is_some());
}

#[test]
fn a_newer_record_keeps_the_proof_only_if_it_names_the_proven_address() {
    let mut rng = Seed::from_number(7).stream("book");
    let mut book = AddressBook::default();
    let id = learn(&mut book, &mut rng, SourceShare::Inbound).unwrap();
    prove(&mut book, id, 1);
    let (first, other) = (book.get(&id).unwrap().usable[0], "9.8.7.6:5".parse().unwrap());
    assert_eq!(renew(&mut book, id, 2, &[other, first]), Learned::Newer);
    assert_eq!(book.get(&id).unwrap().known.dialled, Some(first));
    renew(&mut book, id, 3, &[other]);
    assert_eq!(book.get(&id).unwrap().known.dialled, None);
    assert_eq!(renew(&mut book, id, 3, &[first]), Learned::Old);
}

/// The book hears a newer record of a node that is in it.
fn renew(book: &mut AddressBook, id: NodeId, sequence: u64, usable: &[SocketAddr]) -> Learned {
    let old = book.get(&id).unwrap().known.record.content().clone();
    let addresses = usable.iter().copied().map(Address::from).collect();
    let record = PeerRecord { sequence, addresses, ..old };
    let claim = Signed::new(record, Signature::from_bytes([0; 64]));
    let record = Verified::from_own_storage(claim, &network());
    book.learn(record, usable.to_vec(), SourceShare::Inbound)
}

#[test]
fn a_newer_record_is_no_way_round_the_bound_of_an_address() {
    let mut rng = Seed::from_number(14).stream("book");
    let mut book = AddressBook::default();
    let at = |port: u16| SocketAddr::new("10.6.6.6".parse().unwrap(), port);
    let there: Vec<NodeId> =
        (1..=16).map(|port| find(&mut book, &mut rng, at(port), u64::from(port))).collect();
    // Others name it, beside an address of their own and without one.
    let (own, second) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:1".parse().unwrap());
    let beside = find(&mut book, &mut rng, own, 1);
    assert_eq!(renew(&mut book, beside, 2, &[at(77), own, second]), Learned::Newer);
    assert_eq!(book.get(&beside).unwrap().usable, [own, second]);
    book.widen(&beside, vec![own, second, at(77)]);
    assert_eq!(book.get(&beside).unwrap().usable, [own, second]);
    let without = find(&mut book, &mut rng, "10.0.0.3:1".parse().unwrap(), 1);
    renew(&mut book, without, 2, &[at(78)]);
    assert!(book.get(&without).is_none());
    // Who is there may come back at another port, but takes up no second place.
    renew(&mut book, there[0], 2, &[at(79), at(80)]);
    assert_eq!(book.get(&there[0]).unwrap().usable, [at(79)]);
    assert!(there.iter().all(|id| book.get(id).is_some()));
    // A place that is given up is free.
    renew(&mut book, there[0], 3, &[second]);
    renew(&mut book, beside, 3, &[own, at(81), at(82)]);
    assert_eq!(book.get(&beside).unwrap().usable, [own, at(81)]);
}

/// A settled network whose first node hears of `records` from its second.
fn announce(world: &mut World, records: Vec<Signed<PeerRecord>>) -> Vec<PeersEffect> {
    let from = world.id(1);
    let mut all = Vec::new();
    world.act(0, |node, now, out| {
        let said = PeersMessage::Announcement(records);
        node.peers.handle_message(now, from, said, &node.standings, out);
        all.extend(out.iter().cloned());
        out.clear();
    });
    all
}

#[test]
fn hearsay_is_not_passed_on_before_we_dialled_it() {
    let mut world = crowd(1, 8, &config());
    world.run(Duration::from_secs(20));
    let mut rng = Seed::from_number(8).stream("book");
    let dead = public(&mut rng);
    let hearsay = record(&mut rng, dead);
    let id = hearsay.content().node_id();
    let out = announce(&mut world, vec![hearsay.claim().clone()]);
    assert!(matches!(
        out.as_slice(),
        [PeersEffect::Verify { .. }] | [PeersEffect::Observed { .. }, PeersEffect::Verify { .. }]
    ));
    let from = world.id(1);
    world.act(0, |node, now, out| node.peers.handle_verified(now, from, hearsay, out));
    assert!(world.nodes[0].peers.known().any(|known| known.record.content().node_id() == id));
    world.run(Duration::from_secs(600));
    let told = world.nodes[0].said.iter().any(|(_, message)| match message {
        PeersMessage::Hello { peers, .. } | PeersMessage::Announcement(peers) => {
            peers.iter().any(|record| record.content().node_id() == id)
        }
        _ => false,
    });
    assert!(!told);
    let dials = world.nodes[0].dialled.iter().filter(|(_, dial)| dial.to == dead).count();
    assert!(dials <= 4, "few packets to one that never answered: {dials}");
}

#[test]
fn a_flood_of_announcements_is_flooding_and_costs_few_checks() {
    let mut world = crowd(1, 8, &config());
    world.run(Duration::from_secs(20));
    let mut rng = Seed::from_number(9).stream("book");
    let (mut checks, mut floods) = (0, 0);
    for _ in 0..3_200 {
        let records = (0..32).map(|_| {
            let addr = public(&mut rng);
            record(&mut rng, addr).claim().clone()
        });
        let records = records.collect();
        for out in announce(&mut world, records) {
            match out {
                PeersEffect::Verify { .. } => checks += 1,
                PeersEffect::Observed { what, .. } => {
                    floods += usize::from(what == Observation::Misbehaved(Misbehavior::Flooding));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(checks <= 64, "{checks} checks for 100,000 records");
    assert!(floods > 3_000);
}

#[test]
fn a_check_that_nobody_answers_makes_room_in_the_end() {
    let mut world = crowd(1, 8, &config());
    world.run(Duration::from_secs(20));
    let mut rng = Seed::from_number(10).stream("book");
    let mut hear = |world: &mut World| {
        let records = (0..32).map(|_| {
            let addr = public(&mut rng);
            record(&mut rng, addr).claim().clone()
        });
        let records = records.collect();
        let out = announce(world, records);
        out.iter().filter(|out| matches!(out, PeersEffect::Verify { .. })).count()
    };
    assert_eq!((hear(&mut world), hear(&mut world), hear(&mut world)), (32, 32, 0));
    world.run(Duration::from_secs(60));
    assert_eq!(hear(&mut world), 32);
}

#[test]
fn what_storage_brings_back_is_bounded_and_checked() {
    let mut rng = Seed::from_number(11).stream("book");
    let mut world = World::new(1);
    let mut remembered: Vec<KnownPeer> = Vec::new();
    for _ in 0..6_000 {
        let addr = public(&mut rng);
        let record = record(&mut rng, addr);
        let last_seen = WallTime::from_unix_micros(rng.below(1_000_000));
        let (dialled, proven) = (Some(addr), None);
        let chosen_for = Duration::ZERO;
        remembered.push(KnownPeer { record, dialled, proven, last_seen, failures: 0, chosen_for });
    }
    let index = world.nodes.len();
    // What is dropped is forgotten by storage as well.
    let me = std::sync::Arc::new(crate::identity::Identity::from_seed([3; 32]));
    let mut peers = crate::peers::Peers::new(
        config(),
        me,
        network(),
        remembered,
        Seed::from_number(1).stream("peers"),
        world.now,
    );
    let mut out = VecDeque::new();
    peers.handle_listening(world.now, &[address(index).parse().unwrap()], &mut out);
    let forgotten = out.iter().filter(|out| matches!(out, PeersEffect::Forget(_))).count();
    assert_eq!(peers.known().count() + forgotten, 6_000);
    assert!(peers.known().count() <= MAX_BOOK);
    world.add(&address(0), config());
}

#[test]
fn of_those_who_told_of_a_node_the_last_few_are_remembered_and_nothing_is_decided_by_it() {
    let mut rng = Seed::from_number(9).stream("book");
    let mut book = AddressBook::default();
    let id = learn(&mut book, &mut rng, SourceShare::Hearsay(node(1))).unwrap();
    for teller in [1, 2, 2, 3, 4, 5, 5] {
        book.note_teller(&id, node(teller));
    }
    book.note_teller(&id, id);
    book.note_teller(&node(200), node(1));
    let entry = book.get(&id).unwrap();
    assert_eq!(entry.tellers, [2, 3, 4, 5].map(node));
    assert_eq!(entry.source, SourceShare::Hearsay(node(1)));
    assert_eq!(book.len(), 1);
}

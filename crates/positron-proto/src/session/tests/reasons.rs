//! Every reason that a session or a dial can end for, produced once: named right, within two
//! seconds where nothing has to be waited for, and the same at both ends.
//!
//! A reason that is new on the list fails these tests until a scenario here produces it.

use super::*;
use crate::{
    reason::{By, End, Reason},
    session::sessions::EndedSession,
};

/// Every reason that one end can give the other.
fn spoken() -> [CloseReason; 23] {
    [
        CloseReason::ShuttingDown,
        CloseReason::Duplicate,
        CloseReason::WrongNetwork,
        CloseReason::WrongVersion,
        CloseReason::WrongFeatures,
        CloseReason::SlotsFull,
        CloseReason::Banned,
        CloseReason::WrongNode,
        CloseReason::SelfDial,
        CloseReason::Violation("what".into()),
        CloseReason::SlowReader,
        CloseReason::Timeout,
        CloseReason::Pruned,
        CloseReason::Probe,
        CloseReason::AddressFull,
        CloseReason::OtherProcess("192.0.2.1:1".into()),
        CloseReason::InboundFull,
        CloseReason::ConnectionsFull,
        CloseReason::Application { code: 7, reason: "\u{1b}[2J".into() },
        CloseReason::KeyRetired,
        CloseReason::MemoryFull,
        CloseReason::RecordBroken,
        CloseReason::Other(999),
    ]
}

/// Those of the list that one of these can end for.
fn listed(end: End) -> BTreeSet<Reason> {
    Reason::ALL.iter().copied().filter(|reason| reason.ends().contains(&end)).collect()
}

fn ended(world: &World, n: usize) -> Vec<(EndedSession, By, Reason)> {
    let ended = |out: &SessionEffect| match out {
        SessionEffect::Down { reason, session, .. } => {
            Some((*session, reason.into(), reason.into()))
        }
        _ => None,
    };
    world.nodes[n].said.iter().filter_map(ended).collect()
}

/// The one reason that both ends give, after making sure that they agree on who ended it.
fn agreed(world: &World, told: &str) -> Reason {
    let ([(here, by_here, why_here)], [(there, by_there, why_there)]) =
        (&ended(world, 0)[..], &ended(world, 1)[..])
    else {
        panic!("{told}: {:?} and {:?}", world.downs(0), world.downs(1));
    };
    assert_eq!(why_here, why_there, "{told}");
    let other = |by| match by {
        By::Us => By::Peer,
        By::Peer => By::Us,
        By::Network => By::Network,
    };
    assert_eq!(*by_here, other(*by_there), "{told}");
    assert_eq!((here.peer.id, there.peer.id), (world.nodes[1].id, world.nodes[0].id));
    assert_eq!(here.transport, there.transport, "{told}");
    assert_ne!(here.peer.direction, there.peer.direction, "{told}");
    *why_here
}

fn linked_over(kinds: LinkKinds) -> World {
    let config = SessionConfig { transports: kinds, ..config() };
    let mut world = World::with_configs(vec![config; 2]);
    let to_second = world.known(1);
    world.dial(0, to_second);
    world.advance(secs(1));
    assert!(world.is_up(0, 1) && world.is_up(1, 0));
    world
}

/// Said by either end, over either kind of link, by a node that keeps the rules or one that does
/// not: each may say each.
fn said(produced: &mut BTreeSet<Reason>) {
    for kinds in [LinkKinds::TCP, LinkKinds::UDP] {
        for reason in spoken() {
            for by in 0..2 {
                let told = format!("{reason:?} by {by} over {kinds:?}");
                let mut world = linked_over(kinds);
                world.close(by, 1 - by, reason.clone());
                world.advance(secs(2));
                assert_eq!(agreed(&world, &told), Reason::from(&reason), "{told}");
                produced.insert((&reason).into());
                let lasted = ended(&world, by)[0].0.lasted;
                assert!(lasted >= millis(900) && lasted <= secs(1), "{told}: {lasted:?}");
            }
        }
    }
}

/// Their link breaks, and both are told at once.
fn reset(produced: &mut BTreeSet<Reason>) {
    let mut world = linked_over(LinkKinds::TCP);
    world.reset(0);
    assert_eq!(agreed(&world, "reset"), Reason::ConnectionLost);
    assert_eq!(ended(&world, 0)[0].1, By::Network);
    produced.insert(Reason::ConnectionLost);
}

/// Nothing gets through any more, and nobody is told.
fn cut(produced: &mut BTreeSet<Reason>) {
    for kinds in [LinkKinds::TCP, LinkKinds::UDP] {
        let mut world = linked_over(kinds);
        world.block(&[LinkKind::Tcp, LinkKind::Udp]);
        for wire in &mut world.wires {
            wire.stalled = [true; 2];
        }
        world.advance(secs(120));
        assert_eq!(agreed(&world, "cut"), Reason::Timeout, "{kinds:?}");
        assert_eq!(ended(&world, 0)[0].1, By::Network);
        produced.insert(Reason::Timeout);
    }
}

/// Somebody in between changes a byte.
fn changed(produced: &mut BTreeSet<Reason>) {
    let mut world = World::connected();
    world.send(0, 1, Lane::GOSSIP, "whole");
    change_last_byte(&mut world, 0);
    world.advance(secs(2));
    assert_eq!(agreed(&world, "changed"), Reason::RecordBroken);
    assert_eq!(ended(&world, 1)[0].1, By::Network);
    produced.insert(Reason::RecordBroken);
    let again = world.known(1);
    world.dial(0, again);
    world.run();
    assert_eq!(world.heard(1), ["whole"], "it comes again over the next link");
}

/// Another process with the key of one of them dials from elsewhere.
fn doubled(produced: &mut BTreeSet<Reason>) {
    let mut world = World::new(3);
    let to_second = world.known(1);
    world.dial(0, to_second);
    world.run();
    let seed = world.nodes[0].addr.to_string();
    let seed = seed.split(['.', ':']).nth(3).unwrap().parse().unwrap();
    world.nodes[2] = node(config(), seed, world.nodes[2].addr, 1);
    let to_second = world.known(1);
    world.dial(2, to_second);
    world.advance(secs(2));
    assert_eq!(agreed(&world, "doubled"), Reason::OtherProcess);
    assert_eq!((ended(&world, 1)[0].1, ended(&world, 0)[0].1), (By::Us, By::Peer));
    produced.insert(Reason::OtherProcess);
}

fn change_last_byte(world: &mut World, side: usize) {
    let mut stream: Vec<u8> = world.wires[0].pipes[side].drain(..).flatten().collect();
    *stream.last_mut().unwrap() ^= 1;
    world.wires[0].pipes[side].push_back(stream.into());
}

#[test]
fn every_reason_for_the_end_of_a_session_is_named_alike_at_both_ends() {
    let mut produced = BTreeSet::new();
    for scenario in [said, reset, cut, changed, doubled] {
        scenario(&mut produced);
    }
    assert_eq!(produced, listed(End::Session), "a reason without a scenario, or none at all");
}

/// The one failure of a dial from node 0 in a world, after so long.
fn failed(world: &mut World, dial: DialRequest, after: Duration) -> Reason {
    world.dial(0, dial);
    world.advance(after);
    the_failure(world)
}

fn the_failure(world: &World) -> Reason {
    match &world.failures(0)[..] {
        [failure] => failure.into(),
        other => panic!("not one failure: {other:?}"),
    }
}

/// The other end does not want to, at the door.
fn refused(produced: &mut BTreeSet<Reason>) {
    for kinds in [LinkKinds::TCP, LinkKinds::UDP] {
        for reason in spoken() {
            let config = SessionConfig { transports: kinds, ..config() };
            let mut world = World::with_configs(vec![config; 2]);
            world.nodes[1].door = AtTheDoor::Refuse(reason.clone(), None);
            let to_second = world.known(1);
            let told = failed(&mut world, to_second, secs(2));
            assert_eq!(told, Reason::from(&reason), "{reason:?} over {kinds:?}");
            produced.insert(told);
        }
    }
}

/// Something is in the way, or somebody else is there.
fn in_the_way(produced: &mut BTreeSet<Reason>) {
    let nobody = SocketAddr::from(([10, 0, 0, 99], 4000));
    produced.insert(failed(&mut World::new(1), dial(nobody), secs(2)));

    let mut world = World::new(2);
    world.block(&[LinkKind::Tcp, LinkKind::Udp]);
    let to_second = world.known(1);
    produced.insert(failed(&mut world, to_second, secs(60)));

    let mut world = World::new(1);
    let itself = dial(world.nodes[0].addr);
    produced.insert(failed(&mut world, itself, secs(2)));

    let mut world = World::new(3);
    let to_third = DialRequest { to: world.nodes[2].addr, ..world.known(1) };
    produced.insert(failed(&mut world, to_third, secs(2)));
}

/// What the operating system says of a stream.
fn told_by_the_system(produced: &mut BTreeSet<Reason>) {
    let words = || "words".to_owned();
    for down in
        [LinkDown::Reset, LinkDown::Eof, LinkDown::Unreachable(words()), LinkDown::Other(words())]
    {
        let mut world = World::new(2);
        let to_second = world.known(1);
        world.dial(0, to_second);
        let link = world.wires[0].ends[0].1;
        world.wires[0].over = true;
        world.with(0, |s, now, out| s.handle_link_down(now, link, down, out));
        produced.insert(the_failure(&world));
    }
}

/// The handshake does not come to its end.
fn in_the_handshake(produced: &mut BTreeSet<Reason>) {
    let mut world = World::new(2);
    let to_second = world.known(1);
    world.dial(0, to_second);
    world.wires[0].stalled = [true; 2];
    world.advance(secs(30));
    produced.insert(the_failure(&world));

    let answers = |bytes: &'static [u8]| {
        let mut world = World::new(2);
        let to_second = world.known(1);
        world.dial(0, to_second);
        world.wires[0].pipes[0].clear();
        world.wires[0].pipes[1].push_back(Bytes::from_static(bytes));
        world.carry(0, 1);
        the_failure(&world)
    };
    assert_eq!(answers(b"HTTP/1.1 400 Bad Request\r\n"), Reason::NotPositron);
    produced.insert(Reason::NotPositron);

    let mut world = World::new(2);
    let to_second = dial(world.nodes[1].addr);
    world.dial(0, to_second);
    world.carry(0, 0);
    change_last_byte(&mut world, 1);
    world.carry(0, 1);
    produced.insert(the_failure(&world));
}

#[test]
fn every_reason_for_which_a_dial_leads_to_nothing_is_named() {
    let mut produced = BTreeSet::new();
    for scenario in [refused, in_the_way, told_by_the_system, in_the_handshake] {
        scenario(&mut produced);
    }
    // The node's own, before the sessions hear of it: `node/endings.rs`.
    produced.extend([Reason::BannedAddress, Reason::NameUnresolved]);
    assert_eq!(produced, listed(End::Dial), "a reason without a scenario, or none at all");
}

//! Both ends of a session name the same reason for its end, and agree on who ended it.

use super::*;
use crate::{
    reason::{By, Reason},
    session::sessions::EndedSession,
};

/// Every reason that one end can give the other.
fn spoken() -> [CloseReason; 22] {
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
    ]
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

#[test]
fn whatever_one_end_says_both_name_alike_within_two_seconds() {
    for kinds in [LinkKinds::TCP, LinkKinds::UDP] {
        for reason in spoken() {
            for by in 0..2 {
                let told = format!("{reason:?} by {by} over {kinds:?}");
                let mut world = linked_over(kinds);
                world.close(by, 1 - by, reason.clone());
                world.advance(secs(2));
                assert_eq!(agreed(&world, &told), Reason::from(&reason), "{told}");
                let lasted = ended(&world, by)[0].0.lasted;
                assert!(lasted >= millis(900) && lasted <= secs(1), "{told}: {lasted:?}");
            }
        }
    }
}

#[test]
fn a_link_that_breaks_or_is_cut_is_named_alike_and_is_nobodys_doing() {
    let mut world = linked_over(LinkKinds::TCP);
    world.reset(0);
    assert_eq!(agreed(&world, "reset"), Reason::ConnectionLost);

    for kinds in [LinkKinds::TCP, LinkKinds::UDP] {
        let mut world = linked_over(kinds);
        world.block(&[LinkKind::Tcp, LinkKind::Udp]);
        for wire in &mut world.wires {
            wire.stalled = [true; 2];
        }
        world.advance(secs(120));
        assert_eq!(agreed(&world, "cut"), Reason::Timeout, "{kinds:?}");
        assert_eq!(ended(&world, 0)[0].1, By::Network);
    }
}

#[test]
fn bytes_that_were_changed_on_the_way_are_named_alike_and_are_nobodys_doing() {
    let mut world = World::connected();
    world.send(0, 1, Lane::GOSSIP, "whole");
    let mut stream: Vec<u8> = world.wires[0].pipes[0].drain(..).flatten().collect();
    *stream.last_mut().unwrap() ^= 1;
    world.wires[0].pipes[0].push_back(stream.into());
    world.advance(secs(2));
    assert_eq!(agreed(&world, "changed"), Reason::RecordBroken);
    assert_eq!(ended(&world, 1)[0].1, By::Network);
    let again = world.known(1);
    world.dial(0, again);
    world.run();
    assert_eq!(world.heard(1), ["whole"], "it comes again over the next link");
}

#[test]
fn a_process_that_takes_the_place_of_another_is_named_alike() {
    let mut world = World::new(3);
    let to_second = world.known(1);
    world.dial(0, to_second);
    world.run();
    // A second process with the key of node 0, elsewhere.
    let seed = world.nodes[0].addr.to_string();
    let seed = seed.split(['.', ':']).nth(3).unwrap().parse().unwrap();
    world.nodes[2] = node(config(), seed, world.nodes[2].addr, 1);
    let to_second = world.known(1);
    world.dial(2, to_second);
    world.advance(secs(2));
    let of_first = |(session, by, why): &(EndedSession, By, Reason)| {
        (session.peer.id == world.nodes[0].id).then_some((*by, *why))
    };
    let at_second: Vec<_> = ended(&world, 1).iter().filter_map(of_first).collect();
    assert_eq!(at_second, [(By::Us, Reason::OtherProcess)]);
    let [(_, by, why)] = ended(&world, 0)[..] else { panic!("{:?}", world.downs(0)) };
    assert_eq!((by, why), (By::Peer, Reason::OtherProcess));
}

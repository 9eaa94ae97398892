use super::*;
use crate::{
    limits::{
        ACK_COMPANY_DELAY, LINK_DATAGRAM_WINDOW, LONE_ACK_DELAY, MAX_MESSAGE, MAX_PAYLOAD,
        PROBE_HEAD_START,
    },
    session::{sessions::LinkKind, stage::Stage},
};

fn world_over(transports: LinkKinds) -> World {
    World::with_configs(vec![SessionConfig { transports, ..config() }; 2])
}

/// Two nodes of which the first dialled the second, a while ago.
fn connected_over(transports: LinkKinds) -> World {
    let mut world = world_over(transports);
    let to_second = world.known(1);
    world.dial(0, to_second);
    world.advance(millis(500));
    assert!(world.is_up(0, 1) && world.is_up(1, 0));
    world
}

fn transport(world: &World, n: usize) -> Option<LinkKind> {
    world.nodes[n].sessions.views().next().map(|view| view.transport)
}

fn numbers(world: &World, n: usize) -> Vec<u32> {
    let number = |body: &Bytes| u32::from_be_bytes(body[..4].try_into().unwrap());
    world.heard(n).iter().map(number).collect()
}

/// Both nodes say something every 20 ms, in turn in each lane.
struct Chatter {
    said: [u32; 2],
    unsaid: u32,
}

impl Chatter {
    const fn new() -> Self {
        Self { said: [0; 2], unsaid: 0 }
    }

    fn go_on(&mut self, world: &mut World, lasting: Duration) {
        let until = world.now.mono + lasting;
        while world.now.mono < until {
            for n in [0, 1] {
                let (peer, lane) = (world.nodes[1 - n].id, Lane::GOSSIP);
                let mut body = vec![0; 300];
                body[..4].copy_from_slice(&self.said[n].to_be_bytes());
                let body = Bytes::from(body);
                let sent =
                    world.with(n, |s, now, out| s.send(now, peer, lane, body.into(), None, out));
                match sent {
                    Ok(()) => self.said[n] += 1,
                    Err(_) => self.unsaid += 1,
                }
            }
            world.advance(millis(20));
        }
    }

    fn check(&self, world: &World) {
        for n in [0, 1] {
            let heard = numbers(world, n);
            let said: Vec<u32> = (0..self.said[1 - n]).collect();
            assert_eq!(heard, said, "node {n}");
        }
    }
}

#[test]
fn datagrams_are_preferred_where_they_get_through() {
    let mut world = connected_over(LinkKinds::BOTH);
    assert!(world.wires.is_empty(), "no byte stream was needed");
    assert_eq!([0, 1].map(|n| transport(&world, n)), [Some(LinkKind::Udp); 2]);
    assert_eq!(world.outcomes(0), [DialOutcome::Connected(world.nodes[1].id, LinkKind::Udp)]);
    for lane in Lane::KNOWN {
        world.send(0, 1, lane, vec![lane.number(); 3]);
        world.send(1, 0, lane, vec![7; 100_000]);
    }
    world.advance(secs(1));
    let lanes = Lane::KNOWN.len();
    assert_eq!((world.heard(0).len(), world.heard(1).len()), (lanes, lanes));
    assert_eq!(world.nodes[0].sessions.counters().messages_duplicate, 0);
}

#[test]
fn a_message_of_a_megabyte_and_its_ticket_arrive_over_datagrams() {
    let mut world = connected_over(LinkKinds::UDP);
    let large = Bytes::from(vec![7; MAX_PAYLOAD]);
    world.send_ticket(0, 1, large.clone(), 1);
    world.advance(secs(5));
    assert_eq!(world.heard(1), [large]);
    assert_eq!(world.count(0, |out| *out == SessionEffect::Delivered { ticket: Ticket(1) }), 1);
}

#[test]
fn a_small_broadcast_goes_before_large_ones_that_were_said_before_it_over_links_of_each_kind() {
    for kind in [LinkKinds::UDP, LinkKinds::TCP] {
        let mut world = connected_over(kind);
        world.wires.iter_mut().for_each(|wire| wire.stalled[0] = true);
        for _ in 0..3 {
            world.send(0, 1, Lane::LARGE_GOSSIP, vec![7; MAX_PAYLOAD]);
        }
        world.send(0, 1, Lane::GOSSIP, "small");
        world.wires.iter_mut().for_each(|wire| wire.stalled[0] = false);
        world.advance(secs(20));
        let heard = world.heard(1);
        assert_eq!(heard.iter().map(Bytes::len).sum::<usize>(), 3 * MAX_PAYLOAD + 5, "{kind:?}");
        assert_eq!(heard[0], "small", "{kind:?}");
    }
}

#[test]
fn where_datagrams_are_blocked_a_byte_stream_is_up_after_the_head_start() {
    let mut world = world_over(LinkKinds::BOTH);
    world.block(&[LinkKind::Udp]);
    let to_second = world.known(1);
    world.dial(0, to_second);
    world.advance(millis(260));
    assert_eq!([0, 1].map(|n| transport(&world, n)), [Some(LinkKind::Tcp); 2]);
    assert_eq!(world.outcomes(0), [DialOutcome::Connected(world.nodes[1].id, LinkKind::Tcp)]);
    assert_eq!(world.nodes[0].sessions.counters().dials, 1);
}

#[test]
fn where_byte_streams_are_blocked_datagrams_do() {
    let mut world = world_over(LinkKinds::BOTH);
    world.block(&[LinkKind::Tcp]);
    let to_second = world.known(1);
    world.dial(0, to_second);
    world.advance(secs(1));
    assert_eq!([0, 1].map(|n| transport(&world, n)), [Some(LinkKind::Udp); 2]);
}

#[test]
fn a_node_that_speaks_one_transport_only_is_reached_over_it() {
    for only in [LinkKinds::UDP, LinkKinds::TCP] {
        for dialler in [0, 1] {
            let both = SessionConfig { transports: LinkKinds::BOTH, ..config() };
            let one = SessionConfig { transports: only, ..config() };
            let mut world = World::with_configs(vec![both, one]);
            if only == LinkKinds::UDP {
                // Nobody listens for streams there.
                world.block(&[LinkKind::Tcp]);
            }
            let to = world.known(1 - dialler);
            world.dial(dialler, to);
            world.advance(secs(1));
            let expected = if only == LinkKinds::UDP { LinkKind::Udp } else { LinkKind::Tcp };
            assert_eq!([0, 1].map(|n| transport(&world, n)), [Some(expected); 2], "{only:?}");
        }
    }
}

#[test]
fn a_dial_that_nobody_answers_ends_once_with_the_more_telling_reason() {
    let mut world = world_over(LinkKinds::BOTH);
    let nobody = SocketAddr::from(([10, 9, 9, 9], 4000));
    world.dial(0, dial(nobody));
    world.advance(secs(2));
    assert_eq!(world.failures(0), [DialFailure::Link(LinkDown::Refused)]);
    assert_eq!(world.nodes[0].sessions.half_open(), 0);
    world.advance(secs(30));
    assert_eq!(world.outcomes(0).len(), 1);
    assert!(!world.nodes[0].sessions.has_links());
    assert!(world.nodes[0].sessions.links.dials.is_idle());
    assert!(world.nodes[0].sessions.carriers_mut().datagrams.is_empty());
}

#[test]
fn over_datagrams_another_node_ourselves_and_another_network_are_named() {
    let mut world = World::with_configs(vec![
        SessionConfig { transports: LinkKinds::BOTH, ..config() },
        SessionConfig { transports: LinkKinds::BOTH, ..config() },
        SessionConfig {
            transports: LinkKinds::BOTH,
            network: NetworkId::from_name("other"),
            ..config()
        },
    ]);
    let (own, second, third) = (world.nodes[0].addr, world.known(1), world.known(2));
    let wrong = DialRequest { to: third.to, ..second };
    world.dial(0, dial(own));
    world.advance(secs(1));
    world.dial(0, DialRequest { noise_static: None, to: second.to, ..third });
    world.advance(secs(1));
    world.dial(0, wrong);
    world.advance(secs(1));
    let found = world.nodes[1].id;
    let failures = world.failures(0);
    assert_eq!(
        failures[..2],
        [
            DialFailure::from(HandshakeFailure::Ourselves),
            DialFailure::from(HandshakeFailure::WrongNode { found })
        ]
    );
    assert!(world.wires.is_empty(), "{failures:?}");
    assert_eq!(failures.len(), 3);
}

#[test]
fn a_probe_goes_from_a_port_of_its_own_and_over_datagrams_only_where_that_gets_nowhere() {
    for (blocked, kind) in [(&[][..], LinkKind::Tcp), (&[LinkKind::Tcp], LinkKind::Udp)] {
        let mut world = world_over(LinkKinds::BOTH);
        world.block(blocked);
        let probe = DialRequest { purpose: Purpose::Probe, ..world.known(1) };
        world.dial(0, probe);
        world.advance(PROBE_HEAD_START + secs(1));
        assert_eq!(world.outcomes(0), [DialOutcome::Probed(world.nodes[1].id, kind)]);
        assert_eq!((world.ups(0), world.ups(1)), (0, 0), "the other end counts no session");
        assert_eq!(world.nodes[1].sessions.counters().handshakes_failed, 0);
        world.advance(secs(10));
        for node in &world.nodes {
            // A stream that a firewall swallows has no end.
            let mut stages = node.sessions.links.table.stages();
            assert!(stages.all(|(_, stage)| matches!(stage, Stage::Closing)));
        }
    }
}

#[test]
fn over_datagrams_a_refusal_comes_with_its_reason_and_a_last_message() {
    let mut world = world_over(LinkKinds::BOTH);
    let parting = Some(Bytes::from_static(b"others"));
    world.nodes[1].door = AtTheDoor::Refuse(CloseReason::SlotsFull, parting);
    let to_second = world.known(1);
    world.dial(0, to_second);
    world.advance(secs(1));
    assert_eq!(world.failures(0), [DialFailure::refused(CloseReason::SlotsFull)]);
    assert_eq!(
        world.count(0, |out| matches!(out, SessionEffect::Referral { .. })),
        1,
        "{:?}",
        world.nodes[0].said
    );
    assert!(world.wires.is_empty(), "whoever refuses us by datagrams is not asked again");
}

#[test]
fn over_datagrams_close_tells_the_peer_why_after_what_was_said_before() {
    let mut world = connected_over(LinkKinds::BOTH);
    for n in 0..50 {
        world.send(0, 1, Lane::DIRECT, vec![n; 5000]);
        world.send(0, 1, Lane::GOSSIP, vec![n; 5000]);
    }
    world.close(0, 1, CloseReason::ShuttingDown);
    world.advance(secs(2));
    assert_eq!(world.heard(1).len(), 100);
    assert_eq!(world.downs(1), [DownReason::ByPeer(CloseReason::ShuttingDown)]);
    assert_eq!(world.downs(0), [DownReason::ByUs(CloseReason::ShuttingDown)]);
    world.advance(secs(5));
    assert!(world.nodes.iter().all(|node| !node.sessions.has_links()));
}

#[test]
fn a_simultaneous_dial_over_datagrams_ends_in_one_link() {
    for stagger in 0..30 {
        let mut world = world_over(LinkKinds::BOTH);
        let (to_second, to_first) = (world.known(1), world.known(0));
        world.dial(0, to_second);
        world.advance(millis(stagger));
        world.dial(1, to_first);
        let mut chatter = Chatter::new();
        chatter.go_on(&mut world, millis(200));
        world.advance(secs(2));
        chatter.check(&world);
        for n in [0, 1] {
            assert_eq!((world.ups(n), world.downs(n)), (1, vec![]), "{stagger} ms");
            assert_eq!(
                world.outcomes(n),
                [DialOutcome::Connected(world.nodes[1 - n].id, LinkKind::Udp)]
            );
            assert_eq!(world.nodes[n].sessions.links.table.stages().count(), 1, "{stagger} ms");
        }
    }
}

#[test]
fn when_datagrams_are_cut_the_session_moves_to_a_stream_within_three_seconds_and_back() {
    let mut world = connected_over(LinkKinds::BOTH);
    let mut chatter = Chatter::new();
    chatter.go_on(&mut world, secs(5));
    world.block(&[LinkKind::Udp]);
    let before = world.heard(1).len();
    chatter.go_on(&mut world, secs(3));
    assert_eq!([0, 1].map(|n| transport(&world, n)), [Some(LinkKind::Tcp); 2]);
    assert!(world.heard(1).len() > before + 100, "what waited has arrived");
    chatter.go_on(&mut world, secs(20));
    assert_eq!([0, 1].map(|n| transport(&world, n)), [Some(LinkKind::Tcp); 2]);
    world.block(&[]);
    chatter.go_on(&mut world, secs(20));
    assert_eq!([0, 1].map(|n| transport(&world, n)), [Some(LinkKind::Udp); 2]);
    world.advance(secs(1));
    chatter.check(&world);
    assert_eq!(chatter.unsaid, 0, "there was a session all the time");
    for n in [0, 1] {
        assert_eq!((world.ups(n), world.downs(n)), (1, vec![]));
        assert_eq!(world.nodes[n].sessions.links.table.stages().count(), 1);
    }
    let counters = world.nodes[0].sessions.counters();
    let moves = world.nodes[0].sessions.moves();
    assert_eq!((moves[LinkKind::Tcp], moves[LinkKind::Udp], counters.handovers), (1, 1, 2));
    assert_eq!(counters.failovers, 1);
}

#[test]
fn a_session_over_a_stream_tries_datagrams_again_ever_more_seldom() {
    let mut world = world_over(LinkKinds::BOTH);
    world.block(&[LinkKind::Udp]);
    let to_second = world.known(1);
    world.dial(0, to_second);
    world.advance(secs(1));
    let tries = |world: &World| world.nodes[0].sessions.counters().upgrades;
    let mut at = vec![];
    for second in 1..=300 {
        let before = tries(&world);
        world.advance(secs(1));
        if tries(&world) > before {
            at.push(second);
        }
    }
    let waits: Vec<u64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(at[0], 2);
    assert_eq!(waits, [4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(world.nodes[1].sessions.counters().upgrades, 0, "whoever listens only listens");
}

#[test]
fn the_first_message_on_an_idle_link_dials_no_stream() {
    let mut world = connected_over(LinkKinds::BOTH);
    world.advance(secs(25));
    world.send(0, 1, Lane::GOSSIP, "after a long silence");
    world.advance(secs(3));
    assert_eq!(world.heard(1).len(), 1);
    assert_eq!(world.nodes[0].sessions.counters().failovers, 0);
}

#[test]
fn over_datagrams_gossip_after_a_silence_asks_nobody_for_a_sign_of_life() {
    let mut world = connected_over(LinkKinds::BOTH);
    world.advance(secs(10));
    let sent = |world: &World| [0, 1].map(|n| world.nodes[n].sessions.counters().records_sent);
    let queued = |world: &World| world.nodes[0].sessions.views().next().unwrap().queued_bytes;
    let before = sent(&world);
    world.send(0, 1, Lane::GOSSIP, "news");
    world.advance(LONE_ACK_DELAY - millis(500));
    assert_eq!((sent(&world), queued(&world) > 0), ([before[0] + 1, before[1]], true));
    world.advance(secs(1));
    assert_eq!((sent(&world), queued(&world)), ([before[0] + 1, before[1] + 1], 0));

    world.send(0, 1, Lane::GOSSIP, "more news");
    world.advance(secs(10));
    world.send(0, 1, Lane::GOSSIP, "and more");
    world.advance(ACK_COMPANY_DELAY - millis(500));
    assert_eq!((sent(&world), queued(&world) > 0), ([before[0] + 3, before[1] + 1], true));
    world.advance(secs(1));
    assert_eq!((sent(&world), queued(&world)), ([before[0] + 3, before[1] + 2], 0));
    assert!(world.is_up(0, 1), "nobody is held for a slow reader");
}

#[test]
fn whoever_restarts_is_found_again_over_datagrams() {
    let mut world = connected_over(LinkKinds::BOTH);
    world.send(0, 1, Lane::GOSSIP, vec![1]);
    world.advance(secs(1));
    world.restart(1, 1);
    world.send(0, 1, Lane::GOSSIP, vec![2]);
    let back = dial(world.nodes[0].addr);
    world.dial(1, back);
    world.advance(secs(4));
    assert!(world.is_up(0, 1) && world.is_up(1, 0));
    assert_eq!(world.heard(1).iter().map(|body| body[0]).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((world.ups(0), world.downs(0).len()), (2, 1));
}

#[test]
fn a_session_that_one_end_lost_comes_back_although_the_other_holds_it() {
    // Node 1 speaks and finds no answer; node 0 is silent and notices nothing.
    let mut world = connected_over(LinkKinds::BOTH);
    world.advance(secs(10));
    world.block(&[LinkKind::Udp]);
    world.send(1, 0, Lane::GOSSIP, vec![1]);
    world.advance(secs(3));
    assert!(
        !world.is_up(1, 0) && world.is_up(0, 1),
        "{:?} {:?}",
        world.nodes[0].said,
        world.nodes[1].said
    );
    let back = world.known(0);
    world.dial(1, back);
    world.advance(secs(1));
    assert_eq!(world.heard(0).len(), 1);
    assert_eq!([0, 1].map(|n| transport(&world, n)), [Some(LinkKind::Tcp); 2]);
    assert_eq!(world.downs(0), []);
}

#[test]
fn over_datagrams_a_large_message_is_one_message_of_the_connection_and_small_ones_share_one() {
    let mut world = connected_over(LinkKinds::UDP);
    let before = world.nodes[0].sessions.counters().records_sent;
    let peer = world.nodes[1].id;
    world.with(0, |s, now, out| {
        for n in 0..50_u8 {
            s.send(now, peer, Lane::GOSSIP, vec![n; 100].into(), None, out).unwrap();
        }
    });
    assert_eq!(world.nodes[0].sessions.counters().records_sent, before + 1);
    world.send(0, 1, Lane::DIRECT, vec![7; MAX_PAYLOAD]);
    assert_eq!(world.nodes[0].sessions.counters().records_sent, before + 2);
    world.advance(secs(5));
    assert_eq!(world.heard(1).len(), 51);
}

#[test]
fn what_is_given_to_a_connection_is_bounded_and_the_largest_message_always_goes() {
    let mut world = connected_over(LinkKinds::UDP);
    world.block(&[LinkKind::Udp]);
    for _ in 0..4 {
        world.send(0, 1, Lane::DIRECT, vec![7; MAX_PAYLOAD]);
    }
    let connections = world.nodes[0].sessions.carriers_mut().datagrams.endpoint.views();
    let given = connections[0].queued_bytes;
    assert!((MAX_PAYLOAD..LINK_DATAGRAM_WINDOW + MAX_MESSAGE).contains(&given), "{given} bytes");
    world.block(&[]);
    world.advance(secs(30));
    assert_eq!(world.heard(1).len(), 4);
    assert_eq!(world.downs(0), []);
}

#[test]
fn a_large_message_over_a_slow_path_of_datagrams_is_neither_silence_nor_slow_reading() {
    let mut world = connected_over(LinkKinds::UDP);
    let large = Bytes::from(vec![1; MAX_PAYLOAD]);
    world.send_ticket(0, 1, large.clone(), 1);
    // 40 large datagrams a second get through, and a second's worth of them waits: 20 s and more
    // for the message.
    let paths = &mut world.internet.topology_mut().paths;
    (paths.rate, paths.queue) = (Some(40 * 1_200), 40 * 1_200);
    world.advance(secs(120));
    assert_eq!(world.heard(1), [large]);
    assert_eq!((world.downs(0), world.downs(1)), (vec![], vec![]));
    assert_eq!(world.nodes[0].sessions.counters().slow_readers, 0);
}

#[test]
fn a_sparing_dial_stops_a_byte_stream_before_the_kernel_says_its_first_packet_again() {
    for (kinds, wait) in [(LinkKinds::BOTH, millis(1_150)), (LinkKinds::TCP, millis(1_900))] {
        let mut world = world_over(kinds);
        let dial = DialRequest { effort: Effort::Packets(2), ..world.known(1) };
        let (mut now, mut out) = (world.now, std::collections::VecDeque::new());
        let (begun, sessions) = (now.mono, &mut world.nodes[0].sessions);
        sessions.dial(now, dial, &mut out);
        while !out.iter().any(|effect| matches!(effect, SessionEffect::Hangup { .. })) {
            now.mono = sessions.poll_timeout().unwrap();
            sessions.handle_timeout(now, &mut out);
        }
        assert_eq!(now.mono.since(begun), wait, "{kinds:?}");
    }
}

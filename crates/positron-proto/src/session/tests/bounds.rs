use super::*;
use crate::{
    handshake::{Direction, RemoteNode},
    limits::{
        HANDSHAKE_TIMEOUT, MAX_DORMANT_BYTES, MAX_DORMANT_CONVERSATIONS, MAX_HALF_OPEN,
        MAX_HALF_OPEN_PER_IP, MAX_MESSAGE, MAX_PARTIAL_BYTES, MAX_PEER_QUEUE_BYTES, MAX_RECORD,
    },
    session::{
        carrier::CarrierOrder,
        conversation::Conversation,
        conversations::{Attachment, Retention},
        link::SessionLink,
        stage::LinkEntry,
        upgrade_backoff::UpgradeBackoff,
    },
    wire::frame::Frame,
};

/// A stranger connects to node 0 and says nothing; whether it was let in front of the door.
fn stranger(world: &mut World, n: u64, from: [u8; 4]) -> bool {
    let (now, mut out) = (world.now, VecDeque::new());
    let link = LinkId::of_driver(1000 + n);
    let from = SocketAddr::from((from, 9));
    world.nodes[0].sessions.handle_accepted(now, LinkKind::Tcp, link, from, None, &mut out);
    !out.contains(&SessionEffect::Hangup { link, how: Hangup::Abort })
}

fn far_away(n: u16) -> [u8; 4] {
    let [high, low] = n.to_be_bytes();
    [172, 16, high, low]
}

#[test]
fn of_three_hundred_strangers_the_oldest_give_way_and_an_honest_newcomer_gets_in() {
    let mut world = World::new(2);
    for n in 0..300 {
        assert!(stranger(&mut world, n.into(), far_away(n)));
    }
    assert_eq!(world.nodes[0].sessions.half_open(), MAX_HALF_OPEN);
    assert_eq!(world.nodes[0].sessions.counters().half_open_evicted, 300 - 256);
    let to_first = world.known(0);
    world.dial(1, to_first);
    world.run();
    assert!(world.is_up(0, 1) && world.is_up(1, 0));
    world.advance(HANDSHAKE_TIMEOUT);
    assert_eq!(world.nodes[0].sessions.half_open(), 0);
    assert_eq!(world.nodes[0].sessions.counters().handshakes_timed_out, 255);
}

#[test]
fn one_address_has_few_half_open_links_unless_it_is_loopback() {
    let mut world = World::new(1);
    let limit = u64::try_from(MAX_HALF_OPEN_PER_IP).unwrap();
    for n in 0..limit + 1 {
        assert_eq!(stranger(&mut world, n, [10, 1, 1, 1]), n < limit);
        assert!(stranger(&mut world, 100 + n, [127, 0, 0, 1]));
    }
    assert_eq!(world.nodes[0].sessions.counters().links_refused, 1);
    world.advance(HANDSHAKE_TIMEOUT);
    assert!(stranger(&mut world, 200, [10, 1, 1, 1]), "their time is over");
}

/// A stranger whose SYN is of another version: it is told so and hung up on, after a flush.
fn time_traveller(world: &mut World, n: u64, from: [u8; 4]) -> bool {
    let (now, link) = (world.now, LinkId::of_driver(1000 + n));
    let let_in = stranger(world, n, from);
    let (mut out, syn) = (VecDeque::new(), Bytes::from_static(&[0xBE, 9, 1, 2, 0, 0]));
    world.nodes[0].sessions.handle_bytes(now, link, syn, &mut out);
    assert_eq!(out.contains(&SessionEffect::Hangup { link, how: Hangup::Flush }), let_in);
    let_in
}

#[test]
fn who_is_told_goodbye_and_does_not_go_is_a_stranger_until_the_link_is_down() {
    let mut world = World::new(1);
    let limit = u64::try_from(MAX_HALF_OPEN_PER_IP).unwrap();
    for n in 0..limit + 1 {
        assert_eq!(time_traveller(&mut world, n, [10, 1, 1, 1]), n < limit);
    }
    let (now, gone) = (world.now, LinkId::of_driver(1000));
    world.nodes[0].sessions.handle_link_down(now, gone, LinkDown::Eof, &mut VecDeque::new());
    assert!(time_traveller(&mut world, 100, [10, 1, 1, 1]));

    for n in 0..300 {
        assert!(time_traveller(&mut world, 200 + u64::from(n), far_away(n)));
    }
    let evicted = world.nodes[0].sessions.counters().half_open_evicted;
    assert_eq!(evicted, limit + 300 - u64::try_from(MAX_HALF_OPEN).unwrap());
}

#[test]
fn one_ipv6_customer_counts_as_one_address() {
    let mut world = World::new(1);
    let (now, mut out) = (world.now, VecDeque::new());
    for n in 0..=MAX_HALF_OPEN_PER_IP {
        let from = format!("[2001:db8::{n:x}]:9").parse().unwrap();
        let link = LinkId::of_driver(u64::try_from(n).unwrap());
        world.nodes[0].sessions.handle_accepted(now, LinkKind::Tcp, link, from, None, &mut out);
    }
    assert_eq!(out.len(), 1);
}

#[test]
fn sessions_of_one_address_are_the_nodes_to_count_and_not_refused_unheard() {
    let mut world = World::new(12);
    for n in 1..world.nodes.len() {
        world.nodes[n].addr.set_ip([203, 0, 113, 1].into());
        let to_first = world.known(0);
        world.dial(n, to_first);
        world.run();
        assert!(world.is_up(0, n));
    }
}

#[test]
fn there_are_never_more_sessions_than_configured_in_either_direction() {
    let narrow = SessionConfig { max_links: 2, ..config() };
    let mut world = World::with_configs(vec![narrow, config(), config(), config(), config()]);
    for (from, to) in [(0, 1), (2, 0), (0, 3), (4, 0)] {
        let dial = world.known(to);
        world.dial(from, dial);
        world.run();
    }
    assert_eq!(world.nodes[0].sessions.views().count(), 2);
    let full = DialFailure::refused(CloseReason::ConnectionsFull);
    assert_eq!(world.failures(0), std::slice::from_ref(&full));
    assert_eq!(world.failures(4), [full]);
    assert_eq!(world.nodes[0].sessions.counters().links_refused, 2);
    // A second link to somebody who is here needs no place of its own.
    let again = world.known(0);
    world.dial(2, again);
    world.run();
    assert!(world.is_up(0, 2));
}

#[test]
fn of_too_many_dormant_conversations_the_oldest_is_forgotten() {
    let mut world = World::new(2);
    let (now, mut out) = (world.now, VecDeque::new());
    let sessions = &mut world.nodes[0].sessions;
    for n in 0..u16::try_from(MAX_DORMANT_CONVERSATIONS + 10).unwrap() {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&n.to_be_bytes());
        let peer = NodeId::from_bytes(id);
        let known = crate::session::sessions::Peer {
            id: peer,
            key: *Identity::from_seed([1; 32]).public_key(),
            noise_static: [0; 32],
            addr: ([10, 0, 0, 1], 1).into(),
            direction: Direction::Outbound,
            link: LinkId::of_core(n.into()),
            boot: 1,
        };
        sessions.conversations.attach(now.mono, known, LinkKind::Tcp);
        let (lane, ticket) = (Lane::DIRECT, Some(Ticket(n.into())));
        sessions.conversations.push(now.mono, &peer, lane.into(), "x".into(), ticket).unwrap();
        let reason = DownReason::Link(LinkDown::Reset);
        let later = Now { mono: now.mono + millis(n.into()), ..now };
        sessions.end_session(later, peer, reason, Retention::Keep, &mut out);
    }
    assert_eq!(sessions.conversations.peers().count(), MAX_DORMANT_CONVERSATIONS);
    let given_up: Vec<_> = out
        .iter()
        .filter_map(|out| match out {
            SessionEffect::Undelivered { ticket } => Some(ticket.0),
            _ => None,
        })
        .collect();
    assert_eq!(given_up, (0..10).collect::<Vec<_>>());
}

#[test]
fn what_waits_in_dormant_conversations_is_bounded_in_bytes_and_the_oldest_goes_first() {
    let fit = MAX_DORMANT_BYTES / MAX_PEER_QUEUE_BYTES;
    let mut world = World::new(u8::try_from(fit + 4).unwrap());
    let full = Bytes::from(vec![7; MAX_MESSAGE]);
    for n in 1..world.nodes.len() {
        let to = world.known(n);
        world.dial(0, to);
        world.run();
        world.wires[n - 1].stalled[0] = true;
        for _ in 0..MAX_PEER_QUEUE_BYTES / MAX_MESSAGE {
            world.send(0, n, Lane::DIRECT, full.clone());
        }
        world.send_ticket(0, n, "last", u64::try_from(n).unwrap());
        world.now.mono = world.now.mono + millis(1);
        world.reset(n - 1);
        let talks = &world.nodes[0].sessions.conversations;
        let bytes: usize = talks.peers().map(|peer| talks.queued_bytes(&peer)).sum();
        assert!(bytes <= MAX_DORMANT_BYTES, "{bytes} bytes wait after {n} links broke");
    }
    let given_up = |n| SessionEffect::Undelivered { ticket: Ticket(n) };
    assert!(world.nodes[0].said.contains(&given_up(1)), "the oldest goes");
    let last = u64::try_from(fit + 3).unwrap();
    assert!(!world.nodes[0].said.contains(&given_up(last)), "the newest stays");
}

#[test]
fn unfinished_messages_of_all_links_are_bounded_and_an_honest_one_still_arrives() {
    let wide = SessionConfig { max_links: 100, ..config() };
    let mut world = World::with_configs(vec![wide; 100]);
    let large = Bytes::from(vec![7; MAX_MESSAGE]);
    let honest = 99;
    for n in 1..honest {
        let to_first = world.known(0);
        world.dial(n, to_first);
        world.run();
        world.send(n, 0, Lane::DIRECT, large.clone());
        // All but the end of it arrives, and then nothing: the acknowledgments get lost.
        world.wires[n - 1].stalled[1] = true;
        for _ in 0..15 {
            world.carry(n - 1, 0);
        }
        world.wires[n - 1].stalled[0] = true;
        world.now.mono = world.now.mono + millis(1);
        let bytes = world.nodes[0].sessions.links.table.partial_bytes();
        assert!(bytes <= MAX_PARTIAL_BYTES, "{bytes} bytes");
    }
    assert!(world.nodes[0].sessions.links.table.partial_bytes() > MAX_PARTIAL_BYTES / 2);
    assert!(world.nodes[0].sessions.counters().reassemblies_abandoned > 0);
    assert!(!world.is_up(0, 1), "who waits longest gives way");
    assert_eq!(world.count(0, |out| matches!(out, SessionEffect::Misbehaved { .. })), 0);
    let to_first = world.known(0);
    world.dial(honest, to_first);
    world.run();
    world.send(honest, 0, Lane::GOSSIP, large.clone());
    world.run();
    assert_eq!(world.heard(0), [large]);
    for n in 1..honest {
        world.reset(n - 1);
    }
    assert_eq!(world.nodes[0].sessions.links.table.partial_bytes(), 0);
}

#[test]
fn an_idle_session_is_small_and_the_table_can_move_to_another_thread() {
    fn moves<T: Send>() {}
    moves::<Sessions>();
    assert!(size_of::<LinkEntry>() + size_of::<SessionLink>() < 1200);
    let row = size_of::<Conversation>() + size_of::<Attachment>() + size_of::<UpgradeBackoff>();
    assert!(row <= 640, "{row}");
}

/// Whether the message of `len` bytes in a record, which has as many bytes of others around it, is
/// read as a slice of that record.
fn is_slice(order: CarrierOrder, len: usize, others: usize) -> bool {
    let me = Identity::from_seed([1; 32]);
    let remote = RemoteNode {
        id: me.node_id(),
        key: *me.public_key(),
        noise_static: [0; 32],
        boot: 1,
        addr: SocketAddr::from(([10, 0, 0, 1], 9)),
        direction: Direction::Inbound,
    };
    let now = Instant::ORIGIN;
    let mut link = SessionLink::new(&remote, LinkId::of_core(0), LinkKind::Tcp, now);
    let lane = Lane::GOSSIP;
    let mut record = Vec::new();
    for (number, len) in [(0, len), (1, others)] {
        Frame::Message { lane, number, body: vec![7; len].into() }.encode(&mut record);
    }
    let record = Bytes::from(record);
    let inside = record.as_ptr_range();
    link.take_record(order, lane, record.clone()).unwrap();
    let Ok(Some(Frame::Message { body, .. })) = link.next_frame() else { panic!("no message") };
    assert_eq!(body, vec![7; len]);
    inside.contains(&body.as_ptr())
}

#[test]
fn a_message_that_is_kept_holds_at_most_twice_its_bytes() {
    let (large, small) = (MAX_RECORD - 64, MAX_RECORD / 2 - 1);
    for len in [1, 100, 300, small] {
        assert!(is_slice(CarrierOrder::OfLanes, len, 0) || len == 1, "{len} bytes in a datagram");
        assert!(!is_slice(CarrierOrder::OfLanes, len, len + 16), "{len} bytes among others");
        assert!(!is_slice(CarrierOrder::OfLinks, len, 0), "{len} bytes of what was read at once");
    }
    assert!(is_slice(CarrierOrder::OfLinks, large, 0));
}

#[test]
fn a_link_that_cannot_be_flushed_is_aborted_in_the_end() {
    let mut world = World::connected();
    world.wires[0].stalled[0] = true;
    world.close(0, 1, CloseReason::Pruned);
    assert_eq!(world.wires[0].hangups[0], Some(Hangup::Flush));
    world.with(0, |s, now, out| {
        let late = Now { mono: now.mono + secs(6), ..now };
        s.handle_timeout(late, out);
    });
    assert_eq!(world.wires[0].hangups[0], Some(Hangup::Abort));
    world.run();
    assert!(world.nodes.iter().all(|node| !node.sessions.has_links()));
}

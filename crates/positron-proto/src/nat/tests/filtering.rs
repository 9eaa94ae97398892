//! Peers and strangers tell who is let in: messages and STUN answers are carried by hand.

use std::{collections::VecDeque, num::NonZeroU16};

use super::*;
use crate::{
    datagram::contract::{ExtraSocket, StunAnswered},
    limits::{
        CONTACT_LIFE, FILTERING_AGAIN, FILTERING_ASKS, FILTERING_IN_VAIN, FILTERING_LIFE,
        FILTERING_REPLY_WAIT, FILTERING_WAIT, FRESH_SOCKET_LIFE, MAX_TRIAL_SOCKETS,
    },
    stun::TransactionId,
    time::Instant,
};

/// A node with peers 11, 12, ..., each in a /16 of its own.
struct Home {
    nat: Nat,
    now: Instant,
    peers: Vec<DatagramPeer>,
}

/// What a peer is asked, and under which name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    peer: NodeId,
    id: TransactionId,
    step: ProbeStep,
    /// Over which other socket a STUN request goes to the peer, instead of a message.
    socket: Option<ExtraSocket>,
}

impl Home {
    fn new(peers: u8) -> Self {
        let mut home = Self {
            nat: Nat::new(&[], &Seed::from_number(7)),
            now: Instant::from_micros(5_000_000_000),
            peers: Vec::new(),
        };
        (0..peers).for_each(|n| home.link(11 + n));
        home
    }

    /// One whose router lets in other ports of an address, as its first peer has shown.
    fn of_open_ports(peers: u8) -> Self {
        let mut home = Self::new(peers);
        let asked = home.wait(Duration::ZERO).remove(0);
        let from = other_port(home.addr(asked.peer));
        assert_eq!(home.gets(asked.id, from), []);
        assert_eq!(home.verdict(), Filtering::AtMostAddressDependent);
        home
    }

    fn link(&mut self, n: u8) {
        let addr = at(n);
        self.peers.push(DatagramPeer { peer: peer(n), addr, is_dialled: true });
        self.nat.filtering.handle_sent(self.now, addr);
        self.nat.filtering.peer_up(self.now, addr);
    }

    fn addr(&self, peer: NodeId) -> SocketAddr {
        self.peers.iter().find(|it| it.peer == peer).unwrap().addr
    }

    /// Waits, and tells whom it asks then.
    fn wait(&mut self, time: Duration) -> Vec<Asked> {
        self.now = self.now + time;
        for peer in &self.peers {
            self.nat.filtering.handle_sent(self.now, peer.addr);
        }
        let mut out = VecDeque::new();
        self.nat.filtering.handle_timeout(self.now, &self.peers, &mut out);
        self.asked(out)
    }

    fn asked(&self, out: VecDeque<NatEffect>) -> Vec<Asked> {
        let mut asked: Vec<Asked> = Vec::new();
        for effect in out {
            match effect {
                NatEffect::Send { to, message: NatMessage::Probe(StrangerProbe { id, step }) } => {
                    asked.push(Asked { peer: to, id, step, socket: None });
                }
                NatEffect::Ask { to, id, hops: None } => {
                    let (socket, to) = ExtraSocket::split(to);
                    let peer = self.peers.iter().find(|it| it.addr == to).unwrap().peer;
                    asked.push(Asked { peer, id, step: ProbeStep::Ask, socket });
                }
                NatEffect::OpenSocket(_) | NatEffect::CloseSocket(_) => {}
                other => panic!("{other:?}"),
            }
        }
        asked.dedup();
        asked
    }

    fn hears(&mut self, from: NodeId, id: TransactionId, step: ProbeStep) {
        self.nat.filtering.handle_answer(self.now, from, &StrangerProbe { id, step });
    }

    /// The peer that was asked says that it asked stranger `n`.
    fn hears_of(&mut self, asked: &Asked, n: u8) {
        self.hears(asked.peer, asked.id, ProbeStep::Asked(at(n).into()));
    }

    fn gets(&mut self, id: TransactionId, from: SocketAddr) -> Vec<Asked> {
        let mut out = VecDeque::new();
        let mapped = Some("203.0.113.5:5555".parse().unwrap());
        let answered = StunAnswered { from, id, mapped };
        self.nat.filtering.handle_stun_answer(self.now, &answered, &mut out);
        self.asked(out)
    }

    fn verdict(&self) -> Filtering {
        self.nat.info(self.now).ipv4.filtering
    }

    fn words(&mut self) -> String {
        for n in 11..14 {
            let (from, seen) = (at(n), "203.0.113.5:4000".parse().unwrap());
            let (direction, is_listening_socket) = (Direction::Outbound, true);
            let sighting = Sighting { peer: peer(n), from, direction, seen, is_listening_socket };
            self.nat.handle_seen(self.now, sighting);
        }
        self.nat.info(self.now).in_words()
    }

    /// Answers questions for strangers with one that is known, until fresh sockets are opened.
    fn opens_sockets(&mut self) -> Vec<Asked> {
        for _ in 0..=FILTERING_IN_VAIN {
            let (opened, others): (Vec<_>, Vec<_>) =
                self.wait(Duration::ZERO).into_iter().partition(|it| it.socket.is_some());
            others.iter().for_each(|asked| self.hears_of(asked, 11));
            if !opened.is_empty() {
                return opened;
            }
        }
        panic!("no socket is opened")
    }

    /// The peer answers to a fresh socket, and its other port gets in there: what it is asked then.
    fn opens_to_its_peer(&mut self, asked: &Asked) -> Asked {
        let (socket, there) = (asked.socket.unwrap(), self.addr(asked.peer));
        let next = self.gets(asked.id, socket.path(there).unwrap()).remove(0);
        assert_eq!(next.step, ProbeStep::OtherPort(NonZeroU16::new(5555)));
        let next = self.gets(next.id, socket.path(other_port(there)).unwrap()).remove(0);
        assert_eq!(next.step, ProbeStep::AskAt(NonZeroU16::new(5555).unwrap()));
        Asked { socket: asked.socket, ..next }
    }
}

fn at(n: u8) -> SocketAddr {
    SocketAddr::from(([n, 1, 0, 1], 9000))
}

/// Another one of the same address.
fn other_port(of: SocketAddr) -> SocketAddr {
    SocketAddr::new(of.ip(), 40_000)
}

#[test]
fn peers_are_asked_for_another_port_first_and_three_that_were_silent_show_that_it_is_not_let_in() {
    let mut home = Home::new(4);
    let asked = home.wait(Duration::ZERO);
    assert_eq!(asked.len(), 3, "all at once");
    assert!(asked.iter().all(|it| it.step == ProbeStep::OtherPort(None)));
    asked.iter().for_each(|it| home.hears(it.peer, it.id, ProbeStep::Sent));
    assert_eq!(home.verdict(), Filtering::Unknown);
    assert_eq!(home.wait(FILTERING_WAIT), []);
    assert_eq!(home.verdict(), Filtering::AddressAndPortDependent);
    let info = home.nat.info(home.now);
    assert!(info.ipv4.is_shut() && info.ipv6.filtering == Filtering::Unknown);
    let evidence = info.ipv4.filtering_evidence;
    assert_eq!(evidence.len(), 3);
    let is_it = |it: &FilteringTrial| it.sender == TrialSender::AnotherPort && !it.arrived;
    assert!(evidence.iter().all(is_it));
    let words = home.words();
    let told = "of other ports, 3 that tried did not get in, the last 0 s ago";
    assert!(words.ends_with(told), "{words}");
    home.now = home.now + FILTERING_LIFE;
    assert_eq!(home.verdict(), Filtering::Unknown, "that was long ago");
}

#[test]
fn a_peer_that_does_not_say_that_it_sent_and_peers_of_one_owner_are_no_three() {
    let mut home = Home::new(3);
    let asked = home.wait(Duration::ZERO);
    asked[1..].iter().for_each(|it| home.hears(it.peer, it.id, ProbeStep::Sent));
    let again = home.wait(FILTERING_REPLY_WAIT);
    assert_eq!(home.verdict(), Filtering::Unknown);
    assert_eq!(again[0].peer, asked[0].peer, "it may have been late");
    home.hears(again[0].peer, again[0].id, ProbeStep::Sent);
    home.wait(FILTERING_WAIT);
    assert_eq!(home.verdict(), Filtering::AddressAndPortDependent);

    let mut home = Home::new(2);
    for n in 0..5 {
        let addr = SocketAddr::from(([12, 1, 7, n], 9000));
        home.peers.push(DatagramPeer { peer: peer(100 + n), addr, is_dialled: true });
    }
    for _ in 0..10 {
        for asked in home.wait(FILTERING_REPLY_WAIT) {
            let is_port = matches!(asked.step, ProbeStep::OtherPort(_));
            let answer = if is_port { ProbeStep::Sent } else { ProbeStep::Nobody };
            home.hears(asked.peer, asked.id, answer);
        }
    }
    assert_eq!(home.verdict(), Filtering::Unknown);
}

#[test]
fn one_packet_from_another_port_proves_that_ports_are_let_in_and_one_from_a_known_port_nothing() {
    let mut home = Home::new(3);
    let asked = home.wait(Duration::ZERO);
    home.gets(TransactionId([9; 12]), other_port(at(11)));
    home.gets(asked[0].id, home.addr(asked[0].peer));
    assert_eq!(home.verdict(), Filtering::Unknown, "another name, and a port that was sent to");
    home.gets(asked[1].id, other_port(home.addr(asked[1].peer)));
    assert_eq!(home.verdict(), Filtering::AtMostAddressDependent);
    assert!(!home.nat.info(home.now).ipv4.is_shut());
    let words = home.words();
    let told = "1 that tried got in, the last 0 s ago; whether strangers are is not known";
    assert!(words.ends_with(told), "{words}");
    // Whose other address it is that he sends from is all the same: nobody was there before.
    home.gets(asked[2].id, at(41));
    assert_eq!(home.verdict(), Filtering::AtMostAddressDependent, "not asked any more");
    let mut home = Home::new(1);
    let asked = home.wait(Duration::ZERO);
    home.gets(asked[0].id, at(41));
    assert_eq!(home.verdict(), Filtering::EndpointIndependent);
}

#[test]
fn one_packet_of_a_stranger_proves_that_strangers_are_let_in() {
    let mut home = Home::of_open_ports(1);
    let asked = home.wait(Duration::ZERO).remove(0);
    assert_eq!(asked.step, ProbeStep::Ask);
    home.hears_of(&asked, 41);
    home.gets(TransactionId([9; 12]), at(41));
    assert_eq!(home.verdict(), Filtering::AtMostAddressDependent, "another name");
    home.gets(asked.id, at(41));
    assert_eq!(home.verdict(), Filtering::EndpointIndependent);
    let evidence = home.nat.info(home.now).ipv4.filtering_evidence;
    let last = evidence.last().unwrap();
    assert_eq!((last.asked, last.sender, last.arrived), (peer(11), TrialSender::Stranger, true));
    assert_eq!(home.nat.filtering.poll_timeout(), Some(home.now + FILTERING_AGAIN));
}

#[test]
fn three_silent_strangers_of_three_peers_show_that_strangers_are_not_let_in() {
    let mut home = Home::of_open_ports(3);
    let asked = home.wait(Duration::ZERO);
    assert_eq!(asked.len(), 3, "all at once");
    asked.iter().zip(41..).for_each(|(asked, stranger)| home.hears_of(asked, stranger));
    assert_eq!(home.wait(FILTERING_WAIT), []);
    assert_eq!(home.verdict(), Filtering::AddressDependent);
    let words = home.words();
    let told = "strangers are not: 3 that tried did not get in, the last 0 s ago";
    assert!(words.ends_with(told), "{words}");
}

#[test]
fn where_no_peer_sends_from_another_port_silent_strangers_show_that_packets_are_filtered_somehow() {
    let mut home = Home::new(3);
    for asked in home.wait(Duration::ZERO) {
        home.hears(asked.peer, asked.id, ProbeStep::Nobody);
    }
    let asked = home.wait(Duration::ZERO);
    asked.iter().zip(41..).for_each(|(asked, stranger)| home.hears_of(asked, stranger));
    assert_eq!(home.wait(FILTERING_WAIT), []);
    assert_eq!(home.verdict(), Filtering::Dependent);
    // A new peer may tell more.
    home.link(14);
    let asked = home.wait(Duration::ZERO);
    let step = ProbeStep::OtherPort(None);
    assert_eq!(asked.iter().map(|it| (it.peer, &it.step)).collect::<Vec<_>>(), [(peer(14), &step)]);
    home.gets(asked[0].id, other_port(at(14)));
    assert_eq!(home.verdict(), Filtering::AddressDependent);
}

#[test]
fn one_liar_does_not_make_strangers_unwelcome_nor_do_strangers_of_one_owner() {
    let mut home = Home::of_open_ports(5);
    let mut asked = home.wait(Duration::ZERO);
    while !asked.is_empty() {
        for asked in asked.iter().filter(|it| it.socket.is_none()) {
            home.hears_of(asked, 41);
        }
        asked = home.wait(FILTERING_REPLY_WAIT);
    }
    assert_eq!(home.verdict(), Filtering::AtMostAddressDependent);
}

#[test]
fn where_nobody_is_a_stranger_a_socket_is_opened_to_which_all_but_one_are() {
    let mut home = Home::of_open_ports(3);
    let asked = home.opens_sockets().remove(0);
    let stranger = home.opens_to_its_peer(&asked);
    let socket = asked.socket.unwrap();
    // Somebody that the listening socket knows well.
    let other = home.peers.iter().find(|it| it.peer != asked.peer).unwrap().addr;
    home.gets(stranger.id, other);
    assert_eq!(home.verdict(), Filtering::AtMostAddressDependent, "to another socket");
    home.gets(stranger.id, socket.path(home.addr(asked.peer)).unwrap());
    assert_eq!(home.verdict(), Filtering::AtMostAddressDependent, "the peer itself");
    let asked = home.opens_sockets().remove(0);
    let stranger = home.opens_to_its_peer(&asked);
    let other = home.peers.iter().find(|it| it.peer != asked.peer).unwrap().addr;
    home.gets(stranger.id, asked.socket.unwrap().path(other).unwrap());
    assert_eq!(home.verdict(), Filtering::EndpointIndependent);
    let evidence = home.nat.info(home.now).ipv4.filtering_evidence;
    assert!(evidence.last().is_some_and(|it| !it.is_listening_socket && it.arrived));
}

#[test]
fn three_strangers_that_do_not_get_in_to_sockets_that_are_open_to_their_peers_are_kept_out() {
    let mut home = Home::of_open_ports(3);
    let asked = home.opens_sockets();
    assert_eq!(asked.len(), 3);
    for (asked, stranger) in asked.iter().zip(41..) {
        let question = home.opens_to_its_peer(asked);
        home.hears_of(&question, stranger);
    }
    home.wait(FILTERING_WAIT);
    assert_eq!(home.verdict(), Filtering::AddressDependent);
}

#[test]
fn sockets_into_which_no_other_port_gets_say_nothing_of_one_that_somebody_opened_in_the_router() {
    let mut home = Home::of_open_ports(4);
    let mut opened = 0;
    let mut asked = home.opens_sockets();
    for _ in 0..20 {
        for asked in &asked {
            match asked.socket {
                Some(socket) => {
                    opened += 1;
                    let there = home.addr(asked.peer);
                    let next = home.gets(asked.id, socket.path(there).unwrap()).remove(0);
                    home.hears(next.peer, next.id, ProbeStep::Sent);
                }
                None => home.hears_of(asked, 11),
            }
        }
        asked = home.wait(FILTERING_WAIT);
    }
    assert_eq!(home.verdict(), Filtering::AtMostAddressDependent);
    assert!((3..6).contains(&opened), "{opened} were opened until it was clear");
    assert!(!home.nat.info(home.now).ipv4.is_shut());
}

#[test]
fn however_fast_peers_say_that_they_cannot_there_are_so_many_sockets_and_all_are_closed_in_time() {
    let mut home = Home::of_open_ports(40);
    let (mut open, mut most) = (0_usize, 0);
    for _ in 0..400 {
        home.now = home.now + FRESH_SOCKET_LIFE / 100;
        let mut out = VecDeque::new();
        home.nat.filtering.handle_timeout(home.now, &home.peers, &mut out);
        for effect in &out {
            match effect {
                NatEffect::OpenSocket(_) => open += 1,
                NatEffect::CloseSocket(_) => open -= 1,
                _ => {}
            }
        }
        most = most.max(open);
        for asked in home.asked(out) {
            let Some(socket) = asked.socket else {
                home.hears(asked.peer, asked.id, ProbeStep::Nobody);
                continue;
            };
            let there = socket.path(home.addr(asked.peer)).unwrap();
            for next in home.gets(asked.id, there) {
                home.hears(next.peer, next.id, ProbeStep::Nobody);
            }
        }
    }
    assert_eq!(most, MAX_TRIAL_SOCKETS);
    home.nat.handle_interfaces(&ips(&["192.168.1.7"]));
    home.nat.handle_interfaces(&ips(&["192.168.2.7"]));
    home.peers.clear();
    let mut out = VecDeque::new();
    home.now = home.now + FRESH_SOCKET_LIFE;
    home.nat.filtering.handle_timeout(home.now, &[], &mut out);
    assert_eq!(out.len(), open, "also those of the network before");
}

#[test]
fn a_packet_from_whom_we_sent_to_proves_nothing_of_strangers() {
    let mut home = Home::of_open_ports(1);
    home.nat.filtering.handle_sent(home.now, SocketAddr::from(([41, 1, 0, 1], 7)));
    let mut asked_for_strangers = 0;
    for asked in (0..20).flat_map(|_| home.wait(FILTERING_WAIT)).collect::<Vec<_>>() {
        asked_for_strangers += u32::from(asked.socket.is_none());
        home.gets(asked.id, at(41));
    }
    assert_eq!(asked_for_strangers, FILTERING_ASKS, "it is asked so often, and no more");
    assert_eq!(home.verdict(), Filtering::AtMostAddressDependent);
    let asked = home.wait(CONTACT_LIFE);
    home.gets(asked[0].id, at(41));
    assert_eq!(home.verdict(), Filtering::EndpointIndependent, "nothing was sent there lately");
}

#[test]
fn what_is_found_later_goes_before_what_was_found_before() {
    let mut home = Home::of_open_ports(3);
    let asked = home.wait(Duration::ZERO).remove(0);
    home.gets(asked.id, at(41));
    assert_eq!(home.verdict(), Filtering::EndpointIndependent);
    let asked = home.wait(FILTERING_AGAIN);
    asked.iter().for_each(|it| home.hears(it.peer, it.id, ProbeStep::Sent));
    home.wait(FILTERING_WAIT);
    assert_eq!(home.verdict(), Filtering::AddressAndPortDependent, "another router");
    let asked = home.wait(FILTERING_AGAIN).remove(0);
    home.gets(asked.id, other_port(home.addr(asked.peer)));
    assert_eq!(home.verdict(), Filtering::AtMostAddressDependent, "of strangers nothing is left");
}

#[test]
fn who_has_nobody_to_ask_is_passed_over_at_once() {
    let mut home = Home::new(4);
    let asked = home.wait(Duration::ZERO);
    home.hears(peer(99), asked[0].id, ProbeStep::Nobody);
    assert_eq!(home.wait(Duration::ZERO), [], "another peer's word is of no weight");
    home.hears(asked[0].peer, asked[0].id, ProbeStep::Nobody);
    let next = home.wait(Duration::ZERO);
    assert_eq!(next.len(), 1);
    assert!(asked.iter().all(|before| before.peer != next[0].peer));
}

#[test]
fn a_new_peer_is_asked_at_once_as_long_as_not_all_is_known() {
    let mut home = Home::new(1);
    let mut asked = home.wait(Duration::ZERO);
    while let Some(Asked { peer, id, .. }) = asked.pop() {
        home.hears(peer, id, ProbeStep::Nobody);
        asked = home.wait(Duration::ZERO);
    }
    home.link(12);
    assert_eq!(home.wait(Duration::ZERO)[0].peer, peer(12));
}

#[test]
fn a_node_that_is_somewhere_else_knows_nothing_and_a_forced_address_goes_before_all() {
    let mut home = Home::new(1);
    home.nat.handle_interfaces(&ips(&["192.168.1.7"]));
    let asked = home.wait(Duration::ZERO).remove(0);
    home.gets(asked.id, at(41));
    assert_eq!(home.verdict(), Filtering::EndpointIndependent);
    home.nat.handle_interfaces(&ips(&["192.168.2.7"]));
    assert_eq!(home.verdict(), Filtering::Unknown);
    home.nat = Nat::new(&["198.51.100.9:443".parse().unwrap()], &Seed::from_number(7));
    assert_eq!(home.verdict(), Filtering::EndpointIndependent);
}

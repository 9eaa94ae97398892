//! A port that a router mapped: when it is believed, and what others are told of it.

use std::{collections::VecDeque, net::Ipv4Addr, num::NonZeroU16};

use super::{super::port_mapper::PortMapper, scripted_router::ScriptedRouter, *};
use crate::{
    datagram::contract::StunAnswered,
    limits::{FILTERING_ASKS, FILTERING_WAIT},
    stun::TransactionId,
};

/// A node at home whose router maps its port, and that peers 11, 12 and 13 see at 20.1.1.1.
struct Home {
    nat: Nat,
    router: ScriptedRouter,
    now: Instant,
    peers: Vec<DatagramPeer>,
}

impl Home {
    fn new(seen: &str) -> Self {
        let now = Instant::from_micros(5_000_000_000);
        let wish = PortWish { with_tcp: false, nonce: [7; 12] };
        let mut home = Self {
            nat: Nat::new(&[], &Seed::from_number(7)).with_port_mapping(wish),
            router: ScriptedRouter::new(now - Duration::from_secs(1_000)),
            now,
            peers: Vec::new(),
        };
        home.router.gives = Some(40_001);
        for n in 11..14 {
            let addr = at(n);
            home.peers.push(DatagramPeer { peer: peer(n), addr, is_dialled: true });
            home.nat.filtering.handle_sent(now, addr);
            home.nat.filtering.peer_up(now, addr);
            let direction = Direction::Outbound;
            let seen = seen.parse().unwrap();
            let sighting =
                Sighting { peer: peer(n), from: addr, direction, seen, is_listening_socket: true };
            home.nat.handle_seen(now, sighting);
        }
        home.asks_router();
        home
    }

    fn asks_router(&mut self) {
        let own = Ipv4Addr::new(192, 168, 1, 7);
        let gateway = Gateway { address: Ipv4Addr::new(192, 168, 1, 1), own };
        let mut out = VecDeque::new();
        let news = RouterNews::Gateway(Some(gateway));
        self.nat.handle_router(self.now, news, 8888, &mut out);
        while let Some(effect) = out.pop_front() {
            match effect {
                NatEffect::AskRouter { to, bytes } => {
                    let bytes = self.router.hear(self.now, &bytes).unwrap().into();
                    let news = RouterNews::Answered { from: to, bytes };
                    self.nat.handle_router(self.now, news, 8888, &mut out);
                }
                effect => assert_eq!(effect, NatEffect::StateAnew),
            }
        }
    }

    /// Time passes: who is asked then to have a stranger send to the mapped port.
    fn asks(&mut self, time: Duration) -> Vec<(NodeId, TransactionId)> {
        self.now = self.now + time;
        let port = NonZeroU16::new(40_001).unwrap();
        let mut out = VecDeque::new();
        self.nat.filtering.handle_timeout(self.now, &self.peers, &mut out);
        let asked = out.into_iter().filter_map(|effect| match effect {
            NatEffect::Send { to, message: NatMessage::Probe(StrangerProbe { id, step }) } => {
                assert_ne!(step, ProbeStep::OtherPort(Some(port)), "it tells nothing there");
                (step == ProbeStep::AskAt(port)).then_some((to, id))
            }
            _ => None,
        });
        asked.collect()
    }

    fn hears_of(&mut self, (asked, id): (NodeId, TransactionId), stranger: u8) {
        let step = ProbeStep::Asked(at(stranger).into());
        self.nat.filtering.handle_answer(self.now, asked, &StrangerProbe { id, step });
    }

    fn gets(&mut self, asked: (NodeId, TransactionId), from: u8) {
        let router_ip = self.nat.router.as_ref().and_then(PortMapper::external).unwrap();
        self.gets_at(asked, from, router_ip.into());
    }

    /// What says that it was sent there.
    fn gets_at(&mut self, (_, id): (NodeId, TransactionId), from: u8, sent_to: SocketAddr) {
        let mut out = VecDeque::new();
        let answered = StunAnswered { from: at(from), id, mapped: Some(sent_to) };
        assert!(self.nat.filtering.handle_stun_answer(self.now, &answered, &mut out));
        assert_eq!(out, [], "nothing else is asked of who was asked for a stranger");
    }

    fn state(&self) -> MappedState {
        self.nat.info(self.now).port_mapping.unwrap().state
    }
}

fn at(n: u8) -> SocketAddr {
    SocketAddr::from(([n, 1, 0, 1], 9000))
}

#[test]
fn a_mapped_port_is_a_candidate_and_no_address_before_a_stranger_came_in_there() {
    let mut home = Home::new("20.1.1.1:25000");
    let mapped: SocketAddr = "20.1.1.1:40001".parse().unwrap();
    assert_eq!(home.state(), MappedState::Unverified);
    assert_eq!(home.nat.info(home.now).mapped_address(), None);
    assert_eq!(home.nat.places(home.now, 8888).candidates()[0], mapped);
    let asked = home.asks(Duration::ZERO);
    assert_eq!(asked.len(), 3, "each peer, at that port");
    home.hears_of(asked[0], 41);
    home.gets(asked[0], 41);
    assert_eq!(home.nat.info(home.now).mapped_address(), Some(mapped));
}

#[test]
fn what_was_sent_to_where_peers_see_the_node_tells_nothing_of_a_mapped_port() {
    let mut home = Home::new("20.1.1.1:25000");
    let asked = home.asks(Duration::ZERO);
    for (asked, stranger) in asked.into_iter().zip(41..) {
        home.gets_at(asked, stranger, "20.1.1.1:25000".parse().unwrap());
    }
    assert_eq!(home.state(), MappedState::Unverified);
}

#[test]
fn who_was_sent_to_counts_at_a_port_where_nobody_sees_us_if_two_of_them_came() {
    let mut home = Home::new("20.1.1.1:25000");
    let asked = home.asks(Duration::ZERO);
    home.gets(asked[0], 12);
    assert_eq!(home.state(), MappedState::Unverified, "one may know where we are seen");
    home.gets(asked[1], 13);
    assert_eq!(home.state(), MappedState::Verified);
    // Where peers see us anybody is let in whom we sent to.
    let mut home = Home::new("20.1.1.1:40001");
    for _ in 0..FILTERING_ASKS {
        home.asks(Duration::ZERO).into_iter().for_each(|asked| home.gets(asked, 12));
    }
    assert_eq!(home.state(), MappedState::Unverified);
}

#[test]
fn a_mapped_port_at_which_three_strangers_were_silent_is_shut() {
    let mut home = Home::new("20.1.1.1:25000");
    let asked = home.asks(Duration::ZERO);
    asked.into_iter().zip(41..).for_each(|(asked, stranger)| home.hears_of(asked, stranger));
    home.asks(FILTERING_WAIT);
    assert_eq!(home.state(), MappedState::Shut);
    assert_ne!(home.nat.places(home.now, 8888).candidates()[0].port(), 40_001);
}

#[test]
fn nobody_is_sent_to_where_only_a_router_says_that_we_are() {
    let mut home = Home::new("20.2.2.2:25000");
    assert_eq!(home.state(), MappedState::Elsewhere);
    assert_eq!(home.asks(Duration::ZERO), []);
    let candidates = home.nat.places(home.now, 8888).candidates();
    assert!(candidates.iter().all(|at| at.port() != 40_001), "{candidates:?}");
    let words = home.nat.info(home.now).port_mapping.unwrap().in_words();
    assert!(words.contains("behind another translator"), "{words}");
}

#[test]
fn another_port_is_tried_anew() {
    let mut home = Home::new("20.1.1.1:25000");
    let asked = home.asks(Duration::ZERO);
    home.gets(asked[0], 41);
    assert_eq!(home.state(), MappedState::Verified);
    home.nat.filtering.handle_mapped(home.now, Some("20.1.1.1:40002".parse().unwrap()), false);
    assert_eq!(home.state(), MappedState::Unverified);
}

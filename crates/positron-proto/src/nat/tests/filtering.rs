//! Peers and strangers tell who is let in: messages and STUN answers are carried by hand.

use std::collections::VecDeque;

use super::*;
use crate::{
    limits::{
        CONTACT_LIFE, FILTERING_AGAIN, FILTERING_ASKS, FILTERING_LIFE, FILTERING_PROBES_BURST,
        FILTERING_WAIT,
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

    fn link(&mut self, n: u8) {
        let addr = at(n);
        self.peers.push(DatagramPeer { peer: peer(n), addr, is_dialled: true });
        self.nat.filtering.handle_sent(self.now, addr);
        self.nat.filtering.peer_up(self.now, addr);
    }

    /// Waits, and tells whom it asks then, and under which names.
    fn wait(&mut self, time: Duration) -> Vec<(NodeId, TransactionId)> {
        self.now = self.now + time;
        let mut out = VecDeque::new();
        self.nat.filtering.handle_timeout(self.now, &self.peers, &mut out);
        let asked = out.into_iter().map(|effect| match effect {
            NatEffect::Send {
                to,
                message: NatMessage::Probe(StrangerProbe { id, step: ProbeStep::Ask }),
            } => (to, id),
            other => panic!("{other:?}"),
        });
        asked.collect()
    }

    fn hears(&mut self, from: NodeId, id: TransactionId, step: ProbeStep) {
        self.nat.filtering.handle_answer(self.now, from, &StrangerProbe { id, step });
    }

    /// The peer that was asked says that it asked stranger `n`.
    fn hears_of(&mut self, (asked, id): (NodeId, TransactionId), n: u8) {
        self.hears(asked, id, ProbeStep::Asked(at(n).into()));
    }

    fn gets(&mut self, id: TransactionId, from: SocketAddr) {
        self.nat.filtering.handle_stun_answer(self.now, from, &id);
    }

    fn verdict(&self) -> Filtering {
        self.nat.info(self.now).ipv4.filtering
    }
}

fn at(n: u8) -> SocketAddr {
    SocketAddr::from(([n, 1, 0, 1], 9000))
}

#[test]
fn one_packet_of_a_stranger_proves_that_strangers_are_let_in() {
    let mut home = Home::new(1);
    let asked = home.wait(Duration::ZERO)[0];
    home.hears_of(asked, 41);
    assert_eq!(home.verdict(), Filtering::Unknown);
    home.gets(TransactionId([9; 12]), at(41));
    assert_eq!(home.verdict(), Filtering::Unknown, "another name");
    home.gets(asked.1, at(41));
    assert_eq!(home.verdict(), Filtering::EndpointIndependent);
    let evidence = home.nat.info(home.now).ipv4.filtering_evidence;
    assert_eq!((evidence.len(), evidence[0].asked, evidence[0].arrived), (1, peer(11), true));
    assert_eq!(home.nat.filtering.poll_timeout(), Some(home.now + FILTERING_AGAIN));
}

#[test]
fn a_packet_from_whom_we_sent_to_proves_nothing() {
    let mut home = Home::new(1);
    home.nat.filtering.handle_sent(home.now, SocketAddr::from(([41, 1, 0, 1], 7)));
    for _ in 0..FILTERING_ASKS {
        let (_, id) = home.wait(Duration::ZERO)[0];
        home.gets(id, at(41));
    }
    assert_eq!(home.verdict(), Filtering::Unknown);
    assert_eq!(home.wait(FILTERING_WAIT), [], "it is asked so often, and no more");
    let asked = home.wait(CONTACT_LIFE);
    home.gets(asked[0].1, at(41));
    assert_eq!(home.verdict(), Filtering::EndpointIndependent, "nothing was sent there lately");
}

#[test]
fn three_silent_strangers_of_three_peers_show_that_strangers_are_not_let_in() {
    let mut home = Home::new(3);
    let asked = home.wait(Duration::ZERO);
    assert_eq!(asked.len(), 3, "all at once");
    asked.into_iter().zip(41..).for_each(|(asked, stranger)| home.hears_of(asked, stranger));
    assert_eq!(home.verdict(), Filtering::Unknown);
    assert_eq!(home.wait(FILTERING_WAIT), []);
    assert_eq!(home.verdict(), Filtering::Dependent);
    let info = home.nat.info(home.now);
    assert_eq!(info.ipv4.filtering_evidence.len(), 3);
    assert_eq!(info.ipv6.filtering, Filtering::Unknown);
    home.now = home.now + FILTERING_LIFE;
    assert_eq!(home.verdict(), Filtering::Unknown, "that was long ago");
}

#[test]
fn one_liar_does_not_make_strangers_unwelcome_nor_do_strangers_of_one_owner() {
    let mut home = Home::new(1);
    let asked = home.wait(Duration::ZERO)[0];
    home.hears_of(asked, 41);
    assert_eq!(home.wait(FILTERING_WAIT), [], "its second word is not asked for");
    assert_eq!(home.verdict(), Filtering::Unknown);

    let mut home = Home::new(5);
    let mut asked = home.wait(Duration::ZERO);
    while !asked.is_empty() {
        asked.into_iter().for_each(|asked| home.hears_of(asked, 41));
        asked = home.wait(FILTERING_WAIT);
    }
    assert_eq!(home.verdict(), Filtering::Unknown);
}

#[test]
fn who_has_nobody_to_ask_is_passed_over_at_once() {
    let mut home = Home::new(4);
    let asked = home.wait(Duration::ZERO);
    home.hears(peer(99), asked[0].1, ProbeStep::Nobody);
    assert_eq!(home.wait(Duration::ZERO), [], "another peer's word is of no weight");
    home.hears(asked[0].0, asked[0].1, ProbeStep::Nobody);
    let next = home.wait(Duration::ZERO);
    assert_eq!(next.len(), 1);
    assert!(asked.iter().all(|(before, _)| *before != next[0].0));
}

#[test]
fn a_new_peer_is_asked_at_once_as_long_as_nothing_is_known() {
    let mut home = Home::new(1);
    let mut asked = home.wait(Duration::ZERO);
    while let Some((peer, id)) = asked.pop() {
        home.hears(peer, id, ProbeStep::Nobody);
        asked = home.wait(Duration::ZERO);
    }
    home.link(12);
    assert_eq!(home.wait(Duration::ZERO)[0].0, peer(12));
}

#[test]
fn a_node_that_is_somewhere_else_knows_nothing_and_a_forced_address_goes_before_all() {
    let mut home = Home::new(1);
    home.nat.handle_interfaces(&ips(&["192.168.1.7"]));
    let (_, id) = home.wait(Duration::ZERO)[0];
    home.gets(id, at(41));
    home.nat.handle_interfaces(&ips(&["192.168.2.7"]));
    assert_eq!(home.verdict(), Filtering::Unknown);
    home.nat = Nat::new(&["198.51.100.9:443".parse().unwrap()], &Seed::from_number(7));
    assert_eq!(home.verdict(), Filtering::EndpointIndependent);
}

/// What a peer of many does when one of them says this.
fn asked_by(nat: &mut Nat, from: u8, step: ProbeStep, peers: &[DatagramPeer]) -> Vec<NatEffect> {
    let (now, mut out) = (Instant::from_micros(5_000_000_000), VecDeque::new());
    let probe = StrangerProbe { id: TransactionId([3; 12]), step };
    nat.strangers.handle_request(now, peer(from), &probe, peers, &mut out);
    out.into()
}

fn say(to: u8, step: ProbeStep) -> NatEffect {
    let message = NatMessage::Probe(StrangerProbe { id: TransactionId([3; 12]), step });
    NatEffect::Send { to: peer(to), message }
}

fn linked(n: u8, addr: &str, is_dialled: bool) -> DatagramPeer {
    DatagramPeer { peer: peer(n), addr: addr.parse().unwrap(), is_dialled }
}

#[test]
fn a_peer_asks_one_of_its_own_of_another_network_that_it_dialled_to_send_where_it_sees_the_asker() {
    let nobody = [
        linked(1, "20.1.1.1:4000", false),
        linked(2, "20.1.2.2:9000", true),
        linked(3, "20.1.3.3:9000", false),
        linked(4, "[2a00:1::4]:9000", true),
        linked(5, "192.168.1.5:9000", true),
    ];
    let mut nat = Nat::new(&[], &Seed::from_number(1));
    let said = asked_by(&mut nat, 1, ProbeStep::Ask, &nobody);
    assert_eq!(said, [say(1, ProbeStep::Nobody)]);
    let others = [linked(7, "20.7.7.7:9000", false), linked(6, "20.6.6.6:9000", true)];
    let peers = [&nobody[..], &others].concat();
    let said = asked_by(&mut nat, 1, ProbeStep::Ask, &peers);
    let there = |at: &str| at.parse().unwrap();
    let sent = say(6, ProbeStep::Send(there("20.1.1.1:4000")));
    assert_eq!(said, [sent, say(1, ProbeStep::Asked(there("20.6.6.6:9000")))]);
    assert_eq!(asked_by(&mut nat, 9, ProbeStep::Ask, &peers), [say(9, ProbeStep::Nobody)]);
}

#[test]
fn nobody_asks_or_is_asked_more_than_six_times_a_minute() {
    let peers: Vec<DatagramPeer> =
        (1..=40).map(|n| linked(n, &format!("20.{}.1.1:9000", n / 40), n == 40)).collect();
    let mut nat = Nat::new(&[], &Seed::from_number(1));
    let asks = |nat: &mut Nat, from| asked_by(nat, from, ProbeStep::Ask, &peers).len();
    let burst = usize::try_from(FILTERING_PROBES_BURST).unwrap();
    let one: Vec<usize> = (0..20).map(|_| asks(&mut nat, 1)).collect();
    assert_eq!(one.iter().filter(|said| **said == 2).count(), burst);
    assert_eq!(one.iter().filter(|said| **said == 0).count(), 20 - burst);
    assert_eq!(asks(&mut nat, 2), 1, "the only one that could send was asked often enough");
}

#[test]
fn a_stranger_sends_to_public_addresses_only_and_to_each_machine_as_often_as_it_may_whoever_asks() {
    let mut nat = Nat::new(&[], &Seed::from_number(1));
    let send = |nat: &mut Nat, from, to: String| {
        asked_by(nat, from, ProbeStep::Send(to.parse().unwrap()), &[])
    };
    for near in ["192.168.1.1:80", "127.0.0.1:80", "[::1]:80", "224.0.0.1:80", "20.1.1.1:0"] {
        assert_eq!(send(&mut nat, 1, near.to_owned()), []);
    }
    let sent = send(&mut nat, 1, "20.1.1.1:4000".to_owned());
    let to = "20.1.1.1:4000".parse().unwrap();
    assert_eq!(sent, [NatEffect::Answer { to, id: TransactionId([3; 12]) }]);
    let one = (0..20).map(|n| send(&mut nat, 2, format!("20.2.{n}.1:9")).len()).sum::<usize>();
    let all = (0..20).map(|n| send(&mut nat, 10 + n, "20.3.1.1:9".into()).len()).sum::<usize>();
    let burst = usize::try_from(FILTERING_PROBES_BURST).unwrap();
    assert_eq!((one, all), (burst, burst));
}

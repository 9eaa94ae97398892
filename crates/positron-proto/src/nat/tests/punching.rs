//! Two nodes that look for a direct path: messages and STUN requests are carried by hand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::{
    datagram::contract::{ExtraSocket, StunAnswered},
    limits::{
        HOPS_GRACE, HOPS_LIFE, HOPS_WAIT, MAX_CANDIDATES, MAX_OPENER_HOPS, MAX_PUNCH_BUDGETS,
        MAX_PUNCHED, PUNCH_AGAIN, PUNCH_BUDGET, PUNCH_BUDGET_TIME, PUNCH_NETWORK_BUDGET,
        PUNCH_OPENERS, PUNCH_PROBES, PUNCH_ROUNDS_BURST, PUNCH_STEP, PUNCH_WAIT,
    },
    rng::Seed,
    stun::TransactionId,
    time::{Now, WallTime},
    wire::Address,
};

/// Who dialled, and who was dialled.
pub(super) const A: usize = 0;
pub(super) const B: usize = 1;

pub(super) struct Node {
    pub(super) punching: Punching,
    pub(super) own: OwnPlaces,
    /// Requests that it sent: to whom, under which name, and how far they go.
    pub(super) asked: Vec<(SocketAddr, TransactionId, Option<u8>)>,
    pub(super) said: VecDeque<NatMessage>,
    pub(super) dialled: Vec<SocketAddr>,
    pub(super) open: BTreeSet<ExtraSocket>,
    /// What it did, in words.
    pub(super) course: Vec<String>,
}

/// Through a relay that is at this address and sees both at one.
pub(super) fn over(begins: bool, relay: Option<SocketAddr>) -> Relayed {
    Relayed { begins, relay, is_one_site: true }
}

pub(super) struct Pair {
    pub(super) now: Now,
    pub(super) nodes: [Node; 2],
}

impl Pair {
    /// Two homes, and sessions over a relay to which no datagrams go.
    pub(super) fn new() -> Self {
        let mut pair = Self::unlinked();
        pair.link(None);
        pair
    }

    pub(super) fn unlinked() -> Self {
        let mono = Instant::from_micros(1_000_000_000);
        let now = Now { mono, wall: WallTime::from_unix_micros(0) };
        let node = |n: u8| Node {
            punching: Punching::new(Seed::from_number(u64::from(n)).stream("nat")),
            own: OwnPlaces {
                public: addrs(&[["20.1.1.1:4001", "20.2.2.2:4002"][usize::from(n)]]),
                interfaces: ips(&[["192.168.1.7", "192.168.2.7"][usize::from(n)], "127.0.0.1"]),
                port: 8888,
                port_varies: false,
            },
            asked: Vec::new(),
            said: VecDeque::new(),
            dialled: Vec::new(),
            open: BTreeSet::new(),
            course: Vec::new(),
        };
        Self { now, nodes: [node(0), node(1)] }
    }

    pub(super) fn link(&mut self, relay: Option<&str>) {
        let relay = relay.map(|addr| addr.parse().unwrap());
        for (node, other) in [(A, B), (B, A)] {
            let now = self.now;
            self.nodes[node].punching.peer_relayed(now, id(other), over(node == A, relay));
        }
    }

    pub(super) fn at(
        &mut self,
        n: usize,
        what: impl FnOnce(&mut Node, Now, &mut VecDeque<NatEffect>),
    ) {
        let (mut out, node) = (VecDeque::new(), &mut self.nodes[n]);
        what(node, self.now, &mut out);
        for effect in out {
            match effect {
                NatEffect::Send { message, .. } => {
                    node.course.push(format!("{message:?}").split('(').next().unwrap().to_owned());
                    node.said.push_back(message);
                }
                NatEffect::Ask { to, id, hops } => {
                    let what = if hops.is_some() { "opener" } else { "probe" };
                    if node.course.last().is_none_or(|last| last != what) {
                        node.course.push(what.to_owned());
                    }
                    node.asked.push((to, id, hops));
                }
                NatEffect::Dial { to, .. } => node.dialled.push(to),
                NatEffect::OpenSocket(socket) => assert!(node.open.insert(socket)),
                NatEffect::CloseSocket(socket) => assert!(node.open.remove(&socket)),
                NatEffect::Answer { .. } => panic!("nobody asked for a stranger"),
                NatEffect::AskRouter { .. } | NatEffect::StateAnew => {
                    panic!("no port is to be mapped")
                }
            }
        }
    }

    pub(super) fn hears(&mut self, n: usize, message: NatMessage) {
        self.hears_of(n, 1 - n, message);
    }

    pub(super) fn hears_of(&mut self, n: usize, from: usize, message: NatMessage) {
        self.at(n, |node, now, out| {
            node.punching.handle_message(now, id(from), message, &node.own, out);
        });
    }

    pub(super) fn is_answered(&mut self, n: usize, from: SocketAddr, id: TransactionId) {
        let answered = StunAnswered { from, id, mapped: None };
        self.at(n, |node, now, out| node.punching.handle_stun_answer(now, &answered, out));
    }

    /// What one node said first is heard by the other.
    pub(super) fn carry_one(&mut self, from: usize) -> NatMessage {
        let message = self.nodes[from].said.pop_front().unwrap();
        self.hears(1 - from, message.clone());
        message
    }

    pub(super) fn due(&mut self, n: usize) {
        self.at(n, |node, now, out| {
            node.punching.handle_timeout(now, &node.own, BTreeSet::new, out);
        });
    }

    /// Time passes to what is next due at a node: how much.
    pub(super) fn wait(&mut self, n: usize) -> Duration {
        let at = self.nodes[n].punching.poll_timeout().unwrap();
        let waited = at.since(self.now.mono);
        self.now.mono = self.now.mono.max(at);
        self.due(n);
        waited
    }

    /// A whole round until both probe.
    pub(super) fn round(&mut self) {
        self.due(A);
        self.carry_one(A);
        self.carry_one(B);
        self.carry_one(A);
    }

    /// How often each address was sent to by a node.
    pub(super) fn sent(&self, n: usize) -> BTreeMap<SocketAddr, u32> {
        let mut sent = BTreeMap::new();
        for (to, ..) in &self.nodes[n].asked {
            *sent.entry(*to).or_default() += 1;
        }
        sent
    }

    pub(super) fn counters(&self, n: usize) -> NatCounters {
        self.nodes[n].punching.counters()
    }
}

pub(super) fn id(n: usize) -> NodeId {
    peer(u8::try_from(n).unwrap())
}

pub(super) fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub(super) fn connect(nonce: u64, places: &[&str]) -> NatMessage {
    NatMessage::Connect(offer(nonce, places))
}

pub(super) fn offer(nonce: u64, places: &[&str]) -> Offer {
    let candidates = addrs(places).into_iter().map(Address::from).collect();
    Offer { nonce, port_varies: false, searches: false, candidates }
}

#[test]
fn each_opens_its_own_translator_before_it_lets_the_other_send() {
    let mut pair = Pair::new();
    pair.round();
    assert_eq!(pair.nodes[A].course, ["Connect", "opener", "Sync", "probe"]);
    assert_eq!(pair.nodes[B].course, ["opener", "Answer", "probe"]);
    let openers = |n: usize| pair.nodes[n].asked.iter().filter(|(.., hops)| hops.is_some()).count();
    assert_eq!([openers(A), openers(B)].map(u32::try_from), [Ok(PUNCH_OPENERS); 2]);
    let (to, id, _) = *pair.nodes[A].asked.last().unwrap();
    assert_eq!(to, "20.2.2.2:4002".parse().unwrap());
    pair.is_answered(A, to, id);
    assert_eq!(pair.nodes[A].dialled, [to]);
    pair.is_answered(A, to, id);
    assert_eq!(pair.nodes[A].dialled.len(), 1, "an answer counts once");
    pair.nodes[A].punching.peer_direct(&super::peer(1));
    assert_eq!(pair.nodes[A].punching.poll_timeout(), None);
    assert_eq!((pair.counters(A).rounds, pair.counters(A).direct), (1, 1));
}

#[test]
fn the_hops_to_the_relay_are_measured_once_and_openers_go_one_less() {
    let mut pair = Pair::unlinked();
    pair.link(Some("20.9.9.9:1"));
    pair.due(A);
    let asked = pair.nodes[A].asked.clone();
    let hops: Vec<_> = asked.iter().map(|(.., hops)| hops.unwrap()).collect();
    let twice = (2..=MAX_OPENER_HOPS).flat_map(|hops| [hops; 2]);
    assert_eq!(hops, twice.collect::<Vec<_>>());
    assert_eq!(pair.nodes[A].said.len(), 1, "who begins needs it when it is answered");
    // The last one of eight is answered first; of two hops none arrives.
    for (to, id, _) in asked[2..].iter().rev() {
        pair.is_answered(A, *to, *id);
    }
    pair.due(B);
    assert_eq!(pair.nodes[B].asked.len(), asked.len(), "who is asked measures before it is");
    pair.carry_one(A);
    assert_eq!(pair.nodes[B].said.len(), 0, "and says nothing before it is known");
    // Nobody answers B.
    assert_eq!(pair.wait(B), HOPS_WAIT);
    pair.carry_one(B);
    let reach = |n: usize| pair.nodes[n].asked.last().unwrap().2;
    assert_eq!((pair.nodes[A].asked.iter().rfind(|it| it.2.is_some()).unwrap().2), Some(2));
    assert_eq!(reach(B), Some(MAX_OPENER_HOPS));
    // The one before is old enough, so that others that left with it have come.
    pair.now.mono = pair.now.mono + HOPS_GRACE;
    // Another round, and another peer: it is known.
    let before = pair.nodes[A].asked.len();
    let relay = Some("20.9.9.9:1".parse().unwrap());
    pair.at(A, |node, now, _| node.punching.peer_relayed(now, id(7), over(true, relay)));
    pair.due(A);
    assert_eq!(pair.nodes[A].asked.len(), before);
    pair.nodes[A].punching.peer_down(&id(1));
    pair.nodes[A].punching.peer_down(&id(7));
    pair.now.mono = pair.now.mono + HOPS_LIFE;
    pair.at(A, |node, now, _| node.punching.peer_relayed(now, id(8), over(true, relay)));
    pair.due(A);
    assert!(pair.nodes[A].asked.len() > before, "it is measured again when it is old");
}

#[test]
fn nothing_is_sent_to_addresses_of_ours_to_private_ones_or_to_too_many() {
    let mut pair = Pair::new();
    let ours = ["20.2.2.2:4002", "192.168.2.7:9", "127.0.0.1:9", "20.5.5.5:9"];
    pair.nodes[B].own.interfaces.extend(ips(&["20.5.5.5"]));
    pair.hears(B, connect(1, &ours));
    assert!(pair.nodes[B].asked.is_empty(), "{:?}", pair.sent(B));
    let private = ["10.0.0.1:9", "192.168.1.9:9", "169.254.169.254:80", "[fe80::1]:9", "[::1]:9"];
    pair.hears(B, connect(2, &private));
    let odd = ["0.0.0.0:9", "224.0.0.1:9", "255.255.255.255:9", "20.7.7.7:0", "[172::1]:1"];
    pair.hears(B, connect(3, &odd));
    assert!(pair.nodes[B].asked.is_empty(), "{:?}", pair.sent(B));
    let many: Vec<String> = (1..40).map(|n| format!("20.8.8.{n}:9")).collect();
    pair.hears(B, connect(4, &many.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(pair.sent(B).len(), MAX_CANDIDATES);
    let offered = pair.nodes[B].said.iter().map(|said| match said {
        NatMessage::Answer(offer) => offer.candidates.len(),
        other => panic!("{other:?}"),
    });
    assert_eq!(offered.collect::<Vec<_>>(), [2; 4], "where it is seen, and its interface");
}

#[test]
fn an_address_that_never_answers_gets_a_few_packets_whoever_names_it_and_however_often() {
    const VICTIM: &str = "20.66.66.66:53";
    let mut pair = Pair::unlinked();
    for from in 10..40 {
        pair.at(B, |node, now, _| node.punching.peer_relayed(now, id(from), over(false, None)));
        for nonce in 0..3 {
            pair.hears_of(B, from, connect(nonce, &[VICTIM, VICTIM]));
            pair.hears_of(B, from, NatMessage::Sync(nonce));
            while pair.nodes[B].punching.poll_timeout().is_some() {
                let waits = pair.wait(B);
                pair.now.mono = pair.now.mono - waits;
            }
        }
    }
    let victim = VICTIM.parse().unwrap();
    assert_eq!(pair.sent(B)[&victim], PUNCH_BUDGET);
    assert!(pair.counters(B).spared > 0);
    // A budget later it is one more budget, and one that answers needs none.
    pair.now.mono = pair.now.mono + PUNCH_BUDGET_TIME;
    for nonce in 10..16 {
        pair.hears_of(B, 10, connect(nonce, &[VICTIM]));
    }
    assert_eq!(pair.sent(B)[&victim], 2 * PUNCH_BUDGET);
}

#[test]
fn all_ports_of_a_machine_and_all_of_a_network_together_get_a_few_packets() {
    let mut pair = Pair::new();
    for nonce in 0..u64::from(PUNCH_ROUNDS_BURST) / 2 {
        let at = |n: u64| 8 * nonce + n;
        let ports: Vec<_> = (1..9).map(|n| format!("20.66.66.66:{}", at(n))).collect();
        pair.hears(B, connect(nonce, &ports.iter().map(String::as_str).collect::<Vec<_>>()));
        pair.hears(B, NatMessage::Sync(nonce));
        let hosts: Vec<_> = (1..9).map(|n| format!("[2a00:6::{:x}]:53", at(n))).collect();
        pair.hears(B, connect(nonce, &hosts.iter().map(String::as_str).collect::<Vec<_>>()));
        pair.hears(B, NatMessage::Sync(nonce));
    }
    let sent = pair.sent(B);
    let to = |v4: bool| sent.iter().filter(move |it| it.0.is_ipv4() == v4).map(|it| *it.1);
    assert_eq!(to(true).sum::<u32>(), PUNCH_NETWORK_BUDGET);
    assert_eq!(to(false).sum::<u32>(), PUNCH_NETWORK_BUDGET);
}

#[test]
fn an_address_is_not_forgotten_for_the_many_that_are_named_beside_it() {
    const VICTIM: &str = "20.66.66.66:53";
    let mut pair = Pair::unlinked();
    for from in 10..40 {
        pair.at(B, |node, now, _| node.punching.peer_relayed(now, id(from), over(false, None)));
        for nonce in 0..u64::from(PUNCH_ROUNDS_BURST) {
            let others = (0..7).map(|n| format!("20.{}.{from}.{nonce}:9", 70 + n));
            let places: Vec<_> = others.chain([VICTIM.to_owned()]).collect();
            let places: Vec<_> = places.iter().map(String::as_str).collect();
            pair.hears_of(B, from, connect(nonce, &places));
        }
    }
    let sent = pair.sent(B);
    assert!(sent.len() > MAX_PUNCH_BUDGETS + 500, "{} addresses", sent.len());
    assert_eq!(sent[&VICTIM.parse().unwrap()], PUNCH_BUDGET);
}

#[test]
fn who_asks_for_too_many_rounds_or_out_of_turn_is_refused() {
    let mut pair = Pair::new();
    for nonce in 0..1_000 {
        pair.hears(B, connect(nonce, &["20.1.1.1:4001"]));
    }
    assert_eq!(pair.counters(B).rounds, u64::from(PUNCH_ROUNDS_BURST));
    assert_eq!(pair.counters(B).refused, 1_000 - u64::from(PUNCH_ROUNDS_BURST));
    // Who dialled begins, and nobody else; strangers are not heard.
    pair.hears(A, connect(7, &["20.2.2.2:4002"]));
    pair.hears_of(A, 9, connect(7, &["20.2.2.2:4002"]));
    assert_eq!((pair.counters(A).refused, pair.counters(A).packets), (1, 0));
    assert!(pair.nodes[A].said.is_empty());
}

#[test]
fn words_of_another_round_or_out_of_turn_change_nothing() {
    let mut pair = Pair::new();
    let places = &["20.3.3.3:9"];
    for n in [A, B] {
        pair.hears(n, NatMessage::Answer(offer(0, places)));
        pair.hears(n, NatMessage::Sync(0));
    }
    pair.due(A);
    let NatMessage::Connect(offered) = pair.carry_one(A) else { panic!("A begins") };
    let nonce = offered.nonce;
    let sent = pair.nodes.each_ref().map(|node| node.asked.len());
    pair.hears(A, NatMessage::Answer(offer(nonce ^ 1, places)));
    pair.hears(A, NatMessage::Sync(nonce));
    pair.hears(B, NatMessage::Sync(nonce ^ 1));
    pair.hears(B, NatMessage::Answer(offer(nonce, places)));
    pair.hears_of(B, 9, NatMessage::Sync(nonce));
    assert_eq!(pair.nodes.each_ref().map(|node| node.asked.len()), sent);
    pair.carry_one(B);
    pair.carry_one(A);
    let sent = pair.nodes.each_ref().map(|node| node.asked.len());
    pair.hears(A, NatMessage::Answer(offer(nonce, places)));
    pair.hears(B, NatMessage::Sync(nonce));
    assert_eq!(pair.nodes.each_ref().map(|node| node.asked.len()), sent, "twice is once");
    assert!(!pair.sent(A).contains_key(&places[0].parse().unwrap()));
}

#[test]
fn an_answer_from_elsewhere_or_under_another_name_is_none() {
    let mut pair = Pair::new();
    pair.round();
    let (to, name, _) = *pair.nodes[A].asked.last().unwrap();
    pair.is_answered(A, "20.2.2.2:4003".parse().unwrap(), name);
    pair.is_answered(A, "20.66.66.66:4002".parse().unwrap(), name);
    let other = TransactionId::draw(&mut Seed::from_number(9).stream("guess"));
    pair.is_answered(A, to, other);
    let (.., theirs) = (0, pair.nodes[B].asked[0].1);
    pair.is_answered(A, to, theirs);
    assert_eq!((pair.nodes[A].dialled.len(), pair.counters(A).answered), (0, 0));
    pair.is_answered(A, to, name);
    assert_eq!(pair.nodes[A].dialled, [to]);
}

#[test]
fn who_began_tries_again_later_each_time_and_who_was_asked_waits() {
    let mut pair = Pair::new();
    let mut again = Vec::new();
    for _ in 0..7 {
        pair.round();
        let mut steps = Vec::new();
        for _ in PUNCH_PROBES {
            steps.push(pair.wait(A));
        }
        assert_eq!(steps.iter().sum::<Duration>(), PUNCH_WAIT, "probes, and a last wait");
        while pair.nodes[B].punching.poll_timeout().is_some() {
            pair.wait(B);
        }
        let at = pair.nodes[A].punching.poll_timeout().unwrap();
        again.push(at.since(pair.now.mono));
        pair.now.mono = at;
    }
    let streams = pair.nodes[A].dialled.len();
    assert_eq!(streams, 1, "the first time it was tried by streams, too");
    let last = *PUNCH_AGAIN.last().unwrap();
    assert_eq!(again[..PUNCH_AGAIN.len()], PUNCH_AGAIN);
    assert_eq!(again[PUNCH_AGAIN.len()..], [last, last]);
    let millis = [500, 5_000, 15_000, 60_000, 300_000].map(Duration::from_millis);
    assert_eq!(PUNCH_AGAIN, millis);
}

#[test]
fn a_round_that_stops_at_any_step_comes_to_an_end() {
    for step in 0..4 {
        let mut pair = Pair::new();
        pair.due(A);
        for from in [A, B, A].into_iter().take(step) {
            pair.carry_one(from);
        }
        pair.nodes.iter_mut().for_each(|node| node.said.clear());
        let mut waited = Duration::ZERO;
        while pair.nodes[A].said.is_empty() {
            waited += pair.wait(A);
            assert!(waited <= PUNCH_STEP + PUNCH_AGAIN[0], "it begins anew");
        }
        while pair.nodes[B].punching.poll_timeout().is_some() {
            waited += pair.wait(B);
            assert!(waited <= 2 * PUNCH_STEP + PUNCH_AGAIN[0], "it waits for nothing");
        }
    }
}

#[test]
fn who_left_is_forgotten_and_nothing_waits_for_rounds_that_failed() {
    let mut pair = Pair::new();
    pair.round();
    let (to, name, _) = *pair.nodes[A].asked.last().unwrap();
    pair.nodes[A].punching.peer_down(&super::peer(1));
    pair.is_answered(A, to, name);
    assert_eq!((pair.nodes[A].dialled.len(), pair.nodes[A].punching.poll_timeout()), (0, None));
    assert_eq!(pair.nodes[A].punching.waits_for(), 0);

    // Many peers whose rounds all fail.
    for from in 2..100 {
        pair.at(B, |node, now, _| node.punching.peer_relayed(now, id(from), over(false, None)));
        let place = format!("20.7.{from}.1:9");
        pair.hears_of(B, from, connect(1, &[&place]));
        pair.hears_of(B, from, NatMessage::Sync(1));
    }
    assert!(pair.nodes[B].punching.waits_for() > 0);
    while pair.nodes[B].punching.poll_timeout().is_some() {
        pair.wait(B);
    }
    assert_eq!(pair.nodes[B].punching.waits_for(), 0);
}

#[test]
fn peers_are_bounded_and_another_network_begins_anew() {
    let mut pair = Pair::unlinked();
    for n in 0..2 * MAX_PUNCHED {
        let mut key = [0; 32];
        key[0] = u8::try_from(n).unwrap();
        pair.at(A, |node, now, _| {
            node.punching.peer_relayed(now, NodeId::from_bytes(key), over(true, None));
        });
    }
    pair.due(A);
    assert_eq!(pair.nodes[A].said.len(), MAX_PUNCHED);

    let mut pair = Pair::new();
    pair.round();
    for _ in PUNCH_PROBES {
        pair.wait(A);
    }
    pair.at(A, |node, now, _| node.punching.handle_network_changed(now));
    assert_eq!(pair.wait(A), Duration::ZERO);
    assert!(matches!(pair.nodes[A].said.front(), Some(NatMessage::Connect(_))));
}

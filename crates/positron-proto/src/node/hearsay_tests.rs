//! What reaches an address that never answers, of a node to which many say that somebody is there.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use super::{Command, Effect, Input, NodeConfig, NodeCore, Snapshot, TableOrder};
use crate::{
    dht::{Contact, DhtAsk, DhtEffect, DhtQuery, Place, QuestionId, Via},
    handshake::Direction,
    id::{LinkId, NetworkId, NodeId},
    identity::{Identity, Signed},
    peers::PeersMessage,
    rng::Seed,
    session::sessions::{DownReason, LinkDown, Peer},
    time::{Duration, Instant, Now, WallTime},
    wire::record::PeerRecord,
};

/// Of IPv4 and UDP, and of a SYN of TCP with its options.
const UDP_HEADERS: usize = 28;
const TCP_SYN: usize = 60;
/// When a kernel says it again, after the dial (Linux before 6.5; since then it waits 1 s between
/// each two of the first five).
const TCP_SYNS: [u64; 5] = [0, 1, 3, 7, 15];

/// A node that hears of `victim`, where nobody ever answers, and what it sends there.
struct Rumour {
    core: NodeCore,
    now: Now,
    victim: std::net::IpAddr,
    /// When, and bytes with all headers.
    sent: Vec<(Instant, usize)>,
    connecting: BTreeMap<LinkId, Instant>,
    begun: Instant,
    questions: u64,
}

impl Rumour {
    fn new() -> Self {
        let now = Now {
            mono: Instant::from_micros(1_000_000),
            wall: WallTime::from_unix_micros(1_800_000_000_000_000),
        };
        let config = NodeConfig { network: network(), ..NodeConfig::default() };
        let me = Arc::new(Identity::from_seed([1; 32]));
        let core = NodeCore::new(config, me, Snapshot::default(), &Seed::from_number(1), now);
        let (sent, connecting, begun) = (Vec::new(), BTreeMap::new(), now.mono);
        let victim = [20, 1, 2, 3].into();
        let mut it = Self { core, now, victim, sent, connecting, begun, questions: 1 << 40 };
        it.input(Input::Listening(vec!["40.1.2.3:4000".parse().unwrap()]));
        it
    }

    fn input(&mut self, input: Input) {
        self.core.handle(self.now, input);
        self.drain();
    }

    /// Does what the node wants, but for what nobody answers.
    fn drain(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Verify { check, job, .. } => {
                    let verdict = job.run();
                    self.core.handle(self.now, Input::Verdict { check, verdict });
                }
                Effect::Dial { link, to, .. } if to.ip() == self.victim => {
                    self.connecting.insert(link, self.now.mono);
                }
                Effect::Hangup { link, .. } => {
                    self.stop_connecting(link);
                    self.core.handle(self.now, Input::LinkDown { link, reason: LinkDown::HungUp });
                }
                _ => {}
            }
        }
        let mut buf = Vec::new();
        while let Some(transmit) = self.core.poll_transmit(self.now, 1, &mut buf) {
            if transmit.to.ip() == self.victim {
                self.sent.push((self.now.mono, transmit.len + UDP_HEADERS));
            }
        }
    }

    fn stop_connecting(&mut self, link: LinkId) {
        let Some(since) = self.connecting.remove(&link) else { return };
        let syns = TCP_SYNS.iter().map(|after| since + Duration::from_secs(*after));
        self.sent.extend(syns.filter(|at| *at < self.now.mono).map(|at| (at, TCP_SYN)));
    }

    fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        loop {
            let next = self.core.poll_timeout().map(|(at, _)| at.max(self.now.mono));
            let next = next.filter(|at| *at < end);
            let passed = next.unwrap_or(end).since(self.now.mono);
            self.now = Now { mono: self.now.mono + passed, wall: self.now.wall + passed };
            if next.is_none() {
                return;
            }
            self.input(Input::Timeout);
        }
    }

    /// Packets and bytes to the silent address since the beginning.
    fn spent(&mut self) -> (usize, usize) {
        let links: Vec<LinkId> = self.connecting.keys().copied().collect();
        links.into_iter().for_each(|link| self.stop_connecting(link));
        (self.sent.len(), self.sent.iter().map(|(_, bytes)| bytes).sum())
    }

    /// Somebody dials us and says where it listens.
    fn comes(&mut self, who: &Identity, from: SocketAddr, record: Signed<PeerRecord>) {
        let peer = Peer {
            id: who.node_id(),
            key: *who.public_key(),
            noise_static: [7; 32],
            addr: from,
            direction: Direction::Inbound,
            link: LinkId::of_driver(0),
            boot: 1,
        };
        let (standings, out) = (self.core.trust.standings(), &mut self.core.queues.peers);
        self.core.peers.handle_incoming(self.now, peer, standings, out);
        self.core.peers.peer_up(self.now, peer, standings, out);
        let observed = "40.1.2.3:4000".parse::<SocketAddr>().unwrap().into();
        let hello = PeersMessage::Hello { answer: false, record, observed, peers: Vec::new() };
        self.core.peers.handle_message(self.now, peer.id, hello, standings, out);
        self.input(Input::Timeout);
    }

    fn tells(&mut self, who: NodeId, peers: Vec<Signed<PeerRecord>>) {
        let (standings, out) = (self.core.trust.standings(), &mut self.core.queues.peers);
        let message = PeersMessage::Announcement(peers);
        self.core.peers.handle_message(self.now, who, message, standings, out);
        self.input(Input::Timeout);
    }

    fn vanishes(&mut self, who: NodeId) {
        let (why, out) = (DownReason::Link(LinkDown::TimedOut), &mut self.core.queues.peers);
        self.core.peers.peer_down(self.now, who, &why, out);
        self.input(Input::Timeout);
    }

    /// The table is told of somebody there, and wants to ask it.
    fn is_contact(&mut self, who: &Identity, at: SocketAddr, via: Via) {
        let contact = Contact::new(*who.public_key(), [7; 32], at);
        self.core.dht.handle_contact(self.now, contact);
        let ask = DhtAsk { serves: false, query: DhtQuery::Find(Place::from_bytes([5; 32])) };
        self.questions += 1;
        let question = QuestionId(self.questions);
        self.core.queues.dht.push_back(DhtEffect::Ask { question, to: contact, ask, via });
        self.input(Input::Timeout);
    }
}

fn network() -> NetworkId {
    NetworkId::from_name("test")
}

fn identity(n: u16) -> Identity {
    let mut seed = [9; 32];
    seed[..2].copy_from_slice(&n.to_be_bytes());
    Identity::from_seed(seed)
}

fn record(of: &Identity, sequence: u64, at: &[SocketAddr]) -> Signed<PeerRecord> {
    let record = PeerRecord {
        key: *of.public_key(),
        sequence,
        noise_static: [7; 32],
        capabilities: 0,
        addresses: at.iter().map(|at| (*at).into()).collect(),
        carriers: Vec::new(),
        software: String::new(),
    };
    of.sign(record, &network()).claim().clone()
}

const SECOND: Duration = Duration::from_secs(1);

/// What is told in 150 s; each second a part of it.
#[derive(Clone, Copy)]
struct Told {
    sessions: bool,
    records: bool,
    contacts: bool,
}

/// For 150 s: 64 nodes come, name the victim and vanish; one names 256 nodes that are there, again
/// and again with newer records; and the hash table is full of contacts there.
fn told(Told { sessions, records, contacts }: Told) -> (usize, usize) {
    let mut rumour = Rumour::new();
    let at = |port: u16| SocketAddr::new([20, 1, 2, 3].into(), port);
    let liar = identity(0);
    let its_own = record(&liar, 1, &["30.1.2.3:4000".parse().unwrap()]);
    rumour.comes(&liar, "30.1.2.3:4000".parse().unwrap(), its_own);
    for second in 0_u16..150 {
        if sessions && second < 64 {
            let guest = identity(1 + second);
            let from = SocketAddr::new([50, 1, 1, u8::try_from(second).unwrap()].into(), 5000);
            rumour.comes(&guest, from, record(&guest, 1, &[at(1000 + second)]));
            rumour.run(SECOND / 4);
            rumour.vanishes(guest.node_id());
        }
        if records && second % 2 == 0 {
            let round = second / 32;
            let named = (0..16).map(|n| 1000 + second / 2 % 16 * 16 + n);
            let named = named.map(|n| record(&identity(n), 1 + u64::from(round), &[at(n)]));
            let named = named.collect();
            rumour.tells(liar.node_id(), named);
        }
        if contacts {
            for n in 0..4 {
                let via = [Via::Any, Via::Session, Via::Datagram][usize::from(second % 3)];
                let n = 5000 + second % 50 * 4 + n;
                rumour.is_contact(&identity(n), at(n), via);
            }
            let target = Place::from_bytes([u8::try_from(second).unwrap(); 32]);
            let _ = rumour.core.command(rumour.now, Command::Table(TableOrder::Find(target)));
        }
        let next = rumour.begun + SECOND * (u32::from(second) + 1);
        rumour.run(next.since(rumour.now.mono));
    }
    let (packets, bytes) = rumour.spent();
    let times: Vec<_> = rumour.sent.iter().map(|(at, _)| at.since(rumour.begun)).collect();
    println!("{packets} packets, {bytes} bytes at {times:?}");
    (packets, bytes)
}

#[test]
fn an_address_that_never_answers_gets_few_packets_whoever_says_that_somebody_is_there() {
    let cases =
        [(true, false, false), (false, true, false), (false, false, true), (true, true, true)];
    let spent = cases.map(|(sessions, records, contacts)| {
        let spent = told(Told { sessions, records, contacts });
        println!("sessions {sessions}, records {records}, contacts {contacts}: {spent:?}");
        spent
    });
    assert!(spent.iter().all(|(packets, bytes)| *packets <= 10 && *bytes <= 12_000), "{spent:?}");
    assert!(spent.iter().all(|(packets, _)| *packets > 0), "it is tried: {spent:?}");
}

#[test]
fn who_speaks_from_a_silent_address_is_asked_and_dialled_there_at_once() {
    let mut rumour = Rumour::new();
    let at = |port: u16| SocketAddr::new([20, 1, 2, 3].into(), port);
    let ask = |rumour: &mut Rumour, n: u16| {
        let before = rumour.sent.len();
        rumour.is_contact(&identity(n), at(n), Via::Datagram);
        rumour.sent.len() - before
    };
    // Until it has been left alone for long.
    for n in 0..600 {
        ask(&mut rumour, 1 + n);
        rumour.run(SECOND);
    }
    assert_eq!(ask(&mut rumour, 1000), 0);
    let somebody = identity(2000);
    rumour.comes(&somebody, at(50_000), record(&somebody, 1, &[at(2000)]));
    assert!(ask(&mut rumour, 1000) > 0);
    let before = rumour.sent.len();
    rumour.is_contact(&identity(3000), at(3000), Via::Session);
    assert!(rumour.sent.len() > before);
}

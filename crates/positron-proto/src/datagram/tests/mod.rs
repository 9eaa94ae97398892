//! Endpoints over a network whose every datagram can be lost, repeated, held back or changed.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use bytes::Bytes;

use super::{
    Endpoint,
    contract::{
        Asker, Closed, ConnectionId, ConnectionState, Delivery, EndpointConfig, EndpointEvent,
        QueryEvent,
    },
};
use crate::{
    handshake::{expect::Expect, link_public_key},
    id::{NetworkId, NodeId},
    identity::{Identity, PublicKey},
    limits::{AMPLIFICATION, HANDSHAKE_TIMEOUT, LEAST_DATAGRAM, SYN_TIMEOUT},
    rng::Seed,
    time::{Duration, Now},
    wire::packet::{Flags, HEADER_LEN, Header, Hint, PacketType, SynAck, put_checksum},
};

mod attacks;
mod bindings;
mod dialling;
mod pressure;
mod queries;
mod vectors;

use pressure::stranger;

/// What is under way: from, to, datagram.
type Packet = (SocketAddr, SocketAddr, Vec<u8>);

struct Node {
    end: Endpoint,
    id: NodeId,
    key: PublicKey,
    addr: SocketAddr,
    noise_static: [u8; 32],
    events: Vec<EndpointEvent>,
    /// What became of its queries.
    queries: Vec<QueryEvent>,
    asked: Vec<HeardQuery>,
    /// Whether it answers queries, each by what was asked, turned round.
    answers: bool,
}

impl Node {
    /// Takes what happened, and answers what is asked.
    fn attend(&mut self, now: Now) {
        self.events.extend(std::iter::from_fn(|| self.end.poll_event()));
        while let Some(event) = self.end.poll_query() {
            let QueryEvent::Asked { from, body, reply, ticketed } = event else {
                self.queries.push(event);
                continue;
            };
            if self.answers {
                let answer: Vec<u8> = body.iter().rev().copied().collect();
                self.end.answer_query(now, reply, &answer).unwrap();
            }
            self.asked.push(HeardQuery { from, body, ticketed });
        }
    }
}

/// A query that a node was asked.
#[derive(Debug)]
struct HeardQuery {
    from: Asker,
    body: Bytes,
    ticketed: bool,
}

/// Some endpoints, and no network: a datagram is there at once, unless the story does something
/// else with that very one, by what is in it. What chance does on the way is tried in
/// [`connection`](super::connection).
struct World {
    now: Now,
    nodes: Vec<Node>,
    wire: VecDeque<Packet>,
    /// Everything that was ever sent.
    sent: Vec<Packet>,
}

impl World {
    fn new(count: u8) -> Self {
        let mut world = Self {
            now: Now::default(),
            nodes: Vec::new(),
            wire: VecDeque::new(),
            sent: Vec::new(),
        };
        // A clock that begins at 0 hides mistakes.
        world.now.mono = world.now.mono + Duration::from_secs(1000);
        for n in 0..count {
            world.add(n + 1, [10, n, 0, 1], "test");
        }
        world
    }

    fn add(&mut self, seed: u8, ip: [u8; 4], network: &str) -> usize {
        let me = Arc::new(Identity::from_seed([seed; 32]));
        let (id, key) = (me.node_id(), *me.public_key());
        let noise_static = link_public_key(&me);
        let config = EndpointConfig::new(NetworkId::from_name(network));
        let rng = Seed::from_number(u64::from(seed)).stream("endpoint");
        let end = Endpoint::new(config, me, u64::from(seed), rng);
        let addr = SocketAddr::from((ip, 7000));
        let (events, queries, asked, answers) = (vec![], vec![], vec![], true);
        let node = Node { end, id, key, addr, noise_static, events, queries, asked, answers };
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// A dial that knows the key of the other end, or not.
    fn dial(&mut self, from: usize, to: usize, knows: bool) -> ConnectionId {
        let Node { id, addr, noise_static, .. } = self.nodes[to];
        let (now, key) = (self.now, knows.then_some(noise_static));
        self.nodes[from].end.connect(now, addr, Expect::Node(id), key).unwrap()
    }

    /// Puts on the wire what everybody has to say.
    fn collect(&mut self) {
        let mut buf = Vec::new();
        for node in &mut self.nodes {
            while let Some(transmit) = node.end.poll_transmit(self.now, 8, &mut buf) {
                assert_eq!(buf.len(), transmit.len);
                for datagram in buf.chunks(transmit.segment_size) {
                    let packet = (node.addr, transmit.to, datagram.to_vec());
                    self.sent.push(packet.clone());
                    self.wire.push_back(packet);
                }
            }
        }
    }

    fn deliver(&mut self, (from, to, datagram): &Packet) {
        for node in self.nodes.iter_mut().filter(|node| node.addr == *to) {
            node.end.handle_datagrams(self.now, *from, datagram.len(), datagram);
            node.attend(self.now);
        }
    }

    /// Until nothing is under way; each datagram becomes what `network` makes of it.
    fn run_with(&mut self, mut network: impl FnMut(&Packet) -> Vec<Packet>) {
        for _ in 0..1000 {
            self.collect();
            let Some(packet) = self.wire.pop_front() else { return };
            for packet in network(&packet) {
                self.deliver(&packet);
            }
        }
        panic!("it never ends");
    }

    fn run(&mut self) {
        self.run_with(|packet| vec![packet.clone()]);
    }

    /// Moves the clock, stopping wherever somebody wants to be woken.
    fn advance(&mut self, by: Duration) {
        let until = self.now.mono + by;
        self.run();
        loop {
            let next = self.nodes.iter().filter_map(|node| node.end.poll_timeout()).min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            self.now.mono = self.now.mono.max(at);
            for node in &mut self.nodes {
                node.end.handle_timeout(self.now);
                node.attend(self.now);
            }
            self.run();
        }
        self.now.mono = until;
    }

    fn connected(&self, n: usize) -> usize {
        let is = |event: &&EndpointEvent| matches!(event, EndpointEvent::Connected { .. });
        self.nodes[n].events.iter().filter(is).count()
    }

    fn accepted(&self, n: usize) -> usize {
        let is = |event: &&EndpointEvent| matches!(event, EndpointEvent::Accepted { .. });
        self.nodes[n].events.iter().filter(is).count()
    }

    fn closed(&self, n: usize) -> Vec<Closed> {
        let why = |event: &EndpointEvent| match event {
            EndpointEvent::Closed { why, .. } => Some(why.clone()),
            _ => None,
        };
        self.nodes[n].events.iter().filter_map(why).collect()
    }

    /// Connections with keys.
    fn established(&self, n: usize) -> usize {
        let views = self.nodes[n].end.views();
        views.iter().filter(|view| view.state == ConnectionState::Established).count()
    }

    /// Packets of this type that node `n` sent.
    fn sent_by(&self, n: usize, kind: PacketType) -> Vec<Vec<u8>> {
        let from = self.nodes[n].addr;
        let of = |(sender, _, datagram): &&Packet| *sender == from && datagram[2] == kind as u8;
        self.sent.iter().filter(of).map(|(_, _, datagram)| datagram.clone()).collect()
    }
}

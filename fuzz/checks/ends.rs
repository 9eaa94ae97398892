//! Endpoints that are told what the input says, and a network that does what it says.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use positron_proto::{
    datagram::{
        Endpoint,
        contract::{ConnectionId, EndpointConfig, EndpointEvent},
    },
    handshake::{Expect, link_public_key},
    id::{NetworkId, NodeId},
    identity::{Identity, PublicKey},
    rng::Seed,
    time::{Duration, Now},
};

/// One endpoint and what is known of it.
pub(crate) struct End {
    pub(crate) end: Endpoint,
    pub(crate) id: NodeId,
    #[allow(dead_code, reason = "not every target has use for it")]
    pub(crate) key: PublicKey,
    pub(crate) noise_static: [u8; 32],
    /// Where it is now.
    pub(crate) addr: SocketAddr,
}

/// A datagram: from, to, bytes.
#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) datagram: Vec<u8>,
}

/// Some endpoints, and what is on its way between them. The input is their network: it says of each
/// datagram what becomes of it, so that a fuzzer learns which fates matter.
pub(crate) struct Ends {
    pub(crate) now: Now,
    pub(crate) all: Vec<End>,
    pub(crate) wire: VecDeque<Packet>,
    /// What was sent so far, to be sent again; the first so many.
    pub(crate) sent: Vec<Packet>,
}

impl Ends {
    pub(crate) fn new(count: u8, config: impl Fn(&mut EndpointConfig)) -> Self {
        let mut now = Now::default();
        now.mono = now.mono + Duration::from_secs(1000);
        let all = (1..=count).map(|n| {
            let me = Arc::new(Identity::from_seed([n; 32]));
            let (id, key) = (me.node_id(), *me.public_key());
            let noise_static = link_public_key(&me);
            let mut its = EndpointConfig::new(NetworkId::from_name("fuzz"));
            config(&mut its);
            let rng = Seed::from_number(n.into()).stream("endpoint");
            let end = Endpoint::new(its, me, n.into(), rng);
            End { end, id, key, noise_static, addr: SocketAddr::from(([10, n, 0, 1], 7000)) }
        });
        Self { now, all: all.collect(), wire: VecDeque::new(), sent: Vec::new() }
    }

    /// Begins a connection, with IK if it `knows` the other end's key.
    pub(crate) fn dial(&mut self, from: usize, to: usize, knows: bool) -> ConnectionId {
        let End { id, addr, noise_static, .. } = self.all[to];
        let key = knows.then_some(noise_static);
        let dialled = self.all[from].end.connect(self.now, addr, Expect::Node(id), key);
        dialled.expect("there is room for a dial")
    }

    /// Puts on the wire what everybody has to say.
    pub(crate) fn collect(&mut self) {
        let mut buf = Vec::new();
        for end in &mut self.all {
            let mut calls = 0;
            while let Some(transmit) = end.end.poll_transmit(self.now, 8, &mut buf) {
                calls += 1;
                assert!(calls < 100_000, "it never falls silent");
                assert!(transmit.len == buf.len() && transmit.segment_size > 0);
                for datagram in buf.chunks(transmit.segment_size) {
                    let packet =
                        Packet { from: end.addr, to: transmit.to, datagram: datagram.to_vec() };
                    if self.sent.len() < REMEMBERED {
                        self.sent.push(packet.clone());
                    }
                    self.wire.push_back(packet);
                }
            }
        }
    }

    /// Gives a datagram to whoever is at its address.
    pub(crate) fn deliver(&mut self, packet: &Packet) {
        let Packet { from, to, datagram } = packet;
        for end in self.all.iter_mut().filter(|end| end.addr == *to) {
            end.end.handle_datagrams(self.now, *from, datagram.len(), datagram);
        }
    }

    /// Moves the clock, stopping wherever somebody wants to be woken; what is said goes onto the
    /// wire and stays there.
    pub(crate) fn advance(&mut self, by: Duration) {
        let until = self.now.mono + by;
        let mut woken = 0;
        while let Some(at) = self.all.iter().filter_map(|end| end.end.poll_timeout()).min()
            && at <= until
        {
            woken += 1;
            assert!(woken < 100_000, "it never sleeps");
            self.now.mono = self.now.mono.max(at);
            for end in &mut self.all {
                end.end.handle_timeout(self.now);
            }
            self.collect();
        }
        self.now.mono = until;
    }

    /// A network that does its duty, for so long: a datagram takes a millisecond.
    pub(crate) fn calm(&mut self, by: Duration, mut each: impl FnMut(&mut Self) -> bool) {
        let until = self.now.mono + by;
        for _ in 0..200_000 {
            self.collect();
            if !each(self) || self.now.mono >= until {
                return;
            }
            self.collect();
            let next = self.all.iter().filter_map(|end| end.end.poll_timeout()).min();
            let soon = self.now.mono + Duration::from_millis(1);
            self.now.mono = match next {
                _ if !self.wire.is_empty() => soon,
                Some(at) => at.clamp(soon, until.max(soon)),
                None => return,
            };
            for packet in core::mem::take(&mut self.wire) {
                self.deliver(&packet);
            }
            for end in &mut self.all {
                if end.end.poll_timeout().is_some_and(|at| at <= self.now.mono) {
                    end.end.handle_timeout(self.now);
                }
            }
        }
        panic!("the endpoints keep each other busy for ever");
    }

    pub(crate) fn events(&mut self, n: usize) -> Vec<EndpointEvent> {
        core::iter::from_fn(|| self.all[n].end.poll_event()).collect()
    }
}

/// Datagrams that can be sent again.
const REMEMBERED: usize = 256;

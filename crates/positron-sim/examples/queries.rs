//! What queries cost in processor time: both ends, with and without a ticket, in memory.
//!
//! ```text
//! cargo run --release -p positron-sim --example queries
//! ```
//!
//! Each figure is that of the fastest of many batches, so that a busy machine does not count.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use positron_proto::{
    datagram::{
        Endpoint,
        contract::{EndpointConfig, QueryEvent, QueryId, QueryTarget},
    },
    handshake::{Expect, link_public_key},
    id::NetworkId,
    identity::Identity,
    rng::Seed,
    time::Now,
};

/// Not counted by address.
const ADDRESSES: [SocketAddr; 2] = [
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1),
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 2),
];
const BATCH: u64 = 50;
const BATCHES: u64 = 60;

fn main() {
    for (name, what) in [
        ("a query without a ticket", What::Cold),
        ("a query with a ticket", What::Ticketed),
        ("the first two messages of a dial", What::Dial),
    ] {
        let [ask, answer, take] = fastest(what);
        let us = |time: Duration| time.as_secs_f64() * 1e6 / BATCH as f64;
        let (in_all, ask, answer, take) = (us(ask + answer + take), us(ask), us(answer), us(take));
        println!("{name}: {in_all:.1} us; asked {ask:.1}, answered {answer:.1}, taken {take:.1}");
    }
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Cold,
    Ticketed,
    Dial,
}

/// The time of one batch: of whoever asks, whoever answers, and whoever asked.
fn fastest(what: What) -> [Duration; 3] {
    let mut least = [Duration::MAX; 3];
    let mut stage = Stage::new();
    for batch in 0..BATCHES {
        let times = stage.batch(batch * BATCH, what);
        least = [0, 1, 2].map(|n| least[n].min(times[n]));
    }
    least
}

struct Stage {
    ends: [Endpoint; 2],
    target: QueryTarget,
    now: Now,
}

impl Stage {
    fn new() -> Self {
        let identity = |n| Arc::new(Identity::from_seed([n; 32]));
        let end = |n: u8| {
            let config = EndpointConfig::new(NetworkId::from_name("measure"));
            Endpoint::new(config, identity(n), 1, Seed::from_number(n.into()).stream("endpoint"))
        };
        let other = identity(2);
        let (key, noise_static) = (*other.public_key(), link_public_key(&other));
        let target = QueryTarget { addr: ADDRESSES[1], key, noise_static };
        let mut now = Now::default();
        now.mono = now.mono + Duration::from_secs(1000);
        Self { ends: [end(1), end(2)], target, now }
    }

    fn batch(&mut self, first: u64, what: What) -> [Duration; 3] {
        // A second in which nothing was computed, and but for tickets nothing is known.
        self.now.mono = self.now.mono + Duration::from_secs(1);
        if what != What::Ticketed {
            let now = self.now;
            *self = Self { now, ..Self::new() };
        }
        let mut times = [Duration::ZERO; 3];
        for n in first..first + BATCH {
            // Other ports are other nodes.
            let other = 1000 + u16::try_from(n % 60_000).unwrap_or(0);
            let port = if what == What::Ticketed { 2 } else { other };
            let to = SocketAddr::new(ADDRESSES[1].ip(), port);
            let step = |time: &mut Duration, started: Instant| *time += started.elapsed();

            let started = Instant::now();
            self.begin(n, to, what);
            let asked = self.said(0);
            step(&mut times[0], started);

            let started = Instant::now();
            self.ends[1].handle_datagrams(self.now, ADDRESSES[0], 0, &asked);
            if what != What::Dial {
                let Some(QueryEvent::Asked { reply, .. }) = self.ends[1].poll_query() else {
                    panic!("the query was not heard")
                };
                self.ends[1].answer_query(self.now, reply, &[2; 850]).expect("there is room");
            }
            let answer = self.said(1);
            step(&mut times[1], started);

            let started = Instant::now();
            self.ends[0].handle_datagrams(self.now, to, 0, &answer);
            let is_taken = match what {
                What::Dial => self.ends[0].poll_event().is_some(),
                _ => matches!(self.ends[0].poll_query(), Some(QueryEvent::Answered { .. })),
            };
            assert!(is_taken, "it was not answered");
            step(&mut times[2], started);
            // What a dial says next is of no interest.
            while self.ends[0].poll_transmit(self.now, 1, &mut Vec::new()).is_some() {}
        }
        times
    }

    fn begin(&mut self, n: u64, to: SocketAddr, what: What) {
        let target = QueryTarget { addr: to, ..self.target };
        if what == What::Dial {
            let (expect, theirs) = (Expect::Node(target.key.node_id()), target.noise_static);
            self.ends[0].connect(self.now, to, expect, Some(theirs)).expect("there is room");
        } else {
            let asked = self.ends[0].query(self.now, target, QueryId(n), vec![1; 40].into());
            asked.expect("one query at a time");
        }
    }

    fn said(&mut self, n: usize) -> Vec<u8> {
        let mut datagram = Vec::new();
        let sent = self.ends[n].poll_transmit(self.now, 1, &mut datagram);
        sent.expect("something is said");
        datagram
    }
}

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
    handshake::link_public_key,
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
    let [cold, ticketed] = [false, true].map(fastest);
    for (name, [ask, answer, take]) in [("without a ticket", cold), ("with a ticket", ticketed)] {
        let us = |time: Duration| time.as_secs_f64() * 1e6 / BATCH as f64;
        let (in_all, ask, answer, take) = (us(ask + answer + take), us(ask), us(answer), us(take));
        println!("{name}: {in_all:.1} us; asked {ask:.1}, answered {answer:.1}, taken {take:.1}");
    }
}

/// The time of one batch: of whoever asks, whoever answers, and whoever asked.
fn fastest(ticketed: bool) -> [Duration; 3] {
    let mut least = [Duration::MAX; 3];
    let mut stage = Stage::new();
    for batch in 0..BATCHES {
        let times = stage.batch(batch * BATCH, ticketed);
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

    fn batch(&mut self, first: u64, ticketed: bool) -> [Duration; 3] {
        // A second in which nothing was computed, and for those without a ticket another node.
        self.now.mono = self.now.mono + Duration::from_secs(1);
        if !ticketed {
            let now = self.now;
            *self = Self { now, ..Self::new() };
        }
        let mut times = [Duration::ZERO; 3];
        for n in first..first + BATCH {
            // Other ports are other nodes.
            let port = if ticketed { 2 } else { 1000 + u16::try_from(n % 60_000).unwrap_or(0) };
            let to = SocketAddr::new(ADDRESSES[1].ip(), port);
            let started = Instant::now();
            let target = QueryTarget { addr: to, ..self.target };
            let asked = self.ends[0].query(self.now, target, QueryId(n), vec![1; 40].into());
            asked.expect("one query at a time");
            let query = self.said(0);
            times[0] += started.elapsed();

            let started = Instant::now();
            self.ends[1].handle_datagrams(self.now, ADDRESSES[0], 0, &query);
            let Some(QueryEvent::Asked { reply, .. }) = self.ends[1].poll_query() else {
                panic!("the query was not heard")
            };
            self.ends[1].answer_query(self.now, reply, &[2; 850]).expect("there is room");
            let answer = self.said(1);
            times[1] += started.elapsed();

            let started = Instant::now();
            self.ends[0].handle_datagrams(self.now, to, 0, &answer);
            let Some(QueryEvent::Answered { .. }) = self.ends[0].poll_query() else {
                panic!("the query was not answered")
            };
            times[2] += started.elapsed();
        }
        times
    }

    fn said(&mut self, n: usize) -> Vec<u8> {
        let mut datagram = Vec::new();
        let sent = self.ends[n].poll_transmit(self.now, 1, &mut datagram);
        sent.expect("something is said");
        datagram
    }
}

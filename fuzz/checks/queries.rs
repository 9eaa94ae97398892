//! Queries between three endpoints over a network that means harm.

use std::{collections::BTreeMap, net::SocketAddr};

use positron_proto::{
    datagram::contract::{QueryEvent, QueryId, QueryTarget},
    limits::{MAX_COLD_QUERY, QUERY_TIMEOUT},
    time::Duration,
    wire::packet::{HEADER_LEN, put_checksum},
};

use super::{
    ends::{Ends, Packet},
    input::Bytes,
};

/// The input says step by step who asks whom, and what becomes of each datagram. Nothing panics;
/// each query comes to one end at the most, and its answer is that of the node that was asked to
/// what was asked; to an address where nobody is goes no byte more than came from there; nothing is
/// left of queries; and afterwards an honest one is answered.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    let mut stage = Stage {
        ends: Ends::new(3, |_| {}),
        traffic: BTreeMap::new(),
        asked: BTreeMap::new(),
        answered: 0,
    };
    for _ in 0..MOST_STEPS {
        let Some(what) = input.next() else { break };
        stage.step(what, &mut input);
        stage.check_bounds();
    }
    stage.finish();
}

struct Stage {
    ends: Ends,
    /// Bytes that came from and went to addresses where nobody is, at each endpoint.
    traffic: BTreeMap<(SocketAddr, SocketAddr), (usize, usize)>,
    /// Queries under way: who asked whom what.
    asked: BTreeMap<(usize, QueryId), (usize, Vec<u8>)>,
    answered: usize,
}

impl Stage {
    fn step(&mut self, what: u8, input: &mut Bytes<'_>) {
        let upper = usize::from(what >> 4);
        match what % 16 {
            0..=2 => self.next(|packet| vec![packet]),
            3 => self.next(|_| vec![]),
            4 => self.next(|packet| vec![packet.clone(), packet]),
            5 => {
                if let Some(packet) = self.ends.wire.pop_front() {
                    self.ends.wire.push_back(packet);
                }
            }
            6 => {
                let (at, change) = (input.word(), input.byte());
                self.next(|packet| vec![changed(packet.clone(), at, change), packet]);
            }
            7 => {
                let len = input.word();
                self.next(|packet| vec![resized(packet.clone(), len), packet]);
            }
            8 => {
                let from = elsewhere(input.byte());
                self.next(|packet| vec![Packet { from, ..packet.clone() }, packet]);
            }
            9 => {
                if let Some(packet) = self.ends.sent.get(input.byte()).cloned() {
                    self.deliver(&packet);
                }
            }
            10 => {
                let unit = [1, 100, 10_000, 600_000][upper % 4];
                let many = u64::try_from(input.byte()).unwrap_or(0) + 1;
                self.ends.advance(Duration::from_millis(unit * many));
            }
            11 => {
                let to = self.ends.all[upper % 3].addr;
                let from = if upper & 8 == 8 { elsewhere(upper) } else { self.ends.all[0].addr };
                let len = input.byte() * 5;
                let datagram = core::iter::from_fn(|| input.next()).take(len).collect();
                let length = len.max(HEADER_LEN);
                self.deliver(&resized(Packet { from, to, datagram }, length));
            }
            12 => {
                let id = QueryId(u64::try_from(input.byte()).unwrap_or(0));
                self.ends.all[upper % 3].end.cancel_query(id);
                self.asked.remove(&(upper % 3, id));
            }
            _ => {
                let (id, len) = (input.byte(), input.byte());
                let _ = self.ask(upper % 3, upper / 3 % 3, id, len);
            }
        }
        self.settle();
    }

    fn ask(&mut self, from: usize, to: usize, id: usize, len: usize) -> bool {
        let other = &self.ends.all[to];
        let target =
            QueryTarget { addr: other.addr, key: other.key, noise_static: other.noise_static };
        let id = QueryId(u64::try_from(id).unwrap_or(0));
        let fill = u8::try_from(len % 256).unwrap_or(0);
        let body = vec![fill; (len * 4).min(MAX_COLD_QUERY)];
        let asked = self.ends.all[from].end.query(self.ends.now, target, id, body.clone().into());
        if asked.is_ok() {
            self.asked.insert((from, id), (to, body));
        }
        asked.is_ok()
    }

    fn next(&mut self, fate: impl FnOnce(Packet) -> Vec<Packet>) {
        if let Some(packet) = self.ends.wire.pop_front() {
            for packet in fate(packet) {
                self.deliver(&packet);
            }
        }
    }

    fn deliver(&mut self, packet: &Packet) {
        if !self.is_somebody(packet.from) {
            self.traffic.entry((packet.from, packet.to)).or_default().0 += packet.datagram.len();
        }
        self.ends.deliver(packet);
        self.attend();
    }

    fn is_somebody(&self, addr: SocketAddr) -> bool {
        self.ends.all.iter().any(|end| end.addr == addr)
    }

    /// Takes what happened, and answers what is asked.
    fn attend(&mut self) {
        for n in 0..self.ends.all.len() {
            while let Some(event) = self.ends.all[n].end.poll_query() {
                match event {
                    QueryEvent::Asked { body, reply, from, .. } => {
                        let by = self.ends.all.iter().position(|end| {
                            (end.key, end.noise_static) == (from.key, from.noise_static)
                        });
                        assert!(by.is_some_and(|by| by != n), "whoever asks is one of us");
                        let answer = answer(n, &body);
                        let answer = &answer[..answer.len().min(reply.room())];
                        let end = &mut self.ends.all[n].end;
                        assert!(end.answer_query(self.ends.now, reply, answer).is_ok());
                    }
                    QueryEvent::Answered { id, body, .. } => {
                        let (to, asked) = self.asked.remove(&(n, id)).expect("it was asked");
                        let genuine = answer(to, &asked);
                        assert!(genuine.starts_with(&body) && body.len() >= asked.len());
                        self.answered += 1;
                    }
                    QueryEvent::Failed { id, .. } => {
                        assert!(self.asked.remove(&(n, id)).is_some());
                    }
                }
            }
        }
    }

    fn settle(&mut self) {
        self.attend();
        let before = self.ends.wire.len();
        self.ends.collect();
        for packet in self.ends.wire.range(before..) {
            if !self.ends.all.iter().any(|end| end.addr == packet.to) {
                self.traffic.entry((packet.to, packet.from)).or_default().1 +=
                    packet.datagram.len();
            }
        }
        let all = &self.ends.all;
        self.ends.wire.retain(|packet| all.iter().any(|end| end.addr == packet.to));
    }

    fn check_bounds(&self) {
        for (addr, (came, went)) in &self.traffic {
            assert!(went <= came, "{went} bytes between {addr:?} for {came}");
        }
        for end in &self.ends.all {
            assert_eq!((end.end.half_open(), end.end.views().len()), (0, 0));
        }
    }

    fn finish(mut self) {
        self.ends.wire.clear();
        self.ends.advance(QUERY_TIMEOUT);
        self.settle();
        self.ends.wire.clear();
        assert!(self.asked.is_empty(), "a query comes to no end: {:?}", self.asked);
        for end in &self.ends.all {
            assert_eq!(end.end.poll_timeout(), None);
        }
        for from in [0, 2] {
            let before = self.answered;
            assert!(self.ask(from, 1, 300, 9), "an honest query is refused");
            // A ticket may be of no use, and then there is none.
            for _ in 0..100 {
                self.settle();
                self.next(|packet| vec![packet]);
                if self.ends.wire.is_empty() {
                    self.ends.advance(Duration::from_millis(20));
                }
            }
            assert_eq!(self.answered, before + 1, "an honest query is not answered");
        }
    }
}

/// What an endpoint says to a query.
fn answer(n: usize, body: &[u8]) -> Vec<u8> {
    let mut answer = body.to_vec();
    answer.push(u8::try_from(n).unwrap_or(0));
    answer
}

fn changed(mut packet: Packet, at: usize, change: usize) -> Packet {
    let len = packet.datagram.len();
    if let Some(byte) = packet.datagram.get_mut(at % len.max(1)) {
        *byte ^= u8::try_from(change.max(1)).unwrap_or(1);
    }
    put_checksum(&mut packet.datagram);
    packet
}

/// With a length and a checksum that reach what is behind them.
fn resized(mut packet: Packet, len: usize) -> Packet {
    packet.datagram.resize(len % 1500, 0);
    if let Some(payload_len) = packet.datagram.len().checked_sub(HEADER_LEN) {
        let payload_len = u32::try_from(payload_len).expect("datagrams are short");
        packet.datagram[16..20].copy_from_slice(&payload_len.to_be_bytes());
        put_checksum(&mut packet.datagram);
    }
    packet
}

fn elsewhere(n: usize) -> SocketAddr {
    let n = u8::try_from(n % 256).unwrap_or(0);
    SocketAddr::from(([203, 0, n, 1], 6000 + u16::from(n)))
}

const MOST_STEPS: usize = 500;

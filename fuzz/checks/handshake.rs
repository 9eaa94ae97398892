//! Handshakes of a dialler and a listener over a network that means harm.

use std::{collections::BTreeMap, net::SocketAddr};

use positron_proto::{
    datagram::contract::{Closed, ConnectionId, EndpointEvent},
    limits::{AMPLIFICATION, HANDSHAKE_TIMEOUT, LEAST_DATAGRAM, MAX_DATAGRAM_HALF_OPEN},
    time::Duration,
    wire::packet::{HEADER_LEN, put_checksum},
};

use super::{
    ends::{Ends, Packet},
    input::Bytes,
};

/// The input says how the dial begins and then, step by step, what becomes of each datagram and
/// what else arrives. Nothing panics; the listener keeps its bounds and sends to nobody more than
/// 3 times what came from there; whoever is connected is who it is; and afterwards an honest
/// handshake succeeds.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    let mut stage = Stage::new(&mut input);
    for _ in 0..MOST_STEPS {
        let Some(what) = input.next() else { break };
        stage.step(what, &mut input);
        stage.check_bounds();
    }
    stage.finish();
}

struct Stage {
    ends: Ends,
    /// Bytes that came to and went from the listener, by address.
    traffic: BTreeMap<SocketAddr, (u64, u64)>,
    heard: [Vec<EndpointEvent>; 3],
    dialled: [Vec<ConnectionId>; 3],
    flooded: usize,
}

const DIALLER: usize = 0;
const LISTENER: usize = 1;
const STRANGER: usize = 2;

impl Stage {
    fn new(input: &mut Bytes<'_>) -> Self {
        let mut stage = Self {
            ends: Ends::new(3, |_| {}),
            traffic: BTreeMap::new(),
            heard: Default::default(),
            dialled: Default::default(),
            flooded: 0,
        };
        let how = input.byte();
        if how & 4 == 0 {
            stage.dial(DIALLER, LISTENER, how & 1 == 1);
        }
        if how & 2 == 2 {
            stage.dial(LISTENER, DIALLER, how & 1 == 1);
        }
        stage.settle();
        stage
    }

    fn dial(&mut self, from: usize, to: usize, knows: bool) {
        let id = self.ends.dial(from, to, knows);
        self.dialled[from].push(id);
    }

    fn step(&mut self, what: u8, input: &mut Bytes<'_>) {
        match what % 12 {
            0 => self.next(|packet| vec![packet]),
            1 => self.next(|_| vec![]),
            2 => self.next(|packet| vec![packet.clone(), packet]),
            3 => {
                // Overtaken by all others.
                if let Some(packet) = self.ends.wire.pop_front() {
                    self.ends.wire.push_back(packet);
                }
            }
            4 => {
                let (at, change, honest) = (input.word(), input.byte(), input.bit());
                self.next(|packet| vec![changed(packet, at, change, honest)]);
            }
            5 => {
                let (len, honest) = (input.word(), input.bit());
                self.next(|packet| vec![resized(packet, len, honest)]);
            }
            // A forged one first, and then the genuine one.
            6 => {
                let (at, change) = (input.word(), input.byte());
                self.next(|packet| vec![changed(packet.clone(), at, change, true), packet]);
            }
            7 => {
                let from = elsewhere(input.byte());
                self.next(|packet| vec![Packet { from, ..packet.clone() }, packet]);
            }
            8 => {
                let which = input.byte();
                if let Some(packet) = self.ends.sent.get(which).cloned() {
                    self.deliver(&packet);
                }
            }
            9 => {
                let micros = (u64::try_from(input.byte()).unwrap_or(0) + 1) * 10_000;
                self.ends.advance(Duration::from_micros(micros));
            }
            10 => self.raw(input),
            _ => self.flood(input),
        }
        self.settle();
    }

    /// What becomes of the next datagram on the wire.
    fn next(&mut self, fate: impl FnOnce(Packet) -> Vec<Packet>) {
        if let Some(packet) = self.ends.wire.pop_front() {
            for packet in fate(packet) {
                self.deliver(&packet);
            }
        }
    }

    /// Bytes of the input, with a length and a checksum that reach what is behind them.
    fn raw(&mut self, input: &mut Bytes<'_>) {
        let (how, len) = (input.byte(), input.byte());
        let mut datagram: Vec<u8> = core::iter::from_fn(|| input.next()).take(len * 2).collect();
        if how & 1 == 1 {
            datagram.resize(LEAST_DATAGRAM, 0);
        }
        if how & 2 == 2 {
            mend(&mut datagram);
        }
        let to = self.ends.all[if how & 4 == 4 { DIALLER } else { LISTENER }].addr;
        let from = match how >> 3 & 3 {
            0 => self.ends.all[DIALLER].addr,
            1 => self.ends.all[LISTENER].addr,
            _ => elsewhere(len),
        };
        self.deliver(&Packet { from, to, datagram });
    }

    /// The first SYN again and again, under other names and from other addresses.
    fn flood(&mut self, input: &mut Bytes<'_>) {
        let (count, spread) = (input.byte().min(100), input.bit());
        if self.flooded > 3 * count {
            return;
        }
        let Some(syn) = self.ends.sent.first().cloned().filter(|p| p.datagram[2] == 1) else {
            return;
        };
        for n in 0..count {
            self.flooded += 1;
            let name = u8::try_from(self.flooded % 256).unwrap_or(0);
            let mut forged = changed(syn.clone(), HEADER_LEN + 3, usize::from(name | 1), true);
            forged.from = elsewhere(if spread { self.flooded } else { n % 2 });
            self.deliver(&forged);
            self.settle();
        }
    }

    fn deliver(&mut self, packet: &Packet) {
        if packet.to == self.ends.all[LISTENER].addr {
            self.traffic.entry(packet.from).or_default().0 += len(&packet.datagram);
        }
        self.ends.deliver(packet);
    }

    /// What is said and what happened; nothing comes from an address where nobody is.
    fn settle(&mut self) {
        let before = self.ends.wire.len();
        self.ends.collect();
        let listener = self.ends.all[LISTENER].addr;
        for packet in self.ends.wire.range(before..).filter(|packet| packet.from == listener) {
            self.traffic.entry(packet.to).or_default().1 += len(&packet.datagram);
        }
        let all = &self.ends.all;
        self.ends.wire.retain(|packet| all.iter().any(|end| end.addr == packet.to));
        self.listen();
    }

    fn listen(&mut self) {
        for n in 0..3 {
            for event in self.ends.events(n) {
                if let EndpointEvent::Connected { remote, .. }
                | EndpointEvent::Accepted { remote, .. } = &event
                {
                    let other = self.ends.all.iter().position(|end| end.id == remote.id);
                    let other = other.expect("whoever is there is one of us");
                    assert!(other != n && remote.noise_static == self.ends.all[other].noise_static);
                }
                self.heard[n].push(event);
            }
        }
    }

    fn check_bounds(&self) {
        let end = &self.ends.all[LISTENER].end;
        assert!(end.half_open() <= MAX_DATAGRAM_HALF_OPEN);
        let everybody = [DIALLER, LISTENER, STRANGER].map(|n| self.ends.all[n].addr);
        for (addr, (came, went)) in &self.traffic {
            if !everybody.contains(addr) && end.counters().migrations == 0 {
                assert!(*went <= AMPLIFICATION * came, "{went} bytes to {addr} for {came}");
            }
        }
    }

    fn finish(mut self) {
        // What is half open is forgotten, and the network does its duty.
        self.ends.wire.clear();
        self.ends.advance(HANDSHAKE_TIMEOUT);
        self.ends.wire.clear();
        self.listen();
        for knows in [true, false] {
            for from in [STRANGER, DIALLER] {
                let before = self.heard[LISTENER].len();
                self.dial(from, LISTENER, knows);
                let id = *self.dialled[from].last().expect("it was just dialled");
                self.ends.calm(Duration::from_secs(1), |_| true);
                self.listen();
                let connected = self.heard[from].iter().any(|event| match event {
                    EndpointEvent::Connected { connection, .. } => *connection == id,
                    _ => false,
                });
                assert!(connected, "an honest dial fails");
                let accepted = self.heard[LISTENER][before..].iter();
                let accepted =
                    accepted.filter(|event| matches!(event, EndpointEvent::Accepted { .. }));
                assert_eq!(accepted.count(), 1, "an honest dialler is not let in");
            }
        }
        self.ends.calm(Duration::from_secs(120), |_| true);
        self.listen();
        for n in 0..3 {
            self.check_ends(n);
        }
    }

    /// At most one end for each connection, the last of its events, and never a violation: nobody
    /// who holds keys breaks the rules.
    fn check_ends(&self, n: usize) {
        assert_eq!(self.ends.all[n].end.half_open(), 0);
        let mut over = Vec::new();
        for event in &self.heard[n] {
            let id = match event {
                EndpointEvent::Connected { connection, .. }
                | EndpointEvent::Accepted { connection, .. }
                | EndpointEvent::Moved { connection, .. }
                | EndpointEvent::Drained { connection } => *connection,
                EndpointEvent::Closed { connection, why } => {
                    assert!(!matches!(why, Closed::Violation { .. } | Closed::CipherLimit));
                    *connection
                }
                other => panic!("nobody sent {other:?}"),
            };
            assert!(!over.contains(&id), "something happens after the end");
            if matches!(event, EndpointEvent::Closed { .. }) {
                over.push(id);
            }
        }
        for id in &self.dialled[n] {
            let up = self.ends.all[n].end.view(*id).is_some();
            assert!(up != over.contains(id), "a dial comes to nothing");
        }
    }
}

fn changed(mut packet: Packet, at: usize, change: usize, honest: bool) -> Packet {
    let len = packet.datagram.len();
    if let Some(byte) = packet.datagram.get_mut(at % len.max(1)) {
        *byte ^= u8::try_from(change.max(1)).unwrap_or(1);
    }
    if honest {
        put_checksum(&mut packet.datagram);
    }
    packet
}

fn resized(mut packet: Packet, len: usize, honest: bool) -> Packet {
    packet.datagram.resize(len % 1500, 0);
    if honest {
        mend(&mut packet.datagram);
    }
    packet
}

/// Sets the length and the checksum right.
fn mend(datagram: &mut [u8]) {
    if let Some(payload_len) = datagram.len().checked_sub(HEADER_LEN) {
        let payload_len = u32::try_from(payload_len).expect("datagrams are short");
        datagram[16..20].copy_from_slice(&payload_len.to_be_bytes());
        put_checksum(datagram);
    }
}

fn elsewhere(n: usize) -> SocketAddr {
    let n = u8::try_from(n % 256).unwrap_or(0);
    SocketAddr::from(([203, 0, n, 1], 6000 + u16::from(n)))
}

fn len(datagram: &[u8]) -> u64 {
    u64::try_from(datagram.len()).expect("datagrams are short")
}

const MOST_STEPS: usize = 400;

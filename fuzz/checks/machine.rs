//! Two applications that do anything, over a network that does anything, on one connection.

use std::{collections::BTreeMap, net::SocketAddr};

use positron_proto::{
    datagram::contract::{
        Closed, ConnectionId, ConnectionView, Delivery, EndpointEvent, LaneNumber, StreamId,
    },
    limits::{
        CONNECTION_WINDOW_FIRST, FLUSH_TIMEOUT, LARGEST_DATAGRAM, LEAST_DATAGRAM,
        MAX_FRAGMENTS_PER_PEER, MAX_MESSAGE,
    },
    time::Duration,
    wire::{frame::CloseReason, packet::put_checksum},
};

use super::{
    ends::{Ends, Packet},
    input::Bytes,
};

/// The input says, step by step, what the applications do and what becomes of each datagram.
///
/// Nothing panics and nothing grows beyond its bounds. Messages are handed over genuine, in the
/// order that was asked for, at most once; streams are what was written, from the beginning. After
/// all that, when the network does its duty again and the applications take what there is,
/// everything reliable arrives, exactly once, or the connection is over for a reason.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    let mut stage = Stage::new(&mut input);
    for _ in 0..MOST_STEPS {
        let Some(what) = input.next() else { break };
        stage.step(what, &mut input);
        stage.listen();
        stage.check_bounds();
    }
    stage.finish();
}

struct Stage {
    ends: Ends,
    apps: [App; 2],
    queue_bytes: usize,
    /// Datagrams above it vanish.
    largest: usize,
    /// How often the dialler moved: nothing reaches it where it was before.
    moves: u8,
    /// How long the network was not calm.
    chaos: Duration,
}

/// What one application said, and what it has heard.
#[derive(Default)]
struct App {
    connection: Option<ConnectionId>,
    /// Messages that the other end has to hand over.
    owed: BTreeMap<(LaneNumber, u8), Vec<Vec<u8>>>,
    written: BTreeMap<u64, Written>,
    read: BTreeMap<u64, Read>,
    held: Vec<usize>,
    releases: bool,
    said: u64,
    /// Whether it was told to close, or closed at once.
    closes: bool,
    resets: bool,
    over: Option<Closed>,
    most_window: u64,
}

#[derive(Default)]
struct Written {
    id: Option<StreamId>,
    bytes: u64,
    finished: bool,
    dropped: bool,
}

#[derive(Default)]
struct Read {
    bytes: u64,
    ended: bool,
    dropped: bool,
}

impl Stage {
    fn new(input: &mut Bytes<'_>) -> Self {
        let how = input.byte();
        let queue_bytes = if how & 1 == 1 { 60_000 } else { 1 << 20 };
        let window_bytes = if how & 2 == 2 { 16 * 1024 } else { 1 << 20 };
        let ends = Ends::new(2, |config| {
            (config.queue_bytes, config.window_bytes) = (queue_bytes, window_bytes);
            config.max_datagram = if how & 4 == 4 { LEAST_DATAGRAM } else { LARGEST_DATAGRAM };
        });
        let mut stage = Self {
            ends,
            apps: Default::default(),
            queue_bytes,
            largest: usize::MAX,
            moves: 0,
            chaos: Duration::ZERO,
        };
        for app in &mut stage.apps {
            app.releases = how & 8 == 8;
        }
        let id = stage.ends.dial(0, 1, true);
        stage.apps[0].connection = Some(id);
        stage.ends.calm(Duration::from_millis(20), |_| true);
        for n in 0..2 {
            for event in stage.ends.events(n) {
                if let EndpointEvent::Accepted { connection, .. } = event {
                    stage.apps[n].connection = Some(connection);
                }
            }
        }
        stage
    }

    fn step(&mut self, what: u8, input: &mut Bytes<'_>) {
        let n = usize::from(what >> 7);
        match what & 0x7F {
            0..=15 => self.deliver(1 + usize::from(what & 7)),
            16..=31 => self.send(n, input),
            32..=35 => self.open(n, input.byte()),
            36..=43 => self.write(n, input.byte(), size(input.byte())),
            44..=46 => self.finish_stream(n, input.byte()),
            47..=52 => self.read(n, input.byte(), size(input.byte())),
            53 => self.drop_stream(n, input.byte()),
            54..=57 => self.release(n, input.byte()),
            58 => self.apps[n].releases = input.bit(),
            59..=70 => {
                let by = Duration::from_micros(200 << (input.byte() % 14));
                self.chaos += by;
                self.ends.advance(by);
            }
            71..=76 => drop(self.ends.wire.pop_front()),
            77..=80 => {
                if let Some(packet) = self.ends.wire.front().cloned() {
                    self.arrive(&packet);
                }
            }
            81..=86 => {
                if let Some(packet) = self.ends.wire.pop_front() {
                    self.ends.wire.push_back(packet);
                }
            }
            87..=90 => {
                let (at, change, honest) = (input.word(), input.byte(), input.bit());
                if let Some(packet) = self.ends.wire.front().cloned() {
                    self.arrive(&changed(packet, at, change, honest));
                }
            }
            91..=94 => {
                if let Some(packet) = self.ends.sent.get(input.word()).cloned() {
                    self.arrive(&packet);
                }
            }
            95 => {
                // A copy from elsewhere.
                let from = SocketAddr::from(([203, 0, 113, 7], 6000));
                if let Some(packet) = self.ends.wire.front().cloned() {
                    self.arrive(&Packet { from, ..packet });
                }
            }
            96 => self.largest = [LEAST_DATAGRAM, 1472, usize::MAX][input.byte() % 3],
            97 => {
                self.moves = self.moves.wrapping_add(1);
                self.ends.all[0].addr = SocketAddr::from(([10, 1, 0, self.moves], 7000));
            }
            98..=100 => self.deliver(usize::MAX),
            101 => drop(core::mem::take(&mut self.ends.wire)),
            102 if input.byte().is_multiple_of(4) => self.close(n),
            103 if input.byte().is_multiple_of(16) => self.reset(n),
            _ => {}
        }
        self.ends.collect();
        // Packets for which nobody was at their address when they were sent are lost.
        let all = &self.ends.all;
        let largest = self.largest;
        self.ends.wire.retain(|packet| {
            packet.datagram.len() <= largest && all.iter().any(|end| end.addr == packet.to)
        });
    }

    fn deliver(&mut self, count: usize) {
        // What is sent in answer waits for its turn.
        let count = count.min(self.ends.wire.len());
        for packet in self.ends.wire.drain(..count).collect::<Vec<_>>() {
            self.arrive(&packet);
        }
    }

    fn arrive(&mut self, packet: &Packet) {
        self.ends.deliver(packet);
    }

    fn connection(&self, n: usize) -> ConnectionId {
        self.apps[n].connection.expect("the handshake was not disturbed")
    }

    fn send(&mut self, n: usize, input: &mut Bytes<'_>) {
        let (how, len) = (input.byte(), size(input.byte()));
        let lane = u8::try_from(how & 3).unwrap_or(0);
        let (kind, delivery) = match how >> 2 & 3 {
            0 | 1 => (0, Delivery::Ordered),
            2 => (1, Delivery::Unordered),
            _ => (2, Delivery::Unreliable),
        };
        let (now, id) = (self.ends.now, self.connection(n));
        for _ in 0..1 + (how >> 6) {
            let app = &mut self.apps[n];
            app.said += 1;
            let body = body(app.said, len);
            if self.ends.all[n].end.send(now, id, lane, delivery, body.clone()).is_ok() {
                app.owed.entry((lane, kind)).or_default().push(body);
            }
        }
    }

    fn open(&mut self, n: usize, lane: usize) {
        let (now, id) = (self.ends.now, self.connection(n));
        let lane = u8::try_from(lane % 4).unwrap_or(0);
        if let Ok(stream) = self.ends.all[n].end.open_stream(now, id, lane) {
            let written = Written { id: Some(stream), ..Written::default() };
            assert!(self.apps[n].written.insert(stream.number, written).is_none());
        }
    }

    /// One of the streams that it opened.
    fn ours(&mut self, n: usize, which: usize) -> Option<(StreamId, &mut Written)> {
        let count = self.apps[n].written.len();
        let written = self.apps[n].written.values_mut().nth(which % count.max(1))?;
        Some((written.id?, written))
    }

    fn write(&mut self, n: usize, which: usize, len: usize) {
        let (now, id) = (self.ends.now, self.connection(n));
        let Some((stream, written)) = self.ours(n, which) else { return };
        let len = u64::try_from(len).expect("sizes are small");
        let piece: Vec<u8> =
            (written.bytes..written.bytes + len).map(|at| letter(stream.number, at)).collect();
        if let Ok(taken) = self.ends.all[n].end.write_stream(now, id, stream, &piece) {
            let Some((_, written)) = self.ours(n, which) else { return };
            assert!(taken <= piece.len() && !written.finished && !written.dropped);
            written.bytes += u64::try_from(taken).expect("sizes are small");
        }
    }

    fn finish_stream(&mut self, n: usize, which: usize) {
        let (now, id) = (self.ends.now, self.connection(n));
        let Some((stream, _)) = self.ours(n, which) else { return };
        let done = self.ends.all[n].end.finish_stream(now, id, stream).is_ok();
        if let Some((_, written)) = self.ours(n, which) {
            written.finished |= done;
        }
    }

    fn drop_stream(&mut self, n: usize, which: usize) {
        let (now, id) = (self.ends.now, self.connection(n));
        if which & 1 == 0 {
            let Some((stream, written)) = self.ours(n, which / 2) else { return };
            written.dropped = true;
            self.ends.all[n].end.drop_stream(now, id, stream, 7);
        } else {
            let count = self.apps[n].read.len();
            let theirs = self.apps[n].read.iter_mut().nth(which / 2 % count.max(1));
            let Some((&number, read)) = theirs else { return };
            read.dropped = true;
            self.ends.all[n].end.drop_stream(now, id, theirs_of(number), 7);
        }
    }

    fn read(&mut self, n: usize, which: usize, limit: usize) {
        let count = self.apps[n].read.len();
        let number = self.apps[n].read.keys().nth(which % count.max(1)).copied();
        if let Some(number) = number {
            self.read_one(n, number, limit);
        }
    }

    /// Whether something was read.
    fn read_one(&mut self, n: usize, number: u64, limit: usize) -> bool {
        let (now, id) = (self.ends.now, self.connection(n));
        let outcome = self.ends.all[n].end.read_stream(now, id, theirs_of(number), limit);
        let written = self.apps[1 - n].written.get(&number);
        let written = written.expect("whoever is read was opened");
        let read = self.apps[n].read.entry(number).or_default();
        match outcome {
            Ok(Some(bytes)) => {
                assert!(!read.ended && bytes.len() <= limit);
                for (at, byte) in (read.bytes..).zip(&bytes) {
                    assert_eq!(*byte, letter(number, at), "stream {number} at {at}");
                }
                read.bytes += u64::try_from(bytes.len()).expect("sizes are small");
                assert!(read.bytes <= written.bytes, "more than was written");
                !bytes.is_empty()
            }
            Ok(None) => {
                assert!(!read.ended && written.finished && read.bytes == written.bytes);
                read.ended = true;
                false
            }
            Err(_) => {
                // Reset, or it is over.
                read.ended = true;
                false
            }
        }
    }

    fn release(&mut self, n: usize, count: usize) {
        let (now, id) = (self.ends.now, self.connection(n));
        let app = &mut self.apps[n];
        for len in app.held.drain(..count.min(app.held.len())) {
            self.ends.all[n].end.release(now, id, len);
        }
    }

    fn close(&mut self, n: usize) {
        let (now, id) = (self.ends.now, self.connection(n));
        self.apps[n].closes = true;
        self.ends.all[n].end.close(now, id, CloseReason::ShuttingDown);
    }

    fn reset(&mut self, n: usize) {
        let (now, id) = (self.ends.now, self.connection(n));
        self.apps[n].resets = true;
        self.ends.all[n].end.reset(now, id, CloseReason::Pruned);
    }

    fn listen(&mut self) {
        for n in 0..2 {
            for event in self.ends.events(n) {
                self.hear(n, event);
            }
            if self.apps[n].releases {
                self.release(n, usize::MAX);
            }
        }
    }

    fn hear(&mut self, n: usize, event: EndpointEvent) {
        let id = self.connection(n);
        assert!(self.apps[n].over.is_none(), "something happens after the end: {event:?}");
        match event {
            EndpointEvent::Message { connection, lane, delivery, body } => {
                assert_eq!(connection, id);
                let kind = match delivery {
                    Delivery::Ordered => 0,
                    Delivery::Unordered => 1,
                    Delivery::Unreliable => 2,
                };
                let owed = self.apps[1 - n].owed.entry((lane, kind)).or_default();
                let at = owed.iter().position(|said| *said == body);
                let at = at.expect("a message comes twice, or nobody said it");
                assert!(kind != 0 || at == 0, "a message overtook another of its lane");
                owed.remove(at);
                self.apps[n].held.push(body.len());
            }
            EndpointEvent::StreamReadable { stream, .. } => {
                assert!(self.apps[1 - n].written.contains_key(&stream.number));
                self.apps[n].read.entry(stream.number).or_default();
            }
            EndpointEvent::Closed { connection, why } => {
                assert_eq!(connection, id);
                match &why {
                    Closed::Silent => assert!(self.may_be_silent(n), "silence among the living"),
                    Closed::ByUs(_) | Closed::ByPeer(_) => assert!(self.is_ended_by_somebody()),
                    other => panic!("two honest ends come to {other:?}"),
                }
                self.apps[n].over = Some(why);
            }
            EndpointEvent::Connected { .. } | EndpointEvent::Accepted { .. } => {
                panic!("it was connected before")
            }
            EndpointEvent::Drained { .. }
            | EndpointEvent::Writable { .. }
            | EndpointEvent::StreamWritable { .. }
            | EndpointEvent::StreamStopped { .. }
            | EndpointEvent::StreamsAvailable { .. }
            | EndpointEvent::Moved { .. }
            | EndpointEvent::Finished { .. } => {}
        }
    }

    fn is_ended_by_somebody(&self) -> bool {
        self.apps.iter().any(|app| app.closes || app.resets)
    }

    /// Whether somebody has a reason to think that the other end is silent.
    fn may_be_silent(&self, n: usize) -> bool {
        // Who closes waits for less, which is no more than it may take until a move is believed.
        let flushes = self.apps[n].closes && (self.chaos >= OUTLASTED || self.moves > 0);
        // The last word of an end that is over may be lost.
        flushes || self.chaos >= Duration::from_secs(25) || self.apps[1 - n].over.is_some()
    }

    fn view(&self, n: usize) -> Option<ConnectionView> {
        self.ends.all[n].end.view(self.connection(n))
    }

    fn check_bounds(&mut self) {
        for n in 0..2 {
            let Some(view) = self.view(n) else { continue };
            let app = &mut self.apps[n];
            app.most_window = app.most_window.max(view.congestion_window);
            assert!((LEAST_DATAGRAM..=LARGEST_DATAGRAM).contains(&view.datagram_size));
            assert!(view.queued_bytes <= self.queue_bytes.max(MAX_MESSAGE));
            let windows = 2 * CONNECTION_WINDOW_FIRST.max(1 << 20) + MAX_FRAGMENTS_PER_PEER;
            assert!(view.unreleased_bytes <= windows);
            // What asks for an acknowledgment and is not data goes beyond the window.
            assert!(view.in_flight <= app.most_window + BEYOND_THE_WINDOW, "{view:?}");
        }
    }

    fn finish(mut self) {
        self.largest = usize::MAX;
        self.be_calm(Duration::from_secs(100));
        if !self.is_ended_by_somebody() && self.apps.iter().all(|app| app.over.is_none()) {
            for n in 0..2 {
                self.check_all_arrived(n, true);
            }
        }
        let closed_before = self.apps.each_ref().map(|app| app.closes);
        self.close(0);
        self.be_calm(Duration::from_secs(60));
        for n in 0..2 {
            assert!(self.apps[n].over.is_some(), "the connection never ends: {:?}", self.view(n));
            assert!(self.view(n).is_none(), "what is over is not forgotten: {:?}", self.view(n));
            let silent = self.apps.iter().any(|app| app.over == Some(Closed::Silent));
            // Who has closed may not listen any more.
            let patient = self.chaos < FLUSH_TIMEOUT && !silent;
            if !closed_before[1 - n] && !self.apps.iter().any(|app| app.resets) && patient {
                self.check_all_arrived(n, false);
            }
        }
    }

    /// What `n` said in a reliable way, its other end has heard.
    fn check_all_arrived(&self, n: usize, streams: bool) {
        for ((lane, kind), owed) in &self.apps[n].owed {
            let ends = self.apps.each_ref().map(|app| (app.closes, app.resets, app.over.clone()));
            assert!(*kind == 2 || owed.is_empty(), "{n}: {lane}, {kind}: {} {ends:?}", owed.len());
        }
        if !streams {
            return;
        }
        assert_eq!(self.view(n).map(|view| view.queued_bytes), Some(0), "something waits");
        for (number, written) in &self.apps[n].written {
            let read = self.apps[1 - n].read.get(number);
            let dropped = written.dropped || read.is_some_and(|read| read.dropped);
            let bytes = read.map_or(0, |read| read.bytes);
            assert!(dropped || bytes == written.bytes, "stream {number}: {bytes}");
            let ended = read.is_some_and(|read| read.ended);
            assert!(dropped || !written.finished || ended, "stream {number} has no end");
        }
    }

    /// The network does its duty, and both take what there is.
    fn be_calm(&mut self, by: Duration) {
        for app in &mut self.apps {
            app.releases = true;
        }
        let until = self.ends.now.mono + by;
        for _ in 0..100_000 {
            self.ends.calm(Duration::from_millis(1), |_| true);
            self.listen();
            for n in 0..2 {
                let open = |read: &(&u64, &Read)| !read.1.ended && !read.1.dropped;
                let open = self.apps[n].read.iter().filter(open);
                for number in open.map(|(number, _)| *number).collect::<Vec<_>>() {
                    while self.read_one(n, number, usize::MAX) {}
                }
            }
            if self.ends.wire.is_empty() {
                self.ends.collect();
            }
            if self.ends.wire.is_empty() {
                let next = self.ends.all.iter().filter_map(|end| end.end.poll_timeout()).min();
                let Some(next) = next.filter(|at| *at < until) else { return };
                self.ends.now.mono = self.ends.now.mono.max(next);
            }
            if self.ends.now.mono >= until {
                return;
            }
        }
        panic!("the two keep each other busy for ever");
    }
}

fn theirs_of(number: u64) -> StreamId {
    StreamId { opened_by: positron_proto::handshake::Direction::Inbound, number }
}

/// A message that tells which one it is, as far as it has room.
fn body(said: u64, len: usize) -> Vec<u8> {
    let mut body: Vec<u8> = said.to_le_bytes().into_iter().cycle().take(len).collect();
    for (at, byte) in body.iter_mut().enumerate().skip(8) {
        *byte = byte.wrapping_add(u8::try_from(at % 251).unwrap_or(0));
    }
    body
}

fn letter(stream: u64, at: u64) -> u8 {
    u8::try_from((stream * 31 + at * 7 + at / 256) % 256).unwrap_or(0)
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

fn size(byte: usize) -> usize {
    const SIZES: [usize; 16] = [
        0, 1, 8, 64, 500, 1_100, 1_140, 1_150, 1_200, 1_500, 3_000, 10_000, 17_000, 40_000, 70_000,
        200_000,
    ];
    SIZES[byte % 16] + byte / 16
}

const MOST_STEPS: usize = 1_000;
/// How bad a time whoever closes outlasts. It waits [`FLUSH_TIMEOUT`] for an acknowledgment, but
/// each retransmission waits twice as long as the one before: when the path comes back after some
/// time, the next one may be as far away again, and further if a round trip that was measured
/// meanwhile took as long.
const OUTLASTED: Duration = Duration::from_millis(1_250);
const BEYOND_THE_WINDOW: u64 = 256 * 1024;

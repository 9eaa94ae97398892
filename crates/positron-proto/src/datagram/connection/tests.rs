//! Two connections that hold keys, and a path between them.

mod endings;
mod streams;
mod trouble;

use std::{collections::BTreeMap, net::SocketAddr};

use positron_internet::{DEFAULT_TTL, Event, Internet, PathLaws, StreamLaws, Time};
use zeroize::Zeroizing;

use self::streams::{Reader, Writer};
use super::*;
use crate::{
    datagram::{
        contract::{EndpointCounters, Transmit},
        protection::Tuning,
    },
    handshake::{
        aead::{Role, Suite},
        link_public_key,
        noise::Split,
    },
    id::NetworkId,
    identity::Identity,
    limits::{ACK_DELAY, CONNECTION_WINDOW_FIRST, LARGEST_DATAGRAM},
    rng::Seed,
    wire::packet::{Header, PacketType},
};

const CALM: PathLaws = PathLaws::calm(Duration::from_millis(10));

/// Each datagram takes up to so much longer, and overtakes others.
fn jittery(jitter: Duration) -> PathLaws {
    PathLaws { detours: 1.0, detour: (Duration::ZERO, jitter), ..CALM }
}

/// Two ends; index 0 dialled.
struct Pair {
    now: Instant,
    ends: [Connection; 2],
    addrs: [SocketAddr; 2],
    budgets: [WindowBudget; 2],
    counters: [EndpointCounters; 2],
    internet: Internet<Vec<u8>>,
    /// Packets of this type vanish.
    eats: Option<PacketType>,
    /// Batches of more than one datagram vanish.
    eats_batches: bool,
    heard: [Vec<ConnectionEvent>; 2],
    /// Whether the application releases what it hears at once.
    releases: bool,
    /// What each end still writes to its streams, and what it read of those of the other one.
    writers: [BTreeMap<StreamId, Writer>; 2],
    readers: [BTreeMap<StreamId, Reader>; 2],
    /// Whether it reads what can be read at once.
    reads: bool,
}

impl Pair {
    fn new(seed: u64, weather: PathLaws) -> Self {
        Self::tuned(seed, weather, Tuning::default())
    }

    fn tuned(seed: u64, weather: PathLaws, tuning: Tuning) -> Self {
        Self::configured(seed, weather, tuning, |_| {})
    }

    fn configured(
        seed: u64,
        weather: PathLaws,
        tuning: Tuning,
        configure: impl Fn(&mut EndpointConfig),
    ) -> Self {
        let now = Instant::from_micros(1_000_000);
        let addrs = ["10.0.0.1:1000".parse().unwrap(), "10.0.0.2:2000".parse().unwrap()];
        let mut internet = Internet::new(seed, weather, StreamLaws::CALM);
        for addr in addrs {
            internet.add_host(addr);
        }
        let seeds = Seed::from_number(seed);
        let mut config = EndpointConfig::new(NetworkId::from_name("pair"));
        configure(&mut config);
        let config = Arc::new(config);
        let split = || Split {
            hash: [1; 32],
            from_initiator: Zeroizing::new([2; 32]),
            from_responder: Zeroizing::new([3; 32]),
        };
        let mut budgets = [WindowBudget::default(), WindowBudget::default()];
        let mut end = |n: usize, role, direction| {
            let other = 1 - n;
            let me = Identity::from_seed([u8::try_from(other).unwrap() + 1; 32]);
            let remote = RemoteNode {
                id: me.node_id(),
                key: *me.public_key(),
                noise_static: link_public_key(&me),
                boot: 1,
                addr: addrs[other],
                direction,
            };
            let rng = seeds.stream(if n == 0 { "a" } else { "b" });
            let mut end = Connection::new(now, &config, direction, rng, &mut budgets[n]);
            let keys = Protection::tuned(&split(), Suite::Aes256Gcm, role, tuning);
            end.secure(now, keys, remote, 7);
            end
        };
        let ends = [
            end(0, Role::Initiator, Direction::Outbound),
            end(1, Role::Responder, Direction::Inbound),
        ];
        Self {
            now,
            ends,
            addrs,
            budgets,
            counters: [EndpointCounters::default(); 2],
            internet,
            eats: None,
            eats_batches: false,
            heard: [Vec::new(), Vec::new()],
            releases: true,
            writers: Default::default(),
            readers: Default::default(),
            reads: true,
        }
    }

    /// Lets everything happen until `until`, or until nothing is left to happen.
    fn run(&mut self, until: Duration) {
        let end = self.now + until;
        for _ in 0..20_000_000 {
            self.settle();
            let arrival = self.internet.next_event_time().map(instant);
            let timeouts = self.ends.iter().filter_map(Connection::poll_timeout);
            let Some(next) = timeouts.chain(arrival).min().filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            while let Some(delivery) = self.internet.poll(time(self.now)) {
                if let Event::Datagram { from, payload, .. } = delivery.event {
                    self.deliver(delivery.host.index(), from, &payload);
                }
            }
            for n in 0..2 {
                if self.ends[n].poll_timeout().is_some_and(|at| at <= self.now) {
                    self.ends[n].handle_timeout(self.now, &mut self.counters[n]);
                }
            }
        }
        panic!("the connections keep each other busy for ever");
    }

    fn deliver(&mut self, to: usize, from: SocketAddr, datagram: &[u8]) {
        let (header, _) = Header::decode(datagram).expect("what an end sends is well-formed");
        let packet = SealedPacket { from, header: &header, datagram };
        let (mut out, counters) = (Vec::new(), &mut self.counters[to]);
        self.ends[to].handle_packet(self.now, packet, &mut out, counters);
    }

    fn settle(&mut self) {
        for n in 0..2 {
            let mut buf = Vec::new();
            while let Some(Transmit { to, segment_size, len, .. }) =
                self.ends[n].poll_transmit(self.now, 64, &mut buf, &mut self.counters[n])
            {
                assert_eq!(len, buf.len());
                if self.eats_batches && len > segment_size {
                    continue;
                }
                for datagram in buf.chunks(segment_size) {
                    self.send(n, to, datagram);
                }
            }
            self.hear(n);
        }
    }

    fn hear(&mut self, n: usize) {
        while let Some(event) = self.ends[n].poll_event() {
            if let ConnectionEvent::Message { body, .. } = &event
                && self.releases
            {
                self.ends[n].release(self.now, body.len(), &mut self.budgets[n]);
            }
            match event {
                ConnectionEvent::StreamReadable(stream) => {
                    self.readers[n].entry(stream).or_default();
                    if self.reads {
                        self.read(n, stream);
                    }
                }
                ConnectionEvent::StreamWritable(stream) => self.write(n, stream),
                _ => {}
            }
            self.heard[n].push(event);
        }
    }

    fn send(&mut self, from: usize, to: SocketAddr, datagram: &[u8]) {
        let (header, _) = Header::decode(datagram).expect("what an end sends is well-formed");
        if self.eats == Some(header.kind) {
            return;
        }
        let (now, from) = (time(self.now), self.addrs[from]);
        // Whoever sends is not told what becomes of it.
        _ = self.internet.send(now, from, to, datagram.to_vec(), DEFAULT_TTL);
    }

    /// What happens to datagrams on their way.
    fn weather(&mut self) -> &mut PathLaws {
        &mut self.internet.topology_mut().paths
    }

    fn messages(&self, at: usize) -> Vec<Bytes> {
        let body = |event: &ConnectionEvent| match event {
            ConnectionEvent::Message { body, .. } => Some(body.clone()),
            _ => None,
        };
        self.heard[at].iter().filter_map(body).collect()
    }

    fn closed(&self, at: usize) -> Vec<Closed> {
        let why = |event: &ConnectionEvent| match event {
            ConnectionEvent::Closed(why) => Some(why.clone()),
            _ => None,
        };
        self.heard[at].iter().filter_map(why).collect()
    }
}

impl Pair {
    /// What does not fit, said in a line.
    #[track_caller]
    fn expect(&self, at: usize, bodies: &[Bytes]) {
        let heard = self.messages(at);
        let wrong = heard.iter().zip(bodies).position(|(heard, said)| heard != said);
        let views = [0, 1].map(|n| self.ends[n].view(ConnectionId(0)));
        assert!(
            heard == bodies,
            "{} of {} messages, the first wrong one is {wrong:?}\n{views:#?}\n{:#?}\n{:?}",
            heard.len(),
            bodies.len(),
            self.counters,
            [0, 1].map(|n| self.ends[n].poll_timeout()),
        );
    }
}

fn time(at: Instant) -> Time {
    Time::from_micros(at.as_micros())
}

fn instant(at: Time) -> Instant {
    Instant::ORIGIN + at
}

fn numbered(count: u32, len: usize) -> Vec<Bytes> {
    let body = |n: u32| {
        let mut body = vec![u8::try_from(n % 251).unwrap(); len.max(4)];
        body[..4].copy_from_slice(&n.to_be_bytes());
        Bytes::from(body)
    };
    (0..count).map(body).collect()
}

#[test]
fn a_message_arrives_and_is_acknowledged() {
    let mut pair = Pair::new(1, CALM);
    pair.ends[0].send(0, Delivery::Ordered, Bytes::from_static(b"hello")).unwrap();
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.messages(1), [Bytes::from_static(b"hello")]);
    assert!(pair.heard[0].contains(&ConnectionEvent::Drained));
    assert_eq!(pair.counters[0].packets_lost, 0);
}

#[test]
fn messages_of_every_size_arrive_in_order_whatever_the_weather() {
    for (seed, loss) in [(1, 0.0), (2, 0.01), (3, 0.05), (4, 0.2)] {
        let jitter = Duration::from_millis(5);
        let mut pair = Pair::new(seed, PathLaws { loss, duplicates: 0.05, ..jittery(jitter) });
        let mut sent = Vec::new();
        for (n, len) in [4, 100, 1_100, 1_200, 5_000, 60_000, 300_000].into_iter().enumerate() {
            for body in numbered(10, len + n) {
                pair.ends[0].send(3, Delivery::Ordered, body.clone()).unwrap();
                sent.push(body);
            }
        }
        pair.run(Duration::from_secs(60));
        let view = pair.ends[0].view(ConnectionId(0));
        assert_eq!(pair.messages(1).len(), sent.len(), "loss {loss}: {view:?}");
        assert_eq!(pair.messages(1), sent, "loss {loss}");
        assert!(pair.ends[0].view(ConnectionId(0)).queued_bytes == 0);
    }
}

#[test]
fn both_directions_at_once() {
    let jitter = Duration::from_millis(3);
    let mut pair = Pair::new(9, PathLaws { loss: 0.05, ..jittery(jitter) });
    let bodies = numbered(2_000, 200);
    for body in &bodies {
        pair.ends[0].send(1, Delivery::Ordered, body.clone()).unwrap();
        pair.ends[1].send(2, Delivery::Unordered, body.clone()).unwrap();
    }
    pair.run(Duration::from_secs(30));
    pair.expect(1, &bodies);
    let mut unordered = pair.messages(0);
    unordered.sort();
    let mut expected = bodies;
    expected.sort();
    assert_eq!(unordered, expected);
}

#[test]
fn a_receiver_that_does_not_read_is_not_flooded_and_goes_on_later() {
    let mut pair = Pair::new(5, CALM);
    pair.releases = false;
    let bodies = numbered(4_000, 1_000);
    for body in &bodies {
        pair.ends[0].send(0, Delivery::Ordered, body.clone()).unwrap();
    }
    pair.run(Duration::from_secs(20));
    let some = pair.messages(1).len();
    assert!((10..1_000).contains(&some), "{some} messages of a thousand bytes");
    pair.releases = true;
    for body in pair.messages(1) {
        pair.ends[1].release(pair.now, body.len(), &mut pair.budgets[1]);
    }
    pair.run(Duration::from_secs(20));
    pair.expect(1, &bodies);
}

#[test]
fn closing_says_everything_first_and_both_ends_hear_of_it_once() {
    for (seed, loss) in [(1, 0.0), (2, 0.2), (3, 0.3)] {
        let mut pair = Pair::new(seed, PathLaws { loss, ..CALM });
        let bodies = numbered(200, 700);
        for body in &bodies {
            pair.ends[0].send(0, Delivery::Ordered, body.clone()).unwrap();
        }
        pair.ends[0].close(pair.now, CloseReason::Pruned);
        assert_eq!(pair.ends[0].send(0, Delivery::Ordered, Bytes::new()), Err(NotQueued::Closed));
        pair.run(Duration::from_secs(60));
        pair.expect(1, &bodies);
        assert_eq!(pair.closed(0), [Closed::ByUs(CloseReason::Pruned)], "loss {loss}");
        assert_eq!(pair.closed(1), [Closed::ByPeer(CloseReason::Pruned)], "loss {loss}");
        let finished = ConnectionEvent::Finished(CloseReason::Pruned);
        assert_eq!(pair.heard[1].iter().filter(|event| **event == finished).count(), 1);
        assert!(pair.ends[0].is_over(pair.now) && pair.ends[1].is_over(pair.now));
    }
}

#[test]
fn a_reset_is_heard_at_once() {
    let mut pair = Pair::new(1, CALM);
    pair.run(Duration::from_secs(1));
    pair.ends[1].reset(pair.now, CloseReason::Banned);
    pair.run(Duration::from_millis(11));
    assert_eq!(pair.closed(0), [Closed::ByPeer(CloseReason::Banned)]);
    assert_eq!(pair.closed(1), [Closed::ByUs(CloseReason::Banned)]);
}

#[test]
fn silence_ends_a_connection_that_has_something_to_say() {
    let mut pair = Pair::new(1, CALM);
    pair.run(Duration::from_secs(1));
    pair.weather().loss = 1.0;
    pair.ends[0].send(0, Delivery::Ordered, Bytes::from_static(b"anybody?")).unwrap();
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.closed(0), [Closed::Silent]);
}

#[test]
fn datagrams_grow_to_what_the_path_carries_and_shrink_when_it_carries_less() {
    let mut pair = Pair::new(1, PathLaws { mtu: 1_472, ..CALM });
    for round in 0..40 {
        for body in numbered(20, 10_000) {
            pair.ends[0].send(0, Delivery::Ordered, body).unwrap();
        }
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.messages(1).len(), 20 * (round + 1));
    }
    assert_eq!(pair.ends[0].view(ConnectionId(0)).datagram_size, 1_472);
    pair.weather().mtu = 1_300;
    for body in numbered(50, 10_000) {
        pair.ends[0].send(0, Delivery::Ordered, body).unwrap();
    }
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.messages(1).len(), 850);
    assert!(pair.ends[0].view(ConnectionId(0)).datagram_size <= 1_300);
}

#[test]
fn under_a_flood_that_never_ends_datagrams_grow_all_the_same() {
    let mut pair = Pair::new(1, CALM);
    pair.run(Duration::from_secs(1));
    let mut buf = Vec::new();
    for _ in 0..300 {
        while pair.ends[0].send(0, Delivery::Ordered, Bytes::from(vec![7; 10_000])).is_ok() {}
        // A batch, and an answer to it: there is always more to send, and the window is open.
        for (at, most) in [(0, 4), (1, 1)] {
            let counters = &mut pair.counters[at];
            let sent = pair.ends[at].poll_transmit(pair.now, most, &mut buf, counters);
            pair.now = pair.now + ACK_DELAY;
            // The pacer may hold it back.
            let Some(sent) = sent else { continue };
            let (from, batch) = (pair.addrs[at], buf[..sent.len].to_vec());
            for datagram in batch.chunks(sent.segment_size) {
                pair.deliver(1 - at, from, datagram);
            }
            pair.hear(1 - at);
        }
    }
    assert_eq!(pair.ends[0].view(ConnectionId(0)).datagram_size, LARGEST_DATAGRAM);
}

#[test]
fn messages_in_fragments_fill_their_batches() {
    for len in [3_000, 16 << 10, 20_000] {
        let mut pair = Pair::new(1, PathLaws { mtu: 1_472, ..CALM });
        for body in numbered(400, len) {
            pair.ends[0].send(0, Delivery::Ordered, body).unwrap();
        }
        pair.run(Duration::from_secs(60));
        assert_eq!(pair.messages(1).len(), 400);
        // The path is known, and the window is open.
        let (bodies, mut buf, mut batches) = (numbered(40, len), Vec::new(), Vec::new());
        for body in &bodies {
            pair.ends[0].send(0, Delivery::Ordered, body.clone()).unwrap();
        }
        let (end, counters) = (&mut pair.ends[0], &mut pair.counters[0]);
        for _ in 0..20 {
            while let Some(sent) = end.poll_transmit(pair.now, 64, &mut buf, counters) {
                batches.push(sent.len.div_ceil(sent.segment_size));
            }
            pair.now = pair.now + Duration::from_millis(1);
        }
        batches.pop();
        let datagrams: usize = batches.iter().sum();
        // A probe for a larger datagram may go alone; a pacer lets ten go at a time.
        assert!(datagrams >= 8 * batches.len(), "{len}: {batches:?}");
        assert!(datagrams * 1_472 < 40 * len * 11 / 10, "{len}: {batches:?}");
    }
}

#[test]
fn where_batches_vanish_and_single_datagrams_arrive_they_go_one_by_one() {
    let mut pair = Pair::new(1, CALM);
    pair.eats_batches = true;
    let bodies = numbered(220, 200_000);
    for body in &bodies {
        while pair.ends[0].send(0, Delivery::Ordered, body.clone()).is_err() {
            pair.run(Duration::from_millis(10));
        }
    }
    pair.run(Duration::from_secs(20));
    pair.expect(1, &bodies);
    assert_eq!(pair.counters[0].batches_given_up, 1);
    assert_eq!(pair.counters[1].batches_given_up, 0);
}

#[test]
fn numbers_wrap_and_keys_change_under_way() {
    let first_number = (1 << 32) - 500;
    let tuning = Tuning { packets_per_key: 300, first_number };
    let jitter = Duration::from_millis(5);
    let weather = PathLaws { loss: 0.05, mtu: 1_200, ..jittery(jitter) };
    // No more is in flight than a key may seal.
    let mut pair = Pair::configured(3, weather, tuning, |config| {
        config.window_bytes = CONNECTION_WINDOW_FIRST;
    });
    let bodies = numbered(3_000, 1_000);
    for body in &bodies {
        pair.ends[0].send(0, Delivery::Ordered, body.clone()).unwrap();
    }
    pair.run(Duration::from_secs(60));
    pair.expect(1, &bodies);
    assert!(pair.ends[0].space.as_ref().unwrap().key_updates() > 3);
}

#[test]
fn an_idle_connection_is_quiet_and_lives() {
    let mut pair = Pair::new(1, CALM);
    pair.run(Duration::from_secs(1));
    let before = pair.counters[0].datagrams_sent;
    pair.run(Duration::from_secs(100));
    let datagrams = pair.counters[0].datagrams_sent - before;
    assert!((5..=60).contains(&datagrams), "{datagrams} datagrams in 100 s");
    assert!(pair.closed(0).is_empty() && pair.closed(1).is_empty());
}

#[test]
fn nothing_is_told_after_the_end() {
    let mut pair = Pair::new(3, CALM);
    let said = numbered(50, 3_000);
    for body in &said {
        pair.ends[0].send(0, Delivery::Ordered, body.clone()).unwrap();
    }
    pair.run(Duration::from_millis(25));
    pair.ends[1].reset(pair.now, CloseReason::Pruned);
    pair.run(Duration::from_secs(1));
    for at in 0..2 {
        assert_eq!(pair.closed(at).len(), 1);
        assert!(matches!(pair.heard[at].last(), Some(ConnectionEvent::Closed(_))));
    }
}

#[test]
fn drained_is_taken_back_when_more_is_said() {
    let mut pair = Pair::new(4, CALM);
    pair.ends[0].send(0, Delivery::Ordered, "one").unwrap();
    assert!(!pair.ends[0].is_drained());
    pair.run(Duration::from_secs(1));
    assert!(pair.ends[0].is_drained());
    pair.ends[0].send(0, Delivery::Ordered, "two").unwrap();
    assert!(!pair.ends[0].is_drained(), "an event that waits is stale by now");
}

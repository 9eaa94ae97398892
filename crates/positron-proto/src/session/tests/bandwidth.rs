//! Stories of limits of bandwidth: several peers, every lane, both transports.

use super::{liveness::say, *};
use crate::{
    limits::{LEAST_BANDWIDTH, SLOW_READER_TIMEOUT},
    misbehavior::Misbehavior,
    session::sessions::{NotSent, RateLimit},
    wire::frame::Frame,
};

const NONE: RateLimit = RateLimit { node: None, peer: None };
const TCP: [LinkKinds; 2] = [LinkKinds::TCP; 2];
const UDP: [LinkKinds; 2] = [LinkKinds::UDP; 2];

const fn of_node(rate: u64) -> RateLimit {
    RateLimit { node: Some(rate), peer: None }
}

const fn of_peer(rate: u64) -> RateLimit {
    RateLimit { node: None, peer: Some(rate) }
}

/// What went over the wire: when, from whom, to whom, how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    pub(super) at: Instant,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) bytes: u64,
}

impl Carried {
    pub(super) fn new(now: Now, from: usize, to: usize, bytes: usize) -> Self {
        Self { at: now.mono, from, to, bytes: u64::try_from(bytes).unwrap() }
    }
}

/// A hub with a session to each other node, and what is said both ways.
struct Hub {
    world: World,
    /// Who says as much as is taken.
    speakers: Vec<(usize, usize)>,
    /// Control messages that were said and not heard: to whom, which, and since when.
    asked: Vec<(usize, Bytes, Instant)>,
    latest: Duration,
    heard: u64,
}

impl Hub {
    /// Of each of `kinds` that many peers.
    fn new(kinds: &[LinkKinds], mine: SessionConfig, theirs: SessionConfig) -> Self {
        let hub = SessionConfig { transports: LinkKinds::BOTH, ..mine };
        let mut configs = vec![hub];
        configs.extend(
            kinds
                .iter()
                .map(|transports| SessionConfig { transports: *transports, ..theirs.clone() }),
        );
        let mut world = World::with_configs(configs);
        for peer in 1..=kinds.len() {
            let to_hub = world.known(0);
            world.dial(peer, to_hub);
        }
        world.advance(millis(200));
        assert!((1..=kinds.len()).all(|peer| world.is_up(0, peer)));
        world.carried.clear();
        Self { world, speakers: vec![], asked: vec![], latest: Duration::ZERO, heard: 0 }
    }

    /// Says as much as the lanes take, of every kind and size.
    fn fill(&mut self) {
        for (from, to) in self.speakers.clone() {
            let peer = self.world.nodes[to].id;
            self.world.with(from, |s, now, out| {
                let backlog = |s: &Sessions| {
                    let view = s.views().find(|view| view.peer.id == peer);
                    view.map_or(usize::MAX, |view| view.queued_bytes)
                };
                while backlog(s) < 1 << 20 {
                    for (lane, len) in
                        [(Lane::GOSSIP, 300), (Lane::DIRECT, 20_000), (Lane::BULK, 65_536)]
                    {
                        let body = Bytes::from(vec![0; len]);
                        let said = s.send(now, peer, lane, body.into(), None, out);
                        assert!(matches!(said, Ok(()) | Err(NotSent::QueueFull)));
                    }
                }
            });
        }
    }

    /// Lets time pass while the speakers speak; each tenth of a second a word of control goes along
    /// every way.
    fn pass(&mut self, time: Duration) {
        let until = self.world.now.mono + time;
        let mut number = 0_u64;
        while self.world.now.mono < until {
            if number.is_multiple_of(20) {
                for (from, to) in self.speakers.clone() {
                    let body = Bytes::from(format!("{from} to {to}, {number}"));
                    self.asked.push((to, body.clone(), self.world.now.mono));
                    self.world.send(from, to, Lane::CONTROL, body);
                }
            }
            number += 1;
            self.fill();
            self.world.advance(millis(5));
            self.listen();
        }
    }

    fn listen(&mut self) {
        let now = self.world.now.mono;
        for (n, node) in self.world.nodes.iter_mut().enumerate() {
            for body in node.said.drain(..).filter_map(|said| body_of(&said)) {
                self.heard += u64::try_from(body.len()).unwrap();
                if let Some(at) = self.asked.iter().position(|(to, b, _)| *to == n && *b == body) {
                    let (_, _, since) = self.asked.swap_remove(at);
                    self.latest = self.latest.max(now.since(since));
                }
            }
        }
        let oldest = self.asked.iter().map(|(.., since)| now.since(*since)).max();
        self.latest = self.latest.max(oldest.unwrap_or_default());
    }

    /// The least and the most that any ten seconds carried, as parts of a limit.
    fn any_ten_seconds(&self, rate: u64, which: impl Fn(&Carried) -> bool) -> (f64, f64) {
        let log: Vec<&Carried> = self.world.carried.iter().filter(|it| which(it)).collect();
        let begun = log.first().expect("nothing was carried").at;
        let (mut first, mut sum) = (0, 0);
        let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
        for (last, carried) in log.iter().enumerate() {
            if carried.at.since(begun) >= secs(10) {
                // What came before this one, in the ten seconds that end with it.
                while log[first].at + secs(10) < carried.at {
                    sum -= log[first].bytes;
                    first += 1;
                }
                least = least.min(sum as f64 / (10 * rate) as f64);
            }
            sum += carried.bytes;
            while log[first].at + secs(10) <= carried.at {
                sum -= log[first].bytes;
                first += 1;
            }
            most = most.max(sum as f64 / (10 * rate) as f64);
            assert!(first <= last);
        }
        (least, most)
    }

    fn assert_holds(&self, what: &str, rate: u64, which: impl Fn(&Carried) -> bool) {
        let (least, most) = self.any_ten_seconds(rate, which);
        let late = self.latest;
        println!("{what}: {rate} bytes/s: {least:.4} to {most:.4}, control after {late:?}");
        assert!(most <= 1.05, "{what}: {most} of {rate} bytes/s");
        assert!(least >= 0.95, "{what}: {least} of {rate} bytes/s");
        assert!(late <= millis(100), "{what}: control came {late:?} late");
    }
}

impl Hub {
    /// Each of four peers has a quarter.
    fn assert_fair(&self, rate: u64, peer_of: impl Fn(&Carried) -> Option<usize>) {
        let shares =
            [1, 2, 3, 4].map(|peer| self.any_ten_seconds(rate / 4, |it| peer_of(it) == Some(peer)));
        println!("shares of {rate}: {shares:.3?}");
        assert!(shares.iter().all(|(least, most)| *least > 0.9 && *most < 1.1), "{shares:?}");
    }
}

fn down(limit: RateLimit) -> SessionConfig {
    SessionConfig { download: limit, ..config() }
}

fn up(limit: RateLimit) -> SessionConfig {
    SessionConfig { upload: limit, ..config() }
}

const MIXED: [LinkKinds; 4] = [LinkKinds::TCP, LinkKinds::UDP, LinkKinds::TCP, LinkKinds::UDP];

#[test]
fn what_a_node_sends_to_all_peers_holds_its_limit_and_is_shared_alike() {
    for rate in [LEAST_BANDWIDTH, 200_000, 2_000_000] {
        let mut hub = Hub::new(&MIXED, up(of_node(rate)), config());
        hub.speakers = (1..=4).map(|peer| (0, peer)).collect();
        hub.pass(secs(25));
        hub.assert_holds("to four peers", rate, |it| it.from == 0);
        if rate == LEAST_BANDWIDTH {
            // A third of it is what cannot wait, and that is not the same for both transports.
            continue;
        }
        hub.assert_fair(rate, |it| (it.from == 0).then_some(it.to));
    }
}

#[test]
fn what_a_node_sends_to_each_peer_holds_the_limit_of_each() {
    for (kinds, rate) in [(TCP, 50_000), (UDP, 50_000), (TCP, 1_000_000), (UDP, 1_000_000)] {
        let mut hub = Hub::new(&kinds, up(of_peer(rate)), config());
        hub.speakers = vec![(0, 1), (0, 2)];
        hub.pass(secs(22));
        for peer in [1, 2] {
            hub.assert_holds("to each", rate, |it| it.from == 0 && it.to == peer);
        }
    }
}

#[test]
fn what_a_node_receives_from_all_peers_holds_its_limit_and_is_shared_alike() {
    for rate in [LEAST_BANDWIDTH, 200_000, 2_000_000] {
        let mut hub = Hub::new(&MIXED, down(of_node(rate)), config());
        hub.speakers = (1..=4).map(|peer| (peer, 0)).collect();
        hub.pass(secs(25));
        hub.assert_holds("from four peers", rate, |it| it.to == 0);
        if rate == LEAST_BANDWIDTH {
            continue;
        }
        hub.assert_fair(rate, |it| (it.to == 0).then_some(it.from));
    }
}

#[test]
fn what_a_node_receives_from_each_peer_holds_the_limit_of_each() {
    for (kinds, rate) in [(TCP, 50_000), (UDP, 50_000), (TCP, 1_000_000), (UDP, 1_000_000)] {
        let mut hub = Hub::new(&kinds, down(of_peer(rate)), config());
        hub.speakers = vec![(1, 0), (2, 0)];
        hub.pass(secs(22));
        for peer in [1, 2] {
            hub.assert_holds("from each", rate, |it| it.to == 0 && it.from == peer);
        }
    }
}

#[test]
fn limits_of_both_ends_and_in_both_directions_hold_at_once() {
    let mine = SessionConfig { download: of_node(300_000), ..up(of_node(100_000)) };
    let mut hub = Hub::new(&MIXED, mine, up(of_peer(90_000)));
    hub.speakers = (1..=4).flat_map(|peer| [(0, peer), (peer, 0)]).collect();
    hub.pass(secs(25));
    hub.assert_holds("to four peers", 100_000, |it| it.from == 0);
    hub.assert_holds("from four peers", 300_000, |it| it.to == 0);
}

#[test]
fn both_limits_hold_together() {
    let limit = RateLimit { node: Some(100_000), peer: Some(60_000) };
    let mut hub = Hub::new(&MIXED[..2], up(limit), config());
    hub.speakers = vec![(0, 1)];
    hub.pass(secs(22));
    hub.assert_holds("to the only one", 60_000, |it| it.from == 0 && it.to == 1);
    hub.world.carried.clear();
    hub.speakers.push((0, 2));
    hub.pass(secs(22));
    hub.assert_holds("to both", 100_000, |it| it.from == 0);
}

#[test]
fn without_a_limit_nothing_waits() {
    let mut hub = Hub::new(&MIXED[..2], up(NONE), config());
    hub.speakers = vec![(0, 1), (0, 2)];
    hub.pass(millis(200));
    assert_eq!(hub.world.nodes[0].sessions.counters().upload_waits, 0);
    assert!(hub.heard > 1 << 20, "{}", hub.heard);
}

/// A path on which every hundredth datagram is lost: congestion control would still send more.
fn far_and_lossy() -> PathLaws {
    PathLaws { mtu: 1472, loss: 0.01, ..PathLaws::calm(millis(40)) }
}

#[test]
fn limits_hold_over_a_path_that_loses_packets() {
    for (mine, theirs, from) in
        [(up(of_node(40_000)), config(), 0), (down(of_node(40_000)), config(), 1)]
    {
        let mut hub = Hub::new(&UDP[..1], mine, theirs);
        for (a, b) in [(0, 1), (1, 0)] {
            let [a, b] = [a, b].map(HostId::new);
            hub.world.internet.topology_mut().set_path(a, b, far_and_lossy());
        }
        hub.speakers = vec![(from, 1 - from)];
        hub.pass(secs(3));
        hub.world.carried.clear();
        hub.pass(secs(25));
        let (least, most) = hub.any_ten_seconds(40_000, |it| it.from == from);
        println!("lossy, from {from}: {least:.4} to {most:.4}, control after {:?}", hub.latest);
        assert!(least >= 0.95 && most <= 1.05, "from {from}: {least} to {most}");
    }
}

#[test]
fn whoever_comes_back_after_a_silence_makes_up_for_nothing() {
    for (mine, theirs, outwards) in
        [(up(of_node(200_000)), config(), true), (down(of_node(200_000)), config(), false)]
    {
        let mut hub = Hub::new(&MIXED, mine, theirs);
        let way = |peer| if outwards { (0, peer) } else { (peer, 0) };
        hub.speakers = (1..=4).map(way).collect();
        for _ in 0..6 {
            hub.pass(secs(2));
            // One stream and one path stand still, for less than it takes to be given up.
            let side = usize::from(outwards);
            hub.world.wires[0].stalled[side] = true;
            hub.world.internet.topology_mut().black_hole(
                HostId::new(2),
                Traffic::DatagramsIn,
                true,
            );
            hub.pass(millis(900));
            hub.world.wires[0].stalled[side] = false;
            hub.world.internet.topology_mut().black_hole(
                HostId::new(2),
                Traffic::DatagramsIn,
                false,
            );
        }
        let ours = |it: &Carried| if outwards { it.from == 0 } else { it.to == 0 };
        let (least, most) = hub.any_ten_seconds(200_000, ours);
        println!("silences, outwards {outwards}: {least:.4} to {most:.4}");
        assert!(least >= 0.95 && most <= 1.05, "outwards {outwards}: {least} to {most}");
        assert!((1..=4).all(|peer| hub.world.downs(peer).is_empty()));
    }
}

#[test]
fn twelve_peers_at_the_least_limit_lose_no_session_and_no_word_of_control() {
    let kinds: Vec<LinkKinds> = MIXED.into_iter().cycle().take(12).collect();
    let mine = SessionConfig { download: of_node(LEAST_BANDWIDTH), ..up(of_node(LEAST_BANDWIDTH)) };
    let mut hub = Hub::new(&kinds, mine, config());
    hub.speakers = (1..=12).flat_map(|peer| [(0, peer), (peer, 0)]).collect();
    hub.pass(5 * SLOW_READER_TIMEOUT / 2);
    assert!(hub.latest <= millis(100), "{:?}", hub.latest);
    for peer in 1..=12 {
        assert!(hub.world.is_up(0, peer) && hub.world.is_up(peer, 0), "peer {peer}");
    }
    let counters = hub.world.nodes[0].sessions.counters();
    assert_eq!((counters.sessions, counters.slow_readers), (12, 0));
    assert!(counters.upload_waits > 0 && counters.download_waits > 0);
}

#[test]
fn a_session_that_moves_to_another_kind_of_link_keeps_its_limit_and_every_message() {
    let both = SessionConfig { transports: LinkKinds::BOTH, ..down(of_peer(100_000)) };
    let mut world = World::with_configs(vec![both.clone(), both]);
    let to_second = world.known(1);
    world.dial(0, to_second);
    world.advance(millis(200));
    assert!(world.is_up(0, 1));
    let bodies: Vec<Bytes> = (0..40_u8).map(|n| vec![n; 20_000].into()).collect();
    for body in &bodies {
        world.send(0, 1, Lane::DIRECT, body.clone());
    }
    world.advance(secs(2));
    assert!(world.heard(1).len() < 20);
    world.block(&[LinkKind::Udp]);
    world.advance(secs(16));
    assert!(world.heard(1) == bodies, "{} messages", world.heard(1).len());
    assert_eq!(world.nodes[0].sessions.counters().handovers, 1);
    let hub = Hub { world, speakers: vec![], asked: vec![], latest: Duration::ZERO, heard: 0 };
    let (_, most) = hub.any_ten_seconds(100_000, |it| it.to == 1);
    // What was under way when the path closed goes once more.
    assert!(most <= 1.05, "{most}");
}

#[test]
fn who_sends_beyond_its_credit_is_sent_away() {
    let mut world = World::with_configs(vec![down(of_peer(100_000)); 2]);
    let to_second = world.known(1);
    world.dial(0, to_second);
    world.advance(millis(100));
    let message = |lane, number| Frame::Message { lane, number, body: Bytes::from_static(b"x") };
    // What is said by hand is not known at the other end, and its acknowledgment is a violation.
    world.wires[0].stalled[1] = true;
    say(&mut world, 0, &[message(Lane::CONTROL, 0), Frame::Demand { limit: 0 }]);
    world.run();
    assert_eq!(world.heard(1), ["x"]);
    say(&mut world, 0, &[message(Lane::GOSSIP, 0)]);
    world.run();
    let (peer, what) = (world.nodes[0].id, Misbehavior::Flooding);
    assert!(world.nodes[1].said.contains(&SessionEffect::Misbehaved { peer, what }));
    assert!(matches!(world.downs(1)[..], [DownReason::ByUs(CloseReason::Violation(_))]));
}

#[test]
fn who_gives_no_credit_at_all_reads_too_slowly() {
    let mut world = World::connected();
    say(&mut world, 1, &[Frame::Credit { limit: 0 }]);
    world.run();
    world.send(0, 1, Lane::CONTROL, "needs none");
    world.send(0, 1, Lane::DIRECT, "waits");
    world.advance(SLOW_READER_TIMEOUT - secs(1));
    assert_eq!(world.heard(1), ["needs none"]);
    assert!(world.is_up(0, 1));
    world.advance(secs(2));
    assert_eq!(world.downs(0), [DownReason::ByUs(CloseReason::SlowReader)]);
    assert_eq!(world.nodes[0].sessions.counters().slow_readers, 1);
}

#[test]
fn who_asks_for_credit_and_does_not_use_it_takes_no_more_than_a_share_from_the_others() {
    let mut hub = Hub::new(&TCP, down(of_node(200_000)), config());
    say(&mut hub.world, 1, &[Frame::Demand { limit: 1 << 40 }]);
    hub.speakers = vec![(2, 0)];
    hub.pass(secs(22));
    hub.assert_holds("beside a hoarder", 200_000, |it| it.to == 0);
}

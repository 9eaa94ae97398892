//! A sender on a path with a rate, a delay, a queue, and losses.

use std::collections::VecDeque;

use super::*;

const DATAGRAM: u64 = 1_000;
/// 10 MB/s and 20 ms: 200 datagrams.
const RATE: u64 = 10_000_000;
const ROUND_TRIP: Duration = Duration::from_millis(20);
const BDP: u64 = 200_000;

/// A packet under way, or its loss.
struct Travelling {
    sent_at: Instant,
    heard_at: Instant,
    is_lost: bool,
    delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    lost: u64,
    in_flight: u64,
}

/// A sender that always has more, and the path. A packet is acknowledged, or found lost, when it
/// or its acknowledgment would have arrived.
struct Path {
    bbr: Bbr,
    now: Instant,
    rate: u64,
    queue: Duration,
    /// One of so many packets is lost at random.
    loses_one_of: Option<u64>,
    free_at: Instant,
    paced_at: Instant,
    flight: VecDeque<Travelling>,
    in_flight: u64,
    sent: u64,
    delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    lost: u64,
    longest_wait: Duration,
}

impl Path {
    fn new() -> Self {
        let start = Instant::from_micros(1_000_000);
        Self {
            bbr: Bbr::new(DATAGRAM),
            now: start,
            rate: RATE,
            queue: 2 * ROUND_TRIP,
            loses_one_of: None,
            free_at: start,
            paced_at: start,
            flight: VecDeque::new(),
            in_flight: 0,
            sent: 0,
            delivered: 0,
            delivered_at: start,
            first_sent_at: start,
            lost: 0,
            longest_wait: Duration::ZERO,
        }
    }

    fn send(&mut self) {
        let now = self.now;
        if self.in_flight == 0 {
            (self.first_sent_at, self.delivered_at) = (now, now);
        }
        self.sent += 1;
        self.in_flight += DATAGRAM;
        let free_at = self.free_at.max(now);
        let waits = free_at.since(now);
        let by_chance = self.loses_one_of.is_some_and(|n| self.sent.is_multiple_of(n));
        let is_lost = by_chance || waits > self.queue;
        if waits <= self.queue {
            self.free_at = free_at + Duration::from_micros(DATAGRAM * 1_000_000 / self.rate);
            self.longest_wait = self.longest_wait.max(waits);
        }
        let heard_at = self.free_at + ROUND_TRIP;
        let Self { delivered, delivered_at, first_sent_at, lost, in_flight, .. } = *self;
        let sent_at = now;
        self.flight.push_back(Travelling {
            sent_at,
            heard_at,
            is_lost,
            delivered,
            delivered_at,
            first_sent_at,
            lost,
            in_flight,
        });
        let rate = self.bbr.pacing_rate().unwrap_or(1_000_000).max(1);
        self.paced_at = self.paced_at.max(now) + Duration::from_micros(DATAGRAM * 1_000_000 / rate);
    }

    fn hear(&mut self, packet: &Travelling) {
        let now = self.now;
        self.in_flight -= DATAGRAM;
        let mut delivery = DeliverySample {
            prior_delivered: packet.delivered,
            in_flight_then: packet.in_flight,
            ..DeliverySample::default()
        };
        if packet.is_lost {
            self.lost += DATAGRAM;
            (delivery.delivered, delivery.lost) = (self.delivered, self.lost - packet.lost);
            let sample = LossSample { delivery, ..LossSample::of(DATAGRAM, packet.sent_at) };
            self.bbr.lost(now, &sample);
            return;
        }
        self.delivered += DATAGRAM;
        self.delivered_at = now;
        let sending = packet.sent_at.since(packet.first_sent_at);
        delivery.interval = sending.max(now.since(packet.delivered_at));
        (delivery.delivered, delivery.lost) = (self.delivered, self.lost - packet.lost);
        self.first_sent_at = packet.sent_at;
        let sample = AckSample {
            now,
            rtt: Some(now.since(packet.sent_at)),
            in_flight: self.in_flight,
            delivery,
            ..AckSample::of(DATAGRAM, packet.sent_at)
        };
        self.bbr.acknowledged(&sample);
    }

    /// Goes on for so long: bytes a second that arrived.
    fn run(&mut self, lasting: Duration) -> u64 {
        let (until, before) = (self.now + lasting, self.delivered);
        self.longest_wait = Duration::ZERO;
        while self.now < until {
            let may_send = self.in_flight + DATAGRAM <= self.bbr.window();
            let heard_at = self.flight.front().map(|packet| packet.heard_at);
            match heard_at {
                Some(at) if !may_send || at <= self.paced_at => {
                    self.now = self.now.max(at);
                    let packet = self.flight.pop_front().unwrap();
                    self.hear(&packet);
                }
                _ if may_send => {
                    self.now = self.now.max(self.paced_at);
                    self.send();
                }
                _ => panic!("nothing is in flight, and nothing may be sent"),
            }
        }
        let micros = u64::try_from(lasting.as_micros()).unwrap();
        (self.delivered - before) * 1_000_000 / micros
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn it_finds_the_rate_within_a_second_and_drains_the_queue_that_this_made() {
    let mut path = Path::new();
    path.run(seconds(1));
    assert!(path.bbr.plateau.reached);
    let rate = path.run(seconds(5));
    assert!((RATE / 100 * 96..=RATE).contains(&rate), "{rate}");
    assert!((BDP / 100 * 97..=BDP / 100 * 103).contains(&path.bbr.bdp(100)), "{:?}", path.bbr);
    // Trying more makes a queue of a quarter of a round trip.
    assert!(path.longest_wait < ROUND_TRIP / 2, "{:?}", path.longest_wait);
}

#[test]
fn losses_by_chance_slow_nothing_down() {
    for (one_of, percent) in [(100, 94), (20, 86)] {
        let mut path = Path::new();
        path.loses_one_of = Some(one_of);
        path.run(seconds(1));
        let rate = path.run(seconds(10));
        assert!(rate >= RATE / 100 * percent, "one of {one_of}: {rate}");
    }
}

#[test]
fn a_queue_that_is_too_short_to_be_seen_bounds_what_is_in_flight() {
    let mut path = Path::new();
    path.queue = Duration::from_millis(1);
    path.run(seconds(5));
    assert!(path.bbr.bounds.inflight_hi <= BDP * 3 / 2, "{:?}", path.bbr.bounds);
    let (sent, lost) = (path.sent, path.lost);
    let rate = path.run(seconds(10));
    assert!(rate >= RATE / 100 * 88, "{rate}");
    let (sent, lost) = (path.sent - sent, (path.lost - lost) / DATAGRAM);
    assert!(lost * 100 <= sent * 2, "{lost} of {sent}");
}

#[test]
fn a_path_that_becomes_faster_or_slower_is_followed() {
    let mut path = Path::new();
    path.run(seconds(3));
    path.rate = RATE * 4;
    path.run(seconds(12));
    let rate = path.run(seconds(3));
    assert!(rate >= RATE * 4 / 100 * 90, "{rate}");
    path.rate = RATE / 2;
    path.run(seconds(8));
    let rate = path.run(seconds(3));
    assert!((RATE / 2 / 100 * 90..=RATE / 2).contains(&rate), "{rate}");
    assert!(path.longest_wait <= ROUND_TRIP * 3 / 2, "{:?}", path.longest_wait);
}

#[test]
fn a_timeout_leaves_two_datagrams_until_something_arrives_that_was_sent_afterwards() {
    let mut path = Path::new();
    path.run(seconds(3));
    let before = path.bbr.window();
    path.bbr.handle_rto(path.now);
    assert_eq!(path.bbr.window(), 2 * DATAGRAM);
    path.bbr.handle_rto(path.now + Duration::from_millis(1));
    assert_eq!(path.bbr.saved_window, before);
    path.flight.clear();
    path.in_flight = 0;
    path.run(2 * ROUND_TRIP);
    assert!(path.bbr.window() >= before / 2, "{} of {before}", path.bbr.window());
}

#[test]
fn persistent_congestion_forgets_the_rate() {
    let mut path = Path::new();
    path.run(seconds(3));
    let sample = LossSample { persistent: true, ..LossSample::of(DATAGRAM, path.now) };
    path.bbr.lost(path.now, &sample);
    assert_eq!((path.bbr.window(), path.bbr.stage), (2 * DATAGRAM, BbrStage::Startup));
    assert_eq!(path.bbr.rate(), 0);
}

#[test]
fn an_undo_brings_back_the_bounds_that_losses_set() {
    let mut path = Path::new();
    path.run(seconds(3));
    let before = path.bbr.bounds;
    path.bbr.bound_inflight(path.now, &DeliverySample::default());
    path.bbr.bounds.bw_lo = RATE / 2;
    path.bbr.undo();
    assert_eq!(path.bbr.bounds.inflight_hi, before.inflight_hi);
    assert_eq!(path.bbr.bounds.bw_lo, before.bw_lo);
}

#[test]
fn a_window_at_its_least_stays_so_when_datagrams_become_smaller() {
    let mut bbr = Bbr::new(9_000);
    bbr.datagram_size_changed(1_200);
    assert_eq!(bbr.window(), 90_000);
    bbr.handle_rto(Instant::from_micros(1));
    bbr.datagram_size_changed(9_000);
    assert_eq!(bbr.window(), 18_000);
}

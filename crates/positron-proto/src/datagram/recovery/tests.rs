//! Stories of a sender and a receiver over a link with delay, rate, queue, loss and reordering.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    datagram::{ack_tracker::AckTracker, congestion::NewReno},
    limits::{RTO_SLACK_LEAST, TAIL_PROBES},
    rng::{Rng, Seed},
};

mod growth;

const SIZE: usize = 1200;
const ROUND_TRIP: u64 = 40_000;

fn at(micros: u64) -> Instant {
    Instant::from_micros(micros)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn recovery() -> Recovery<u64> {
    Recovery::new(Box::new(NewReno::new(bytes_of(SIZE))))
}

enum Traveller {
    Packet { number: u64, lowest: Option<u64> },
    Ack { ranges: Vec<RangeInclusive<u64>>, cumulative: u64, delay: Duration },
}

/// One sender, one receiver, and what is between them.
struct Link {
    now: u64,
    sender: Recovery<u64>,
    receiver: AckTracker,
    travelling: BTreeMap<(u64, u64), Traveller>,
    order: u64,
    out: AckOutcome<u64>,
    /// Bytes per second of the bottleneck, and when it is free.
    rate: Option<u64>,
    free_at: u64,
    /// Longest wait in the queue before packets are dropped, in microseconds.
    queue: u64,
    /// Packets that vanish.
    doomed: Vec<u64>,
    blackout: core::ops::Range<u64>,
    /// Every packet is late by up to this much, in microseconds.
    jitter: u64,
    dice: Rng,
    lost: Vec<(u64, u64)>,
    lost_number: Vec<u64>,
    probes: Vec<u64>,
    timeouts: Vec<u64>,
    spurious: u64,
    acked: u64,
}

impl Link {
    fn new() -> Self {
        let mut receiver = AckTracker::new();
        receiver.rtt_changed(Duration::from_micros(ROUND_TRIP));
        Self {
            now: 0,
            sender: recovery(),
            receiver,
            travelling: BTreeMap::new(),
            order: 0,
            out: AckOutcome::new(),
            rate: None,
            free_at: 0,
            queue: 40_000,
            doomed: Vec::new(),
            blackout: 0..0,
            jitter: 0,
            dice: Seed::from_number(7).stream("link"),
            lost: Vec::new(),
            lost_number: Vec::new(),
            probes: Vec::new(),
            timeouts: Vec::new(),
            spurious: 0,
            acked: 0,
        }
    }

    fn travel(&mut self, arrives: u64, what: Traveller) {
        self.order += 1;
        self.travelling.insert((arrives, self.order), what);
    }

    fn send(&mut self) {
        let number = self.sender.next_number();
        let lowest = self.sender.lowest_to_tell(at(self.now));
        self.sender.handle_sent(at(self.now), number, SIZE, SentPacketKind::Eliciting, number);
        if let Some(lowest) = lowest {
            self.sender.lowest_told(lowest);
        }
        if self.doomed.contains(&number) || self.blackout.contains(&self.now) {
            return;
        }
        let mut departs = self.now;
        if let Some(rate) = self.rate {
            let start = self.free_at.max(self.now);
            if start - self.now > self.queue {
                return;
            }
            self.free_at = start + bytes_of(SIZE) * 1_000_000 / rate;
            departs = self.free_at;
        }
        let late = if self.jitter == 0 { 0 } else { self.dice.next_u64() % self.jitter };
        let arrives = departs + ROUND_TRIP / 2 + late;
        self.travel(arrives, Traveller::Packet { number, lowest });
    }

    fn acknowledge(&mut self) {
        let now = at(self.now);
        if !self.receiver.ack_due(now) {
            return;
        }
        let ranges = self.receiver.ranges().collect();
        let cumulative = self.receiver.cumulative();
        let delay = self.receiver.ack_delay(now);
        self.receiver.ack_sent(now);
        if !self.blackout.contains(&self.now) {
            let ack = Traveller::Ack { ranges, cumulative, delay };
            self.travel(self.now + ROUND_TRIP / 2, ack);
        }
    }

    fn arrive(&mut self, what: Traveller) {
        let now = at(self.now);
        match what {
            Traveller::Packet { number, lowest } => {
                self.receiver.handle_arrival(now, number, true);
                if let Some(lowest) = lowest {
                    self.receiver.abandoned_below(lowest);
                }
            }
            Traveller::Ack { ranges, cumulative, delay } => {
                self.sender
                    .handle_ack(now, ranges.into_iter(), delay, cumulative, &mut self.out)
                    .expect("only what was sent is acknowledged");
            }
        }
    }

    fn collect(&mut self) {
        for lost in self.out.lost.drain(..) {
            self.lost.push((lost.number, self.now));
            self.lost_number.push(lost.number);
        }
        self.acked += u64::try_from(self.out.acked.drain(..).count()).expect("few");
        self.spurious += core::mem::take(&mut self.out.spurious);
        let (bytes, packets) = self.sender.flight.recount();
        assert_eq!(bytes, self.sender.in_flight());
        assert_eq!(packets, self.sender.flight.packets());
    }

    /// Goes on until `end`, in the order of what happens; `greedy`: as much as the window allows.
    fn run(&mut self, end: u64, greedy: bool) {
        loop {
            while greedy && self.sender.room() >= bytes_of(SIZE) {
                self.send();
            }
            let arrival = self.travelling.first_key_value().map(|(&(when, _), _)| when);
            let timer = self.sender.poll_timeout().map(|(when, _)| when.as_micros());
            let ack = self.receiver.poll_timeout().map(Instant::as_micros);
            let Some(next) = [arrival, timer, ack].into_iter().flatten().min() else { break };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            while let Some(entry) = self.travelling.first_entry()
                && entry.key().0 <= self.now
            {
                let what = entry.remove();
                self.arrive(what);
            }
            match self.sender.handle_timeout(at(self.now), &mut self.out) {
                TimeoutOutcome::Probe => {
                    self.probes.push(self.now);
                    self.send();
                }
                TimeoutOutcome::Rto => self.timeouts.push(self.now),
                TimeoutOutcome::Idle | TimeoutOutcome::Lost => {}
            }
            self.collect();
            self.acknowledge();
        }
        self.now = self.now.max(end);
    }
}

#[test]
fn slow_start_doubles_the_window_every_round_trip() {
    let mut link = Link::new();
    let mut windows = Vec::new();
    for round in 1..=5 {
        // Acknowledgments wait for company, so that a round takes a little longer.
        link.run(round * (ROUND_TRIP + 6_000), true);
        windows.push(link.sender.congestion().window() / bytes_of(SIZE));
    }
    assert_eq!(windows, [20, 40, 80, 160, 320]);
    assert!(link.lost.is_empty());
}

#[test]
fn a_single_loss_is_found_within_a_round_trip_and_a_quarter() {
    let mut link = Link::new();
    link.doomed = vec![25];
    link.run(1, true);
    link.run(ROUND_TRIP * 5, true);
    assert_eq!(link.lost_number, [25]);
    let (_, found) = link.lost[0];
    // It was sent after the first round trip.
    assert!(found <= 2 * ROUND_TRIP + ROUND_TRIP / 4 + 6_000, "{found}");
    assert_eq!(link.spurious, 0);
    assert!(link.timeouts.is_empty() && link.probes.is_empty());
    assert!(link.receiver.cumulative() > 25, "STOP_WAITING closed the gap");
}

#[test]
fn a_lost_tail_is_asked_for_and_found_without_a_timeout() {
    let mut link = Link::new();
    link.run(ROUND_TRIP * 4, true);
    let sent = link.sender.next_number();
    link.doomed = (sent..sent + 3).collect();
    link.run(ROUND_TRIP * 6, false);
    let start = link.now;
    for _ in 0..3 {
        link.send();
    }
    link.run(start + ROUND_TRIP * 8, false);
    assert_eq!(link.probes.len(), 1);
    assert!(link.probes[0] - start <= 2 * ROUND_TRIP + 12_000, "two round trips");
    assert_eq!(link.lost_number, [sent, sent + 1, sent + 2]);
    assert!(link.timeouts.is_empty());
    assert_eq!(link.sender.in_flight(), 0);
}

#[test]
fn a_blackout_backs_off_and_the_link_recovers_after_it() {
    let mut link = Link::new();
    link.run(ROUND_TRIP * 3, true);
    link.blackout = link.now..link.now + 4_000_000;
    link.run(link.now + 10_000_000, true);
    assert!(link.timeouts.len() >= 3, "{:?}", link.timeouts);
    let waits: Vec<u64> = link.timeouts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits.windows(2).all(|pair| pair[1] >= pair[0] * 2 - 10), "{waits:?}");
    assert_eq!(link.sender.backoff(), 0);
    assert!(link.acked > 1_000, "{}", link.acked);
}

#[test]
fn reordering_of_a_round_trip_is_learned_and_then_costs_nothing() {
    let mut link = Link::new();
    link.rate = Some(1_250_000);
    link.queue = 10_000_000;
    link.jitter = ROUND_TRIP * 3 / 4;
    link.run(2_000_000, true);
    let learned = link.lost_number.len();
    assert!(link.spurious > 0, "the first ones are taken for lost");
    link.run(6_000_000, true);
    assert_eq!(link.lost_number.len(), learned, "nothing is lost after that");
    assert!(link.timeouts.is_empty());
}

#[test]
fn a_loss_that_was_none_is_undone() {
    let mut sender = recovery();
    let mut out = AckOutcome::new();
    for number in 0..10 {
        sender.handle_sent(at(number), number, SIZE, SentPacketKind::Eliciting, number);
    }
    sender.handle_ack(at(ROUND_TRIP), [4..=9].into_iter(), Duration::ZERO, 0, &mut out).unwrap();
    assert_eq!(out.lost.iter().map(|lost| lost.number).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let reduced = sender.congestion().window();
    sender.handle_ack(at(41_000), [0..=2, 4..=9].into_iter(), millis(0), 3, &mut out).unwrap();
    assert_eq!((out.spurious, sender.congestion().window()), (3, reduced));
    sender.handle_ack(at(42_000), core::iter::empty(), millis(0), 10, &mut out).unwrap();
    assert_eq!(out.spurious, 4);
    assert_eq!(sender.congestion().window(), 12_000, "as before the loss");
    // Said again, it counts once.
    sender.handle_ack(at(43_000), core::iter::empty(), millis(0), 10, &mut out).unwrap();
    assert_eq!(out.spurious, 4);
}

#[test]
fn a_number_that_was_abandoned_is_not_taken_for_one_that_arrived() {
    let mut sender = recovery();
    let mut out = AckOutcome::new();
    for number in 0..10 {
        sender.handle_sent(at(number), number, SIZE, SentPacketKind::Eliciting, number);
    }
    sender.handle_ack(at(ROUND_TRIP), [1..=9].into_iter(), Duration::ZERO, 0, &mut out).unwrap();
    assert_eq!(out.lost.len(), 1);
    assert_eq!(sender.lowest_to_tell(at(ROUND_TRIP)), None, "it may come yet");
    let later = at(ROUND_TRIP * 3);
    assert_eq!(sender.lowest_to_tell(later), Some(10));
    sender.lowest_told(10);
    sender.handle_ack(later, core::iter::empty(), millis(0), 10, &mut out).unwrap();
    assert_eq!(out.spurious, 0);
    assert_eq!(sender.lowest_to_tell(later), None);
}

#[test]
fn an_acknowledgment_of_what_was_never_sent_changes_nothing() {
    let mut sender = recovery();
    let mut out = AckOutcome::new();
    for number in 0..5 {
        sender.handle_sent(at(number), number, SIZE, SentPacketKind::Eliciting, number);
    }
    let before = format!("{sender:?}");
    let refused = sender.handle_ack(at(9), [5..=5, 0..=3].into_iter(), millis(0), 0, &mut out);
    assert_eq!(refused, Err(AckedUnsent(5)));
    let refused = sender.handle_ack(at(9), core::iter::empty(), millis(0), 6, &mut out);
    assert_eq!(refused, Err(AckedUnsent(5)));
    assert_eq!(format!("{sender:?}"), before);
    assert!(out.acked.is_empty() && out.lost.is_empty());
}

#[test]
fn a_probe_for_a_size_is_lost_without_a_word_to_congestion_control() {
    let mut sender = recovery();
    let mut out = AckOutcome::new();
    let window = sender.congestion().window();
    sender.handle_sent(at(0), 0, 9000, SentPacketKind::SizeProbe, 0);
    let (when, timer) = sender.poll_timeout().expect("something is in flight");
    assert_eq!(timer, Timer::Loss);
    assert_eq!(sender.handle_timeout(when, &mut out), TimeoutOutcome::Lost);
    assert_eq!(out.lost.len(), 1);
    assert_eq!((sender.in_flight(), sender.congestion().window()), (0, window));
    assert_eq!(sender.poll_timeout(), None);
}

#[test]
fn nothing_is_lost_by_time_alone_until_the_timeout() {
    let mut sender = recovery();
    let mut out = AckOutcome::new();
    for number in 0..5 {
        sender.handle_sent(at(0), number, SIZE, SentPacketKind::Eliciting, number);
    }
    let (when, timer) = sender.poll_timeout().expect("something is in flight");
    assert_eq!(timer, Timer::Probe);
    assert_eq!(sender.handle_timeout(when, &mut out), TimeoutOutcome::Probe);
    assert!(out.lost.is_empty());
    // Nothing is known of the round trip time, so that the second probe would come after it.
    let (rto_at, timer) = sender.poll_timeout().expect("something is in flight");
    assert_eq!(timer, Timer::Rto);
    assert!(rto_at.since(when) >= RTO_SLACK_LEAST);
    assert_eq!(sender.handle_timeout(rto_at, &mut out), TimeoutOutcome::Rto);
    assert_eq!(out.lost.len(), 5);
    assert_eq!(sender.congestion().window(), 2 * bytes_of(SIZE));
}

#[test]
fn on_a_short_path_the_tail_is_asked_for_again_and_again_before_the_timeout() {
    let (mut sender, mut out) = (recovery(), AckOutcome::new());
    sender.rtt_mut().sample(at(0), millis(1), Duration::ZERO);
    for number in 0..2 {
        sender.handle_sent(at(0), number, SIZE, SentPacketKind::Eliciting, number);
    }
    let mut waits = Vec::new();
    let mut last = at(0);
    let rto_at = loop {
        let (when, timer) = sender.poll_timeout().expect("something is in flight");
        if timer == Timer::Rto {
            break when;
        }
        waits.push(when.since(last));
        last = when;
        assert_eq!(sender.handle_timeout(when, &mut out), TimeoutOutcome::Probe);
        let number = sender.next_number();
        sender.handle_sent(when, number, SIZE, SentPacketKind::Eliciting, number);
    };
    assert_eq!(waits[..3], [millis(3), millis(6), millis(12)]);
    assert!(waits.len() <= usize::try_from(TAIL_PROBES).unwrap());
    assert!(waits.iter().sum::<Duration>() < waits[0] + RTO_SLACK_LEAST);
    // It counts from the first probe, however many follow.
    assert_eq!(rto_at, at(0) + waits[0] + millis(1) + RTO_SLACK_LEAST);
    assert!(out.lost.is_empty());
}

#[test]
fn what_was_sent_before_a_probe_does_not_answer_it() {
    let (mut sender, mut out) = (recovery(), AckOutcome::new());
    let send = |sender: &mut Recovery<u64>, when| {
        let number = sender.next_number();
        sender.handle_sent(when, number, SIZE, SentPacketKind::Eliciting, number);
    };
    // The last one took a quick way; the others are taken for lost, and so slowly come that what
    // is sent instead stands behind them.
    let ack = |sender: &mut Recovery<u64>, when, number, out: &mut AckOutcome<u64>| {
        let range = core::iter::once(number..=number);
        sender.handle_ack(when, range, Duration::ZERO, 0, out).unwrap();
    };
    (0..50).for_each(|_| send(&mut sender, at(0)));
    ack(&mut sender, at(1_000), 49, &mut out);
    assert_eq!(sender.handle_timeout(at(5_000), &mut out), TimeoutOutcome::Lost);
    (0..10).for_each(|_| send(&mut sender, at(5_000)));
    let mut probes = 0;
    for arrived in 0..49 {
        let now = at((arrived + 1) * 10_000);
        while let Some((when, Timer::Probe)) = sender.poll_timeout().filter(|it| it.0 <= now) {
            assert_eq!(sender.handle_timeout(when, &mut out), TimeoutOutcome::Probe);
            send(&mut sender, when);
            probes += 1;
        }
        ack(&mut sender, now, arrived, &mut out);
    }
    assert!((1..=TAIL_PROBES).contains(&probes), "{probes}");
}

#[test]
fn a_connection_that_has_warmed_up_allocates_nothing() {
    let mut sender = recovery();
    let mut receiver = AckTracker::new();
    let mut out = AckOutcome::new();
    let mut round = |sender: &mut Recovery<u64>, from: u64| {
        for number in from..from + 10 {
            let now = at(number * 1_000);
            sender.handle_sent(now, number, SIZE, SentPacketKind::Eliciting, number);
            if number % 10 != 3 {
                receiver.handle_arrival(now, number, true);
            }
        }
        let now = at((from + 10) * 1_000);
        let cumulative = receiver.cumulative();
        let ranges = receiver.ranges();
        sender.handle_ack(now, ranges, Duration::ZERO, cumulative, &mut out).unwrap();
        receiver.ack_sent(now);
        if let Some(lowest) = sender.lowest_to_tell(now) {
            sender.lowest_told(lowest);
            receiver.abandoned_below(lowest);
        }
        out.acked.clear();
        out.lost.clear();
    };
    for number in 0..500 {
        round(&mut sender, number * 10);
    }
    let counted = allocation_counter::measure(|| {
        for number in 500..1_000 {
            round(&mut sender, number * 10);
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[derive(Clone, Debug)]
enum Step {
    Send(u16, u8),
    Ack(Vec<(u8, u8)>, u8),
    Wait(u32),
    Timer,
    Tell,
    JumpBack(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1u16..9000, 0u8..10).prop_map(|(size, kind)| Step::Send(size, kind)),
        4 => (prop::collection::vec((any::<u8>(), 0u8..6), 0..4), any::<u8>())
            .prop_map(|(ranges, cumulative)| Step::Ack(ranges, cumulative)),
        3 => (0u32..300_000).prop_map(Step::Wait),
        3 => Just(Step::Timer),
        1 => Just(Step::Tell),
        1 => (0u32..100_000).prop_map(Step::JumpBack),
    ]
}

fn kind_of(dice: u8) -> SentPacketKind {
    match dice {
        0 => SentPacketKind::SizeProbe,
        1 | 2 => SentPacketKind::AckOnly,
        _ => SentPacketKind::Eliciting,
    }
}

/// Ranges below `next`, highest first and apart, near the newest numbers.
fn ranges_below(next: u64, picks: &[(u8, u8)]) -> Vec<RangeInclusive<u64>> {
    let mut set = super::super::ranges::RangeSet::new();
    for &(back, len) in picks {
        let last = next.saturating_sub(1 + u64::from(back));
        if next > 0 {
            set.insert_range(last.saturating_sub(u64::from(len))..=last);
        }
    }
    set.iter().rev().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn every_packet_leaves_the_flight_once_and_the_books_agree(
        steps in prop::collection::vec(step(), 250..260),
    ) {
        let mut sender = recovery();
        let mut out = AckOutcome::new();
        let mut now = 1_000_000u64;
        let mut model = BTreeMap::new();
        for step in steps {
            match step {
                Step::Send(size, kind) => {
                    let number = sender.next_number();
                    let (size, kind) = (usize::from(size), kind_of(kind));
                    sender.handle_sent(at(now), number, size, kind, number);
                    if kind != SentPacketKind::AckOnly {
                        model.insert(number, size);
                    }
                }
                Step::Ack(picks, back) => {
                    let next = sender.next_number();
                    let ranges = ranges_below(next, &picks);
                    let lowest = ranges.last().map_or(next, |range| *range.start());
                    let cumulative = lowest.saturating_sub(u64::from(back));
                    let ranges = ranges.into_iter();
                    sender.handle_ack(at(now), ranges, millis(1), cumulative, &mut out).unwrap();
                }
                Step::Wait(micros) => now += u64::from(micros),
                Step::JumpBack(micros) => now -= u64::from(micros).min(now),
                Step::Timer => {
                    sender.handle_timeout(at(now), &mut out);
                }
                Step::Tell => {
                    if let Some(lowest) = sender.lowest_to_tell(at(now)) {
                        prop_assert!(lowest <= sender.lowest_outstanding());
                        sender.lowest_told(lowest);
                    }
                }
            }
            for settled in out.acked.drain(..).chain(out.lost.drain(..)) {
                prop_assert_eq!(settled.number, settled.contents);
                prop_assert_eq!(model.remove(&settled.number), Some(settled.size));
            }
            let bytes: u64 = model.values().map(|&size| bytes_of(size)).sum();
            prop_assert_eq!(sender.in_flight(), bytes);
            prop_assert_eq!(sender.flight.recount(), (bytes, model.len()));
            let lowest = model.keys().next().copied().unwrap_or(sender.next_number());
            prop_assert_eq!(sender.lowest_outstanding(), lowest);
            prop_assert_eq!(sender.poll_timeout().is_some(), !model.is_empty());
            prop_assert!(sender.congestion().window() >= 2 * bytes_of(SIZE));
        }
    }
}

#[test]
fn one_packet_that_is_not_acknowledged_keeps_no_room_for_all_that_are() {
    let (mut sender, mut out, now) = (recovery(), AckOutcome::new(), at(1_000_000));
    let send = |sender: &mut Recovery<u64>, number| {
        sender.handle_sent(now, number, SIZE, SentPacketKind::Eliciting, number);
    };
    for number in 0..=600 {
        send(&mut sender, number);
    }
    // It arrives after so many others that from now on only time tells what is lost.
    for first in [1, 0] {
        let arrived = core::iter::once(first..=600);
        sender.handle_ack(now, arrived, Duration::ZERO, 0, &mut out).unwrap();
    }
    assert_eq!((out.lost.len(), out.spurious), (1, 1));
    send(&mut sender, 601);
    let used = allocation_counter::measure(|| {
        for number in 602..200_000 {
            send(&mut sender, number);
            // Each range begins elsewhere in what was acknowledged before.
            let arrived = core::iter::once(602 + number % 600..=number);
            sender.handle_ack(now, arrived, Duration::ZERO, 0, &mut out).unwrap();
            out.acked.clear();
        }
    });
    assert!(used.bytes_max < 64 * 1024, "{} bytes", used.bytes_max);
    assert_eq!(sender.lowest_outstanding(), 601);
    sender.handle_ack(now, core::iter::empty(), Duration::ZERO, 200_000, &mut out).unwrap();
    assert!(out.acked.iter().any(|packet| packet.number == 601));
    assert_eq!((sender.in_flight(), sender.flight.recount()), (0, (0, 0)));
}

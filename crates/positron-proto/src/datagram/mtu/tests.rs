//! Stories of paths and the sizes they carry.

use super::*;
use crate::{
    rng::{Rng, Seed},
    time::Duration,
};

const RTT: Duration = Duration::from_millis(20);

/// A path, and one end of a connection over it that always has something to send.
struct Line {
    size: DatagramSize,
    carries: usize,
    loss: f64,
    dice: Rng,
    now: Instant,
    number: u64,
    /// Rounds that began with the least size.
    small: usize,
    probes: Vec<usize>,
}

impl Line {
    fn new(carries: usize, loss: f64) -> Self {
        Self {
            size: DatagramSize::new(LARGEST_DATAGRAM),
            carries,
            loss,
            dice: Seed::from_number(8899).stream("losses"),
            now: Instant::ORIGIN,
            number: 0,
            small: 0,
            probes: Vec::new(),
        }
    }

    /// A round trip with `datagrams` of the present size, and a probe behind the first.
    fn round(&mut self, datagrams: usize) {
        let mut sent = Vec::new();
        for datagram in 0..datagrams {
            sent.push((self.number, self.size.current()));
            self.number += 1;
            if datagram == 0
                && let Some(size) = self.size.poll_probe(self.now)
            {
                assert!(size > self.size.current() && size <= LARGEST_DATAGRAM);
                self.size.probe_sent(self.number);
                assert_eq!(self.size.poll_probe(self.now), None);
                self.probes.push(size);
                sent.push((self.number, size));
                self.number += 1;
            }
        }
        if self.size.current() == LEAST_DATAGRAM {
            self.small += 1;
        }
        self.now = self.now + RTT;
        let mut fate = |size: usize| size <= self.carries && !self.dice.chance(self.loss);
        let (arrived, lost): (Vec<_>, Vec<_>) = sent.into_iter().partition(|&(_, size)| fate(size));
        arrived.iter().for_each(|&(number, size)| self.size.handle_ack(number, size));
        lost.iter().for_each(|&(number, size)| self.size.handle_loss(self.now, number, size));
    }

    fn rounds(&mut self, rounds: usize) {
        (0..rounds).for_each(|_| self.round(10));
    }
}

#[test]
fn a_path_without_limits_carries_the_largest_size_after_a_few_round_trips() {
    let mut line = Line::new(usize::MAX, 0.0);
    line.rounds(7);
    assert_eq!(line.probes, USUAL_SIZES);
    line.rounds(1);
    assert_eq!(line.size.current(), LARGEST_DATAGRAM);
}

#[test]
fn ethernet_is_found_at_once_and_left_alone_for_ten_minutes() {
    let mut line = Line::new(1_472, 0.0);
    line.rounds(5);
    assert_eq!(line.size.current(), 1_472);
    line.rounds(100);
    assert_eq!(line.size.current(), 1_472);
    let probes = line.probes.len();
    assert!(probes < 40, "{:?}", line.probes);
    line.rounds(1_000);
    assert_eq!(line.probes.len(), probes);
    let again = line.size.poll_timeout().unwrap();
    assert!(again > line.now + SIZE_SEARCH_AGAIN / 2);
    line.carries = 8_952;
    line.now = again;
    line.rounds(10);
    assert_eq!(line.size.current(), 8_952);
}

#[test]
fn whatever_a_path_carries_is_found_but_for_a_sixteenth() {
    for carries in (LEAST_DATAGRAM..=LARGEST_DATAGRAM).step_by(97) {
        let mut line = Line::new(carries, 0.0);
        line.rounds(200);
        let found = line.size.current();
        assert!(found <= carries && carries - found <= found / SIZE_STEP + 1, "{carries} {found}");
    }
}

#[test]
fn the_ceiling_is_obeyed_and_reached() {
    for ceiling in [0, LEAST_DATAGRAM, 1_201, 1_400, 1_500, 9_000, 16_000, usize::MAX] {
        let mut line = Line::new(usize::MAX, 0.0);
        line.size = DatagramSize::new(ceiling);
        line.rounds(50);
        assert_eq!(line.size.current(), ceiling.clamp(LEAST_DATAGRAM, LARGEST_DATAGRAM));
    }
}

#[test]
fn a_path_that_begins_to_swallow_large_datagrams_is_noticed_and_survived() {
    let mut line = Line::new(8_952, 0.0);
    line.rounds(60);
    assert_eq!(line.size.current(), 8_952);
    line.carries = 1_392;
    line.rounds(2);
    assert_eq!(line.size.current(), LEAST_DATAGRAM);
    line.rounds(8);
    assert_eq!(line.size.current(), 1_392);
    assert_eq!(line.size.black_holes(), 1);
}

#[test]
fn one_in_five_lost_at_random_does_not_bring_the_size_down_for_long() {
    for datagrams in [1, 2, 10] {
        let mut line = Line::new(1_472, 0.2);
        (0..3_000).for_each(|_| line.round(datagrams));
        line.small = 0;
        let mut sizes = 0;
        for _ in 0..10_000 {
            line.round(datagrams);
            sizes += line.size.current();
        }
        assert!(line.small < 300, "{datagrams} at a time: {} rounds were small", line.small);
        assert!(sizes > 1_400 * 10_000, "{datagrams} at a time: {sizes}");
    }
}

#[test]
fn a_path_that_is_down_for_a_while_is_no_black_hole() {
    let mut line = Line::new(8_952, 0.0);
    line.rounds(60);
    line.loss = 1.0;
    line.rounds(500);
    assert_eq!(line.size.current(), LEAST_DATAGRAM);
    // It asks now and then, not all the time.
    assert!(line.probes.len() < 80);
    line.loss = 0.0;
    line.rounds(60);
    assert_eq!(line.size.current(), 8_952);
    assert_eq!(line.size.black_holes(), 0);
}

#[test]
fn losses_that_something_large_overtook_are_no_suspicion() {
    let mut line = Line::new(1_472, 0.0);
    line.rounds(60);
    let first = line.number;
    line.size.handle_ack(first + 20, 1_472);
    (first..first + 20).for_each(|number| line.size.handle_loss(line.now, number, 1_472));
    assert_eq!(line.size.current(), 1_472);
}

#[test]
fn after_a_move_the_search_begins_again() {
    let mut line = Line::new(8_952, 0.0);
    line.rounds(60);
    line.size.handle_move();
    assert_eq!(line.size.current(), LEAST_DATAGRAM);
    line.carries = 1_300;
    line.rounds(60);
    assert!(line.size.current() >= 1_232 && line.size.current() <= 1_300);
}

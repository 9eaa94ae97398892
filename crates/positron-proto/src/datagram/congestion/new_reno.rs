//! NewReno: slow start, AIMD and one reduction per flight (RFC 9002, 7; RFC 5681; RFC 6582).

use super::controller::{AckSample, Controller, LossSample};
use crate::{limits::FIRST_WINDOW_DATAGRAMS, time::Instant};

/// What NewReno is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The window doubles every round trip.
    SlowStart,
    /// The window grows by one datagram every round trip.
    CongestionAvoidance,
    /// Packets were lost; the window stands until something sent afterwards is acknowledged.
    Recovery,
}

/// What a reduction destroyed, so that [`Controller::undo`] can bring it back.
#[derive(Clone, Copy, Debug)]
struct Before {
    window: u64,
    threshold: u64,
    recovery_start: Option<Instant>,
}

/// The founding document's congestion control.
#[derive(Clone, Debug)]
pub(in super::super) struct NewReno {
    datagram: u64,
    window: u64,
    threshold: u64,
    /// Packets sent no later than this belong to a flight that was already paid for.
    recovery_start: Option<Instant>,
    in_recovery: bool,
    /// Bytes acknowledged towards the next datagram of growth (RFC 9002, B.5 keeps a fraction of a
    /// byte; counting bytes loses nothing).
    credit: u64,
    before: Option<Before>,
}

impl NewReno {
    /// Starts with [`FIRST_WINDOW_DATAGRAMS`] of `datagram` bytes.
    pub(in super::super) fn new(datagram: u64) -> Self {
        let datagram = datagram.max(1);
        Self {
            datagram,
            window: datagram.saturating_mul(FIRST_WINDOW_DATAGRAMS),
            threshold: u64::MAX,
            recovery_start: None,
            in_recovery: false,
            credit: 0,
            before: None,
        }
    }

    /// The window above which it grows by one datagram a round trip; `u64::MAX` before a loss.
    pub(in super::super) fn threshold(&self) -> u64 {
        self.threshold
    }

    /// What it is doing.
    pub(in super::super) fn phase(&self) -> Phase {
        if self.in_recovery {
            Phase::Recovery
        } else if self.window < self.threshold {
            Phase::SlowStart
        } else {
            Phase::CongestionAvoidance
        }
    }

    /// RFC 9002, 7.2: two datagrams.
    fn least_window(&self) -> u64 {
        self.datagram.saturating_mul(2)
    }

    fn remember(&mut self) {
        self.before = Some(Before {
            window: self.window,
            threshold: self.threshold,
            recovery_start: self.recovery_start,
        });
    }

    fn halve(&mut self, now: Instant) {
        self.recovery_start = Some(now);
        self.in_recovery = true;
        self.threshold = (self.window / 2).max(self.least_window());
        self.credit = 0;
    }
}

impl Controller for NewReno {
    fn acknowledged(&mut self, sample: &AckSample) {
        // RFC 9002, 7.3.2: recovery ends with the acknowledgment of a packet sent during it, and
        // what was sent before does not grow the window.
        if self.recovery_start.is_some_and(|start| sample.newest_sent_at <= start) {
            return;
        }
        self.in_recovery = false;
        // RFC 9002, 7.8: a window that was not used proves nothing.
        if sample.app_limited {
            return;
        }
        let mut bytes = sample.bytes;
        if self.window < self.threshold {
            let room = self.threshold - self.window;
            let grown = bytes.min(room);
            self.window = self.window.saturating_add(grown);
            bytes -= grown;
        }
        if self.window >= self.threshold {
            self.credit = self.credit.saturating_add(bytes);
            while self.credit >= self.window {
                self.credit -= self.window;
                self.window = self.window.saturating_add(self.datagram);
            }
        }
    }

    fn lost(&mut self, now: Instant, sample: &LossSample) {
        let paid = self.recovery_start.is_some_and(|start| sample.newest_lost_sent_at <= start);
        if !paid {
            self.remember();
            self.halve(now);
            self.window = self.threshold;
        }
        // RFC 9002, 7.6.2: it ends recovery too, so that slow start begins at once.
        if sample.persistent {
            self.window = self.least_window();
            self.recovery_start = None;
            self.in_recovery = false;
        }
    }

    fn undo(&mut self) {
        let Some(before) = self.before.take() else { return };
        self.window = self.window.max(before.window);
        self.threshold = before.threshold;
        self.recovery_start = before.recovery_start;
        self.in_recovery = false;
    }

    fn handle_rto(&mut self, now: Instant) {
        // RFC 5681, 3.1: a second timeout of the same packet leaves the threshold alone; by then
        // the window is at its least and halving it again would forget what the path carried.
        if self.window > self.least_window() {
            self.remember();
            self.halve(now);
        }
        self.recovery_start = Some(now);
        self.in_recovery = false;
        self.credit = 0;
        self.window = self.least_window();
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn in_slow_start(&self) -> bool {
        self.phase() == Phase::SlowStart
    }

    fn datagram_size_changed(&mut self, bytes: u64) {
        // Two large datagrams must not become many small ones, into a path that carries nothing.
        let was_least = self.window <= self.least_window();
        self.datagram = bytes.max(1);
        let least = self.least_window();
        self.window = if was_least { least } else { self.window.max(least) };
    }

    fn name(&self) -> &'static str {
        "newreno"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    fn acknowledge(reno: &mut NewReno, sent_at: u64, bytes: u64, app_limited: bool) {
        reno.acknowledged(&AckSample { app_limited, ..AckSample::of(bytes, at(sent_at)) });
    }

    fn lose(reno: &mut NewReno, now: u64, sent_at: u64, persistent: bool) {
        let newest_lost_sent_at = at(sent_at);
        let sample = LossSample { persistent, ..LossSample::of(1_000, newest_lost_sent_at) };
        reno.lost(at(now), &sample);
    }

    #[test]
    fn the_sawtooth_halves_once_a_flight_and_climbs_a_datagram_a_round() {
        let mut reno = NewReno::new(1000);
        acknowledge(&mut reno, 0, 10_000, false);
        assert_eq!((reno.window(), reno.phase()), (20_000, Phase::SlowStart));
        lose(&mut reno, 20, 15, false);
        assert_eq!((reno.window(), reno.phase()), (10_000, Phase::Recovery));
        lose(&mut reno, 25, 19, false);
        acknowledge(&mut reno, 20, 10_000, false);
        assert_eq!(reno.window(), 10_000, "the same flight");
        acknowledge(&mut reno, 21, 10_000, false);
        assert_eq!((reno.window(), reno.phase()), (11_000, Phase::CongestionAvoidance));
        acknowledge(&mut reno, 31, 11_000, false);
        assert_eq!(reno.window(), 12_000);
        lose(&mut reno, 50, 45, false);
        assert_eq!((reno.window(), reno.threshold()), (6_000, 6_000));
    }

    #[test]
    fn what_the_application_held_back_grows_nothing() {
        let mut reno = NewReno::new(1000);
        acknowledge(&mut reno, 0, 10_000, true);
        assert_eq!(reno.window(), 10_000);
    }

    #[test]
    fn a_timeout_and_persistent_congestion_leave_two_datagrams() {
        let mut reno = NewReno::new(1000);
        reno.handle_rto(at(10));
        reno.handle_rto(at(20));
        assert_eq!((reno.window(), reno.threshold()), (2_000, 5_000));
        reno.undo();
        assert_eq!((reno.window(), reno.threshold()), (10_000, u64::MAX));
        lose(&mut reno, 50, 40, true);
        assert_eq!((reno.window(), reno.phase()), (2_000, Phase::SlowStart));
    }

    #[test]
    fn a_window_at_its_least_stays_so_when_datagrams_become_smaller_and_a_wide_one_stays_wide() {
        let mut reno = NewReno::new(9_000);
        reno.datagram_size_changed(1_200);
        assert_eq!(reno.window(), 90_000);
        let mut reno = NewReno::new(9_000);
        reno.handle_rto(at(1));
        assert_eq!(reno.window(), 18_000);
        reno.datagram_size_changed(1_200);
        assert_eq!(reno.window(), 2_400);
        reno.datagram_size_changed(9_000);
        assert_eq!(reno.window(), 18_000);
    }
}

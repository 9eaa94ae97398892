//! NewReno: slow start, AIMD and one reduction per flight (RFC 9002, 7; RFC 5681; RFC 6582).

use super::{AckSample, Controller, LossSample};
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
    fn sent(&mut self, _now: Instant, _bytes: u64, _in_flight: u64, _app_limited: bool) {}

    fn acknowledged(&mut self, _now: Instant, sample: &AckSample<'_>) {
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

    fn undo(&mut self, _now: Instant) {
        let Some(before) = self.before.take() else { return };
        self.window = self.window.max(before.window);
        self.threshold = before.threshold;
        self.recovery_start = before.recovery_start;
        self.in_recovery = false;
    }

    fn rto(&mut self, now: Instant) {
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

    fn pacing_rate(&self) -> Option<u64> {
        None
    }

    fn datagram_size_changed(&mut self, bytes: u64) {
        self.datagram = bytes.max(1);
        self.window = self.window.max(self.least_window());
    }

    fn name(&self) -> &'static str {
        "newreno"
    }
}

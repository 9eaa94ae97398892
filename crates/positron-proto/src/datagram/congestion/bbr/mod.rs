//! Congestion control by a model of the path (draft-ietf-ccwg-bbr-04, which is BBRv3).

mod path_model;
#[cfg(test)]
mod tests;

use self::path_model::{
    AckAggregation, BandwidthFilter, LeastRtt, LossJudge, RoundTally, bytes_in,
};
use super::{
    controller::{AckSample, Controller, DeliverySample, LossSample},
    round_counter::RoundCounter,
};
use crate::{
    limits::{
        BBR_PROBE_AGAIN, BBR_PROBE_RTT_LASTS, BBR_RENO_ROUNDS, FIRST_WINDOW_DATAGRAMS, MAX_BATCH,
        PACER_BURST_DATAGRAMS, PACER_QUANTUM,
    },
    time::{Duration, Instant},
};

/// BBRv3, with departures that are marked where they are.
///
/// It sends as fast as the path was seen to deliver, with about as much in flight as that rate
/// carries in the least round trip time. Every few seconds it tries a little more for a while, and
/// then less, so that the queue drains. What is in flight is bounded by what the path was seen to
/// lose too much of.
#[derive(Clone, Debug)]
pub(super) struct Bbr {
    datagram: u64,
    stage: BbrStage,
    rounds: RoundCounter,
    bandwidth: BandwidthFilter,
    least_rtt: LeastRtt,
    aggregation: AckAggregation,
    /// The last round trip, and this one.
    tallies: [RoundTally; 2],
    bounds: Bounds,
    /// The bounds before the last losses, so that [`Controller::undo`] can bring them back.
    before: Option<Bounds>,
    plateau: Plateau,
    probing: Probing,
    window: u64,
    /// The window before a timeout or ProbeRTT.
    saved_window: u64,
    /// The last timeout, until something sent afterwards arrives.
    timeout_at: Option<Instant>,
    pacing_rate: Option<u64>,
}

/// What it is doing (4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BbrStage {
    /// The rate doubles every round trip.
    Startup,
    /// The queue that Startup made is drained.
    Drain,
    /// ProbeBW_DOWN: slower than the path, until the queue is gone.
    Down,
    /// ProbeBW_CRUISE: as fast as the path.
    Cruise,
    /// ProbeBW_REFILL: as fast as the path, without the bounds of the short term, for a round trip.
    Refill,
    /// ProbeBW_UP: faster.
    Up,
    /// The least round trip time is looked for; until then, once so little is in flight.
    ProbeRtt(Option<Instant>),
}

/// Bounds that losses set, in bytes and bytes per second; `u64::MAX`: none.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// In flight, for the long term (`BBR.inflight_hi`).
    inflight_hi: u64,
    /// In flight, until the next probe (`BBR.inflight_lo`).
    inflight_lo: u64,
    /// The rate until the next probe (`BBR.bw_lo`).
    bw_lo: u64,
}

const UNBOUNDED: Bounds = Bounds { inflight_hi: u64::MAX, inflight_lo: u64::MAX, bw_lo: u64::MAX };

/// Whether the rate still grows (5.3.1.2, `BBR.full_bw`).
#[derive(Clone, Copy, Debug, Default)]
struct Plateau {
    rate: u64,
    rounds: u32,
    /// It was reached in Startup.
    reached: bool,
}

/// When the rate was tried last, and how (5.3.3).
#[derive(Clone, Copy, Debug, Default)]
struct Probing {
    /// When ProbeBW last went down, and how many round trips ago.
    since: Instant,
    rounds: u64,
    /// How long until the next one.
    wait: Duration,
    /// What is acknowledged was sent while the rate was tried (`BBR.bw_probe_samples`).
    samples: bool,
    /// The first round trip after it: its samples still belong to the cycle.
    stopping: bool,
    /// When Up began.
    up_at: Instant,
    /// Round trips of Up, which double the growth of `inflight_hi`, and bytes towards it.
    up_rounds: u32,
    up_bytes: u64,
}

impl Bbr {
    /// Starts with [`FIRST_WINDOW_DATAGRAMS`] of `datagram` bytes.
    pub(super) fn new(datagram: u64) -> Self {
        let datagram = datagram.max(1);
        let window = datagram.saturating_mul(FIRST_WINDOW_DATAGRAMS);
        Self {
            datagram,
            stage: BbrStage::Startup,
            rounds: RoundCounter::default(),
            bandwidth: BandwidthFilter::default(),
            least_rtt: LeastRtt::new(),
            aggregation: AckAggregation::default(),
            tallies: [RoundTally::default(); 2],
            bounds: UNBOUNDED,
            before: None,
            plateau: Plateau::default(),
            probing: Probing::default(),
            window,
            saved_window: 0,
            timeout_at: None,
            pacing_rate: None,
        }
    }

    // --- the model ---

    /// Bytes per second that the path is taken to carry (`BBR.bw`).
    fn rate(&self) -> u64 {
        self.bandwidth.highest().min(self.bounds.bw_lo)
    }

    /// What that carries in the least round trip time, in percent of it.
    fn bdp(&self, percent: u64) -> u64 {
        bytes_in(self.rate(), self.least_rtt.least()).saturating_mul(percent) / 100
    }

    /// The largest batch that is sent at once.
    fn quantum(&self) -> u64 {
        let burst = self.datagram.saturating_mul(PACER_BURST_DATAGRAMS);
        let batch = u64::try_from(MAX_BATCH).unwrap_or(u64::MAX);
        burst.max(bytes_in(self.rate(), PACER_QUANTUM)).min(batch)
    }

    /// 5.6.4.2: room for whole batches, and for acknowledgments that come together.
    fn inflight(&self, percent: u64) -> u64 {
        let filled = self.bdp(percent).saturating_add(self.aggregation.extra());
        filled.max(self.quantum().saturating_mul(3))
    }

    /// RFC 9002, 7.2: two datagrams, which a timeout leaves.
    fn least_window(&self) -> u64 {
        self.datagram.saturating_mul(2)
    }

    /// 2.7: `BBR.MinPipeCwnd`, four datagrams.
    fn least_pipe(&self) -> u64 {
        self.datagram.saturating_mul(4)
    }

    /// `inflight_hi` with room for others to find (2.7, `BBR.Headroom`). Departure: the room is in
    /// the queue, and not on the line: what the path carries without a queue is used.
    fn with_headroom(&self) -> u64 {
        let hi = self.bounds.inflight_hi;
        let left = hi / 100 * HEADROOM_PERCENT;
        left.max(self.inflight(100)).min(hi).max(self.least_pipe())
    }

    fn judge(&self) -> LossJudge {
        let [last, this] = self.tallies;
        let longest_rtt = last.longest_rtt.max(this.longest_rtt);
        let (least_rtt, datagram) = (self.least_rtt.least(), self.datagram);
        LossJudge { least_rtt, longest_rtt, datagram }
    }

    // --- what an acknowledgment changes ---

    fn learn(&mut self, sample: &AckSample) -> (bool, bool) {
        let delivery = &sample.delivery;
        let begins = self.rounds.handle_ack(delivery);
        if begins {
            self.end_round();
        }
        let rate = delivery.rate(self.least_rtt.least());
        if let Some(rate) = rate {
            self.bandwidth.handle_rate(rate, delivery.app_limited);
        }
        self.tallies[1].handle_ack(sample, rate);
        let due = sample.rtt.is_some_and(|rtt| self.least_rtt.handle_rtt(sample.now, rtt));
        self.aggregation.handle_ack(sample, self.rate(), self.window);
        (begins, due)
    }

    /// 5.5.10.3: a round trip that lost too much bounds the next ones, unless more is being tried.
    fn end_round(&mut self) {
        let [_, over] = self.tallies;
        let tries = matches!(self.stage, BbrStage::Startup | BbrStage::Refill | BbrStage::Up);
        let of = over.delivered.saturating_add(over.lost);
        if !tries && over.lost > 0 && self.judge().is_too_much(over.lost, of) {
            self.before.get_or_insert(self.bounds);
            let Bounds { inflight_lo, bw_lo, .. } = self.bounds;
            let (lo, rate) = (inflight_lo.min(self.window), bw_lo.min(self.bandwidth.highest()));
            self.bounds.inflight_lo = over.delivered.max(lo / 10 * BETA_TENTHS);
            self.bounds.bw_lo = over.rate.max(rate / 10 * BETA_TENTHS);
        }
        self.tallies = [over, RoundTally::default()];
        self.aggregation.handle_round();
        self.probing.rounds += 1;
    }

    /// 5.3.1.2: whether the rate stopped growing.
    fn is_full(&mut self, app_limited: bool) -> bool {
        if app_limited {
            return false;
        }
        let rate = self.bandwidth.highest();
        if rate / 5 * 4 >= self.plateau.rate {
            (self.plateau.rate, self.plateau.rounds) = (rate, 0);
            return false;
        }
        self.plateau.rounds += 1;
        self.plateau.rounds >= PLATEAU_ROUNDS
    }

    fn restart_plateau(&mut self) {
        (self.plateau.rate, self.plateau.rounds) = (0, 0);
    }

    /// 5.5.10.2: after trying more, what arrived without much loss is a bound that holds, and
    /// grows while more is tried.
    fn raise_bounds(&mut self, sample: &AckSample, begins: bool) {
        if begins && core::mem::take(&mut self.probing.stopping) && !sample.delivery.app_limited {
            self.bandwidth.advance();
        }
        if self.probing.samples && self.judge().is_flight_too_much(&sample.delivery) {
            self.bound_inflight(sample.now, &sample.delivery);
            return;
        }
        let Bounds { inflight_hi, .. } = self.bounds;
        if inflight_hi == u64::MAX {
            return;
        }
        self.bounds.inflight_hi = inflight_hi.max(sample.delivery.in_flight_then);
        if self.stage == BbrStage::Up {
            self.grow_bound(sample, begins);
        }
    }

    /// 5.3.3.4, `BBRProbeInflightHiUpward`: by 1, 2, 4, ... datagrams a round trip.
    fn grow_bound(&mut self, sample: &AckSample, begins: bool) {
        if sample.in_flight.saturating_add(sample.bytes) < self.bounds.inflight_hi / 10 * 9 {
            // It does not hold anything back.
            return;
        }
        if begins {
            self.probing.up_rounds = (self.probing.up_rounds + 1).min(UP_ROUNDS_MOST);
        }
        let step = (self.window >> self.probing.up_rounds).max(self.datagram);
        self.probing.up_bytes = self.probing.up_bytes.saturating_add(sample.bytes);
        let steps = self.probing.up_bytes / step;
        self.probing.up_bytes -= steps * step;
        let grown = steps.saturating_mul(self.datagram);
        self.bounds.inflight_hi = self.bounds.inflight_hi.saturating_add(grown);
    }

    /// 5.5.10.2, `BBRHandleInflightTooHigh`.
    fn bound_inflight(&mut self, now: Instant, delivery: &DeliverySample) {
        self.probing.samples = false;
        if !delivery.app_limited {
            self.before.get_or_insert(self.bounds);
            let target = self.bdp(100).min(self.window) / 10 * BETA_TENTHS;
            self.bounds.inflight_hi = delivery.in_flight_then.max(target).max(self.least_pipe());
        }
        if self.stage == BbrStage::Up {
            self.go_down(now);
        }
    }

    // --- stages ---

    fn step(&mut self, sample: &AckSample, begins: bool) {
        let now = sample.now;
        match self.stage {
            BbrStage::Startup => self.step_startup(sample, begins),
            BbrStage::Drain if sample.in_flight <= self.inflight(100) => self.go_down(now),
            BbrStage::Down | BbrStage::Cruise if self.is_probe_due(now) => {
                self.bounds = Bounds { inflight_hi: self.bounds.inflight_hi, ..UNBOUNDED };
                self.before = None;
                self.probing.up_rounds = 0;
                self.probing.up_bytes = 0;
                self.rounds.restart(&sample.delivery);
                self.stage = BbrStage::Refill;
            }
            BbrStage::Down if sample.in_flight <= self.with_headroom().min(self.inflight(100)) => {
                self.stage = BbrStage::Cruise;
            }
            BbrStage::Refill if begins => {
                self.probing.samples = true;
                self.probing.up_at = now;
                self.restart_plateau();
                self.stage = BbrStage::Up;
            }
            BbrStage::Up => {
                let lasted = now.since(self.probing.up_at) > self.least_rtt.least();
                let enough = lasted && sample.in_flight > self.inflight(UP_ENOUGH_PERCENT);
                let full = begins && self.is_full(sample.delivery.app_limited);
                if enough || full {
                    self.go_down(now);
                }
            }
            BbrStage::ProbeRtt(until) => self.step_probe_rtt(sample, until, begins),
            _ => {}
        }
    }

    fn step_startup(&mut self, sample: &AckSample, begins: bool) {
        if !begins {
            return;
        }
        let [last, _] = self.tallies;
        let of = last.delivered.saturating_add(last.lost);
        let lossy = last.lost > 0 && self.judge().is_too_much(last.lost, of);
        if lossy && self.plateau.rate > 0 {
            self.before.get_or_insert(self.bounds);
            self.bounds.inflight_hi = self.bdp(100).max(last.delivered).max(self.least_pipe());
        }
        if self.is_full(sample.delivery.app_limited) || self.bounds.inflight_hi != u64::MAX {
            self.plateau.reached = true;
            self.stage = BbrStage::Drain;
        }
    }

    /// ProbeBW_DOWN begins, and with it the wait for the next probe (5.3.3.5).
    fn go_down(&mut self, now: Instant) {
        self.stage = BbrStage::Down;
        // So that flows that share a line do not try it in step: a microsecond is as good as dice.
        let spread = BBR_PROBE_AGAIN.1 - BBR_PROBE_AGAIN.0;
        let thousandths = now.as_micros().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54;
        let thousandths = u32::try_from(thousandths).unwrap_or(0);
        let wait = BBR_PROBE_AGAIN.0 + spread * thousandths / 1_024;
        let Probing { up_at, up_rounds, up_bytes, samples, .. } = self.probing;
        let (since, rounds, stopping) = (now, 0, true);
        self.probing =
            Probing { since, rounds, wait, samples, stopping, up_at, up_rounds, up_bytes };
    }

    /// 5.3.3.5.1: after 2 to 3 s, or as many round trips as Reno takes to gain as much.
    fn is_probe_due(&self, now: Instant) -> bool {
        let reno = (self.bdp(100) / self.datagram).min(BBR_RENO_ROUNDS);
        now.since(self.probing.since) > self.probing.wait || self.probing.rounds >= reno.max(1)
    }

    /// 5.3.4: little is in flight for [`BBR_PROBE_RTT_LASTS`] and a round trip.
    fn step_probe_rtt(&mut self, sample: &AckSample, until: Option<Instant>, begins: bool) {
        match until {
            None if sample.in_flight <= self.probe_rtt_window() => {
                self.rounds.restart(&sample.delivery);
                self.stage = BbrStage::ProbeRtt(Some(sample.now + BBR_PROBE_RTT_LASTS));
            }
            Some(until) if begins && sample.now >= until => {
                self.least_rtt.handle_drained(sample.now);
                self.window = self.window.max(self.saved_window);
                if self.plateau.reached {
                    self.go_down(sample.now);
                    self.stage = BbrStage::Cruise;
                } else {
                    self.stage = BbrStage::Startup;
                }
            }
            _ => {}
        }
    }

    fn probe_rtt_window(&self) -> u64 {
        self.bdp(50).max(self.least_pipe())
    }

    // --- what it answers ---

    fn pace(&mut self) {
        let percent = match self.stage {
            BbrStage::Startup => STARTUP_PERCENT,
            BbrStage::Drain => DRAIN_PERCENT,
            BbrStage::Down => DOWN_PERCENT,
            BbrStage::Up => UP_PERCENT,
            BbrStage::Cruise | BbrStage::Refill | BbrStage::ProbeRtt(_) => 100,
        };
        let rate = self.rate();
        if rate == 0 {
            return;
        }
        // 5.6.2: a little slower, so that the queue is empty at some time.
        let paced = rate.saturating_mul(percent) / 100 * PACED_PERCENT / 100;
        let faster = self.pacing_rate.is_none_or(|before| paced > before);
        // The first rates are those of a few packets.
        if self.plateau.reached || faster {
            self.pacing_rate = Some(paced);
        }
    }

    /// 5.6.4.
    fn set_window(&mut self, sample: &AckSample) {
        let percent = if self.stage == BbrStage::Up { UP_WINDOW_PERCENT } else { WINDOW_PERCENT };
        let most = self.inflight(percent);
        let grown = self.window.saturating_add(sample.bytes);
        if self.plateau.reached {
            self.window = grown.min(most);
        } else if self.window < most {
            self.window = grown;
        }
        let bound = match self.stage {
            BbrStage::Startup | BbrStage::Drain => u64::MAX,
            BbrStage::Cruise => self.with_headroom(),
            BbrStage::ProbeRtt(_) => self.with_headroom().min(self.probe_rtt_window()),
            BbrStage::Down | BbrStage::Refill | BbrStage::Up => self.bounds.inflight_hi,
        };
        let bound = bound.min(self.bounds.inflight_lo).max(self.least_pipe());
        self.window = self.window.max(self.least_pipe()).min(bound);
    }
}

impl Controller for Bbr {
    fn acknowledged(&mut self, sample: &AckSample) {
        let (begins, rtt_due) = self.learn(sample);
        if self.timeout_at.is_some_and(|at| sample.newest_sent_at > at) {
            // 5.6.4.4: the model still holds.
            self.timeout_at = None;
            self.window = self.window.max(self.saved_window);
        }
        self.raise_bounds(sample, begins);
        self.step(sample, begins);
        if rtt_due && !matches!(self.stage, BbrStage::ProbeRtt(_)) {
            self.saved_window = self.window;
            self.stage = BbrStage::ProbeRtt(None);
        }
        self.pace();
        if self.timeout_at.is_none() {
            self.set_window(sample);
        }
    }

    fn lost(&mut self, now: Instant, sample: &LossSample) {
        self.tallies[1].lost = self.tallies[1].lost.saturating_add(sample.bytes);
        if self.probing.samples && self.judge().is_flight_too_much(&sample.delivery) {
            self.bound_inflight(now, &sample.delivery);
        }
        // RFC 9002, 7.6: nothing of what is known holds any more.
        if sample.persistent {
            let known = core::mem::replace(self, Self::new(self.datagram));
            self.rounds = known.rounds;
            self.least_rtt = known.least_rtt;
            self.window = self.least_window();
        }
    }

    fn undo(&mut self) {
        let Some(before) = self.before.take() else { return };
        self.bounds = Bounds {
            inflight_hi: self.bounds.inflight_hi.max(before.inflight_hi),
            inflight_lo: self.bounds.inflight_lo.max(before.inflight_lo),
            bw_lo: self.bounds.bw_lo.max(before.bw_lo),
        };
        self.tallies[1].lost = 0;
    }

    fn handle_rto(&mut self, now: Instant) {
        if self.timeout_at.is_none() {
            self.saved_window = self.window;
        }
        self.timeout_at = Some(now);
        self.window = self.least_window();
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn pacing_rate(&self) -> Option<u64> {
        self.pacing_rate
    }

    fn in_slow_start(&self) -> bool {
        self.stage == BbrStage::Startup
    }

    fn datagram_size_changed(&mut self, bytes: u64) {
        let was_least = self.window <= self.least_window();
        self.datagram = bytes.max(1);
        let least = self.least_window();
        self.window = if was_least { least } else { self.window.max(least) };
    }

    fn name(&self) -> &'static str {
        "bbr"
    }
}

/// Percent of the rate that is paced in each stage (2.4 and 5.3).
const STARTUP_PERCENT: u64 = 277;
const DRAIN_PERCENT: u64 = 50;
const DOWN_PERCENT: u64 = 90;
const UP_PERCENT: u64 = 125;
/// Percent of that again (2.5: `BBR.PacingMarginPercent`).
const PACED_PERCENT: u64 = 99;
/// Percent of the product of rate and least round trip time that may be in flight.
const WINDOW_PERCENT: u64 = 200;
const UP_WINDOW_PERCENT: u64 = 225;
/// The same that is in flight when enough was tried (BBRv2; BBRv3 goes on until the rate does not
/// grow for three round trips).
const UP_ENOUGH_PERCENT: u64 = 125;
/// Percent of `inflight_hi` that is used while nothing is tried (2.7).
const HEADROOM_PERCENT: u64 = 85;
/// What a loss leaves, in tenths (2.7: `BBR.Beta`).
const BETA_TENTHS: u64 = 7;
/// Round trips without a fourth more before the rate is known (5.3.1.2).
const PLATEAU_ROUNDS: u32 = 3;
/// The growth of `inflight_hi` doubles so often at the most.
const UP_ROUNDS_MOST: u32 = 30;

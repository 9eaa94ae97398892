//! CUBIC: the window grows by the cube of the time since the last reduction (RFC 9438).

use super::{
    controller::{AckSample, Controller, LossSample},
    hystart::{HyStart, SlowStartStep},
};
use crate::{
    limits::FIRST_WINDOW_DATAGRAMS,
    time::{Duration, Instant},
};

/// RFC 9438, with HyStart++ in slow start.
#[derive(Clone, Debug)]
pub(super) struct Cubic {
    datagram: u64,
    window: u64,
    threshold: u64,
    hystart: HyStart,
    /// Congestion avoidance, from its first acknowledgment on.
    epoch: Option<Epoch>,
    /// `W_max`: the window before the last reduction.
    most: u64,
    /// `cwnd_prior`: the same, which fast convergence did not lower.
    prior: u64,
    /// Packets sent no later than this belong to a flight that was already paid for.
    recovery_start: Option<Instant>,
    /// Growth that is less than a byte.
    rest: u64,
    smoothed: Duration,
    before: Option<Reduced>,
}

/// Congestion avoidance since a reduction.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    /// When it began, later by each time in which the window was not used (5.8).
    began: Instant,
    /// The last acknowledgment.
    last: Instant,
    /// `K`, in microseconds.
    plateau: u64,
    /// The window of the plateau: `W_max`, or where the epoch began if that is more.
    most: u64,
    /// `W_est`: the window that Reno would have.
    reno: u64,
    /// Bytes towards the next one of `W_est`.
    reno_rest: u64,
}

/// What a reduction destroyed, so that [`Controller::undo`] can bring it back (4.9).
#[derive(Clone, Copy, Debug)]
struct Reduced {
    window: u64,
    threshold: u64,
    most: u64,
    prior: u64,
    epoch: Option<Epoch>,
    recovery_start: Option<Instant>,
}

impl Cubic {
    /// Starts with [`FIRST_WINDOW_DATAGRAMS`] of `datagram` bytes.
    pub(super) fn new(datagram: u64) -> Self {
        let datagram = datagram.max(1);
        Self {
            datagram,
            window: datagram.saturating_mul(FIRST_WINDOW_DATAGRAMS),
            threshold: u64::MAX,
            hystart: HyStart::default(),
            epoch: None,
            most: 0,
            prior: 0,
            recovery_start: None,
            rest: 0,
            smoothed: Duration::ZERO,
            before: None,
        }
    }

    fn least_window(&self) -> u64 {
        self.datagram.saturating_mul(2)
    }

    fn remember(&mut self) {
        let Self { window, threshold, most, prior, epoch, recovery_start, .. } = *self;
        self.before = Some(Reduced { window, threshold, most, prior, epoch, recovery_start });
    }

    /// 4.6 and 4.7: `W_max` is the window, or less if it is below the last one, so that others find
    /// room (fast convergence); then 0.7 of it is left.
    fn reduce(&mut self, now: Instant) {
        self.remember();
        self.most = if self.window < self.most {
            // (1 + beta) / 2
            self.window / 20 * 17
        } else {
            self.window
        };
        self.prior = self.window;
        self.threshold = (self.window / 10 * BETA_TENTHS).max(self.least_window());
        self.recovery_start = Some(now);
        self.epoch = None;
        self.rest = 0;
    }

    fn avoid_congestion(&mut self, sample: &AckSample) {
        let (window, datagram) = (self.window, self.datagram);
        let epoch = self.epoch.get_or_insert_with(|| Epoch {
            began: sample.now,
            last: sample.now,
            plateau: plateau(self.most.saturating_sub(window), datagram),
            most: self.most.max(window),
            reno: window,
            reno_rest: 0,
        });
        if sample.app_limited {
            // 5.8: time in which the window was not used does not count.
            epoch.began = epoch.began + sample.now.since(epoch.last);
        }
        epoch.last = sample.now;
        if sample.app_limited {
            return;
        }
        // 4.3: W_est grows by alpha segments for each window, and by one once it has passed
        // cwnd_prior; alpha = 3 (1 - beta) / (1 + beta) = 9 / 17.
        let (nine, seventeen) = if epoch.reno >= self.prior { (1, 1) } else { (9, 17) };
        let gained =
            u128::from(sample.bytes) * u128::from(datagram) * nine + u128::from(epoch.reno_rest);
        let per = u128::from(window) * seventeen;
        epoch.reno = epoch.reno.saturating_add(narrow(gained / per));
        epoch.reno_rest = narrow(gained % per);
        let now = sample.now.since(epoch.began);
        if epoch.window_at(now, datagram) < epoch.reno {
            self.window = self.window.max(epoch.reno);
            return;
        }
        // 4.2: (target - cwnd) / cwnd for each segment, with the target a round trip ahead and
        // between the window and 1.5 windows.
        let ahead = epoch.window_at(now + self.smoothed, datagram);
        let target = ahead.clamp(window, window.saturating_add(window / 2));
        let grown = u128::from(target - window) * u128::from(sample.bytes) + u128::from(self.rest);
        self.window = self.window.saturating_add(narrow(grown / u128::from(window)));
        self.rest = narrow(grown % u128::from(window));
    }
}

impl Epoch {
    /// `W_cubic(t) = C (t - K)^3 + W_max`.
    fn window_at(&self, t: Duration, datagram: u64) -> u64 {
        let micros = u64::try_from(t.as_micros()).unwrap_or(u64::MAX).min(LONGEST_EPOCH);
        let cube = u128::from(micros.abs_diff(self.plateau)).pow(3);
        // C is 0.4 segments for each second cubed, which is 10^18 microseconds cubed.
        let change = narrow(cube / 1_000_000 * u128::from(datagram) * 4 / 10 / 1_000_000_000_000);
        if micros < self.plateau {
            self.most.saturating_sub(change)
        } else {
            self.most.saturating_add(change)
        }
    }
}

/// `K`, the cube root of `(W_max - cwnd_epoch) / C`, in microseconds.
fn plateau(missing: u64, datagram: u64) -> u64 {
    let cube = u128::from(missing) * 10 / 4 * 1_000_000_000_000 / u128::from(datagram) * 1_000_000;
    cube_root(cube).min(LONGEST_EPOCH)
}

/// The largest number whose cube is no more.
fn cube_root(cube: u128) -> u64 {
    let mut root = 0_u64;
    for bit in (0..42).rev() {
        let more = root | 1 << bit;
        if u128::from(more).pow(3) <= cube {
            root = more;
        }
    }
    root
}

fn narrow(wide: u128) -> u64 {
    u64::try_from(wide).unwrap_or(u64::MAX)
}

impl Controller for Cubic {
    fn acknowledged(&mut self, sample: &AckSample) {
        if let Some(rtt) = sample.rtt {
            let first = self.smoothed.is_zero();
            self.smoothed = if first { rtt } else { (self.smoothed * 7 + rtt) / 8 };
        }
        if self.recovery_start.is_some_and(|start| sample.newest_sent_at <= start) {
            return;
        }
        if self.window >= self.threshold {
            self.avoid_congestion(sample);
            return;
        }
        match self.hystart.handle_ack(sample) {
            _ if sample.app_limited => {}
            SlowStartStep::Grow(bytes) => {
                self.window = self.window.saturating_add(bytes).min(self.threshold);
            }
            SlowStartStep::Leave => self.threshold = self.window,
        }
    }

    fn lost(&mut self, now: Instant, sample: &LossSample) {
        let start = self.recovery_start;
        if start.is_none_or(|start| sample.newest_lost_sent_at > start) {
            self.reduce(now);
            self.window = self.threshold;
        }
        // RFC 9002, 7.6.2: it ends recovery too, so that slow start begins at once.
        if sample.persistent {
            self.window = self.least_window();
            self.recovery_start = None;
            self.hystart = HyStart::default();
        }
    }

    fn undo(&mut self) {
        let Some(before) = self.before.take() else { return };
        self.window = self.window.max(before.window);
        self.threshold = before.threshold;
        (self.most, self.prior, self.epoch) = (before.most, before.prior, before.epoch);
        self.recovery_start = before.recovery_start;
    }

    fn handle_rto(&mut self, now: Instant) {
        // As NewReno: a second timeout does not forget what the path carried (4.8).
        if self.window > self.least_window() {
            self.reduce(now);
        }
        self.recovery_start = Some(now);
        self.epoch = None;
        self.hystart = HyStart::default();
        self.window = self.least_window();
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn in_slow_start(&self) -> bool {
        self.window < self.threshold
    }

    fn datagram_size_changed(&mut self, bytes: u64) {
        let was_least = self.window <= self.least_window();
        self.datagram = bytes.max(1);
        let least = self.least_window();
        self.window = if was_least { least } else { self.window.max(least) };
    }

    fn name(&self) -> &'static str {
        "cubic"
    }
}

/// `beta_cubic` (4.6), in tenths.
const BETA_TENTHS: u64 = 7;
/// An hour and more, in microseconds, so that cubes and products stay within 128 bits.
const LONGEST_EPOCH: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    const DATAGRAM: u64 = 1_000;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1_000)
    }

    /// Congestion avoidance that lost something with a window of `datagrams`, at time 0.
    fn reduced_from(datagrams: u64) -> Cubic {
        let mut cubic = Cubic::new(DATAGRAM);
        cubic.window = datagrams * DATAGRAM;
        cubic.lost(at(0), &LossSample::of(DATAGRAM, at(0)));
        cubic
    }

    /// A window is acknowledged each `round` milliseconds, `times` over: the windows in datagrams.
    fn grow(cubic: &mut Cubic, (begin, round): (u64, u64), times: u64) -> Vec<u64> {
        let mut windows = Vec::new();
        for n in 0..times {
            let now = at(begin + n * round);
            let rtt = Some(Duration::from_millis(round));
            let each = AckSample { now, rtt, ..AckSample::of(cubic.window() / 10, now) };
            for _ in 0..10 {
                cubic.acknowledged(&each);
            }
            windows.push(cubic.window() / DATAGRAM);
        }
        windows
    }

    #[test]
    fn a_loss_leaves_seven_tenths_once_a_flight() {
        let mut cubic = reduced_from(100);
        assert_eq!(cubic.window(), 70_000);
        cubic.lost(at(5), &LossSample::of(DATAGRAM, at(0)));
        assert_eq!(cubic.window(), 70_000, "the same flight");
        cubic.lost(at(9), &LossSample::of(DATAGRAM, at(5)));
        assert_eq!((cubic.window(), cubic.most), (49_000, 59_500), "fast convergence: 0.85 of 70");
        cubic.window = 60_000;
        cubic.lost(at(20), &LossSample::of(DATAGRAM, at(19)));
        assert_eq!(cubic.most, 60_000, "it grew past the last one");
    }

    #[test]
    fn k_is_the_cube_root_of_what_is_missing_over_c() {
        // 1,000 segments: cube root of 300 / 0.4 = 9.0856 s.
        assert_eq!(plateau(300 * DATAGRAM, DATAGRAM), 9_085_602);
        assert_eq!(plateau(0, DATAGRAM), 0);
        for n in [0, 1, 7, 8, 26, 27, 1_000_000_000_000_000_000] {
            let root = u128::from(cube_root(n));
            assert!(root.pow(3) <= n && (root + 1).pow(3) > n, "{n}");
        }
    }

    #[test]
    fn the_window_is_concave_up_to_w_max_and_convex_beyond() {
        let mut cubic = reduced_from(1_000);
        let windows = grow(&mut cubic, (100, 100), 200);
        // K is 9.1 s: 0.4 * 9.1^3 = 300 below W_max at the beginning.
        assert!((700..=712).contains(&windows[0]), "{}", windows[0]);
        assert!((995..=1_001).contains(&windows[90]), "{}", windows[90]);
        // 19.9 s after the beginning: 0.4 * (20.0 - 9.1)^3 = 518 above.
        assert!((1_480..=1_530).contains(&windows[198]), "{}", windows[198]);
        let steps: Vec<_> = windows.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps[5] > steps[60] && steps[190] > steps[120], "{steps:?}");
    }

    #[test]
    fn on_a_short_path_it_grows_as_reno_does() {
        // 10 ms: C t^3 is nothing for seconds; W_est gains 9/17 of a segment a round trip.
        let mut cubic = reduced_from(20);
        let windows = grow(&mut cubic, (10, 10), 11);
        assert_eq!((windows[0], windows[10]), (14, 19));
        // Past cwnd_prior it is one a round trip.
        let windows = grow(&mut cubic, (120, 10), 12);
        assert!((9..=12).contains(&(windows[11] - windows[1])), "{windows:?}");
    }

    #[test]
    fn a_window_that_is_not_used_neither_grows_nor_lets_time_pass() {
        let mut cubic = reduced_from(100);
        grow(&mut cubic, (10, 10), 1);
        let before = cubic.window();
        for n in 0..1_000 {
            let idle = AckSample { app_limited: true, ..AckSample::of(DATAGRAM, at(20 + n * 10)) };
            cubic.acknowledged(&idle);
        }
        assert_eq!(cubic.window(), before);
        let after = grow(&mut cubic, (10_030, 10), 1)[0];
        assert!(after <= before / DATAGRAM + 1, "{after}");
    }

    #[test]
    fn a_timeout_leaves_two_datagrams_and_an_undo_brings_all_back() {
        let mut cubic = reduced_from(100);
        cubic.handle_rto(at(500));
        cubic.handle_rto(at(1_500));
        assert_eq!((cubic.window(), cubic.threshold), (2_000, 49_000));
        assert!(cubic.in_slow_start());
        cubic.undo();
        assert_eq!((cubic.window(), cubic.threshold), (70_000, 70_000));
    }
}

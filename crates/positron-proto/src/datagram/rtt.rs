//! Round trip times and the timeouts that follow from them (RFC 6298; RFC 9002, 5 and 6.2.1).

use crate::{
    limits::{
        ACK_DELAY, FIRST_RTT, MIN_RTT_WINDOW, RTO_LONGEST, RTO_SLACK_LEAST, TIMER_GRANULARITY,
    },
    time::{Duration, Instant},
};

/// What is known of a path's round trip time.
#[derive(Clone, Debug)]
pub(super) struct Rtt {
    latest: Duration,
    /// `None` before the first sample.
    smoothed: Option<Duration>,
    variation: Duration,
    least: WindowedLeast,
}

impl Rtt {
    /// Nothing is measured yet.
    pub(super) const fn new() -> Self {
        Self {
            latest: FIRST_RTT,
            smoothed: None,
            variation: Duration::from_micros(50_000),
            least: WindowedLeast { best: [Candidate { at: Instant::ORIGIN, rtt: FIRST_RTT }; 3] },
        }
    }

    /// A packet came back after `rtt`, of which the other end says that it waited for `ack_delay`:
    /// what it took without that, as far as that is believed.
    pub(super) fn sample(&mut self, now: Instant, rtt: Duration, ack_delay: Duration) -> Duration {
        // A clock that stood still must not make timers of zero length.
        let rtt = rtt.clamp(Duration::from_micros(1), LONGEST_SAMPLE);
        self.latest = rtt;
        let Some(smoothed) = self.smoothed else {
            self.least = WindowedLeast { best: [Candidate { at: now, rtt }; 3] };
            self.smoothed = Some(rtt);
            self.variation = rtt / 2;
            return rtt;
        };
        self.least.add(now, rtt);
        // RFC 9002, 5.3: no claim of the other end's takes a sample below the least one.
        let claimed = rtt.saturating_sub(ack_delay.min(ACK_DELAY));
        let adjusted = if claimed >= self.least.rtt() { claimed } else { rtt };
        self.variation = (self.variation * 3 + smoothed.abs_diff(adjusted)) / 4;
        self.smoothed = Some((smoothed * 7 + adjusted) / 8);
        claimed.max(self.least.rtt())
    }

    /// Whether there was a sample.
    pub(super) fn measured(&self) -> bool {
        self.smoothed.is_some()
    }

    /// The last sample; [`FIRST_RTT`] before there is one, as all below.
    pub(super) fn latest(&self) -> Duration {
        self.latest
    }

    /// SRTT.
    pub(super) fn smoothed(&self) -> Duration {
        self.smoothed.unwrap_or(FIRST_RTT)
    }

    /// RTTVAR.
    pub(super) fn variation(&self) -> Duration {
        self.variation
    }

    /// The least of about [`MIN_RTT_WINDOW`].
    pub(super) fn least(&self) -> Duration {
        self.least.rtt()
    }

    /// Retransmission timeout before backoff (RFC 6298, 2.3): at least [`RTO_SLACK_LEAST`] beyond
    /// the smoothed round trip time, at most [`RTO_LONGEST`].
    pub(super) fn rto(&self) -> Duration {
        (self.smoothed() + (self.variation * 4).max(RTO_SLACK_LEAST)).min(RTO_LONGEST)
    }

    /// 3 times the probe timeout: a wait for the other end that is longer than any honest one by
    /// far. Whoever answered late all the time made it longer, and must not be remembered for
    /// minutes.
    pub(super) fn three_pto(&self) -> Duration {
        (self.pto() * 3).min(RTO_LONGEST)
    }

    /// Probe timeout (RFC 9002, 6.2.1) with the longest delay of an acknowledgment.
    pub(super) fn pto(&self) -> Duration {
        self.smoothed() + (self.variation * 4).max(TIMER_GRANULARITY) + ACK_DELAY
    }
}

/// The minimum over a sliding window out of three samples (Nichols' filter, as in Linux
/// `lib/win_minmax.c`): the best, the best since then, the best since that.
#[derive(Clone, Copy, Debug)]
struct WindowedLeast {
    best: [Candidate; 3],
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    at: Instant,
    rtt: Duration,
}

impl WindowedLeast {
    fn rtt(&self) -> Duration {
        self.best[0].rtt
    }

    fn add(&mut self, now: Instant, rtt: Duration) {
        let new = Candidate { at: now, rtt };
        if rtt <= self.best[0].rtt || now.since(self.best[2].at) > MIN_RTT_WINDOW {
            self.best = [new; 3];
            return;
        }
        if rtt <= self.best[1].rtt {
            self.best = [self.best[0], new, new];
        } else if rtt <= self.best[2].rtt {
            self.best[2] = new;
        }
        self.expire(now, new);
    }

    fn expire(&mut self, now: Instant, new: Candidate) {
        let age = now.since(self.best[0].at);
        if age > MIN_RTT_WINDOW {
            self.best = [self.best[1], self.best[2], new];
            if now.since(self.best[0].at) > MIN_RTT_WINDOW {
                self.best = [self.best[1], self.best[2], new];
            }
        } else if self.best[1].at == self.best[0].at && age > MIN_RTT_WINDOW / 4 {
            self.best = [self.best[0], new, new];
        } else if self.best[2].at == self.best[1].at && age > MIN_RTT_WINDOW / 2 {
            self.best[2] = new;
        }
    }
}

/// Above this a sample is a clock that jumped; it also keeps sums far from overflow.
const LONGEST_SAMPLE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn samples_are_smoothed_as_rfc_6298_says() {
        let mut rtt = Rtt::new();
        assert_eq!((rtt.smoothed(), rtt.rto()), (FIRST_RTT, millis(300)));
        rtt.sample(Instant::ORIGIN, millis(200), millis(0));
        assert_eq!((rtt.smoothed(), rtt.variation()), (millis(200), millis(100)));
        assert_eq!(rtt.rto(), millis(600));
        rtt.sample(Instant::ORIGIN, millis(280), millis(0));
        assert_eq!((rtt.smoothed(), rtt.variation()), (millis(210), millis(95)));
        assert_eq!(rtt.pto(), millis(210 + 380 + 5));
    }

    #[test]
    fn however_steady_a_path_is_its_timeout_leaves_time_for_an_answer_that_waits() {
        for path in [millis(0), millis(20), millis(200), millis(2_000)] {
            let mut rtt = Rtt::new();
            for second in 0..100 {
                rtt.sample(Instant::ORIGIN + Duration::from_secs(second), path, millis(0));
            }
            assert!(rtt.rto() >= path + RTO_SLACK_LEAST, "{path:?}: {:?}", rtt.rto());
        }
    }

    #[test]
    fn a_claimed_delay_never_makes_a_path_shorter_than_it_was() {
        let mut rtt = Rtt::new();
        rtt.sample(Instant::ORIGIN, millis(100), millis(50));
        rtt.sample(Instant::ORIGIN, millis(102), millis(50));
        assert_eq!(rtt.least(), millis(100));
        assert!(rtt.smoothed() >= millis(100));
    }

    #[test]
    fn the_least_round_trip_time_is_forgotten_when_the_path_became_longer() {
        let mut rtt = Rtt::new();
        for second in 0..30 {
            let sample = if second < 3 { millis(20) } else { millis(50) };
            rtt.sample(Instant::ORIGIN + Duration::from_secs(second), sample, millis(0));
            assert_eq!(rtt.least(), if second < 13 { millis(20) } else { millis(50) }, "{second}");
        }
    }
}

//! HyStart++: leaves slow start when the round trip time grows, before packets are lost (RFC 9406).

use super::{controller::AckSample, round_counter::RoundCounter};
use crate::{
    limits::{
        CSS_GROWTH_DIVISOR, CSS_ROUNDS, HYSTART_MAX_RTT_THRESH, HYSTART_MIN_RTT_DIVISOR,
        HYSTART_MIN_RTT_THRESH, HYSTART_RTT_SAMPLES,
    },
    time::Duration,
};

/// Watches round trip times in slow start.
#[derive(Clone, Debug, Default)]
pub(super) struct HyStart {
    rounds: RoundCounter,
    /// The least round trip time of the last round and of this one.
    last_least: Option<Duration>,
    least: Option<Duration>,
    samples: u32,
    css: Option<ConservativeSlowStart>,
}

/// Slow start goes on slowly, in case the round trip time only jittered (4.2, CSS).
#[derive(Clone, Copy, Debug)]
struct ConservativeSlowStart {
    baseline: Duration,
    rounds: u32,
}

/// What slow start does with an acknowledgment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlowStartStep {
    /// Grows the window by so many bytes.
    Grow(u64),
    /// Is over.
    Leave,
}

impl HyStart {
    /// An acknowledgment in slow start.
    pub(super) fn handle_ack(&mut self, sample: &AckSample) -> SlowStartStep {
        if self.rounds.handle_ack(&sample.delivery) {
            self.last_least = self.least.take().or(self.last_least);
            self.samples = 0;
            if let Some(css) = &mut self.css {
                css.rounds += 1;
            }
        }
        if let Some(rtt) = sample.rtt {
            self.samples += 1;
            self.least = Some(self.least.map_or(rtt, |least| least.min(rtt)));
        }
        self.judge();
        match self.css {
            Some(css) if css.rounds >= CSS_ROUNDS => SlowStartStep::Leave,
            Some(_) => SlowStartStep::Grow(sample.bytes / CSS_GROWTH_DIVISOR),
            None => SlowStartStep::Grow(sample.bytes),
        }
    }

    fn judge(&mut self) {
        let (Some(least), Some(last)) = (self.least, self.last_least) else { return };
        if self.samples < HYSTART_RTT_SAMPLES {
            return;
        }
        if let Some(css) = self.css {
            // 4.2: it had only jittered.
            if least < css.baseline {
                self.css = None;
            }
            return;
        }
        let grown = last / HYSTART_MIN_RTT_DIVISOR;
        if least >= last + grown.clamp(HYSTART_MIN_RTT_THRESH, HYSTART_MAX_RTT_THRESH) {
            self.css = Some(ConservativeSlowStart { baseline: least, rounds: 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::controller::DeliverySample, *};
    use crate::time::Instant;

    /// Rounds of ten acknowledgments of 1,000 bytes, with these round trip times: what slow start
    /// does at the end of each.
    fn rounds(millis: &[u64]) -> Vec<SlowStartStep> {
        let (mut hystart, mut delivered) = (HyStart::default(), 0);
        let mut steps = Vec::new();
        for rtt in millis {
            let (prior_delivered, mut step) = (delivered, SlowStartStep::Leave);
            for _ in 0..10 {
                delivered += 1_000;
                let delivery =
                    DeliverySample { delivered, prior_delivered, ..DeliverySample::default() };
                let rtt = Some(Duration::from_millis(*rtt));
                let sample = AckSample { rtt, delivery, ..AckSample::of(1_000, Instant::ORIGIN) };
                step = hystart.handle_ack(&sample);
            }
            steps.push(step);
        }
        steps
    }

    #[test]
    fn a_steady_round_trip_time_never_ends_slow_start() {
        assert_eq!(rounds(&[40; 20]), [SlowStartStep::Grow(1_000); 20]);
    }

    #[test]
    fn a_round_trip_time_that_grows_by_an_eighth_slows_it_for_five_rounds_and_ends_it() {
        let mut expected = vec![SlowStartStep::Grow(1_000); 2];
        expected.extend([SlowStartStep::Grow(250); 5]);
        expected.push(SlowStartStep::Leave);
        assert_eq!(rounds(&[40, 40, 45, 46, 47, 48, 49, 50]), expected);
        assert_eq!(rounds(&[40, 44, 44, 44]), [SlowStartStep::Grow(1_000); 4], "4 ms of 40");
    }

    #[test]
    fn a_round_trip_time_that_falls_again_resumes_it() {
        let [.., slow, fast] = rounds(&[40, 46, 42])[..] else { panic!("three rounds") };
        assert_eq!((slow, fast), (SlowStartStep::Grow(250), SlowStartStep::Grow(1_000)));
    }
}

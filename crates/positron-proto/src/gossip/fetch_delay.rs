//! How long a push may follow an announcement.

use crate::{
    limits::{WANT_DELAY, WANT_DELAY_LEAST},
    time::Duration,
};

/// The wait between an announcement and the request, learned from how long after the announcement
/// pushes came (at once, if before it): short where the network is quick, [`WANT_DELAY`] where it
/// is not, and until it is known.
///
/// The estimator is that of RFC 6298, 2.2 and 2.3: a smoothed mean and four mean deviations.
#[derive(Debug, Default)]
pub(super) struct FetchDelay {
    learned: Option<Lag>,
}

#[derive(Clone, Copy, Debug)]
struct Lag {
    mean: Duration,
    deviation: Duration,
}

impl FetchDelay {
    /// How long to wait for a push.
    pub(super) fn wait(&self) -> Duration {
        self.learned.map_or(WANT_DELAY, |lag| {
            (lag.mean + 4 * lag.deviation).clamp(WANT_DELAY_LEAST, WANT_DELAY)
        })
    }

    /// A push came so long after the first announcement, asked for or not.
    pub(super) fn learn(&mut self, lag: Duration) {
        // A late one says that there is a reason to wait, not that it pays to wait for ever.
        let lag = lag.min(2 * WANT_DELAY);
        self.learned = Some(match self.learned {
            None => Lag { mean: lag, deviation: lag / 2 },
            Some(Lag { mean, deviation }) => Lag {
                mean: mean - mean / 8 + lag / 8,
                deviation: deviation - deviation / 4 + mean.abs_diff(lag) / 4,
            },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lags: impl IntoIterator<Item = u64>) -> Duration {
        let mut patience = FetchDelay::default();
        lags.into_iter().for_each(|lag| patience.learn(Duration::from_millis(lag)));
        patience.wait()
    }

    #[test]
    fn a_quick_network_is_asked_soon_and_a_slow_one_late() {
        assert_eq!(after([]), WANT_DELAY);
        assert_eq!(after([1; 40]), WANT_DELAY_LEAST);
        assert_eq!(after([50; 5]), WANT_DELAY);
        assert_eq!(after([100_000; 9]), WANT_DELAY);
        let between = after((0..60).map(|n| 8 + n % 3));
        assert!((WANT_DELAY_LEAST..WANT_DELAY).contains(&between), "{between:?}");
    }

    #[test]
    fn what_was_quick_and_became_slow_is_learned_again() {
        let lags = core::iter::repeat_n(1, 100).chain(core::iter::repeat_n(55, 12));
        assert_eq!(after(lags), WANT_DELAY);
    }
}

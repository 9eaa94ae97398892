//! How long a push may follow an announcement, and an answer a request.

use crate::{
    limits::{WANT_DELAY, WANT_DELAY_LEAST, WANT_TIMEOUT, WANT_TIMEOUT_MOST},
    time::Duration,
};

/// The wait between an announcement and the request, learned from how long after the announcement
/// pushes came (at once, if before it): a little longer than the longest of late, so that what is
/// only late is not asked for; [`WANT_DELAY`] until it is known.
///
/// A mean and its deviations would not do: along a tree most pushes come before any announcement,
/// and a few, of far senders, always after it.
#[derive(Debug)]
pub(super) struct FetchDelay {
    /// Grows with what is late at once, and fades with each message.
    longest: Duration,
}

/// After so many messages on time a third of the longest is left (guess).
const FADES_WITHIN: u32 = 256;

/// The wait between a request and the next holder's turn, learned from how long answers took.
#[derive(Debug, Default)]
pub(super) struct AnswerTimeout(Lag);

/// What is to be expected of a time that was measured again and again.
///
/// The estimator is that of RFC 6298, 2.2 and 2.3: a smoothed mean and four mean deviations.
#[derive(Debug, Default)]
struct Lag(Option<(Duration, Duration)>);

impl Lag {
    fn bound(&self) -> Option<Duration> {
        self.0.map(|(mean, deviation)| mean + 4 * deviation)
    }

    fn learn(&mut self, lag: Duration) {
        self.0 = Some(self.0.map_or((lag, lag / 2), |(mean, deviation)| {
            (mean - mean / 8 + lag / 8, deviation - deviation / 4 + mean.abs_diff(lag) / 4)
        }));
    }
}

impl AnswerTimeout {
    /// How long to wait for an answer.
    pub(super) fn wait(&self) -> Duration {
        self.0.bound().map_or(WANT_TIMEOUT, |lag| lag.clamp(WANT_TIMEOUT, WANT_TIMEOUT_MOST))
    }

    /// An answer took so long.
    pub(super) fn learn(&mut self, lag: Duration) {
        // As long as anybody waits, or a peer that was away for a minute is waited for long.
        self.0.learn(lag.min(WANT_TIMEOUT_MOST));
    }
}

impl Default for FetchDelay {
    fn default() -> Self {
        Self { longest: WANT_DELAY }
    }
}

impl FetchDelay {
    /// How long to wait for a push.
    pub(super) fn wait(&self) -> Duration {
        self.longest.max(WANT_DELAY_LEAST)
    }

    /// A push came so long after the first announcement, asked for or not.
    pub(super) fn learn(&mut self, lag: Duration) {
        // A very late one says that there is a reason to wait, not that it pays to wait for ever.
        let with_margin = (lag + lag / 4).min(WANT_DELAY);
        self.longest = with_margin.max(self.longest - self.longest / FADES_WITHIN);
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
        assert_eq!(after([1; 1_000]), WANT_DELAY_LEAST);
        assert_eq!(after([100_000; 9]), WANT_DELAY);
        assert_eq!(after([40; 1_000]), Duration::from_millis(50), "and a quarter more");
    }

    #[test]
    fn what_is_late_now_and_then_is_waited_for() {
        let lags = (0..1_000).map(|n| if n % 20 == 0 { 60 } else { 0 });
        assert!(after(lags) > Duration::from_millis(55));
    }

    #[test]
    fn what_was_quick_and_became_slow_is_learned_at_once() {
        let lags = core::iter::repeat_n(1, 1_000).chain([200]);
        assert_eq!(after(lags), WANT_DELAY);
    }
}

//! Whether batches of datagrams arrive where single ones do.

use crate::{
    limits::{BATCHES_AGAIN, BATCHES_LOST},
    time::Instant,
};

/// Judges segmentation offload on the path of one connection.
///
/// A batch is one buffer that is cut into datagrams on its way, by the kernel or by the network
/// device. Some paths take the buffer and lose it whole, without a word: a device that cannot cut,
/// or a filter that compares the size of the buffer with that of a datagram. Then only what goes
/// alone arrives, one probe after each timeout.
///
/// ```text
///  batches ── some datagram of a batch lost, one that was sent alone after it arrived: a strike
///     │        (any datagram of a batch arrived: no strikes)
///     │ BATCHES_LOST strikes
///     ▼
///  one by one ── BATCHES_AGAIN passed, or the path is another ──▸ batches
/// ```
///
/// The first datagram of a batch counts as one that goes alone: it is lost with its batch, and says
/// nothing if it arrives. Random losses strike too, and are forgotten as soon as the rest of a
/// batch arrives; who is judged wrongly pays with processor time only.
#[derive(Debug)]
pub(super) struct Batching {
    enabled: bool,
    /// The highest number lost in a batch, until the next strike.
    lost: Option<u64>,
    /// What was sent before it does not strike.
    since: u64,
    strikes: u32,
    /// Until when datagrams go one by one.
    singly_until: Option<Instant>,
}

impl Batching {
    /// Batches go, if they are `enabled`.
    pub(super) const fn new(enabled: bool) -> Self {
        Self { enabled, lost: None, since: 0, strikes: 0, singly_until: None }
    }

    /// Whether a batch may have more than one datagram now.
    pub(super) fn is_allowed(&self, now: Instant) -> bool {
        self.enabled && self.singly_until.is_none_or(|until| until <= now)
    }

    /// A datagram arrived; `follows`: it was not the first of its batch. Whether batches end here.
    pub(super) fn handle_ack(&mut self, now: Instant, number: u64, follows: bool) -> bool {
        if follows {
            (self.lost, self.strikes) = (None, 0);
            return false;
        }
        if self.lost.is_none_or(|lost| number < lost) {
            return false;
        }
        (self.lost, self.since) = (None, number);
        self.strikes += 1;
        let is_over = self.strikes >= BATCHES_LOST;
        if is_over {
            self.strikes = 0;
            self.singly_until = Some(now + BATCHES_AGAIN);
        }
        is_over
    }

    /// A datagram was declared lost.
    pub(super) fn handle_loss(&mut self, number: u64, follows: bool) {
        if follows && number > self.since {
            self.lost = self.lost.max(Some(number));
        }
    }

    /// The path is another one.
    pub(super) const fn handle_move(&mut self) {
        *self = Self::new(self.enabled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Instant = Instant::from_micros(1 << 40);

    /// A batch is lost, and what goes alone after it arrives.
    fn strike(batching: &mut Batching, number: u64) -> bool {
        batching.handle_loss(number, false);
        batching.handle_loss(number + 1, true);
        batching.handle_ack(NOON, number + 2, false)
    }

    #[test]
    fn batches_that_are_lost_where_single_datagrams_arrive_end_for_a_while() {
        let mut batching = Batching::new(true);
        let ends = (1..=u64::from(BATCHES_LOST)).map(|n| strike(&mut batching, 10 * n));
        let ends: Vec<bool> = ends.collect();
        assert!(ends[ends.len() - 1] && !ends[..ends.len() - 1].contains(&true));
        assert!(!batching.is_allowed(NOON));
        assert!(batching.is_allowed(NOON + BATCHES_AGAIN));
        batching.handle_move();
        assert!(batching.is_allowed(NOON));
    }

    #[test]
    fn losses_within_batches_that_arrive_are_no_sign() {
        let mut batching = Batching::new(true);
        for n in 1..1_000 {
            assert!(!strike(&mut batching, 10 * n));
            assert!(!batching.handle_ack(NOON, 10 * n + 4, true));
        }
        assert!(batching.is_allowed(NOON));
    }

    #[test]
    fn an_outage_strikes_once_however_many_batches_it_takes() {
        let mut batching = Batching::new(true);
        (10..1_000).for_each(|number| batching.handle_loss(number, true));
        for number in 1_000..2_000 {
            assert!(!batching.handle_ack(NOON, number, false));
            batching.handle_loss(number - 500, true);
        }
        assert!(batching.is_allowed(NOON));
    }

    #[test]
    fn what_is_switched_off_stays_off() {
        assert!(!Batching::new(false).is_allowed(NOON));
    }
}

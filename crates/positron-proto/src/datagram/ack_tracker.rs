//! Which packets arrived, and when to say so (RFC 9000, 13.2).

use core::ops::RangeInclusive;

use super::ranges::RangeSet;
use crate::{
    limits::{ACK_DELAY, ACK_EVERY_LEAST, ACK_EVERY_MOST, MAX_ACK_RANGES, QUICK_ACKS},
    time::{Duration, Instant},
    wire::packet_frame::put_ack,
};

/// The packets that arrived from the other end.
///
/// Tell it of a whole batch first and ask [`ack_due`](Self::ack_due) afterwards: one wake-up makes
/// at most one acknowledgment. The header of any packet that goes out carries
/// [`cumulative`](Self::cumulative) and is followed by
/// [`handle_header_sent`](Self::handle_header_sent); what it does not tell is appended by
/// [`put_ack`](Self::put_ack).
#[derive(Clone, Debug)]
pub(super) struct AckTracker {
    /// Everything below arrived or was abandoned.
    cumulative: u64,
    /// What arrived above the cumulative number.
    above: RangeSet,
    largest: Option<Largest>,
    /// Eliciting packets in all, until there were [`QUICK_ACKS`].
    quick: u32,
    waiting: Option<Waiting>,
    delay: Duration,
    pace: Pace,
}

#[derive(Clone, Copy, Debug)]
struct Largest {
    number: u64,
    at: Instant,
}

/// Eliciting packets that no acknowledgment has told of.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    since: Instant,
    packets: u32,
    /// One of them left or filled a gap: the sender's loss detection waits for that.
    urgent: bool,
}

/// How fast eliciting packets come.
#[derive(Clone, Copy, Debug)]
struct Pace {
    since: Instant,
    packets: u32,
    /// How many share an acknowledgment.
    every: u32,
    /// What the caller demands instead.
    told: Option<u32>,
}

impl AckTracker {
    /// Nothing arrived; the number space starts at 0.
    pub(super) const fn new() -> Self {
        Self {
            cumulative: 0,
            above: RangeSet::new(),
            largest: None,
            quick: 0,
            waiting: None,
            delay: ACK_DELAY,
            pace: Pace { since: Instant::ORIGIN, packets: 0, every: ACK_EVERY_LEAST, told: None },
        }
    }

    /// A packet that opened; whether it is new and was not abandoned.
    pub(super) fn handle_arrival(
        &mut self,
        now: Instant,
        number: u64,
        ack_eliciting: bool,
    ) -> bool {
        // A number that is as good as endless would leave no cumulative number above it.
        if number == u64::MAX || number < self.cumulative || !self.above.insert(number) {
            return false;
        }
        self.advance();
        if self.above.len() > MAX_ACK_RANGES {
            self.above.pop_lowest_range();
        }
        let expected = self.largest.map_or(0, |largest| largest.number + 1);
        if number >= expected {
            self.largest = Some(Largest { number, at: now });
        }
        if ack_eliciting {
            self.elicited(now, number != expected);
        }
        true
    }

    /// STOP_WAITING of the other end: nothing below comes any more.
    pub(super) fn abandoned_below(&mut self, number: u64) {
        if number > self.cumulative {
            self.cumulative = number;
            self.above.remove_below(number);
            self.advance();
        }
    }

    /// The round trip time: an acknowledgment waits no longer than a quarter of it.
    pub(super) fn rtt_changed(&mut self, rtt: Duration) {
        self.delay = (rtt / 4).min(ACK_DELAY);
    }

    /// How many eliciting packets share an acknowledgment, at most [`ACK_EVERY_MOST`]; `None`: as
    /// many as arrive in a quarter of the delay.
    #[cfg(test)]
    pub(super) fn ack_every(&mut self, packets: Option<u32>) {
        self.pace.told = packets.map(|packets| packets.clamp(1, ACK_EVERY_MOST));
    }

    /// The lowest number that neither arrived nor was abandoned: the header's acknowledgment.
    pub(super) fn cumulative(&self) -> u64 {
        self.cumulative
    }

    /// What arrived above the cumulative number, highest first, at most [`MAX_ACK_RANGES`].
    pub(super) fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> + Clone + '_ {
        self.above.iter().rev()
    }

    /// Whether the cumulative number does not tell all.
    pub(super) fn has_gaps(&self) -> bool {
        !self.above.is_empty()
    }

    /// Gaps below what arrived above the cumulative number.
    pub(super) fn gaps(&self) -> usize {
        self.above.len()
    }

    /// Whether an acknowledgment is to be sent now.
    pub(super) fn ack_due(&self, now: Instant) -> bool {
        self.poll_timeout().is_some_and(|due| due <= now)
    }

    /// When an acknowledgment is due; in the past if it has been since then.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.waiting?;
        let enough = if self.quick < QUICK_ACKS { ACK_EVERY_LEAST } else { self.every() };
        let due = waiting.urgent || waiting.packets >= enough;
        Some(if due { waiting.since } else { waiting.since + self.delay })
    }

    /// How long the largest packet has waited for its acknowledgment.
    pub(super) fn ack_delay(&self, now: Instant) -> Duration {
        self.largest.map_or(Duration::ZERO, |largest| now.since(largest.at))
    }

    /// Appends what the header does not tell, if there is such, as far as it fits into `room`
    /// bytes. It goes out, alone or with data.
    pub(super) fn put_ack(&mut self, now: Instant, out: &mut Vec<u8>, room: usize) {
        if self.has_gaps() {
            put_ack(out, self.ranges(), self.ack_delay(now), room);
            self.ack_sent(now);
        }
    }

    /// A header with the cumulative number goes out.
    pub(super) fn handle_header_sent(&mut self, now: Instant) {
        if !self.has_gaps() {
            // It said it all.
            self.ack_sent(now);
        }
    }

    /// All that arrived is told.
    pub(super) fn ack_sent(&mut self, now: Instant) {
        let Some(waiting) = self.waiting.take() else { return };
        self.quick = self.quick.saturating_add(waiting.packets).min(QUICK_ACKS);
        self.pace.measure(now, self.delay);
    }

    fn every(&self) -> u32 {
        self.pace.told.unwrap_or(self.pace.every)
    }

    fn elicited(&mut self, now: Instant, out_of_order: bool) {
        self.pace.packets = self.pace.packets.saturating_add(1);
        let waiting = self.waiting.get_or_insert(Waiting { since: now, packets: 0, urgent: false });
        waiting.packets = waiting.packets.saturating_add(1);
        waiting.urgent |= out_of_order;
    }

    fn advance(&mut self) {
        if let Some(gap) = self.above.lowest_gap(self.cumulative) {
            if gap > self.cumulative {
                self.above.remove_below(gap);
            }
            self.cumulative = gap;
        }
    }
}

impl Pace {
    /// Counts over a while, so that a single burst does not decide.
    fn measure(&mut self, now: Instant, delay: Duration) {
        let elapsed = now.since(self.since);
        if elapsed < delay.max(LEAST_MEASURED) {
            return;
        }
        let quarter = delay.as_micros() / 4;
        let arrived = u128::from(self.packets) * quarter / elapsed.as_micros().max(1);
        self.every =
            u32::try_from(arrived).unwrap_or(ACK_EVERY_MOST).clamp(ACK_EVERY_LEAST, ACK_EVERY_MOST);
        self.since = now;
        self.packets = 0;
    }
}

/// A pace is taken over no less than this (guess: some wake-ups of a loaded runtime).
const LEAST_MEASURED: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    /// Past the first packets, with a round trip time of 40 ms, everything acknowledged.
    fn settled() -> AckTracker {
        let mut received = AckTracker::new();
        received.rtt_changed(Duration::from_millis(40));
        for number in 0..u64::from(QUICK_ACKS) {
            received.handle_arrival(at(0), number, true);
        }
        received.ack_sent(at(0));
        received
    }

    #[test]
    fn an_acknowledgment_waits_for_company_but_not_for_long() {
        let mut received = settled();
        received.handle_arrival(at(1_000), 16, true);
        assert!(!received.ack_due(at(1_000)));
        assert_eq!(received.poll_timeout(), Some(at(6_000)));
        received.handle_arrival(at(2_000), 17, true);
        assert!(received.ack_due(at(2_000)), "two are enough");
        received.ack_sent(at(2_000));
        assert_eq!(received.poll_timeout(), None);
    }

    #[test]
    fn a_gap_is_told_at_once_and_so_is_what_fills_it() {
        let mut received = settled();
        received.ack_every(Some(64));
        received.handle_arrival(at(1_000), 17, true);
        assert!(received.ack_due(at(1_000)));
        received.ack_sent(at(1_000));
        received.handle_arrival(at(1_100), 18, true);
        assert!(!received.ack_due(at(1_100)), "the gap was told");
        received.handle_arrival(at(1_200), 16, true);
        assert!(received.ack_due(at(1_200)));
        assert_eq!((received.cumulative(), received.has_gaps()), (19, false));
    }

    #[test]
    fn what_only_acknowledges_is_never_acknowledged_by_itself() {
        let mut received = settled();
        received.handle_arrival(at(1_000), 40, false);
        received.handle_arrival(at(1_000), 42, false);
        assert_eq!(received.poll_timeout(), None);
        assert_eq!(received.ranges().collect::<Vec<_>>(), [42..=42, 40..=40]);
    }

    #[test]
    fn fast_packets_share_an_acknowledgment_and_slow_ones_do_not() {
        let mut received = settled();
        let mut acks = 0u32;
        for number in 16..10_016u64 {
            let now = at(number * 20);
            received.handle_arrival(now, number, true);
            if received.ack_due(now) {
                received.ack_sent(now);
                acks += 1;
            }
        }
        assert!((150..400).contains(&acks), "{acks} for 10,000 packets");
    }

    #[test]
    fn every_other_packet_costs_no_more_than_the_bound() {
        let mut received = AckTracker::new();
        for number in (1..10_000).step_by(2) {
            received.handle_arrival(at(number), number, true);
        }
        assert_eq!(received.ranges().count(), MAX_ACK_RANGES);
        assert_eq!(received.ranges().next(), Some(9_999..=9_999));
        assert_eq!(received.cumulative(), 0);
        received.abandoned_below(9_998);
        assert_eq!((received.cumulative(), received.has_gaps()), (9_998, true));
        assert!(!received.handle_arrival(at(1), 3, true), "abandoned");
        assert!(received.handle_arrival(at(1), 9_998, true));
        assert_eq!(received.cumulative(), 10_000);
        assert!(!received.handle_arrival(at(1), u64::MAX, true));
    }
}

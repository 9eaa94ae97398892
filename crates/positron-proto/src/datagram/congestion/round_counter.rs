//! Round trips, counted by what is delivered (draft-ietf-ccwg-bbr, 5.5.1).

use super::controller::DeliverySample;

/// A round trip is over when something is acknowledged that was sent after the last one was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundCounter {
    ends_at: u64,
}

impl RoundCounter {
    /// Whether this acknowledgment is the first of a round trip.
    pub(super) fn handle_ack(&mut self, sample: &DeliverySample) -> bool {
        let begins = sample.prior_delivered >= self.ends_at;
        if begins {
            self.restart(sample);
        }
        begins
    }

    /// A round trip begins now, whatever was before.
    pub(super) fn restart(&mut self, sample: &DeliverySample) {
        self.ends_at = sample.delivered;
    }
}

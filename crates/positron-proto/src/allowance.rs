//! How much somebody may still say.

use crate::time::{Duration, Instant};

/// A burst at once, and then one at a time (generic cell rate algorithm, ITU-T I.371: one number).
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    paid_until: Instant,
}

impl Allowance {
    pub(crate) const fn new() -> Self {
        Self { paid_until: Instant::ORIGIN }
    }

    /// Pays for one; false if there were too many already.
    pub(crate) fn pay(&mut self, now: Instant, interval: Duration, burst: u32) -> bool {
        if self.paid_until > now + interval * burst.saturating_sub(1) {
            return false;
        }
        self.paid_until = self.paid_until.max(now) + interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_a_burst_at_once_and_then_one_at_a_time() {
        let mut allowance = Allowance::default();
        let (start, second) = (Instant::from_micros(1_000_000_000), Duration::from_secs(1));
        let said = (0..1_000).filter(|_| allowance.pay(start, second, 20)).count();
        assert_eq!(said, 20);
        let later = start + second;
        assert!(allowance.pay(later, second, 20) && !allowance.pay(later, second, 20));
    }
}

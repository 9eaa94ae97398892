//! Equivocations, told to the application.

use super::Event;
use crate::{
    allowance::Allowance,
    id::{MessageId, NodeId},
    limits::{EQUIVOCATIONS_AT_ONCE, EQUIVOCATIONS_TOLD_EVERY},
    time::Instant,
};

/// How many equivocations the application was told of late. Keys cost nothing: who makes many does
/// not fill the log.
#[derive(Debug, Default)]
pub(super) struct Equivocations {
    allowance: Allowance,
    untold: u64,
}

impl Equivocations {
    /// Both contents under a number of `sender` are held here.
    pub(super) fn tell(
        &mut self,
        now: Instant,
        (sender, sequence): (NodeId, u64),
        messages: [MessageId; 2],
    ) -> Option<Event> {
        if !self.allowance.pay(now, EQUIVOCATIONS_TOLD_EVERY, EQUIVOCATIONS_AT_ONCE) {
            self.untold += 1;
            return None;
        }
        let untold = core::mem::take(&mut self.untold);
        Some(Event::Equivocated { sender, sequence, messages, untold })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    #[test]
    fn of_a_thousand_at_once_a_few_are_told_and_the_next_one_says_how_many_were_not() {
        let (mut told, start) = (Equivocations::default(), Instant::from_micros(1_000_000_000));
        let ids = [1, 2].map(|n| MessageId::from_bytes([n; 32]));
        let mut tell = |now, n: u8| told.tell(now, (NodeId::from_bytes([n; 32]), 7), ids);
        let first = (0..200).filter_map(|n| tell(start, n)).count();
        assert_eq!(u32::try_from(first).unwrap(), EQUIVOCATIONS_AT_ONCE);
        let Some(Event::Equivocated { untold, .. }) = tell(start + Duration::from_secs(60), 1)
        else {
            panic!("a minute later there is room");
        };
        assert_eq!(untold, 200 - u64::from(EQUIVOCATIONS_AT_ONCE));
    }
}

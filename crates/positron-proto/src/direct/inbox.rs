//! Which direct messages came already.

use std::collections::BTreeMap;

use crate::{
    id::NodeId,
    limits::{MAX_DIRECT_RANGES, MAX_DIRECT_SENDERS},
    wire::holdings::Ranges,
};

/// The numbers received of each sender: at most [`MAX_DIRECT_SENDERS`] senders, the one silent
/// longest is forgotten first, and [`MAX_DIRECT_RANGES`] ranges each.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    senders: BTreeMap<NodeId, Received>,
    by_silence: BTreeMap<u64, NodeId>,
    clock: u64,
}

#[derive(Debug, Default)]
struct Received {
    numbers: Ranges,
    /// A tick of the inbox's clock, which counts from 1.
    heard: u64,
}

impl Inbox {
    /// Whether the message came already, or is so old that it may have.
    pub(super) fn has(&self, sender: &NodeId, number: u64) -> bool {
        self.senders.get(sender).is_some_and(|received| received.numbers.contains(number))
    }

    /// Takes note of a message; returns whether it is new.
    pub(super) fn insert(&mut self, sender: NodeId, number: u64) -> bool {
        let received = self.senders.entry(sender).or_default();
        if !received.numbers.insert(number) {
            return false;
        }
        if received.numbers.len() > MAX_DIRECT_RANGES {
            // Everything below the second range counts as received.
            let second = received.numbers.iter().nth(1).map_or(0, |range| *range.start());
            received.numbers.insert_range(0..=second);
        }
        self.clock += 1;
        self.by_silence.remove(&received.heard);
        received.heard = self.clock;
        self.by_silence.insert(self.clock, sender);
        if self.senders.len() > MAX_DIRECT_SENDERS
            && let Some((_, silent)) = self.by_silence.pop_first()
        {
            self.senders.remove(&silent);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(number: usize) -> NodeId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        NodeId::from_bytes(id)
    }

    #[test]
    fn numbers_are_new_once_in_any_order_and_old_ones_are_never_new() {
        let mut inbox = Inbox::default();
        for number in [9, 7, 8, 0] {
            assert!(inbox.insert(sender(0), number));
            assert!(!inbox.insert(sender(0), number));
        }
        for number in 0..10_000 {
            inbox.insert(sender(0), 10 + number * 2);
        }
        assert!(inbox.has(&sender(0), 11), "given up as old");
        assert!(!inbox.has(&sender(0), 19_999));
        assert_eq!(inbox.senders[&sender(0)].numbers.len(), MAX_DIRECT_RANGES);
    }

    #[test]
    fn the_sender_silent_longest_is_forgotten_first() {
        let mut inbox = Inbox::default();
        for number in 0..MAX_DIRECT_SENDERS {
            inbox.insert(sender(number), 1);
        }
        inbox.insert(sender(0), 2);
        inbox.insert(sender(MAX_DIRECT_SENDERS), 1);
        assert!(inbox.has(&sender(0), 1));
        assert!(!inbox.has(&sender(1), 1));
        assert_eq!(inbox.senders.len(), MAX_DIRECT_SENDERS);
        assert_eq!(inbox.by_silence.len(), MAX_DIRECT_SENDERS);
    }
}

//! Which direct messages came already.

use crate::{
    id::NodeId,
    limits::{MAX_DIRECT_RANGES, MAX_DIRECT_SENDERS},
    lru::LruMap,
    wire::holdings::Ranges,
};

/// The numbers received of each process of a sender: at most [`MAX_DIRECT_SENDERS`], the one silent
/// longest is forgotten first, and [`MAX_DIRECT_RANGES`] ranges each.
///
/// A process that has ended says nothing twice, and the next one may not know how far it was: its
/// numbers are judged by themselves.
#[derive(Debug)]
pub(super) struct Inbox {
    senders: LruMap<SenderProcess, Ranges>,
}

/// Who, and which start of it.
pub(super) type SenderProcess = (NodeId, u64);

impl Default for Inbox {
    fn default() -> Self {
        Self { senders: LruMap::new(MAX_DIRECT_SENDERS) }
    }
}

impl Inbox {
    /// Whether the message came already, or is so old that it may have.
    pub(super) fn has(&self, sender: &SenderProcess, number: u64) -> bool {
        self.senders.get(sender).is_some_and(|numbers| numbers.contains(number))
    }

    /// Takes note of a message; returns whether it is new.
    pub(super) fn insert(&mut self, sender: SenderProcess, number: u64) -> bool {
        let Some(numbers) = self.senders.get_mut(&sender) else {
            let mut numbers = Ranges::default();
            numbers.insert(number);
            self.senders.insert(sender, numbers);
            return true;
        };
        if !numbers.insert(number) {
            return false;
        }
        if numbers.len() > MAX_DIRECT_RANGES {
            // Everything below the second range counts as received.
            let second = numbers.iter().nth(1).map_or(0, |range| *range.start());
            numbers.insert_range(0..=second);
        }
        self.senders.touch(&sender);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(number: usize) -> SenderProcess {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        (NodeId::from_bytes(id), 0)
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
        assert_eq!(inbox.senders.get(&sender(0)).map(Ranges::len), Some(MAX_DIRECT_RANGES));
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
        assert!(
            (2..=MAX_DIRECT_SENDERS).all(|number| inbox.has(&sender(number), 1)),
            "one at a time"
        );
    }
}

//! Our own sequence numbers: never given out twice, not even across a crash `[PROTOCOL 3.1]`.
//!
//! Numbers are reserved on disk in blocks of [`SEQUENCE_BLOCK`]; only a number whose block is known
//! to be on disk is given out. A crash loses the rest of a block: a gap, which is allowed.

use crate::limits::SEQUENCE_BLOCK;

/// One counting.
#[derive(Debug)]
pub(super) struct Sequence {
    /// The next number to be given out.
    next: u64,
    /// Numbers below it are reserved, and the disk has it.
    durable: u64,
    /// Numbers below it are reserved, or the disk was asked to.
    asked: u64,
}

impl Sequence {
    /// `next` was never given out.
    pub(super) const fn new(next: u64) -> Self {
        Self { next, durable: next, asked: next }
    }

    /// The next number to be given out, once it is reserved.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Numbers below `next` are not given out any more. Returns whether any would have been.
    pub(super) const fn skip_to(&mut self, next: u64) -> bool {
        let behind = self.next < next;
        if behind {
            self.next = next;
        }
        behind
    }

    /// The next number, if one is reserved.
    pub(super) fn take(&mut self) -> Option<u64> {
        (self.next < self.durable).then(|| {
            self.next += 1;
            self.next - 1
        })
    }

    /// The reservation to ask the disk for, when fewer than half a block is left.
    pub(super) fn ask(&mut self) -> Option<u64> {
        if self.next + SEQUENCE_BLOCK / 2 < self.asked {
            return None;
        }
        self.asked = self.asked.max(self.next) + SEQUENCE_BLOCK;
        Some(self.asked)
    }

    /// The disk has the reservation of every number below `below`.
    pub(super) fn handle_reserved(&mut self, below: u64) {
        self.durable = self.durable.max(below);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_given_out_once_and_only_from_a_block_on_disk() {
        let mut sequence = Sequence::new(5);
        assert_eq!(sequence.take(), None);
        let below = sequence.ask().unwrap();
        assert_eq!((below, sequence.ask()), (5 + SEQUENCE_BLOCK, None));
        sequence.handle_reserved(below);
        let given: Vec<u64> = core::iter::from_fn(|| sequence.take()).collect();
        assert_eq!(given, (5..below).collect::<Vec<_>>());
        assert_eq!(Sequence::new(below).take(), None, "a crash now skips the block");
    }

    #[test]
    fn what_is_skipped_is_never_given_out_and_what_follows_is_reserved_first() {
        let mut sequence = Sequence::new(5);
        let below = sequence.ask().unwrap();
        sequence.handle_reserved(below);
        assert!(sequence.skip_to(7) && !sequence.skip_to(6));
        assert_eq!((sequence.take(), sequence.ask()), (Some(7), None), "within the block");
        assert!(sequence.skip_to(1 << 50));
        assert_eq!(sequence.take(), None, "no block of the disk has it");
        let below = sequence.ask().unwrap();
        assert_eq!(below, (1 << 50) + SEQUENCE_BLOCK);
        sequence.handle_reserved(below);
        assert_eq!(sequence.take(), Some(1 << 50));
    }

    #[test]
    fn the_next_block_is_asked_for_before_the_last_one_is_used_up() {
        let mut sequence = Sequence::new(0);
        let first = sequence.ask().unwrap();
        sequence.handle_reserved(first);
        for _ in 0..SEQUENCE_BLOCK / 2 - 1 {
            sequence.take().unwrap();
        }
        assert_eq!(sequence.ask(), None);
        sequence.take().unwrap();
        assert_eq!(sequence.ask(), Some(2 * SEQUENCE_BLOCK));
        assert!(sequence.take().is_some());
    }
}

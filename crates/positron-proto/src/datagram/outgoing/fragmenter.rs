//! One message that is larger than a packet.

use core::ops::Range;

use crate::{
    datagram::ranges::RangeSet,
    wire::{packet::Fragment, packet_frame::fragment_overhead},
};

/// How far a message in pieces was sent.
///
/// The size of its fragments is chosen once for each attempt, by the packets of that time. What
/// does not fit any more, because packets became smaller, goes in parts of any size.
#[derive(Debug)]
pub(super) struct Cut {
    number: u64,
    total: u32,
    /// Bytes of each fragment but the last; 0 until the first of an attempt is sent.
    size: u32,
    /// Bytes below it were sent in this attempt.
    sent: u32,
    /// How often it was sent before: whole, in a larger packet, or until the other end gave it up.
    /// What is known of earlier attempts says nothing.
    attempt: u8,
    /// What was lost.
    again: RangeSet,
    /// What was acknowledged.
    arrived: RangeSet,
}

/// What is to be sent next of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) from: u32,
    pub(super) to: u32,
    /// Which fragment that is; a part otherwise.
    pub(super) fragment: Option<Fragment>,
    /// Whether it was sent before: the other end has had room for it.
    pub(super) again: bool,
    /// The size of the fragments of this attempt.
    size: u32,
}

impl Cut {
    /// Nothing of it was sent in pieces. `full` are the bytes of frames in a packet; `was_whole`:
    /// it was sent in one, and what comes after it may fill the window by now.
    pub(super) fn new(number: u64, len: usize, full: usize, was_whole: bool) -> Self {
        // A message above that is never queued.
        let total = u32::try_from(len).unwrap_or(u32::MAX);
        let mut cut = Self {
            number,
            total,
            size: 0,
            sent: 0,
            attempt: u8::from(was_whole),
            again: RangeSet::new(),
            arrived: RangeSet::new(),
        };
        cut.size = cut.size_for(full);
        cut
    }

    pub(super) const fn total(&self) -> u32 {
        self.total
    }

    pub(super) const fn attempt(&self) -> u8 {
        self.attempt
    }

    /// Whether something of it is to be sent.
    pub(super) fn has_something(&self) -> bool {
        self.sent < self.total || !self.again.is_empty()
    }

    /// What is to be sent next: what was lost, then what is new.
    pub(super) fn next(&self, number: u64, full: usize) -> Option<Piece> {
        let lost = self.again.lowest_range().map(|range| (narrow(range.start), narrow(range.end)));
        let (from, upto) = lost.unwrap_or((self.sent, self.total));
        if from >= upto {
            return None;
        }
        let again = lost.is_some() || self.attempt > 0;
        let size = if self.size == 0 { self.size_for(full) } else { self.size };
        let to = from.saturating_add(size).min(self.total);
        let overhead = fragment_overhead(number, from, self.total, full);
        let fits = u32::try_from(full.saturating_sub(overhead)).unwrap_or(u32::MAX);
        if to <= upto && to - from <= fits && from.checked_rem(size) == Some(0) {
            let index = u16::try_from(from / size);
            let total = u16::try_from(self.total.div_ceil(size));
            if let (Ok(index), Ok(total)) = (index, total) {
                let fragment = Some(Fragment { id: low(number), index, total });
                return Some(Piece { from, to, fragment, again, size });
            }
        }
        let to = upto.min(from.saturating_add(fits.max(1)));
        Some(Piece { from, to, fragment: None, again, size })
    }

    /// These bytes are on their way.
    pub(super) fn handle_taken(&mut self, piece: &Piece) {
        self.size = piece.size;
        self.again.remove(&wide(&(piece.from..piece.to)));
        self.sent = self.sent.max(piece.to);
    }

    pub(super) fn handle_ack(&mut self, part: Range<u32>, attempt: u8) {
        if attempt == self.attempt && part.end <= self.sent {
            self.again.remove(&wide(&part));
            self.arrived.add(wide(&part));
        }
    }

    pub(super) fn handle_loss(&mut self, part: Range<u32>, attempt: u8) {
        if attempt == self.attempt && part.end <= self.sent {
            for missing in self.arrived.gaps(wide(&part)) {
                self.again.add(missing);
            }
        }
    }

    /// All of it is to be sent again, unless nothing was since it was last begun.
    pub(super) fn restart(&mut self) {
        if self.sent > 0 {
            self.attempt = self.attempt.wrapping_add(1).max(1);
            (self.size, self.sent) = (0, 0);
            self.again.clear();
            self.arrived.clear();
        }
    }

    fn size_for(&self, full: usize) -> u32 {
        let overhead = fragment_overhead(self.number, self.total, self.total, full);
        u32::try_from(full.saturating_sub(overhead)).unwrap_or(u32::MAX)
    }
}

fn wide(part: &Range<u32>) -> Range<u64> {
    u64::from(part.start)..u64::from(part.end)
}

/// What was put in as 32 bits comes out as 32 bits.
fn narrow(at: u64) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The low 32 bits of a message's number name it in the header.
fn low(number: u64) -> u32 {
    narrow(number & u64::from(u32::MAX))
}

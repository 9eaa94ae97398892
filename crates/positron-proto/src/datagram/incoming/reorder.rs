//! Which messages of one lane and delivery arrived, and which is next.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::violation::Violation;
use crate::{limits::MAX_MESSAGE_SPAN, wire::packet_frame::Delivery};

/// The messages of one channel that are whole.
#[derive(Debug)]
pub(super) enum Order {
    /// The next number to hand over, and what overtook it.
    Ordered { next: u64, waiting: BTreeMap<u64, Bytes> },
    /// Everything whole was handed over.
    Unordered { seen: Seen },
    /// The same; what is too old does not matter.
    Unreliable { seen: Seen },
}

/// What a number says of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    New,
    /// It was whole before.
    Old,
    /// It is unreliable and so old that nobody knows.
    Past,
}

impl Order {
    pub(super) const fn new(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Ordered => Self::Ordered { next: 0, waiting: BTreeMap::new() },
            Delivery::Unordered => Self::Unordered { seen: Seen::new() },
            Delivery::Unreliable => Self::Unreliable { seen: Seen::new() },
        }
    }

    pub(super) fn stands(&self, number: u64) -> Result<Placement, Violation> {
        let (floor, old) = match self {
            Self::Ordered { next, waiting } => {
                (*next, number < *next || waiting.contains_key(&number))
            }
            Self::Unordered { seen } => (seen.floor, seen.contains(number)),
            Self::Unreliable { seen } if number < seen.floor => return Ok(Placement::Past),
            Self::Unreliable { seen } => return Ok(seen.standing(number)),
        };
        if number >= floor.saturating_add(MAX_MESSAGE_SPAN) {
            return Err(Violation::flooding("a message too far ahead of a missing one"));
        }
        Ok(if old { Placement::Old } else { Placement::New })
    }

    /// A new message is whole; what can be handed over by now is.
    pub(super) fn take(&mut self, number: u64, body: Bytes, mut deliver: impl FnMut(Bytes)) {
        match self {
            Self::Ordered { next, waiting } if *next == number => {
                *next += 1;
                deliver(body);
                while let Some(body) = waiting.remove(next) {
                    *next += 1;
                    deliver(body);
                }
            }
            Self::Ordered { waiting, .. } => {
                waiting.insert(number, body);
            }
            Self::Unordered { seen } => {
                seen.insert(number);
                deliver(body);
            }
            Self::Unreliable { seen } => {
                seen.insert(number);
                seen.forget_below((number + 1).saturating_sub(MAX_MESSAGE_SPAN));
                deliver(body);
            }
        }
    }
}

/// A set of numbers of which all below `floor` are members: one bit for each above it, because
/// ranges of a hostile peer that leaves out every other number would take 128 times as much.
#[derive(Debug)]
pub(super) struct Seen {
    /// A multiple of 64 below which all are members, plus the members that follow it.
    floor: u64,
    /// The bits from `floor`, rounded down to a multiple of 64, on.
    words: VecDeque<u64>,
}

impl Seen {
    const fn new() -> Self {
        Self { floor: 0, words: VecDeque::new() }
    }

    fn contains(&self, number: u64) -> bool {
        number < self.floor || self.word(number).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    fn standing(&self, number: u64) -> Placement {
        if self.contains(number) { Placement::Old } else { Placement::New }
    }

    fn word(&self, number: u64) -> Option<u64> {
        self.words.get(self.place(number)?).copied()
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from((number / 64).checked_sub(self.floor / 64)?).ok()
    }

    /// Adds one; the caller bounds how far it is from the floor.
    fn insert(&mut self, number: u64) {
        if number >= self.floor.saturating_add(2 * MAX_MESSAGE_SPAN) {
            self.forget_below(number - MAX_MESSAGE_SPAN);
        }
        let Some(place) = self.place(number) else { return };
        while self.words.len() <= place {
            self.words.push_back(0);
        }
        self.words[place] |= 1 << (number % 64);
        self.rise();
    }

    /// Takes all below `number` for members.
    fn forget_below(&mut self, number: u64) {
        if number <= self.floor {
            return;
        }
        let gone = usize::try_from(number / 64 - self.floor / 64).unwrap_or(usize::MAX);
        self.words.drain(..gone.min(self.words.len()));
        self.floor = number;
        self.rise();
    }

    /// Moves the floor above the members that follow it.
    fn rise(&mut self) {
        while let Some(&word) = self.words.front() {
            let members = u64::from((word >> (self.floor % 64)).trailing_ones());
            self.floor += members;
            if members == 0 || !self.floor.is_multiple_of(64) {
                break;
            }
            self.words.pop_front();
        }
        if self.words.is_empty() {
            self.words = VecDeque::new();
        }
    }

    #[cfg(test)]
    pub(super) fn words(&self) -> usize {
        self.words.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_seen_is_a_set_whose_floor_is_its_lowest_gap(
            numbers in prop::collection::vec(0_u64..400, 0..400),
        ) {
            let (mut seen, mut model) = (Seen::new(), BTreeSet::new());
            for number in numbers {
                seen.insert(number);
                model.insert(number);
                let gap = (0..).find(|number| !model.contains(number)).unwrap();
                prop_assert_eq!(seen.floor, gap);
                let agree = |number| seen.contains(number) == model.contains(&number);
                prop_assert!((0..420).all(agree));
            }
        }
    }

    #[test]
    fn every_other_number_of_a_span_takes_no_more_than_its_bits() {
        let mut order = Order::new(Delivery::Unordered);
        for number in (1..MAX_MESSAGE_SPAN).step_by(2) {
            assert_eq!(order.stands(number), Ok(Placement::New));
            order.take(number, Bytes::new(), |_| {});
        }
        assert!(order.stands(MAX_MESSAGE_SPAN).is_err());
        let Order::Unordered { seen } = &order else { unreachable!() };
        assert!(seen.words() <= 1024);
    }

    #[test]
    fn an_unreliable_message_far_ahead_makes_the_oldest_ones_past() {
        let mut order = Order::new(Delivery::Unreliable);
        let far = 1 << 40;
        assert_eq!(order.stands(far), Ok(Placement::New));
        order.take(far, Bytes::new(), |_| {});
        assert_eq!(order.stands(far), Ok(Placement::Old));
        assert_eq!(order.stands(far - MAX_MESSAGE_SPAN + 1), Ok(Placement::New));
        assert_eq!(order.stands(far - MAX_MESSAGE_SPAN), Ok(Placement::Past));
    }
}

//! Which packet numbers were opened already.

use crate::limits::REPLAY_WINDOW;

/// Tells new numbers from those that were committed before: exactly for the [`REPLAY_WINDOW`]
/// numbers that end with the highest one, and never a committed number for a new one.
///
/// Call [`check`](Self::check) before opening a packet, and [`commit`](Self::commit) only after:
/// what an attacker makes up must not move the window.
///
/// A ring of words in the manner of RFC 6479: going on by any distance clears at most all words,
/// and usually none. It takes 520 bytes, whatever arrives.
#[derive(Clone, Debug)]
pub(super) struct ReplayWindow {
    words: [u64; WORDS],
    highest: Option<u64>,
}

/// Why a number is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stale {
    /// It was committed before.
    Replayed,
    /// It is below the window: it may have been committed or not.
    TooOld,
}

impl ReplayWindow {
    /// A window in which nothing was seen.
    pub(super) const fn new() -> Self {
        Self { words: [0; WORDS], highest: None }
    }

    /// Whether a packet of this number may be opened. Changes nothing.
    pub(super) fn check(&self, number: u64) -> Result<(), Stale> {
        let Some(highest) = self.highest else { return Ok(()) };
        if number > highest {
            return Ok(());
        }
        if highest - number >= REPLAY_WINDOW {
            return Err(Stale::TooOld);
        }
        let (word, bit) = place(number);
        if self.words[word] & bit == 0 { Ok(()) } else { Err(Stale::Replayed) }
    }

    /// A packet of this number was opened. One below the window changes nothing.
    pub(super) fn commit(&mut self, number: u64) {
        if self.check(number) == Err(Stale::TooOld) {
            return;
        }
        if self.highest.is_none_or(|highest| number > highest) {
            self.go_on(number);
        }
        let (word, bit) = place(number);
        self.words[word] |= bit;
    }

    /// The highest number committed.
    pub(super) const fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Clears the words between the highest number so far and this one, which is higher.
    fn go_on(&mut self, number: u64) {
        let newest = number / BITS;
        let known = self.highest.map_or(newest, |highest| highest / BITS);
        let oldest_new = known.max(newest.saturating_sub(WORDS_IN_RING)) + 1;
        for word in oldest_new..=newest {
            self.words[place(word * BITS).0] = 0;
        }
        self.highest = Some(number);
    }
}

/// The word of a number, and its bit there.
fn place(number: u64) -> (usize, u64) {
    let word = usize::try_from(number / BITS % WORDS_IN_RING).expect("below the words of the ring");
    (word, 1 << (number % BITS))
}

/// Bits in a word.
const BITS: u64 = 64;
/// One more than the window has, because it begins and ends within a word.
const WORDS: usize = 65;
const WORDS_IN_RING: u64 = REPLAY_WINDOW / BITS + 1;
const _: () = assert!(WORDS_IN_RING == 65 && REPLAY_WINDOW.is_multiple_of(BITS));

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The same, with a set that remembers everything.
    #[derive(Default)]
    struct Model(BTreeSet<u64>);

    impl Model {
        fn check(&self, number: u64) -> Result<(), Stale> {
            let highest = self.0.last().copied().unwrap_or(0);
            if highest >= number && highest - number >= REPLAY_WINDOW {
                return Err(Stale::TooOld);
            }
            if self.0.contains(&number) { Err(Stale::Replayed) } else { Ok(()) }
        }
    }

    /// Steps back and forth of all sizes, from a start near a word's or the 32-bit border.
    fn numbers() -> impl Strategy<Value = Vec<u64>> {
        let start = prop_oneof![0..200_u64, (1 << 32) - 100..(1_u64 << 32) + 100];
        let step = prop_oneof![
            8 => -70_i64..80,
            2 => -4_200_i64..4_200,
            1 => -20_000_i64..20_000,
            1 => Just(1_i64 << 33),
        ];
        (start, proptest::collection::vec(step, 1..300)).prop_map(|(start, steps)| {
            let mut at = start;
            let walk = steps.into_iter().map(|step| {
                at = at.saturating_add_signed(step);
                at
            });
            walk.collect()
        })
    }

    proptest! {
        #[test]
        fn the_window_judges_like_a_set_that_remembers_everything(numbers in numbers()) {
            let (mut window, mut model) = (ReplayWindow::new(), Model::default());
            for number in numbers {
                let verdict = model.check(number);
                prop_assert_eq!(window.check(number), verdict, "number {}", number);
                if verdict != Err(Stale::TooOld) {
                    window.commit(number);
                    model.0.insert(number);
                }
                prop_assert_eq!(window.highest(), model.0.last().copied());
            }
            let highest = window.highest().unwrap_or(0);
            for number in highest.saturating_sub(REPLAY_WINDOW + 70)..highest + 70 {
                prop_assert_eq!(window.check(number), model.check(number), "number {}", number);
            }
        }
    }

    #[test]
    fn the_window_reaches_back_exactly_as_far_as_it_says() {
        let mut window = ReplayWindow::new();
        window.commit(REPLAY_WINDOW + 100);
        assert_eq!(window.check(101), Ok(()));
        assert_eq!(window.check(100), Err(Stale::TooOld));
        window.commit(100);
        assert_eq!(window.check(101), Ok(()));
        window.commit(101);
        assert_eq!(window.check(101), Err(Stale::Replayed));
    }

    #[test]
    fn the_largest_numbers_there_are_break_nothing() {
        let mut window = ReplayWindow::new();
        for number in [0, u64::MAX - 1, u64::MAX] {
            assert_eq!(window.check(number), Ok(()));
            window.commit(number);
            assert_eq!(window.check(number), Err(Stale::Replayed));
        }
        assert_eq!(window.check(0), Err(Stale::TooOld));
    }
}

//! Sets of numbers, as the holdings of two nodes are compared.

use std::ops::RangeInclusive;

use positron_proto::{
    id::NodeId,
    wire::{
        Reader,
        codec::MAX_VARINT,
        holdings::{Holdings, Ranges},
    },
};

use super::input::Bytes;

/// The input says what is done with two sets. After each step they hold what a plain list of all
/// numbers holds, in their one shortest form, and so does what is computed from both; what a peer
/// can be told survives its encoding. The rest of the input is read as holdings.
pub(crate) fn check(bytes: &[u8]) {
    let mut input = Bytes(bytes);
    let mut pair = Pair::new(if input.bit() { u64::MAX } else { MAX_VARINT });
    for _ in 0..MOST_STEPS {
        let Some(what) = input.next().filter(|what| *what != END) else { break };
        pair.step(what, &mut input);
        pair.check();
    }
    check_decoding(input.0);
}

/// All numbers up to `top`: the lowest and the highest ones each by themselves, and everything
/// between as one.
struct Numbers {
    top: u64,
}

/// Numbers that stand by themselves at either end.
const EDGE: usize = 40;
/// The one that stands for everything between.
const MIDDLE: usize = EDGE;
const CELLS: usize = 2 * EDGE + 1;
const MOST_STEPS: usize = 200;
/// The step that ends the steps.
const END: u8 = 255;

impl Numbers {
    fn first(&self, cell: usize) -> u64 {
        let cell_number = u64::try_from(cell).expect("cells are few");
        let beyond = u64::try_from(CELLS - 1).expect("cells are few");
        if cell <= MIDDLE { cell_number } else { self.top - (beyond - cell_number) }
    }

    fn last(&self, cell: usize) -> u64 {
        if cell == MIDDLE { self.first(cell + 1) - 1 } else { self.first(cell) }
    }
}

/// Two sets, and for each of all numbers whether it is in them.
struct Pair {
    numbers: Numbers,
    sets: [Ranges; 2],
    model: [[bool; CELLS]; 2],
}

impl Pair {
    fn new(top: u64) -> Self {
        let sets = [Ranges::new(), Ranges::new()];
        Self { numbers: Numbers { top }, sets, model: [[false; CELLS]; 2] }
    }

    fn step(&mut self, what: u8, input: &mut Bytes<'_>) {
        let n = usize::from(what & 1);
        let (a, b) = (input.byte() % CELLS, input.byte() % CELLS);
        match what >> 1 & 3 {
            0 if a != MIDDLE => {
                let was_there = core::mem::replace(&mut self.model[n][a], true);
                assert_eq!(self.sets[n].insert(self.numbers.first(a)), !was_there);
            }
            1 if a != MIDDLE => {
                let was_there = core::mem::replace(&mut self.model[n][a], false);
                assert_eq!(self.sets[n].remove(self.numbers.first(a)), was_there);
            }
            // From the higher to the lower there is nothing.
            2 => {
                self.model[n].iter_mut().take(b + 1).skip(a).for_each(|cell| *cell = true);
                self.sets[n].insert_range(self.numbers.first(a)..=self.numbers.last(b));
            }
            3 => {
                let other = self.model[1 - n];
                self.sets[n] = self.sets[n].without(&self.sets[1 - n]);
                self.model[n].iter_mut().zip(other).for_each(|(cell, theirs)| *cell &= !theirs);
            }
            _ => {}
        }
    }

    fn check(&self) {
        for (set, model) in self.sets.iter().zip(&self.model) {
            self.check_is(set, model);
            for (cell, is_in) in model.iter().enumerate() {
                assert_eq!(set.contains(self.numbers.first(cell)), *is_in);
                assert_eq!(set.contains(self.numbers.last(cell)), *is_in);
            }
            let mut again = Ranges::new();
            set.iter().rev().for_each(|range| again.insert_range(range));
            assert_eq!(again, *set);
        }
        let ([a, b], [in_a, in_b]) = (&self.sets, &self.model);
        let of_both = |both: fn(bool, bool) -> bool| {
            core::array::from_fn(|cell| both(in_a[cell], in_b[cell]))
        };
        let only_a = a.without(b);
        self.check_is(&only_a, &of_both(|a, b| a && !b));
        self.check_is(&a.without(&only_a), &of_both(|a, b| a && b));
        let expected = only_a.iter().flatten().take(2 * CELLS);
        assert!(a.missing_from(b, 2 * CELLS).eq(expected));
        self.check_encoding();
    }

    /// It is exactly this, in ranges that do not touch.
    fn check_is(&self, set: &Ranges, model: &[bool; CELLS]) {
        let mut expected: Vec<RangeInclusive<u64>> = Vec::new();
        for cell in (0..CELLS).filter(|cell| model[*cell]) {
            let (first, last) = (self.numbers.first(cell), self.numbers.last(cell));
            match expected.last_mut() {
                Some(before) if before.end() + 1 == first => *before = *before.start()..=last,
                _ => expected.push(first..=last),
            }
        }
        assert!(set.iter().eq(expected.iter().cloned()), "{set:?} is not {expected:?}");
        assert_eq!((set.len(), set.is_empty()), (expected.len(), expected.is_empty()));
    }

    fn check_encoding(&self) {
        if self.numbers.top > MAX_VARINT {
            return;
        }
        let mut holdings = Holdings::new();
        for (sender, set) in (1..).zip(&self.sets) {
            holdings.insert_ranges(NodeId::from_bytes([sender; 32]), set.clone());
        }
        let mut out = Vec::new();
        holdings.encode(&mut out);
        let mut reader = Reader::new(bytes::Bytes::from(out));
        assert_eq!(Holdings::decode(&mut reader), Ok(holdings));
        assert!(reader.is_empty());
    }
}

/// What is read is written back byte for byte.
fn check_decoding(rest: &[u8]) {
    let mut reader = Reader::new(bytes::Bytes::copy_from_slice(rest));
    let Ok(holdings) = Holdings::decode(&mut reader) else { return };
    let mut back = Vec::new();
    holdings.encode(&mut back);
    assert_eq!(back, rest[..rest.len() - reader.remaining()]);
}

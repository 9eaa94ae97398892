//! What is left of two sets when what both have is gone.

use super::{
    mapping::Mapping,
    sketch::Sketch,
    symbol::{Code, Symbol},
};

/// The symbols of another set beside those of ours.
#[derive(Debug)]
pub struct Decoder {
    ours: Sketch,
    /// Theirs less ours, as far as theirs are there.
    apart: Vec<Symbol>,
}

/// How two sets differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What only the other one has.
    pub theirs: Vec<Code>,
    /// What only ours has.
    pub ours: Vec<Code>,
}

impl Decoder {
    /// Beside this set; no more symbols than it has are of use.
    pub const fn new(ours: Sketch) -> Self {
        Self { ours, apart: Vec::new() }
    }

    /// How many symbols of theirs are there: the number of the next one.
    pub const fn next(&self) -> usize {
        self.apart.len()
    }

    /// Whether all that may come are there.
    pub fn is_full(&self) -> bool {
        self.apart.len() >= self.ours.symbols().len()
    }

    /// Takes their next symbols; those that are too many are left out.
    pub fn add(&mut self, theirs: &[Symbol]) {
        let ours = self.ours.symbols().iter().skip(self.apart.len());
        self.apart.extend(theirs.iter().zip(ours).map(|(theirs, ours)| theirs.minus(*ours)));
    }

    /// How the sets differ, if there are enough symbols to say so.
    pub fn difference(&self) -> Option<Difference> {
        let mut left = self.apart.clone();
        let mut found = Difference::default();
        let mut to_look_at: Vec<usize> = (0..left.len()).collect();
        while let Some(place) = to_look_at.pop() {
            let Some((code, side)) = left.get(place).and_then(|symbol| symbol.only_one()) else {
                continue;
            };
            if found.theirs.len() + found.ours.len() == left.len() {
                // More than there can be: these symbols are of no sets.
                return None;
            }
            let side_found = if side > 0 { &mut found.theirs } else { &mut found.ours };
            side_found.push(code);
            for place in Mapping::of(code) {
                let Ok(place) = usize::try_from(place) else { break };
                let Some(symbol) = left.get_mut(place) else { break };
                symbol.add(code, -side);
                to_look_at.push(place);
            }
        }
        let is_all = !left.is_empty() && left.iter().all(|symbol| symbol.is_empty());
        is_all.then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        reconciliation::CODE_BYTES,
        rng::{Rng, Seed},
        wire::Reader,
    };

    const KEY: [u8; 16] = [9; 16];

    fn codes(numbers: impl IntoIterator<Item = u64>) -> Vec<Code> {
        numbers.into_iter().map(|number| Code::of(&KEY, &number.to_be_bytes())).collect()
    }

    fn sorted(mut codes: Vec<Code>) -> Vec<Code> {
        codes.sort();
        codes
    }

    /// How many symbols were needed, one after the other, and that what came out is right.
    fn symbols_needed(theirs: &[u64], ours: &[u64], length: usize) -> usize {
        let sent = Sketch::new(codes(theirs.iter().copied()), length);
        let mut decoder = Decoder::new(Sketch::new(codes(ours.iter().copied()), length));
        for (index, symbol) in sent.symbols().iter().enumerate() {
            decoder.add(&[*symbol]);
            if let Some(difference) = decoder.difference() {
                let only = |some: &[u64], others: &[u64]| {
                    sorted(codes(some.iter().filter(|one| !others.contains(one)).copied()))
                };
                assert_eq!(sorted(difference.theirs), only(theirs, ours));
                assert_eq!(sorted(difference.ours), only(ours, theirs));
                return index + 1;
            }
        }
        panic!("{length} symbols were not enough");
    }

    fn sets(rng: &mut Rng, both: u64, only_theirs: u64, only_ours: u64) -> [Vec<u64>; 2] {
        let first = rng.next_u64() >> 1;
        let (theirs, ours) = (first + both, first + both + only_theirs);
        [(first..ours).collect(), (first..theirs).chain(ours..ours + only_ours).collect()]
    }

    #[test]
    fn equal_sets_need_one_symbol_and_a_difference_some_for_each_element_of_it() {
        let mut rng = Seed::from_number(1).stream("reconciliation");
        let [theirs, ours] = sets(&mut rng, 300, 0, 0);
        assert_eq!(symbols_needed(&theirs, &ours, 8), 1);
        let mut needed = 0;
        for _ in 0..20 {
            let [theirs, ours] = sets(&mut rng, 300, 60, 40);
            needed += symbols_needed(&theirs, &ours, 512);
        }
        assert!((20 * 125..20 * 165).contains(&needed), "{needed} for 20 times 100 elements");
    }

    #[test]
    fn every_small_difference_is_found() {
        let mut rng = Seed::from_number(2).stream("reconciliation");
        for _ in 0..300 {
            let (theirs, ours) = (rng.below(12), rng.below(12));
            let both = rng.below(50);
            let [theirs, ours] = sets(&mut rng, both, theirs, ours);
            symbols_needed(&theirs, &ours, 128);
        }
    }

    #[test]
    fn of_a_hundred_thousand_elements_a_hundred_are_found_with_less_than_2500_bytes() {
        let mut rng = Seed::from_number(3).stream("reconciliation");
        let [theirs, ours] = sets(&mut rng, 99_900, 100, 0);
        let sent = Sketch::new(codes(theirs), 512);
        let mut decoder = Decoder::new(Sketch::new(codes(ours), 512));
        let mut bytes = 0;
        // As gossip does: 32 symbols at a time, and the missing ones are named.
        let found = sent.symbols().chunks(32).enumerate().find_map(|(nth, chunk)| {
            for (index, symbol) in (32 * nth..).zip(chunk) {
                let mut out = Vec::new();
                symbol.encode(index, sent.elements(), &mut out);
                let mut reader = Reader::new(out.clone().into());
                assert_eq!(Symbol::decode(&mut reader, index, sent.elements()), Ok(*symbol));
                bytes += out.len();
            }
            decoder.add(chunk);
            decoder.difference()
        });
        let found = found.unwrap();
        assert_eq!((found.theirs.len(), found.ours.len()), (100, 0));
        bytes += found.theirs.len() * CODE_BYTES;
        assert!(bytes < 2_500, "{bytes}");
    }

    #[test]
    fn symbols_of_no_set_give_nothing_or_no_more_than_there_are_symbols() {
        let mut rng = Seed::from_number(4).stream("reconciliation");
        for _ in 0..2_000 {
            let length = rng.index(40) + 1;
            let mut any = || {
                let mut symbol = Symbol::default();
                for _ in 0..rng.below(3) {
                    let side = if rng.chance(0.5) { 1 } else { -1 };
                    symbol.add(Code::of(&KEY, &rng.below(9).to_be_bytes()), side);
                }
                symbol
            };
            let symbols: Vec<Symbol> = (0..length).map(|_| any()).collect();
            let mut decoder = Decoder::new(Sketch::new([], length));
            decoder.add(&symbols);
            assert_eq!((decoder.next(), decoder.is_full()), (length, true));
            if let Some(found) = decoder.difference() {
                assert!(found.theirs.len() + found.ours.len() <= length);
            }
        }
    }
}

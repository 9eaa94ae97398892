//! Dice that fall the same way in each run.

/// Numerical Recipes' linear congruential generator; its upper bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }
}

/// Addresses by which a node joins: at most so many of those that there are, the same ones in each
/// run.
pub(crate) fn some_of<T: Clone + PartialEq>(known: &[T], most: usize, number: usize) -> Vec<T> {
    let mut some: Vec<T> = Vec::new();
    let mut dice = Dice::new(number as u64);
    while some.len() < known.len().min(most) {
        let one = &known[dice.below(known.len())];
        if !some.contains(one) {
            some.push(one.clone());
        }
    }
    some
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_joins_by_others_that_differ_and_by_the_same_ones_in_each_run() {
        let known: Vec<usize> = (0..20).collect();
        for number in 0..50 {
            let mut some = some_of(&known, 4, number);
            assert_eq!(some, some_of(&known, 4, number));
            some.sort_unstable();
            some.dedup();
            assert_eq!(some.len(), 4);
        }
        assert_eq!(some_of(&known[..2], 4, 7).len(), 2);
        assert!(some_of::<usize>(&[], 4, 0).is_empty());
    }
}

//! The dice of the physics: small and quick.

use core::time::Duration;

use crate::laws::Range;

/// A stream of dice in eight bytes, so that every path and every end of a stream has its own: a
/// draw on one never shifts those on another.
///
/// SplitMix64 (Steele, Lea, Flood 2014, "Fast Splittable Pseudorandom Number Generators").
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The stream that begins at `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The stream number `name` of a family of streams.
    pub const fn keyed(family: u64, name: u64) -> Self {
        Self(mix(family ^ mix(name)))
    }

    /// The next 64 bits.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.draw()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(u64::MAX)
    }

    /// A uniform index into something of length `len`; 0 when `len` is 0.
    pub fn index(&mut self, len: usize) -> usize {
        let bound = u64::try_from(len).unwrap_or(u64::MAX);
        usize::try_from(self.below(bound)).unwrap_or(0)
    }

    /// True with `probability`.
    pub fn chance(&mut self, probability: f64) -> bool {
        // 53 bits fill the mantissa of an f64 exactly.
        #[allow(clippy::cast_precision_loss)]
        let uniform = (self.draw() >> 11) as f64 / (1_u64 << 53) as f64;
        uniform < probability
    }

    /// Uniform between both ends, in whole microseconds.
    pub fn between(&mut self, (low, high): Range) -> Duration {
        let (low, high) = (micros(low), micros(high));
        let width = high.saturating_sub(low).saturating_add(1);
        Duration::from_micros(low.saturating_add(self.below(width)))
    }

    /// Puts `items` into a uniformly random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.index(last + 1);
            items.swap(last, other);
        }
    }
}

/// The finalizer of SplitMix64: every bit of the result depends on every bit of `z`.
pub const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Whole microseconds of a duration.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_inside_their_bounds_and_cover_them() {
        let mut dice = Dice::new(1);
        let range = (Duration::from_micros(3), Duration::from_micros(5));
        let drawn: Vec<_> = (0..200).map(|_| dice.between(range)).collect();
        assert!(drawn.iter().all(|d| (range.0..=range.1).contains(d)));
        assert!((3..=5).all(|n| drawn.contains(&Duration::from_micros(n))));
        assert!(!dice.chance(0.0) && dice.chance(1.0));
        assert_eq!(dice.below(0), 0);
    }
}

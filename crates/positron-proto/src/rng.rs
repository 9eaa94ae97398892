//! Named streams of dice, all from one 32-byte seed.
//!
//! A draw that is added in one room never shifts the dice of another room: each room takes the
//! stream of its own name. In production the seed comes from the operating system, in the simulator
//! from the scenario.

use core::ops::RangeInclusive;

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use crate::{crypto::sha256, time::Duration};

/// The seed of every random draw of one node.
#[derive(Clone)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Wraps 32 bytes that nobody else can guess (or, in the simulator, that everybody can repeat).
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A simulator's seed: reproducible from one number, of no use for security.
    pub fn from_number(number: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Self(bytes)
    }

    /// The stream called `name`: ChaCha20 keyed with SHA-256(seed, name).
    pub fn stream(&self, name: &str) -> Rng {
        Rng(ChaCha20Rng::from_seed(self.derive(name)))
    }

    /// A seed of its own for `name`, for example one node of a simulated network.
    pub fn child(&self, name: &str) -> Self {
        Self(self.derive(name))
    }

    fn derive(&self, name: &str) -> [u8; 32] {
        sha256(&[b"positron-net/rng/1", &self.0, name.as_bytes()])
    }
}

impl core::fmt::Debug for Seed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// One stream of dice.
#[derive(Clone)]
pub struct Rng(ChaCha20Rng);

impl Rng {
    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Fills `bytes` with uniform bits.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// `N` uniform bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0.
    ///
    /// Multiply-shift (Lemire 2019, "Fast Random Integer Generation in an Interval") without the
    /// rejection step: the bias is below `bound / 2^64`.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(u64::MAX)
    }

    /// A uniform index into something of length `len`; 0 when `len` is 0.
    pub fn index(&mut self, len: usize) -> usize {
        let bound = u64::try_from(len).unwrap_or(u64::MAX);
        usize::try_from(self.below(bound)).unwrap_or(0)
    }

    /// True once in `1 / probability` times; `probability` is clamped to `0.0..=1.0`.
    pub fn chance(&mut self, probability: f64) -> bool {
        // 53 bits fill the mantissa of an f64 exactly.
        #[allow(clippy::cast_precision_loss)]
        let uniform = (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        uniform < probability
    }

    /// Uniform between the two ends, in whole microseconds.
    pub fn duration(&mut self, range: RangeInclusive<Duration>) -> Duration {
        let micros = |d: &Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        let (low, high) = (micros(range.start()), micros(range.end()));
        let width = high.saturating_sub(low).saturating_add(1);
        Duration::from_micros(low.saturating_add(self.below(width)))
    }

    /// `around` moved by up to a quarter in either direction, so that nodes do not act in step.
    pub fn jitter(&mut self, around: Duration) -> Duration {
        self.duration(around - around / 4..=around + around / 4)
    }

    /// One element, uniformly; `None` of nothing.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.index(from.len()))
    }

    /// Puts `items` into a uniformly random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.index(last + 1);
            items.swap(last, other);
        }
    }
}

impl core::fmt::Debug for Rng {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Rng(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_different_names_are_independent_and_repeatable() {
        let seed = Seed::from_number(7);
        let (mut a, mut b, mut again) = (seed.stream("a"), seed.stream("b"), seed.stream("a"));
        let first = a.next_u64();
        assert_ne!(first, b.next_u64());
        assert_eq!(first, again.next_u64());
    }

    #[test]
    fn draws_stay_inside_their_bounds() {
        let mut rng = Seed::from_number(1).stream("bounds");
        for bound in [1, 2, 3, 1_000] {
            assert!((0..1_000).all(|_| rng.below(bound) < bound));
        }
        assert_eq!(rng.index(0), 0);
        assert_eq!(rng.choose::<u8>(&[]), None);
        let (low, high) = (Duration::from_micros(3), Duration::from_micros(5));
        assert!((0..100).all(|_| (low..=high).contains(&rng.duration(low..=high))));
        assert!(!rng.chance(0.0) && rng.chance(1.0));
    }

    #[test]
    fn a_shuffle_keeps_every_element() {
        let mut items: Vec<u32> = (0..100).collect();
        Seed::from_number(2).stream("shuffle").shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}

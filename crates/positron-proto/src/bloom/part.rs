//! The bits of a filter.

use super::{BloomError, probe::Probe};
use crate::limits::{MAX_BLOOM_BITS, MAX_BLOOM_RATE, MIN_BLOOM_RATE};

/// The bits of a filter, whose key somebody else has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) expected: u64,
    pub(super) rate: f64,
    /// Elements that were new when they came.
    pub(super) inserted: u64,
    /// Bits of each element.
    pub(super) hashes: u8,
    /// Not empty.
    pub(super) words: Vec<u64>,
}

impl Part {
    /// An empty one, as large as needed.
    pub(super) fn new(expected: u64, rate: f64) -> Result<Self, BloomError> {
        let words = vec![0; words_for(expected, rate)?];
        Ok(Self { expected, rate, inserted: 0, hashes: hashes_for(rate), words })
    }

    pub(super) const fn bits(&self) -> u64 {
        self.words.len() as u64 * 64
    }

    pub(super) fn insert(&mut self, probe: Probe) -> bool {
        let mut is_new = false;
        for place in probe.places(self.hashes, self.bits()) {
            let (word, bit) = split(place);
            if let Some(word) = self.words.get_mut(word) {
                is_new |= *word & bit == 0;
                *word |= bit;
            }
        }
        self.inserted = self.inserted.saturating_add(is_new.into());
        is_new
    }

    pub(super) fn contains(&self, probe: Probe) -> bool {
        probe.places(self.hashes, self.bits()).all(|place| {
            let (word, bit) = split(place);
            self.words.get(word).is_some_and(|word| word & bit != 0)
        })
    }

    pub(super) fn ones(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// How many elements set so many bits (Swamidass and Baldi 2007).
    pub(super) fn estimated(&self) -> u64 {
        let bits = self.bits() as f64;
        let clear = ((self.bits() - self.ones()) as f64 / bits).max(0.5 / bits);
        whole(-bits / f64::from(self.hashes) * clear.ln())
    }

    /// How often it is wrong now.
    pub(super) fn false_positive_rate(&self) -> f64 {
        (self.ones() as f64 / self.bits() as f64).powi(self.hashes.into())
    }
}

/// A rate that may be asked for.
pub(super) fn checked(rate: f64) -> Result<f64, BloomError> {
    let may_be = (MIN_BLOOM_RATE..=MAX_BLOOM_RATE).contains(&rate);
    if may_be { Ok(rate) } else { Err(BloomError::BadRate(rate)) }
}

/// Bits of each element at this rate: half of all bits are set then (Broder and Mitzenmacher 2004,
/// "Network Applications of Bloom Filters", 2.1).
fn hashes_for(rate: f64) -> u8 {
    (1..u8::MAX).find(|hashes| f64::from(*hashes) + 0.5 > -rate.log2()).unwrap_or(u8::MAX)
}

/// Words that so many elements take at this rate, each of which has a whole number of bits.
pub(super) fn words_for(expected: u64, rate: f64) -> Result<usize, BloomError> {
    if expected == 0 {
        return Err(BloomError::NoElements);
    }
    let hashes = f64::from(hashes_for(rate));
    let bits_each = -hashes / (-rate.powf(1.0 / hashes)).ln_1p();
    let words = (expected as f64 * bits_each / 64.0).ceil();
    if words > (MAX_BLOOM_BITS / 64) as f64 {
        return Err(BloomError::TooLarge);
    }
    usize::try_from(whole(words).max(1)).map_err(|_| BloomError::TooLarge)
}

fn split(place: u64) -> (usize, u64) {
    (usize::try_from(place / 64).unwrap_or(usize::MAX), 1 << (place % 64))
}

/// The whole number below, within 0 to 2^53.
fn whole(number: f64) -> u64 {
    (0..53).rev().fold(0, |sum, bit| {
        let next = sum | 1 << bit;
        if next as f64 <= number { next } else { sum }
    })
}

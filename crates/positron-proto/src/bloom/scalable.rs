//! A filter that grows.

use super::{
    BloomError, BloomStats,
    part::{Part, checked, words_for},
    probe::Probe,
};
use crate::limits::{MAX_BLOOM_BITS, MAX_BLOOM_PARTS};

/// A set that grows with what is inserted, and is never wrong more often than was said: each part
/// is twice as large as the one before and wrong half as often (Almeida et al. 2007).
#[derive(Clone, Debug, PartialEq)]
pub struct ScalableBloomFilter {
    pub(super) key: [u8; 16],
    /// Of the whole.
    pub(super) rate: f64,
    /// The oldest first; there is one.
    pub(super) parts: Vec<Part>,
}

impl ScalableBloomFilter {
    /// An empty filter that has room for `initial_capacity` elements before it grows.
    ///
    /// Its key is known to everybody: where others choose elements, take
    /// [`with_key`](Self::with_key).
    ///
    /// # Errors
    /// [`BloomError::NoElements`], [`BloomError::BadRate`], [`BloomError::TooLarge`].
    pub fn new(initial_capacity: u64, false_positive_rate: f64) -> Result<Self, BloomError> {
        Self::with_key(initial_capacity, false_positive_rate, [0; 16])
    }

    /// The same with a key: who does not know it cannot choose elements that collide.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_key(
        initial_capacity: u64,
        false_positive_rate: f64,
        key: [u8; 16],
    ) -> Result<Self, BloomError> {
        let first = Part::new(initial_capacity, checked(false_positive_rate)? / 2.0)?;
        Ok(Self { key, rate: false_positive_rate, parts: vec![first] })
    }

    /// Adds an element. Returns whether it is new: false is wrong as often as
    /// [`contains`](Self::contains) is.
    pub fn insert(&mut self, element: impl AsRef<[u8]>) -> bool {
        let probe = Probe::of(&self.key, element.as_ref());
        if self.parts.iter().any(|part| part.contains(probe)) {
            return false;
        }
        if let Some(larger) = self.larger() {
            self.parts.push(larger);
        }
        self.parts.last_mut().is_some_and(|newest| newest.insert(probe))
    }

    /// Whether an element was inserted: false is never wrong.
    pub fn contains(&self, element: impl AsRef<[u8]>) -> bool {
        let probe = Probe::of(&self.key, element.as_ref());
        // The newest has half of all.
        self.parts.iter().rev().any(|part| part.contains(probe))
    }

    /// Takes everything out, and is as small as at first.
    pub fn clear(&mut self) {
        self.parts.truncate(1);
        for part in &mut self.parts {
            part.words.fill(0);
            part.inserted = 0;
        }
    }

    /// How full it is, and how often it is wrong.
    pub fn stats(&self) -> BloomStats {
        BloomStats::of(&self.parts, self.rate)
    }

    /// The part after the newest, if that is full and there may be one more.
    fn larger(&self) -> Option<Part> {
        let newest = self.parts.last().filter(|newest| newest.inserted >= newest.expected)?;
        let (expected, rate) = (newest.expected.checked_mul(2)?, newest.rate / 2.0);
        let bits: u64 = self.parts.iter().map(Part::bits).sum();
        let more = words_for(expected, rate).ok()? as u64 * 64;
        let fits = bits + more <= MAX_BLOOM_BITS && self.parts.len() < MAX_BLOOM_PARTS;
        fits.then(|| Part::new(expected, rate).ok())?
    }
}

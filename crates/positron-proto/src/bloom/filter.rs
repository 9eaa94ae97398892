//! A filter for so many elements as were expected.

use super::{
    BloomError, BloomStats,
    part::{Part, checked},
    probe::Probe,
};

/// A set of a size that is said before. Beyond it it takes more, and is wrong more often.
#[derive(Clone, Debug, PartialEq)]
pub struct BloomFilter {
    pub(super) key: [u8; 16],
    pub(super) part: Part,
}

impl BloomFilter {
    /// An empty filter that, with `expected_elements` in it, says of one in `1 /
    /// false_positive_rate` others that it is there.
    ///
    /// Its key is known to everybody: where others choose elements, take
    /// [`with_key`](Self::with_key).
    ///
    /// # Errors
    /// [`BloomError::NoElements`], [`BloomError::BadRate`], [`BloomError::TooLarge`].
    pub fn new(expected_elements: u64, false_positive_rate: f64) -> Result<Self, BloomError> {
        Self::with_key(expected_elements, false_positive_rate, [0; 16])
    }

    /// The same with a key: who does not know it cannot choose elements that collide.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_key(
        expected_elements: u64,
        false_positive_rate: f64,
        key: [u8; 16],
    ) -> Result<Self, BloomError> {
        Ok(Self { key, part: Part::new(expected_elements, checked(false_positive_rate)?)? })
    }

    /// Adds an element. Returns whether it is new: false is wrong as often as
    /// [`contains`](Self::contains) is.
    pub fn insert(&mut self, element: impl AsRef<[u8]>) -> bool {
        self.part.insert(Probe::of(&self.key, element.as_ref()))
    }

    /// Whether an element was inserted: false is never wrong.
    pub fn contains(&self, element: impl AsRef<[u8]>) -> bool {
        self.part.contains(Probe::of(&self.key, element.as_ref()))
    }

    /// Adds everything that is in another filter.
    ///
    /// # Errors
    /// [`BloomError::Different`] unless size, rate and key are the same.
    pub fn union(&mut self, other: &Self) -> Result<(), BloomError> {
        let shape = |it: &Self| (it.key, it.part.expected, it.part.hashes, it.part.words.len());
        if shape(self) != shape(other) || self.part.rate.total_cmp(&other.part.rate).is_ne() {
            return Err(BloomError::Different);
        }
        for (word, others) in self.part.words.iter_mut().zip(&other.part.words) {
            *word |= others;
        }
        self.part.inserted = self.part.estimated();
        Ok(())
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.part.words.fill(0);
        self.part.inserted = 0;
    }

    /// How full it is, and how often it is wrong.
    pub fn stats(&self) -> BloomStats {
        BloomStats::of(core::slice::from_ref(&self.part), self.part.rate)
    }
}

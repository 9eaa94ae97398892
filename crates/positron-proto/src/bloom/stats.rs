//! What is told of a filter.

use serde::Serialize;

use super::part::Part;

/// How full a filter is, and how often it is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BloomStats {
    /// Elements that it was made for; of one that grows, those that all its parts are for.
    pub expected_elements: u64,
    /// Elements that were inserted and seemed new.
    pub inserted_elements: u64,
    /// Elements that are in it, as the bits tell.
    pub estimated_elements: u64,
    /// The rate of false positives that is not exceeded while no more are in it than expected.
    pub false_positive_rate: f64,
    /// That of now: of all things that were not inserted, the part that seems to have been.
    pub current_false_positive_rate: f64,
    /// Bits that are set.
    pub bits_set: u64,
    /// Bits.
    pub bits: u64,
    /// Parts: one, unless it grows.
    pub parts: usize,
}

impl BloomStats {
    pub(super) fn of(parts: &[Part], false_positive_rate: f64) -> Self {
        let sum = |of: fn(&Part) -> u64| parts.iter().map(of).fold(0, u64::saturating_add);
        let right: f64 = parts.iter().map(|part| 1.0 - part.false_positive_rate()).product();
        Self {
            expected_elements: sum(|part| part.expected),
            inserted_elements: sum(|part| part.inserted),
            estimated_elements: sum(Part::estimated),
            false_positive_rate,
            current_false_positive_rate: 1.0 - right,
            bits_set: sum(Part::ones),
            bits: sum(Part::bits),
            parts: parts.len(),
        }
    }
}

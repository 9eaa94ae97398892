//! What is wrong with a filter.

use crate::limits::{MAX_BLOOM_BITS, MAX_BLOOM_RATE, MIN_BLOOM_RATE};

/// Why there is no such filter.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum BloomError {
    /// A filter of nothing.
    #[error("a filter is for one element at least")]
    NoElements,
    /// Not a rate, or one that no filter is good for.
    #[error("the false-positive rate is from {MIN_BLOOM_RATE} to {MAX_BLOOM_RATE}, not {0}")]
    BadRate(f64),
    /// It would take more than a filter may.
    #[error(
        "such a filter takes more than {MAX_BLOOM_BITS} bits: expect fewer elements, or take a \
         higher rate"
    )]
    TooLarge,
    /// Filters of different size or key have no union.
    #[error("two filters are united only if size, rate and key are the same")]
    Different,
    /// Bytes of another version of the format.
    #[error("version {0} of the format of filters is not known here, only 1")]
    UnknownVersion(u8),
    /// Bytes that are no filter of this kind, or not any more.
    #[error("these bytes are no such filter: {0}")]
    Corrupt(&'static str),
}

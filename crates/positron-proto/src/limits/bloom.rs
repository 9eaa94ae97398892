//! The bounds of Bloom filters.

/// Bits of a filter, and of all parts of one that grows: half a gibibyte, which holds 300 million
/// elements at one false positive in a thousand.
pub const MAX_BLOOM_BITS: u64 = 1 << 32;
/// The lowest rate of false positives: 30 bits of each element, 43 of memory.
pub const MIN_BLOOM_RATE: f64 = 1e-9;
/// The highest one: one bit of each element. A coin is wrong as often.
pub const MAX_BLOOM_RATE: f64 = 0.5;
/// Parts of a filter that grows: with the last it is four thousand million times its first.
pub const MAX_BLOOM_PARTS: usize = 32;

//! Bloom filters: sets that may say that something is in them which is not, never the other way
//! round, in ten to twenty bits a thing.
//!
//! ```
//! use positron_proto::bloom::BloomFilter;
//!
//! let mut seen = BloomFilter::new(10_000, 0.01).unwrap();
//! seen.insert("message_id_1");
//! assert!(seen.contains("message_id_1"));
//!
//! let bytes = seen.serialize();
//! assert_eq!(BloomFilter::deserialize(&bytes).unwrap(), seen);
//! ```
//!
//! `filter.rs` is one of a size that is said before (Bloom 1970, "Space/time trade-offs in hash
//! coding with allowable errors"), `scalable.rs` one that grows (Almeida et al. 2007, "Scalable
//! Bloom Filters"), `part.rs` the bits of either, `probe.rs` which of them are whose, `format.rs`
//! what filters are as bytes.
//!
//! **Who chooses what is inserted** can choose it so that everything seems to be there, if the key
//! is known. Where others do, [`BloomFilter::with_key`] takes 16 bytes that they cannot guess, and
//! the filter, which holds them, is not shown to them.
//!
//! **Bounds.** A filter has at most [`MAX_BLOOM_BITS`](crate::limits::MAX_BLOOM_BITS), one that
//! grows as many in all: then its newest part takes what comes, and [`BloomStats`] say how wrong it
//! has become. What is read has room for no more than there are bytes of it.
//!
//! # As bytes
//!
//! Integers are big-endian, real numbers IEEE 754 with 64 bits.
//!
//! | bytes | filter | one that grows |
//! | --- | --- | --- |
//! | 1 | version: 1 | version: 1 |
//! | 1 | kind: 0 | kind: 1 |
//! | 16 | key | key |
//! | 8 | | rate of the whole |
//! | 1 | | parts that follow, 1 to 32, the oldest first |
//! | 8, 8, 8, 1, 8 | expected elements, rate, elements inserted, bits of each element, words | the same of each part, followed by its words |
//! | 8 each | words: bit `i` is bit `i % 64` of word `i / 64`, the lowest first | |
//! | 8 | the first bytes of the SHA-256 of everything before | the same |
//!
//! The bits of an element come from its SipHash-1-3 of 128 bits under the key (Aumasson and
//! Bernstein 2012), of which `a` is the low half and `b` the high one: bit number `j`, from 0, is
//! `(a + j * b + (j^3 - j) / 6) mod 2^64`, times the number of bits, over 2^64 (Dillinger and
//! Manolios 2004, "Bloom Filters in Probabilistic Verification", 5.2).

mod error;
mod filter;
mod format;
mod part;
mod probe;
mod scalable;
mod stats;

pub use error::BloomError;
pub use filter::BloomFilter;
pub use scalable::ScalableBloomFilter;
pub use stats::BloomStats;

#[cfg(test)]
mod tests;

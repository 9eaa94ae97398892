//! How two sets differ, in about as many bytes as the difference has elements, however large they
//! are: rateless invertible Bloom lookup tables (Yang, Gilad, Alizadeh 2024, "Practical Rateless
//! Set Reconciliation", SIGCOMM).
//!
//! Each element is a [`Code`]: 48 bits that both sides compute, under a key that nobody else knows.
//! One side sends [`Symbol`]s, the first, the second, and so on: each is the sum of the codes of
//! which it is, and how many those are. The other one subtracts the symbols of its own set, so that
//! what both have is gone, and takes out one element after the other where a symbol has only one
//! left. When nothing is left all are found. Symbols that are not enough are the beginning of those
//! that are: one asks for more until they are, some 1.35 to 1.7 for each element of the difference.
//!
//! ```text
//! Sketch::new(codes, 1024)             the symbols of a set: of ours, or to be sent in pieces
//! Decoder::new(sketch of ours)         what theirs says beside it
//! decoder.add(their next symbols)
//! decoder.difference() -> theirs, ours once there are enough of them
//! ```
//!
//! Symbol 0 is of all elements, symbol `i` of each with the probability `1 / (1 + i / 2)`
//! (`mapping.rs`), whatever elements there are.
//!
//! **Two elements with one code** are invisible where both are on one side, and equal where they
//! are on two: of 100,000 elements this happens once in 60,000 times, and not under another key.
//! Whoever does not know the key cannot choose elements so. **Whoever sends symbols** may send
//! anything: at most as many elements come out as there are symbols, in a time that goes with them.

mod decoder;
mod mapping;
mod sketch;
mod symbol;

pub use decoder::{Decoder, Difference};
pub use sketch::Sketch;
pub use symbol::{CODE_BYTES, Code, Symbol};

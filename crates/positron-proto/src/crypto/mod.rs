//! The one door to cryptography: no other file of this workspace names a cryptographic library.
//!
//! Small functions over whole values, the same on every platform. Nothing here decides anything:
//! what is hashed, sealed or signed, and in which order numbers are used, is said by the callers.
//!
//! | what | for |
//! | --- | --- |
//! | [`sha256`], [`Sha256`] | ids, fingerprints, seeds; the transcript of a handshake |
//! | [`HmacKey`] | cookies |
//! | [`hkdf_sha256`] | keys from secrets |
//! | [`siphash_1_3`] | the bits of a Bloom filter |
//! | [`AeadKey`] | records, packets, handshake messages |
//! | [`X25519Key`] | the key agreement of a handshake |
//! | [`SigningKey`], [`is_signed`], [`are_signed`] | statements |
//! | [`pbes2`] | key files under a passphrase, carried out by RustCrypto on both back ends |
//! | [`noise`] | the handshake patterns, carried out by snow over the primitives above |
//!
//! Two back ends have these names, chosen by the target and by nothing else:
//!
//! - `native`: aws-lc-rs, on machines. Assembler for each CPU, the code that FIPS validates.
//! - `pure`: RustCrypto and curve25519-dalek, on `wasm32`, where no C library goes.
//!
//! Signatures are *checked* by ed25519-zebra on both: whether one is valid must be the same on
//! every node, and ZIP 215 with batches is its rule alone.
//!
//! **Evidence.** `tests` runs the published vectors of each primitive through both back ends, and
//! compares them, function by function, on random inputs of a named seed; each opens what the other
//! sealed and refuses what the other refuses. `.ci/wasm` runs every test of this crate, with every
//! vector, and stories of the simulator on `wasm32` itself.
//!
//! **Secrets.** Tags and MACs are compared in constant time. X25519, Ed25519 signing, SHA-256 and
//! ChaCha20-Poly1305 take the same time for all secrets in both back ends; so does AES-GCM, by
//! instructions of the CPU in `native` and by bit slicing in `pure`, which is why `pure` is slow at
//! it (a tenth of ChaCha20-Poly1305). A compiler of WebAssembly promises nothing about time: there
//! it holds as far as the source can say it. Key material is wiped when its owner is dropped; what
//! lives as long as a node is [`SecretBytes`] from the start, because a value that is moved leaves
//! a copy behind.

mod ed25519;
#[cfg(not(target_family = "wasm"))]
mod native;
pub(crate) mod noise;
pub(crate) mod pbes2;
#[cfg(any(test, target_family = "wasm"))]
mod pure;
mod secret;
mod siphash;
#[cfg(test)]
mod tests;

pub(crate) use ed25519::{are_signed, is_signed};
#[cfg(not(target_family = "wasm"))]
use native as back_end;
pub use secret::SecretBytes;
pub(crate) use siphash::siphash_1_3;

#[cfg(target_family = "wasm")]
use pure as back_end;

pub(crate) use back_end::{
    AeadKey, HmacKey, Sha256, SigningKey, X25519Key, hkdf_sha256, hkdf_sha256_into, sha256,
};

/// What was to be opened was not sealed so under this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAuthentic;

/// The other side's point is of small order: it contributes nothing to the secret (RFC 7748, 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SmallOrder;

/// Bytes of the tag of either AEAD.
pub(crate) const TAG: usize = 16;
/// Bytes of the nonce of either AEAD.
pub(crate) const NONCE: usize = 12;

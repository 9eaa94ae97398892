//! Which signatures are valid: ZIP 215 (<https://zips.z.cash/zip-0215>), on every node alike, one
//! by one and in batches.

use ed25519_zebra::{Signature, VerificationKeyBytes, batch};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::sha256;

/// A public key, what it is said to have signed, and the signature.
pub(crate) type SignedBytes<'a> = (&'a [u8; 32], &'a [u8], &'a [u8; 64]);

/// Whether the signature is valid.
pub(crate) fn is_signed(claim: SignedBytes<'_>) -> bool {
    batch::Item::from(parts(claim)).verify_single().is_ok()
}

/// Whether all signatures are valid, about twice as fast as one by one.
pub(crate) fn are_signed<'a>(claims: impl ExactSizeIterator<Item = SignedBytes<'a>>) -> bool {
    // The coefficients of the batch equation must be unpredictable to whoever made the signatures:
    // they are drawn from a hash of all of them, as in a Fiat-Shamir transcript.
    let mut transcript = b"positron-net/batch/1".to_vec();
    transcript.reserve(32 * claims.len());
    let mut together = batch::Verifier::new();
    for claim in claims {
        let (key, message, signature) = claim;
        transcript.extend_from_slice(&sha256(&[key, signature, message]));
        together.queue(parts(claim));
    }
    together.verify(ChaCha20Rng::from_seed(sha256(&[&transcript]))).is_ok()
}

fn parts<'a>(
    (key, message, signature): SignedBytes<'a>,
) -> (VerificationKeyBytes, Signature, &'a [u8]) {
    (VerificationKeyBytes::from(*key), Signature::from(*signature), message)
}

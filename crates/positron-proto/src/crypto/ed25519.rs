//! Which signatures are valid: ZIP 215 (<https://zips.z.cash/zip-0215>), on every node alike, one
//! by one and in batches.

use ed25519_zebra::{Signature, VerificationKeyBytes, batch};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::sha256;

/// A public key, what it is said to have signed, and the signature.
pub(crate) type SignatureCheck<'a> = (&'a [u8; 32], &'a [u8], &'a [u8; 64]);

/// Whether the signature is valid.
pub(crate) fn is_signed(check: SignatureCheck<'_>) -> bool {
    batch::Item::from(parts(check)).verify_single().is_ok()
}

/// Whether all signatures are valid, about twice as fast as one by one.
pub(crate) fn are_signed<'a>(checks: impl ExactSizeIterator<Item = SignatureCheck<'a>>) -> bool {
    // The coefficients of the batch equation must be unpredictable to whoever made the signatures:
    // they are drawn from a hash of all of them, as in a Fiat-Shamir transcript.
    let mut transcript = b"positron-net/batch/1".to_vec();
    transcript.reserve(32 * checks.len());
    let mut together = batch::Verifier::new();
    for check in checks {
        let (key, message, signature) = check;
        transcript.extend_from_slice(&sha256(&[key, signature, message]));
        together.queue(parts(check));
    }
    together.verify(ChaCha20Rng::from_seed(sha256(&[&transcript]))).is_ok()
}

fn parts<'a>(
    (key, message, signature): SignatureCheck<'a>,
) -> (VerificationKeyBytes, Signature, &'a [u8]) {
    (VerificationKeyBytes::from(*key), Signature::from(*signature), message)
}

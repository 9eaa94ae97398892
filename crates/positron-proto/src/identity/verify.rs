//! Evidence: the only place where a claim becomes a [`Verified`].
//!
//! One validity rule on every node, ZIP 215 (<https://zips.z.cash/zip-0215>): checking one by one
//! and in batches agrees on every input, so two honest nodes never disagree on a signature.

use bytes::Bytes;

use super::{PublicKey, Signature, Signed, Statement};
use crate::{
    crypto::{are_signed, is_signed, sha256},
    id::{MessageId, NetworkId},
};

/// One signature to be checked: pure, so that it can run on any thread, in any order, alone or in a
/// batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureJob {
    pub(super) network: NetworkId,
    pub(super) key: PublicKey,
    pub(super) message: Bytes,
    pub(super) signature: Signature,
}

/// What checking a [`SignatureJob`] came to. Only running the job makes one, and it fits only its
/// own claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    network: NetworkId,
    signature: Signature,
    id: MessageId,
    valid: bool,
}

/// Evidence: `content` was signed by its signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    claim: Signed<T>,
    id: MessageId,
}

impl SignatureJob {
    /// SHA-256 of the signed bytes: the message id.
    pub fn message_id(&self) -> MessageId {
        MessageId::from_bytes(sha256(&[&self.message]))
    }

    /// A name for the job by all its bytes, signature included: equal jobs have equal verdicts.
    pub fn fingerprint(&self) -> [u8; 32] {
        sha256(&[self.key.as_bytes(), self.signature.as_bytes(), &self.message])
    }

    /// Bytes that were signed.
    pub fn bytes(&self) -> usize {
        self.message.len()
    }

    /// Checks the signature.
    pub fn run(&self) -> Verdict {
        self.verdict(is_signed(self.parts()))
    }

    /// Checks all signatures, about twice as fast as one by one when all are valid; verdicts in
    /// order.
    pub fn run_all(jobs: &[Self]) -> Vec<Verdict> {
        if jobs.len() < 2 {
            return jobs.iter().map(Self::run).collect();
        }
        if are_signed(jobs.iter().map(Self::parts)) {
            return jobs.iter().map(|job| job.verdict(true)).collect();
        }
        jobs.iter().map(Self::run).collect()
    }

    /// Who is said to have signed.
    pub const fn signer(&self) -> &PublicKey {
        &self.key
    }

    fn parts(&self) -> (&[u8; 32], &[u8], &[u8; 64]) {
        (self.key.as_bytes(), &self.message, self.signature.as_bytes())
    }

    fn verdict(&self, valid: bool) -> Verdict {
        Verdict { network: self.network, signature: self.signature, id: self.message_id(), valid }
    }
}

impl Verdict {
    /// Whether the signature is its signer's.
    pub const fn is_valid(&self) -> bool {
        self.valid
    }
}

impl<T: Statement> Signed<T> {
    /// The name of what is claimed: SHA-256 of [`signed_bytes`](Self::signed_bytes). It does not
    /// cover the signature, so two claims with one id say the same, and at least one of them may be
    /// forged.
    pub fn id(&self, network: &NetworkId) -> MessageId {
        self.job(network).message_id()
    }

    /// The check of the signature, to be run anywhere.
    pub fn job(&self, network: &NetworkId) -> SignatureJob {
        let message = self.signed_bytes(network);
        let key = *self.content().signer();
        SignatureJob { network: *network, key, message, signature: *self.signature() }
    }

    /// Turns the claim into evidence if `verdict` is about it and says that it is valid.
    ///
    /// The signed bytes are hashed once more: a signature is public, so that two claims with one
    /// signature need not say the same, and the verdict on one must not fit the other.
    pub fn accept(self, verdict: Verdict) -> Option<Verified<T>> {
        let fits = verdict.signature == *self.signature()
            && verdict.id.as_bytes() == &sha256(&[&self.signed_bytes(&verdict.network)]);
        (fits && verdict.valid).then_some(Verified { claim: self, id: verdict.id })
    }
}

impl<T: Statement> Verified<T> {
    /// `content`, whose signer must be `signer`, as its key pair signs it by `sign`.
    pub(super) fn by(
        signer: &PublicKey,
        content: T,
        network: &NetworkId,
        sign: impl FnOnce(&[u8]) -> Signature,
    ) -> Self {
        assert_eq!(content.signer(), signer, "a node signs in its own name only");
        let unsigned = Signed::new(content, Signature::from_bytes([0; 64]));
        let bytes = unsigned.signed_bytes(network);
        let id = MessageId::from_bytes(sha256(&[&bytes]));
        let signature = sign(&bytes);
        Self { claim: Signed::new(unsigned.into_content(), signature), id }
    }

    /// Evidence that was checked before it was stored on our own disk, and is believed without a
    /// second check.
    pub fn from_own_storage(claim: Signed<T>, network: &NetworkId) -> Self {
        let id = claim.id(network);
        Self { claim, id }
    }
}

impl<T> Verified<T> {
    /// What was signed.
    pub const fn content(&self) -> &T {
        self.claim.content()
    }

    /// The claim that was checked, to be passed on byte for byte.
    pub const fn claim(&self) -> &Signed<T> {
        &self.claim
    }

    /// SHA-256 of the signed bytes.
    pub const fn id(&self) -> MessageId {
        self.id
    }
}

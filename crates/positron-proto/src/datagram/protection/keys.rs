//! What each direction holds of keys, phase by phase.

use crate::{
    crypto::AeadKey,
    handshake::{
        aead::{Secret, Suite, aead_key, expand},
        noise::Split,
    },
    time::Instant,
};

/// Our packets.
pub(super) struct Sealing {
    pub(super) key: Key,
    pub(super) next_number: u64,
    /// The first number under the present key.
    pub(super) since: u64,
    /// Whether one of them was acknowledged.
    pub(super) acknowledged: bool,
}

/// The other end's packets.
pub(super) struct Opening {
    pub(super) previous: Option<Previous>,
    pub(super) present: Key,
    pub(super) next: Key,
    /// The lowest number that was opened in the present phase.
    pub(super) first: Option<u64>,
    /// The same of the phase before: below it nothing can be of the present one.
    pub(super) floor: u64,
}

/// A key that was replaced.
pub(super) struct Previous {
    pub(super) key: Key,
    /// When it goes; not before something of the present phase arrived.
    pub(super) until: Option<Instant>,
    /// Below it nothing can be sealed with this key.
    pub(super) floor: u64,
}

/// One key of one direction, and what the next one comes from.
pub(super) struct Key {
    pub(super) secret: Secret,
    pub(super) cipher: AeadKey,
}

/// Which key a packet must have been sealed with.
#[derive(Clone, Copy)]
pub(super) enum KeyPhase {
    Previous,
    Present,
    Next,
}

impl Opening {
    pub(super) fn key(&self, phase: KeyPhase) -> &Key {
        match (phase, &self.previous) {
            (KeyPhase::Previous, Some(previous)) => &previous.key,
            (KeyPhase::Present, _) => &self.present,
            (KeyPhase::Next | KeyPhase::Previous, _) => &self.next,
        }
    }
}

impl Key {
    pub(super) fn first(split: &Split, secret: &[u8; 32], suite: Suite) -> Self {
        let info: &[&[u8]] = &[b"positron-net/packet/1", &[suite.bit()]];
        Self::new(expand(&split.hash, secret, info), suite)
    }

    /// The key of the next phase; the IV changes with it.
    pub(super) fn next(&self, suite: Suite) -> Self {
        let info: &[&[u8]] = &[b"positron-net/packet-rekey/1"];
        Self::new(expand(&[], self.secret.as_slice(), info), suite)
    }

    fn new(secret: Secret, suite: Suite) -> Self {
        Self { cipher: aead_key(&secret, suite), secret }
    }
}

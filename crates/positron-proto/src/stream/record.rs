//! Sealed records of a stream link `[PROTOCOL 5.3]`.
//!
//! ```text
//! length (4) ‖ sealed frames ‖ tag (16)
//! ```
//!
//! Each direction has its own key, IV and 64-bit number; the number is implicit, never reset and
//! never used twice under one key, so one nonce never seals two plaintexts.

use core::fmt;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::{
    crypto::{AeadKey, NONCE, TAG},
    handshake::{
        aead::{Role, Secret, Suite, aead_key, expand, nonce},
        noise::Split,
    },
    limits::MAX_RECORD,
};

/// Bytes around the frames of a record.
pub(super) const RECORD_OVERHEAD: usize = HEADER + TAG;
/// Bytes of the length in front of a record.
pub(super) const HEADER: usize = 4;

/// The keys of both directions of one link.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
}

impl Keys {
    /// The keys that a finished handshake comes to, stepped after `records_per_key` records.
    pub(super) fn derive(split: &Split, suite: Suite, role: Role, records_per_key: u64) -> Self {
        let from_initiator = &Stream::derive(split, &split.from_initiator, suite);
        let from_responder = &Stream::derive(split, &split.from_responder, suite);
        let (ours, theirs) = match role {
            Role::Initiator => (from_initiator, from_responder),
            Role::Responder => (from_responder, from_initiator),
        };
        let stream = |secret: &Secret| Stream::new(secret.clone(), suite, records_per_key);
        Self { sealer: Sealer(stream(ours)), opener: Opener(stream(theirs)) }
    }
}

/// Seals our records. Give it each buffer once, in the order in which they are sent.
#[derive(Debug)]
pub(super) struct Sealer(Stream);

impl Sealer {
    /// Leaves room for the length at the end of `out`; append the frames, then
    /// [`seal`](Self::seal).
    pub(super) fn begin(out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER]);
        start
    }

    /// Seals in place what was appended since [`begin`](Self::begin) returned `start`.
    pub(super) fn seal(&mut self, out: &mut Vec<u8>, start: usize) {
        let (_, record) = out.split_at_mut(start);
        let (header, frames) = record.split_at_mut(HEADER);
        assert!(!frames.is_empty() && frames.len() <= MAX_RECORD, "a record we filled ourselves");
        let len = u32::try_from(frames.len() + TAG).expect("checked above");
        header.copy_from_slice(&len.to_be_bytes());
        let tag = self.0.key.seal(&self.0.next_nonce(), header, frames);
        out.extend_from_slice(&tag);
        self.0.step();
    }
}

/// Opens the peer's records, in the order in which they were sent.
#[derive(Debug)]
pub(super) struct Opener(Stream);

/// A record that was not sealed by the peer, for this place in the stream. The link is of no use
/// any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forged;

impl Opener {
    /// Checks the length of a record by its first bytes: how many bytes it has in all.
    ///
    /// Nothing is allocated for a record before its bytes are there (a prefix of 4 GiB costs
    /// nothing).
    pub(super) fn record_len(header: [u8; HEADER]) -> Result<usize, Forged> {
        let len = usize::try_from(u32::from_be_bytes(header)).map_err(|_| Forged)?;
        // An empty record would be work for nothing; nobody honest sends one.
        if len <= TAG || len > MAX_RECORD + TAG { Err(Forged) } else { Ok(HEADER + len) }
    }

    /// Opens a whole record in place and returns its frames.
    pub(super) fn open(&mut self, mut record: BytesMut) -> Result<Bytes, Forged> {
        let header: [u8; HEADER] = record.first_chunk().copied().ok_or(Forged)?;
        record.advance(HEADER);
        let opened = self.0.key.open_in_place(&self.0.next_nonce(), &header, &mut record);
        let len = opened.map_err(|_| Forged)?.len();
        record.truncate(len);
        self.0.step();
        Ok(record.freeze())
    }
}

/// One direction.
struct Stream {
    secret: Secret,
    suite: Suite,
    key: AeadKey,
    number: u64,
    records_per_key: u64,
}

impl Stream {
    fn derive(split: &Split, secret: &[u8; 32], suite: Suite) -> Secret {
        expand(&split.hash, secret, &[b"positron-net/record/1", &[suite.bit()]])
    }

    fn new(secret: Secret, suite: Suite, records_per_key: u64) -> Self {
        let key = aead_key(&secret, suite);
        Self { secret, suite, key, number: 0, records_per_key }
    }

    fn next_nonce(&self) -> [u8; NONCE] {
        nonce(&self.secret, self.number)
    }

    /// Goes on to the next record, under the next key if this one has sealed its share. The number
    /// is not reset. At a million records a second 2^64 of them take 584,000 years.
    fn step(&mut self) {
        self.number += 1;
        if self.number.is_multiple_of(self.records_per_key) {
            self.secret = expand(&[], self.secret.as_slice(), &[b"positron-net/rekey/1"]);
            self.key = aead_key(&self.secret, self.suite);
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({:?}, record {})", self.suite, self.number)
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn pair(suite: Suite, records_per_key: u64) -> (Sealer, Opener) {
        let split = || Split {
            hash: [1; 32],
            from_initiator: Zeroizing::new([2; 32]),
            from_responder: Zeroizing::new([3; 32]),
        };
        let ours = Keys::derive(&split(), suite, Role::Initiator, records_per_key);
        let theirs = Keys::derive(&split(), suite, Role::Responder, records_per_key);
        (ours.sealer, theirs.opener)
    }

    fn sealed(sealer: &mut Sealer, frames: &[u8]) -> BytesMut {
        let mut out = Vec::new();
        let start = Sealer::begin(&mut out);
        out.extend_from_slice(frames);
        sealer.seal(&mut out, start);
        BytesMut::from(out.as_slice())
    }

    #[test]
    fn records_open_in_order_across_many_keys_with_either_cipher() {
        for suite in [Suite::Aes256Gcm, Suite::ChaCha20Poly1305] {
            let (mut sealer, mut opener) = pair(suite, 3);
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..20_u8 {
                let record = sealed(&mut sealer, b"the same frames");
                assert!(seen.insert(record.to_vec()), "one nonce sealed two plaintexts");
                assert_eq!(opener.open(record), Ok(Bytes::from_static(b"the same frames")));
            }
        }
    }

    #[test]
    fn a_record_twice_or_out_of_order_or_of_the_other_direction_does_not_open() {
        let (mut sealer, mut opener) = pair(Suite::Aes256Gcm, 100);
        let (first, second) = (sealed(&mut sealer, b"first"), sealed(&mut sealer, b"second"));
        assert_eq!(opener.open(second.clone()), Err(Forged));
        assert_eq!(opener.open(first.clone()), Ok(Bytes::from_static(b"first")));
        assert_eq!(opener.open(first), Err(Forged));
        assert_eq!(opener.open(second), Ok(Bytes::from_static(b"second")));
    }

    #[test]
    fn a_record_opens_only_as_it_was_sealed() {
        let (mut sealer, mut opener) = pair(Suite::Aes256Gcm, 100);
        let record = sealed(&mut sealer, b"frames");
        for at in 0..record.len() {
            for bit in 0..8 {
                let mut record = record.clone();
                record[at] ^= 1 << bit;
                assert_eq!(opener.open(record), Err(Forged), "byte {at}, bit {bit}");
            }
        }
        for len in 0..record.len() {
            assert_eq!(opener.open(BytesMut::from(&record[..len])), Err(Forged));
        }
        assert!(opener.open(record).is_ok());
    }

    #[test]
    fn lengths_are_checked_at_their_limits() {
        for (len, ok) in [
            (0, false),
            (TAG, false),
            (TAG + 1, true),
            (MAX_RECORD + TAG, true),
            (MAX_RECORD + TAG + 1, false),
            (0xFFFF_FFFF, false),
        ] {
            let header = u32::try_from(len).unwrap().to_be_bytes();
            assert_eq!(Opener::record_len(header).is_ok(), ok, "{len}");
        }
    }
}

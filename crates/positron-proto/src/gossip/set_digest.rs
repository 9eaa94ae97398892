//! One number for a set of messages.

use super::message_key::MessageKey;
use crate::{crypto::siphash_1_3, id::MessageId, reconciliation::Code};

/// What of a message is compared with others: its content, or, if two of them were proved to be
/// signed under its number, the number alone, so that those who hold the proof agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry([u8; 40]);

impl Entry {
    /// That of a message, or of a number under which there are two.
    pub(super) fn new(item: &MessageKey, id: &MessageId, is_equivocated: bool) -> Self {
        let name = if is_equivocated { item.sender.as_bytes() } else { id.as_bytes() };
        let mut bytes = [0; 40];
        bytes[..32].copy_from_slice(name);
        bytes[32..].copy_from_slice(&item.sequence.to_be_bytes());
        Self(bytes)
    }

    /// What stands for it in a sketch.
    pub(super) fn code(&self, key: &[u8; 16]) -> Code {
        Code::of(key, &self.0)
    }
}

/// The sum of the SipHashes of a set of messages under the key of a link, modulo 2^128
/// `[PROTOCOL 6]`.
///
/// Sums of hashes that anybody can compute can be forged: of many messages of one's own some can be
/// chosen whose sum is that of others (Wagner 2002, "A generalized birthday problem"). Here only
/// the two ends of a link know the key, so that for everybody else the hash of each message is 128
/// random bits: however messages are chosen, two different sets have one sum once in 2^128 times
/// (Bellare and Micciancio 1997, "A new paradigm for collision-free hashing", keyed). One of the
/// two ends deceives with it only itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct SetDigest {
    key: [u8; 16],
    sum: u128,
}

impl SetDigest {
    /// Of a set, under a key.
    pub(super) fn new(key: [u8; 16], entries: impl Iterator<Item = Entry>) -> Self {
        let mut digest = Self { key, sum: 0 };
        entries.for_each(|entry| digest.add(&entry));
        digest
    }

    pub(super) const fn key(&self) -> &[u8; 16] {
        &self.key
    }

    pub(super) const fn bytes(&self) -> [u8; 16] {
        self.sum.to_be_bytes()
    }

    pub(super) fn add(&mut self, entry: &Entry) {
        self.sum = self.sum.wrapping_add(self.hash(entry));
    }

    pub(super) fn remove(&mut self, entry: &Entry) {
        self.sum = self.sum.wrapping_sub(self.hash(entry));
    }

    fn hash(&self, entry: &Entry) -> u128 {
        let (low, high) = siphash_1_3(&self.key, &entry.0);
        u128::from(high) << 64 | u128::from(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::NodeId;

    #[test]
    fn a_sum_forgets_what_is_removed_in_any_order_and_is_another_under_another_key() {
        let sender = NodeId::from_bytes([1; 32]);
        let entry = |sequence, is_equivocated| {
            let id = MessageId::from_bytes([9; 32]);
            Entry::new(&MessageKey { sender, sequence }, &id, is_equivocated)
        };
        let all = [entry(1, false), entry(2, false), entry(2, true)];
        let mut digest = SetDigest::new([5; 16], all.into_iter());
        assert_ne!(digest.bytes(), SetDigest::new([6; 16], all.into_iter()).bytes());
        digest.remove(&all[0]);
        digest.remove(&all[2]);
        assert_eq!(digest.bytes(), SetDigest::new([5; 16], [all[1]].into_iter()).bytes());
        digest.remove(&all[1]);
        assert_eq!(digest.bytes(), [0; 16]);
    }
}

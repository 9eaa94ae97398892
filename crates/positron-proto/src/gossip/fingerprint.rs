//! One number for a set of messages.

use crate::id::MessageId;

/// The sum of the ids of a set of messages, as 256-bit little-endian numbers modulo 2^256
/// `[PROTOCOL 6]`.
///
/// It tells sets apart that differ by accident (a multiset hash after Bellare and Micciancio 1997,
/// "AdHASH"). Whoever can make up ids can make two sets with one sum (Wagner 2002); then two nodes
/// miss a round of anti-entropy with each other, and with nobody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fingerprint([u64; 4]);

impl Fingerprint {
    pub(super) fn add(&mut self, id: &MessageId) {
        let mut carry = false;
        for (limb, other) in self.0.iter_mut().zip(limbs(id)) {
            let (sum, first) = limb.overflowing_add(other);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = first || second;
        }
    }

    pub(super) fn remove(&mut self, id: &MessageId) {
        let mut borrow = false;
        for (limb, other) in self.0.iter_mut().zip(limbs(id)) {
            let (rest, first) = limb.overflowing_sub(other);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            *limb = rest;
            borrow = first || second;
        }
    }

    pub(super) fn bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (to, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            to.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }
}

fn limbs(id: &MessageId) -> impl Iterator<Item = u64> {
    id.as_bytes().chunks_exact(8).map(|eight| {
        let mut limb = [0; 8];
        limb.copy_from_slice(eight);
        u64::from_le_bytes(limb)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_carries_over_all_bytes_and_forgets_what_is_removed_in_any_order() {
        let (ones, mut one) = (MessageId::from_bytes([0xFF; 32]), [0; 32]);
        one[0] = 1;
        let one = MessageId::from_bytes(one);
        let mut sum = Fingerprint::default();
        sum.add(&ones);
        sum.add(&one);
        assert_eq!(sum.bytes(), [0; 32]);
        sum.remove(&ones);
        assert_eq!(sum.bytes(), *one.as_bytes());
        sum.remove(&one);
        assert_eq!(sum, Fingerprint::default());
    }
}

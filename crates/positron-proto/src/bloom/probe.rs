//! Which bits are of an element.

use crate::crypto::siphash_1_3;

/// The hash of one element, from which its bits in every filter of a key follow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    a: u64,
    b: u64,
}

impl Probe {
    pub(super) fn of(key: &[u8; 16], element: &[u8]) -> Self {
        let (a, b) = siphash_1_3(key, element);
        Self { a, b }
    }

    /// Its `count` bits among `bits`.
    pub(super) fn places(self, count: u8, bits: u64) -> impl Iterator<Item = u64> {
        let Self { mut a, mut b } = self;
        (0..count).map(move |j| {
            let place = (u128::from(a) * u128::from(bits)) >> 64;
            // The sum of j, and of its sums: the next value of the cubic in two additions.
            a = a.wrapping_add(b);
            b = b.wrapping_add(u64::from(j) + 1);
            u64::try_from(place).unwrap_or(0)
        })
    }
}

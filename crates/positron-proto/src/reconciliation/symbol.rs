//! What stands for an element, and the sum of some.

use crate::{
    crypto::siphash_1_3,
    wire::{Malformed, Reader, Writer as _},
};

/// Bytes of a [`Code`].
pub const CODE_BYTES: usize = 6;
/// Bytes of the check of a [`Symbol`]: of 1,000 symbols that look like one element and are not, one
/// is believed in 17,000 times.
const CHECK_BYTES: usize = 3;

/// An element of a set, in 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u64);

impl Code {
    /// That of `element` under `key`: the beginning of its SipHash-1-3.
    pub fn of(key: &[u8; 16], element: &[u8]) -> Self {
        let (low, _) = siphash_1_3(key, element);
        Self(low & !(u64::MAX << (8 * CODE_BYTES)))
    }

    /// As a number below 2^48.
    pub(super) const fn number(self) -> u64 {
        self.0
    }

    /// 24 bits that tell a code from a sum of codes.
    const fn check(self) -> u32 {
        let [.., a, b, c] = mixed(self.0 ^ 0x9E37_79B9_7F4A_7C15).to_be_bytes();
        u32::from_be_bytes([0, a, b, c])
    }

    /// Reads one.
    pub fn decode(reader: &mut Reader) -> Result<Self, Malformed> {
        let [a, b, c, d, e, f] = reader.array::<CODE_BYTES>()?;
        Ok(Self(u64::from_be_bytes([0, 0, a, b, c, d, e, f])))
    }

    /// Writes it.
    pub fn encode(self, out: &mut Vec<u8>) {
        let [_, _, code @ ..] = self.0.to_be_bytes();
        out.append_raw(&code);
    }
}

/// All bits depend on all bits (the finisher of SplitMix64: Steele, Lea, Flood 2014, "Fast
/// splittable pseudorandom number generators").
pub(super) const fn mixed(number: u64) -> u64 {
    let a = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    b ^ (b >> 31)
}

/// The sum of the elements that it is of, or of what is left of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Symbol {
    /// Of their codes, without carries.
    codes: u64,
    /// Of their checks, without carries.
    checks: u32,
    /// How many there are; of a difference, how many more on the one side than on the other.
    count: i32,
}

impl Symbol {
    /// Adds an element, or with `-1` takes it away.
    pub(super) const fn add(&mut self, code: Code, times: i32) {
        self.codes ^= code.0;
        self.checks ^= code.check();
        self.count = self.count.wrapping_add(times);
    }

    /// Without the elements of `other`.
    pub(super) const fn minus(self, other: Self) -> Self {
        Self {
            codes: self.codes ^ other.codes,
            checks: self.checks ^ other.checks,
            count: self.count.wrapping_sub(other.count),
        }
    }

    /// The only element of it, and whether it is of the one side (1) or the other (-1).
    pub(super) fn only_one(self) -> Option<(Code, i32)> {
        let code = Code(self.codes);
        let is_one = matches!(self.count, -1 | 1) && code.check() == self.checks;
        is_one.then_some((code, self.count))
    }

    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Reads the symbol number `index` of a set of `elements`.
    pub fn decode(reader: &mut Reader, index: usize, elements: u32) -> Result<Self, Malformed> {
        let Code(codes) = Code::decode(reader)?;
        let [a, b, c] = reader.array::<CHECK_BYTES>()?;
        let wrong = reader.malformed("more elements than there are");
        let zigzag = reader.varint()?;
        let half = i64::try_from(zigzag / 2).map_err(|_| wrong)?;
        let apart = if zigzag % 2 == 0 { half } else { -half - 1 };
        let wrong = reader.malformed("more elements than there are");
        let count = expected(index, elements).saturating_add(apart);
        let count = u32::try_from(count).ok().filter(|count| *count <= elements);
        let count = count.and_then(|count| i32::try_from(count).ok()).ok_or(wrong)?;
        Ok(Self { codes, checks: u32::from_be_bytes([0, a, b, c]), count })
    }

    /// Writes it: of its count, how far that is from what is to be expected.
    pub fn encode(self, index: usize, elements: u32, out: &mut Vec<u8>) {
        Code(self.codes).encode(out);
        let [_, checks @ ..] = self.checks.to_be_bytes();
        out.append_raw(&checks);
        let apart = i64::from(self.count) - expected(index, elements);
        out.append_varint(apart.unsigned_abs() * 2 - u64::from(apart < 0));
    }
}

/// Of how many of so many elements a symbol is, on average.
fn expected(index: usize, elements: u32) -> i64 {
    let index = i64::try_from(index).unwrap_or(i64::MAX - 2);
    2 * i64::from(elements) / (2 + index)
}

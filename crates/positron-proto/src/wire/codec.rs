//! Numbers and lengths: the only code that touches offsets.

use bytes::Bytes;

/// The bytes are not what they claim to be. Nothing was changed by reading them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at offset {offset}")]
pub struct Malformed {
    /// What is wrong.
    pub what: &'static str,
    /// Bytes from the start of the input.
    pub offset: usize,
}

/// What a [`Reader`] reads: bytes that are cut without copying them. Shared ones where the pieces
/// are kept, borrowed ones where they are copied to their place at once.
pub trait Source: AsRef<[u8]> {
    /// Takes the first `len` bytes off, of which there are as many.
    #[must_use]
    fn cut(&mut self, len: usize) -> Self;
}

impl Source for Bytes {
    fn cut(&mut self, len: usize) -> Self {
        self.split_to(len)
    }
}

impl Source for &[u8] {
    fn cut(&mut self, len: usize) -> Self {
        let (front, rest) = self.split_at(len);
        *self = rest;
        front
    }
}

/// Reads values from the front of a buffer; slices it without copying.
#[derive(Clone, Debug)]
pub struct Reader<B = Bytes> {
    rest: B,
    total: usize,
}

impl<B: Source> Reader<B> {
    /// Reads `bytes` from the start.
    pub fn new(bytes: B) -> Self {
        Self { total: bytes.as_ref().len(), rest: bytes }
    }

    /// What is wrong here.
    pub fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { what, offset: self.total - self.remaining() }
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.rest.as_ref().len()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// Fails unless everything was read.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(self.malformed("trailing bytes")) }
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<B, Malformed> {
        if len > self.remaining() {
            return Err(self.malformed("truncated"));
        }
        Ok(self.rest.cut(len))
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> B {
        self.rest.cut(self.remaining())
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.take(N)?;
        let mut array = [0; N];
        array.copy_from_slice(bytes.as_ref());
        Ok(array)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A variable-length integer (RFC 9000, section 16): 1, 2, 4 or 8 bytes, below 2^62, shortest
    /// form only.
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let (value, len) = read_varint(self.rest.as_ref()).map_err(|what| self.malformed(what))?;
        self.take(len)?;
        Ok(value)
    }

    /// A count or length as a varint, at most `limit`: checked before anything is read or allocated
    /// for it.
    pub fn len(&mut self, limit: usize) -> Result<usize, Malformed> {
        let over = self.malformed("length above its limit");
        let len = usize::try_from(self.varint()?).map_err(|_| over)?;
        if len > limit { Err(over) } else { Ok(len) }
    }

    /// A count of at most `limit`, and as many of what `decode` reads. It takes memory for what is
    /// there, whatever the count says, and has room for no more: some lists are kept for long.
    pub fn list<T>(
        &mut self,
        limit: usize,
        decode: fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.len(limit)?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(decode(self)?);
        }
        list.shrink_to_fit();
        Ok(list)
    }

    /// A varint length of at most `limit`, then that many bytes.
    pub fn bytes(&mut self, limit: usize) -> Result<B, Malformed> {
        let len = self.len(limit)?;
        self.take(len)
    }
}

/// Appends values to a buffer. The counterpart of [`Reader`].
pub trait Writer {
    /// Appends bytes as they are.
    fn append_raw(&mut self, bytes: &[u8]);

    /// Appends a variable-length integer in its shortest form; `value` is below 2^62.
    fn append_varint(&mut self, value: u64);

    /// Appends a length as a varint, then the bytes.
    fn append_blob(&mut self, bytes: &[u8]);
}

impl Writer for Vec<u8> {
    fn append_raw(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn append_varint(&mut self, value: u64) {
        assert!(value < 1 << 62, "a varint carries 62 bits");
        let be = value.to_be_bytes();
        let len = varint_len(value);
        let start = self.len();
        self.extend_from_slice(&be[8 - len..]);
        // The two top bits of the first byte say the length: 1, 2, 4 or 8.
        self[start] |= match len {
            1 => 0,
            2 => 0x40,
            4 => 0x80,
            _ => 0xC0,
        };
    }

    fn append_blob(&mut self, bytes: &[u8]) {
        self.append_varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.append_raw(bytes);
    }
}

/// The variable-length integer at the front of `bytes`, and its bytes; or what is wrong with it.
pub(super) fn read_varint(bytes: &[u8]) -> Result<(u64, usize), &'static str> {
    let first = *bytes.first().ok_or("truncated")?;
    let len = 1_usize << (first >> 6);
    let more = bytes.get(1..len).ok_or("truncated")?;
    let value =
        more.iter().fold(u64::from(first & 0x3F), |value, byte| value << 8 | u64::from(*byte));
    if varint_len(value) == len { Ok((value, len)) } else { Err("number not in its shortest form") }
}

/// The largest number that a varint carries (RFC 9000, 16).
pub const MAX_VARINT: u64 = (1 << 62) - 1;

/// Bytes that `value` takes as a varint.
pub const fn varint_len(value: u64) -> usize {
    match value {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..0x4000_0000 => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let mut bytes = Vec::new();
        write(&mut bytes);
        bytes.into()
    }

    #[test]
    fn varints_of_rfc_9000_appendix_a_1_read_as_stated() {
        for (bytes, value) in [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d][..], 494_878_333),
            (&[0x7b, 0xbd][..], 15_293),
            (&[0x25][..], 37),
        ] {
            assert_eq!(Reader::new(Bytes::copy_from_slice(bytes)).varint(), Ok(value));
            assert_eq!(written(|out| out.append_varint(value)), bytes);
        }
    }

    #[test]
    fn a_number_in_a_longer_form_than_needed_is_refused() {
        // RFC 9000 allows [0x40, 0x25] for 37; one value has one form here, because hashes cover
        // it.
        let malformed = Reader::new(Bytes::from_static(&[0x40, 0x25])).varint().unwrap_err();
        assert_eq!((malformed.what, malformed.offset), ("number not in its shortest form", 0));
    }

    #[test]
    fn a_length_above_its_limit_is_refused_before_its_bytes_are_looked_at() {
        for (len, ok) in [(9, true), (10, true), (11, false)] {
            let bytes = written(|out| out.append_blob(&vec![7; len]));
            assert_eq!(Reader::new(bytes).bytes(10).is_ok(), ok);
        }
        let huge = written(|out| out.append_varint(u64::from(u32::MAX)));
        assert_eq!(Reader::new(huge).bytes(1 << 20).unwrap_err().what, "length above its limit");
    }
}

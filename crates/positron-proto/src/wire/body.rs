//! An encoded message, as it waits to be put on a link.

use core::ops::Range;

use bytes::Bytes;

use super::codec::Writer as _;

/// An encoded message: perhaps in two parts, so that what is large is not copied behind what stands
/// in front of it before it is put on a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    head: Bytes,
    tail: Bytes,
}

impl Body {
    /// `head`, and `tail` behind it.
    pub const fn new(head: Bytes, tail: Bytes) -> Self {
        Self { head, tail }
    }

    /// Its bytes.
    pub fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A length as a varint, then the bytes of this range of it.
    pub(super) fn append(&self, range: Range<usize>, out: &mut Vec<u8>) {
        let cut = |part: &Bytes, before: usize| {
            let clamp = |at: usize| at.saturating_sub(before).min(part.len());
            clamp(range.start)..clamp(range.end)
        };
        let head = &self.head[cut(&self.head, 0)];
        let tail = &self.tail[cut(&self.tail, self.head.len())];
        out.append_varint(u64::try_from(head.len() + tail.len()).unwrap_or(u64::MAX));
        out.append_raw(head);
        out.append_raw(tail);
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(whole: B) -> Self {
        Self::new(whole.into(), Bytes::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_of_two_parts_is_that_of_the_whole() {
        let (head, tail) = (Bytes::from_static(b"head"), Bytes::from_static(b"and tail"));
        let (parts, whole) = (Body::new(head, tail), Body::from("headand tail"));
        for from in 0..=whole.len() {
            for to in from..=whole.len() {
                let (mut of_parts, mut of_whole) = (Vec::new(), Vec::new());
                parts.append(from..to, &mut of_parts);
                whole.append(from..to, &mut of_whole);
                assert_eq!(of_parts, of_whole);
                assert_eq!(&of_parts[1..], &b"headand tail"[from..to]);
            }
        }
    }
}

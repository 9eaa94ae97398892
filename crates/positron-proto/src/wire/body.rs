//! An encoded message, as it waits to be put on a link.

use core::ops::Range;

use bytes::Bytes;

/// Bytes that follow on one another.
pub type Parts<'a> = [&'a [u8]; 2];

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

    /// The bytes of this range, in their two parts.
    pub fn parts(&self, range: Range<usize>) -> Parts<'_> {
        let (of_head, of_tail) = self.cut(range);
        [&self.head[of_head], &self.tail[of_tail]]
    }

    /// The bytes of this range, shared. What is in one part is the tail.
    pub fn slice(&self, range: Range<usize>) -> (Bytes, Bytes) {
        let (of_head, of_tail) = self.cut(range);
        match (self.head.slice(of_head), self.tail.slice(of_tail)) {
            (whole, empty) if empty.is_empty() => (empty, whole),
            parts => parts,
        }
    }

    fn cut(&self, range: Range<usize>) -> (Range<usize>, Range<usize>) {
        let cut = |part: &Bytes, before: usize| {
            let clamp = |at: usize| at.saturating_sub(before).min(part.len());
            clamp(range.start)..clamp(range.end)
        };
        (cut(&self.head, 0), cut(&self.tail, self.head.len()))
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
                let expected = &b"headand tail"[from..to];
                for body in [&parts, &whole] {
                    assert_eq!(body.parts(from..to).concat(), expected);
                    let (head, tail) = body.slice(from..to);
                    assert_eq!([head, tail].concat(), expected);
                }
            }
        }
    }
}

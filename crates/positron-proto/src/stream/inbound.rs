//! The bytes of one link on their way in, cut anywhere by the network.

use bytes::{Bytes, BytesMut};

/// Cuts a byte stream into pieces without copying whole ones.
///
/// [`push`](Self::push) what arrived, [`take`](Self::take) pieces until there are none, then
/// [`settle`](Self::settle). A piece that arrived whole and alone in its buffer is handed out of
/// that buffer, ready to be opened in place; only the tail that waits for more is copied, once. It
/// holds no memory while nothing is incomplete, and never more than arrived: whoever takes checks
/// the length of a piece before waiting for it.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    /// The start of a piece whose end has not arrived.
    partial: BytesMut,
    /// What was pushed and not yet looked at.
    fresh: BytesMut,
}

impl Inbound {
    /// Adds what arrived.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.settle();
        self.fresh = BytesMut::from(bytes);
    }

    /// The next `N` bytes, which stay; `None` if there are not as many.
    pub(super) fn peek<const N: usize>(&self) -> Option<[u8; N]> {
        let mut front = [0; N];
        let mut bytes = self.partial.iter().chain(&self.fresh);
        for byte in &mut front {
            *byte = *bytes.next()?;
        }
        Some(front)
    }

    /// The next `len` bytes; `None`, and nothing is taken, if there are not as many.
    pub(super) fn take(&mut self, len: usize) -> Option<BytesMut> {
        let Some(missing) = len.checked_sub(self.partial.len()) else {
            return Some(self.partial.split_to(len));
        };
        if missing > self.fresh.len() {
            return None;
        }
        let rest = self.fresh.split_to(missing);
        if self.partial.is_empty() {
            return Some(rest);
        }
        let mut piece = core::mem::take(&mut self.partial);
        piece.extend_from_slice(&rest);
        Some(piece)
    }

    /// The next bytes that are there, up to `len`; they stay.
    pub(super) fn front(&self, len: usize) -> Vec<u8> {
        self.partial.iter().chain(&self.fresh).take(len).copied().collect()
    }

    /// Puts the tail away, so that the buffer in which it arrived can be freed.
    pub(super) fn settle(&mut self) {
        if !self.fresh.is_empty() {
            self.partial.extend_from_slice(&self.fresh);
        }
        self.fresh = BytesMut::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_out_the_same_however_the_stream_was_cut() {
        let stream: Vec<u8> = (0..=255).collect();
        for chunk in 1..60 {
            let (mut inbound, mut out) = (Inbound::default(), Vec::new());
            for bytes in stream.chunks(chunk) {
                inbound.push(Bytes::copy_from_slice(bytes));
                while let Some([first]) = inbound.peek() {
                    let Some(piece) = inbound.take(1 + usize::from(first % 7)) else { break };
                    assert_eq!(piece[0], first);
                    out.extend_from_slice(&piece);
                }
                inbound.settle();
            }
            out.extend_from_slice(&inbound.front(usize::MAX));
            assert_eq!(out, stream, "in chunks of {chunk}");
        }
    }

    #[test]
    fn a_whole_piece_is_handed_out_of_the_buffer_in_which_it_arrived() {
        let bytes = Bytes::from(vec![7; 100]);
        let at = bytes.as_ptr();
        let mut inbound = Inbound::default();
        inbound.push(bytes);
        assert_eq!(inbound.take(60).unwrap().as_ptr(), at);
        inbound.settle();
        assert_eq!(inbound.take(40).unwrap().len(), 40);
        assert_eq!(inbound.take(1), None);
    }
}

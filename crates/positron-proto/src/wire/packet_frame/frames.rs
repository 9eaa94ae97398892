//! All frames of one packet, and what its type promises of them `[PROTOCOL 9.3]`.

use bytes::Bytes;

use super::frame::PacketFrame;
use crate::wire::{
    codec::{Malformed, Reader, Source},
    packet::{Fragment, PacketType},
};

/// The frames of one opened packet, as its header says what they may be. After an error or the end
/// there is nothing more. What must be there exactly once is missed at the end: act on the frames
/// when all of them are read, or be ready for an error after them.
#[derive(Clone, Debug)]
pub struct Frames<B = Bytes> {
    reader: Reader<B>,
    kind: PacketType,
    fragment: Fragment,
    purposes: u8,
    done: bool,
}

impl<B: Source> Frames<B> {
    /// Those of the payload of a packet with this header, opened.
    pub fn new(kind: PacketType, fragment: Fragment, opened: B) -> Self {
        Self { reader: Reader::new(opened), kind, fragment, purposes: 0, done: false }
    }

    fn read(&mut self) -> Result<Option<PacketFrame<B>>, Malformed> {
        let misplaced = self.reader.malformed("frame in a packet of another type");
        if self.reader.is_empty() {
            let missing = self.reader.malformed("packet without its frame");
            return if self.purposes == 0 && self.one_purpose() { Err(missing) } else { Ok(None) };
        }
        let again = self.reader.malformed("second frame in a packet for one");
        let disagrees = self.reader.malformed("part and header disagree");
        let frame = PacketFrame::decode(&mut self.reader)?;
        if !frame.allowed_in(self.kind) {
            return Err(misplaced);
        }
        if self.one_purpose() && frame.says_something() {
            if self.purposes > 0 {
                return Err(again);
            }
            self.purposes = 1;
        }
        if self.kind == PacketType::Fragment
            && let PacketFrame::Fragment { number, offset, total, ref body, .. } = frame
            && !self.fragment.agrees_with(number, offset, body.as_ref().len(), total)
        {
            return Err(disagrees);
        }
        Ok(Some(frame))
    }

    /// Whether a packet of this type has exactly one frame beside acknowledgments and padding.
    const fn one_purpose(&self) -> bool {
        use PacketType as Type;
        matches!(self.kind, Type::Fin | Type::Rst | Type::Ping | Type::Pong | Type::Fragment)
    }
}

impl<B: Source> Iterator for Frames<B> {
    type Item = Result<PacketFrame<B>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.read().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

//! What is said: every byte says where it belongs.

use bytes::{BufMut as _, Bytes, BytesMut};
use positron_proto::datagram::contract::ConnectionId;

use crate::dice::{Dice, mix};

/// One end of a connection, in one life of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Talker {
    pub(crate) end: usize,
    pub(crate) life: u64,
    pub(crate) connection: ConnectionId,
}

impl Talker {
    /// All of it in one number.
    fn name(self) -> u64 {
        let end = u64::try_from(self.end).unwrap_or(0);
        end << 60 | (self.life & 0xFFF) << 48 | (self.connection.0 & 0xFFFF_FFFF_FFFF)
    }
}

/// Bytes from which on a message says who said it.
const NAMED: usize = 16;

/// The message number `index` of a talker. Different talkers and numbers say different things, as
/// far as that is possible in `len` bytes.
pub(crate) fn message(of: Talker, index: u64, len: usize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(len.max(NAMED) + 8);
    if len >= NAMED {
        bytes.put_u64(of.name());
        bytes.put_u64(index);
    }
    let mut dice = Dice::keyed(of.name(), index);
    while bytes.len() < len {
        bytes.put_u64(dice.draw());
    }
    bytes.truncate(len);
    bytes.freeze()
}

/// Whether a message says that this talker said it; `None` if it is too short to say.
pub(crate) fn is_of(body: &[u8], of: Talker) -> Option<bool> {
    Some(u64::from_be_bytes(*body.first_chunk()?) == of.name()).filter(|_| body.len() >= NAMED)
}

/// A message, in a few words.
pub(crate) fn describe(body: &[u8]) -> String {
    let len = body.len();
    let (Some(who), Some(index)) =
        (body.first_chunk(), body.get(8..).and_then(<[u8]>::first_chunk))
    else {
        return format!("{len} bytes {body:?}");
    };
    let (who, index) = (u64::from_be_bytes(*who), u64::from_be_bytes(*index));
    format!("{len} bytes, number {index} of {who:016x}")
}

/// Bytes of a stream from `offset` on.
pub(crate) fn stream(of: Talker, number: u64, offset: u64, len: usize) -> Bytes {
    let family = mix(of.name() ^ mix(number));
    let mut word = offset / 8;
    let skip = usize::try_from(offset % 8).unwrap_or(0);
    let mut bytes = BytesMut::with_capacity(len + 16);
    while bytes.len() < len + skip {
        bytes.put_u64(mix(family.wrapping_add(word)));
        word += 1;
    }
    bytes.freeze().slice(skip..skip + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Talker = Talker { end: 1, life: 2, connection: ConnectionId(3) };

    #[test]
    fn a_message_says_whose_it_is_if_it_is_long_enough() {
        let other = Talker { end: 0, ..ME };
        assert_eq!(is_of(&message(ME, 5, 16), ME), Some(true));
        assert_eq!(is_of(&message(ME, 5, 100), other), Some(false));
        assert_eq!(is_of(&message(ME, 5, 15), ME), None);
        assert_eq!(message(ME, 5, 0), Bytes::new());
        assert_ne!(message(ME, 5, 9), message(ME, 6, 9));
    }

    #[test]
    fn a_stream_is_the_same_however_it_is_cut() {
        let whole = stream(ME, 1, 0, 100);
        for cut in [1, 7, 8, 9, 50] {
            assert_eq!(whole.slice(..cut), stream(ME, 1, 0, cut));
            let at = u64::try_from(cut).unwrap();
            assert_eq!(whole.slice(cut..), stream(ME, 1, at, 100 - cut));
        }
        assert_ne!(whole, stream(ME, 2, 0, 100));
    }
}

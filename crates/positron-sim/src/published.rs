//! Everything that applications said, so that what others hear can be held against it.

use bytes::Bytes;
use positron_proto::{id::MessageId, node::SequenceKind, time::Instant};

use crate::dice::mix;

/// Marks a payload that this world made.
const MARK: &[u8; 4] = b"said";
/// The mark, the kind, the index.
const HEADER: usize = 4 + 1 + 8;

/// One thing that was said.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) kind: SequenceKind,
    /// Which host.
    pub(crate) from: usize,
    /// To which host; for a broadcast the sender itself.
    pub(crate) to: usize,
    pub(crate) at: Instant,
    /// The life of the sender's process.
    pub(crate) life: u32,
    pub(crate) bytes: usize,
    /// Once the sender's node told it.
    pub(crate) id: Option<MessageId>,
    /// Whether the sender's disk has it: what it promised it keeps, as long as it has power.
    pub(crate) durable: bool,
    /// Whether a partition or a death concerns it, so that it may be late.
    pub(crate) disturbed: bool,
}

/// What was said about a payload that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NeverSaid;

/// The payload of the `index`th thing that was said: names itself, and then bytes that are not
/// all alike.
pub(crate) fn payload(kind: SequenceKind, index: usize, bytes: usize) -> Bytes {
    let mut out = Vec::with_capacity(bytes.max(HEADER));
    out.extend_from_slice(MARK);
    out.push(mark_of(kind));
    out.extend_from_slice(&(index as u64).to_be_bytes());
    let mut state = mix(index as u64 + 1);
    let begin = out.len();
    out.resize(bytes.max(begin), 0);
    for words in out[begin..].chunks_mut(size_of::<u64>()) {
        state = mix(state);
        words.copy_from_slice(&state.to_be_bytes()[..words.len()]);
    }
    out.into()
}

/// Which thing was said, if this payload is exactly its payload.
pub(crate) fn index_of(
    said: &[Published],
    kind: SequenceKind,
    heard: &Bytes,
) -> Result<usize, NeverSaid> {
    let index = heard.get(HEADER - 8..HEADER).and_then(|bytes| bytes.try_into().ok());
    let index = index.map(u64::from_be_bytes).and_then(|index| usize::try_from(index).ok());
    let index = index.ok_or(NeverSaid)?;
    let this = said.get(index).ok_or(NeverSaid)?;
    let same = this.kind == kind && *heard == payload(kind, index, this.bytes);
    if same { Ok(index) } else { Err(NeverSaid) }
}

const fn mark_of(kind: SequenceKind) -> u8 {
    match kind {
        SequenceKind::Broadcast => b'b',
        SequenceKind::Direct => b'd',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_names_what_was_said_and_a_changed_one_names_nothing() {
        let one = Published {
            kind: SequenceKind::Broadcast,
            from: 0,
            to: 0,
            at: Instant::ORIGIN,
            life: 1,
            bytes: 40,
            id: None,
            durable: false,
            disturbed: false,
        };
        let said = vec![one.clone(), one];
        let heard = payload(SequenceKind::Broadcast, 1, 40);
        assert_eq!(index_of(&said, SequenceKind::Broadcast, &heard), Ok(1));
        assert_eq!(index_of(&said, SequenceKind::Direct, &heard), Err(NeverSaid));
        let mut changed = heard.to_vec();
        changed[39] ^= 1;
        assert_eq!(index_of(&said, SequenceKind::Broadcast, &changed.into()), Err(NeverSaid));
        let beyond = payload(SequenceKind::Broadcast, 2, 40);
        assert_eq!(index_of(&said, SequenceKind::Broadcast, &beyond), Err(NeverSaid));
    }
}

//! The name under which a broadcast is announced and asked for.

use crate::{id::NodeId, identity::Signed, wire::message::AppMessage};

/// One broadcast: whose, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MessageKey {
    pub(super) sender: NodeId,
    pub(super) sequence: u64,
}

impl MessageKey {
    /// The name of `message`.
    pub(super) fn of(message: &AppMessage) -> Self {
        Self { sender: message.sender.node_id(), sequence: message.sequence }
    }

    /// The lowest and the highest name of one sender's messages.
    pub(super) const fn all_of(sender: NodeId) -> core::ops::RangeInclusive<Self> {
        Self { sender, sequence: 0 }..=Self { sender, sequence: u64::MAX }
    }
}

/// Whether two claims about one item are the same, byte for byte. Cheap when they are not, and when
/// they share their payload.
pub(super) fn same_claim(a: &Signed<AppMessage>, b: &Signed<AppMessage>) -> bool {
    let (x, y) = (a.content(), b.content());
    a.signature() == b.signature()
        && x.timestamp == y.timestamp
        && x.payload.len() == y.payload.len()
        && (x.payload.as_ptr() == y.payload.as_ptr() || x.payload == y.payload)
}

//! New messages that the other peers are told of, many in one list.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{GossipEffect, GossipMessage, message_key::MessageKey};
use crate::{
    id::NodeId,
    journey::Nth,
    limits::{MAX_HOLDINGS_RANGES, MAX_HOLDINGS_SENDERS, MAX_UNANNOUNCED},
    wire::holdings::{Holdings, Ranges},
};

/// A message that is new here.
pub(super) struct Rumour {
    pub(super) item: MessageKey,
    pub(super) nth: Nth,
    /// Hops that it may still be pushed.
    pub(super) ttl: u8,
    /// Who has it.
    pub(super) has: BTreeSet<NodeId>,
    /// Who of them sent it after another one, or will: they hear that we have it from elsewhere.
    pub(super) also: Vec<NodeId>,
}

/// What is new since the last announcement, and which peers are known to have it.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    fresh: BTreeMap<MessageKey, BTreeSet<NodeId>>,
}

impl Announcements {
    /// Everybody but `has` is to be told of `item`.
    pub(super) fn add(&mut self, item: MessageKey, has: BTreeSet<NodeId>) {
        self.fresh.insert(item, has);
    }

    /// `peer` is to be told of `item`, beside those who are to be told already; nobody else is, of
    /// all `peers`.
    pub(super) fn add_for(
        &mut self,
        peer: NodeId,
        item: MessageKey,
        peers: impl Iterator<Item = NodeId>,
    ) {
        self.fresh.entry(item).or_insert_with(|| peers.collect()).remove(&peer);
    }

    /// Whether they should go out at once.
    pub(super) fn is_full(&self) -> bool {
        self.fresh.len() >= MAX_UNANNOUNCED
    }

    /// `peer` says that it has `ranges` of `sender`: it need not be told.
    pub(super) fn peer_has_all(&mut self, peer: NodeId, sender: NodeId, ranges: &Ranges) {
        for (item, has) in self.fresh.range_mut(MessageKey::all_of(sender)) {
            if ranges.contains(item.sequence) {
                has.insert(peer);
            }
        }
    }

    /// Takes everything that is to be announced.
    pub(super) fn take(&mut self) -> BTreeMap<MessageKey, BTreeSet<NodeId>> {
        core::mem::take(&mut self.fresh)
    }
}

/// Sends a list in as many messages as it takes, none if it is empty.
pub(super) fn send_all(
    to: Vec<NodeId>,
    holdings: Holdings,
    message: fn(Holdings) -> GossipMessage,
    out: &mut VecDeque<GossipEffect>,
) {
    out.extend(
        split(holdings)
            .into_iter()
            .map(|part| GossipEffect::Send { to: to.clone(), message: message(part) }),
    );
}

/// Cuts a list into lists that fit one message each.
fn split(holdings: Holdings) -> Vec<Holdings> {
    let ranges: usize = holdings.iter().map(|(_, ranges)| ranges.len()).sum();
    if holdings.is_empty() {
        return Vec::new();
    }
    if holdings.senders() <= MAX_HOLDINGS_SENDERS && ranges <= MAX_HOLDINGS_RANGES {
        return vec![holdings];
    }
    let (mut parts, mut part, mut room) = (Vec::new(), Holdings::new(), MAX_HOLDINGS_RANGES);
    for (sender, ranges) in holdings.iter() {
        let mut ranges = ranges.iter().peekable();
        while ranges.peek().is_some() {
            if room == 0 || part.senders() == MAX_HOLDINGS_SENDERS {
                parts.push(core::mem::take(&mut part));
                room = MAX_HOLDINGS_RANGES;
            }
            let mut fits = Ranges::new();
            for range in ranges.by_ref().take(room) {
                fits.insert_range(range);
            }
            room -= fits.len();
            part.insert_ranges(*sender, fits);
        }
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::{Envelope, RoomMessage as _};

    #[test]
    fn a_long_list_is_cut_into_lists_that_the_wire_accepts_and_nothing_is_lost() {
        let mut long = Holdings::new();
        for sender in 0..=255 {
            let mut ranges = Ranges::new();
            for number in 0..100 {
                ranges.insert(number * 3);
            }
            long.insert_ranges(NodeId::from_bytes([sender; 32]), ranges);
        }
        let parts = split(long.clone());
        assert_eq!(parts.len(), 25_600_usize.div_ceil(MAX_HOLDINGS_RANGES));
        let mut together = BTreeMap::<NodeId, Ranges>::new();
        for part in parts {
            let message = GossipMessage::IHave(part.clone());
            let me = NodeId::from_bytes([0; 32]);
            let back = Envelope::open(message.encode()).and_then(|envelope| envelope.read(me));
            assert_eq!(back, Ok(message));
            for (sender, ranges) in part.iter() {
                ranges.iter().for_each(|r| together.entry(*sender).or_default().insert_range(r));
            }
        }
        let long: BTreeMap<_, _> = long.iter().map(|(s, r)| (*s, r.clone())).collect();
        assert_eq!(together, long);
        assert!(split(Holdings::new()).is_empty());
    }
}

//! New messages that the other peers are told of, many in one list.

use std::collections::{BTreeMap, VecDeque};

use super::{
    GossipEffect, GossipMessage,
    message_key::MessageKey,
    message_store::MessageStore,
    peer_state::GossipPeer,
    reach::{PlaceSet, ReachPlace},
};
use crate::{
    id::NodeId,
    journey::Nth,
    limits::{
        ANNOUNCE_DELAY, ANNOUNCE_ROUND, MAX_HOLDINGS_RANGES, MAX_HOLDINGS_SENDERS, MAX_UNANNOUNCED,
    },
    time::Duration,
    wire::holdings::{Holdings, Ranges},
};

/// What is new here and is still to be announced to somebody, in the order in which it came.
///
/// Who was told how much of it is remembered with each peer, as the number of what comes next.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    news: VecDeque<Unannounced>,
    /// The number of the first of them.
    first: u64,
}

/// A message that is new here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unannounced {
    pub(super) item: MessageKey,
    /// Who is to be told of it, unless it has it by then.
    pub(super) lacking: PlaceSet,
    /// Who is to be told although it has it: it hears that we have it from somebody else.
    pub(super) besides: PlaceSet,
}

impl Unannounced {
    /// Whether the peer at `place` may have to be told of it.
    const fn concerns(&self, place: ReachPlace) -> bool {
        self.lacking.contains(place) || self.besides.contains(place)
    }
}

impl Announcements {
    pub(super) fn add(&mut self, news: Unannounced) {
        self.news.push_back(news);
    }

    /// The number of the first that somebody is still to be told of.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// The number that the next one gets.
    pub(super) fn end(&self) -> u64 {
        self.first + self.news.len() as u64
    }

    /// Whether they should all go out at once.
    pub(super) fn is_full(&self) -> bool {
        self.news.len() >= MAX_UNANNOUNCED
    }

    /// How long the next one of so many peers waits for its turn, so that each has one in every
    /// [`ANNOUNCE_ROUND`], and more where they are few. None if there is nothing new.
    pub(super) fn turn(&self, peers: usize) -> Option<Duration> {
        let peers = u32::try_from(peers.max(1)).unwrap_or(u32::MAX);
        let turn = (ANNOUNCE_ROUND / peers).min(ANNOUNCE_DELAY);
        (!self.news.is_empty()).then(|| if self.is_full() { Duration::ZERO } else { turn })
    }

    /// Who was not told of all that is new, for the longest time.
    pub(super) fn next(&self, peers: &BTreeMap<NodeId, GossipPeer>) -> Option<NodeId> {
        let waiting = peers.iter().filter(|(_, peer)| peer.told < self.end());
        waiting.min_by_key(|(_, peer)| peer.told).map(|(id, _)| *id)
    }

    /// What a peer is to be told of, if it is still kept. If it does not want to be told, that is
    /// what it sent after others did.
    pub(super) fn for_peer(
        &self,
        peer: &GossipPeer,
        store: &MessageStore,
    ) -> impl Iterator<Item = (MessageKey, Nth)> {
        let told = usize::try_from(peer.told.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let (place, wants) = (peer.place, peer.is_announced_to);
        let concerned = move |news: &&Unannounced| place.is_none_or(|place| news.concerns(place));
        self.news.iter().skip(told).filter(concerned).filter_map(move |news| {
            let kept = store.get(&news.item)?;
            let lacks = |place| wants && kept.awaited.contains(place);
            let is_told = |place| lacks(place) || news.besides.contains(place);
            place.map_or(wants, is_told).then_some((news.item, kept.nth))
        })
    }

    /// Forgets what all of the peers were told of.
    pub(super) fn forget_told(&mut self, peers: &BTreeMap<NodeId, GossipPeer>) {
        let told = peers.values().map(|peer| peer.told).min().unwrap_or(self.end());
        while self.first < told && self.news.pop_front().is_some() {
            self.first += 1;
        }
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

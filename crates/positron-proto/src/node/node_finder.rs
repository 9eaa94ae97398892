//! Nodes that are looked for by their ids, and what waits for them.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Refused;
use crate::{
    dht::DhtRefused,
    id::{NodeId, Ticket},
    limits::{MAX_SOUGHT, MAX_WISH_BYTES, MAX_WISHES, SEEK_INTERVAL},
    lru::LruMap,
    substream::NotOpened,
    time::{Duration, Instant},
};

/// Searches under way, each for one node, with all that waits for it.
///
/// A search [begins](Self::begin) with a read of the hash table, which
/// [ends](Self::handle_read) some time; what it found may have to be checked then. At last the
/// search [ends](Self::end), and gives back all that waited for it, in the order in which it was
/// wished, each once.
///
/// Bounded by [`MAX_SOUGHT`], [`MAX_WISHES`] and [`MAX_WISH_BYTES`].
#[derive(Debug)]
pub(super) struct NodeFinder {
    sought: BTreeMap<NodeId, Search>,
    /// Whom a read of the hash table is for.
    reads: BTreeMap<Ticket, NodeId>,
    /// When nodes were looked for last for which nothing waited here.
    missed: LruMap<NodeId, Instant>,
    wishes: usize,
    /// Of the wishes.
    bytes: usize,
}

impl Default for NodeFinder {
    /// Nothing is looked for.
    fn default() -> Self {
        Self {
            sought: BTreeMap::new(),
            reads: BTreeMap::new(),
            missed: LruMap::new(MAX_SOUGHT),
            wishes: 0,
            bytes: 0,
        }
    }
}

/// One node that is looked for.
#[derive(Debug)]
pub(super) struct Search {
    /// What waits for it, in order.
    pub(super) waiting: Vec<PendingWish>,
    pub(super) progress: SearchProgress,
    is_checking: bool,
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SearchProgress {
    /// The hash table is being read.
    Reading,
    /// It is read.
    Read {
        /// How many nodes were asked.
        asked: usize,
        /// How long it took.
        took: Duration,
        /// Whether a record was there that could be one of the node.
        has_record: bool,
    },
}

/// Something that waits for a node to be found.
#[derive(Debug)]
pub(super) struct PendingWish {
    /// Whose completion is told.
    pub(super) ticket: Ticket,
    /// What.
    pub(super) wish: Wish,
    /// Since when.
    pub(super) since: Instant,
}

/// What is wanted of a node that is looked for.
#[derive(Debug)]
pub(super) enum Wish {
    /// A direct message.
    Send(Bytes),
    /// A request, and how long it may take.
    Ask(Bytes, Duration),
    /// A stream.
    OpenStream,
    /// A link.
    Link,
    /// What it says of itself.
    Record,
}

impl NodeFinder {
    /// Whether one more wish has room, for this node.
    pub(super) fn has_room(&self, peer: &NodeId, wish: &Wish) -> bool {
        let has_search = self.sought.len() < MAX_SOUGHT || self.is_seeking(peer);
        let has_bytes = self.bytes == 0 || self.bytes + wish.bytes() <= MAX_WISH_BYTES;
        has_search && has_bytes && self.wishes < MAX_WISHES
    }

    /// Whether this node is looked for.
    pub(super) fn is_seeking(&self, peer: &NodeId) -> bool {
        self.sought.contains_key(peer)
    }

    /// Whether a node is looked for, and the table was read for it.
    pub(super) fn is_read(&self, peer: &NodeId) -> bool {
        let progress = self.sought.get(peer).map(|search| search.progress);
        matches!(progress, Some(SearchProgress::Read { .. }))
    }

    /// Whether a node for which nothing waits is looked for now: not again within
    /// [`SEEK_INTERVAL`].
    pub(super) fn may_seek(&mut self, now: Instant, peer: NodeId) -> bool {
        let was = self.missed.get(&peer);
        let may = !self.is_seeking(&peer) && was.is_none_or(|was| now.since(*was) >= SEEK_INTERVAL);
        if may {
            self.missed.insert(peer, now);
        }
        may
    }

    /// The hash table is read for this node, under this ticket.
    pub(super) fn begin(&mut self, peer: NodeId, read: Ticket) {
        let progress = SearchProgress::Reading;
        self.sought.insert(peer, Search { waiting: Vec::new(), progress, is_checking: false });
        self.reads.insert(read, peer);
    }

    /// Something waits for a node that is looked for.
    pub(super) fn wait(&mut self, peer: &NodeId, waiting: PendingWish) {
        let Some(search) = self.sought.get_mut(peer) else { return };
        self.wishes += 1;
        self.bytes += waiting.wish.bytes();
        search.waiting.push(waiting);
    }

    /// The hash table was read: for whom, if it was for a search.
    pub(super) fn handle_read(&mut self, read: Ticket) -> Option<NodeId> {
        self.reads.remove(&read)
    }

    /// What came of that.
    pub(super) fn set_progress(&mut self, peer: &NodeId, progress: SearchProgress) {
        if let Some(search) = self.sought.get_mut(peer) {
            search.progress = progress;
        }
    }

    /// Whether the record of this node that was found is being checked.
    pub(super) fn is_checking(&self, peer: &NodeId) -> bool {
        self.sought.get(peer).is_some_and(|search| search.is_checking)
    }

    /// Whether it is, from now on.
    pub(super) fn set_checking(&mut self, peer: &NodeId, is_checking: bool) {
        if let Some(search) = self.sought.get_mut(peer) {
            search.is_checking = is_checking;
        }
    }

    /// The search is over.
    pub(super) fn end(&mut self, peer: &NodeId) -> Option<Search> {
        let search = self.sought.remove(peer)?;
        search.waiting.iter().for_each(|waiting| self.let_go(waiting));
        Some(search)
    }

    /// Nobody waits for this any more.
    pub(super) fn cancel(&mut self, ticket: Ticket) {
        let all = self.sought.values_mut().map(|search| &mut search.waiting);
        let mut gone = Vec::new();
        for waiting in all {
            gone.extend(waiting.extract_if(.., |waiting| waiting.ticket == ticket));
        }
        gone.iter().for_each(|waiting| self.let_go(waiting));
    }

    /// Nothing is looked for any more: the tickets of what waited.
    pub(super) fn give_up_all(&mut self) -> Vec<Ticket> {
        let peers: Vec<_> = self.sought.keys().copied().collect();
        let ended = peers.iter().filter_map(|peer| self.end(peer));
        ended.flat_map(|search| search.waiting).map(|waiting| waiting.ticket).collect()
    }

    fn let_go(&mut self, waiting: &PendingWish) {
        self.wishes -= 1;
        self.bytes -= waiting.wish.bytes();
    }
}

impl Wish {
    /// Why it is not taken where too much waits already.
    pub(super) const fn too_many(&self) -> Refused {
        match self {
            Self::Send(_) => Refused::QueueFull,
            Self::Ask(..) => Refused::TooManyRequests,
            Self::OpenStream => Refused::Stream(NotOpened::TooMany),
            Self::Link => Refused::TooManyLinks,
            Self::Record => Refused::Table(DhtRefused::TooMany),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Send(payload) | Self::Ask(payload, _) => payload.len(),
            Self::OpenStream | Self::Link | Self::Record => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn wish(ticket: u64, bytes: usize) -> PendingWish {
        let wish = Wish::Send(vec![0; bytes].into());
        PendingWish { ticket: Ticket(ticket), wish, since: Instant::ORIGIN }
    }

    #[test]
    fn what_waits_is_bounded_in_all_and_comes_back_once_and_in_order() {
        let mut finder = NodeFinder::default();
        finder.begin(node(1), Ticket(1));
        let mut took = 0;
        while finder.has_room(&node(1), &Wish::Send(vec![0; 1 << 20].into())) {
            took += 1;
            finder.wait(&node(1), wish(10 + took, 1 << 20));
        }
        assert_eq!(took, 8, "8 MiB");
        assert!(!finder.has_room(&node(2), &Wish::Send(vec![0; 1].into())), "whoever it is for");
        assert!(finder.has_room(&node(2), &Wish::Record));
        finder.cancel(Ticket(12));
        assert!(finder.has_room(&node(1), &Wish::Send(vec![0; 1 << 20].into())));

        assert_eq!(finder.handle_read(Ticket(1)), Some(node(1)));
        assert_eq!(finder.handle_read(Ticket(1)), None, "it was read once");
        let ended = finder.end(&node(1)).unwrap().waiting;
        let tickets: Vec<_> = ended.iter().map(|waiting| waiting.ticket.0).collect();
        assert_eq!(tickets, [11, 13, 14, 15, 16, 17, 18]);
        assert!(finder.end(&node(1)).is_none());
        assert_eq!((finder.wishes, finder.bytes), (0, 0));
    }

    #[test]
    fn a_node_that_is_missed_is_looked_for_every_now_and_then() {
        let (mut finder, start) = (NodeFinder::default(), Instant::from_micros(1_000_000));
        assert!(finder.may_seek(start, node(1)) && !finder.may_seek(start, node(1)));
        assert!(finder.may_seek(start, node(2)), "another one");
        assert!(finder.may_seek(start + SEEK_INTERVAL, node(1)));
        finder.begin(node(3), Ticket(1));
        assert!(!finder.may_seek(start, node(3)), "it is looked for already");
    }

    #[test]
    fn so_many_nodes_are_looked_for_and_no_more() {
        let mut finder = NodeFinder::default();
        for n in 0..MAX_SOUGHT {
            let peer =
                NodeId::from_bytes(core::array::from_fn(|i| (n as u64).to_le_bytes()[i % 8]));
            assert!(finder.has_room(&peer, &Wish::Record));
            finder.begin(peer, Ticket(n as u64));
        }
        let first = NodeId::from_bytes([0; 32]);
        assert!(!finder.has_room(&node(99), &Wish::Record));
        assert!(finder.has_room(&first, &Wish::Record), "it is looked for already");
        finder.wait(&first, wish(1_000, 5));
        assert_eq!(finder.give_up_all(), [Ticket(1_000)]);
        assert!(finder.has_room(&node(99), &Wish::Record));
    }
}

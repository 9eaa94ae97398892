//! The address book: who exists, where, and how sure we are of it.
//!
//! Every entry belongs to one [`SourceShare`], and every share is bounded: what one node told us,
//! what uninvited guests said of themselves, and what is proven of one owner. When the book
//! is full the largest share gives way, so one talkative source displaces itself first, and hearsay
//! never displaces what is proven.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
};

use super::{
    PeersEffect,
    entry::{AddressEntry, KnownPeer, Rank, SourceShare, counted_ips},
};
use crate::{
    id::NodeId,
    identity::Verified,
    limits::{MAX_BOOK, MAX_BOOK_PER_IP, MAX_BOOK_PER_SOURCE, MAX_GOOD_PER_GROUP},
    netgroup::{Owner, counted},
    rng::Rng,
    time::{Duration, Instant, WallTime},
    wire::record::PeerRecord,
};

/// What came of learning a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// Its node was unknown.
    New,
    /// It replaced an older one.
    Newer,
    /// An equal or newer one was here.
    Old,
    /// There was no room, or no address worth a dial.
    Dropped,
}

/// The address book. Every operation is logarithmic, except [`iter`](Self::iter).
///
/// Of one IP address there are [`MAX_BOOK_PER_IP`] at most, in first records and in newer ones:
/// what is more is left out of `usable`, and an entry that would be left without an address does
/// not come in, or leaves. Pinned nodes are counted, and stay.
///
/// Storage keeps what is proven. Whatever [`change`](Self::change), [`remove`](Self::remove),
/// [`learn`](Self::learn) and [`restore`](Self::restore) push out of the book is told to it by
/// [`report_evicted`](Self::report_evicted), to be called after them.
#[derive(Debug, Default)]
pub(super) struct AddressBook {
    /// Boxed: each change takes one out and puts it back.
    entries: BTreeMap<NodeId, Box<AddressEntry>>,
    shares: BTreeMap<SourceShare, BTreeSet<(Rank, NodeId)>>,
    hearsay_sizes: BTreeSet<(usize, SourceShare)>,
    /// Those that others may be told of.
    tellable: Vec<NodeId>,
    /// Addresses that count as one.
    per_ip: BTreeMap<IpAddr, usize>,
    learned: u64,
    /// Entries that storage has and that left the book.
    forgotten: Vec<NodeId>,
    /// Nodes that are never evicted, in the book or not.
    pinned: BTreeSet<NodeId>,
}

impl AddressBook {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, node: &NodeId) -> Option<&AddressEntry> {
        self.entries.get(node).map(Box::as_ref)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &AddressEntry)> {
        self.entries.iter().map(|(node, entry)| (node, entry.as_ref()))
    }

    /// Changes one entry and keeps the indices true. An entry that is left without an address
    /// leaves the book.
    pub(super) fn change<R>(
        &mut self,
        node: &NodeId,
        change: impl FnOnce(&mut AddressEntry) -> R,
    ) -> Option<R> {
        let mut entry = self.entries.remove(node)?;
        self.unindex(node, &mut entry);
        let result = change(&mut entry);
        if entry.usable.is_empty() {
            self.left(*node, &entry);
        } else {
            self.index(*node, entry);
        }
        Some(result)
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, node: &NodeId) {
        if let Some(mut entry) = self.entries.remove(node) {
            self.unindex(node, &mut entry);
            self.left(*node, &entry);
        }
    }

    /// The node is never evicted from now on.
    pub(super) fn pin(&mut self, node: &NodeId) {
        self.reindex(node, |pinned| pinned.insert(*node));
    }

    /// The node may be evicted again.
    pub(super) fn unpin(&mut self, node: &NodeId) {
        self.reindex(node, |pinned| pinned.remove(node));
    }

    pub(super) fn is_pinned(&self, node: &NodeId) -> bool {
        self.pinned.contains(node)
    }

    /// Changes who is pinned around an entry that may be there.
    fn reindex(&mut self, node: &NodeId, change: impl FnOnce(&mut BTreeSet<NodeId>) -> bool) {
        let mut entry = self.entries.remove(node);
        if let Some(entry) = &mut entry {
            self.unindex(node, entry);
        }
        change(&mut self.pinned);
        if let Some(entry) = entry {
            self.index(*node, entry);
        }
    }

    /// Puts a verified record in; `usable` are those of its addresses that are worth a dial.
    pub(super) fn learn(
        &mut self,
        record: Verified<PeerRecord>,
        mut usable: Vec<SocketAddr>,
        source: SourceShare,
    ) -> Learned {
        let node = record.content().node_id();
        if let Some(entry) = self.entries.get(&node) {
            if entry.known.record.content().sequence >= record.content().sequence {
                return Learned::Old;
            }
            let (is_linked, has_some) = (entry.linked, !usable.is_empty());
            self.fit(&node, &mut usable);
            if is_linked && has_some && usable.is_empty() {
                // Where it says it is there is no room: it is here all the same.
                return Learned::Dropped;
            }
            self.change(&node, |entry| entry.replace(record, usable));
            return Learned::Newer;
        }
        self.fit(&node, &mut usable);
        if usable.is_empty() || !(self.is_pinned(&node) || self.evict_for(source)) {
            return Learned::Dropped;
        }
        self.insert(node, KnownPeer::heard_of(record), usable, source);
        Learned::New
    }

    /// The record of a node was told again, perhaps over a nearer link: these of its addresses are
    /// worth a dial.
    pub(super) fn widen(&mut self, node: &NodeId, mut usable: Vec<SocketAddr>) {
        self.fit(node, &mut usable);
        if self.get(node).is_some_and(|entry| usable.len() > entry.usable.len()) {
            self.change(node, |entry| entry.usable = usable);
        }
    }

    /// Puts back what storage remembers.
    pub(super) fn restore(&mut self, known: KnownPeer, mut usable: Vec<SocketAddr>) {
        let node = known.record.content().node_id();
        let named = |usable: &[SocketAddr]| known.dialled.filter(|at| usable.contains(at));
        let was_named = named(&usable);
        self.fit(&node, &mut usable);
        if named(&usable) != was_named {
            // Where it was found is full: what else it names was never proven.
            self.forgotten.push(node);
            return;
        }
        let share =
            known.dialled.map_or(SourceShare::Inbound, |at| SourceShare::Good(Owner::of(at)));
        let has_room = self.is_pinned(&node) || self.evict_for(share);
        if usable.is_empty() || self.entries.contains_key(&node) || !has_room {
            self.forgotten.push(node);
            return;
        }
        self.insert(node, known, usable, SourceShare::Inbound);
        self.change(&node, |entry| entry.stored = true);
    }

    /// Up to `count` entries that others may be told of and `fits` accepts, at random, few of one
    /// owner if there are others.
    pub(super) fn sample(
        &self,
        rng: &mut Rng,
        count: usize,
        mut fits: impl FnMut(&NodeId, &AddressEntry) -> bool,
    ) -> Vec<&AddressEntry> {
        // Four draws for each wanted record: the work is bounded however large the book is.
        let draws = count.saturating_mul(4);
        let mut picks: Vec<usize> = if self.tellable.len() <= draws {
            (0..self.tellable.len()).collect()
        } else {
            let drawn = (0..draws).map(|_| rng.index(self.tellable.len()));
            drawn.collect::<BTreeSet<_>>().into_iter().collect()
        };
        rng.shuffle(&mut picks);
        let ids = picks.into_iter().filter_map(|at| self.tellable.get(at));
        let entries = ids.filter_map(|id| Some((id, self.get(id)?)));
        let (mut sample, mut crowded) = (Vec::new(), Vec::new());
        let mut owners: BTreeMap<Owner, usize> = BTreeMap::new();
        for (_, entry) in entries.filter(|(id, entry)| fits(id, entry)) {
            let owner = entry.known.dialled.map_or(Owner::Host, Owner::of);
            let of_owner = owners.entry(owner).or_default();
            *of_owner += 1;
            let crowds = owner != Owner::Host && *of_owner > SAMPLE_PER_OWNER;
            if crowds { crowded.push(entry) } else { sample.push(entry) }
        }
        sample.extend(crowded);
        sample.truncate(count);
        sample
    }

    /// `peer` passed a node on to us.
    pub(super) fn handle_passed_on(&mut self, node: &NodeId, peer: NodeId) {
        if self.get(node).is_some_and(|entry| !entry.is_settled_with(&peer)) {
            self.change(node, |entry| entry.handle_passed_on(peer));
        }
    }

    /// `peer` told us of a node, if that is somebody else. No index depends on it.
    pub(super) fn note_teller(&mut self, node: &NodeId, peer: NodeId) {
        if *node != peer
            && let Some(entry) = self.entries.get_mut(node)
        {
            entry.note_teller(peer);
        }
    }

    /// `to` is told of a node. Whether that is not proven: then only few are.
    pub(super) fn note_told(&mut self, node: &NodeId, to: NodeId) -> bool {
        let told = self.change(node, |entry| {
            let is_unproven = !entry.is_proven();
            entry.told.extend(is_unproven.then_some(to));
            is_unproven
        });
        told == Some(true)
    }

    /// The node answered a dial to this address, where strangers may reach it, too.
    pub(super) fn answered_at(
        &mut self,
        node: NodeId,
        (at, is_proof): (SocketAddr, bool),
        now: WallTime,
        out: &mut VecDeque<PeersEffect>,
    ) {
        self.change(&node, |entry| entry.answered_at(at, is_proof, now));
        self.remember(node, out);
    }

    /// Storage keeps a peer that was found as it is now.
    pub(super) fn remember(&mut self, node: NodeId, out: &mut VecDeque<PeersEffect>) {
        if self.get(&node).is_some_and(AddressEntry::is_verified) {
            let known = self.change(&node, |entry| {
                entry.stored = true;
                entry.known.clone()
            });
            out.extend(known.map(PeersEffect::Remember));
        }
    }

    /// Storage forgets a peer that is at no address any more where it was found.
    pub(super) fn forget_stored(&mut self, node: NodeId, out: &mut VecDeque<PeersEffect>) {
        let was = self.change(&node, |entry| core::mem::take(&mut entry.stored));
        if was == Some(true) {
            out.push_back(PeersEffect::Forget(node));
        }
    }

    /// Storage forgets who left the book.
    pub(super) fn report_evicted(&mut self, out: &mut VecDeque<PeersEffect>) {
        out.extend(self.forgotten.drain(..).map(PeersEffect::Forget));
    }

    /// Who was linked until a crash is known to have been alive until shortly before it.
    pub(super) fn note_alive(
        &mut self,
        linked: impl Iterator<Item = NodeId>,
        now: WallTime,
        out: &mut VecDeque<PeersEffect>,
    ) {
        for node in linked {
            let is_stale = self.get(&node).is_some_and(|entry| {
                entry.is_verified() && now.since(entry.known.last_seen) > NOTE_INTERVAL
            });
            if is_stale {
                self.change(&node, |entry| entry.known.last_seen = now);
                self.remember(node, out);
            }
        }
    }

    /// A node was linked by our choice for so much longer. No index depends on it.
    pub(super) fn note_chosen(&mut self, node: &NodeId, time: Duration) {
        if let Some(entry) = self.entries.get_mut(node) {
            entry.known.chosen_for = entry.known.chosen_for.saturating_add(time);
        }
    }

    fn insert(
        &mut self,
        node: NodeId,
        known: KnownPeer,
        usable: Vec<SocketAddr>,
        source: SourceShare,
    ) {
        self.learned += 1;
        let entry = AddressEntry {
            known,
            usable,
            next_dial: Instant::ORIGIN,
            linked: false,
            stored: false,
            source,
            learned: self.learned,
            told_at: None,
            told: Vec::new(),
            passed_on_by: VecDeque::new(),
            tellers: VecDeque::new(),
        };
        self.index(node, Box::new(entry));
    }

    /// Whether there is room for one more entry of this share, perhaps because another gave way.
    fn evict_for(&mut self, share: SourceShare) -> bool {
        let taken = self.shares.get(&share).map_or(0, BTreeSet::len);
        let evict = match share {
            // What a source says later is not worth more than what it said first.
            SourceShare::Hearsay(_) if taken >= MAX_BOOK_PER_SOURCE => self.failing_of(share),
            SourceShare::Hearsay(_) if self.entries.len() >= MAX_BOOK => self.worst_hearsay(),
            SourceShare::Inbound if taken >= MAX_BOOK_PER_SOURCE => self.worst_of(share),
            SourceShare::Inbound if self.entries.len() >= MAX_BOOK => self.worst_hearsay(),
            SourceShare::Good(_) if self.entries.len() >= MAX_BOOK => {
                self.worst_hearsay().or_else(|| self.worst_good())
            }
            _ => return true,
        };
        evict.is_some_and(|node| {
            self.remove(&node);
            true
        })
    }

    fn worst_of(&self, share: SourceShare) -> Option<NodeId> {
        self.shares.get(&share)?.first().map(|&(_, node)| node)
    }

    fn failing_of(&self, share: SourceShare) -> Option<NodeId> {
        let &((failures, _), node) = self.shares.get(&share)?.first()?;
        (failures < u32::MAX).then_some(node)
    }

    fn worst_hearsay(&self) -> Option<NodeId> {
        let &(_, share) = self.hearsay_sizes.last()?;
        self.worst_of(share)
    }

    fn worst_good(&self) -> Option<NodeId> {
        let good = SourceShare::Good(Owner::Host)..;
        let (&share, _) = self.shares.range(good).max_by_key(|(_, nodes)| nodes.len())?;
        self.worst_of(share)
    }

    /// Leaves out of `usable` what there is no room for. What the entry of `node` names already has
    /// its room, and gives it up for others at the same place.
    fn fit(&self, node: &NodeId, usable: &mut Vec<SocketAddr>) {
        if self.is_pinned(node) {
            return;
        }
        let former = self.get(node).map_or(&[][..], |entry| &entry.usable);
        let (mut kept, new): (Vec<_>, Vec<_>) =
            usable.iter().copied().partition(|addr| former.contains(addr));
        let count = |addresses: &[SocketAddr], ip: IpAddr| {
            addresses.iter().filter(|addr| counted(**addr) == Some(ip)).count()
        };
        for addr in new {
            let has_room = counted(addr).is_none_or(|ip| {
                let all = self.per_ip.get(&ip).copied().unwrap_or(0);
                all - count(former, ip) + count(&kept, ip) < MAX_BOOK_PER_IP
            });
            kept.extend(has_room.then_some(addr));
        }
        usable.retain(|addr| kept.contains(addr));
    }

    fn index(&mut self, node: NodeId, mut entry: Box<AddressEntry>) {
        for ip in counted_ips(&entry) {
            *self.per_ip.entry(ip).or_default() += 1;
        }
        if entry.tellable().is_some() {
            entry.told_at = Some(self.tellable.len());
            self.tellable.push(node);
        }
        if !(entry.linked || self.is_pinned(&node)) {
            let share = entry.share();
            self.resize(share, |nodes| {
                nodes.insert((entry.rank(), node));
            });
        }
        let share = entry.share();
        self.entries.insert(node, entry);
        self.thin_out(share);
    }

    /// An owner with too many proven entries loses the worst.
    fn thin_out(&mut self, share: SourceShare) {
        let SourceShare::Good(owner) = share else { return };
        let taken = self.shares.get(&share).map_or(0, BTreeSet::len);
        if owner != Owner::Host
            && taken > MAX_GOOD_PER_GROUP
            && let Some(worst) = self.worst_of(share)
        {
            self.remove(&worst);
        }
    }

    fn unindex(&mut self, node: &NodeId, entry: &mut AddressEntry) {
        for ip in counted_ips(entry) {
            if let Some(count) = self.per_ip.get_mut(&ip) {
                *count -= 1;
                if *count == 0 {
                    self.per_ip.remove(&ip);
                }
            }
        }
        if let Some(at) = entry.told_at.take() {
            self.tellable.swap_remove(at);
            if let Some(moved) = self.tellable.get(at)
                && let Some(moved) = self.entries.get_mut(moved)
            {
                moved.told_at = Some(at);
            }
        }
        if !(entry.linked || self.is_pinned(node)) {
            self.resize(entry.share(), |nodes| {
                nodes.remove(&(entry.rank(), *node));
            });
        }
    }

    fn resize(&mut self, share: SourceShare, change: impl FnOnce(&mut BTreeSet<(Rank, NodeId)>)) {
        let nodes = self.shares.entry(share).or_default();
        let before = nodes.len();
        change(nodes);
        let after = nodes.len();
        if after == 0 {
            self.shares.remove(&share);
        }
        if !matches!(share, SourceShare::Good(_)) {
            self.hearsay_sizes.remove(&(before, share));
            if after > 0 {
                self.hearsay_sizes.insert((after, share));
            }
        }
    }

    fn left(&mut self, node: NodeId, entry: &AddressEntry) {
        if entry.stored {
            self.forgotten.push(node);
        }
    }
}

/// Entries of one owner in a sample, while there are others: many identities in one place should
/// not be all that a newcomer hears of.
const SAMPLE_PER_OWNER: usize = 2;
/// How old the note may be that a linked peer is alive.
pub(super) const NOTE_INTERVAL: Duration = Duration::from_secs(300);

//! Whom to dial of all those in the book: those that we were linked to for longest, and then few of
//! one owner, proven or heard of, by chance.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    address_book::AddressBook, connected::ConnectedPeers, dialer::Dialer, entry::AddressEntry,
};
use crate::{
    id::NodeId,
    netgroup::Owner,
    rng::Rng,
    standings::TrustTable,
    time::{Duration, Instant, Now},
};

/// What the book offers to a dialler.
#[derive(Default)]
pub(super) struct Candidates {
    verified: Pool,
    unverified: Pool,
    /// Those that were linked by choice for longest, the longest last: before chance decides.
    anchors: Vec<(Duration, NodeId, Owner)>,
    /// Owners of whom we have a link or a dial already.
    used: BTreeSet<Owner>,
    first: bool,
    next: Option<Instant>,
}

type Pool = BTreeMap<Owner, Vec<(NodeId, f64)>>;

impl Candidates {
    /// Whom the book offers now, before all others as many `anchors`. If nobody was linked yet in
    /// this life, `first`, those that answered last come before others.
    pub(super) fn new(
        now: Now,
        first: bool,
        anchors: usize,
        book: &AddressBook,
        links: &ConnectedPeers,
        dialer: &Dialer,
        standings: &TrustTable,
    ) -> Self {
        let mut candidates = Self { first, ..Self::default() };
        for (&node, entry) in book.iter() {
            if dialer.is_taken(&node, links) || standings.is_banned(&node, now.wall) {
                continue;
            }
            let later = Some(entry.next_dial).filter(|at| *at > now.mono);
            let silent_until = dialer.silent_until(entry, now.mono);
            if let Some(at) = later.max(silent_until) {
                let next = candidates.next;
                candidates.next = Some(next.map_or(at, |next| next.min(at)));
                continue;
            }
            candidates.offer(node, entry, standings.regard(&node));
        }
        candidates.choose_anchors(anchors, standings);
        let owners = links.outbound().map(|(_, link)| link.owner);
        let dialled = dialer.addresses().map(Owner::of);
        candidates.used = owners.chain(dialled).filter(|owner| *owner != Owner::Host).collect();
        candidates
    }

    /// When the book will offer somebody more.
    pub(super) const fn next(&self) -> Option<Instant> {
        self.next
    }

    fn offer(&mut self, node: NodeId, entry: &AddressEntry, score: f64) {
        let Some(addr) = entry.address() else { return };
        let owner = Owner::of(addr);
        let (known, is_verified) = (&entry.known, entry.is_verified());
        if is_verified && known.failures == 0 && !known.chosen_for.is_zero() {
            return self.anchors.push((known.chosen_for, node, owner));
        }
        // When an attacker's nodes were seen last is up to it: of those that answer, chance decides
        // (Heilman et al. 2015, countermeasure 2).
        let is_good = is_verified && !(self.first && known.failures > 0);
        let pool = if is_good { &mut self.verified } else { &mut self.unverified };
        pool.entry(owner).or_default().push((node, score));
    }

    /// Of those that might be, so many of different owners are anchors, and the rest is proven.
    fn choose_anchors(&mut self, most: usize, standings: &TrustTable) {
        let mut all = core::mem::take(&mut self.anchors);
        all.sort_unstable();
        let mut owners = BTreeSet::new();
        for (time, node, owner) in all.into_iter().rev() {
            let is_new = owner == Owner::Host || owners.insert(owner);
            if is_new && self.anchors.len() < most {
                self.anchors.push((time, node, owner));
            } else {
                let score = standings.regard(&node);
                self.verified.entry(owner).or_default().push((node, score));
            }
        }
        self.anchors.reverse();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.verified.is_empty() && self.unverified.is_empty() && self.anchors.is_empty()
    }

    /// The next one to dial, of an owner of whom we have nobody.
    pub(super) fn take(&mut self, rng: &mut Rng) -> Option<NodeId> {
        let (node, owner) = self.take_anchor(true).or_else(|| self.take_any(rng, true))?;
        if owner != Owner::Host {
            self.used.insert(owner);
        }
        Some(node)
    }

    /// The next one to dial, whosever it is.
    pub(super) fn take_crowded(&mut self, rng: &mut Rng) -> Option<NodeId> {
        let (node, _) = self.take_anchor(false).or_else(|| self.take_any(rng, false))?;
        Some(node)
    }

    fn take_anchor(&mut self, new_owner: bool) -> Option<(NodeId, Owner)> {
        let fits =
            |(_, _, owner): &(Duration, NodeId, Owner)| !new_owner || !self.used.contains(owner);
        let at = self.anchors.iter().rposition(fits)?;
        let (_, node, owner) = self.anchors.remove(at);
        Some((node, owner))
    }

    /// A random owner first and one of its nodes then: many identities in one place are worth no
    /// more than one. Of two drawn so, the better trusted.
    fn take_any(&mut self, rng: &mut Rng, new_owner: bool) -> Option<(NodeId, Owner)> {
        let good_first = rng.chance(GOOD_FIRST) || self.first;
        let pools = [&mut self.verified, &mut self.unverified];
        let pools = if good_first {
            pools
        } else {
            let [a, b] = pools;
            [b, a]
        };
        for pool in pools {
            let fits = |owner: &&Owner| !new_owner || !self.used.contains(*owner);
            let owners: Vec<Owner> = pool.keys().filter(fits).copied().collect();
            let mut draw = || {
                let &owner = rng.choose(&owners)?;
                let nodes = pool.get(&owner)?;
                let at = rng.index(nodes.len());
                Some((owner, at, nodes[at].1))
            };
            let (Some(a), Some(b)) = (draw(), draw()) else { continue };
            let (owner, at, _) = if a.2 >= b.2 { a } else { b };
            let nodes = pool.get_mut(&owner)?;
            let (node, _) = nodes.swap_remove(at);
            if nodes.is_empty() {
                pool.remove(&owner);
            }
            return Some((node, owner));
        }
        None
    }
}

/// How often a proven node is preferred to hearsay when there are both. Guess: hearsay must get
/// its chance, or newcomers would never be dialled by anybody.
const GOOD_FIRST: f64 = 0.6;

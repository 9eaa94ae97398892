//! Whom to dial of all those in the book: few of one owner, proven or heard of, by chance.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    address_book::AddressBook, connected::ConnectedPeers, dialer::Dialer, entry::AddressEntry,
};
use crate::{
    id::NodeId,
    netgroup::Owner,
    rng::Rng,
    standings::TrustTable,
    time::{Instant, Now, WallTime},
};

/// What the book offers to a dialler.
#[derive(Default)]
pub(super) struct Candidates {
    verified: Pool,
    unverified: Pool,
    /// Proven ones, the best last: drawn from before chance decides.
    best: Vec<(Rank, NodeId, Owner)>,
    /// Owners of whom we have a link or a dial already.
    used: BTreeSet<Owner>,
    best_first: bool,
    next: Option<Instant>,
}

type Pool = BTreeMap<Owner, Vec<(NodeId, f64)>>;
/// Fewest failures, then most recently seen.
type Rank = (core::cmp::Reverse<u32>, WallTime);

impl Candidates {
    /// Whom the book offers now. With `best_first`, proven nodes come in order of their merits.
    pub(super) fn new(
        now: Now,
        best_first: bool,
        book: &AddressBook,
        links: &ConnectedPeers,
        dialer: &Dialer,
        standings: &TrustTable,
    ) -> Self {
        let mut candidates = Self { best_first, ..Self::default() };
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
        candidates.best.sort_unstable();
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
        let known = &entry.known;
        if entry.is_verified() && self.best_first {
            self.best.push(((core::cmp::Reverse(known.failures), known.last_seen), node, owner));
            return;
        }
        let pool = if entry.is_verified() { &mut self.verified } else { &mut self.unverified };
        pool.entry(owner).or_default().push((node, score));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.verified.is_empty() && self.unverified.is_empty() && self.best.is_empty()
    }

    /// The next one to dial, of an owner of whom we have nobody.
    pub(super) fn take(&mut self, rng: &mut Rng) -> Option<NodeId> {
        let (node, owner) = self.take_best(true).or_else(|| self.take_any(rng, true))?;
        if owner != Owner::Host {
            self.used.insert(owner);
        }
        Some(node)
    }

    /// The next one to dial, whosever it is.
    pub(super) fn take_crowded(&mut self, rng: &mut Rng) -> Option<NodeId> {
        let (node, _) = self.take_best(false).or_else(|| self.take_any(rng, false))?;
        Some(node)
    }

    fn take_best(&mut self, new_owner: bool) -> Option<(NodeId, Owner)> {
        let fits = |(_, _, owner): &(Rank, NodeId, Owner)| !new_owner || !self.used.contains(owner);
        let at = self.best.iter().rposition(fits)?;
        let (_, node, owner) = self.best.remove(at);
        Some((node, owner))
    }

    /// A random owner first and one of its nodes then: many identities in one place are worth no
    /// more than one. Of two drawn so, the better trusted.
    fn take_any(&mut self, rng: &mut Rng, new_owner: bool) -> Option<(NodeId, Owner)> {
        let good_first = rng.chance(GOOD_FIRST);
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

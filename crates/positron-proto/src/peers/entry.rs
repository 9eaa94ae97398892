//! One line of the address book.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use crate::{
    id::NodeId,
    identity::Verified,
    limits::{MAX_PASSED_ON_BY, MAX_TELLERS, MAX_TOLD_UNPROVEN},
    netgroup::{Owner, counted},
    scope::canonical,
    time::{Duration, Instant, WallTime},
    wire::record::PeerRecord,
};

/// A peer as the address book knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownPeer {
    /// Its newest record.
    pub record: Verified<PeerRecord>,
    /// The address at which it last answered a dial of ours; `None`: hearsay.
    pub dialled: Option<SocketAddr>,
    /// The address at which strangers reach it, as a dial of ours proved; `None`: perhaps it let
    /// only us in.
    pub proven: Option<SocketAddr>,
    /// When it was last linked to us or answered; the epoch: never.
    pub last_seen: WallTime,
    /// Dials since then that failed.
    pub failures: u32,
    /// How long it was linked because the book named it, in all lives: it may be an anchor.
    pub chosen_for: Duration,
}

/// One line of the book.
#[derive(Debug)]
pub(super) struct AddressEntry {
    /// What others may see of it.
    pub known: KnownPeer,
    /// The addresses of its record that are worth a dial. Never empty.
    pub usable: Vec<SocketAddr>,
    /// Not dialled before then.
    pub next_dial: Instant,
    /// Linked entries are never evicted.
    pub linked: bool,
    /// Storage has it.
    pub stored: bool,
    /// Whose part of the book it takes up until it is proven.
    pub source: SourceShare,
    /// Counts the entries in the order in which they came.
    pub learned: u64,
    /// Where it is in the book's list of those that others may be told of.
    pub told_at: Option<usize>,
    /// Who was told of it though it is not proven, and did not pass it on to us since: at most
    /// [`MAX_TOLD_UNPROVEN`].
    pub told: Vec<NodeId>,
    /// Who passed it on to us last, while it was not proven: at most [`MAX_PASSED_ON_BY`].
    pub passed_on_by: VecDeque<NodeId>,
    /// Who told us of it, the last at the end: at most [`MAX_TELLERS`]. Nothing is decided by it.
    pub tellers: VecDeque<NodeId>,
}

/// Whose part of the book an entry takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SourceShare {
    /// What this node told us of others.
    Hearsay(NodeId),
    /// What nodes that dialled us said of themselves.
    Inbound,
    /// Found by a dial of ours at an address of this owner.
    Good(Owner),
}

/// In which order entries of one share give way: most failures first, then the longest known
/// (hearsay) or the longest unseen (good).
pub(super) type Rank = (u32, u64);

impl AddressEntry {
    /// Where to dial next: where it answered last, then its other addresses in turn.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        let turn = usize::try_from(self.known.failures).unwrap_or(0);
        if let (Some(dialled), 0) = (self.known.dialled, turn) {
            return Some(dialled);
        }
        self.usable.get(turn % self.usable.len().max(1)).copied()
    }

    /// Whether a dial of ours found it at one of its addresses.
    pub(super) const fn is_verified(&self) -> bool {
        self.known.dialled.is_some()
    }

    /// Whether a dial of ours proved that strangers reach it.
    pub(super) const fn is_proven(&self) -> bool {
        self.known.proven.is_some()
    }

    /// Where others may be told to dial it, if there is anybody who may be told.
    pub(super) fn tellable(&self) -> Option<SocketAddr> {
        let has_room = self.told.len() < MAX_TOLD_UNPROVEN;
        self.known.proven.or_else(|| self.known.dialled.filter(|_| has_room))
    }

    /// Whether `peer` learns anything by being told of it.
    pub(super) fn is_news_to(&self, peer: &NodeId) -> bool {
        !self.told.contains(peer) && !self.passed_on_by.contains(peer)
    }

    /// Whether it is known that [`handle_passed_on`](Self::handle_passed_on) changes nothing.
    pub(super) fn is_settled_with(&self, peer: &NodeId) -> bool {
        self.is_proven() || self.passed_on_by.contains(peer)
    }

    /// `peer` passed it on to us: it reaches the node itself.
    pub(super) fn handle_passed_on(&mut self, peer: NodeId) {
        self.told.retain(|told| *told != peer);
        if self.passed_on_by.len() == MAX_PASSED_ON_BY {
            self.passed_on_by.pop_front();
        }
        self.passed_on_by.push_back(peer);
    }

    /// `peer` told us of it.
    pub(super) fn note_teller(&mut self, peer: NodeId) {
        if self.tellers.contains(&peer) {
            return;
        }
        if self.tellers.len() == MAX_TELLERS {
            self.tellers.pop_front();
        }
        self.tellers.push_back(peer);
    }

    /// Notes that the node answered at `addr`, and whether strangers reach it there, too; it counts
    /// if its record names that address.
    pub(super) fn answered_at(&mut self, addr: SocketAddr, is_proof: bool, now: WallTime) {
        let addr = canonical(addr);
        if self.known.record.content().lists(addr) {
            self.known.dialled = Some(addr);
            if is_proof {
                self.known.proven = Some(addr);
                (self.told, self.passed_on_by) = Default::default();
            }
            if !self.usable.contains(&addr) {
                self.usable.push(addr);
            }
        }
        self.known.failures = 0;
        self.known.last_seen = now;
    }

    pub(super) fn share(&self) -> SourceShare {
        self.known.dialled.map_or(self.source, |addr| SourceShare::Good(Owner::of(addr)))
    }

    pub(super) fn rank(&self) -> Rank {
        let since = match self.known.dialled {
            Some(_) => self.known.last_seen.as_unix_micros(),
            None => self.learned,
        };
        (u32::MAX - self.known.failures, since)
    }
}

impl AddressEntry {
    /// A newer record takes the place of the old one; the proof stays if it fits.
    pub(super) fn replace(&mut self, record: Verified<PeerRecord>, usable: Vec<SocketAddr>) {
        let still = |addr: &SocketAddr| record.content().lists(*addr);
        let was_dialled = self.known.dialled;
        self.known.dialled = self.known.dialled.filter(still);
        self.known.proven = self.known.proven.filter(still);
        if self.known.dialled != was_dialled {
            (self.told, self.passed_on_by) = Default::default();
        }
        self.usable = usable;
        if let Some(dialled) = self.known.dialled
            && !self.usable.contains(&dialled)
        {
            self.usable.push(dialled);
        }
        self.known.record = record;
    }
}

impl KnownPeer {
    /// Nobody dialled it yet.
    pub(super) const fn heard_of(record: Verified<PeerRecord>) -> Self {
        let last_seen = WallTime::from_unix_micros(0);
        let chosen_for = Duration::ZERO;
        Self { record, dialled: None, proven: None, last_seen, failures: 0, chosen_for }
    }
}

/// What the addresses of an entry count as, each as often as it is named.
pub(super) fn counted_ips(entry: &AddressEntry) -> impl Iterator<Item = IpAddr> {
    entry.usable.iter().copied().filter_map(counted)
}

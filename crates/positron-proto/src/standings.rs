//! What we make of every peer: made by `trust`, lent to `peers` and `gossip`.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    id::NodeId,
    limits::{MAX_STRANGERS, MOST_BY_WORD},
    lru::LruMap,
    subnet::Subnet,
    time::WallTime,
    words::Words,
};

/// What we make of one peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerTrust {
    /// From 0.0 (worthless) to the configured maximum (1.0 unless said).
    pub score: f64,
    /// Until when it is refused; `None` when it is welcome.
    pub banned_until: Option<WallTime>,
}

/// The standing of every peer that was ever observed, and of strangers.
#[derive(Debug)]
pub struct TrustTable {
    initial: f64,
    max: f64,
    known: BTreeMap<NodeId, PeerTrust>,
    /// Those that nobody knows and that did something, each with when it did.
    strangers: LruMap<NodeId, (PeerTrust, WallTime)>,
    banned: usize,
    addresses: Vec<Subnet>,
    /// Who came after a key that is nobody's any more.
    successors: BTreeMap<NodeId, NodeId>,
    /// Whom others trust.
    pub(crate) words: Words,
}

impl TrustTable {
    /// Nobody was observed yet; strangers stand at `initial`, and nobody above `max`.
    pub fn new(initial: f64, max: f64) -> Self {
        Self {
            initial,
            max,
            known: BTreeMap::new(),
            strangers: LruMap::new(MAX_STRANGERS),
            banned: 0,
            addresses: Vec::new(),
            successors: BTreeMap::new(),
            words: Words::default(),
        }
    }

    /// The score of somebody of whom nothing is known.
    pub(crate) const fn initial(&self) -> f64 {
        self.initial
    }

    /// What we make of `peer` by what it did, and, if it did nothing wrong, by what others say who
    /// did well: whom to dial, to keep and to believe first. The best word counts, weighed by what
    /// its speaker earned, and raises a stranger by [`MOST_BY_WORD`] of the way at most.
    pub fn regard(&self, peer: &NodeId) -> f64 {
        let own = self.of(peer).score;
        if own < self.initial {
            return own;
        }
        let words = self.words.of(peer).map(|(from, strength)| strength * self.weight(&from));
        let best = words.fold(0.0, f64::max);
        own.max(self.initial + MOST_BY_WORD * best * (self.max - self.initial))
    }

    /// What a word of `peer` weighs: the part of the way from a stranger's score to the highest
    /// that it went by what it did. 0.0 of a stranger, and of anybody who did worse.
    pub(crate) fn weight(&self, peer: &NodeId) -> f64 {
        let way = self.max - self.initial;
        if way <= 0.0 { 0.0 } else { ((self.of(peer).score - self.initial) / way).max(0.0) }
    }

    /// The standing of `peer` by what it did.
    pub fn of(&self, peer: &NodeId) -> PeerTrust {
        let stranger = || self.stranger(peer).map(|(standing, _)| standing);
        let nobody = PeerTrust { score: self.initial, banned_until: None };
        self.known.get(peer).copied().or_else(stranger).unwrap_or(nobody)
    }

    /// What a stranger did of late comes to, and when it did something last.
    pub(crate) fn stranger(&self, peer: &NodeId) -> Option<(PeerTrust, WallTime)> {
        self.strangers.get(peer).copied()
    }

    /// Whether `peer` was observed, and is no stranger.
    pub fn knows(&self, peer: &NodeId) -> bool {
        self.known.contains_key(peer)
    }

    /// Whether `peer` is refused at `now`.
    pub fn is_banned(&self, peer: &NodeId, now: WallTime) -> bool {
        self.of(peer).banned_until.is_some_and(|until| now < until)
    }

    /// How many peers are banned. One whose ban is over counts until it is pardoned.
    pub const fn banned(&self) -> usize {
        self.banned
    }

    /// Whether whoever is at this address is refused.
    pub fn bans_address(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|net| net.contains(ip))
    }

    /// How many bans of addresses there are.
    pub fn banned_addresses(&self) -> usize {
        self.addresses.len()
    }

    /// Every observed peer, in order of its id.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &PeerTrust)> {
        self.known.iter()
    }

    /// How many peers were observed.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nobody was observed yet.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether this key gave way to another: its holder is somebody else now, and it is nobody's.
    pub fn is_retired(&self, peer: &NodeId) -> bool {
        self.successors.contains_key(peer)
    }

    /// Who has the place of this key now: itself, unless it is retired.
    pub fn current(&self, peer: NodeId) -> NodeId {
        let mut current = peer;
        // Successions lead nowhere twice.
        while let Some(next) = self.successors.get(&current) {
            current = *next;
        }
        current
    }

    /// How many keys gave way to others.
    pub fn retired(&self) -> usize {
        self.successors.len()
    }

    pub(crate) fn retire(&mut self, old: NodeId, new: NodeId) {
        self.successors.insert(old, new);
        self.words.forget(&old);
        self.words.forget_subject(&old);
    }

    pub(crate) fn unretire(&mut self, old: &NodeId) {
        self.successors.remove(old);
    }

    /// A stranger did something at that time.
    pub(crate) fn set_stranger(&mut self, peer: NodeId, standing: PeerTrust, at: WallTime) {
        self.strangers.insert(peer, (standing, at));
    }

    /// It is a stranger no more, or one like any.
    pub(crate) fn forget_stranger(&mut self, peer: &NodeId) {
        self.strangers.remove(peer);
    }

    pub(crate) fn set(&mut self, peer: NodeId, standing: PeerTrust) {
        self.strangers.remove(&peer);
        self.banned += usize::from(standing.banned_until.is_some());
        let before = self.known.insert(peer, standing);
        self.banned -= usize::from(before.is_some_and(|before| before.banned_until.is_some()));
    }

    pub(crate) fn set_banned_addresses(&mut self, addresses: Vec<Subnet>) {
        self.addresses = addresses;
    }

    pub(crate) fn forget(&mut self, peer: &NodeId) {
        let before = self.known.remove(peer);
        self.banned -= usize::from(before.is_some_and(|before| before.banned_until.is_some()));
    }
}

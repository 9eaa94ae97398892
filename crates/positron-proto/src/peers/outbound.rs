//! Links of our own choice: as many as aimed at, to strangers too, and not many more.

use std::collections::BTreeMap;

use super::{
    PeersEffect,
    address_book::AddressBook,
    choice::Candidates,
    connected::{ConnectedPeers, PeerLink},
    dial_schedule::DialSchedule,
    dialer::{DialReason, Dialer},
    turn::Turn,
};
use crate::{
    id::NodeId,
    limits::MAX_WANTED_LINKS,
    netgroup::Owner,
    standings::TrustTable,
    time::{Duration, Instant, earliest},
    wire::frame::CloseReason,
};

/// Dials out of the book until there are as many outbound links as aimed at.
///
/// [`fill_soon`](Self::fill_soon) says that something changed, [`want`](Self::want) that one node
/// is needed now, [`handle_interval`](Self::handle_interval) that a discovery interval is over:
/// then a stranger is explored, or one link too many is ended. At most [`MAX_WANTED_LINKS`] nodes
/// are wanted.
#[derive(Debug)]
pub(super) struct Outbound {
    target: usize,
    /// When outbound links are missing, if they are.
    fill_at: Option<Instant>,
    /// Peers that direct messages wait for.
    wanted: DialSchedule<()>,
    /// Whether there was ever a link in this life.
    linked_ever: bool,
    last_fill: Instant,
    /// Since when outbound links are missing.
    short_since: Option<Instant>,
    /// Discovery intervals in a row with too many outbound links.
    too_many: u32,
}

impl Outbound {
    pub(super) fn new(target: usize) -> Self {
        Self {
            target,
            fill_at: None,
            wanted: DialSchedule::new(),
            linked_ever: false,
            last_fill: Instant::ORIGIN,
            short_since: None,
            too_many: 0,
        }
    }

    /// A link to this node is wanted now; the dial leaves at the next timeout, due at once.
    pub(super) fn want(&mut self, now: Instant, peer: NodeId) {
        if self.wanted.len() < MAX_WANTED_LINKS {
            self.wanted.insert(peer, ());
            self.wanted.set(peer, now);
        }
    }

    /// A link to this node is not wanted any more.
    pub(super) fn unwant(&mut self, peer: &NodeId) {
        self.wanted.remove(peer);
    }

    pub(super) fn handle_peer_up(&mut self, peer: &NodeId) {
        self.linked_ever = true;
        self.unwant(peer);
    }

    /// Looks through the book soon, but not for every little thing.
    pub(super) fn fill_soon(&mut self, now: Instant) {
        self.fill_by((self.last_fill + FILL_INTERVAL).max(now));
    }

    fn fill_by(&mut self, at: Instant) {
        self.fill_at = Some(self.fill_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        earliest([self.fill_at, self.wanted.poll_timeout()])
    }

    /// Dials whom it is time to dial.
    pub(super) fn handle_timeout(
        &mut self,
        book: &AddressBook,
        links: &ConnectedPeers,
        dialer: &mut Dialer,
        standings: &TrustTable,
        turn: &mut Turn<'_>,
    ) {
        self.dial_wanted(book, links, dialer, standings, turn);
        if self.fill_at.take_if(|at| *at <= turn.now.mono).is_some() {
            self.fill(book, links, dialer, standings, turn);
        }
    }

    /// Once a discovery interval: looks at somebody new, or lets go of one too many.
    pub(super) fn handle_interval(
        &mut self,
        book: &AddressBook,
        links: &ConnectedPeers,
        dialer: &mut Dialer,
        standings: &TrustTable,
        turn: &mut Turn<'_>,
    ) {
        let too_many = links.outbound().count() > self.target + SLACK;
        self.too_many = if too_many { self.too_many + 1 } else { 0 };
        if self.too_many > PATIENCE {
            Self::prune(links, standings, turn);
        } else if !too_many && dialer.free_slots(links) > 0 {
            let best_first = !self.linked_ever;
            let mut candidates =
                Candidates::new(turn.now, best_first, book, links, dialer, standings);
            let stranger = candidates.take(turn.rng);
            if let Some(node) = stranger.or_else(|| candidates.take_crowded(turn.rng)) {
                dialer.dial_known(node, DialReason::Book, book, links, turn);
            }
        }
    }

    fn dial_wanted(
        &mut self,
        book: &AddressBook,
        links: &ConnectedPeers,
        dialer: &mut Dialer,
        standings: &TrustTable,
        turn: &mut Turn<'_>,
    ) {
        while let Some(peer) = self.wanted.pop_due(turn.now.mono) {
            let is_vain = links.outbound_limit_reached(dialer.connecting())
                || standings.is_banned(&peer, turn.now.wall)
                || dialer.is_taken(&peer, links)
                || book.get(&peer).is_none();
            if is_vain || dialer.dial_known(peer, DialReason::Wanted, book, links, turn) {
                self.wanted.remove(&peer);
            } else {
                // Every dial is taken.
                self.wanted.set(peer, turn.now.mono + NO_DIAL);
            }
        }
    }

    /// Dials until there are as many outbound links as aimed at.
    fn fill(
        &mut self,
        book: &AddressBook,
        links: &ConnectedPeers,
        dialer: &mut Dialer,
        standings: &TrustTable,
        turn: &mut Turn<'_>,
    ) {
        let now = turn.now.mono;
        self.last_fill = now;
        // Those who fell silent and bootstrap addresses may all be gone for good.
        let dialled = dialer.count(DialReason::Book) + dialer.count(DialReason::Wanted);
        let outbound = links.outbound().count() + dialled;
        let missing = self.target.saturating_sub(outbound);
        // Nobody at all: half of what is dialled may well be dead.
        let wanted = if links.is_empty() { missing * 2 } else { missing };
        let wanted = wanted.min(dialer.free_slots(links));
        if wanted == 0 {
            self.short_since = None;
            return;
        }
        let patient = *self.short_since.get_or_insert(now) + OWNER_PATIENCE;
        let best_first = !self.linked_ever;
        let mut candidates = Candidates::new(turn.now, best_first, book, links, dialer, standings);
        for _ in 0..wanted {
            let new_owner = candidates.take(turn.rng);
            let node = new_owner
                .or_else(|| (now >= patient).then(|| candidates.take_crowded(turn.rng)).flatten());
            let Some(node) = node else { break };
            dialer.dial_known(node, DialReason::Book, book, links, turn);
        }
        let next = if candidates.is_empty() { candidates.next() } else { Some(patient) };
        if let Some(next) = next.filter(|next| *next > now) {
            self.fill_by(next.max(now + FILL_INTERVAL));
        }
    }

    /// Ends one outbound link, never a young one: of the owner with most links, the least trusted
    /// one, by chance. Nothing that a peer says of itself protects it, or liars would be all that
    /// is left; who loses its last link by this dials others.
    fn prune(links: &ConnectedPeers, standings: &TrustTable, turn: &mut Turn<'_>) {
        let now = turn.now.mono;
        let mut crowds: BTreeMap<Owner, usize> = BTreeMap::new();
        for (_, link) in links.outbound() {
            *crowds.entry(link.owner).or_default() += 1;
        }
        // The nodes of this machine crowd nobody out.
        crowds.remove(&Owner::Host);
        let is_old = |link: &PeerLink| now.since(link.since) > PRUNABLE_AFTER;
        let old = links.outbound().filter(|(_, link)| is_old(link));
        let mut old: Vec<(NodeId, usize, f64)> = old
            .map(|(id, link)| {
                (*id, crowds.get(&link.owner).copied().unwrap_or(1), standings.regard(id))
            })
            .collect();
        turn.rng.shuffle(&mut old);
        let last = old.iter().min_by(|a, b| b.1.cmp(&a.1).then(a.2.total_cmp(&b.2)));
        if let Some(&(peer, ..)) = last {
            turn.push(PeersEffect::Disconnect { peer, reason: CloseReason::Pruned });
        }
    }
}

/// Wait of a direct message's wish for a link while every dial is taken.
const NO_DIAL: Duration = Duration::from_millis(250);
/// How long we wait for somebody of another owner before we dial a second node of one.
const OWNER_PATIENCE: Duration = Duration::from_secs(2);
/// Shortest time between two looks through the book.
const FILL_INTERVAL: Duration = Duration::from_millis(200);
/// Outbound links above the target that exploration and redials may leave standing.
const SLACK: usize = 2;
/// Discovery intervals that too many outbound links are borne.
const PATIENCE: u32 = 2;
/// Guess: a link that carries direct messages or a repair is used within this time.
const PRUNABLE_AFTER: Duration = Duration::from_secs(60);

//! Links of our own choice: as many as aimed at, to strangers too, and not many more.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    PeersEffect,
    address_book::AddressBook,
    bootstrap::BootstrapAddresses,
    choice::Candidates,
    connected::{ConnectedPeers, PeerLink},
    dial_schedule::DialSchedule,
    dialer::{DialReason, Dialer},
    turn::Turn,
};
use crate::{
    id::NodeId,
    limits::{MAX_ANCHORS, MAX_WANTED_LINKS},
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
        given: &BootstrapAddresses,
        standings: &TrustTable,
        turn: &mut Turn<'_>,
    ) {
        self.dial_wanted(book, links, dialer, standings, turn);
        if self.fill_at.take_if(|at| *at <= turn.now.mono).is_some() {
            self.fill(book, links, dialer, given, standings, turn);
        }
    }

    /// Once a discovery interval: looks at somebody new, or lets go of one too many.
    pub(super) fn handle_interval(
        &mut self,
        book: &AddressBook,
        links: &ConnectedPeers,
        dialer: &mut Dialer,
        given: &BootstrapAddresses,
        standings: &TrustTable,
        turn: &mut Turn<'_>,
    ) {
        let too_many = links.outbound().count() > self.target + SLACK;
        self.too_many = if too_many { self.too_many + 1 } else { 0 };
        if self.too_many > PATIENCE {
            let anchors = self.anchors(book, links, given, standings);
            // Others, bootstrap nodes among them, go no oftener than if all were drawn from.
            if turn.rng.index(links.outbound().count()) < anchors.len() {
                self.too_many = 0;
            } else {
                Self::prune(&anchors, links, standings, turn);
            }
        } else if !too_many && dialer.free_slots(links) > 0 {
            let first = !self.linked_ever;
            let mut candidates =
                Candidates::new(turn.now, first, 0, book, links, dialer, standings);
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
        given: &BootstrapAddresses,
        standings: &TrustTable,
        turn: &mut Turn<'_>,
    ) {
        let now = turn.now.mono;
        self.last_fill = now;
        // Those who fell silent and bootstrap addresses may all be gone for good.
        let under_way = dialer.count(DialReason::Book) + dialer.count(DialReason::Wanted);
        let outbound = links.outbound().count() + under_way;
        // Nor may whoever wrote the list of bootstrap addresses decide on every link.
        let chosen = links.outbound().filter(|(node, _)| !given.found(node)).count() + under_way;
        let unchosen = self.most_anchors().saturating_sub(chosen);
        let missing = self.target.saturating_sub(outbound).max(unchosen);
        // Nobody at all: half of what is dialled may well be dead.
        let wanted = if links.is_empty() { missing * 2 } else { missing };
        let free = dialer.free_slots(links);
        if free == 0 && unchosen > 0 && dialer.connecting() == 0 {
            Self::make_room(book, links, dialer, given, standings, turn);
            self.fill_by(now + ROOM_INTERVAL);
        }
        let wanted = wanted.min(free);
        if wanted == 0 {
            self.short_since = None;
            return;
        }
        let patient = *self.short_since.get_or_insert(now) + OWNER_PATIENCE;
        let first = !self.linked_ever;
        let mut candidates =
            Candidates::new(turn.now, first, unchosen, book, links, dialer, standings);
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

    /// Guests and nodes at bootstrap addresses hold every slot: one of the latter goes, if there is
    /// somebody else to dial.
    fn make_room(
        book: &AddressBook,
        links: &ConnectedPeers,
        dialer: &Dialer,
        given: &BootstrapAddresses,
        standings: &TrustTable,
        turn: &mut Turn<'_>,
    ) {
        let of_list = links.outbound().map(|(node, _)| *node).filter(|node| given.found(node));
        let of_list: Vec<NodeId> = of_list.collect();
        let candidates = Candidates::new(turn.now, false, 0, book, links, dialer, standings);
        if !candidates.is_empty()
            && let Some(&peer) = turn.rng.choose(&of_list)
        {
            turn.push(PeersEffect::Disconnect { peer, reason: CloseReason::Pruned });
        }
    }

    /// Peers that the book named are linked for longer than when this was noted last.
    pub(super) fn count_time(
        now: Instant,
        book: &mut AddressBook,
        links: &mut ConnectedPeers,
        given: &BootstrapAddresses,
    ) {
        for (node, link) in links.outbound_mut() {
            let time = link.count_time(now);
            if !given.found(node) {
                book.note_chosen(node, time);
            }
        }
    }

    /// Links of our own choice that are not let go for others: one less than there should be.
    fn most_anchors(&self) -> usize {
        self.target.saturating_sub(1).min(MAX_ANCHORS)
    }

    /// Those that we are linked to by choice for longest, each of another owner, and trust no less
    /// than a stranger. Time is what an attacker cannot make up.
    fn anchors(
        &self,
        book: &AddressBook,
        links: &ConnectedPeers,
        given: &BootstrapAddresses,
        standings: &TrustTable,
    ) -> BTreeSet<NodeId> {
        let is_trusted = |node: &NodeId| standings.of(node).score >= standings.initial();
        let chosen = links.outbound().filter(|(node, _)| !given.found(node) && is_trusted(node));
        let time = |node| book.get(node).map_or(Duration::ZERO, |entry| entry.known.chosen_for);
        let score = |node| standings.of(node).score;
        let mut chosen: Vec<_> =
            chosen.map(|(node, link)| (time(node), link, score(node), *node)).collect();
        chosen.sort_by(|a, b| {
            b.0.cmp(&a.0).then(a.1.since.cmp(&b.1.since)).then(b.2.total_cmp(&a.2))
        });
        let mut owners = BTreeSet::new();
        let first = chosen.iter().filter(|(_, link, ..)| owners.insert(link.owner));
        first.take(self.most_anchors()).map(|(.., node)| *node).collect()
    }

    /// Ends one outbound link, never an anchor or a young one: of the owner with most links, the
    /// least trusted one, by chance. Nothing that a peer says of itself protects it, or liars would
    /// be all that is left; who loses its last link by this dials others.
    fn prune(
        anchors: &BTreeSet<NodeId>,
        links: &ConnectedPeers,
        standings: &TrustTable,
        turn: &mut Turn<'_>,
    ) {
        let now = turn.now.mono;
        let mut crowds: BTreeMap<Owner, usize> = BTreeMap::new();
        for (_, link) in links.outbound() {
            *crowds.entry(link.owner).or_default() += 1;
        }
        // The nodes of this machine crowd nobody out.
        crowds.remove(&Owner::Host);
        let is_old = |link: &PeerLink| now.since(link.since) > PRUNABLE_AFTER;
        let old = links.outbound().filter(|(id, link)| is_old(link) && !anchors.contains(id));
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
/// Time between two tries to find a slot for a link of our own choice where others hold all.
const ROOM_INTERVAL: Duration = Duration::from_secs(5);
/// Shortest time between two looks through the book.
const FILL_INTERVAL: Duration = Duration::from_millis(200);
/// Outbound links above the target that exploration and redials may leave standing.
const SLACK: usize = 2;
/// Discovery intervals that too many outbound links are borne.
const PATIENCE: u32 = 2;
/// Guess: a link that carries direct messages or a repair is used within this time.
const PRUNABLE_AFTER: Duration = Duration::from_secs(60);

//! What we say to linked peers: hello, heartbeats, questions, records of others.

use std::net::SocketAddr;

use super::{
    PeersEffect, PeersMessage,
    address_book::AddressBook,
    connected::{ConnectedPeers, PeerLink},
    entry::AddressEntry,
    local_record::LocalRecord,
    turn::Turn,
};
use crate::{
    deadlines::Deadlines,
    handshake::Direction,
    id::NodeId,
    identity::Signed,
    limits::{ANSWER_TIMEOUT, MAX_UNPROVEN_PER_ANSWER, PASSED_ON_FOR, RECORDS_PER_ANSWER},
    misbehavior::Observation,
    scope::{Scope, is_plausible},
    session::sessions::Peer,
    standings::TrustTable,
    time::{Duration, Instant},
    wire::{frame::CloseReason, record::PeerRecord},
};

/// Why [`Discovery`] wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum DiscoveryWake {
    /// Somebody is to be asked for records.
    Discover,
    /// A link is to be kept warm.
    Heartbeat(NodeId),
    /// A peer that dialled us did not say hello.
    Greet(NodeId),
    /// A peer did not answer our hello.
    HelloAnswer(NodeId),
    /// A peer did not answer our question.
    Answer(NodeId),
}

/// The conversation with linked peers.
///
/// Whoever dialled says hello, and the other end answers; who waits for a hello in vain says its
/// own. Each link carries a heartbeat at every interval, of whichever end is the first. One random
/// peer at a time is asked for records: at every discovery interval, or soon while there are too
/// few peers and questions bring new ones. What a peer leaves unanswered for [`ANSWER_TIMEOUT`] is
/// observed; if it never said hello, it is let go.
#[derive(Debug)]
pub(super) struct Discovery {
    discovery_interval: Duration,
    heartbeat_interval: Duration,
    /// Peers below which there are too few.
    enough: usize,
    deadlines: Deadlines<DiscoveryWake>,
    /// Questions in a row that brought nothing new while we had too few peers.
    fruitless_rounds: u32,
    /// It was told that there are too few.
    told_few: bool,
}

impl Discovery {
    pub(super) fn new(
        discovery_interval: Duration,
        heartbeat_interval: Duration,
        enough: usize,
    ) -> Self {
        Self {
            discovery_interval,
            heartbeat_interval,
            enough,
            deadlines: Deadlines::new(),
            fruitless_rounds: 0,
            told_few: false,
        }
    }

    pub(super) const fn enough(&self) -> usize {
        self.enough
    }

    /// A session is up: when its heartbeat beats, and until when its peer may say hello first.
    pub(super) fn peer_up(&mut self, peer: &Peer, turn: &mut Turn<'_>) {
        // Heartbeats of different links are spread over the interval.
        let beat = turn.rng.duration(Duration::ZERO..=self.heartbeat_interval);
        self.deadlines.set(DiscoveryWake::Heartbeat(peer.id), turn.now.mono + beat);
        if peer.direction == Direction::Inbound {
            self.deadlines.set(DiscoveryWake::Greet(peer.id), turn.now.mono + GREET_WAIT);
        }
    }

    pub(super) fn peer_down(&mut self, peer: NodeId) {
        use DiscoveryWake::{Answer, Greet, Heartbeat, HelloAnswer};
        for why in [Heartbeat, Greet, HelloAnswer, Answer] {
            self.deadlines.clear(why(peer));
        }
    }

    /// A peer said hello, or with `answer` answered ours.
    pub(super) fn handle_hello(&mut self, from: NodeId, answer: bool) {
        self.deadlines.clear(DiscoveryWake::Greet(from));
        if answer {
            self.deadlines.clear(DiscoveryWake::HelloAnswer(from));
        }
    }

    /// A peer said that it lives: nobody needs to hear the same of us before the next interval. Who
    /// is the first then is chance.
    pub(super) fn handle_heartbeat(&mut self, from: NodeId, turn: &mut Turn<'_>) {
        let next = turn.now.mono + turn.rng.jitter(self.heartbeat_interval);
        self.deadlines.set(DiscoveryWake::Heartbeat(from), next);
    }

    /// A peer answered a question.
    pub(super) fn handle_answer(&mut self, from: NodeId, turn: &mut Turn<'_>) {
        self.deadlines.clear(DiscoveryWake::Answer(from));
        turn.observe(from, Observation::Answered);
    }

    /// Somebody new is known, or who is linked changed: questions may bring more.
    pub(super) fn handle_news(&mut self) {
        self.fruitless_rounds = 0;
    }

    /// Says hello, or answers it.
    pub(super) fn greet(
        &mut self,
        link: &PeerLink,
        answer: bool,
        own: &LocalRecord,
        book: &mut AddressBook,
        standings: &TrustTable,
        turn: &mut Turn<'_>,
    ) {
        let to = link.peer.id;
        // Its own first: a node whose database was lost, or whose clock is wrong, sees how far it
        // was.
        let its_own = book.get(&to).map(|entry| entry.known.record.claim().clone());
        let others = RECORDS_PER_ANSWER - usize::from(its_own.is_some());
        let mut peers = Vec::from_iter(its_own);
        peers.extend(sample(book, to, link.scope, others, standings, turn));
        let (record, observed) = (own.claim().clone(), link.peer.addr.into());
        let message = PeersMessage::Hello { answer, record, observed, peers };
        turn.push(PeersEffect::Send { to, message });
        if !answer {
            let at = turn.now.mono + ANSWER_TIMEOUT;
            self.deadlines.set(DiscoveryWake::HelloAnswer(to), at);
        }
    }

    /// Plans the next question: soon while we have too few peers and questions bring new ones.
    pub(super) fn discover_later(&mut self, links: &ConnectedPeers, turn: &mut Turn<'_>) {
        let interval = self.discovery_interval;
        let few = links.len() < self.enough && !links.is_empty();
        let wait = if few {
            DISCOVERY_BACKOFF.saturating_mul(1 << self.fruitless_rounds.min(16)).min(interval)
        } else {
            interval
        };
        let at = turn.now.mono + turn.rng.jitter(wait);
        self.deadlines.set_earliest(DiscoveryWake::Discover, at);
    }

    /// Once a discovery interval: says that there are too few peers, unless it was said.
    pub(super) fn handle_interval(&mut self, links: &ConnectedPeers, turn: &mut Turn<'_>) {
        let (linked, wanted) = (links.len(), self.enough);
        let few = linked < wanted;
        if few && !self.told_few {
            turn.push(PeersEffect::FewPeers { linked, wanted });
        }
        self.told_few = few;
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// Says what is due.
    pub(super) fn handle_timeout(
        &mut self,
        own: &LocalRecord,
        book: &mut AddressBook,
        links: &mut ConnectedPeers,
        standings: &TrustTable,
        turn: &mut Turn<'_>,
    ) {
        while let Some(why) = self.deadlines.pop_due(turn.now.mono) {
            match why {
                DiscoveryWake::Discover => self.discover(links, turn),
                DiscoveryWake::Heartbeat(peer) => self.heartbeat(peer, links, turn),
                DiscoveryWake::Greet(peer) => {
                    if let Some(link) = links.get(&peer) {
                        self.greet(link, false, own, book, standings, turn);
                    }
                }
                DiscoveryWake::HelloAnswer(peer) => {
                    turn.observe(peer, Observation::TimedOut);
                    if links.get(&peer).is_some_and(PeerLink::is_mute) {
                        turn.push(PeersEffect::Disconnect { peer, reason: CloseReason::Timeout });
                    }
                }
                DiscoveryWake::Answer(peer) => {
                    if let Some(link) = links.get_mut(&peer) {
                        link.asked = false;
                    }
                    turn.observe(peer, Observation::TimedOut);
                }
            }
        }
    }

    fn heartbeat(&mut self, to: NodeId, links: &ConnectedPeers, turn: &mut Turn<'_>) {
        if links.contains(&to) {
            let active_peers = u32::try_from(links.len()).unwrap_or(u32::MAX);
            turn.push(PeersEffect::Send { to, message: PeersMessage::Heartbeat(active_peers) });
            let next = turn.now.mono + self.heartbeat_interval;
            self.deadlines.set(DiscoveryWake::Heartbeat(to), next);
        }
    }

    /// Asks one random peer for records.
    fn discover(&mut self, links: &mut ConnectedPeers, turn: &mut Turn<'_>) {
        let peers: Vec<NodeId> = links.iter().map(|(id, _)| *id).collect();
        if let Some(&to) = turn.rng.choose(&peers)
            && let Some(link) = links.get_mut(&to)
        {
            self.fruitless_rounds = self.fruitless_rounds.saturating_add(1);
            if link.may_ask(turn.now.mono) {
                link.asked = true;
                let count = u8::try_from(RECORDS_PER_ANSWER).unwrap_or(u8::MAX);
                turn.push(PeersEffect::Send { to, message: PeersMessage::Discovery(count) });
                let at = turn.now.mono + ANSWER_TIMEOUT;
                self.deadlines.set_earliest(DiscoveryWake::Answer(to), at);
            }
        }
        self.discover_later(links, turn);
    }
}

/// Records that a node at the other end of a link of this scope may be told: alive, not its own,
/// nobody banned, and at addresses that mean something where it is; each proven, or told to few.
pub(super) fn sample(
    book: &mut AddressBook,
    to: NodeId,
    scope: Scope,
    count: usize,
    standings: &TrustTable,
    turn: &mut Turn<'_>,
) -> Vec<Signed<PeerRecord>> {
    let now = turn.now.wall;
    let mut unproven = 0;
    let fits = |node: &NodeId, entry: &AddressEntry| {
        let alive = entry.linked
            || (entry.known.failures == 0 && now.since(entry.known.last_seen) < PASSED_ON_FOR);
        let is_open =
            |addr: SocketAddr| is_plausible(addr, scope) && !standings.bans_address(addr.ip());
        let reachable = entry.tellable().is_some_and(is_open);
        let may_hear = *node != to && entry.is_news_to(&to) && !standings.is_banned(node, now);
        let is_unproven = !entry.is_proven();
        let fits = alive && reachable && may_hear;
        let fits = fits && (!is_unproven || unproven < MAX_UNPROVEN_PER_ANSWER);
        unproven += usize::from(fits && is_unproven);
        fits
    };
    let entries = book.sample(turn.rng, count, fits);
    let records = entries.into_iter().map(|entry| entry.known.record.claim().clone());
    let records: Vec<_> = records.collect();
    for record in &records {
        turn.counters.unproven_told += u64::from(book.note_told(&record.content().node_id(), to));
    }
    records
}

/// Wait for the hello of a peer that dialled us. When both ends dialled at once, each may take the
/// other's link for the one that stays: then nobody would say hello.
const GREET_WAIT: Duration = Duration::from_secs(1);
/// Wait between the first two questions of a node with too few peers.
const DISCOVERY_BACKOFF: Duration = Duration::from_millis(250);

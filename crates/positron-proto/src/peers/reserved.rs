//! Peers that the application keeps a slot for: dialled for as long as they are not linked.

use std::{collections::BTreeSet, net::SocketAddr};

use super::{
    Reservation,
    address_book::AddressBook,
    connected::ConnectedPeers,
    dial_schedule::{DialSchedule, backoff},
    dialer::{DialReason, Dialer},
    entry::AddressEntry,
    turn::Turn,
};
use crate::{
    handshake::{Expect, HandshakeFailure},
    id::NodeId,
    limits::{MAX_RESERVED, MAX_RESERVED_PLACES, RESERVED_LONGEST},
    session::sessions::{DialFailure, DialOutcome, DialRequest, Effort, Purpose},
    time::{Duration, Instant},
};

/// The reservations, [`MAX_RESERVED`] at most.
///
/// Each peer that is not linked has a deadline, never further away than [`RESERVED_LONGEST`], at
/// which it is dialled at all places at once where it may be: where the application says that it
/// is, where it answered last, and at one of the others in the book, which take turns. A place that
/// is silent thus keeps nobody from looking at the others. At most [`MAX_RESERVED_PLACES`], and
/// beside them whoever answered at one of them instead: perhaps its successor.
#[derive(Debug)]
pub(super) struct Reserved {
    peers: DialSchedule<ReservedPeer>,
}

#[derive(Debug)]
struct ReservedPeer {
    /// Where the application says that it is.
    at: Option<SocketAddr>,
    /// Times that it was dialled since it was linked last.
    rounds: u32,
    /// Who answered last instead, and where: perhaps its successor, who says so once it is linked.
    found: Option<(NodeId, SocketAddr)>,
}

impl Reserved {
    pub(super) fn new() -> Self {
        Self { peers: DialSchedule::new() }
    }

    pub(super) fn has_room_for(&self, peer: &NodeId) -> bool {
        self.peers.len() < MAX_RESERVED || self.contains(peer)
    }

    /// A reservation that there is already gets the new address.
    pub(super) fn insert(&mut self, peer: NodeId, at: Option<SocketAddr>) {
        self.peers.insert(peer, ReservedPeer { at, rounds: 0, found: None });
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, peer: &NodeId) -> bool {
        self.peers.remove(peer)
    }

    pub(super) fn contains(&self, peer: &NodeId) -> bool {
        self.peers.contains(peer)
    }

    /// In order of the peers' ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = Reservation> {
        self.peers.iter().map(|(&peer, reserved)| Reservation { peer, at: reserved.at })
    }

    /// Where they are, as far as the application says.
    pub(super) fn places(&self) -> impl Iterator<Item = SocketAddr> {
        self.iter().filter_map(|slot| slot.at)
    }

    /// Where the application says that it is.
    pub(super) fn address_of(&self, peer: &NodeId) -> Option<SocketAddr> {
        self.iter().find(|slot| slot.peer == *peer)?.at
    }

    /// Dials all that are not linked as soon as possible.
    pub(super) fn hurry(&mut self, now: Instant) {
        let all: Vec<NodeId> = self.iter().map(|slot| slot.peer).collect();
        for peer in all {
            self.peers.set(peer, now);
        }
    }

    pub(super) fn handle_peer_up(&mut self, peer: NodeId) {
        if let Some(reserved) = self.peers.get_mut(&peer) {
            reserved.rounds = 0;
            self.peers.pause(peer);
        }
    }

    /// A link is gone; another peer would be left alone for `pause`.
    pub(super) fn handle_peer_down(&mut self, peer: NodeId, pause: Duration, turn: &mut Turn<'_>) {
        let wait = turn.rng.jitter(pause).min(RESERVED_LONGEST);
        self.peers.set(peer, turn.now.mono + wait);
    }

    /// A dial is over, whoever wanted it.
    pub(super) fn handle_dial_ended(&mut self, dial: &DialRequest, outcome: &DialOutcome) {
        use HandshakeFailure::WrongNode;
        let Expect::Node(peer) = dial.expect else { return };
        if let DialOutcome::Failed(DialFailure::Handshake(WrongNode { found })) = outcome
            && dial.purpose == Purpose::Connect
            && let Some(reserved) = self.peers.get_mut(&peer)
        {
            reserved.found = Some((*found, dial.to));
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.peers.poll_timeout()
    }

    /// Dials who is due.
    pub(super) fn handle_timeout(
        &mut self,
        book: &AddressBook,
        links: &ConnectedPeers,
        dialer: &mut Dialer,
        turn: &mut Turn<'_>,
    ) {
        while let Some(peer) = self.peers.pop_due(turn.now.mono) {
            let Some(reserved) = self.peers.get_mut(&peer) else { continue };
            if links.contains(&peer) {
                continue;
            }
            let entry = book.get(&peer);
            let last = entry.and_then(|entry| entry.known.dialled);
            let next = entry.and_then(AddressEntry::address);
            let places: [_; MAX_RESERVED_PLACES] = [reserved.at, last, next];
            let places: BTreeSet<_> = places.into_iter().flatten().collect();
            let found = reserved.found.take().filter(|(found, _)| !dialer.is_taken(found, links));
            for (node, to) in found.into_iter().chain(places.into_iter().map(|to| (peer, to))) {
                let entry = book.get(&node);
                let noise_static = entry.map(|entry| entry.known.record.content().noise_static);
                let (expect, purpose) = (Expect::Node(node), Purpose::Connect);
                let effort = Effort::Full;
                let request = DialRequest { to, expect, noise_static, purpose, effort };
                // One that is under way already goes on.
                dialer.dial(request, DialReason::Reserved, links, turn);
            }
            reserved.rounds = reserved.rounds.saturating_add(1);
            let wait = backoff(turn.rng, reserved.rounds, RESERVED_LONGEST);
            self.peers.set(peer, turn.now.mono + wait);
        }
    }
}

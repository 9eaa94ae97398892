//! Peers that the application keeps a slot for: dialled for as long as they are not linked.

use std::{collections::BTreeMap, net::SocketAddr};

use super::{
    address_book::AddressBook,
    connected::ConnectedPeers,
    dialer::{DialReason, Dialer},
    entry::AddressEntry,
    redial::backoff,
    turn::Turn,
};
use crate::{
    deadlines::Deadlines,
    handshake::{Expect, HandshakeFailure},
    id::NodeId,
    limits::{MAX_RESERVED, REDIAL_FIRST, RESERVED_LONGEST},
    session::sessions::{DialFailure, DialOutcome, DialRequest, Purpose},
    time::{Duration, Instant},
};

/// The reservations, [`MAX_RESERVED`] at most.
///
/// Each peer that is not linked has a deadline, never further away than [`RESERVED_LONGEST`], at
/// which it is dialled: where the application says that it is, and where the book does, in turns.
/// Where somebody else answers, that one is dialled next.
#[derive(Debug, Default)]
pub(super) struct Reserved {
    by_id: BTreeMap<NodeId, Reservation>,
    deadlines: Deadlines<NodeId>,
}

#[derive(Debug)]
struct Reservation {
    /// Where the application says that it is.
    at: Option<SocketAddr>,
    /// Dials in a row that failed.
    failures: u32,
    /// Who answered last instead, and where: perhaps its successor, who says so once it is linked.
    found: Option<(NodeId, SocketAddr)>,
}

impl Reserved {
    pub(super) fn has_room_for(&self, peer: &NodeId) -> bool {
        self.by_id.len() < MAX_RESERVED || self.by_id.contains_key(peer)
    }

    /// A reservation that there is already gets the new address.
    pub(super) fn insert(&mut self, peer: NodeId, at: Option<SocketAddr>) {
        self.by_id.insert(peer, Reservation { at, failures: 0, found: None });
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, peer: &NodeId) -> bool {
        self.deadlines.clear(*peer);
        self.by_id.remove(peer).is_some()
    }

    pub(super) fn contains(&self, peer: &NodeId) -> bool {
        self.by_id.contains_key(peer)
    }

    /// Where the application says that it is.
    pub(super) fn address_of(&self, peer: &NodeId) -> Option<SocketAddr> {
        self.by_id.get(peer)?.at
    }

    /// Dials all that are not linked as soon as possible.
    pub(super) fn hurry(&mut self, now: Instant) {
        for peer in self.by_id.keys() {
            self.deadlines.set(*peer, now);
        }
    }

    pub(super) fn handle_peer_up(&mut self, peer: NodeId) {
        if let Some(reservation) = self.by_id.get_mut(&peer) {
            reservation.failures = 0;
            self.deadlines.clear(peer);
        }
    }

    /// A link is gone; another peer would be left alone for `pause`.
    pub(super) fn handle_peer_down(&mut self, peer: NodeId, pause: Duration, turn: &mut Turn<'_>) {
        if self.contains(&peer) {
            let wait = turn.rng.jitter(pause).min(RESERVED_LONGEST);
            self.deadlines.set(peer, turn.now.mono + wait);
        }
    }

    /// A dial is over, whoever wanted it.
    pub(super) fn handle_dial_ended(
        &mut self,
        dial: &DialRequest,
        outcome: &DialOutcome,
        turn: &mut Turn<'_>,
    ) {
        let Expect::Node(peer) = dial.expect else { return };
        let DialOutcome::Failed(failure) = outcome else { return };
        if dial.purpose == Purpose::Connect
            && let Some(reservation) = self.by_id.get_mut(&peer)
        {
            reservation.found = match failure {
                DialFailure::Handshake(HandshakeFailure::WrongNode { found }) => {
                    Some((*found, dial.to))
                }
                _ => None,
            };
            reservation.failures = reservation.failures.saturating_add(1);
            let wait = backoff(turn.rng, reservation.failures, RESERVED_LONGEST);
            self.deadlines.set(peer, turn.now.mono + wait);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// Dials who is due.
    pub(super) fn handle_timeout(
        &mut self,
        book: &AddressBook,
        links: &ConnectedPeers,
        dialer: &mut Dialer,
        turn: &mut Turn<'_>,
    ) {
        while let Some(peer) = self.deadlines.pop_due(turn.now.mono) {
            let Some(reservation) = self.by_id.get_mut(&peer) else { continue };
            if links.contains(&peer) {
                continue;
            }
            let entry = book.get(&peer);
            let known = entry.and_then(AddressEntry::address);
            let places = [reservation.at, known];
            let turns = usize::from(!reservation.failures.is_multiple_of(2));
            let found = reservation.found.take().filter(|(who, _)| !dialer.is_taken(who, links));
            let to = found.map(|(_, at)| at).or(places[turns]).or(places[1 - turns]);
            let is_dialled = to.is_some_and(|to| {
                let noise_static = entry.map(|entry| entry.known.record.content().noise_static);
                let expect = Expect::Node(found.map_or(peer, |(found, _)| found));
                let purpose = Purpose::Connect;
                let request = DialRequest { to, expect, noise_static, purpose };
                !dialer.is_taken(&peer, links) && dialer.dial(request, DialReason::Reserved, turn)
            });
            // Whatever became of it: who is not linked is looked at again.
            let wait = if is_dialled || to.is_none() { RESERVED_LONGEST } else { REDIAL_FIRST };
            self.deadlines.set(peer, turn.now.mono + wait);
        }
    }
}

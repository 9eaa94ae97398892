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
    handshake::Expect,
    id::NodeId,
    limits::{MAX_RESERVED, REDIAL_FIRST, RESERVED_LONGEST},
    session::sessions::{DialOutcome, DialRequest, Purpose},
    time::{Duration, Instant},
};

/// The reservations, [`MAX_RESERVED`] at most.
///
/// Each peer that is not linked has a deadline, never further away than [`RESERVED_LONGEST`], at
/// which it is dialled: where the application says that it is, and where the book does, in turns.
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
}

impl Reserved {
    pub(super) fn has_room_for(&self, peer: &NodeId) -> bool {
        self.by_id.len() < MAX_RESERVED || self.by_id.contains_key(peer)
    }

    /// A reservation that there is already gets the new address.
    pub(super) fn insert(&mut self, peer: NodeId, at: Option<SocketAddr>) {
        self.by_id.insert(peer, Reservation { at, failures: 0 });
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, peer: &NodeId) -> bool {
        self.deadlines.clear(*peer);
        self.by_id.remove(peer).is_some()
    }

    pub(super) fn contains(&self, peer: &NodeId) -> bool {
        self.by_id.contains_key(peer)
    }

    /// Where they are, as far as the application says.
    pub(super) fn places(&self) -> impl Iterator<Item = SocketAddr> {
        self.by_id.values().filter_map(|reservation| reservation.at)
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
        let is_failed = matches!(outcome, DialOutcome::Failed(_));
        if is_failed
            && dial.purpose == Purpose::Connect
            && let Some(reservation) = self.by_id.get_mut(&peer)
        {
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
            let Some(reservation) = self.by_id.get(&peer) else { continue };
            if links.contains(&peer) {
                continue;
            }
            let entry = book.get(&peer);
            let known = entry.and_then(AddressEntry::address);
            let places = [reservation.at, known];
            let turns = usize::from(!reservation.failures.is_multiple_of(2));
            let to = places[turns].or(places[1 - turns]);
            let is_dialled = to.is_some_and(|to| {
                let noise_static = entry.map(|entry| entry.known.record.content().noise_static);
                let (expect, purpose) = (Expect::Node(peer), Purpose::Connect);
                let request = DialRequest { to, expect, noise_static, purpose };
                !dialer.is_taken(&peer, links) && dialer.dial(request, DialReason::Reserved, turn)
            });
            // Whatever became of it: who is not linked is looked at again.
            let wait = if is_dialled || to.is_none() { RESERVED_LONGEST } else { REDIAL_FIRST };
            self.deadlines.set(peer, turn.now.mono + wait);
        }
    }
}

//! Round trips that the application wants to know: who is asked, and what comes of it.

use super::{
    Event, NodeCore, Outcome, Refused,
    pings::{PingDue, RoundTrip},
};
use crate::{
    id::{NodeId, Ticket},
    time::{Duration, Now},
};

/// A node, while it is asked for round trips.
pub(super) struct Pinging<'a>(pub(super) &'a mut NodeCore);

impl Pinging<'_> {
    /// Asks a linked peer.
    pub(super) fn ping(&mut self, now: Now, peer: NodeId) -> Result<Ticket, Refused> {
        if peer == self.0.id() {
            return Err(Refused::AgainstOurselves);
        }
        if !self.0.sessions.is_up(&peer) {
            return Err(Refused::NotConnected(peer));
        }
        let ticket = self.0.publisher.ticket();
        if !self.0.pings.want(now.mono, peer, ticket) {
            return Err(Refused::TooManyPings);
        }
        self.handle_timeout(now);
        Ok(ticket)
    }

    /// A peer answered a PING.
    pub(super) fn handle_rtt(&mut self, now: Now, peer: NodeId, rtt: Duration) {
        let tickets = self.0.pings.take(now.mono, &peer);
        let session = self.0.sessions.views().find(|session| session.peer.id == peer);
        let Some(session) = session.filter(|_| !tickets.is_empty()) else { return };
        let place = self.0.relays.place_of(session.peer.addr);
        let trip = RoundTrip { rtt, place, transport: session.transport };
        for ticket in tickets {
            self.0.emit(Event::Completed { ticket, outcome: Outcome::Pong(trip) });
        }
    }

    /// A session goes on over another link: what was asked over the one before may be lost.
    pub(super) fn handle_moved(&mut self, now: Now, peer: NodeId) {
        if self.0.pings.is_asked(&peer) {
            self.0.sessions.ping(now, &peer);
        }
    }

    /// A session is over.
    pub(super) fn peer_down(&mut self, peer: NodeId) {
        for ticket in self.0.pings.give_up(&peer) {
            self.refuse(ticket, Refused::NotConnected(peer));
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        while let Some(due) = self.0.pings.pop_due(now.mono) {
            match due {
                PingDue::Ask(peer) => self.0.sessions.ping(now, &peer),
                PingDue::GivenUp(peer, tickets) => {
                    for ticket in tickets {
                        self.refuse(ticket, Refused::NoPong(peer));
                    }
                }
            }
        }
    }

    fn refuse(&mut self, ticket: Ticket, refused: Refused) {
        self.0.emit(Event::Completed { ticket, outcome: Outcome::Refused(refused) });
    }
}

//! Round trips that the application wants to know: who waits for which.

use std::collections::BTreeMap;

use crate::{
    deadlines::Deadlines,
    id::{NodeId, Ticket},
    limits::{MAX_PINGS, PING_PACE, PING_WAIT},
    relay::PeerPlace,
    session::sessions::LinkKind,
    time::{Duration, Instant},
};

/// How long a PING and its PONG took `[PROTOCOL 5.4]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// From when it was written to when the answer was read.
    pub rtt: Duration,
    /// Where the peer is.
    pub place: PeerPlace,
    /// What its link is made of.
    pub transport: LinkKind,
}

/// PINGs of the application: one to a peer at a time, for all who want it, and the next one
/// [`PING_PACE`] after its answer. It is given up after [`PING_WAIT`]. At most [`MAX_PINGS`] wait.
#[derive(Debug)]
pub(super) struct Pings {
    by_peer: BTreeMap<NodeId, Pinged>,
    deadlines: Deadlines<NodeId>,
}

#[derive(Debug)]
struct Pinged {
    tickets: Vec<Ticket>,
    is_asked: bool,
}

/// What is due at a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PingDue {
    /// To ask it.
    Ask(NodeId),
    /// To tell these that it did not answer.
    GivenUp(NodeId, Vec<Ticket>),
}

impl Pings {
    /// Nobody waits.
    pub(super) fn new() -> Self {
        Self { by_peer: BTreeMap::new(), deadlines: Deadlines::new() }
    }

    /// Somebody wants to know; whether there is room.
    pub(super) fn want(&mut self, now: Instant, peer: NodeId, ticket: Ticket) -> bool {
        if self.by_peer.values().map(|pinged| pinged.tickets.len()).sum::<usize>() >= MAX_PINGS {
            return false;
        }
        let pinged = self.by_peer.entry(peer).or_insert_with(|| {
            self.deadlines.set(peer, now);
            Pinged { tickets: Vec::new(), is_asked: false }
        });
        pinged.tickets.push(ticket);
        true
    }

    /// The peer answered, whoever asked: who waited for it.
    pub(super) fn take(&mut self, now: Instant, peer: &NodeId) -> Vec<Ticket> {
        let Some(pinged) = self.by_peer.get_mut(peer).filter(|pinged| pinged.is_asked) else {
            return Vec::new();
        };
        pinged.is_asked = false;
        self.deadlines.set(*peer, now + PING_PACE);
        core::mem::take(&mut pinged.tickets)
    }

    /// Nothing is waited for any more: who did.
    pub(super) fn give_up_all(&mut self) -> Vec<Ticket> {
        let peers: Vec<NodeId> = self.by_peer.keys().copied().collect();
        peers.iter().flat_map(|peer| self.give_up(peer)).collect()
    }

    /// The same of one peer.
    pub(super) fn give_up(&mut self, peer: &NodeId) -> Vec<Ticket> {
        self.deadlines.clear(*peer);
        self.by_peer.remove(peer).map_or_else(Vec::new, |pinged| pinged.tickets)
    }

    /// Whether its answer is waited for.
    pub(super) fn is_asked(&self, peer: &NodeId) -> bool {
        self.by_peer.get(peer).is_some_and(|pinged| pinged.is_asked)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<PingDue> {
        while let Some(peer) = self.deadlines.pop_due(now) {
            let Some(pinged) = self.by_peer.get_mut(&peer) else { continue };
            if pinged.is_asked || pinged.tickets.is_empty() {
                let tickets = self.give_up(&peer);
                if !tickets.is_empty() {
                    return Some(PingDue::GivenUp(peer, tickets));
                }
            } else {
                pinged.is_asked = true;
                self.deadlines.set(peer, now + PING_WAIT);
                return Some(PingDue::Ask(peer));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: NodeId = NodeId::from_bytes([1; 32]);

    #[test]
    fn one_question_serves_all_who_wait_and_the_next_one_leaves_a_while_after_its_answer() {
        let (mut pings, mut now) = (Pings::new(), Instant::ORIGIN);
        assert!(pings.want(now, PEER, Ticket(1)));
        assert_eq!(pings.pop_due(now), Some(PingDue::Ask(PEER)));
        assert!(pings.want(now, PEER, Ticket(2)));
        assert_eq!(pings.pop_due(now), None, "it is under way");
        assert_eq!(pings.take(now, &PEER), [Ticket(1), Ticket(2)]);
        assert_eq!(pings.take(now, &PEER), [], "an answer to nobody");
        assert!(pings.want(now, PEER, Ticket(3)));
        assert_eq!(pings.pop_due(now), None, "too soon");
        now = pings.poll_timeout().unwrap();
        assert_eq!(now, Instant::ORIGIN + PING_PACE);
        assert_eq!(pings.pop_due(now), Some(PingDue::Ask(PEER)));
        now = pings.poll_timeout().unwrap();
        assert_eq!(pings.pop_due(now), Some(PingDue::GivenUp(PEER, vec![Ticket(3)])));
        assert_eq!((pings.poll_timeout(), pings.by_peer.len()), (None, 0));
    }

    #[test]
    fn so_many_are_waited_for_and_nothing_is_kept_of_who_was_answered() {
        let (mut pings, now) = (Pings::new(), Instant::ORIGIN);
        for n in 0..MAX_PINGS {
            assert!(pings.want(now, PEER, Ticket(n as u64)));
        }
        assert!(!pings.want(now, PEER, Ticket(9_999)));
        assert_eq!(pings.pop_due(now), Some(PingDue::Ask(PEER)));
        assert_eq!(pings.take(now, &PEER).len(), MAX_PINGS);
        assert_eq!(pings.pop_due(now + PING_PACE), None);
        assert_eq!((pings.poll_timeout(), pings.by_peer.len()), (None, 0));
    }
}

//! Links that the application asked for.

use std::collections::BTreeMap;

use crate::{
    deadlines::Deadlines,
    id::{NodeId, Ticket},
    limits::{LINK_AGAIN, LINK_WAIT, MAX_LINK_WISHES},
    time::Instant,
};

/// Who waits for a link to whom. A node that does not answer at once is tried again every
/// [`LINK_AGAIN`], and given up after [`LINK_WAIT`]. At most [`MAX_LINK_WISHES`].
#[derive(Debug)]
pub(super) struct WantedLinks {
    waiting: BTreeMap<Ticket, PendingLink>,
    deadlines: Deadlines<Ticket>,
}

#[derive(Clone, Copy, Debug)]
struct PendingLink {
    peer: NodeId,
    until: Instant,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkDue {
    /// To try it again.
    Again(NodeId),
    /// To tell that there is none.
    GivenUp(Ticket, NodeId),
}

impl WantedLinks {
    /// Nobody waits.
    pub(super) fn new() -> Self {
        Self { waiting: BTreeMap::new(), deadlines: Deadlines::new() }
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_LINK_WISHES
    }

    /// A link to this node is waited for, and tried.
    pub(super) fn wait(&mut self, now: Instant, ticket: Ticket, peer: NodeId) {
        self.waiting.insert(ticket, PendingLink { peer, until: now + LINK_WAIT });
        self.deadlines.set(ticket, now + LINK_AGAIN);
    }

    /// It is not waited for any more.
    pub(super) fn cancel(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
        self.deadlines.clear(ticket);
    }

    /// There is one: who waited for it.
    pub(super) fn take(&mut self, peer: &NodeId) -> Vec<Ticket> {
        let of_it = self.waiting.iter().filter(|(_, pending)| pending.peer == *peer);
        let tickets: Vec<Ticket> = of_it.map(|(ticket, _)| *ticket).collect();
        tickets.iter().for_each(|ticket| self.cancel(*ticket));
        tickets
    }

    /// Nothing is waited for any more: who did.
    pub(super) fn give_up_all(&mut self) -> Vec<Ticket> {
        let tickets: Vec<Ticket> = self.waiting.keys().copied().collect();
        tickets.iter().for_each(|ticket| self.cancel(*ticket));
        tickets
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// The next thing that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<LinkDue> {
        let ticket = self.deadlines.pop_due(now)?;
        let PendingLink { peer, until } = *self.waiting.get(&ticket)?;
        if until <= now {
            self.waiting.remove(&ticket);
            return Some(LinkDue::GivenUp(ticket, peer));
        }
        self.deadlines.set(ticket, until.min(now + LINK_AGAIN));
        Some(LinkDue::Again(peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    #[test]
    fn a_link_is_tried_again_until_it_is_there_or_given_up() {
        let (mut links, mut now) = (WantedLinks::new(), Instant::ORIGIN);
        links.wait(now, Ticket(1), node(1));
        links.wait(now, Ticket(2), node(2));
        assert_eq!(links.pop_due(now), None);
        assert_eq!(links.take(&node(2)), [Ticket(2)]);
        let mut again = 0;
        loop {
            now = links.poll_timeout().expect("one is waited for");
            match links.pop_due(now) {
                Some(LinkDue::Again(peer)) => again += usize::from(peer == node(1)),
                due => {
                    assert_eq!(due, Some(LinkDue::GivenUp(Ticket(1), node(1))));
                    break;
                }
            }
        }
        assert_eq!((again, now), (4, Instant::ORIGIN + LINK_WAIT));
        assert_eq!(links.poll_timeout(), None);
    }

    #[test]
    fn so_many_are_waited_for_and_no_more() {
        let mut links = WantedLinks::new();
        for n in 0..MAX_LINK_WISHES {
            assert!(links.has_room());
            links.wait(Instant::ORIGIN, Ticket(n as u64), node(1));
        }
        assert!(!links.has_room());
        links.cancel(Ticket(0));
        assert!(links.has_room());
        assert_eq!(links.give_up_all().len(), MAX_LINK_WISHES - 1);
        assert_eq!(links.poll_timeout(), None);
    }
}

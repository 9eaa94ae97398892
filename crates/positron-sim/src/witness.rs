//! What really happens in a world, for whoever watches it. Watching changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use positron_proto::{
    id::{MessageId, NodeId},
    node::{Event, HandedOver, Outcome, SequenceKind},
    time::Instant,
};

use crate::hosts::News;

/// Something that a witness of a world sees. Nodes are named by their place in the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A process runs on this node now.
    Up(usize),
    /// None does any more, or does not until it is started again.
    Down(usize),
    /// Both nodes hold a session with each other now.
    Linked(usize, usize),
    /// One of them does not any more.
    Cut(usize, usize),
    /// A node has a broadcast that it did not have.
    Has {
        /// Which.
        message: MessageId,
        /// Who has it.
        node: usize,
        /// Who brought it first; `None`: it is the node's own, and on its disk.
        from: Option<usize>,
    },
    /// The same, and it was brought by a guest.
    HasFromGuest {
        /// Which.
        message: MessageId,
        /// Who has it.
        node: usize,
    },
    /// The application of this node is told that somebody signed two contents under one number.
    Equivocated(usize),
}

/// Is told everything, in the order in which it happens at each node; between nodes the order is
/// that of time but for less than the shortest delay between two of them.
pub type Witness = Box<dyn FnMut(Instant, Seen) + Send>;

/// Tells a witness the truth about the nodes of a scenario.
pub(crate) struct Watched {
    witness: Witness,
    /// Hosts beyond are guests or have the key of another one.
    nodes: usize,
    /// Under each key that it ever had.
    places: BTreeMap<NodeId, usize>,
    /// Who holds a session with whom.
    sessions: BTreeSet<(usize, usize)>,
}

impl Watched {
    /// Of so many nodes, none of which has started.
    pub(crate) const fn new(witness: Witness, nodes: usize) -> Self {
        Self { witness, nodes, places: BTreeMap::new(), sessions: BTreeSet::new() }
    }

    /// A process starts.
    pub(crate) fn handle_start(&mut self, host: usize, id: NodeId, now: Instant) {
        if host < self.nodes {
            self.places.insert(id, host);
            (self.witness)(now, Seen::Up(host));
        }
    }

    /// A process is no more, and so are its sessions.
    pub(crate) fn handle_end(&mut self, host: usize, now: Instant) {
        if host >= self.nodes {
            return;
        }
        let held = self.sessions.range((host, 0)..=(host, usize::MAX)).copied();
        for session in held.collect::<Vec<_>>() {
            self.end(session, now);
        }
        (self.witness)(now, Seen::Down(host));
    }

    /// What the world hears.
    pub(crate) fn handle_news(&mut self, news: &News) {
        match news {
            News::Exited { host, at } => self.handle_end(*host, *at),
            News::Heard { host, at, event } if *host < self.nodes => self.hear(*host, *at, event),
            News::Heard { .. } => {}
        }
    }

    fn hear(&mut self, host: usize, now: Instant, event: &Event) {
        let place = |id: &NodeId| self.places.get(id).copied();
        match event {
            Event::PeerJoined { peer, .. } => {
                if let Some(other) = place(peer)
                    && self.sessions.insert((host, other))
                    && self.sessions.contains(&(other, host))
                {
                    (self.witness)(now, Seen::Linked(host, other));
                }
            }
            Event::PeerLeft { peer, .. } => {
                if let Some(other) = place(peer) {
                    self.end((host, other), now);
                }
            }
            Event::Message(HandedOver { id, from, kind: SequenceKind::Broadcast, .. }) => {
                let (message, node) = (*id, host);
                let from_guest = Seen::HasFromGuest { message, node };
                let has = |from| Seen::Has { message, node, from: Some(from) };
                (self.witness)(now, place(from).map_or(from_guest, has));
            }
            Event::Completed { outcome: Outcome::Durable(message), .. } => {
                let has = Seen::Has { message: *message, node: host, from: None };
                (self.witness)(now, has);
            }
            Event::Equivocated { .. } => (self.witness)(now, Seen::Equivocated(host)),
            _ => {}
        }
    }

    fn end(&mut self, session: (usize, usize), now: Instant) {
        let (host, other) = session;
        if self.sessions.remove(&session) && self.sessions.contains(&(other, host)) {
            (self.witness)(now, Seen::Cut(host, other));
        }
    }
}

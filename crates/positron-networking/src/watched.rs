//! What is told of a node to who watches it.

use positron_proto::node::readiness::{Readiness, Surroundings};

use crate::{
    metrics::{ByPeer, NodeNumbers, Numbers, SocketNumbers},
    node::Inner,
};

impl Inner {
    /// What is right with the node, and what is missing.
    pub(crate) fn readiness(&self) -> Readiness {
        let published = self.shown.look();
        let around = Surroundings {
            is_bound: !self.orders.is_closed(),
            wall: self.clock.now().wall,
            age: published.at.elapsed(),
        };
        Readiness::of(&published.view, around)
    }
}

impl Numbers for Inner {
    fn numbers(&self, detail: ByPeer) -> NodeNumbers {
        // Before what it borrows is borrowed here.
        let ready = (&self.readiness()).into();
        let published = self.shown.look();
        let (unsent_too_large, unsent) = published.unsent;
        let uptime = self.clock.uptime().as_secs();
        let sockets = SocketNumbers { uptime, unsent, unsent_too_large };
        NodeNumbers::new(&published.view, sockets, ready, self.hub.application(), detail)
    }
}

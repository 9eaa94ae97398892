//! What is seen of others, on its way to trust.

use std::net::SocketAddr;

use super::{Event, NodeCore};
use crate::{
    id::NodeId,
    misbehavior::{Misbehavior, Observation},
    time::Now,
};

/// A node, while it judges somebody.
pub(super) struct Judging<'a>(pub(super) &'a mut NodeCore);

impl Judging<'_> {
    /// Something was seen of `node`. Of a key that we never had to do with nothing is written down.
    pub(super) fn observe(&mut self, now: Now, node: NodeId, what: Observation) {
        let NodeCore { peers, trust, queues, .. } = &mut *self.0;
        if peers.is_acquainted(now.mono, &node) {
            trust.observe(now, node, what, &mut queues.trust);
        } else {
            trust.observe_stranger(now, node, what, &mut queues.trust);
        }
    }

    /// `node` did something that no honest node does, or does seldom.
    pub(super) fn observe_misbehavior(&mut self, now: Now, node: NodeId, what: Misbehavior) {
        self.observe(now, node, Observation::Misbehaved(what));
    }

    /// There is a sign that the key of `node` is used elsewhere too.
    pub(super) fn handle_used_twice(&mut self, now: Now, node: NodeId, addresses: Vec<SocketAddr>) {
        self.0.counters.used_twice_signs += 1;
        if let Some(told) = self.0.identity_use.handle_sign(now.mono, node, addresses) {
            self.0.emit(Event::UsedTwice(told));
        }
    }
}

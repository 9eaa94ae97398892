//! What is seen of others, on its way to trust.

use super::NodeCore;
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
}

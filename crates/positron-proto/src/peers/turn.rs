//! What one call of the room lends to its machines.

use std::collections::VecDeque;

use super::{PeersCounters, PeersEffect};
use crate::{
    id::NodeId,
    misbehavior::{Misbehavior, Observation},
    rng::Rng,
    time::Now,
};

/// Dice and counters of the whole room.
#[derive(Debug)]
pub(super) struct Shared {
    pub rng: Rng,
    pub counters: PeersCounters,
}

/// Time, dice, counters, and the way out: lent for one call, kept by nobody.
pub(super) struct Turn<'a> {
    pub now: Now,
    pub rng: &'a mut Rng,
    pub counters: &'a mut PeersCounters,
    pub out: &'a mut VecDeque<PeersEffect>,
}

impl Shared {
    pub(super) fn new(rng: Rng) -> Self {
        Self { rng, counters: PeersCounters::default() }
    }

    pub(super) fn turn<'a>(&'a mut self, now: Now, out: &'a mut VecDeque<PeersEffect>) -> Turn<'a> {
        Turn { now, rng: &mut self.rng, counters: &mut self.counters, out }
    }
}

impl Turn<'_> {
    pub(super) fn push(&mut self, effect: PeersEffect) {
        self.out.push_back(effect);
    }

    pub(super) fn observe(&mut self, peer: NodeId, what: Observation) {
        self.push(PeersEffect::Observed { peer, what });
    }

    pub(super) fn blame(&mut self, peer: NodeId, what: Misbehavior) {
        self.observe(peer, Observation::Misbehaved(what));
    }
}

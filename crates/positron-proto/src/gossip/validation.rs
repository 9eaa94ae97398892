//! What the application says of messages before anybody else hears of them.

use std::collections::{BTreeSet, VecDeque};

use super::{
    Gossip, GossipEffect, ValidationId, Validity, message_key::MessageKey, telling::trace_dropped,
    unvalidated::Unjudged,
};
use crate::{
    id::NodeId,
    identity::Verified,
    journey::DropReason,
    limits::{LARGE_GOSSIP, VALIDATION_TIMEOUT},
    misbehavior::Observation,
    standings::TrustTable,
    time::Now,
    wire::message::AppMessage,
};

/// Gossip, for the application that says which broadcasts are valid.
#[derive(Debug)]
pub struct Validating<'a>(pub(super) &'a mut Gossip);

impl Validating<'_> {
    /// Asks the application about a genuine message, if it wants to be asked. Returns one about
    /// which there is nothing to ask: our own, or the second of two contents, which is a proof
    /// whatever it says.
    pub(super) fn begin(
        &mut self,
        now: Now,
        (from, ttl): (NodeId, u8),
        message: Verified<AppMessage>,
        out: &mut VecDeque<GossipEffect>,
    ) -> Option<Verified<AppMessage>> {
        let item = MessageKey::of(message.content());
        let Gossip { config, store, me, unvalidated, .. } = &mut *self.0;
        if !config.validates || item.sender == *me || store.is_known(&item) {
            return Some(message);
        }
        let until = now.mono + VALIDATION_TIMEOUT;
        let id = unvalidated.push(Unjudged { message: message.clone(), from, ttl, until });
        out.push_back(GossipEffect::Validate { id, message, from });
        None
    }

    /// The application says whether a message is valid; nothing happens if it took too long.
    pub fn handle_validity(
        &mut self,
        now: Now,
        id: ValidationId,
        validity: Validity,
        standings: &TrustTable,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let Some(Unjudged { message, from, ttl, .. }) = self.0.unvalidated.take(id) else { return };
        // Where another content of its number was accepted meanwhile, it is a proof.
        let is_proof = self.0.store.get(&MessageKey::of(message.content())).is_some();
        match if is_proof { Validity::Accept } else { validity } {
            Validity::Accept => self.0.take(now, from, ttl, message, standings, out),
            Validity::Ignore => {
                let bringers = self.refuse(from, &message, out);
                self.follow(now, (from, ttl), bringers, &message, out);
            }
            Validity::Reject => {
                let what = Observation::Reported;
                let MessageKey { sender, .. } = MessageKey::of(message.content());
                let to_blame = self.refuse(from, &message, out).into_iter().chain([sender]);
                for peer in to_blame.collect::<BTreeSet<_>>() {
                    out.push_back(GossipEffect::Observed { peer, what });
                }
            }
        }
    }

    /// It is not asked for, nor taken, again. Returns who brought it.
    fn refuse(
        &mut self,
        from: NodeId,
        message: &Verified<AppMessage>,
        out: &mut VecDeque<GossipEffect>,
    ) -> Vec<NodeId> {
        let item = MessageKey::of(message.content());
        let check = self.0.checks.take(&item, message.claim());
        let bringers = check.map_or_else(|| vec![from], |check| check.from);
        self.0.counters.refused += 1;
        self.0.wanted.end(&item);
        self.0.store.refuse(item);
        trace_dropped(item, Some(message.id()), from, DropReason::NotAccepted, out);
        self.0.acknowledge(item, message.content().payload.len(), out);
        bringers
    }

    /// Where others pass on what is ignored here, and shape their tree by it, this node has its
    /// place in that tree, as a leaf: whoever pruned nobody would be pushed everything over all
    /// links. What is rejected shapes nothing.
    fn follow(
        &mut self,
        now: Now,
        (from, ttl): (NodeId, u8),
        bringers: Vec<NodeId>,
        message: &Verified<AppMessage>,
        out: &mut VecDeque<GossipEffect>,
    ) {
        let item = MessageKey::of(message.content());
        let is_large = message.content().payload.len() >= LARGE_GOSSIP;
        if !is_large && self.0.eager_push().shape(now, item, ttl, message.id()) {
            let others = bringers.into_iter().filter(|peer| *peer != from);
            self.0.tree_links().handle_bringers(from, others, out);
        }
    }

    /// What the application said nothing about for too long is asked for, and about, again.
    pub(super) fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<GossipEffect>) {
        while let Some(Unjudged { message, from, .. }) = self.0.unvalidated.pop_due(now.mono) {
            self.0.handle_unchecked(now, from, message.claim(), out);
        }
    }
}

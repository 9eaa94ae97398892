//! The eager half of the machine: pushes.

use std::collections::VecDeque;

use super::{
    Gossip, GossipEffect, GossipMessage, SHAPES, announcements::Unannounced,
    message_key::MessageKey, peer_state::places, push_tree::Rumour, telling::trace,
};
use crate::{
    id::{MessageId, NodeId},
    identity::Verified,
    journey::{Forwarding, JourneyStep},
    limits::{LARGE_GOSSIP, MAX_TTL, SHAPE_INTERVAL},
    standings::TrustTable,
    time::Now,
    wire::message::AppMessage,
};

/// Gossip, while it pushes.
pub(super) struct EagerPush<'a>(pub(super) &'a mut Gossip);

impl EagerPush<'_> {
    /// Pushes a new message over the eager links while its hops last, over all if it shapes, and
    /// has the rest told of it; of a large one all are told at once. Returns whether it shapes.
    pub(super) fn push(
        &mut self,
        now: Now,
        rumour: Rumour,
        message: &Verified<AppMessage>,
        standings: Option<&TrustTable>,
        out: &mut VecDeque<GossipEffect>,
    ) -> bool {
        let Rumour { item, nth, ttl, has, besides } = rumour;
        let lacks = |peer: &&NodeId| {
            !has.contains(*peer)
                && standings.is_none_or(|standings| !standings.is_banned(peer, now.wall))
        };
        if message.content().payload.len() >= LARGE_GOSSIP {
            let others = self.0.links.keys().filter(lacks).copied().collect();
            self.0.tell_of_large(item, nth, message, others, out);
            return false;
        }
        let shapes = self.shape(now, item, ttl, message.id());
        let mut to = Vec::new();
        if let Some(hops) = (ttl & !SHAPES).min(MAX_TTL).checked_sub(1) {
            if shapes {
                to.extend(self.0.links.keys().filter(lacks));
            } else {
                to.extend(self.0.tree.eager().filter(lacks));
            }
            if !to.is_empty() {
                self.0.counters.eager_pushed += to.len() as u64;
                let step = JourneyStep::Forwarded { to: to.clone(), how: Forwarding::Push };
                trace(nth, step, out);
                let push = GossipMessage::Gossip(hops | ttl & SHAPES, message.claim().clone());
                out.push_back(GossipEffect::Send { to: to.clone(), message: push });
            }
        }
        let lacking = self.0.present.without(places(&self.0.links, has.iter().chain(&to)));
        let besides = places(&self.0.links, &besides);
        if !lacking.is_empty() || !besides.is_empty() {
            self.0.announcements.add(Unannounced { item, lacking, besides });
            self.0.announce_soon(now);
        }
        shapes
    }

    /// A message that is not large came first or is ours; returns whether it shapes the tree.
    pub(super) fn shape(&mut self, now: Now, item: MessageKey, ttl: u8, id: MessageId) -> bool {
        let shapes = ttl & SHAPES != 0 && {
            let stays = self.0.rng.duration(SHAPE_INTERVAL / 2..=2 * SHAPE_INTERVAL);
            self.0.tree.takes_shape(now.mono, item, id, stays)
        };
        if shapes {
            self.0.tree_links().handle_shape();
        } else {
            self.0.tree.handle_message();
        }
        shapes
    }
}

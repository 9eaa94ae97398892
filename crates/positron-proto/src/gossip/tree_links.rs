//! Links of the tree of pushes: begun, tried out, given up, and who announces beside them
//! `[PROTOCOL 6]`.

use std::collections::{BTreeMap, VecDeque};

use super::{
    GossipCounters, GossipEffect, GossipMessage, fetches::Wanted, message_key::MessageKey,
    peer_state::GossipPeer, push_tree::PushTree,
};
use crate::{
    id::NodeId,
    identity::Verified,
    limits::LARGE_GOSSIP,
    rng::Rng,
    time::{Instant, Now},
    wire::message::AppMessage,
};

/// What of gossip says which links are eager, which are lazy, and over which of the lazy ones
/// nothing is announced.
///
/// What is pushed along the tree is announced by `fanout` others, by chance of those that sent the
/// message that shaped it, near ones and far ones: one of them is asked for what did not come. More
/// would cost as many bytes again and save nothing, so the rest of those is asked not to announce,
/// until one of the others ends or pushes, or something was not pushed: where the tree is torn,
/// those few may be on the same side of it. Who sent nothing keeps nobody from announcing. Notes
/// are compared with all.
///
/// ```text
/// A <-> B  GRAFT       both push to each other
/// A <-> B  PRUNE       neither does
/// A  -> B  ANNOUNCE    where B does not push: tell me what is new, or do not
/// ```
///
/// The first two are about both ends, and may cross. The third one is one end's wish about the
/// other, lasts until it is told otherwise, and changes nothing about the tree.
pub(super) struct TreeLinks<'a> {
    /// Links that are tried out at once, and peers that announce at least.
    pub(super) fanout: usize,
    pub(super) tree: &'a mut PushTree,
    pub(super) links: &'a mut BTreeMap<NodeId, GossipPeer>,
    pub(super) wanted: &'a mut Wanted,
    pub(super) rng: &'a mut Rng,
    pub(super) counters: &'a mut GossipCounters,
}

impl TreeLinks<'_> {
    /// A message shapes the tree, and came from nobody yet.
    pub(super) fn handle_shape(&mut self) {
        self.links.values_mut().for_each(|link| link.shapes_sent <<= 1);
    }

    /// The message that shapes came from `first`, and then from the others.
    pub(super) fn handle_bringers(
        &mut self,
        first: NodeId,
        others: impl IntoIterator<Item = NodeId>,
        out: &mut VecDeque<GossipEffect>,
    ) {
        self.graft(first, out);
        others.into_iter().for_each(|other| self.prune(other, out));
    }

    /// A message that shapes came from `peer` first: both push to each other from now on, whatever
    /// the other one held the link for.
    fn graft(&mut self, peer: NodeId, out: &mut VecDeque<GossipEffect>) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.shapes_sent |= 1;
            self.tree.graft(peer);
            self.tell_grafted(peer, out);
        }
    }

    /// A link begins: once a message shaped the tree, it is tried out; before that it is as good as
    /// any.
    pub(super) fn graft_new(&mut self, peer: NodeId, out: &mut VecDeque<GossipEffect>) {
        if self.tree.is_shaped() {
            self.tree.try_out(peer);
        } else {
            self.tree.graft(peer);
        }
        self.tell_grafted(peer, out);
    }

    fn tell_grafted(&mut self, peer: NodeId, out: &mut VecDeque<GossipEffect>) {
        self.counters.links_grafted += 1;
        out.push_back(GossipEffect::Send { to: vec![peer], message: GossipMessage::Graft });
    }

    /// The other end grafted the link to `peer`, which may have announced until now.
    pub(super) fn handle_graft(
        &mut self,
        now: Now,
        peer: NodeId,
        out: &mut VecDeque<GossipEffect>,
    ) {
        if self.links.contains_key(&peer) {
            self.tree.handle_graft(now.mono, peer);
            self.handle_fewer(out);
        }
    }

    /// A message that shapes came again from `peer`: neither pushes to the other from now on,
    /// whatever the other one held the link for.
    fn prune(&mut self, peer: NodeId, out: &mut VecDeque<GossipEffect>) {
        self.tell_pruned(peer, out);
        if let Some(link) = self.links.get_mut(&peer) {
            link.shapes_sent |= 1;
        }
        let others = self.announcers().copied().filter(|other| *other != peer);
        let others: Vec<NodeId> = others.collect();
        let mut announces = others.len() < self.fanout;
        if !announces && self.rng.chance(0.5) {
            let instead = self.rng.choose(&others).copied();
            instead.into_iter().for_each(|other| self.tell_wish(other, false, out));
            announces = true;
        }
        // Told each time: what the other end holds may be of a session before.
        self.tell_wish(peer, announces, out);
    }

    fn tell_pruned(&mut self, peer: NodeId, out: &mut VecDeque<GossipEffect>) {
        self.tree.prune(&peer);
        out.push_back(GossipEffect::Send { to: vec![peer], message: GossipMessage::Prune });
    }

    fn tell_wish(&mut self, peer: NodeId, announces: bool, out: &mut VecDeque<GossipEffect>) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.announces = announces;
            let message = GossipMessage::Announce(announces);
            out.push_back(GossipEffect::Send { to: vec![peer], message });
        }
    }

    /// The other end pruned the link to `peer`.
    pub(super) fn handle_prune(&mut self, peer: &NodeId) {
        self.tree.prune(peer);
    }

    /// Peers over whose links nothing is pushed, or not for long, and that announce, as far as they
    /// said of late what they have.
    fn announcers(&self) -> impl Iterator<Item = &NodeId> {
        let all = self.links.iter().filter(|(_, link)| link.announces && link.shapes_sent > 0);
        let is_lazy = |peer: &&NodeId| !self.tree.is_eager(peer) || self.tree.is_on_trial(peer);
        all.map(|(peer, _)| peer).filter(is_lazy)
    }

    /// There may be fewer of them now: others announce instead.
    fn handle_fewer(&mut self, out: &mut VecDeque<GossipEffect>) {
        let missing = self.fanout.saturating_sub(self.announcers().count());
        (0..missing).for_each(|_| self.try_another(out));
    }

    /// One more announces, if any does not.
    fn try_another(&mut self, out: &mut VecDeque<GossipEffect>) {
        let hushed = self.links.iter().filter(|(_, link)| !link.announces);
        let hushed = hushed.map(|(peer, _)| *peer).filter(|peer| !self.tree.is_eager(peer));
        let hushed: Vec<NodeId> = hushed.collect();
        if let Some(&peer) = self.rng.choose(&hushed) {
            self.tell_wish(peer, true, out);
        }
    }

    /// The link to `peer` is gone. If it was eager, then, for all that is known, with it the way to
    /// everybody else.
    pub(super) fn peer_down(&mut self, peer: &NodeId, out: &mut VecDeque<GossipEffect>) {
        if self.tree.prune(peer) {
            let lazy = self.links.keys().filter(|peer| !self.tree.is_eager(peer));
            let lazy: Vec<NodeId> = lazy.copied().collect();
            if let Some(&peer) = self.rng.choose(&lazy) {
                self.tree.try_out(peer);
                self.tell_grafted(peer, out);
            }
        }
        self.handle_fewer(out);
    }

    /// `from` had to be asked for a message that was announced at `announced`, and `also` sent it,
    /// too. With `hops` it is new: others lack it as well.
    pub(super) fn handle_rescue(
        &mut self,
        now: Now,
        (message, hops): (&Verified<AppMessage>, u8),
        announced: Instant,
        (from, also): (NodeId, &[NodeId]),
        out: &mut VecDeque<GossipEffect>,
    ) {
        let is_large = message.content().payload.len() >= LARGE_GOSSIP;
        if is_large || !self.links.contains_key(&from) {
            return;
        }
        if hops == 0 {
            // Nobody told of it while it was new.
            self.try_another(out);
            return;
        }
        let item = MessageKey::of(message.content());
        if also.iter().any(|peer| self.tree.is_eager(peer)) {
            self.wanted.handle_late_push(now.mono.since(announced));
        } else if self.tree.handle_rescue(now.mono, item, announced, from, self.fanout) {
            self.tell_grafted(from, out);
            // The tree is torn, and whoever announces may be on this side of it.
            (0..self.fanout).for_each(|_| self.try_another(out));
        }
    }

    /// `item` is here, or refused, and came again, from `from`.
    pub(super) fn handle_repeat(
        &mut self,
        now: Now,
        from: NodeId,
        item: MessageKey,
        out: &mut VecDeque<GossipEffect>,
    ) {
        if !self.links.contains_key(&from) {
            return;
        }
        if let Some((whom, lag)) = self.tree.handle_repeat(now.mono, &item, from) {
            lag.into_iter().for_each(|lag| self.wanted.handle_late_push(lag));
            if self.tree.is_shaped_by(&item) {
                self.prune(whom, out);
            } else {
                self.tell_pruned(whom, out);
            }
        }
    }
}

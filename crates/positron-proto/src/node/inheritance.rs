//! What follows when a key gives way to another: trust, bans and reservations do.

use super::{Effect, Event, NodeCore, RoomName, judging::Judging, pending_verification::Claim};
use crate::{
    id::NodeId,
    identity::{Signed, Verdict, Verified},
    peers::PeersMessage,
    session::sessions::Peer,
    succession::{self, Acceptance, Succession, SuccessionEffect, SuccessionMessage, Tie},
    time::Now,
    wire::message::RoomMessage as _,
};

/// A node, while keys of others give way, or its own.
pub(super) struct Inheritance<'a>(pub(super) &'a mut NodeCore);

/// What a node is to us. A macro, because only the room that asks is borrowed otherwise.
macro_rules! tie {
    ($core:expr) => {{
        let (me, trust, peers) = ($core.me.node_id(), &$core.trust, &$core.peers);
        move |node: &NodeId| {
            if *node == me || peers.is_reserved(node) {
                Tie::Reserved
            } else if peers.has_met(node) || trust.standings().knows(node) {
                Tie::Known
            } else {
                Tie::None
            }
        }
    }};
}

impl Inheritance<'_> {
    /// What was learned before the start holds in every room.
    pub(super) fn begin(&mut self, now: Now) {
        for (old, new) in self.0.successions.pairs() {
            self.follow(now, old, new);
        }
    }

    pub(super) fn peer_up(&mut self, now: Now, peer: &Peer) {
        self.0.successions.peer_up(now, peer.id, &mut self.0.queues.succession);
    }

    /// A linked peer said something.
    pub(super) fn handle_message(&mut self, now: Now, from: NodeId, message: SuccessionMessage) {
        let (tie, out) = (tie!(self.0), &mut self.0.queues.succession);
        self.0.successions.handle_message(now, from, message, &tie, out);
    }

    /// A node that is about to refuse us said something.
    pub(super) fn handle_parting(&mut self, from: NodeId, message: SuccessionMessage) {
        let (tie, out) = (tie!(self.0), &mut self.0.queues.succession);
        self.0.successions.handle_parting(from, message, &tie, out);
    }

    /// What is said to a node whose key is retired before it is refused.
    pub(super) fn parting(&self, retired: &NodeId) -> SuccessionMessage {
        SuccessionMessage(self.0.successions.history(retired))
    }

    /// Records are said to a peer: it hears, too, whose place these nodes took.
    pub(super) fn telling(&mut self, now: Now, peer: NodeId, message: &PeersMessage) {
        let nodes = nodes_in(message);
        self.0.successions.tell_of(now, peer, nodes, &mut self.0.queues.succession);
    }

    /// A peer said records: it hears which of these keys gave way to others.
    pub(super) fn handle_records(&mut self, now: Now, peer: NodeId, message: &PeersMessage) {
        let standings = self.0.trust.standings();
        let retired = nodes_in(message).filter(|node| standings.is_retired(node));
        self.0.successions.tell_of(now, peer, retired, &mut self.0.queues.succession);
    }

    pub(super) fn handle_accepted(
        &mut self,
        from: NodeId,
        claim: Signed<Acceptance>,
        verdict: Verdict,
    ) {
        let out = &mut self.0.queues.succession;
        match claim.accept(verdict) {
            Some(accepted) => self.0.successions.handle_accepted(from, &accepted, out),
            None => self.0.successions.handle_refuted(from, out),
        }
    }

    pub(super) fn handle_verdict(
        &mut self,
        now: Now,
        from: NodeId,
        claim: Signed<Succession>,
        verdict: Verdict,
    ) {
        let (tie, out) = (tie!(self.0), &mut self.0.queues.succession);
        match claim.accept(verdict) {
            Some(proven) => self.0.successions.handle_verified(now, from, proven, &tie, out),
            None => self.0.successions.handle_refuted(from, out),
        }
    }

    pub(super) fn route(&mut self, now: Now, out: SuccessionEffect) {
        match out {
            SuccessionEffect::VerifyAcceptance { from, claim } => {
                self.0.verify(now, from, Claim::Acceptance(claim));
            }
            SuccessionEffect::Verify { from, claim } => {
                self.0.verify(now, from, Claim::Succession(claim));
            }
            SuccessionEffect::Send { to, message } => {
                let (lane, body) = (message.lane(), message.encode());
                let out = &mut self.0.queues.session;
                let sent = self.0.sessions.send(now, to, lane, body.into(), None, out);
                self.0.counters.note_said(RoomName::Succession, sent.is_ok());
                self.0.counters.sends_lost += u64::from(sent.is_err());
            }
            SuccessionEffect::Learned(succession) => self.learned(now, &succession),
            SuccessionEffect::Forget(old) => {
                self.0.persist(succession::change::forget(&old));
                self.0.trust.forget_succession(&old);
            }
            SuccessionEffect::Conflict { old, kept, refused } => {
                self.0.emit(Event::SuccessionConflict { old, kept, refused });
            }
            SuccessionEffect::Misbehaved { peer, what } => {
                Judging(self.0).observe_misbehavior(now, peer, what);
            }
        }
    }

    /// First it is kept, then what follows: a node that dies between the two begins with it.
    fn learned(&mut self, now: Now, succession: &Verified<Succession>) {
        let (old, new) = (succession.content().predecessor(), succession.content().successor());
        self.0.persist(succession::change::keep(succession));
        self.follow(now, old, new);
        self.0.emit(Event::PeerSucceeded { old, new });
    }

    fn follow(&mut self, now: Now, old: NodeId, new: NodeId) {
        let queues = &mut self.0.queues;
        self.0.trust.succeed(now, old, new, &mut queues.trust);
        let standings = self.0.trust.standings();
        self.0.peers.handle_succession(now, (old, new), standings, &mut queues.peers);
        if old == self.0.me.node_id() {
            let successor = standings.current(new);
            self.0.effects.push_back(Effect::Emit(Event::KeyRetired { successor }));
        }
    }
}

/// Whose records a message brings, beside that of its sender.
fn nodes_in(message: &PeersMessage) -> impl Iterator<Item = NodeId> {
    let records = match message {
        PeersMessage::Hello { peers, .. } | PeersMessage::Announcement(peers) => &peers[..],
        PeersMessage::Heartbeat(_)
        | PeersMessage::Discovery(_)
        | PeersMessage::ObservedAddress(_) => &[],
    };
    records.iter().map(|record| record.content().node_id())
}

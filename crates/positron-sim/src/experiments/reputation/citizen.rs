//! One node that means well, as far as trust goes.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use positron_proto::{
    id::NodeId,
    misbehavior::{Misbehavior, Observation},
    recommendation::{RecommendationEffect, RecommendationMessage, Recommendations},
    time::Now,
    trust::{Trust, TrustConfig},
    wire::message::{Envelope, RoomMessage as _},
};

/// The shipped [`Trust`] and the shipped [`Recommendations`] of one node, wired as a node wires
/// them. What it says leaves as bytes, and what it hears comes as bytes.
pub(super) struct Citizen {
    pub(super) id: NodeId,
    trust: Trust,
    recommendations: Recommendations,
    linked: BTreeSet<NodeId>,
}

/// Something that a citizen says.
pub(super) struct Letter {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) body: Bytes,
}

impl Citizen {
    /// It knows nobody.
    pub(super) fn new(id: NodeId, now: Now) -> Self {
        let trust = Trust::new(TrustConfig::default(), Vec::new(), now);
        Self { id, trust, recommendations: Recommendations::new(now), linked: BTreeSet::new() }
    }

    /// What decides whom to dial and to believe.
    pub(super) fn regard(&self, peer: &NodeId) -> f64 {
        self.trust.standings().regard(peer)
    }

    /// What was made of what it did.
    pub(super) fn score(&self, peer: &NodeId) -> f64 {
        self.trust.standings().of(peer).score
    }

    /// The score of somebody that nobody knows.
    pub(super) fn initial(&self, now: Now) -> f64 {
        self.trust.account(now, &self.id).initial
    }

    pub(super) fn is_banned(&self, now: Now, peer: &NodeId) -> bool {
        self.trust.standings().is_banned(peer, now.wall)
    }

    /// It was served by somebody: with what proved valid, or with what its application says is bad.
    pub(super) fn handle_service(&mut self, now: Now, by: NodeId, is_good: bool) {
        let what = if is_good { Observation::ValidMessage } else { Observation::Reported };
        self.observe(now, by, what);
    }

    /// Something was seen of somebody. Who is refused for it is linked no more.
    pub(super) fn observe(&mut self, now: Now, peer: NodeId, what: Observation) {
        let mut out = VecDeque::new();
        match what {
            Observation::Reported => self.trust.report(now, peer, "bad".into(), &mut out),
            _ => self.trust.observe(now, peer, what, &mut out),
        }
        if self.is_banned(now, &peer) {
            self.unlink(&peer);
        }
    }

    /// A session is up, if it was not already.
    pub(super) fn link(&mut self, peer: NodeId) {
        if self.linked.insert(peer) {
            self.recommendations.peer_up(peer);
        }
    }

    /// None is any more.
    pub(super) fn unlink(&mut self, peer: &NodeId) {
        if self.linked.remove(peer) {
            self.recommendations.peer_down(peer, &mut VecDeque::new());
        }
    }

    /// A linked peer says something about trust. What it is answered.
    pub(super) fn handle_bytes(&mut self, now: Now, from: NodeId, body: Bytes) -> Vec<Letter> {
        if !self.linked.contains(&from) {
            return Vec::new();
        }
        let read = Envelope::open(body).and_then(|message| message.read(self.id));
        let mut said = VecDeque::new();
        match read {
            Err(_) => self.observe(now, from, Observation::Misbehaved(Misbehavior::Malformed)),
            Ok(message) => {
                self.recommendations.handle_message(now, from, message, &mut said);
            }
        }
        self.settle(now, said)
    }

    /// Does what is due, and says what is to be said.
    pub(super) fn handle_timeout(&mut self, now: Now) -> Vec<Letter> {
        let mut said = VecDeque::new();
        self.trust.handle_timeout(now, &mut VecDeque::new());
        self.recommendations.handle_timeout(now, &mut said);
        self.settle(now, said)
    }

    fn settle(&mut self, now: Now, mut said: VecDeque<RecommendationEffect>) -> Vec<Letter> {
        let mut letters = Vec::new();
        while let Some(out) = said.pop_front() {
            match out {
                RecommendationEffect::Send { to, message } => {
                    letters.push(Letter { from: self.id, to, body: message.encode() });
                }
                RecommendationEffect::Answer { to, most } => {
                    let trusted = self.trust.recommended();
                    self.recommendations.answer((to, most), &trusted, &mut said);
                }
                RecommendationEffect::Heard { from, recommended } => {
                    self.trust.handle_recommended(now, from, &recommended);
                }
                RecommendationEffect::Share => {
                    let trusted = self.trust.recommended();
                    self.recommendations.share(now, &trusted, &mut said);
                }
                RecommendationEffect::Misbehaved { peer, what } => {
                    self.observe(now, peer, Observation::Misbehaved(what));
                }
                // Nobody asks.
                RecommendationEffect::Completed { .. } => {}
            }
        }
        letters
    }
}

/// The bytes that say that these are trusted as much as can be.
pub(super) fn praise(mut nodes: Vec<NodeId>) -> Bytes {
    nodes.sort_unstable();
    nodes.dedup();
    let word = |node| positron_proto::words::Recommendation { node, strength: u16::MAX };
    RecommendationMessage::Update(nodes.into_iter().map(word).collect()).encode()
}

//! The machine: telling, asking and being asked.

use std::collections::{BTreeMap, VecDeque};

use super::{NotRecommended, RecommendationCounters, RecommendationEffect, RecommendationMessage};
use crate::{
    allowance::Allowance,
    deadlines::Deadlines,
    id::{NodeId, Ticket},
    limits::{
        MAX_RECOMMENDATION_QUESTIONS, MAX_RECOMMENDED, RECOMMENDATION_BURST,
        RECOMMENDATION_INTERVAL, RECOMMENDATION_PACE, RECOMMENDATION_TIMEOUT,
    },
    misbehavior::Misbehavior,
    time::{Instant, Now},
    words::Recommendation,
};

/// Whom we trust, told to peers, and whom they trust, heard.
///
/// - Each [`ask`](Self::ask) that was taken ends with one [`RecommendationEffect::Completed`],
///   within [`RECOMMENDATION_TIMEOUT`]. An answer that comes later is heard all the same.
/// - A peer that says or asks more than [`RECOMMENDATION_BURST`] at once and then one in
///   [`RECOMMENDATION_PACE`] is not heard and pays for it, as does one that answers unasked. This
///   node says half as many at once, whatever its application wants: links delay, and what is
///   delayed comes together.
/// - Every [`RECOMMENDATION_INTERVAL`] there is a [`RecommendationEffect::Share`].
///
/// It keeps an entry for each linked peer, and [`MAX_RECOMMENDATION_QUESTIONS`] questions.
#[derive(Debug)]
pub struct Recommendations {
    peers: BTreeMap<NodeId, Linked>,
    /// Who is asked, and since when it is not answered.
    questions: BTreeMap<Ticket, NodeId>,
    deadlines: Deadlines<Wake>,
    counters: RecommendationCounters,
}

#[derive(Debug, Default)]
struct Linked {
    /// What it may say and ask.
    theirs: Allowance,
    /// What we may.
    ours: Allowance,
    /// Answers that it owes us.
    owes: u32,
}

impl Linked {
    fn may_hear(&mut self, now: Now) -> bool {
        self.ours.pay(now.mono, RECOMMENDATION_PACE, RECOMMENDATION_BURST / 2)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Share,
    Expire(Ticket),
}

impl Recommendations {
    /// Nobody is linked.
    pub fn new(now: Now) -> Self {
        let mut deadlines = Deadlines::new();
        deadlines.set(Wake::Share, now.mono + RECOMMENDATION_INTERVAL);
        Self {
            peers: BTreeMap::new(),
            questions: BTreeMap::new(),
            deadlines,
            counters: RecommendationCounters::default(),
        }
    }

    /// The application asks a linked peer whom it trusts.
    ///
    /// # Errors
    /// It is not linked, or too many questions are open, or it was asked and told too often of
    /// late. Nothing was sent.
    pub fn ask(
        &mut self,
        now: Now,
        peer: NodeId,
        ticket: Ticket,
        out: &mut VecDeque<RecommendationEffect>,
    ) -> Result<(), NotRecommended> {
        let linked = self.peers.get_mut(&peer).ok_or(NotRecommended::NotConnected)?;
        if self.questions.len() >= MAX_RECOMMENDATION_QUESTIONS {
            return Err(NotRecommended::TooManyQuestions);
        }
        // One answer is for all who wait for it.
        if !self.questions.values().any(|asked| *asked == peer) {
            if !linked.may_hear(now) {
                return Err(NotRecommended::TooOften);
            }
            linked.owes += 1;
            let message = RecommendationMessage::Request(MOST);
            out.push_back(RecommendationEffect::Send { to: peer, message });
        }
        self.questions.insert(ticket, peer);
        self.deadlines.set(Wake::Expire(ticket), now.mono + RECOMMENDATION_TIMEOUT);
        Ok(())
    }

    /// Tells all peers whom we trust, but for those that were told too often of late. To how many
    /// that is.
    pub fn share(
        &mut self,
        now: Now,
        recommended: &[Recommendation],
        out: &mut VecDeque<RecommendationEffect>,
    ) -> usize {
        let mut told = 0;
        for (&to, linked) in &mut self.peers {
            if !linked.may_hear(now) {
                continue;
            }
            let message = RecommendationMessage::Update(for_whom(to, recommended, usize::MAX));
            told += 1;
            out.push_back(RecommendationEffect::Send { to, message });
        }
        told
    }

    /// Answers [`RecommendationEffect::Answer`].
    pub fn answer(
        &mut self,
        (to, most): (NodeId, usize),
        recommended: &[Recommendation],
        out: &mut VecDeque<RecommendationEffect>,
    ) {
        let message = RecommendationMessage::Response(for_whom(to, recommended, most));
        out.push_back(RecommendationEffect::Send { to, message });
    }

    /// A linked peer said something.
    pub fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        message: RecommendationMessage,
        out: &mut VecDeque<RecommendationEffect>,
    ) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let is_answer = matches!(message, RecommendationMessage::Response(_));
        let wrong = if is_answer && peer.owes == 0 {
            Some(Misbehavior::ProtocolViolation)
        } else {
            let (pace, burst) = (RECOMMENDATION_PACE, RECOMMENDATION_BURST);
            let is_paid = is_answer || peer.theirs.pay(now.mono, pace, burst);
            (!is_paid).then_some(Misbehavior::Flooding)
        };
        if let Some(what) = wrong {
            self.counters.refused += 1;
            out.push_back(RecommendationEffect::Misbehaved { peer: from, what });
            return;
        }
        let recommended = match message {
            RecommendationMessage::Request(most) => {
                out.push_back(RecommendationEffect::Answer { to: from, most: most.into() });
                return;
            }
            RecommendationMessage::Update(recommended) => recommended,
            RecommendationMessage::Response(recommended) => {
                peer.owes -= 1;
                self.complete(&from, &Ok(recommended.clone()), out);
                recommended
            }
        };
        out.push_back(RecommendationEffect::Heard { from, recommended });
    }

    /// A session is up.
    pub fn peer_up(&mut self, peer: NodeId) {
        self.peers.insert(peer, Linked::default());
    }

    /// A session is down.
    pub fn peer_down(&mut self, peer: &NodeId, out: &mut VecDeque<RecommendationEffect>) {
        self.peers.remove(peer);
        self.complete(peer, &Err(NotRecommended::PeerGone), out);
    }

    /// The node stops.
    pub fn give_up_all(&mut self, out: &mut VecDeque<RecommendationEffect>) {
        for (ticket, _) in core::mem::take(&mut self.questions) {
            let answer = Err(NotRecommended::Stopped);
            out.push_back(RecommendationEffect::Completed { ticket, answer });
        }
        self.deadlines = Deadlines::new();
    }

    /// When it wants to be woken.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<RecommendationEffect>) {
        while let Some(wake) = self.deadlines.pop_due(now.mono) {
            match wake {
                Wake::Share => {
                    self.deadlines.set(Wake::Share, now.mono + RECOMMENDATION_INTERVAL);
                    out.push_back(RecommendationEffect::Share);
                }
                Wake::Expire(ticket) => {
                    if self.questions.remove(&ticket).is_some() {
                        let answer = Err(NotRecommended::TimedOut);
                        out.push_back(RecommendationEffect::Completed { ticket, answer });
                    }
                }
            }
        }
    }

    /// What happened.
    pub const fn counters(&self) -> RecommendationCounters {
        self.counters
    }

    /// Ends all questions to this peer.
    fn complete(
        &mut self,
        peer: &NodeId,
        answer: &Result<Vec<Recommendation>, NotRecommended>,
        out: &mut VecDeque<RecommendationEffect>,
    ) {
        let asked = self.questions.extract_if(.., |_, asked| asked == peer);
        for (ticket, _) in asked {
            self.deadlines.clear(Wake::Expire(ticket));
            out.push_back(RecommendationEffect::Completed { ticket, answer: answer.clone() });
        }
    }
}

/// Nobody is recommended to itself. In order of the ids, as the wire has it.
fn for_whom(to: NodeId, recommended: &[Recommendation], most: usize) -> Vec<Recommendation> {
    let others = recommended.iter().filter(|word| word.node != to);
    let mut nodes: Vec<Recommendation> = others.take(most.min(MAX_RECOMMENDED)).copied().collect();
    nodes.sort_unstable_by_key(|word| word.node);
    nodes
}

#[expect(clippy::cast_possible_truncation, reason = "the limit is 32")]
const MOST: u8 = MAX_RECOMMENDED as u8;

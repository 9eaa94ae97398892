//! The machine: which key came after which.

use std::collections::{BTreeMap, VecDeque};

use super::{
    Acceptance, Succession, SuccessionCounters, SuccessionEffect, SuccessionLevels,
    SuccessionMessage, Tie,
    tellers::{CheckStep, Tellers},
};
use crate::{
    id::NodeId,
    identity::{Signed, Verified},
    limits::{
        MAX_SUCCESSION_CHAIN, MAX_SUCCESSIONS, MAX_SUCCESSIONS_PER_MESSAGE,
        SUCCESSIONS_FOR_RESERVED,
    },
    metric::Level,
    misbehavior::Misbehavior,
    time::Now,
};

/// Which key came after which, as both of them signed it.
///
/// A key has one successor and one predecessor for good: the first that is learned. So nobody
/// inherits twice, and nobody leaves anything behind twice.
///
/// - What a peer tells is checked in its order, one by one, first what the new key signed and then
///   what the old one did: each [`SuccessionEffect::Verify`] is answered by
///   [`handle_verified`](Self::handle_verified), each [`SuccessionEffect::VerifyAcceptance`] by
///   [`handle_accepted`](Self::handle_accepted), either by
///   [`handle_refuted`](Self::handle_refuted) or, where there was no room to check it, by
///   [`handle_unchecked`](Self::handle_unchecked).
/// - Only keys that mean something here are kept ([`Tie`], as the caller says): others can be made
///   for nothing. At most [`MAX_SUCCESSIONS`]; then the oldest goes whose holder means nothing here
///   any more, and if there is none, the new one.
/// - What is learned is passed on to every linked peer that may be told, once. Who missed it hears
///   it from its new key, or [beside a record](Self::tell_of).
#[derive(Debug)]
pub struct Successions {
    me: NodeId,
    by_old: BTreeMap<NodeId, Kept>,
    by_new: BTreeMap<NodeId, NodeId>,
    learned: u64,
    tellers: Tellers,
    counters: SuccessionCounters,
}

#[derive(Debug)]
struct Kept {
    succession: Verified<Succession>,
    /// Counts them in the order in which they came.
    number: u64,
}

/// What the table makes of a succession.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    New,
    Known,
    /// The key has this other successor.
    Conflict(NodeId),
    Merge,
    Cycle,
    TooLong,
    Strange,
}

impl Successions {
    /// Believes what storage remembers.
    pub fn new(me: NodeId, remembered: Vec<Verified<Succession>>) -> Self {
        let mut this = Self {
            me,
            by_old: BTreeMap::new(),
            by_new: BTreeMap::new(),
            learned: 0,
            tellers: Tellers::default(),
            counters: SuccessionCounters::default(),
        };
        for succession in remembered.into_iter().take(MAX_SUCCESSIONS) {
            let (old, new) = ends(succession.claim());
            if this.judge(&old, &new, Tie::Known) == Judgement::New {
                this.insert(succession);
            }
        }
        this
    }

    /// Every succession that is kept, as old and new key, in the order in which they came.
    pub fn pairs(&self) -> Vec<(NodeId, NodeId)> {
        let mut kept: Vec<_> = self.by_old.values().collect();
        kept.sort_by_key(|kept| kept.number);
        kept.into_iter().map(|kept| ends(kept.succession.claim())).collect()
    }

    /// Who came after this key.
    pub fn successor(&self, old: &NodeId) -> Option<NodeId> {
        self.by_old.get(old).map(|kept| kept.succession.content().successor())
    }

    /// The history that this key belongs to, oldest first, as it is told. Empty if there is none.
    pub fn history(&self, node: &NodeId) -> Vec<Signed<Succession>> {
        let mut first = *node;
        // No history is longer: none is kept that would be.
        while let Some(before) = self.by_new.get(&first) {
            first = *before;
        }
        let next = |kept: &&Kept| self.by_old.get(&kept.succession.content().successor());
        let history = std::iter::successors(self.by_old.get(&first), next);
        history.map(|kept| kept.succession.claim().clone()).collect()
    }

    /// A session is up: our own history is said, and that of the peer, which may have lost it.
    pub fn peer_up(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<SuccessionEffect>) {
        self.tellers.peer_up(peer);
        self.tell_of(now, peer, [self.me, peer], out);
    }

    /// A session is over.
    pub fn peer_down(&mut self, peer: &NodeId) {
        self.tellers.peer_down(peer);
    }

    /// Tells a linked peer what is known of these keys, if anything.
    pub fn tell_of(
        &mut self,
        now: Now,
        to: NodeId,
        nodes: impl IntoIterator<Item = NodeId>,
        out: &mut VecDeque<SuccessionEffect>,
    ) {
        let mut told: Vec<Signed<Succession>> = Vec::new();
        for node in nodes {
            let history = self.history(&node);
            // A whole history or nothing of it: its parts mean nothing without the first one.
            let has_room = told.len() + history.len() <= MAX_SUCCESSIONS_PER_MESSAGE;
            if has_room && history.first().is_some_and(|first| !told.contains(first)) {
                told.extend(history);
            }
        }
        if !told.is_empty() && self.tellers.may_tell(now.mono, &to) {
            out.push_back(SuccessionEffect::Send { to, message: SuccessionMessage(told) });
        }
    }

    /// A linked peer said something.
    pub fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        SuccessionMessage(told): SuccessionMessage,
        tie: &impl Fn(&NodeId) -> Tie,
        out: &mut VecDeque<SuccessionEffect>,
    ) {
        if !self.tellers.may_speak(now.mono, &from) {
            let what = Misbehavior::Flooding;
            return out.push_back(SuccessionEffect::Misbehaved { peer: from, what });
        }
        self.take(from, told, tie, out);
    }

    /// A node that is about to refuse us said something.
    pub fn handle_parting(
        &mut self,
        from: NodeId,
        SuccessionMessage(told): SuccessionMessage,
        tie: &impl Fn(&NodeId) -> Tie,
        out: &mut VecDeque<SuccessionEffect>,
    ) {
        if self.tellers.part(from) {
            self.take(from, told, tie, out);
            self.tellers.forget_if_done(&from);
        }
    }

    fn take(
        &mut self,
        from: NodeId,
        told: Vec<Signed<Succession>>,
        tie: &impl Fn(&NodeId) -> Tie,
        out: &mut VecDeque<SuccessionEffect>,
    ) {
        for claim in told {
            let (old, new) = ends(&claim);
            let is_known = self.successor(&old) == Some(new);
            if !is_known && !self.tellers.push(&from, claim) {
                self.counters.full += 1;
            }
        }
        self.check_next(from, tie, out);
    }

    /// Begins to check the first claim of `from` that would change anything.
    fn check_next(
        &mut self,
        from: NodeId,
        tie: &impl Fn(&NodeId) -> Tie,
        out: &mut VecDeque<SuccessionEffect>,
    ) {
        while let Some((claim, CheckStep::Unchecked)) = self.tellers.first(&from) {
            let (old, new) = ends(claim);
            match self.judge(&old, &new, tie(&old)) {
                // A conflict is told only when it is true.
                Judgement::New | Judgement::Conflict(_) => {
                    let claim = claim.content().acceptance().clone();
                    self.tellers.step(&from, CheckStep::Acceptance);
                    return out.push_back(SuccessionEffect::VerifyAcceptance { from, claim });
                }
                refused => self.count(refused),
            }
            self.tellers.pop(&from);
        }
    }

    /// The claim of [`SuccessionEffect::VerifyAcceptance`] proved true.
    pub fn handle_accepted(
        &mut self,
        from: NodeId,
        accepted: &Verified<Acceptance>,
        out: &mut VecDeque<SuccessionEffect>,
    ) {
        if let Some((claim, CheckStep::Acceptance)) = self.tellers.first(&from)
            && claim.content().acceptance() == accepted.claim()
        {
            let claim = claim.clone();
            self.tellers.step(&from, CheckStep::Succession);
            out.push_back(SuccessionEffect::Verify { from, claim });
        }
    }

    /// The claim of [`SuccessionEffect::Verify`] proved true.
    pub fn handle_verified(
        &mut self,
        now: Now,
        from: NodeId,
        succession: Verified<Succession>,
        tie: &impl Fn(&NodeId) -> Tie,
        out: &mut VecDeque<SuccessionEffect>,
    ) {
        match self.tellers.first(&from) {
            Some((claim, CheckStep::Succession)) if claim == succession.claim() => {}
            _ => return,
        }
        self.tellers.pop(&from);
        self.learn(now, from, succession, tie, out);
        self.check_next(from, tie, out);
    }

    /// A claim of `from` proved false: it passed on what it did not check, and is not listened to
    /// further.
    pub fn handle_refuted(&mut self, from: NodeId, out: &mut VecDeque<SuccessionEffect>) {
        if matches!(
            self.tellers.first(&from),
            Some((_, CheckStep::Acceptance | CheckStep::Succession))
        ) {
            self.counters.forged += 1;
            self.tellers.clear(&from);
            let what = Misbehavior::ForgedSignature;
            out.push_back(SuccessionEffect::Misbehaved { peer: from, what });
        }
    }

    /// There was no room to check a claim of `from`: it is as if it was not told.
    pub fn handle_unchecked(&mut self, from: NodeId) {
        self.counters.full += 1;
        self.tellers.clear(&from);
    }

    /// What happened and what was dropped.
    pub const fn counters(&self) -> SuccessionCounters {
        self.counters
    }

    /// What is there, beside the most that there can be.
    pub fn levels(&self) -> SuccessionLevels {
        SuccessionLevels { kept: Level::new(self.by_old.len(), MAX_SUCCESSIONS) }
    }

    /// Both keys signed it: it is kept, or why not.
    fn learn(
        &mut self,
        now: Now,
        from: NodeId,
        succession: Verified<Succession>,
        tie: &impl Fn(&NodeId) -> Tie,
        out: &mut VecDeque<SuccessionEffect>,
    ) {
        let (old, new) = ends(succession.claim());
        let its_tie = tie(&old);
        let judgement = self.judge(&old, &new, its_tie);
        if let Judgement::Conflict(kept) = judgement {
            out.push_back(SuccessionEffect::Conflict { old, kept, refused: new });
        }
        if judgement != Judgement::New {
            return self.count(judgement);
        }
        if !self.make_room(its_tie, tie, out) {
            self.counters.full += 1;
            return;
        }
        self.counters.learned += 1;
        self.insert(succession.clone());
        out.push_back(SuccessionEffect::Learned(succession));
        for peer in self.tellers.linked() {
            if peer != from {
                self.tell_of(now, peer, [new], out);
            }
        }
    }

    fn judge(&self, old: &NodeId, new: &NodeId, tie: Tie) -> Judgement {
        if let Some(kept) = self.successor(old) {
            return if kept == *new { Judgement::Known } else { Judgement::Conflict(kept) };
        }
        if self.by_new.contains_key(new) {
            return Judgement::Merge;
        }
        let (before, after) = (self.before(old), self.after(new));
        if after.1 == *old {
            Judgement::Cycle
        } else if before + 1 + after.0 > MAX_SUCCESSION_CHAIN {
            Judgement::TooLong
        } else if tie == Tie::None && before == 0 {
            Judgement::Strange
        } else {
            Judgement::New
        }
    }

    /// How many keys there were before this one.
    fn before(&self, node: &NodeId) -> usize {
        std::iter::successors(self.by_new.get(node), |before| self.by_new.get(before)).count()
    }

    /// How many keys there are after this one, and the last of all.
    fn after(&self, node: &NodeId) -> (usize, NodeId) {
        let (mut count, mut last) = (0, *node);
        while let Some(next) = self.successor(&last) {
            (count, last) = (count + 1, next);
        }
        (count, last)
    }

    fn count(&mut self, judgement: Judgement) {
        let counters = &mut self.counters;
        match judgement {
            Judgement::New | Judgement::Known => {}
            Judgement::Conflict(_) => counters.conflicts += 1,
            Judgement::Merge => counters.merges += 1,
            Judgement::Cycle => counters.cycles += 1,
            Judgement::TooLong => counters.too_long += 1,
            Judgement::Strange => counters.strange += 1,
        }
    }

    fn insert(&mut self, succession: Verified<Succession>) {
        let (old, new) = ends(succession.claim());
        self.learned += 1;
        self.by_new.insert(new, old);
        self.by_old.insert(old, Kept { succession, number: self.learned });
    }

    /// Whether there is room for the successor of somebody with this tie, perhaps because somebody
    /// gave way who means nothing here any more. A retired key whose succession is forgotten is a
    /// stranger: nothing that was made of it is left.
    fn make_room(
        &mut self,
        its_tie: Tie,
        tie: &impl Fn(&NodeId) -> Tie,
        out: &mut VecDeque<SuccessionEffect>,
    ) -> bool {
        let most = match its_tie {
            Tie::Reserved => MAX_SUCCESSIONS,
            Tie::Known | Tie::None => MAX_SUCCESSIONS - SUCCESSIONS_FOR_RESERVED,
        };
        if self.by_old.len() < most {
            return true;
        }
        let is_nobody = |old: &&NodeId| tie(&self.after(old).1) == Tie::None;
        let nobodies = self.by_old.keys().filter(is_nobody);
        let Some(gone) = nobodies.min_by_key(|old| self.by_old[*old].number).copied() else {
            return false;
        };
        if let Some(kept) = self.by_old.remove(&gone) {
            self.by_new.remove(&kept.succession.content().successor());
            self.counters.evicted += 1;
            out.push_back(SuccessionEffect::Forget(gone));
        }
        true
    }
}

fn ends(claim: &Signed<Succession>) -> (NodeId, NodeId) {
    (claim.content().predecessor(), claim.content().successor())
}

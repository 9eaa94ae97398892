//! What each peer told that is not checked yet, and how much is said to it and by it.

use std::collections::{BTreeMap, VecDeque};

use super::Succession;
use crate::{
    allowance::Allowance,
    id::NodeId,
    identity::Signed,
    limits::{
        MAX_PARTING_SUCCESSIONS, MAX_SUCCESSIONS_UNCHECKED, SUCCESSION_BURST, SUCCESSION_INTERVAL,
    },
    time::Instant,
};

/// Who told something, or may.
#[derive(Debug, Default)]
pub(super) struct Tellers {
    by_id: BTreeMap<NodeId, Teller>,
}

/// One of them. What it told is checked in order, one at a time: a link of a history means nothing
/// before the one in front of it.
#[derive(Debug, Default)]
struct Teller {
    linked: bool,
    waiting: VecDeque<Signed<Succession>>,
    step: CheckStep,
    hears: Allowance,
    says: Allowance,
}

/// How far the first one that waits is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CheckStep {
    #[default]
    Unchecked,
    /// The signature of the new key is being checked.
    Acceptance,
    /// That of the old key is.
    Succession,
}

impl Tellers {
    pub(super) fn peer_up(&mut self, peer: NodeId) {
        self.by_id.entry(peer).or_default().linked = true;
    }

    pub(super) fn peer_down(&mut self, peer: &NodeId) {
        self.by_id.remove(peer);
    }

    pub(super) fn linked(&self) -> Vec<NodeId> {
        let linked = self.by_id.iter().filter(|(_, teller)| teller.linked);
        linked.map(|(peer, _)| *peer).collect()
    }

    /// Whether we may tell this peer something.
    pub(super) fn may_tell(&mut self, now: Instant, peer: &NodeId) -> bool {
        let says = |teller: &mut Teller| {
            teller.linked && teller.says.pay(now, SUCCESSION_INTERVAL * 2, SUCCESSION_BURST / 2)
        };
        self.by_id.get_mut(peer).is_some_and(says)
    }

    /// Whether this peer may tell us something.
    pub(super) fn may_speak(&mut self, now: Instant, peer: &NodeId) -> bool {
        let hears =
            |teller: &mut Teller| teller.hears.pay(now, SUCCESSION_INTERVAL, SUCCESSION_BURST);
        self.by_id.get_mut(peer).is_some_and(hears)
    }

    /// A node that is not linked says something before it refuses us. Whether that is heard.
    pub(super) fn part(&mut self, from: NodeId) -> bool {
        let parting = self.by_id.values().filter(|teller| !teller.linked).count();
        let is_heard = !self.by_id.contains_key(&from) && parting < MAX_PARTING_SUCCESSIONS;
        if is_heard {
            self.by_id.insert(from, Teller::default());
        }
        is_heard
    }

    /// Puts a claim behind the others. False without room.
    pub(super) fn push(&mut self, from: &NodeId, claim: Signed<Succession>) -> bool {
        let Some(teller) = self.by_id.get_mut(from) else { return false };
        let has_room = teller.waiting.len() < MAX_SUCCESSIONS_UNCHECKED;
        if has_room {
            teller.waiting.push_back(claim);
        }
        has_room
    }

    /// The first claim that waits, and how far it is.
    pub(super) fn first(&self, from: &NodeId) -> Option<(&Signed<Succession>, CheckStep)> {
        let teller = self.by_id.get(from)?;
        Some((teller.waiting.front()?, teller.step))
    }

    /// The first claim goes on.
    pub(super) fn step(&mut self, from: &NodeId, step: CheckStep) {
        if let Some(teller) = self.by_id.get_mut(from) {
            teller.step = step;
        }
    }

    /// The first claim is through.
    pub(super) fn pop(&mut self, from: &NodeId) {
        if let Some(teller) = self.by_id.get_mut(from) {
            teller.waiting.pop_front();
            teller.step = CheckStep::Unchecked;
        }
        self.forget_if_done(from);
    }

    /// Of who is not linked, nothing is kept but what waits.
    pub(super) fn forget_if_done(&mut self, from: &NodeId) {
        if self.by_id.get(from).is_some_and(|at| !at.linked && at.waiting.is_empty()) {
            self.by_id.remove(from);
        }
    }

    /// Nothing more of what this peer told is looked at.
    pub(super) fn clear(&mut self, from: &NodeId) {
        if let Some(teller) = self.by_id.get_mut(from) {
            teller.waiting.truncate(1);
        }
        self.pop(from);
    }
}

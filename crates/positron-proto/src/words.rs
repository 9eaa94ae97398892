//! Whom somebody trusts, and what others said last of that.

use std::collections::BTreeMap;

use crate::{
    id::NodeId,
    limits::{MAX_RECOMMENDED, MAX_RECOMMENDERS, RECOMMENDATION_LIFETIME},
    time::Instant,
};

/// A node that somebody trusts by what it saw of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recommendation {
    /// Whom.
    pub node: NodeId,
    /// How much: the part of the way from a stranger's score, 0, to the highest there, 65,535.
    pub strength: u16,
}

impl Recommendation {
    /// How much, from 0.0 to 1.0.
    pub fn share(&self) -> f64 {
        f64::from(self.strength) / f64::from(u16::MAX)
    }
}

/// The last recommendation of each recommender: one word of each about anybody.
///
/// Bounded by [`MAX_RECOMMENDERS`] and [`MAX_RECOMMENDED`]; whose word weighs least gives way, and
/// of equals who said nothing for the longest time. So a crowd that did one good thing each
/// silences nobody who did more.
#[derive(Debug, Default)]
pub(crate) struct Words {
    said: BTreeMap<NodeId, Instant>,
    /// For whom, by whom, how strongly.
    of: BTreeMap<NodeId, BTreeMap<NodeId, f64>>,
}

impl Words {
    /// In place of what it said before; `weight` is what the word of each weighs now. Nobody's word
    /// counts for itself.
    pub(crate) fn hear(
        &mut self,
        now: Instant,
        from: NodeId,
        recommended: &[Recommendation],
        weight: impl Fn(&NodeId) -> f64,
    ) {
        self.forget(&from);
        if self.said.len() >= MAX_RECOMMENDERS {
            let all = self.said.iter().map(|(other, at)| (weight(other), *at, *other));
            let least = all.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            match least {
                Some((least, _, other)) if least <= weight(&from) => self.forget(&other),
                _ => return,
            }
        }
        self.said.insert(from, now);
        for word in recommended.iter().take(MAX_RECOMMENDED).filter(|word| word.node != from) {
            self.of.entry(word.node).or_default().insert(from, word.share());
        }
    }

    /// Nothing that this one said counts any more.
    pub(crate) fn forget(&mut self, from: &NodeId) {
        if self.said.remove(from).is_some() {
            self.of.retain(|_, by| {
                by.remove(from);
                !by.is_empty()
            });
        }
    }

    /// Nothing that was said for this one counts any more.
    pub(crate) fn forget_subject(&mut self, node: &NodeId) {
        self.of.remove(node);
    }

    /// Nothing that was said too long ago counts any more.
    pub(crate) fn expire(&mut self, now: Instant) {
        let is_over = |at: &Instant| now.since(*at) >= RECOMMENDATION_LIFETIME;
        let over = self.said.iter().filter(|(_, at)| is_over(at)).map(|(from, _)| *from);
        over.collect::<Vec<_>>().iter().for_each(|from| self.forget(from));
    }

    /// Who recommends this node, and how strongly.
    pub(crate) fn of(&self, node: &NodeId) -> impl Iterator<Item = (NodeId, f64)> {
        self.of.get(node).into_iter().flatten().map(|(from, strength)| (*from, *strength))
    }
}

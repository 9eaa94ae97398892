//! Whom we recommend, and what the words of others are worth.

use super::{Trust, TrustWord};
use crate::{
    id::NodeId,
    limits::{MAX_RECOMMENDED, RECOMMENDED_FROM},
    time::Now,
    words::Recommendation,
};

impl Trust {
    /// The [`MAX_RECOMMENDED`] best of those who went [`RECOMMENDED_FROM`] of the way to the
    /// highest score by what they did, the best first.
    pub fn recommended(&self) -> Vec<Recommendation> {
        let known = self.standings.iter().filter(|(_, of)| of.banned_until.is_none());
        let weighed = known.map(|(&node, _)| (self.standings.weight(&node), node));
        let mut best: Vec<(f64, NodeId)> =
            weighed.filter(|(weight, _)| *weight >= RECOMMENDED_FROM - ROUNDING).collect();
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        best.truncate(MAX_RECOMMENDED);
        let recommendation =
            |(weight, node): (f64, NodeId)| Recommendation { node, strength: strength(weight) };
        best.into_iter().map(recommendation).collect()
    }

    /// A peer says whom it trusts, in place of what it said before. Who has earned nothing here is
    /// not heard, nor, where all places are taken, who has earned less than all who have one: so
    /// nobody takes the place of somebody better.
    pub fn handle_recommended(&mut self, now: Now, from: NodeId, recommended: &[Recommendation]) {
        if self.standings.weight(&from) > 0.0 {
            let mut words = core::mem::take(&mut self.standings.words);
            words.hear(now.mono, from, recommended, |peer| self.standings.weight(peer));
            self.standings.words = words;
        }
    }

    /// What others say of `peer`, the weightiest first.
    pub(super) fn words_for(&self, peer: &NodeId) -> Vec<TrustWord> {
        let words = self.standings.words.of(peer).map(|(from, strength)| TrustWord {
            from,
            strength,
            weight: self.standings.weight(&from),
        });
        let mut words: Vec<TrustWord> = words.collect();
        words.sort_by(|a, b| (b.strength * b.weight).total_cmp(&(a.strength * a.weight)));
        words
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of one of 65,535"
)]
fn strength(weight: f64) -> u16 {
    (weight.clamp(0.0, 1.0) * f64::from(u16::MAX)).round() as u16
}

/// A sum of hundredths is not quite what it should be.
const ROUNDING: f64 = 1e-9;

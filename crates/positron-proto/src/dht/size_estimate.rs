//! How many nodes there are.

use std::collections::VecDeque;

use super::{Contact, Distance, Place};
use crate::limits::{MAX_DENSITY, REPLICAS, SIZE_SAMPLES};

/// How many nodes serve the table, from how near to a place the nearest of them are.
///
/// Of `n` places at random the `i`th nearest to any place is expected at `i / (n + 1)` of the whole
/// space: each lookup says which `n` fits it best (least squares). Of the last [`SIZE_SAMPLES`]
/// lookups the middle one is taken, and a place counts once. So neither who crowds a few keys nor
/// who hides the nodes near a few others moves it far, as both would move a mean.
#[derive(Debug, Default)]
pub(super) struct SizeEstimate {
    samples: VecDeque<Sample>,
}

#[derive(Debug)]
struct Sample {
    target: Place,
    /// The part of the space for one node.
    spacing: f64,
}

impl SizeEstimate {
    /// A lookup found these nearest to its target, nearest first; only the [`REPLICAS`] nearest
    /// count, because behind them there are gaps.
    pub(super) fn add(&mut self, target: &Place, nearest: &[Contact]) {
        let Some(spacing) = spacing(target, nearest) else { return };
        self.samples.retain(|sample| sample.target != *target);
        if self.samples.len() >= SIZE_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { target: *target, spacing });
    }

    /// How many nodes there are beside us; unknown before the first lookup.
    pub(super) fn nodes(&self) -> Option<f64> {
        let mut spacings: Vec<_> = self.samples.iter().map(|sample| sample.spacing).collect();
        spacings.sort_unstable_by(f64::total_cmp);
        let (last, middle) = (spacings.len().checked_sub(1)?, spacings.len() / 2);
        let median = f64::midpoint(spacings[last / 2], spacings[middle]);
        // At least one: somebody answered.
        Some((1.0 / median - 1.0).max(1.0))
    }

    /// So many times as far as the `nth` nearest node is expected to be from any place; unlimited
    /// if that is all of the space, or nothing is known.
    pub(super) fn reach(&self, nth: usize, times: u32) -> Option<Distance> {
        let part = number(nth) * f64::from(times) / (self.nodes()? + 1.0);
        (part < 1.0).then(|| Distance::of_part(part))
    }

    /// How many times as many nodes there are around a place as there should be, if these are the
    /// nearest to it.
    pub(super) fn density(&self, target: &Place, nearest: &[Contact]) -> Option<f64> {
        Some(1.0 / (spacing(target, nearest)? * (self.nodes()? + 1.0)))
    }

    /// Whether there are so few that somebody may hide others.
    pub(super) fn is_sparse(&self, target: &Place, nearest: &[Contact], below: f64) -> bool {
        nearest.len() >= REPLICAS
            && self.density(target, nearest).is_some_and(|density| density < below)
    }

    /// Whether there are so many that somebody sought places there: ids are then not asked for the
    /// nearest, but for all in [`reach`](Self::reach), over disjoint paths.
    pub(super) fn is_crowded(&self, target: &Place, nearest: &[Contact]) -> bool {
        self.density(target, nearest).is_some_and(|density| density > MAX_DENSITY)
    }
}

/// The slope of the line through the origin that fits the distances best.
fn spacing(target: &Place, nearest: &[Contact]) -> Option<f64> {
    let distances = nearest.iter().take(REPLICAS).map(|node| target.distance(&node.place()));
    let (mut products, mut squares) = (0.0, 0.0);
    for (distance, i) in distances.zip(1_u32..) {
        products += f64::from(i) * distance.part_of_space();
        squares += f64::from(i) * f64::from(i);
    }
    // Who is just there is not infinitely dense.
    (squares > 0.0).then(|| (products / squares).max(SMALLEST_SPACING))
}

fn number(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// There are not more nodes than IPv4 addresses.
const SMALLEST_SPACING: f64 = 1.0 / 4_294_967_296.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::Identity, rng::Seed};

    #[test]
    fn it_is_near_the_truth_and_tells_a_crowd_from_chance() {
        let mut rng = Seed::from_number(6).stream("estimate");
        let somebody = |rng: &mut crate::rng::Rng| {
            let [a, b, c, _] = rng.bytes();
            let key = *Identity::from_seed(rng.bytes()).public_key();
            Contact::new(key, [0; 32], ([11 + a % 80, b, c, 1], 1).into())
        };
        let nodes: Vec<_> = (0..600).map(|_| somebody(&mut rng)).collect();
        let nearest = |target: &Place, of: &[Contact]| {
            let mut nearest = of.to_vec();
            nearest.sort_unstable_by_key(|node| target.distance(&node.place()));
            nearest
        };
        let mut size = SizeEstimate::default();
        assert_eq!((size.nodes(), size.reach(8, 4)), (None, None));
        let mut alarms = 0;
        for _ in 0..100 {
            let target = Place::from_bytes(rng.bytes());
            let found = nearest(&target, &nodes);
            alarms += usize::from(size.is_crowded(&target, &found));
            size.add(&target, &found[..12]);
        }
        assert_eq!(size.samples.len(), SIZE_SAMPLES);
        let estimate = size.nodes().unwrap();
        // Its deviation is some 10 %.
        assert!((400.0..900.0).contains(&estimate), "{estimate}");
        assert!(alarms <= 2, "{alarms} false alarms");

        let target = Place::from_bytes(rng.bytes());
        let reach = size.reach(REPLICAS, 4).unwrap();
        let within = nodes.iter().filter(|node| target.distance(&node.place()) < reach).count();
        assert!((12..=60).contains(&within), "{within} of 32 expected");

        // Somebody sought 40 places near a key.
        let mut ground: Vec<_> = (0..6_000).map(|_| somebody(&mut rng)).collect();
        ground = nearest(&target, &ground);
        ground.truncate(40);
        ground.extend(&nodes);
        let found = nearest(&target, &ground);
        assert!(size.is_crowded(&target, &found), "{:?}", size.density(&target, &found));
        for _ in 0..100 {
            size.add(&target, &found);
        }
        // And hid all but far ones from a few lookups.
        for _ in 0..4 {
            let hidden = Place::from_bytes(rng.bytes());
            size.add(&hidden, &nearest(&hidden, &nodes)[300..]);
        }
        let after = size.nodes().unwrap();
        assert!((after / estimate - 1.0).abs() < 0.3, "{estimate} became {after}");
    }

    #[test]
    fn few_nodes_are_few_and_none_tell_nothing() {
        let mut size = SizeEstimate::default();
        let target = Place::from_bytes([3; 32]);
        size.add(&target, &[]);
        assert_eq!((size.nodes(), size.density(&target, &[])), (None, None));
        let key = *Identity::from_seed([1; 32]).public_key();
        let one = Contact::new(key, [0; 32], "11.1.1.1:1".parse().unwrap());
        size.add(&one.place(), &[one]);
        assert!(size.nodes().unwrap() >= 1.0);
        for n in 0..9 {
            size.add(&Place::from_bytes([n * 27; 32]), &[one]);
        }
        assert!(size.nodes().unwrap() < 20.0 && size.reach(REPLICAS, 4).is_none());
    }
}

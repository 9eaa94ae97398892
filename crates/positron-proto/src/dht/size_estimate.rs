//! How many nodes there are.

use std::collections::VecDeque;

use super::{Contact, Distance, Place, record_store::Reach};
use crate::{
    limits::{
        ANEW_DIFFERS, FARTHEST_KEPT, LONGEST_LOOKUP, MAX_DENSITY, NEIGHBOURS, OUTGROWN, REPLICAS,
        SIZE_SAMPLES, SIZE_SAMPLES_ANEW,
    },
    time::Instant,
};

/// How many nodes serve the table, from how near to a place the nearest of them are.
///
/// Of `n` places at random the `i`th nearest to any place is expected at `i / (n + 1)` of the whole
/// space: each lookup says which `n` fits it best (least squares). Of the last [`SIZE_SAMPLES`]
/// lookups the middle one is taken, and a place counts once. So neither who crowds a few keys nor
/// who hides the nodes near a few others moves it far, as both would move a mean. A lookup that
/// finds fewer than [`REPLICAS`] found them all, and says how many.
#[derive(Debug, Default)]
pub(super) struct SizeEstimate {
    samples: VecDeque<Sample>,
    /// What they come to.
    nodes: Option<f64>,
    /// How many nodes there were when they were found to be too few.
    outgrown_by: f64,
    /// When the network is looked at anew.
    anew: Option<Instant>,
    /// Samples of that which are still to come.
    awaited: usize,
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
        let Some(spacing) = spacing(target, nearest, REPLICAS) else { return };
        self.samples.retain(|sample| sample.target != *target);
        if self.samples.len() >= SIZE_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { target: *target, spacing });
        if self.awaited == 1 {
            self.forget_outgrown();
        }
        self.awaited = self.awaited.saturating_sub(1);
        let spacings: Vec<_> = self.samples.iter().map(|sample| sample.spacing).collect();
        self.nodes = median(&spacings).map(|median| 1.0 / median - 1.0);
    }

    /// What is older than the last few samples counts no more if these tell of many more nodes.
    fn forget_outgrown(&mut self) {
        let samples: Vec<_> = self.samples.iter().map(|sample| sample.spacing).collect();
        let Some(old) = samples.len().checked_sub(SIZE_SAMPLES_ANEW) else { return };
        let medians = median(&samples[..old]).zip(median(&samples[old..]));
        if medians.is_some_and(|(before, now)| before > ANEW_DIFFERS * now) {
            self.samples.drain(..old);
        }
    }

    /// These are nearest to where we are, as far as we know. If the network has grown since it was
    /// looked at, it is to be looked at anew, as soon as lookups that are under way have ended.
    /// Neighbours alone are not believed: whoever sought places beside us hides nothing by it.
    pub(super) fn handle_neighbours(&mut self, now: Instant, here: &Place, nearest: &[Contact]) {
        let Some((spacing, nodes)) = spacing(here, nearest, NEIGHBOURS).zip(self.nodes()) else {
            return;
        };
        let around = 1.0 / spacing - 1.0;
        if around > OUTGROWN * nodes.max(self.outgrown_by) {
            self.outgrown_by = around;
            self.anew.get_or_insert(now + LONGEST_LOOKUP);
        }
    }

    /// When that is.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.anew
    }

    /// Whether it is now, told once: [`SIZE_SAMPLES_ANEW`] lookups are wanted.
    pub(super) fn pop_due(&mut self, now: Instant) -> bool {
        let is_due = self.anew.take_if(|at| *at <= now).is_some();
        if is_due {
            self.awaited = SIZE_SAMPLES_ANEW;
        }
        is_due
    }

    /// How many nodes there are beside us; unknown before the first lookup.
    pub(super) const fn nodes(&self) -> Option<f64> {
        self.nodes
    }

    /// So many times as far as the `nth` nearest node is expected to be from any place; unlimited
    /// if that is all of the space, or nothing is known.
    pub(super) fn reach(&self, nth: usize, times: u32) -> Option<Distance> {
        let part = number(nth) * f64::from(times) / (self.nodes()? + 1.0);
        (part < 1.0).then(|| Distance::of_part(part))
    }

    /// How far from a node at `place` records are kept there; everything, while nobody knows how
    /// many nodes there are.
    pub(super) fn kept_around(&self, place: Place) -> Option<Reach> {
        let within = self.reach(REPLICAS, FARTHEST_KEPT)?;
        Some(Reach { place, within })
    }

    /// How many times as many nodes there are around a place as there should be, if these are the
    /// nearest to it.
    pub(super) fn density(&self, target: &Place, nearest: &[Contact]) -> Option<f64> {
        Some(1.0 / (spacing(target, nearest, REPLICAS)? * (self.nodes()? + 1.0)))
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

/// The slope of the line through the origin that fits the distances of so many best. Fewer than
/// [`REPLICAS`] are all that there are, however near: two nodes are two, not a crowd.
fn spacing(target: &Place, nearest: &[Contact], count: usize) -> Option<f64> {
    if nearest.len() < REPLICAS {
        return (!nearest.is_empty()).then(|| 1.0 / (number(nearest.len()) + 1.0));
    }
    let distances = nearest.iter().take(count).map(|node| target.distance(&node.place()));
    let (mut products, mut squares) = (0.0, 0.0);
    for (distance, i) in distances.zip(1_u32..) {
        products += f64::from(i) * distance.part_of_space();
        squares += f64::from(i) * f64::from(i);
    }
    // Who is just there is not infinitely dense.
    (squares > 0.0).then(|| (products / squares).max(SMALLEST_SPACING))
}

fn median(of: &[f64]) -> Option<f64> {
    let mut sorted = of.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (last, middle) = (sorted.len().checked_sub(1)?, sorted.len() / 2);
    Some(f64::midpoint(sorted[last / 2], sorted[middle]))
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
    fn a_network_that_has_grown_is_looked_at_anew_once_and_neighbours_alone_are_not_believed() {
        let mut rng = Seed::from_number(7).stream("growth");
        let here = Place::from_bytes(rng.bytes());
        let mut somebody = || {
            let [a, b, c, _] = rng.bytes();
            let key = *Identity::from_seed(rng.bytes()).public_key();
            Contact::new(key, [0; 32], ([11 + a % 80, b, c, 1], 1).into())
        };
        let mut nodes: Vec<_> = (0..600).map(|_| somebody()).collect();
        let nearest = |target: &Place, of: &[Contact]| {
            let mut nearest = of.to_vec();
            nearest.sort_unstable_by_key(|node| target.distance(&node.place()));
            nearest
        };
        let (mut size, mut now) = (SizeEstimate::default(), Instant::ORIGIN);
        size.handle_neighbours(now, &here, &nearest(&here, &nodes));
        assert_eq!(size.poll_timeout(), None, "nothing is known that may be wrong");
        for n in 0..9 {
            let target = Place::from_bytes([n * 27; 32]);
            size.add(&target, &nearest(&target, &nodes[..100]));
        }
        size.handle_neighbours(now, &here, &nearest(&here, &nodes[..100]));
        assert_eq!(size.poll_timeout(), None);
        let few = size.nodes();
        size.handle_neighbours(now, &here, &nearest(&here, &nodes));
        assert!(!size.pop_due(now) && size.nodes() == few);
        now = size.poll_timeout().unwrap();
        assert!(size.pop_due(now) && !size.pop_due(now));
        // The same neighbours say nothing new, wherever else nodes are.
        size.handle_neighbours(now, &here, &nearest(&here, &nodes));
        assert_eq!((size.poll_timeout(), size.nodes()), (None, few));
        for n in 0..SIZE_SAMPLES_ANEW {
            assert!(size.nodes().unwrap() < 200.0, "until all that is wanted has come");
            let target = Place::from_bytes([u8::try_from(n).unwrap() * 31 + 5; 32]);
            size.add(&target, &nearest(&target, &nodes));
        }
        assert!(size.nodes().unwrap() > 300.0, "{:?}", size.nodes());
        nodes.extend((0..1_800).map(|_| somebody()));
        size.handle_neighbours(now, &here, &nearest(&here, &nodes));
        assert!(size.poll_timeout().is_some());
    }

    #[test]
    fn few_nodes_are_few_and_none_tell_nothing() {
        let mut size = SizeEstimate::default();
        let target = Place::from_bytes([3; 32]);
        size.add(&target, &[]);
        assert_eq!((size.nodes(), size.density(&target, &[])), (None, None));
        let key = *Identity::from_seed([1; 32]).public_key();
        let one = Contact::new(key, [0; 32], "11.1.1.1:1".parse().unwrap());
        // However near to what is looked for.
        size.add(&one.place(), &[one]);
        assert_eq!((size.nodes(), size.reach(REPLICAS, 4)), (Some(1.0), None));
        assert_eq!(size.density(&one.place(), &[one]), Some(1.0));
        size.handle_neighbours(Instant::ORIGIN, &one.place(), &[one]);
        assert_eq!(size.poll_timeout(), None, "it has not grown");
        for n in 0..9 {
            size.add(&Place::from_bytes([n * 27; 32]), &[one]);
        }
        assert_eq!((size.nodes(), size.reach(REPLICAS, 4)), (Some(1.0), None));
    }
}

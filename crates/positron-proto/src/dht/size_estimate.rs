//! How many nodes there are.

use std::collections::VecDeque;

use super::{Contact, Distance, Place};
use crate::limits::{MAX_DENSITY, REPLICAS, SIZE_SAMPLES};

/// How many nodes serve the table, from how near to a place the nearest of them are.
///
/// Of `n` places at random the `i`th nearest to any place is expected at `i / (n + 1)` of the whole
/// space. This takes the `n` that fits the last [`SIZE_SAMPLES`] lookups best (least squares). A
/// place counts once, its last lookup: whoever crowds one key changes one sample.
#[derive(Debug, Default)]
pub(super) struct SizeEstimate {
    samples: VecDeque<Sample>,
}

#[derive(Debug)]
struct Sample {
    target: Place,
    fit: Fit,
}

/// The sums of a line through the origin.
#[derive(Clone, Copy, Debug, Default)]
struct Fit {
    /// Of `i` times distance.
    products: f64,
    /// Of `i` squared.
    squares: f64,
}

impl SizeEstimate {
    /// A lookup found these nearest to its target, nearest first; only the [`REPLICAS`] nearest
    /// count, because behind them there are gaps.
    pub(super) fn add(&mut self, target: &Place, nearest: &[Contact]) {
        if nearest.is_empty() {
            return;
        }
        self.samples.retain(|sample| sample.target != *target);
        if self.samples.len() >= SIZE_SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { target: *target, fit: Fit::of(target, nearest) });
    }

    /// How many nodes there are beside us; unknown before the first lookup.
    pub(super) fn nodes(&self) -> Option<f64> {
        let fits = self.samples.iter().map(|sample| sample.fit);
        fits.reduce(Fit::plus).map(Fit::nodes)
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
        let here = Fit::of(target, nearest);
        (!nearest.is_empty()).then_some((here.nodes() + 1.0) / (self.nodes()? + 1.0))
    }

    /// Whether there are so many that somebody sought places there: ids are then not asked for the
    /// nearest, but for all in [`reach`](Self::reach), over disjoint paths.
    pub(super) fn is_crowded(&self, target: &Place, nearest: &[Contact]) -> bool {
        self.density(target, nearest).is_some_and(|density| density > MAX_DENSITY)
    }
}

impl Fit {
    fn of(target: &Place, nearest: &[Contact]) -> Self {
        let distances =
            nearest.iter().take(REPLICAS).map(|contact| target.distance(&contact.place()));
        let terms = distances.zip(1_u32..).map(|(distance, i)| Self {
            products: f64::from(i) * distance.part_of_space(),
            squares: f64::from(i) * f64::from(i),
        });
        terms.fold(Self::default(), Self::plus)
    }

    fn plus(self, other: Self) -> Self {
        Self { products: self.products + other.products, squares: self.squares + other.squares }
    }

    /// At least one: somebody answered.
    fn nodes(self) -> f64 {
        (self.squares / self.products.max(f64::MIN_POSITIVE) - 1.0).max(1.0)
    }
}

fn number(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

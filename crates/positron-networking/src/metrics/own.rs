//! The values of an application's own metrics.

use positron_proto::metric::Histogram;
use serde::Serialize;

use super::name::OwnName;

/// A histogram in short.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HistogramSummary {
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// How many were at most as large as each bound.
    pub up_to: Vec<(f64, u64)>,
}

impl HistogramSummary {
    /// The mean; 0 while there is nothing.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / as_f64(self.count) }
    }
}

#[derive(Clone, Debug)]
pub(super) enum OwnValue {
    Counter(u64),
    Gauge(f64),
    Histogram(OwnHistogram),
}

#[derive(Clone, Debug)]
pub(super) struct OwnHistogram {
    first: f64,
    /// The last one is of what is beyond all bounds.
    buckets: [u64; BUCKETS + 1],
    pub(super) sum: f64,
}

/// Each bound is twice the one before: from 1 ms to 33 s, from 64 bytes to 2 MiB, from 1 to 32,768.
const BUCKETS: usize = 16;

impl OwnValue {
    pub(super) const fn histogram(name: &OwnName) -> Self {
        Self::Histogram(OwnHistogram {
            first: name.first_bound(),
            buckets: [0; BUCKETS + 1],
            sum: 0.0,
        })
    }

    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }

    pub(super) const fn series(&self) -> usize {
        match self {
            Self::Counter(_) | Self::Gauge(_) => 1,
            Self::Histogram(_) => BUCKETS + 3,
        }
    }
}

impl OwnHistogram {
    pub(super) fn note(&mut self, value: f64) {
        let bucket = self.bounds().position(|most| value <= most).unwrap_or(BUCKETS);
        self.buckets[bucket] += 1;
        self.sum = (self.sum + value).min(f64::MAX);
    }

    fn bounds(&self) -> impl Iterator<Item = f64> + use<> {
        core::iter::successors(Some(self.first), |bound| Some(bound * 2.0)).take(BUCKETS)
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub(super) fn buckets_with_bounds(&self) -> Vec<(f64, u64)> {
        self.bounds().chain([f64::INFINITY]).zip(self.buckets).collect()
    }

    pub(super) fn summary(&self) -> HistogramSummary {
        let mut total = 0;
        let up_to = self.bounds().zip(self.buckets).map(|(most, number)| {
            total += number;
            (most, total)
        });
        HistogramSummary { up_to: up_to.collect(), count: self.count(), sum: self.sum }
    }
}

impl HistogramSummary {
    pub(super) fn add(&mut self, of: &Histogram) {
        self.count += of.count();
        self.sum += of.sum().as_secs_f64();
        let up_to = of.up_to().map(|(most, number)| (most.as_secs_f64(), number));
        if self.up_to.is_empty() {
            self.up_to = up_to.collect();
        } else {
            self.up_to.iter_mut().zip(up_to).for_each(|(sum, (_, number))| sum.1 += number);
        }
    }
}

#[allow(clippy::cast_precision_loss)] // what is counted so high is told about
pub(super) fn as_f64(number: u64) -> f64 {
    number as f64
}

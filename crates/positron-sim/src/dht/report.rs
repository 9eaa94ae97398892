//! What came of many hash tables.

use core::fmt;

use positron_proto::{limits::MAX_HELD_RECORDS, time::Duration};

/// Measured values, spread out.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    values: Vec<f64>,
}

/// What came of a [`DhtScenario`](super::DhtScenario).
#[derive(Clone, Debug, Default)]
pub struct DhtReport {
    /// Milliseconds that it took to find the nodes nearest to a place.
    pub find: Spread,
    /// Questions for it.
    pub find_asked: Spread,
    /// Part of the nodes that are really nearest that were found.
    pub recall: Spread,
    /// Milliseconds that it took to store a record.
    pub put: Spread,
    /// Questions for it.
    pub put_asked: Spread,
    /// Nodes that keep it then.
    pub put_holders: Spread,
    /// Milliseconds that it took to read the first copy of a record, where it was found.
    pub first: Spread,
    /// Questions for it.
    pub first_asked: Spread,
    /// Milliseconds that it took to read the newest copy, where it was found.
    pub fresh: Spread,
    /// Questions for it.
    pub fresh_asked: Spread,
    /// Of each record, the part of the nodes that should keep it that do, when the network has
    /// grown.
    pub kept: Spread,
    /// Reads of records that were there.
    pub reads: usize,
    /// Of them, those that found it.
    pub found: usize,
    /// What reads brought that its publisher did not say, or says no more.
    pub false_answers: usize,
    /// Bytes a second of one node that nobody asked anything of, in and out.
    pub upkeep: f64,
    /// Nodes that each knows.
    pub known: Spread,
    /// How many nodes each thinks there are.
    pub size: Spread,
    /// What came of records that were deleted.
    pub deletion: Option<DeletionReport>,
    /// What came of a flood.
    pub flood: Option<FloodReport>,
}

/// What came of records that were deleted, and of which old copies were shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeletionReport {
    /// Reads that wanted the newest.
    pub fresh_reads: usize,
    /// Of them, those that saw the old value.
    pub fresh_saw: usize,
    /// Reads that took what came first.
    pub first_reads: usize,
    /// Of them, those that saw the old value.
    pub first_saw: usize,
}

/// What came of a flood of records.
#[derive(Clone, Copy, Debug, Default)]
pub struct FloodReport {
    /// Records that were brought.
    pub brought: usize,
    /// Of them, those that were kept at once, at most.
    pub most_kept: usize,
    /// Records of others near the same node.
    pub honest_near: usize,
    /// Of them, those that the node did not keep.
    pub honest_refused: usize,
}

/// A small number as one that can be divided.
#[expect(clippy::cast_precision_loss, reason = "few enough to be counted in memory")]
pub(super) const fn number(n: usize) -> f64 {
    n as f64
}

impl Spread {
    pub(super) fn add(&mut self, value: f64) {
        self.values.push(value);
    }

    pub(super) fn add_time(&mut self, time: Duration) {
        self.add(time.as_secs_f64() * 1e3);
    }

    /// The value below which this part of the values is; 0 if there are none.
    pub fn quantile(&self, part: f64) -> f64 {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into values that fit into memory"
        )]
        let index = (part * values.len() as f64) as usize;
        values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or(0.0)
    }

    /// The mean; 0 if there are none.
    pub fn mean(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "values fit into memory")]
        let count = self.values.len().max(1) as f64;
        self.values.iter().sum::<f64>() / count
    }
}

impl fmt::Display for DhtReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, what: &str, time: &Spread, asked: &Spread| {
            if time.values.is_empty() {
                return Ok(());
            }
            let (p50, p90, p99) = (time.quantile(0.5), time.quantile(0.9), time.quantile(0.99));
            writeln!(f, "{what:14} {p50:7.0} {p90:7.0} {p99:7.0} {:9.1}", asked.mean())
        };
        writeln!(f, "{:14} {:>7} {:>7} {:>7} {:>9}", "ms", "p50", "p90", "p99", "questions")?;
        line(f, "find", &self.find, &self.find_asked)?;
        line(f, "put", &self.put, &self.put_asked)?;
        line(f, "get, first", &self.first, &self.first_asked)?;
        line(f, "get, fresh", &self.fresh, &self.fresh_asked)?;
        if !self.find.values.is_empty() {
            writeln!(f, "recall of the nearest {:.1} %", self.recall.mean() * 100.0)?;
        }
        if !self.put.values.is_empty() {
            writeln!(f, "holders {:.2}", self.put_holders.mean())?;
        }
        if !self.kept.values.is_empty() {
            writeln!(f, "kept by {:.1} % of those who should", self.kept.mean() * 100.0)?;
        }
        let Self { reads, found, false_answers, upkeep, .. } = self;
        if *reads > 0 {
            let part = number(*found) / number(*reads) * 100.0;
            writeln!(f, "read {found} of {reads} ({part:.2} %), false answers {false_answers}")?;
        }
        if *upkeep > 0.0 {
            writeln!(f, "upkeep {upkeep:.0} B/s a node")?;
        }
        let (known, size) = (self.known.mean(), self.size.quantile(0.5));
        writeln!(f, "each knew {known:.0} and thought that there are {size:.0}")?;
        if let Some(deletion) = self.deletion {
            let DeletionReport { fresh_reads, fresh_saw, first_reads, first_saw } = deletion;
            writeln!(f, "the old value: in {fresh_saw} of {fresh_reads} fresh reads")?;
            writeln!(f, "               in {first_saw} of {first_reads} first reads")?;
        }
        if let Some(flood) = self.flood {
            let FloodReport { brought, most_kept, honest_near, honest_refused } = flood;
            let share = number(most_kept) / number(MAX_HELD_RECORDS) * 100.0;
            writeln!(f, "brought {brought}, kept {most_kept} ({share:.2} % of the room)")?;
            writeln!(f, "of {honest_near} honest ones {honest_refused} refused")?;
        }
        Ok(())
    }
}

//! What a number is: the one table that statistics, metrics, their documents, alerts and panels are
//! made from.
//!
//! A room declares its numbers once, a line each, in its `counters.rs`:
//!
//! ```text
//! field: Kind Unit "help" [by (A B)] [high "what to do when it is high"];
//! ```
//!
//! The lines make a struct of plain numbers, which the room counts in, and a table beside it, which
//! says of each number what it is. `by` splits a number by closed enums; there is nothing else to
//! split it by, so that no peer can make series.

mod histogram;
pub(crate) mod label;
mod watched;

use core::fmt;

pub use histogram::Histogram;
pub(crate) use label::label;
pub use label::{Family, LabelKey, LabelSet, MetricLabel, OnlyEnums, Way};
pub(crate) use watched::WATCHED;

/// What one number of a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Who counts: the room's name in the source tree.
    pub room: &'static str,
    /// The field, and its key in statistics.
    pub field: &'static str,
    /// How it changes.
    pub kind: MetricKind,
    /// What one of it is.
    pub unit: Unit,
    /// What it is split by.
    pub labels: &'static [LabelKey],
    /// A sentence for people.
    pub help: &'static str,
    /// What to do when it is high; empty: nothing.
    pub when_high: &'static str,
}

/// How a number changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// Since the start; it only grows.
    Counter,
    /// At this moment; it comes and goes.
    Gauge,
    /// At this moment, beside the most that there can be: a [`Level`].
    Level,
    /// How long things took since the start: a [`Histogram`].
    Histogram,
}

/// What one of a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// One of what the field names.
    Count,
    /// A byte.
    Bytes,
    /// A second.
    Seconds,
}

impl Unit {
    /// The word at the end of a name; none for what is only counted.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
        }
    }
}

/// What is there, and the most that there can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Level {
    /// What is there.
    pub used: u64,
    /// The most: beyond it something gives way, or is refused.
    pub limit: u64,
}

impl Level {
    /// So much of so much.
    pub fn new(used: usize, limit: usize) -> Self {
        let number = |of| u64::try_from(of).unwrap_or(u64::MAX);
        Self { used: number(used), limit: number(limit) }
    }
}

impl core::ops::Add for Level {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { used: self.used + other.used, limit: self.limit + other.limit }
    }
}

/// What a number of a room says.
#[derive(Clone, Copy, Debug)]
pub enum MetricValue<'a> {
    /// It.
    Number(u64),
    /// Those that it is split into, in the order of the words of its labels, the last label's
    /// fastest.
    Split(&'a [u64]),
    /// A level.
    Level(Level),
    /// A histogram.
    Histogram(&'a Histogram),
}

impl MetricValue<'_> {
    /// How many there were, or are.
    pub fn total(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Split(numbers) => numbers.iter().sum(),
            Self::Level(level) => level.used,
            Self::Histogram(histogram) => histogram.count(),
        }
    }
}

/// What stands in a field of a room's counters.
pub trait Cell {
    /// What it says.
    fn value(&self) -> MetricValue<'_>;
}

impl Cell for u64 {
    fn value(&self) -> MetricValue<'_> {
        MetricValue::Number(*self)
    }
}

impl Cell for Level {
    fn value(&self) -> MetricValue<'_> {
        MetricValue::Level(*self)
    }
}

impl Cell for Histogram {
    fn value(&self) -> MetricValue<'_> {
        MetricValue::Histogram(self)
    }
}

impl<L, const N: usize> Cell for Family<L, N> {
    fn value(&self) -> MetricValue<'_> {
        MetricValue::Split(self.cells())
    }
}

impl Metric {
    /// The name without unit and suffix: `positron_<room>_<noun>`.
    pub fn noun(&self) -> String {
        let mut name = format!("positron_{}", self.room);
        for word in self.field.split('_').filter(|word| *word != self.unit.word()) {
            name.push('_');
            name.push_str(word);
        }
        name
    }

    /// The name without what Prometheus puts behind it: `positron_<room>_<noun>[_<unit>]`.
    pub fn stem(&self) -> String {
        match self.unit.word() {
            "" => self.noun(),
            unit => format!("{}_{unit}", self.noun()),
        }
    }

    /// How many series it has: a histogram one for each bucket, and two for sum and count.
    pub fn series(&self) -> usize {
        match self.kind {
            MetricKind::Counter | MetricKind::Gauge => {
                self.labels.iter().map(|label| label.words.len()).product()
            }
            MetricKind::Level => 2,
            MetricKind::Histogram => Histogram::BUCKETS + 3,
        }
    }
}

/// The name outside: `positron_<room>_<noun>[_<unit>][_total]`, with the unit at its end as
/// Prometheus wants it ("Metric and label naming"): `bytes_sent` of `session` is
/// `positron_session_sent_bytes_total`. A level has two names, with `_used` and `_limit` behind
/// this one.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stem())?;
        match self.kind {
            MetricKind::Counter => f.write_str("_total"),
            MetricKind::Gauge | MetricKind::Level | MetricKind::Histogram => Ok(()),
        }
    }
}

/// Declares the numbers of a room: see the module.
#[macro_export]
macro_rules! counters {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident of $room:literal;
        $($field:ident: $kind:ident $unit:ident $help:literal
            $(by ($($label:ident)+))? $(high $when_high:literal)?;)+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        $vis struct $name {
            $(#[doc = $help] $vis $field: $crate::counters!(@type $kind $($($label)+)?),)+
        }

        impl $name {
            /// What each number is, in the order of the fields.
            $vis const TABLE: &'static [$crate::metric::Metric] = &[$($crate::metric::Metric {
                room: $room,
                field: stringify!($field),
                kind: $crate::metric::MetricKind::$kind,
                unit: $crate::metric::Unit::$unit,
                labels: $crate::counters!(@labels $($($label)+)?),
                help: $help,
                when_high: concat!($($when_high)?),
            }),+];

            /// Every number with what it is.
            $vis fn iter(
                &self,
            ) -> impl Iterator<
                Item = (&'static $crate::metric::Metric, $crate::metric::MetricValue<'_>),
            > {
                Self::TABLE.iter().zip([$($crate::metric::Cell::value(&self.$field)),+])
            }
        }

        /// What two machines of the room counted.
        impl core::ops::Add for $name {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self { $($field: self.$field + other.$field),+ }
            }
        }
    };
    (@type Counter) => { u64 };
    (@type Gauge) => { u64 };
    (@type Level) => { $crate::metric::Level };
    (@type Histogram) => { $crate::metric::Histogram };
    (@type $kind:ident $($label:ident)+) => {
        $crate::metric::Family<
            ($($label,)+),
            { 1 $(* <$label as $crate::metric::MetricLabel>::KEY.words.len())+ },
        >
    };
    (@labels) => { &[] };
    (@labels $($label:ident)+) => { &[$(<$label as $crate::metric::MetricLabel>::KEY),+] };
}
pub use counters;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    enum Size {
        Small,
        Large,
    }
    label! { Size as "size" { Small => "small", Large => "large" } }

    counters! {
        /// Counts for the test.
        struct Sample of "sample";

        bytes_sent: Counter Bytes "Bytes sent.";
        dials: Counter Count "Dials." high "Dial less.";
        kept: Gauge Bytes "Bytes kept.";
        moved: Counter Bytes "Bytes moved." by (Way Size);
        slots: Level Count "Slots." high "Have more.";
        delay: Histogram Seconds "How long.";
    }

    #[test]
    fn the_name_outside_follows_from_room_field_kind_and_unit() {
        let names = Sample::TABLE.iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected = [
            "positron_sample_sent_bytes_total",
            "positron_sample_dials_total",
            "positron_sample_kept_bytes",
            "positron_sample_moved_bytes_total",
            "positron_sample_slots",
            "positron_sample_delay_seconds",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn each_number_stands_beside_what_it_is() {
        let mut sample = Sample { bytes_sent: 1, dials: 2, kept: 3, ..Sample::default() };
        sample.slots = Level::new(1, 4);
        sample.delay.note(core::time::Duration::from_millis(3));
        sample.moved.add((Way::Out, Size::Small), 7);
        let seen = sample.iter().map(|(metric, value)| (metric.field, value.total()));
        let counted = [("bytes_sent", 1), ("dials", 2), ("kept", 3)];
        let others = [("moved", 7), ("slots", 1), ("delay", 1)];
        assert!(seen.eq(counted.into_iter().chain(others)));
        let twice = sample + sample;
        assert_eq!((twice.moved.get((Way::Out, Size::Small)), twice.delay.count()), (14, 2));
    }

    #[test]
    fn what_is_split_stands_in_the_order_of_the_words() {
        let mut sample = Sample::default();
        sample.moved.add((Way::In, Size::Large), 1);
        sample.moved.add((Way::Out, Size::Small), 2);
        let (metric, reading) = sample.iter().nth(3).expect("the fourth line");
        let MetricValue::Split(cells) = reading else { panic!("{reading:?}") };
        assert_eq!(cells, [0, 1, 2, 0]);
        let keys = metric.labels.iter().map(|label| label.name).collect::<Vec<_>>();
        assert_eq!((keys.as_slice(), metric.series()), (&["direction", "size"][..], 4));
        let shown = serde_json_like(&sample.moved);
        assert_eq!(shown, [("in large".to_owned(), 1), ("out small".to_owned(), 2)]);
    }

    fn serde_json_like<L: LabelSet, const N: usize>(of: &Family<L, N>) -> Vec<(String, u64)> {
        of.iter().filter(|(_, number)| *number > 0).collect()
    }
}

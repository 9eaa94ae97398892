//! What a counter is: the one table that statistics, metrics and their documents are made from.
//!
//! A room declares its counters once, a line each, in its `counters.rs`: `field: Kind Unit
//! "help";`. The lines make a struct of plain numbers, which the room counts in, and a table beside
//! it, which says of each number what it is.

use core::fmt;

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
    /// A sentence for people.
    pub help: &'static str,
}

/// How a number changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// Since the start; it only grows.
    Counter,
    /// At this moment; it comes and goes.
    Gauge,
}

/// What one of a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// One of what the field names.
    Count,
    /// A byte.
    Bytes,
}

/// The name outside: `positron_<room>_<noun>[_<unit>][_total]`, with the unit at its end as
/// Prometheus wants it ("Metric and label naming"): `bytes_sent` of `session` is
/// `positron_session_sent_bytes_total`.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Count => "",
            Unit::Bytes => "bytes",
        };
        write!(f, "positron_{}", self.room)?;
        for word in self.field.split('_').filter(|word| *word != unit) {
            write!(f, "_{word}")?;
        }
        if !unit.is_empty() {
            write!(f, "_{unit}")?;
        }
        match self.kind {
            MetricKind::Counter => f.write_str("_total"),
            MetricKind::Gauge => Ok(()),
        }
    }
}

/// Declares the counters of a room: see the module.
macro_rules! counters {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident of $room:literal;
        $($field:ident: $kind:ident $unit:ident $help:literal;)+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        $vis struct $name {
            $(#[doc = $help] $vis $field: u64,)+
        }

        impl $name {
            /// What each number is, in the order of the fields.
            $vis const TABLE: &'static [$crate::metric::Metric] = &[$($crate::metric::Metric {
                room: $room,
                field: stringify!($field),
                kind: $crate::metric::MetricKind::$kind,
                unit: $crate::metric::Unit::$unit,
                help: $help,
            }),+];

            /// Every number with what it is.
            $vis fn iter(
                &self,
            ) -> impl Iterator<Item = (&'static $crate::metric::Metric, u64)> + use<> {
                Self::TABLE.iter().zip([$(self.$field),+])
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
}
pub(crate) use counters;

#[cfg(test)]
mod tests {
    counters! {
        /// Counts for the test.
        struct Sample of "sample";

        bytes_sent: Counter Bytes "Bytes sent.";
        dials: Counter Count "Dials.";
        kept: Gauge Bytes "Bytes kept.";
    }

    #[test]
    fn the_name_outside_follows_from_room_field_kind_and_unit() {
        let names = Sample::TABLE.iter().map(ToString::to_string).collect::<Vec<_>>();
        let expected = [
            "positron_sample_sent_bytes_total",
            "positron_sample_dials_total",
            "positron_sample_kept_bytes",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn each_number_stands_beside_what_it_is() {
        let sample = Sample { bytes_sent: 1, dials: 2, kept: 3 };
        let seen = sample.iter().map(|(metric, value)| (metric.field, value)).collect::<Vec<_>>();
        assert_eq!(seen, [("bytes_sent", 1), ("dials", 2), ("kept", 3)]);
    }
}

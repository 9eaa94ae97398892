//! What an expression speaks of.

use positron_networking::metrics::{Metric, MetricKind, table};

/// The numbers that an expression names, each once.
///
/// # Panics
/// A name of ours is in no table.
pub(crate) fn named_in(expression: &str) -> Vec<&'static Metric> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expression.split(|c| !is_part(c)).filter(|word| word.starts_with("positron_"));
    let mut named = Vec::new();
    for word in words {
        let metric = table().into_iter().find(|metric| names_of(metric).contains(&word.to_owned()));
        let metric = metric.unwrap_or_else(|| panic!("{word} is no metric, in {expression}"));
        if !named.contains(&metric) {
            named.push(metric);
        }
    }
    named
}

/// Every name that a number has outside.
fn names_of(metric: &Metric) -> Vec<String> {
    let suffixes: &[&str] = match metric.kind {
        MetricKind::Counter | MetricKind::Gauge => &[""],
        // The first one is part of a pattern.
        MetricKind::Level => &["", "_used", "_limit"],
        MetricKind::Histogram => &["_bucket", "_sum", "_count"],
    };
    suffixes.iter().map(|suffix| format!("{metric}{suffix}")).collect()
}

/// What is bounded.
pub(crate) fn levels() -> impl Iterator<Item = &'static Metric> {
    table().into_iter().filter(|metric| metric.kind == MetricKind::Level)
}

//! An application's own metrics.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError, Weak},
    time::Instant,
};

use positron_proto::metric::{MetricKind, MetricValue};
use serde::Serialize;

use super::{
    ByPeer, Exposition, MetricsFormat, NodeNumbers, Numbers,
    name::{MetricError, OwnName},
    own::{HistogramSummary, OwnValue, as_f64},
};
use crate::limits::MAX_OWN_SERIES;

/// An application's own metrics, by dotted names, and all nodes of its process: see
/// [`get_metrics`].
///
/// A name is made by the first call that says it, and stays what that call made it. A unit is the
/// last word of a name, in base units: `message.size.bytes`, `message.latency.seconds`; `total` at
/// the end of a counter's may be left out. There are no labels.
///
/// Bounded by [`MAX_OWN_SERIES`]: what is beyond it is refused, so that names that are made of data
/// are noticed soon.
#[derive(Debug)]
pub struct Metrics {
    own: Mutex<BTreeMap<OwnName, OwnValue>>,
    nodes: Mutex<Vec<Weak<dyn Numbers>>>,
}

/// Everything that an application counts and its nodes do, by dotted names.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AllMetrics {
    /// What only grows.
    pub counters: BTreeMap<String, u64>,
    /// What comes and goes.
    pub gauges: BTreeMap<String, f64>,
    /// What is distributed.
    pub histograms: BTreeMap<String, HistogramSummary>,
}

/// Measures from its making until it is dropped: see [`Metrics::timer`].
#[derive(Debug)]
#[must_use = "it measures until it is dropped"]
pub struct Timer<'a> {
    metrics: &'a Metrics,
    name: OwnName,
    since: Instant,
}

/// The metrics of this process.
///
/// ```
/// use positron_networking::metrics::get_metrics;
///
/// get_metrics().observe_histogram("page.size.bytes", 1024.0)?;
/// let all = get_metrics().get_all_metrics();
/// assert_eq!(all.histograms["page.size.bytes"].count, 1);
/// # Ok::<(), positron_networking::metrics::MetricError>(())
/// ```
pub fn get_metrics() -> &'static Metrics {
    static METRICS: Metrics = Metrics::new();
    &METRICS
}

impl Metrics {
    const fn new() -> Self {
        Self { own: Mutex::new(BTreeMap::new()), nodes: Mutex::new(Vec::new()) }
    }

    /// So many more.
    ///
    /// # Errors
    /// See [`MetricError`].
    pub fn increment_counter(&self, name: &str, by: u64) -> Result<(), MetricError> {
        self.change(OwnName::read(name)?, OwnValue::Counter(0), |value| {
            if let OwnValue::Counter(number) = value {
                *number = number.saturating_add(by);
            }
        })
    }

    /// So much at this moment.
    ///
    /// # Errors
    /// See [`MetricError`].
    pub fn set_gauge(&self, name: &str, value: f64) -> Result<(), MetricError> {
        let name = OwnName::read(name)?;
        if !value.is_finite() {
            return Err(no_value(&name, value));
        }
        self.change(name, OwnValue::Gauge(0.0), |gauge| *gauge = OwnValue::Gauge(value))
    }

    /// One value of many.
    ///
    /// # Errors
    /// See [`MetricError`].
    pub fn observe_histogram(&self, name: &str, value: f64) -> Result<(), MetricError> {
        let name = OwnName::read(name)?;
        if !value.is_finite() || value < 0.0 {
            return Err(no_value(&name, value));
        }
        self.observe(name, value)
    }

    /// Measures, in seconds, until what is returned is dropped.
    ///
    /// # Errors
    /// See [`MetricError`]; nothing is measured then.
    pub fn timer(&self, name: &str) -> Result<Timer<'_>, MetricError> {
        let name = OwnName::read(name)?;
        self.change(name.clone(), OwnValue::histogram(&name), |_| ())?;
        Ok(Timer { metrics: self, name, since: Instant::now() })
    }

    /// Everything by its dotted name: the application's own, and the numbers of this process's
    /// nodes, all of them together, as `positron.<room>.<noun>`.
    pub fn get_all_metrics(&self) -> AllMetrics {
        let mut all = AllMetrics::default();
        for node in self.nodes() {
            for (metric, reading) in node.iter() {
                let name = metric.to_string().replace('_', ".");
                match (metric.kind, reading) {
                    (MetricKind::Counter, _) => {
                        *all.counters.entry(name).or_default() += reading.total();
                    }
                    (MetricKind::Gauge, _) => {
                        *all.gauges.entry(name).or_default() += as_f64(reading.total());
                    }
                    (_, MetricValue::Level(level)) => {
                        for (part, number) in [("used", level.used), ("limit", level.limit)] {
                            let gauge = all.gauges.entry(format!("{name}.{part}")).or_default();
                            *gauge += as_f64(number);
                        }
                    }
                    (_, MetricValue::Histogram(histogram)) => {
                        all.histograms.entry(name).or_default().add(histogram);
                    }
                    _ => {}
                }
            }
        }
        for (name, metric) in &*lock(&self.own) {
            let name = name.dotted().to_owned();
            match metric {
                OwnValue::Counter(number) => {
                    all.counters.insert(name, *number);
                }
                OwnValue::Gauge(value) => {
                    all.gauges.insert(name, *value);
                }
                OwnValue::Histogram(histogram) => {
                    all.histograms.insert(name, histogram.summary());
                }
            }
        }
        all
    }

    /// The most important numbers, by the first word of their names and the rest of it, without
    /// units and `total`; of a histogram the mean. While nodes run here, `messages.sent`,
    /// `messages.received`, `peers.active` and `connections.active` are theirs, unless the
    /// application counts them itself.
    pub fn get_summary(&self) -> BTreeMap<String, BTreeMap<String, f64>> {
        let mut summary: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
        for node in self.nodes() {
            for (first, rest, room, field) in OF_NODES {
                let group = summary.entry(first.to_owned()).or_default();
                *group.entry(rest.to_owned()).or_default() += as_f64(node.total(room, field));
            }
        }
        for (name, metric) in &*lock(&self.own) {
            let (first, rest) = name.in_summary();
            let value = match metric {
                OwnValue::Counter(number) => as_f64(*number),
                OwnValue::Gauge(value) => *value,
                OwnValue::Histogram(histogram) => histogram.summary().mean(),
            };
            summary.entry(first).or_default().insert(rest, value);
        }
        summary
    }

    /// The application's own metrics and those of all nodes of this process, as Prometheus' text.
    pub fn export_prometheus(&self) -> String {
        let nodes = self.nodes();
        let says_which = nodes.len() > 1;
        Exposition::new(nodes, says_which, self.own()).text(MetricsFormat::Text)
    }

    /// A node runs in this process.
    pub(crate) fn watch(&self, node: Weak<dyn Numbers>) {
        let mut nodes = lock(&self.nodes);
        nodes.retain(|node| node.strong_count() > 0);
        nodes.push(node);
    }

    /// Of one node, beside the application's own.
    pub(crate) fn of_node(&self, numbers: NodeNumbers) -> Exposition {
        let running = lock(&self.nodes).iter().filter(|node| node.strong_count() > 0).count();
        Exposition::new(vec![numbers], running > 1, self.own())
    }

    fn own(&self) -> Vec<(OwnName, OwnValue)> {
        let own = lock(&self.own);
        own.iter().map(|(name, metric)| (name.clone(), metric.clone())).collect()
    }

    /// The numbers of every node, each id once: two series of one name would cost the reader the
    /// whole text.
    fn nodes(&self) -> Vec<NodeNumbers> {
        let running: Vec<_> = lock(&self.nodes).iter().filter_map(Weak::upgrade).collect();
        let mut nodes: Vec<NodeNumbers> =
            running.iter().map(|node| node.numbers(ByPeer::Without)).collect();
        nodes.sort_by(|a, b| a.node.cmp(&b.node));
        nodes.dedup_by(|a, b| a.node == b.node);
        nodes
    }

    fn observe(&self, name: OwnName, value: f64) -> Result<(), MetricError> {
        let new = OwnValue::histogram(&name);
        self.change(name, new, |of| {
            if let OwnValue::Histogram(histogram) = of {
                histogram.note(value);
            }
        })
    }

    fn change(
        &self,
        name: OwnName,
        new: OwnValue,
        change: impl FnOnce(&mut OwnValue),
    ) -> Result<(), MetricError> {
        let mut own = lock(&self.own);
        if let Some(metric) = own.get_mut(&name)
            && metric.kind() == new.kind()
        {
            change(metric);
            return Ok(());
        }
        if let Some((other, metric)) = own.iter().find(|(other, _)| other.is_same_outside(&name)) {
            let (name, is) = (other.dotted().to_owned(), metric.kind());
            return Err(MetricError::Taken { name, is });
        }
        let series: usize = own.values().map(OwnValue::series).sum();
        if series + new.series() > MAX_OWN_SERIES {
            return Err(MetricError::TooMany { name: name.dotted().to_owned() });
        }
        let metric = own.entry(name).or_insert(new);
        change(metric);
        Ok(())
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        // The name is a histogram's since the timer was made.
        let _ = self.metrics.observe(self.name.clone(), self.since.elapsed().as_secs_f64());
    }
}

fn no_value(name: &OwnName, value: f64) -> MetricError {
    MetricError::Value { name: name.dotted().to_owned(), value: value.to_string() }
}

/// A panic of somebody who held it leaves each number as it was, or as it is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What of a summary is the nodes', and where it is counted.
const OF_NODES: [(&str, &str, &str, &str); 4] = [
    ("messages", "sent", "session", "messages_sent"),
    ("messages", "received", "session", "messages_received"),
    ("peers", "active", "session", "peers"),
    ("connections", "active", "session", "peers"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_founding_document_shows_works() {
        let metrics = Metrics::new();
        metrics.increment_counter("messages.sent.total", 1).unwrap();
        metrics.increment_counter("messages.received.total", 5).unwrap();
        metrics.set_gauge("connections.active", 10.0).unwrap();
        metrics.set_gauge("peers.active", 25.0).unwrap();
        metrics.observe_histogram("message.size.bytes", 1024.0).unwrap();
        metrics.observe_histogram("message.latency.seconds", 0.05).unwrap();
        drop(metrics.timer("operation.duration.seconds").unwrap());
        let summary = metrics.get_summary();
        assert_eq!((summary["messages"]["sent"], summary["peers"]["active"]), (1.0, 25.0));
        assert_eq!((summary["messages"]["received"], summary["message"]["size"]), (5.0, 1024.0));
        let all = metrics.get_all_metrics();
        assert_eq!(all.counters["messages.received.total"], 5);
        assert_eq!(all.histograms["operation.duration.seconds"].count, 1);
        let text = metrics.export_prometheus();
        let lines = [
            "# TYPE messages_received_total counter\nmessages_received_total 5\n",
            "connections_active 10.0\n",
            "message_latency_seconds_bucket{le=\"0.064\"} 1\n",
            "message_latency_seconds_bucket{le=\"0.032\"} 0\n",
            "message_size_bytes_sum 1024.0\n",
            "operation_duration_seconds_count 1\n",
        ];
        for line in lines {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_name_stays_what_it_is_also_under_its_other_spellings() {
        let metrics = Metrics::new();
        metrics.increment_counter("messages.sent.total", 1).unwrap();
        let name = "messages.sent.total".to_owned();
        let taken = Err(MetricError::Taken { name, is: "counter" });
        assert_eq!(metrics.set_gauge("messages.sent.total", 1.0), taken);
        assert_eq!(metrics.increment_counter("messages.sent", 1), taken);
        assert_eq!(metrics.observe_histogram("messages_sent", 1.0), taken);
        assert_eq!(metrics.timer("messages.sent").map(drop), taken);
    }

    #[test]
    fn names_that_are_made_of_data_are_refused_soon_and_leave_what_is_there() {
        let metrics = Metrics::new();
        let taken = (0..10_000)
            .filter(|n| metrics.increment_counter(&format!("request.of.user{n}"), 1).is_ok());
        assert_eq!(taken.count(), MAX_OWN_SERIES);
        metrics.increment_counter("request.of.user7", 1).unwrap();
        let wrong = metrics.observe_histogram("one.more.seconds", 1.0).unwrap_err();
        assert!(matches!(wrong, MetricError::TooMany { .. }), "{wrong}");
        assert_eq!(metrics.get_all_metrics().counters["request.of.user7"], 2);
    }

    #[test]
    fn what_is_no_number_is_refused_and_makes_no_name() {
        let metrics = Metrics::new();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let wrong = metrics.set_gauge("a", value).unwrap_err();
            assert!(matches!(wrong, MetricError::Value { .. }), "{wrong}");
        }
        let wrong = metrics.observe_histogram("b", -1.0).unwrap_err();
        assert!(wrong.to_string().contains("not negative"), "{wrong}");
        assert_eq!(metrics.get_all_metrics(), AllMetrics::default());
        metrics.increment_counter("c", u64::MAX).unwrap();
        metrics.increment_counter("c", 1).unwrap();
        assert_eq!(metrics.get_all_metrics().counters["c"], u64::MAX);
    }
}

//! The numbers of a process as a text.

use std::fmt;

use positron_proto::metric::{Histogram, LabelKey, Metric, MetricKind, MetricValue};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text::encode},
    metrics::MetricType,
    registry::{Registry, Unit},
};

use super::{
    MetricsFormat,
    format::as_text,
    name::OwnName,
    numbers::{NodeNumbers, PER_PEER},
    own::OwnValue,
};

/// The numbers of a process at one moment: those of its nodes, and the application's own. In the
/// order of their tables, so that two texts differ where numbers do.
#[derive(Debug)]
pub(crate) struct Exposition {
    nodes: Vec<NodeNumbers>,
    /// Whether each series says of which node it is: only where there are several.
    says_which: bool,
    own: Vec<(OwnName, OwnValue)>,
}

impl Exposition {
    /// Of these nodes; `says_which` names them.
    pub(super) fn new(
        nodes: Vec<NodeNumbers>,
        says_which: bool,
        own: Vec<(OwnName, OwnValue)>,
    ) -> Self {
        Self { nodes, says_which, own }
    }

    /// The text.
    pub(crate) fn text(self, format: MetricsFormat) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes every text");
        match format {
            MetricsFormat::OpenMetrics => text,
            MetricsFormat::Text => as_text(&text),
        }
    }
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let build = [("version", env!("CARGO_PKG_VERSION")), ("commit", COMMIT)];
        encoder
            .encode_descriptor("positron_build", "What runs.", None, MetricType::Info)?
            .encode_info(&build)?;
        // Each number once, of all nodes: a name stands in a text only once.
        let mut readings: Vec<_> = self.nodes.iter().map(NodeNumbers::iter).collect();
        loop {
            let mut of_nodes = readings.iter_mut().zip(&self.nodes).filter_map(|(next, node)| {
                let (metric, reading) = next.next()?;
                Some((metric, self.says_which.then_some(node.node.as_str()), reading))
            });
            let Some(first) = of_nodes.next() else { break };
            let all: Vec<_> = core::iter::once(first).chain(of_nodes).collect();
            encode_metric(&mut encoder, all[0].0, &all)?;
        }
        for (nth, metric) in PER_PEER.iter().enumerate() {
            self.encode_peers(&mut encoder, nth, metric)?;
        }
        for (name, metric) in &self.own {
            encode_own(&mut encoder, name, metric)?;
        }
        Ok(())
    }
}

impl Exposition {
    fn encode_peers(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        nth: usize,
        metric: &Metric,
    ) -> fmt::Result {
        if self.nodes.iter().all(|node| node.peers.is_empty()) {
            return Ok(());
        }
        let (noun, unit) = (metric.noun(), unit_of(metric));
        let mut series =
            encoder.encode_descriptor(&noun, metric.help, unit.as_ref(), MetricType::Gauge)?;
        for node in &self.nodes {
            for peer in &node.peers {
                let mut labels = of_node(self.says_which.then_some(node.node.as_str()));
                labels.push(("peer", &peer.peer));
                series.encode_family(&labels)?.encode_gauge(&peer.values[nth])?;
            }
        }
        Ok(())
    }
}

type OfNode<'a> = (&'static Metric, Option<&'a str>, MetricValue<'a>);
type Labels<'a> = Vec<(&'a str, &'a str)>;

fn of_node(node: Option<&str>) -> Labels<'_> {
    node.map(|node| ("node", node)).into_iter().collect()
}

fn encode_metric(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    of_nodes: &[OfNode<'_>],
) -> fmt::Result {
    if metric.kind == MetricKind::Level {
        return encode_level(encoder, metric, of_nodes);
    }
    let kind = match metric.kind {
        MetricKind::Counter => MetricType::Counter,
        MetricKind::Gauge | MetricKind::Level => MetricType::Gauge,
        MetricKind::Histogram => MetricType::Histogram,
    };
    let (noun, unit) = (metric.noun(), unit_of(metric));
    let mut series = encoder.encode_descriptor(&noun, metric.help, unit.as_ref(), kind)?;
    for (_, node, reading) in of_nodes {
        match reading {
            MetricValue::Number(number) => {
                encode_number(&mut series, kind, &of_node(*node), *number)?;
            }
            MetricValue::Split(numbers) => {
                for (place, number) in numbers.iter().enumerate() {
                    let mut labels = of_node(*node);
                    labels.extend(words(metric.labels, place));
                    encode_number(&mut series, kind, &labels, *number)?;
                }
            }
            MetricValue::Histogram(histogram) => {
                let (sum, buckets) = (histogram.sum().as_secs_f64(), buckets_of(histogram));
                let count = histogram.count();
                let labels = of_node(*node);
                encode_histogram(&mut series, &labels, sum, count, &buckets)?;
            }
            MetricValue::Level(_) => {}
        }
    }
    Ok(())
}

/// How near to the edge: two gauges, told alike everywhere.
fn encode_level(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric,
    of_nodes: &[OfNode<'_>],
) -> fmt::Result {
    for (suffix, of) in [("used", "What there is"), ("limit", "The most there can be")] {
        let name = format!("{}_{suffix}", metric.stem());
        let help = format!("{} {of}.", metric.help);
        let mut series = encoder.encode_descriptor(&name, &help, None, MetricType::Gauge)?;
        for (_, node, reading) in of_nodes {
            if let MetricValue::Level(level) = reading {
                let number = if suffix == "used" { level.used } else { level.limit };
                encode_number(&mut series, MetricType::Gauge, &of_node(*node), number)?;
            }
        }
    }
    Ok(())
}

fn encode_own(
    encoder: &mut DescriptorEncoder<'_>,
    name: &OwnName,
    metric: &OwnValue,
) -> fmt::Result {
    let unit = name.unit();
    let kind = match metric {
        OwnValue::Counter(_) => MetricType::Counter,
        OwnValue::Gauge(_) => MetricType::Gauge,
        OwnValue::Histogram(_) => MetricType::Histogram,
    };
    let help = "The application's own.";
    let mut series = encoder.encode_descriptor(name.noun(), help, unit.as_ref(), kind)?;
    match metric {
        OwnValue::Counter(number) => encode_number(&mut series, kind, &Labels::new(), *number),
        OwnValue::Gauge(value) => series.encode_gauge(value),
        OwnValue::Histogram(histogram) => {
            let (sum, count) = (histogram.sum, histogram.count());
            let buckets = histogram.buckets_with_bounds();
            encode_histogram(&mut series, &Labels::new(), sum, count, &buckets)
        }
    }
}

fn encode_number(
    series: &mut MetricEncoder<'_>,
    kind: MetricType,
    labels: &Labels<'_>,
    number: u64,
) -> fmt::Result {
    let encode = |series: &mut MetricEncoder<'_>| match kind {
        MetricType::Counter => series.encode_counter::<NoLabelSet, u64, f64>(&number, None),
        _ => series.encode_gauge(&number),
    };
    // A set without labels would be told as `{}`.
    if labels.is_empty() { encode(series) } else { encode(&mut series.encode_family(labels)?) }
}

fn encode_histogram(
    series: &mut MetricEncoder<'_>,
    labels: &Labels<'_>,
    sum: f64,
    count: u64,
    buckets: &[(f64, u64)],
) -> fmt::Result {
    if labels.is_empty() {
        return series.encode_histogram::<NoLabelSet>(sum, count, buckets, None);
    }
    series.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, count, buckets, None)
}

fn buckets_of(histogram: &Histogram) -> Vec<(f64, u64)> {
    let mut buckets: Vec<_> =
        histogram.buckets().map(|(most, number)| (most.as_secs_f64(), number)).collect();
    let within: u64 = buckets.iter().map(|(_, number)| number).sum();
    buckets.push((f64::INFINITY, histogram.count() - within));
    buckets
}

/// The words of the combination at this place: the last label's are fastest.
fn words(labels: &'static [LabelKey], place: usize) -> Labels<'static> {
    let mut rest = place;
    let mut words: Labels<'static> = Labels::with_capacity(labels.len());
    for label in labels.iter().rev() {
        words.push((label.name, label.words[rest % label.words.len()]));
        rest /= label.words.len();
    }
    words.reverse();
    words
}

fn unit_of(metric: &Metric) -> Option<Unit> {
    let word = metric.unit.word();
    (!word.is_empty()).then(|| Unit::Other(word.to_owned()))
}

/// The commit that was built, if whoever built it said so.
const COMMIT: &str = match option_env!("POSITRON_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

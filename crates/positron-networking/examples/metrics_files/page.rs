//! The page that people read.

use std::fmt::Write as _;

use positron_networking::{
    limits::{MAX_METRIC_PEERS, MAX_OWN_SERIES, MAX_SERIES},
    metrics::{Metric, MetricKind, table},
};

/// `METRICS.md`: every number of a node, what it is, and what to do when it is high.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    let _ = writeln!(
        page,
        "A node has at most {MAX_SERIES} series, whatever peers do: labels have the words of this \
         page and no others. Beside them stand at most {MAX_OWN_SERIES} of the application's own \
         (`positron_networking::metrics::get_metrics`), and, with `?collect=peers`, at most \
         {MAX_METRIC_PEERS} peers by the beginnings of their ids. Every series of a node is there \
         from its start. Where a process runs several nodes, each series has a label `node` too. \
         What is bounded has two names, `_used` and `_limit`, so that `_used / _limit` tells \
         everywhere how near the edge is. `positron_build_info` says in its labels `version` and \
         `commit` what runs."
    );
    let mut room = "";
    for metric in table() {
        if metric.room != room {
            room = metric.room;
            let _ = writeln!(page, "\n## {room}\n\n{COLUMNS}");
        }
        let _ = writeln!(page, "{}", row(metric));
    }
    page
}

fn row(metric: &Metric) -> String {
    let (kind, name) = match metric.kind {
        MetricKind::Counter => ("counter", format!("`{metric}`")),
        MetricKind::Gauge => ("gauge", format!("`{metric}`")),
        MetricKind::Histogram => ("histogram", format!("`{metric}`")),
        MetricKind::Level => ("level", format!("`{metric}_used`, `{metric}_limit`")),
    };
    let labels: Vec<_> =
        metric.labels.iter().map(|of| format!("`{}`: {}", of.name, of.words.join(", "))).collect();
    let labels = labels.join("; ");
    format!("| {name} | {kind} | {} | {labels} | {} |", metric.help, metric.when_high)
}

const HEAD: &str = "# Metrics

Made from the tables in the code by \
`cargo run -p positron-networking --example metrics_files`; not to be edited.

";

const COLUMNS: &str = "| name | kind | what it is | labels | when it is high |\n\
                       | --- | --- | --- | --- | --- |";

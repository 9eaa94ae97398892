//! What a simulation came to.

use positron_networking::{TransportPolicy, stats::PerKind};
use serde::Serialize;

use super::{latency::Percentiles, lateness::SATURATED, ledger::Ledger, table::percent};
use crate::table::{Fields, bytes, count};

/// Missed deliveries that are listed one by one.
const MAX_MISSED: usize = 20;

/// What a simulation came to. Times are seconds unless the name says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Report {
    /// Nodes.
    pub nodes: usize,
    /// Nodes that hung together with the first before anything was sent.
    pub connected_nodes: usize,
    /// What links could be made of.
    pub transport: TransportPolicy,
    /// Ends of links at the end, by what the links were made of: a link has two.
    pub link_ends: PerKind<usize>,
    /// Decided who sent what.
    pub seed: u64,
    /// Bytes in each broadcast.
    pub payload_bytes: usize,
    /// Broadcasts that a node took.
    pub broadcasts: u64,
    /// Broadcasts that a node refused, or could not keep.
    pub failed_broadcasts: u64,
    /// Why the first of them failed.
    pub first_failure: Option<String>,
    /// Deliveries, each counted once.
    pub deliveries: u64,
    /// One for each broadcast and each node but its sender.
    pub expected_deliveries: u64,
    /// Deliveries of what was delivered before.
    pub duplicate_deliveries: u64,
    /// From the call to the receipt; `None` when nothing was delivered.
    pub latency_ms: Option<Percentiles>,
    /// Bytes that all nodes gave to their links while messages were sent.
    pub wire_bytes: u64,
    /// From the first broadcast to the end.
    pub duration_s: f64,
    /// From the first broadcast to the last delivery.
    pub(crate) delivering_s: f64,
    /// From the start of the first node until all hung together.
    pub connected_s: f64,
    /// From the start of the first node to the first delivery.
    pub first_delivery_s: Option<f64>,
    /// Processor time while messages were sent.
    pub cpu_s: Option<f64>,
    /// The same for each delivery.
    pub cpu_s_per_delivery: Option<f64>,
    /// How late tasks of the process woke, on average, in the worse half of the run.
    pub wake_delay_ms: f64,
    /// Whether it was ended by a signal.
    pub interrupted: bool,
    /// Who missed what; the first ones.
    pub missed: Vec<Missed>,
}

/// A broadcast that did not reach a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Missed {
    /// The broadcast, counted from 0.
    pub broadcast: usize,
    /// The node, counted from 0.
    pub node: usize,
}

impl Report {
    /// How many links there are of each kind, in words. A link has two ends.
    fn links(&self) -> String {
        let links = self.link_ends.iter().map(|(kind, ends)| format!("{} over {kind}", ends / 2));
        links.collect::<Vec<_>>().join(", ")
    }

    /// The part that the books tell.
    pub(crate) fn of(books: &Ledger, nodes: usize) -> Self {
        let totals = books.totals();
        let missed = books.missed().map(|(broadcast, node)| Missed { broadcast, node });
        Self {
            nodes,
            connected_nodes: 0,
            transport: TransportPolicy::Auto,
            link_ends: PerKind::default(),
            seed: 0,
            payload_bytes: super::PAYLOAD,
            broadcasts: totals.broadcasts,
            failed_broadcasts: totals.failed,
            first_failure: None,
            deliveries: totals.deliveries,
            expected_deliveries: totals.expected,
            duplicate_deliveries: totals.duplicates,
            latency_ms: totals.latency,
            wire_bytes: 0,
            duration_s: 0.0,
            delivering_s: 0.0,
            connected_s: 0.0,
            first_delivery_s: None,
            cpu_s: None,
            cpu_s_per_delivery: None,
            wake_delay_ms: 0.0,
            interrupted: false,
            missed: missed.take(MAX_MISSED).collect(),
        }
    }

    /// With the processor time that one delivery cost.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rough number")]
    pub(crate) fn with_cpu_per_delivery(mut self) -> Self {
        let cost = |cpu: f64| cpu / self.deliveries as f64;
        self.cpu_s_per_delivery = self.cpu_s.filter(|_| self.deliveries > 0).map(cost);
        self
    }

    /// Whether the machine was too busy to keep promises about time.
    pub(crate) fn is_saturated(&self) -> bool {
        self.wake_delay_ms >= SATURATED.as_secs_f64() * 1e3
    }

    /// What to do about a broken promise.
    pub(crate) fn advice(&self) -> String {
        if self.is_saturated() {
            let Self { nodes, .. } = self;
            return format!(
                "fewer nodes, a machine with less to do, or `simulate --virtual -n {nodes}`"
            );
        }
        format!("run it again with --seed {}", self.seed)
    }

    /// Which promises are broken, in words; none if all hold. What a signal cut short is no
    /// broken promise.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.connected_nodes < self.nodes && !self.interrupted {
            let alone = self.nodes - self.connected_nodes;
            broken.push(format!("{} did not find the others", count(alone, "node")));
        }
        if self.deliveries < self.expected_deliveries && !self.interrupted {
            let missing = self.expected_deliveries - self.deliveries;
            let verb = if missing == 1 { "is" } else { "are" };
            let noun = if missing == 1 { "delivery" } else { "deliveries" };
            broken.push(format!("{missing} {noun} {verb} missing"));
        }
        if self.duplicate_deliveries > 0 {
            let times = count(self.duplicate_deliveries, "time");
            broken.push(format!("a message was delivered again {times}"));
        }
        if self.failed_broadcasts > 0 {
            let why = self.first_failure.as_deref().unwrap_or("unknown");
            let failed = count(self.failed_broadcasts, "broadcast");
            broken.push(format!("{failed} failed: {why}"));
        }
        if !broken.is_empty() && self.is_saturated() {
            let late = self.wake_delay_ms;
            let cause =
                format!("the processor is saturated: tasks woke {late:.0} ms late on average");
            broken.insert(0, cause);
        }
        broken
    }

    /// For people.
    pub(crate) fn fields(&self) -> Fields {
        let mut fields = Fields::default();
        fields
            .line(
                "nodes",
                format_args!(
                    "{}, {} connected in {:.2} s",
                    self.nodes, self.connected_nodes, self.connected_s
                ),
            )
            .line("links", format_args!("{} (transport {})", self.links(), self.transport))
            .line(
                "broadcasts",
                format_args!(
                    "{} of {} bytes in {:.1} s",
                    self.broadcasts, self.payload_bytes, self.duration_s
                ),
            )
            .line(
                "deliveries",
                format_args!(
                    "{} of {} ({}), {} twice",
                    self.deliveries,
                    self.expected_deliveries,
                    percent(self.deliveries, self.expected_deliveries),
                    self.duplicate_deliveries
                ),
            );
        if let Some(Percentiles { p50, p99, max }) = self.latency_ms {
            let latency = format_args!("p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms");
            fields.line("latency", latency);
        }
        if let Some(first) = self.first_delivery_s {
            fields.line("first delivery", format_args!("{first:.2} s after the start"));
        }
        fields.line("on the wire", bytes(self.wire_bytes));
        if let Some(cpu) = self.cpu_s_per_delivery {
            fields.line("processor", format_args!("{:.0} µs a delivery", cpu * 1e6));
        }
        fields.line("seed", self.seed);
        fields
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_report_says_which_promise_is_broken() {
        let now = Instant::now();
        let mut books = Ledger::new(3);
        let number = books.send(0, now);
        books.deliver(1, number, now);
        let mut report = Report { connected_nodes: 3, ..Report::of(&books, 3) };
        assert_eq!(report.broken(), ["1 delivery is missing"]);
        assert_eq!(report.missed, [Missed { broadcast: 0, node: 2 }]);
        (report.interrupted, report.connected_nodes) = (true, 2);
        assert!(report.broken().is_empty());
        books.deliver(2, number, now);
        books.deliver(2, number, now);
        let report = Report { connected_nodes: 2, ..Report::of(&books, 3) };
        assert_eq!(
            report.broken(),
            ["1 node did not find the others", "a message was delivered again 1 time"]
        );
        assert!(report.advice().contains("--seed"));
    }

    #[test]
    fn a_busy_machine_is_named_as_the_cause_and_only_where_something_is_broken() {
        let report = Report { wake_delay_ms: 340.4, ..Report::of(&Ledger::new(9), 9) };
        let broken = report.broken();
        assert_eq!(
            broken,
            [
                "the processor is saturated: tasks woke 340 ms late on average",
                "9 nodes did not find the others"
            ]
        );
        assert!(report.advice().contains("--virtual -n 9"), "{}", report.advice());
        assert!(Report { connected_nodes: 9, ..report }.broken().is_empty());
    }
}

//! What this machine makes of one node's work, and of two networks.

mod parts;

use std::time::Duration;

use positron_networking::TransportPolicy;
use serde::Serialize;

pub(crate) use parts::{Parts, measure};

use crate::{
    failure::Failure,
    signals::Signals,
    simulate::{Nodes, Percentiles, Plan, Report, play},
    table::Fields,
    terminal::Terminal,
};

/// Broadcasts a second while latency is measured: far below what a machine can do.
const STEADY_RATE: f64 = 10.0;
/// Deliveries of the flood, in all.
const FLOOD_DELIVERIES: u64 = 20_000;
/// Faster than any machine.
const FLOOD_RATE: f64 = 1e6;

/// What a network of real nodes on this machine does.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Network {
    /// Nodes.
    nodes: usize,
    /// Ten broadcasts a second: from the call to the receipt.
    latency_ms: Option<Percentiles>,
    /// The same: processor time of a delivery, that of its share of everything else included.
    cpu_us_per_delivery: Option<f64>,
    /// The same: bytes on the wire for a delivery.
    wire_bytes_per_delivery: f64,
    /// As many broadcasts as the nodes take: deliveries a second, in all.
    deliveries_per_s: f64,
    /// The same: processor time of a delivery.
    flood_cpu_us_per_delivery: Option<f64>,
    /// The same: from the call to the receipt.
    flood_latency_ms: Option<Percentiles>,
    /// What went against a promise, in words.
    broken: Vec<String>,
}

impl Network {
    /// Measures a network of `nodes` nodes for about `steady`, and then with a flood.
    pub(crate) async fn measure(
        nodes: usize,
        steady: Duration,
        seed: u64,
        terminal: &Terminal,
        signals: &mut Signals,
    ) -> Result<Self, Failure> {
        let local = Nodes { count: nodes, base_port: None, transport: TransportPolicy::Auto };
        let plan = Plan { rate: STEADY_RATE, duration: Some(steady), messages: None, seed };
        let calm = play(local, &plan, terminal, signals, None).await?;
        let others = (nodes as u64).saturating_sub(1).max(1);
        let messages = Some(FLOOD_DELIVERIES.div_ceil(others));
        let plan = Plan { rate: FLOOD_RATE, duration: None, messages, seed };
        let flood = play(local, &plan, terminal, signals, None).await?;
        Ok(Self::of(&calm, &flood))
    }

    #[expect(clippy::cast_precision_loss, reason = "rough numbers")]
    fn of(calm: &Report, flood: &Report) -> Self {
        let micros = |seconds: f64| seconds * 1e6;
        Self {
            nodes: calm.nodes,
            latency_ms: calm.latency_ms,
            cpu_us_per_delivery: calm.cpu_s_per_delivery.map(micros),
            wire_bytes_per_delivery: calm.wire_bytes as f64 / calm.deliveries.max(1) as f64,
            deliveries_per_s: flood.deliveries as f64 / flood.delivering_s.max(1e-6),
            flood_cpu_us_per_delivery: flood.cpu_s_per_delivery.map(micros),
            flood_latency_ms: flood.latency_ms,
            broken: [calm.broken(), flood.broken()].concat(),
        }
    }

    /// What went against a promise, in words.
    pub(crate) fn broken(&self) -> &[String] {
        &self.broken
    }

    /// For people.
    pub(crate) fn describe(&self, fields: &mut Fields) {
        let Percentiles { p50, p99, .. } = self.latency_ms.unwrap_or_default();
        let cpu = |cpu: Option<f64>| cpu.map_or_else(|| "-".to_owned(), |us| format!("{us:.0} µs"));
        fields
            .line(&format!("{} nodes", self.nodes), "")
            .line("  latency", format_args!("p50 {p50:.1} ms, p99 {p99:.1} ms"))
            .line(
                "  a delivery",
                format_args!(
                    "{} of processor, {:.0} bytes on the wire",
                    cpu(self.cpu_us_per_delivery),
                    self.wire_bytes_per_delivery
                ),
            )
            .line(
                "  flood",
                format_args!(
                    "{:.0} deliveries/s, {} of processor each",
                    self.deliveries_per_s,
                    cpu(self.flood_cpu_us_per_delivery)
                ),
            );
    }
}

//! Numbers for who watches: those of nodes, as Prometheus reads them, and an application's own.
//!
//! A node's numbers are in one text, [`Node::metrics`](crate::Node::metrics); `METRICS.md` lists
//! them. An application counts by [`get_metrics`], with or without a node, and what it counts
//! stands in the text of every node of its process too:
//!
//! ```
//! use positron_networking::metrics::get_metrics;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let metrics = get_metrics();
//! metrics.increment_counter("orders.taken.total", 2)?;
//! metrics.set_gauge("orders.open", 7.0)?;
//! {
//!     let _timer = metrics.timer("order.duration.seconds")?;
//!     // What takes time.
//! }
//! assert_eq!(metrics.get_summary()["orders"]["taken"], 2.0);
//! assert!(metrics.export_prometheus().contains("orders_taken_total 2"));
//! # Ok(())
//! # }
//! ```
//!
//! Nothing that a peer chooses is in a name or a label: a node has the same series from its start
//! to its end, fewer than [`MAX_SERIES`](crate::limits::MAX_SERIES) whatever peers do.

mod application;
mod exposition;
mod format;
mod name;
mod numbers;
mod own;

pub use application::{AllMetrics, Metrics, Timer, get_metrics};
pub use format::{ByPeer, MetricsFormat};
pub use name::MetricError;
pub use numbers::table;
pub use own::HistogramSummary;
pub use positron_proto::metric::{LabelKey, Metric, MetricKind, Unit};

pub(crate) use exposition::Exposition;
pub(crate) use numbers::{NodeNumbers, Numbers, SocketNumbers};

//! Where did my message go? The way of messages through this node, and through the network
//! `[PROTOCOL 3.7]`.
//!
//! # Nouns
//!
//! - a [`JourneyStep`](crate::journey::JourneyStep) is what `gossip` tells of a broadcast: it
//!   came, it went on to these, it came again from that one, that one says it has it;
//! - a *journey* is all steps of one message here. The last
//!   [`MAX_JOURNEYS`](crate::limits::MAX_JOURNEYS) are kept, always;
//! - the *children* of a node are those who have a message from it first. A child knows its parent;
//!   a parent knows whom it sent the message to, and crosses out who sent or announced it back, for
//!   nobody announces a message to whom it has it from;
//! - a [`TraceOrder`] is the wish of a message's own sender to know its way, signed by it;
//! - an *errand* is a trace under way at one node: the children that were asked, and the
//!   [`TraceSum`] of what they said so far.
//!
//! # An errand
//!
//! ```text
//!            ask of our parent, order verified            own order
//!                             │                               │
//!                             ▼                               ▼
//!   children asked, each once ─▶ OPEN ──all have answered──▶ sum to the parent; of ours, a report
//!                                 │
//!                                 └──patience over, or child gone──▶ they are silent; the same
//! ```
//!
//! # Messages
//!
//! [`TraceMessage::Ask`] and [`TraceMessage::Answer`], one of each an edge, in the lowest lane.
//!
//! # Bounds
//!
//! All in [`crate::limits`], the file `trace.rs`: memory of journeys, traces a minute by sender and
//! in all, depth, patience, bytes of an answer, and how many nodes an answer may claim.
//!
//! Reading order: [`TraceMessage`], [`TraceEffect`], [`TraceConfig`] (the contract), `traces.rs`
//! (the machine), `journeys.rs` (what is remembered), `errand.rs` (a trace under way), `sum.rs`
//! (what is said of a subtree), `report.rs` (what is shown), `counters.rs`.

mod config;
mod counters;
mod effect;
mod errand;
mod journeys;
mod message;
mod report;
mod sum;
#[cfg(test)]
mod tests;
mod traces;

pub use config::TraceConfig;
pub use counters::{TraceCounters, TraceLevels};
pub use effect::{AskTraceError, PendingAsk, TraceEffect};
pub use message::{TRACE_ANSWER, TRACE_ASK, TraceAnswer, TraceMessage, TraceOrder, TraceTag};
pub use report::{
    DelayTimes, DroppedTrace, ForwardedTrace, HoldTimes, LocalTrace, LostTrace, MessageTrace,
    NetworkTrace, SampleTrace, SlowestTrace,
};
pub use sum::{Loss, NodePrefix, SampledNode, SlowestHop, TraceSum};
pub use traces::Traces;

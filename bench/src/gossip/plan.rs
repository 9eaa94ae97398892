//! What a worker is told to do, in a line of JSON, and what it tells of it, in another.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A round of one contender.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    /// Bytes of a message.
    pub(crate) bytes: usize,
    /// Messages under way at once.
    pub(crate) outstanding: usize,
    /// For which messages are published, each time.
    pub(crate) seconds: u64,
    /// Of rest, in seconds, before messages are published apart.
    pub(crate) pause: u64,
    /// Where nodes keep what they keep. `None`: in memory.
    pub(crate) folder: Option<PathBuf>,
    /// Whether the worker is alone in its network, so that what goes over it can be counted.
    pub(crate) is_alone: bool,
}

/// What a round came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Why it had to be started again, each time.
    pub(crate) failures: Vec<String>,
    /// From the start of the first node until a message of one was with all others.
    pub(crate) ready_s: f64,
    /// Peers of a node, in the mean.
    pub(crate) degree: f64,
    /// Resident memory that a node added to the process, before there was any load.
    pub(crate) memory_kib: f64,
    /// Milliseconds of the processor that a node takes in a second while nobody says anything.
    pub(crate) idle_cpu: f64,
    /// As many messages under way as there may be.
    pub(crate) busy: Spread,
    /// Messages apart from each other.
    pub(crate) apart: Spread,
}

/// How messages spread.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) messages: usize,
    /// Those that not all others had in time.
    pub(crate) incomplete: usize,
    /// Those of them that a node did not take.
    pub(crate) refused: usize,
    /// Why a node did not take one that it was to publish, of the first such one.
    pub(crate) refusal: Option<String>,
    /// Messages that nodes handed over to their application, their own left out.
    pub(crate) deliveries: usize,
    /// In a second, while messages were published.
    pub(crate) deliveries_per_s: f64,
    /// Microseconds of the processor for a delivery, of all nodes together, idling included.
    pub(crate) cpu_us: f64,
    /// How often a message came in, for a delivery.
    pub(crate) copies: f64,
    /// Bytes that went over the network for a byte of a delivery. `None`: it cannot be counted.
    pub(crate) wire: Option<f64>,
    /// From the publication until its node had taken it, or all others had it: how much whoever
    /// publishes is slowed down.
    pub(crate) taken_ms: Quantiles,
    /// From the publication until the last node had it.
    pub(crate) last_ms: Quantiles,
    /// From the publication until a node had it.
    pub(crate) each_ms: Quantiles,
}

/// Half, and 99 of a hundred, took no longer than this.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

#[cfg(test)]
impl Plan {
    /// Of ten nodes, in memory.
    pub(super) fn small() -> Self {
        Self {
            nodes: 10,
            bytes: 256,
            outstanding: 64,
            seconds: 8,
            pause: 20,
            folder: None,
            is_alone: false,
        }
    }
}

//! What the lines of a recording say.

use positron_networking::NodeId;
use serde::{Deserialize, Serialize};

/// The version of the format.
pub(crate) const VERSION: u32 = 1;
/// Nodes that a recording may have: more than a made-up world of an hour is waited for.
pub(crate) const MAX_RECORDED_NODES: usize = 20_000;
/// Bytes of a recording; the page that shows one keeps it in memory.
pub(crate) const MAX_RECORDING: u64 = 256 << 20;
/// Milliseconds of a step.
pub(crate) const STEP_MS: u64 = 100;

/// The first line: who takes part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The version of the format.
    pub positron_recording: u32,
    /// What made the world.
    pub seed: u64,
    /// All nodes; the other lines name them by their places here.
    pub nodes: Vec<NodeId>,
    /// Milliseconds of a step.
    pub step_ms: u64,
}

impl Header {
    /// Of these nodes.
    pub(crate) const fn new(seed: u64, nodes: Vec<NodeId>) -> Self {
        Self { positron_recording: VERSION, seed, nodes, step_ms: STEP_MS }
    }
}

/// Any other line: what changed in a step. One in which nothing did is left away, but for the last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Step {
    /// Its end, in milliseconds since the beginning.
    pub t_ms: u64,
    /// Nodes whose process runs now, and did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub up: Vec<usize>,
    /// Nodes whose process runs no more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub down: Vec<usize>,
    /// Pairs of nodes that hold a session with each other now, and did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<(usize, usize)>,
    /// Pairs that do so no more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<(usize, usize)>,
    /// Ways of broadcasts, as they were first heard.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<Hop>,
}

impl Step {
    /// Whether nothing happened.
    pub(crate) const fn is_empty(&self) -> bool {
        let Self { t_ms: _, up, down, links, cut, hops } = self;
        up.is_empty() && down.is_empty() && links.is_empty() && cut.is_empty() && hops.is_empty()
    }
}

/// The first 16 hex characters of a broadcast's id, from whom, to whom; how many milliseconds after
/// the one the other had it, where it is known since when the one did; and when that was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hop(pub String, pub usize, pub usize, pub Option<f64>, pub f64);

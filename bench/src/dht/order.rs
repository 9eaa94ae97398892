//! What a worker is told to do, a line of JSON each, and what it answers, a line each.

use serde::{Deserialize, Serialize};

/// One thing to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Start nodes, which join by some of those at the known addresses and by each other.
    Start { nodes: usize, known: Vec<String> },
    /// Read each of these names on each node, again and again until all are found.
    Await { names: Vec<String> },
    /// Carry out operations, so many at once.
    Work { jobs: Vec<Job>, at_once: usize },
    /// Count the requests that these nodes have sent so far.
    Count { nodes: Vec<usize> },
    /// Look at the clock of the processor, and at the memory.
    Look,
}

/// One operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Which of the worker's nodes.
    pub(crate) node: usize,
    pub(crate) task: Task,
    pub(crate) name: String,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    Put(Want),
    Get(Want),
    Delete,
}

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Want {
    /// What most of those that should keep it have.
    Newest,
    /// The first that anybody has.
    First,
}

/// What came of an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Nodes listen at these addresses.
    Started(Vec<String>),
    /// All names are found on all nodes.
    Found,
    /// The operations are over.
    Worked(Worked),
    /// So many requests.
    Counted(u64),
    /// Milliseconds of the processor since the start of the process, and bytes of memory.
    Seen { cpu_ms: f64, memory: u64 },
    /// It did not work.
    Failed(String),
}

/// How operations went.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Worked {
    /// How long each took, those that failed included.
    pub(crate) took_ms: Vec<f64>,
    /// Why those failed that did.
    pub(crate) failures: Vec<String>,
}

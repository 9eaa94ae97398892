//! Whether nodes are watched.

/// Whether it is noted how long things took, how many there were of which kind, and which way
/// messages went. Only to measure what that costs (`.ci/watching`) it is compiled out; what nodes
/// do is the same. A variable and no `--cfg`, so that nothing but this crate is built anew.
pub(crate) const WATCHED: bool = option_env!("POSITRON_UNWATCHED").is_none();

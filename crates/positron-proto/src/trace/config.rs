//! What traces are told once.

/// What a node says of itself to those who trace their own messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceConfig {
    /// Whether it says when messages came to it. If not, it passes on what others say, and is
    /// counted as one that declined.
    pub answer: bool,
    /// Whether its id may stand beside it.
    pub name: bool,
}

/// What a node runs with that is told nothing else.
impl Default for TraceConfig {
    fn default() -> Self {
        Self { answer: true, name: false }
    }
}

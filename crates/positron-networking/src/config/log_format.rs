//! What a line of the log looks like, as a configuration says it.

use serde::{Deserialize, Serialize};

/// `text` or `json` in a configuration. Only the command reads it: in a library the application
/// decides what becomes of `tracing` events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Time, level, place and message, for people.
    #[default]
    Text,
    /// An object a line: `at`, `level`, `target`, `message` and `fields`.
    Json,
}

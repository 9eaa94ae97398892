//! Why a configuration is refused.

use super::transport::UnknownTransport;

/// A configuration that no node starts with. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value is out of its range.
    #[error("`{key}` is {value}, but {allowed}")]
    BadValue {
        /// Which key.
        key: &'static str,
        /// What it was set to.
        value: String,
        /// What it may be.
        allowed: String,
    },
    /// The text has a key that there is not.
    #[error("{origin}:{line}:{column}: unknown key `{key}`{}", suggestion(.nearest))]
    UnknownKey {
        /// Where the text came from.
        origin: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What was written.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// `transport` is none that there is.
    #[error("{origin}:{line}:{column}: {what}")]
    UnknownTransport {
        /// Where the text came from.
        origin: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What was written, and what was perhaps meant.
        what: UnknownTransport,
    },
    /// The text is no configuration.
    #[error("{origin}:{line}:{column}: {what}")]
    Unreadable {
        /// Where the text came from.
        origin: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong.
        what: String,
    },
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |key| format!("; did you mean `{key}`?"))
}

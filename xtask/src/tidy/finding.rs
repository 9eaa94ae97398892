//! What a rule says.

use std::fmt;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Where, from the root of the repository.
    pub(crate) path: String,
    /// The line, from 1.
    pub(crate) line: usize,
    /// The name of the rule.
    pub(crate) rule: &'static str,
    /// What is there.
    pub(crate) what: String,
    /// Why the rule exists, and what to do.
    pub(crate) advice: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, what, advice } = self;
        write!(f, "{path}:{line}: wrong [{rule}] {what}\n    {advice}")
    }
}

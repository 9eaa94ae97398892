//! One thing that was looked at.

use serde::Serialize;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// As it should be.
    Right,
    /// It works, and could be better.
    Note,
    /// Nobody knows.
    Unknown,
    /// It does not work.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What.
    pub about: &'static str,
    /// What was found.
    pub verdict: Verdict,
    /// In words.
    pub says: String,
    /// What to change, if anything is.
    pub advice: Option<String>,
}

impl Finding {
    pub(super) fn right(about: &'static str, says: impl Into<String>) -> Self {
        Self { about, verdict: Verdict::Right, says: says.into(), advice: None }
    }

    pub(super) fn note(about: &'static str, says: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, ..Self::right(about, says) }
    }

    pub(super) fn unknown(about: &'static str, says: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown, ..Self::right(about, says) }
    }

    pub(super) fn wrong(about: &'static str, says: impl Into<String>) -> Self {
        Self { verdict: Verdict::Wrong, ..Self::right(about, says) }
    }

    /// Says what to change.
    pub(super) fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

impl Verdict {
    /// As people read it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Note => "note",
            Self::Unknown => "unknown",
            Self::Wrong => "WRONG",
        }
    }
}

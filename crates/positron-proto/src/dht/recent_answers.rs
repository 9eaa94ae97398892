//! Whether questions find answers these days.

use std::collections::VecDeque;

use crate::limits::{LOSSY_AT, RECENT_ANSWERS};

/// What came of the last [`RECENT_ANSWERS`] questions of ours, whatever they were for: `true` is an
/// answer in time.
#[derive(Debug, Default)]
pub(super) struct RecentAnswers(VecDeque<bool>);

impl RecentAnswers {
    pub(super) fn add(&mut self, is_answered: bool) {
        if self.0.len() >= RECENT_ANSWERS {
            self.0.pop_front();
        }
        self.0.push_back(is_answered);
    }

    /// Whether so many found none that a lookup will meet some of these too.
    pub(super) fn are_lossy(&self) -> bool {
        self.0.iter().filter(|is_answered| !**is_answered).count() >= LOSSY_AT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_lossy_for_as_long_as_losses_are_recent() {
        let mut recent = RecentAnswers::default();
        for lost in 1..=LOSSY_AT {
            assert!(!recent.are_lossy(), "after {lost}");
            recent.add(false);
        }
        for answers in 0..RECENT_ANSWERS - LOSSY_AT + 1 {
            assert!(recent.are_lossy(), "after {answers}");
            recent.add(true);
        }
        assert!(!recent.are_lossy());
    }
}

//! Whether nodes tell of one another.

use std::collections::VecDeque;

use super::{
    Contact,
    lookup::{Lookup, Omissions},
    size_estimate::SizeEstimate,
};
use crate::limits::{
    CANDOUR_SAMPLES, DISJOINT_PATHS, DOUBTFUL_DENSITY, MAX_DISJOINT_PATHS, MAX_OMITTED,
    STILL_DOUBTFUL_DENSITY,
};

/// What the last lookups tell of those who answered them: whoever is near a place knows who else
/// is, and names it, unless it hides it.
///
/// Nodes that name only one another are of one mind where all near a place are theirs, and leave
/// out the others where some are not, which is nearly everywhere. So what one lookup does not show,
/// the last [`CANDOUR_SAMPLES`] do.
#[derive(Debug, Default)]
pub(super) struct Candour {
    recent: VecDeque<Omissions>,
}

impl Candour {
    /// A lookup ended.
    pub(super) fn add(&mut self, omissions: Omissions) {
        if omissions.of == 0 {
            return;
        }
        if self.recent.len() >= CANDOUR_SAMPLES {
            self.recent.pop_front();
        }
        self.recent.push_back(omissions);
    }

    /// Whether somebody hides others from this node, as far as it can tell.
    pub(super) fn is_doubtful(&self) -> bool {
        let sum = |what: fn(&Omissions) -> usize| self.recent.iter().map(what).sum::<usize>();
        sum(|seen| seen.omitted) * MAX_OMITTED > sum(|seen| seen.of)
    }

    /// Over how many paths a record of ours is to be offered again that was given to the nearest
    /// nodes of this lookup, because somebody may hide others that are nearer.
    pub(super) fn paths_again(
        &self,
        lookup: &Lookup,
        size: &SizeEstimate,
        nearest: &[Contact],
    ) -> Option<usize> {
        let (paths, density) = match lookup.paths() {
            _ if !self.is_doubtful() => return None,
            1 => (DISJOINT_PATHS, DOUBTFUL_DENSITY),
            paths if paths < MAX_DISJOINT_PATHS => (MAX_DISJOINT_PATHS, STILL_DOUBTFUL_DENSITY),
            _ => return None,
        };
        size.is_sparse(&lookup.target(), nearest, density).then_some(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_out_others_again_and_again_is_doubted_and_a_newcomer_that_few_know_is_not() {
        let mut candour = Candour::default();
        assert!(!candour.is_doubtful(), "nothing was seen");
        candour.add(Omissions { omitted: 7, of: 56 });
        assert!(!candour.is_doubtful(), "one is not known to any of the others");
        // Two of eight hide the other six.
        for _ in 0..CANDOUR_SAMPLES {
            candour.add(Omissions { omitted: 12, of: 56 });
        }
        assert!(candour.is_doubtful());
        // All of them are of one mind.
        candour.add(Omissions { omitted: 0, of: 56 });
        assert!(candour.is_doubtful(), "it is not forgotten at once");
        for _ in 0..CANDOUR_SAMPLES {
            candour.add(Omissions { omitted: 1, of: 56 });
        }
        assert!(!candour.is_doubtful());
    }
}

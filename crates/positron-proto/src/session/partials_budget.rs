//! Messages of which only parts have arrived, over all links.

use std::collections::BTreeMap;

use crate::{id::LinkId, limits::MAX_PARTIAL_BYTES, time::Instant};

/// How much memory the unfinished messages of each link take: at most [`MAX_PARTIAL_BYTES`] in all.
///
/// Beyond it the link that waits longest for the end of a message gives way: whoever begins
/// messages only to hold memory is it sooner or later, and whoever sends them to their end is not.
#[derive(Debug, Default)]
pub(super) struct Partials {
    by_link: BTreeMap<LinkId, Partial>,
    bytes: usize,
}

/// The unfinished messages of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Partial {
    /// When the oldest of them began.
    pub(super) since: Instant,
    /// What they take together.
    pub(super) bytes: usize,
}

impl Partials {
    /// What a link has now; `None` if every message is complete, or it is gone.
    pub(super) fn note(&mut self, link: LinkId, partial: Option<Partial>) {
        let before = match partial {
            Some(partial) => self.by_link.insert(link, partial),
            None => self.by_link.remove(&link),
        };
        self.bytes -= before.map_or(0, |before| before.bytes);
        self.bytes += partial.map_or(0, |partial| partial.bytes);
    }

    /// The link that has to give way, if there is too much.
    pub(super) fn longest_beyond_limit(&self) -> Option<LinkId> {
        if self.bytes <= MAX_PARTIAL_BYTES {
            return None;
        }
        let longest = self.by_link.iter().min_by_key(|(_, partial)| partial.since);
        longest.map(|(link, _)| *link)
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

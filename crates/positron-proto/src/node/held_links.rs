//! Links that bring more than the disk takes.

use std::collections::BTreeSet;

use crate::{id::LinkId, limits::MAX_HOLD, time::Instant};

/// The links that are not read, until the disk has caught up or [`MAX_HOLD`] is over: a link that
/// is never read looks dead to its other end.
#[derive(Debug, Default)]
pub(super) struct HeldLinks {
    links: BTreeSet<LinkId>,
    until: Option<Instant>,
}

impl HeldLinks {
    /// A link is read no further; whether it was before.
    pub(super) fn hold(&mut self, now: Instant, link: LinkId) -> bool {
        self.until.get_or_insert(now + MAX_HOLD);
        self.links.insert(link)
    }

    /// Everybody is read again.
    pub(super) fn take(&mut self) -> BTreeSet<LinkId> {
        self.until = None;
        core::mem::take(&mut self.links)
    }

    /// When everybody is to be read again.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }
}

//! Links that are not read for a while: they bring more than the disk takes, or make more work than
//! they may.

use std::collections::{BTreeMap, BTreeSet};

use crate::{id::LinkId, limits::MAX_HOLD, time::Instant};

/// The links that are not read, until the disk has caught up or their work is paid off, and never
/// longer than [`MAX_HOLD`]: a link that is never read looks dead to its other end.
#[derive(Debug, Default)]
pub(super) struct HeldLinks {
    for_disk: BTreeSet<LinkId>,
    disk_until: Option<Instant>,
    for_work: BTreeMap<LinkId, Instant>,
}

impl HeldLinks {
    /// A link waits for the disk; whether it was read before.
    pub(super) fn hold_for_disk(&mut self, now: Instant, link: LinkId) -> bool {
        self.disk_until.get_or_insert(now + MAX_HOLD);
        self.for_disk.insert(link) && !self.for_work.contains_key(&link)
    }

    /// A link waits until its work is paid off; whether it was read before.
    pub(super) fn hold_for_work(&mut self, link: LinkId, until: Instant) -> bool {
        self.for_work.insert(link, until).is_none() && !self.for_disk.contains(&link)
    }

    /// The disk has caught up: the links that are read again.
    pub(super) fn take_for_disk(&mut self) -> Vec<LinkId> {
        self.disk_until = None;
        let held = core::mem::take(&mut self.for_disk).into_iter();
        held.filter(|link| !self.for_work.contains_key(link)).collect()
    }

    /// The links that are read again because their time is over.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<LinkId> {
        let mut due = Vec::new();
        self.for_work.retain(|link, until| {
            if *until <= now && !self.for_disk.contains(link) {
                due.push(*link);
            }
            *until > now
        });
        if self.disk_until.is_some_and(|until| until <= now) {
            due.extend(self.take_for_disk());
        }
        due
    }

    /// When to ask [`take_due`](Self::take_due).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.for_work.values().copied().chain(self.disk_until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_is_held_for_two_reasons_waits_for_both() {
        let (now, link) = (Instant::from_micros(1_000), LinkId::of_driver(1));
        let later = now + MAX_HOLD / 2;
        for disk_first in [true, false] {
            let mut held = HeldLinks::default();
            assert!(held.hold_for_disk(now, link));
            assert!(!held.hold_for_work(link, later));
            assert_eq!(held.poll_timeout(), Some(later));
            let by_disk = if disk_first { held.take_for_disk() } else { held.take_due(later) };
            assert_eq!(by_disk, []);
            let by_both = if disk_first { held.take_due(later) } else { held.take_for_disk() };
            assert_eq!(by_both, [link]);
            assert_eq!(held.poll_timeout(), None);
        }
    }
}

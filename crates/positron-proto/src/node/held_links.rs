//! Links that are not read for a while: they bring more than the disk takes, or than can be
//! checked, or make more work than they may, or have said more than was read.

use std::collections::BTreeMap;

use crate::{id::LinkId, limits::MAX_HOLD, time::Instant};

/// The links that are not read, and until when, for each reason; never longer than [`MAX_HOLD`]: a
/// link that is never read looks dead to its other end.
#[derive(Debug, Default)]
pub(super) struct HeldLinks(BTreeMap<LinkId, [Option<Instant>; 4]>);

/// What a link waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeldFor {
    /// The disk has to catch up.
    Disk,
    /// Its work is to be paid off.
    Work,
    /// Signatures that it brought are to be checked.
    Checks,
    /// What it said is to be read, in its turn.
    Turn,
}

impl HeldLinks {
    /// A link waits, until then at the latest; whether it was read before.
    pub(super) fn hold(
        &mut self,
        now: Instant,
        link: LinkId,
        why: HeldFor,
        until: Option<Instant>,
    ) -> bool {
        let longest = now + MAX_HOLD;
        let reasons = self.0.entry(link).or_default();
        let was_read = reasons.iter().all(Option::is_none);
        reasons[why as usize].get_or_insert(until.unwrap_or(longest).min(longest));
        was_read
    }

    /// Whether what came by it already has to wait too: for the disk, or for checks.
    pub(super) fn is_stuck(&self, link: LinkId) -> bool {
        let stuck = [HeldFor::Disk, HeldFor::Checks];
        let reasons = self.0.get(&link);
        reasons.is_some_and(|reasons| stuck.iter().any(|why| reasons[*why as usize].is_some()))
    }

    /// A link does not wait for this any more; whether it is read again.
    pub(super) fn release(&mut self, link: LinkId, why: HeldFor) -> bool {
        let Some(reasons) = self.0.get_mut(&link) else { return false };
        reasons[why as usize] = None;
        let is_free = reasons.iter().all(Option::is_none);
        if is_free {
            self.0.remove(&link);
        }
        is_free
    }

    /// Nobody waits for this any more: the links that are read again.
    pub(super) fn release_all(&mut self, why: HeldFor) -> Vec<LinkId> {
        let links: Vec<LinkId> = self.0.keys().copied().collect();
        links.into_iter().filter(|link| self.release(*link, why)).collect()
    }

    /// The links that are read again because their time is over.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<LinkId> {
        let mut due = Vec::new();
        self.0.retain(|link, reasons| {
            reasons.iter_mut().for_each(|until| *until = until.filter(|until| *until > now));
            let is_free = reasons.iter().all(Option::is_none);
            if is_free {
                due.push(*link);
            }
            !is_free
        });
        due
    }

    /// When to ask [`take_due`](Self::take_due).
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.0.values().flatten().filter_map(|until| *until).min()
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
            assert!(held.hold(now, link, HeldFor::Disk, None));
            assert!(!held.hold(now, link, HeldFor::Work, Some(later)));
            assert_eq!(held.poll_timeout(), Some(later));
            let first =
                if disk_first { held.release_all(HeldFor::Disk) } else { held.take_due(later) };
            assert_eq!(first, []);
            let both =
                if disk_first { held.take_due(later) } else { held.release_all(HeldFor::Disk) };
            assert_eq!(both, [link]);
            assert_eq!(held.poll_timeout(), None);
        }
    }

    #[test]
    fn no_link_is_held_longer_than_its_other_end_can_bear() {
        let (now, link) = (Instant::from_micros(1_000), LinkId::of_driver(1));
        let mut held = HeldLinks::default();
        held.hold(now, link, HeldFor::Work, Some(now + 10 * MAX_HOLD));
        held.hold(now + MAX_HOLD / 2, link, HeldFor::Work, None);
        assert_eq!(held.take_due(now + MAX_HOLD), [link]);
        assert!(!held.release(link, HeldFor::Work), "it is read already");
    }
}

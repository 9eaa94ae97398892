//! Whom a message has not reached yet.

use crate::{
    limits::{MAX_AWAITED_PEERS, REACH_PATIENCE, RETENTION_BYTES, STEPS_PER_WINDOW},
    time::Instant,
};

/// Peers that are up, as a set of their places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PlaceSet(u128);

/// Where a peer stands in every [`PlaceSet`] while it is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReachPlace(u32);

const _: () = assert!(MAX_AWAITED_PEERS == u128::BITS as usize, "one bit for each");

impl PlaceSet {
    /// A place that is not in the set, and is now; without one the peer is not waited for.
    pub(super) fn take_free(&mut self) -> Option<ReachPlace> {
        let place = self.0.trailing_ones();
        (place < u128::BITS).then(|| {
            self.0 |= 1 << place;
            ReachPlace(place)
        })
    }

    /// Whether `place` is in the set.
    pub(super) const fn contains(self, place: ReachPlace) -> bool {
        self.0 & (1 << place.0) != 0
    }

    /// Adds `place`.
    pub(super) const fn insert(&mut self, place: ReachPlace) {
        self.0 |= 1 << place.0;
    }

    /// Removes `place`; returns whether it was there.
    pub(super) const fn remove(&mut self, place: ReachPlace) -> bool {
        let there = self.contains(place);
        self.0 &= !(1 << place.0);
        there
    }

    /// Whether nobody is in the set.
    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those who are not in the other one.
    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those who are in both.
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl FromIterator<ReachPlace> for PlaceSet {
    fn from_iter<I: IntoIterator<Item = ReachPlace>>(places: I) -> Self {
        let mut set = Self::default();
        places.into_iter().for_each(|place| set.insert(place));
        set
    }
}

/// Whether a peer takes what is new of one sender, as far as it tells.
///
/// It does while it took a *step*, a sixteenth of the window, within [`REACH_PATIENCE`], and took
/// it in order: what is behind a message that it lacks does not count. A peer that took only the
/// newest would hold up the oldest, and its sender, for as long as there is anything new.
#[derive(Debug)]
pub(super) struct Taking {
    /// It lacks nothing below.
    pub(super) front: u64,
    step: Step,
    left: Step,
    moved: Option<Instant>,
}

/// So many messages, or so many bytes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Step {
    /// That of a window of so many messages.
    pub(super) fn of_window(messages: usize) -> Self {
        Self {
            messages: (messages / STEPS_PER_WINDOW).max(1),
            bytes: RETENTION_BYTES / STEPS_PER_WINDOW,
        }
    }

    /// Whether `messages` of `bytes` in all make one.
    pub(super) const fn is_made_by(self, messages: usize, bytes: usize) -> bool {
        messages >= self.messages || bytes >= self.bytes
    }
}

impl Taking {
    pub(super) const fn new(step: Step) -> Self {
        Self { front: 0, step, left: step, moved: None }
    }

    /// It has `number`, a message of so many bytes, and lacks nothing below. Returns whether that
    /// made a step.
    pub(super) const fn pass(&mut self, now: Instant, number: u64, bytes: usize) -> bool {
        self.front = number.saturating_add(1);
        self.left.messages = self.left.messages.saturating_sub(1);
        self.left.bytes = self.left.bytes.saturating_sub(bytes);
        let is_made = self.left.messages == 0 || self.left.bytes == 0;
        if is_made {
            (self.left, self.moved) = (self.step, Some(now));
        }
        is_made
    }

    /// Whether it is slow, and not at a standstill.
    pub(super) fn moves(&self, now: Instant) -> bool {
        self.moved.is_some_and(|moved| now.since(moved) < REACH_PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    #[test]
    fn each_peer_has_a_place_of_its_own_until_there_are_too_many() {
        let mut present = PlaceSet::default();
        let places: Vec<ReachPlace> =
            (0..MAX_AWAITED_PEERS).filter_map(|_| present.take_free()).collect();
        assert_eq!(places.len(), MAX_AWAITED_PEERS);
        assert_eq!(present.take_free(), None);
        assert!(places.iter().all(|place| present.contains(*place)));
        assert!(present.remove(places[77]) && !present.remove(places[77]));
        assert_eq!(present.take_free(), Some(places[77]), "a place that was left is given again");
        assert!(present.and(PlaceSet::default()).is_empty());
    }

    #[test]
    fn who_takes_a_step_now_and_then_moves_and_who_trickles_does_not() {
        let step = Step { messages: 10, bytes: 1_000 };
        let (start, second) = (Instant::ORIGIN, Duration::from_secs(1));
        let moves = |messages: u64, bytes: usize, interval: Duration| {
            let mut taking = Taking::new(step);
            let mut now = start;
            for number in 0..messages {
                now = now + interval;
                taking.pass(now, number, bytes);
            }
            taking.moves(now)
        };
        assert!(!moves(5, 1, second), "who took no step yet has the time that all have");
        assert!(moves(45, 1, second));
        assert!(!moves(19, 1, 2 * second), "nine, and eighteen seconds, since the last step");
        assert!(moves(3, 1_000, 9 * second));
        assert!(!moves(5, 400, 9 * second), "a step in three, and two more");
    }
}

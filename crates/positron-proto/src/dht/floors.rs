//! What left and must not come back.

use std::collections::BTreeMap;

use super::{
    held::{Floor, Slot},
    quota::{Sharer, Shares},
};
use crate::{deadlines::Deadlines, time::Instant};

/// Floors under what was kept once, at most `most` of them. Beyond that, whoever brought what left
/// most of them loses the one that ends soonest: a flood of records that come and go pushes out
/// its own.
#[derive(Debug)]
pub(super) struct Floors {
    most: usize,
    floors: BTreeMap<Slot, Floor>,
    ends: Deadlines<Slot>,
    shares: Shares,
}

impl Floors {
    pub(super) fn new(most: usize) -> Self {
        Self { most, floors: BTreeMap::new(), ends: Deadlines::new(), shares: Shares::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.floors.len()
    }

    pub(super) fn get(&self, slot: &Slot) -> Option<&Floor> {
        self.floors.get(slot)
    }

    /// In place of what was there. Which one had to give way.
    pub(super) fn insert(&mut self, slot: Slot, floor: Floor) -> Option<Slot> {
        self.remove(&slot);
        self.floors.insert(slot, floor);
        self.ends.set(slot, floor.until);
        self.shares.add(Sharer::of(&floor.bringer), floor.until, slot, 1);
        if self.floors.len() <= self.most {
            return None;
        }
        let (_, sharer) = self.shares.largest()?;
        let lost = self.shares.things(sharer).next()?;
        self.remove(&lost);
        Some(lost)
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, slot: &Slot) -> bool {
        let Some(floor) = self.floors.remove(slot) else { return false };
        self.ends.clear(*slot);
        self.shares.subtract(Sharer::of(&floor.bringer), floor.until, *slot, 1);
        true
    }

    /// Takes one that has ended.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Slot> {
        let (_, slot) = self.ends.next().filter(|(end, _)| *end <= now)?;
        self.remove(&slot);
        Some(slot)
    }

    /// When the first one ends.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.next().map(|(end, _)| end)
    }
}

//! What to do with a record, before its signature is checked and after.

use core::cmp::Ordering;

use super::{Reach, RecordStore, Step, Taking, charge, slots_of};
use crate::{
    dht::{
        DhtRecord, RecordKind, StoreOutcome,
        held::{Floor, Held, Life, RecordBringer, Slot, cost, supersedes},
        place::network,
        quota::{Charge, Sharer},
    },
    limits::{MAX_HELD_BYTES, MAX_HELD_RECORDS, MAX_SLOTS, MAX_SLOTS_PER_NETWORK},
    time::{Duration, Now},
};

impl RecordStore {
    pub(super) fn weigh(
        &self,
        now: Now,
        record: &DhtRecord,
        remaining: u32,
        bringer: &RecordBringer,
        reach: Option<&Reach>,
    ) -> Result<Step, StoreOutcome> {
        if !record.is_of_this_time(now.wall) {
            return Err(StoreOutcome::WrongTime);
        }
        let slot = Slot::of(record);
        let mut life = Life {
            until: now.mono + Duration::from_secs(remaining.min(record.ttl).into()),
            latest: now.mono + record.life(),
        };
        let mut convicts = false;
        let place = self.place_of(record.kind, &slot);
        if let Some(held) = self.held.get(&slot) {
            let kept = held.record.content();
            if record.sequence == kept.sequence {
                if record == kept || record.kind == RecordKind::Immutable {
                    return self.adopt(now, held, &life, bringer);
                }
                life = held.life;
                convicts = !held.equivocated;
                if !supersedes(record, kept) {
                    let step = convicts.then_some(Step::Convict(slot));
                    return step.ok_or(StoreOutcome::Stale);
                }
            } else if !supersedes(record, kept) {
                return Err(StoreOutcome::Stale);
            }
        } else if let Some(floor) = self.floors.get(&slot) {
            life = life_above(floor, record.sequence, &life, bringer.id == slot.publisher)
                .ok_or(StoreOutcome::Stale)?;
        }
        if let Some(held) = place {
            if record.is_tombstone() {
                life.until = life.until.max(held.life.until);
                life.latest = life.latest.max(held.life.latest);
            }
            if record.kind == RecordKind::Immutable && life.until <= held.life.until {
                return Err(StoreOutcome::Known);
            }
        }
        if life.until <= now.mono {
            return Err(StoreOutcome::Stale);
        }
        let is_far = reach.is_some_and(|reach| reach.place.distance(&slot.key) > reach.within);
        if is_far && place.is_none() {
            return Err(StoreOutcome::TooFar);
        }
        let bringer = self.payer(record, &slot, bringer, place)?;
        let evicted = self.room(record, &slot, &bringer, place)?;
        let replaced = place.map(|held| held.slot).filter(|other| *other != slot);
        Ok(Step::Take(Taking { slot, life, bringer, evicted, replaced, convicts }))
    }

    /// What is kept in the place of this record: what its publisher said before, or, where nobody
    /// can say anything else, what anybody said.
    fn place_of(&self, kind: RecordKind, slot: &Slot) -> Option<&Held> {
        match kind {
            RecordKind::Immutable => {
                self.held.range(slots_of(slot.key)).next().map(|(_, held)| held)
            }
            RecordKind::Owned | RecordKind::Shared => self.held.get(slot),
        }
    }

    /// What to do with what is kept already.
    fn adopt(
        &self,
        now: Now,
        held: &Held,
        offered: &Life,
        bringer: &RecordBringer,
    ) -> Result<Step, StoreOutcome> {
        let slot = held.slot;
        if bringer.id == slot.publisher {
            let life = Life {
                until: held.life.until.max(offered.until.min(held.life.latest)),
                latest: held.life.latest,
            };
            let before = charge(held);
            let after = Charge { bringer: *bringer, ..before };
            let pays = held.bringer.id != bringer.id
                && self.quotas.has_room(&after, Some(&before))
                && (held.record.content().kind != RecordKind::Shared
                    || matches!(self.free_slot(held.record.content(), &slot, bringer), Ok(None)));
            if pays || life != held.life {
                let payer = if pays { *bringer } else { held.bringer };
                return Ok(Step::Adopt(slot, life, payer));
            }
        }
        let is_alive = held.life.until > now.mono;
        Err(if is_alive { StoreOutcome::Known } else { StoreOutcome::Stale })
    }

    /// On whose account a record is that takes the place of `before`.
    fn payer(
        &self,
        record: &DhtRecord,
        slot: &Slot,
        bringer: &RecordBringer,
        before: Option<&Held>,
    ) -> Result<RecordBringer, StoreOutcome> {
        let bytes = cost(record);
        let paid = before.map(charge);
        let wanted = Charge { bringer: *bringer, publisher: slot.publisher, bytes };
        if self.quotas.has_room(&wanted, paid.as_ref()) {
            return Ok(*bringer);
        }
        paid.filter(|paid| paid.publisher == slot.publisher && paid.bytes >= bytes)
            .map(|paid| paid.bringer)
            .ok_or(StoreOutcome::OverQuota)
    }

    /// What has to give way so that there is room for a record, in its key and in the store.
    fn room(
        &self,
        record: &DhtRecord,
        slot: &Slot,
        bringer: &RecordBringer,
        before: Option<&Held>,
    ) -> Result<Vec<Slot>, StoreOutcome> {
        let mut leaving: Vec<&Held> = before.into_iter().collect();
        let mut evicted = Vec::new();
        if record.kind == RecordKind::Shared
            && let Some(tombstone) = self.free_slot(record, slot, bringer)?
        {
            leaving.push(tombstone);
            evicted.push(tombstone.slot);
        }
        let bytes = cost(record);
        let Some(mut lack) = self.lacks_room(bytes, &leaving) else { return Ok(evicted) };
        let sharer = Sharer::of(bringer);
        let (most, largest) = self.shares.largest().ok_or(StoreOutcome::Full)?;
        if largest == sharer || most <= self.shares.of(sharer) + bytes {
            return Err(StoreOutcome::Full);
        }
        for slot in self.shares.things(largest) {
            let Some(held) = self.held.get(&slot) else { continue };
            if leaving.iter().any(|left| left.slot == slot) {
                continue;
            }
            evicted.push(slot);
            lack.records = lack.records.saturating_sub(1);
            lack.bytes = lack.bytes.saturating_sub(held.cost());
            if lack.records == 0 && lack.bytes == 0 {
                return Ok(evicted);
            }
        }
        Err(StoreOutcome::Full)
    }

    /// Whether a shared key has a slot for a record that is brought from there; the tombstone that
    /// gives way to it, if one has to. What is there already moves to another network only where
    /// that has a slot to spare, unless it ends.
    fn free_slot(
        &self,
        record: &DhtRecord,
        slot: &Slot,
        bringer: &RecordBringer,
    ) -> Result<Option<&Held>, StoreOutcome> {
        let here = network(bringer.addr);
        let others = || {
            let all = self.held.range(slots_of(slot.key)).map(|(_, held)| held);
            all.filter(|held| held.slot != *slot)
        };
        let is_here = |held: &Held| here.is_some() && network(held.bringer.addr) == here;
        let is_crowded = others().filter(|held| is_here(held)).count() >= MAX_SLOTS_PER_NETWORK;
        if !is_crowded && others().count() < MAX_SLOTS {
            return Ok(None);
        }
        if record.is_tombstone() {
            return if self.held.contains_key(slot) { Ok(None) } else { Err(StoreOutcome::Full) };
        }
        others()
            .filter(|held| held.record.content().is_tombstone() && (!is_crowded || is_here(held)))
            .min_by_key(|held| held.life.until)
            .map(Some)
            .ok_or(StoreOutcome::Full)
    }

    /// What is lacking for so many bytes, when these have left.
    pub(super) fn lacks_room(&self, bytes: usize, leaving: &[&Held]) -> Option<Lack> {
        let freed: usize = leaving.iter().map(|held| held.cost()).sum();
        let records = (self.held.len() + 1).saturating_sub(leaving.len() + MAX_HELD_RECORDS);
        let bytes = (self.bytes + bytes).saturating_sub(freed + MAX_HELD_BYTES);
        (records > 0 || bytes > 0).then_some(Lack { records, bytes })
    }
}

/// What there is too much of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lack {
    records: usize,
    bytes: usize,
}

/// The life of a record that comes back where a floor is: of what is older none, and of the same
/// sequence what was left of it.
fn life_above(floor: &Floor, sequence: u64, offered: &Life, by_publisher: bool) -> Option<Life> {
    match sequence.cmp(&floor.sequence) {
        Ordering::Less => None,
        Ordering::Greater => Some(*offered),
        Ordering::Equal => {
            let Life { until, latest } = floor.life;
            let at_most = if by_publisher { latest } else { until };
            Some(Life { until: offered.until.min(at_most), latest })
        }
    }
}

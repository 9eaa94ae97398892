//! The records that a node keeps for others `[PROTOCOL 3.8]`.

#[cfg(test)]
mod tests;
mod weighing;

use core::ops::{Bound, RangeInclusive};
use std::collections::{BTreeMap, VecDeque};

use super::{
    DhtRecord, Distance, Place, StoreOutcome,
    change::{self, RememberedRecords},
    floors::Floors,
    held::{Held, Life, RecordBringer, Slot, cost},
    quota::{Charge, Quotas, Sharer, Shares},
};
use crate::{
    deadlines::Deadlines,
    id::NodeId,
    identity::Verified,
    limits::{MAX_EXPIRED_AT_ONCE, MAX_FLOORS, MAX_HELD_BYTES, MAX_HELD_RECORDS},
    metric::Level,
    storage::Change,
    time::{Instant, Now},
};

/// What a node keeps for others: at most one record of a publisher under a key.
///
/// Ask [`judge`](Self::judge) first: it costs no signature. Then [`insert`](Self::insert) what
/// proved to be signed; everything is judged again. Call [`handle_timeout`](Self::handle_timeout)
/// when [`poll_timeout`](Self::poll_timeout) says. Each of them tells rows to be kept, and what was
/// lost.
///
/// **Time.** A record lives from when it is accepted, on our monotonic clock, for what is left of
/// its life as its bringer says, and never for longer than its publisher wished. The same sequence
/// never gets a longer life, whoever brings it again. What a bringer says is not signed: so the
/// publisher itself, when it brings the record, gives it back what a stranger cut off, and has it
/// on its own account.
///
/// **What left stays away.** A [`Floor`](super::held::Floor) keeps its sequence until no copy of
/// anything older is of its time. A tombstone lives as long as what it kills would have.
///
/// **Who pays.** Everything is on the account of who brings it (a peer, and its network) and of
/// its publisher, tombstones too. What takes the place of something at least as large costs
/// nothing: no quota keeps somebody from deleting. For the same reason it is not refused for being
/// far away.
///
/// **Who gives way.** In a full store whoever has brought the most: see [`Shares`]. How near a key
/// is does not count, since a near one is ground in a moment.
///
/// **A full key.** A shared key has `MAX_SLOTS` slots, and those who are there stay: a newcomer
/// only takes the slot of a tombstone, whose floor goes on to keep the dead away, and a newcomer
/// that is a tombstone itself takes none. So a squatter pushes nobody out. It can be first, and
/// then needs addresses in `MAX_SLOTS / MAX_SLOTS_PER_NETWORK` networks for as long as it squats.
#[derive(Debug)]
pub(super) struct RecordStore {
    held: BTreeMap<Slot, Held>,
    ends: Deadlines<Slot>,
    shares: Shares,
    quotas: Quotas,
    floors: Floors,
    bytes: usize,
}

/// What a node keeps at all: keys that are not farther from its place than this.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) place: Place,
    pub(super) within: Distance,
}

/// What became of what was kept.
#[derive(Debug, Default)]
pub(super) struct StoreChanges {
    /// To be remembered, in this order.
    pub(super) rows: VecDeque<Change>,
    /// Two contents that a publisher signed under one sequence: evidence against it.
    pub(super) equivocations: Vec<[Verified<DhtRecord>; 2]>,
    /// Records that gave way to others before that.
    pub(super) evicted: u64,
    /// Floors that gave way to others: something older may come back where they were.
    pub(super) floors_lost: u64,
}

/// What to do with a record that is welcome.
#[derive(Debug)]
enum Step {
    Take(Taking),
    /// Its publisher brings itself what is kept already.
    Adopt(Slot, Life, RecordBringer),
    /// It loses against another content of its sequence, and proves that there are two.
    Convict(Slot),
}

/// How a record gets in.
#[derive(Debug)]
struct Taking {
    slot: Slot,
    life: Life,
    /// On whose account.
    bringer: RecordBringer,
    /// What leaves for it, because it gives way.
    evicted: Vec<Slot>,
    /// Whose place it takes, if that is another publisher's: only what cannot change.
    replaced: Option<Slot>,
    /// Whether it proves that its publisher signed two contents under one sequence.
    convicts: bool,
}

impl RecordStore {
    /// Nothing is kept.
    pub(super) fn new() -> Self {
        Self {
            held: BTreeMap::new(),
            ends: Deadlines::new(),
            shares: Shares::default(),
            quotas: Quotas::default(),
            floors: Floors::new(MAX_FLOORS),
            bytes: 0,
        }
    }

    /// What was kept before, as far as its life goes on. What ended meanwhile, or finds no room,
    /// leaves with the next [`handle_timeout`](Self::handle_timeout), which is due at once.
    pub(super) fn load(now: Now, remembered: RememberedRecords) -> Self {
        let mut store = Self::new();
        for floor in remembered.floors {
            store.floors.insert(floor.slot, floor.at(now));
        }
        for row in remembered.records {
            let Life { until, latest } = row.life.at(now);
            let has_room = store.lacks_room(cost(row.record.content()), &[]).is_none();
            let until = if has_room { until } else { now.mono };
            let life = Life { until, latest };
            let (record, bringer) = (row.record, row.bringer);
            let slot = Slot::of(record.content());
            store.put_in(Held { slot, record, bringer, life, equivocated: false });
        }
        store
    }

    /// Whether `record` would be kept if it were signed; `remaining` is what is left of its life in
    /// seconds, as `bringer` says.
    ///
    /// # Errors
    /// What becomes of it instead.
    pub(super) fn judge(
        &self,
        now: Now,
        record: &DhtRecord,
        remaining: u32,
        bringer: &RecordBringer,
        reach: Option<&Reach>,
    ) -> Result<(), StoreOutcome> {
        self.weigh(now, record, remaining, bringer, reach).map(drop)
    }

    /// Keeps `record`, or says why not; then nothing changed.
    pub(super) fn insert(
        &mut self,
        now: Now,
        record: Verified<DhtRecord>,
        remaining: u32,
        bringer: &RecordBringer,
        out: &mut StoreChanges,
    ) -> StoreOutcome {
        match self.weigh(now, record.content(), remaining, bringer, None) {
            Err(outcome) => outcome,
            Ok(Step::Take(taking)) => {
                self.take(now, record, taking, out);
                StoreOutcome::Kept
            }
            Ok(Step::Adopt(slot, life, bringer)) => {
                if let Some(held) = self.take_out(&slot) {
                    let held = Held { life, bringer, ..held };
                    out.rows.push_back(change::keep_record(now, &held));
                    self.put_in(held);
                }
                StoreOutcome::Known
            }
            Ok(Step::Convict(slot)) => {
                if let Some(held) = self.held.get_mut(&slot) {
                    held.equivocated = true;
                    out.equivocations.push([held.record.clone(), record]);
                }
                StoreOutcome::Stale
            }
        }
    }

    /// What is kept under a key, of one publisher or of all, and the seconds that are left of each.
    pub(super) fn get(
        &self,
        now: Instant,
        key: &Place,
        publisher: Option<&NodeId>,
    ) -> impl Iterator<Item = (&Verified<DhtRecord>, u32)> + use<'_> {
        let slots = match publisher {
            Some(publisher) => {
                let slot = Slot { key: *key, publisher: *publisher };
                slot..=slot
            }
            None => slots_of(*key),
        };
        let held = self.held.range(slots).map(|(_, held)| held);
        held.filter(move |held| held.life.until > now)
            .map(move |held| (&held.record, held.remaining(now)))
    }

    /// The keys behind `after`, each once: to go through all of them, some at a time.
    pub(super) fn keys(&self, after: Option<Place>) -> impl Iterator<Item = Place> {
        let next = |after: Place| {
            let behind = (Bound::Excluded(Slot::last_of(after)), Bound::Unbounded);
            self.held.range(behind).next().map(|(slot, _)| slot.key)
        };
        let first = match after {
            Some(after) => next(after),
            None => self.held.keys().next().map(|slot| slot.key),
        };
        core::iter::successors(first, move |key| next(*key))
    }

    /// The keys that are not farther than `within` from a place, each once: what a newcomer there
    /// may have to be given.
    pub(super) fn keys_near(&self, place: Place, within: Distance) -> impl Iterator<Item = Place> {
        // All of them begin with the bits that are 0 in the distance as the place does.
        let common = within.common_bits();
        let mask = |i: u32| !0xFF_u8.checked_shr(common.saturating_sub(8 * i)).unwrap_or(0);
        let mut first = *place.as_bytes();
        (0..).zip(&mut first).for_each(|(i, byte)| *byte &= mask(i));
        let first = Place::from_bytes(first);
        let at_first = self.has_slot_under(&first).then_some(first);
        at_first
            .into_iter()
            .chain(self.keys(Some(first)))
            .take_while(move |key| place.distance(key).common_bits() >= common)
            .filter(move |key| place.distance(key) <= within)
    }

    /// Lets go of what ended.
    pub(super) fn handle_timeout(&mut self, now: Now, out: &mut StoreChanges) {
        for _ in 0..MAX_EXPIRED_AT_ONCE {
            if let Some((_, slot)) = self.ends.next().filter(|(end, _)| *end <= now.mono) {
                self.let_go(now, &slot, out);
            } else if let Some(slot) = self.floors.pop_due(now.mono) {
                out.rows.push_back(change::forget_floor(&slot));
            } else {
                break;
            }
        }
    }

    /// When something ends next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let record = self.ends.next().map(|(end, _)| end);
        record.into_iter().chain(self.floors.next_end()).min()
    }

    /// Everything that is kept, by key; what has ended may still be among it.
    pub(super) fn held(&self) -> impl Iterator<Item = &Held> {
        self.held.values()
    }

    /// Records, tombstones included.
    pub(super) fn records(&self) -> Level {
        Level::new(self.held.len(), MAX_HELD_RECORDS)
    }

    /// Bytes of them and of the memory around them.
    pub(super) fn bytes(&self) -> Level {
        Level::new(self.bytes, MAX_HELD_BYTES)
    }

    /// Floors under records that left.
    pub(super) fn floors(&self) -> Level {
        Level::new(self.floors.len(), MAX_FLOORS)
    }
}

/// The steps.
impl RecordStore {
    fn take(
        &mut self,
        now: Now,
        record: Verified<DhtRecord>,
        taking: Taking,
        out: &mut StoreChanges,
    ) {
        let Taking { slot, life, bringer, evicted, replaced, convicts } = taking;
        for slot in evicted {
            self.let_go(now, &slot, out);
            out.evicted += 1;
        }
        if let Some(replaced) = replaced {
            self.let_go(now, &replaced, out);
        }
        let before = self.take_out(&slot);
        if self.floors.remove(&slot) {
            out.rows.push_back(change::forget_floor(&slot));
        }
        let rival =
            before.filter(|before| before.record.content().sequence == record.content().sequence);
        let equivocated = rival.is_some();
        if let Some(rival) = rival.filter(|_| convicts) {
            out.equivocations.push([rival.record, record.clone()]);
        }
        let held = Held { slot, record, bringer, life, equivocated };
        out.rows.push_back(change::keep_record(now, &held));
        self.put_in(held);
    }

    /// A record leaves, and a floor stays.
    fn let_go(&mut self, now: Now, slot: &Slot, out: &mut StoreChanges) {
        let Some(held) = self.take_out(slot) else { return };
        let floor = held.floor(now);
        out.rows.push_back(change::keep_floor(now, slot, &floor));
        out.rows.push_back(change::forget_record(slot));
        if let Some(lost) = self.floors.insert(*slot, floor) {
            out.rows.push_back(change::forget_floor(&lost));
            out.floors_lost += 1;
        }
    }

    fn put_in(&mut self, held: Held) {
        let (slot, cost) = (held.slot, held.cost());
        self.ends.set(slot, held.life.until);
        self.shares.add(Sharer::of(&held.bringer), held.life.until, slot, cost);
        self.quotas.add(&charge(&held));
        self.bytes += cost;
        self.held.insert(slot, held);
    }

    fn take_out(&mut self, slot: &Slot) -> Option<Held> {
        let held = self.held.remove(slot)?;
        let cost = held.cost();
        self.ends.clear(*slot);
        self.shares.subtract(Sharer::of(&held.bringer), held.life.until, *slot, cost);
        self.quotas.subtract(&charge(&held));
        self.bytes -= cost;
        Some(held)
    }

    fn has_slot_under(&self, key: &Place) -> bool {
        self.held.range(slots_of(*key)).next().is_some()
    }
}

fn charge(held: &Held) -> Charge {
    Charge { bringer: held.bringer, publisher: held.slot.publisher, bytes: held.cost() }
}

fn slots_of(key: Place) -> RangeInclusive<Slot> {
    Slot::first_of(key)..=Slot::last_of(key)
}

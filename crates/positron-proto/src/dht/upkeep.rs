//! That those who should keep a record do: newcomers get it, gaps are filled.

use std::collections::{BTreeMap, VecDeque};

use super::{Contact, Place};
use crate::{
    deadlines::Deadlines,
    limits::{BUCKET, MAX_PUSHES, MAX_REPAIRS_PUT_OFF, REPAIR_INTERVAL},
    rng::Rng,
    time::Instant,
};

/// What a holder does for the records that it keeps, beside answering.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// Who is new in the table, and has not been looked at.
    newcomers: VecDeque<Contact>,
    /// What a newcomer may lack.
    pushes: VecDeque<(Contact, Place)>,
    under_way: usize,
    /// When the others are asked what they lack, unless somebody does it before.
    repairs: Deadlines<Place>,
    /// How often in a row this was put off.
    put_off: BTreeMap<Place, u8>,
    pub(super) dropped: u64,
}

impl Upkeep {
    /// A record under this key is kept from now on.
    pub(super) fn handle_kept(&mut self, now: Instant, key: Place, rng: &mut Rng) {
        let times = self.put_off.entry(key).or_default();
        if self.repairs.get(key).is_some() {
            if *times >= MAX_REPAIRS_PUT_OFF {
                return;
            }
            *times += 1;
        }
        // Holders take turns, if their dice differ: who comes first saves the others the work.
        let at = now + rng.duration(REPAIR_INTERVAL..=REPAIR_INTERVAL * 2);
        self.repairs.set(key, at);
    }

    /// Somebody looks after a key, or does as if: it is put off so often and no more.
    pub(super) fn heard_of(&mut self, now: Instant, key: Place, rng: &mut Rng) {
        if self.repairs.get(key).is_some() {
            self.handle_kept(now, key, rng);
        }
    }

    /// Somebody new can be asked to keep records.
    pub(super) fn handle_newcomer(&mut self, newcomer: Contact) {
        if self.newcomers.len() < BUCKET {
            self.newcomers.push_back(newcomer);
        } else {
            // It gets what it lacks when holders repair.
            self.dropped += 1;
        }
    }

    pub(super) fn pop_newcomer(&mut self) -> Option<Contact> {
        self.newcomers.pop_front()
    }

    /// A newcomer may lack what is under these keys.
    pub(super) fn queue_pushes(&mut self, newcomer: Contact, keys: impl Iterator<Item = Place>) {
        for key in keys {
            if self.pushes.len() >= MAX_PUSHES {
                self.dropped += 1;
                break;
            }
            self.pushes.push_back((newcomer, key));
        }
    }

    pub(super) fn pop_push(&mut self) -> Option<(Contact, Place)> {
        self.pushes.pop_front()
    }

    pub(super) const fn push_begins(&mut self) {
        self.under_way += 1;
    }

    /// A push is over.
    pub(super) const fn handle_pushed(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    pub(super) const fn pushes_under_way(&self) -> usize {
        self.under_way
    }

    /// The next key that nobody looked after for long; call until `None`.
    pub(super) fn pop_repair(&mut self, now: Instant) -> Option<Place> {
        let key = self.repairs.pop_due(now)?;
        self.put_off.remove(&key);
        Some(key)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.repairs.next().map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rng::Seed, time::Duration};

    #[test]
    fn nobody_keeps_a_key_from_being_repaired_by_asking_for_it_or_renewing_a_slot_of_it() {
        let key = Place::from_bytes([7; 32]);
        for renews in [false, true] {
            let mut rng = Seed::new([7; 32]).stream("upkeep");
            let (mut upkeep, mut now) = (Upkeep::default(), Instant::ORIGIN);
            upkeep.heard_of(now, key, &mut rng);
            assert_eq!(upkeep.poll_timeout(), None, "nothing is kept there");
            upkeep.handle_kept(now, key, &mut rng);
            let mut repairs = 0;
            for _ in 0..24 * 60 {
                now = now + Duration::from_secs(60);
                match renews {
                    true => upkeep.handle_kept(now, key, &mut rng),
                    false => upkeep.heard_of(now, key, &mut rng),
                }
                if let Some(due) = upkeep.pop_repair(now) {
                    repairs += 1;
                    upkeep.handle_kept(now, due, &mut rng);
                }
            }
            assert!((20..=48).contains(&repairs), "{repairs} in a day");
        }
    }
}

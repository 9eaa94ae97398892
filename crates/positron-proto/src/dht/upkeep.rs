//! That those who should keep a record do: newcomers get it, gaps are filled.

use std::collections::{BTreeMap, VecDeque};

use super::{Contact, Place};
use crate::{
    deadlines::Deadlines,
    limits::{CONTACT_RETRY, MAX_PUSHES, MAX_REPAIRS_PUT_OFF, REPAIR_INTERVAL},
    rng::Rng,
    time::Instant,
};

/// What a holder does for the records that it keeps, beside answering.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// What a newcomer may lack.
    pushes: VecDeque<(Contact, Place)>,
    under_way: usize,
    /// Who was brought something in vain, and when it is looked at again.
    again: Deadlines<Contact>,
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

    /// Newcomers may lack what is under these keys.
    pub(super) fn queue_pushes(&mut self, pushes: impl Iterator<Item = (Contact, Place)>) {
        for push in pushes {
            if self.pushes.len() >= MAX_PUSHES {
                // It gets what it lacks when holders repair.
                self.dropped += 1;
                break;
            }
            self.pushes.push_back(push);
        }
    }

    pub(super) fn pop_push(&mut self) -> Option<(Contact, Place)> {
        let next = self.pushes.pop_front();
        if self.pushes.is_empty() {
            // Newcomers come in crowds, and seldom: a thousand pushes keep no memory afterwards.
            self.pushes = VecDeque::new();
        }
        next
    }

    pub(super) const fn push_begins(&mut self) {
        self.under_way += 1;
    }

    /// A push was lost. Whoever answers nothing is no contact any more before long.
    pub(super) fn handle_lost_push(&mut self, now: Instant, to: Contact) {
        self.handle_pushed();
        self.again.set(to, now + CONTACT_RETRY);
    }

    /// The next one that may still lack something; call until `None`.
    pub(super) fn pop_again(&mut self, now: Instant) -> Option<Contact> {
        self.again.pop_due(now)
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
        let (repair, again) = (self.repairs.next(), self.again.next());
        repair.map(|(at, _)| at).into_iter().chain(again.map(|(at, _)| at)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rng::Seed, time::Duration};

    #[test]
    fn whom_a_push_did_not_reach_is_looked_at_again_once_for_each() {
        let key = *crate::identity::Identity::from_seed([1; 32]).public_key();
        let to = Contact::new(key, [1; 32], ([11, 0, 0, 1], 8888).into());
        let (mut upkeep, now) = (Upkeep::default(), Instant::ORIGIN);
        upkeep.push_begins();
        upkeep.handle_lost_push(now, to);
        assert_eq!((upkeep.pushes_under_way(), upkeep.pop_again(now)), (0, None));
        let later = upkeep.poll_timeout().unwrap();
        assert_eq!((later, upkeep.pop_again(later)), (now + CONTACT_RETRY, Some(to)));
        assert_eq!((upkeep.pop_again(later), upkeep.poll_timeout()), (None, None));
    }

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

//! What hostile nodes answer.

use core::ops::RangeInclusive;
use std::collections::BTreeMap;

use positron_proto::{
    dht::{
        Contact, DhtAnswer, DhtAsk, DhtQuery, DhtRecord, Found, LivingRecord, Place, StoreOutcome,
    },
    identity::Signed,
    limits::MAX_CONTACTS_PER_ANSWER,
    wire::Reader,
};

use super::Hostility;

/// What hostile nodes know together.
#[derive(Debug)]
pub(super) struct Conspiracy {
    how: Hostility,
    /// The only key that they care about, if it is one.
    prey: Option<Place>,
    members: BTreeMap<Place, Vec<Contact>>,
    /// The first record that was brought for each key.
    first: BTreeMap<Place, LivingRecord>,
}

impl Conspiracy {
    pub(super) const fn new(how: Hostility, prey: Option<Place>) -> Self {
        Self { how, prey, members: BTreeMap::new(), first: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, member: Contact) {
        self.members.entry(member.place()).or_default().push(member);
    }

    /// What is shown for ever, from now on.
    pub(super) fn remember(&mut self, living: LivingRecord) {
        self.first.entry(living.record.content().key()).or_insert(living);
    }

    /// What any of them says; `None` if it is honest about that.
    pub(super) fn answer(&mut self, ask: &DhtAsk, room: usize) -> Option<DhtAnswer> {
        let target = target(&ask.query);
        if let DhtQuery::Store(living) | DhtQuery::StoreOnTheWay(living) = &ask.query {
            self.remember(living.clone());
        }
        if self.how == Hostility::Replay || self.prey.is_some_and(|prey| prey != target) {
            return None;
        }
        if matches!(ask.query, DhtQuery::Store(_)) {
            return Some(DhtAnswer::Stored(StoreOutcome::Kept));
        }
        let contacts = self.nearest(&target);
        if matches!(ask.query, DhtQuery::StoreOnTheWay(_)) {
            return Some(DhtAnswer::StoredOnTheWay(StoreOutcome::Kept, contacts));
        }
        let records = match &ask.query {
            DhtQuery::Get { values: true, .. } => self.first.get(&target).map(forge),
            _ => None,
        };
        let found = Found { records: records.into_iter().collect(), heads: Vec::new(), contacts };
        Some(DhtAnswer::Found(found.fitting(room)))
    }

    /// The members nearest to a place: those that begin with most of its bits are.
    fn nearest(&self, target: &Place) -> Vec<Contact> {
        let mut near = Vec::new();
        for bits in (0..=self.members.len().max(1).ilog2()).rev() {
            near = self.members.range(beginning_like(target, bits)).collect();
            if near.len() >= MAX_CONTACTS_PER_ANSWER {
                break;
            }
        }
        near.sort_by_cached_key(|(place, _)| place.distance(target));
        let mut near: Vec<_> = near.into_iter().flat_map(|(_, members)| members).copied().collect();
        near.truncate(MAX_CONTACTS_PER_ANSWER);
        near
    }

    /// What becomes of an honest answer of theirs.
    pub(super) fn tamper(&self, target: &Place, answer: DhtAnswer) -> DhtAnswer {
        match (answer, self.first.get(target)) {
            (DhtAnswer::Found(found), Some(first)) if self.how == Hostility::Replay => {
                let records = vec![first.clone()];
                DhtAnswer::Found(Found { records, heads: Vec::new(), ..found })
            }
            (DhtAnswer::Stored(_), _) if self.how == Hostility::Replay => {
                DhtAnswer::Stored(StoreOutcome::Kept)
            }
            (DhtAnswer::StoredOnTheWay(_, near), _) if self.how == Hostility::Replay => {
                DhtAnswer::StoredOnTheWay(StoreOutcome::Kept, near)
            }
            (answer, _) => answer,
        }
    }
}

/// What a query is about.
pub(super) fn target(query: &DhtQuery) -> Place {
    match query {
        DhtQuery::Find(target) => *target,
        DhtQuery::Get { key, .. } => *key,
        DhtQuery::Store(living) | DhtQuery::StoreOnTheWay(living) => living.record.content().key(),
    }
}

/// All places that begin with so many bits of this one, at most 32.
fn beginning_like(target: &Place, bits: u32) -> RangeInclusive<Place> {
    let mut head = [0; 4];
    head.copy_from_slice(&target.as_bytes()[..4]);
    let head = u32::from_be_bytes(head);
    let free = u32::MAX.checked_shr(bits).unwrap_or(0);
    let place = |head: u32, rest: u8| {
        let mut bytes = [rest; 32];
        bytes[..4].copy_from_slice(&head.to_be_bytes());
        Place::from_bytes(bytes)
    };
    place(head & !free, 0)..=place(head | free, 0xFF)
}

/// Another value under the same signature, and another sequence.
fn forge(living: &LivingRecord) -> LivingRecord {
    let mut bytes = Vec::with_capacity(living.record.encoded_len());
    living.record.encode(&mut bytes);
    let (last_of_value, last_of_sequence) = (bytes.len() - 65, 72);
    bytes[last_of_value] ^= 1;
    bytes[last_of_sequence] ^= 1;
    let record =
        Signed::<DhtRecord>::decode(&mut Reader::new(bytes.into())).expect("its form is right");
    LivingRecord { record, remaining: living.remaining }
}

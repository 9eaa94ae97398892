//! What hostile nodes answer.

use std::collections::BTreeMap;

use positron_proto::{
    dht::{Contact, DhtAnswer, DhtAsk, DhtQuery, Found, LivingRecord, Place, StoreOutcome},
    limits::MAX_CONTACTS_PER_ANSWER,
};

use super::Hostility;

/// What all hostile nodes of a world know together.
#[derive(Debug, Default)]
pub(super) struct Conspiracy {
    pub(super) members: Vec<Contact>,
    /// The first record that was brought for each key.
    first: BTreeMap<Place, LivingRecord>,
}

impl Conspiracy {
    /// What any of them says.
    pub(super) fn answer(&mut self, how: Hostility, ask: DhtAsk, room: usize) -> DhtAnswer {
        let target = match ask.query {
            DhtQuery::Find(target) => target,
            DhtQuery::Get { key, .. } => key,
            DhtQuery::Store(living) => {
                let key = living.record.content().key();
                self.first.entry(key).or_insert(living);
                return DhtAnswer::Stored(StoreOutcome::Kept);
            }
        };
        let records = match how {
            Hostility::Replay => self.first.get(&target).cloned().into_iter().collect(),
            Hostility::Collude => Vec::new(),
        };
        let mut contacts = self.members.clone();
        contacts.sort_by_key(|contact| contact.place().distance(&target));
        contacts.truncate(MAX_CONTACTS_PER_ANSWER);
        let found = Found { records, heads: Vec::new(), contacts };
        DhtAnswer::Found(found.fitting(room))
    }
}

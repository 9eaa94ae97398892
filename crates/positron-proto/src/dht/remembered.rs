//! What the hash table begins with: everything that it kept before.

use super::{
    CONTACTS, Contact, DhtRecord, RememberedRecords,
    change::{RECORD_FLOORS, RECORDS},
    published::Title,
};
use crate::{
    id::NetworkId,
    identity::{Signed, Verified},
    storage::{Change, Remembered, Row, Rule, Table, Urgency},
    wire::{Malformed, Reader, Writer as _},
};

/// Kind and name: what this node said last under it, tombstones included.
const PUBLISHED: Table = Table { name: "dht_published", rule: Rule::Replace, essential: false };

/// What storage brings back of the hash table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RememberedDht {
    /// What was kept for others.
    pub(super) records: RememberedRecords,
    /// Who answered.
    pub(super) contacts: Vec<Contact>,
    /// What this node published.
    pub(super) published: Vec<Verified<DhtRecord>>,
}

/// A record of ours: it must be there after a crash, or its sequence would be used again.
pub(super) fn keep_published(record: &Verified<DhtRecord>) -> Change {
    let mut value = Vec::with_capacity(record.claim().encoded_len());
    record.claim().encode(&mut value);
    let key = row_key(&Title::of(record.content()));
    Change::keep(&PUBLISHED, key, value).at_least(Urgency::Critical)
}

/// Nothing of ours is under this title any more.
pub(super) fn forget_published(title: &Title) -> Change {
    Change::forget(&PUBLISHED, row_key(title))
}

fn row_key(title: &Title) -> Vec<u8> {
    let mut key = vec![title.kind.number()];
    key.append_raw(title.name.as_bytes());
    key
}

impl Remembered for RememberedDht {
    fn tables(&self) -> &'static [&'static Table] {
        &[&RECORDS, &RECORD_FLOORS, &CONTACTS, &PUBLISHED]
    }

    fn load(&mut self, row: Row, network: &NetworkId) -> Result<(), Malformed> {
        if row.table == &CONTACTS {
            return self.contacts.load(row, network);
        }
        if row.table != &PUBLISHED {
            return self.records.load(row, network);
        }
        let mut reader = Reader::new(row.value);
        let claim = Signed::<DhtRecord>::decode(&mut reader)?;
        if row.key != row_key(&Title::of(claim.content())) {
            return Err(reader.malformed("record of another title"));
        }
        reader.finish()?;
        self.published.push(Verified::from_own_storage(claim, network));
        Ok(())
    }
}

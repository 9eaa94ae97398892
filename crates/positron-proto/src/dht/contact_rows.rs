//! Contacts that are remembered across restarts, as rows.

use super::Contact;
use crate::{
    id::{NetworkId, NodeId},
    storage::{Change, Remembered, Row, Rule, Table},
    wire::{Malformed, Reader},
};

/// Node: its contact as it travels. Whoever answered us before we stopped may still be there.
pub const CONTACTS: Table = Table { name: "dht_contacts", rule: Rule::Replace, essential: false };

pub(super) fn keep(contact: &Contact) -> Change {
    let mut value = Vec::with_capacity(contact.encoded_len());
    contact.encode(&mut value);
    Change::keep(&CONTACTS, contact.id().as_bytes().to_vec(), value)
}

pub(super) fn forget(id: &NodeId) -> Change {
    Change::forget(&CONTACTS, id.as_bytes().to_vec())
}

impl Remembered for Vec<Contact> {
    fn tables(&self) -> &'static [&'static Table] {
        &[&CONTACTS]
    }

    fn load(&mut self, row: Row, _: &NetworkId) -> Result<(), Malformed> {
        let mut reader = Reader::new(row.value);
        let contact = Contact::decode(&mut reader)?;
        if row.key != contact.id().as_bytes()[..] {
            return Err(reader.malformed("contact of another key"));
        }
        reader.finish()?;
        self.push(contact);
        Ok(())
    }
}

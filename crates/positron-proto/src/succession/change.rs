//! What successions keep across restarts, as rows.

use super::Succession;
use crate::{
    id::{NetworkId, NodeId},
    identity::{Signed, Verified},
    storage::{Change, Remembered, Row, Rule, Table, Urgency},
    wire::{Malformed, Reader},
};

/// Old id: the succession as it travels.
pub const KEYS: Table = Table { name: "succession_keys", rule: Rule::Replace, essential: false };

/// A key gave way to another. It must survive a loss of power: what follows from it is kept beside.
pub fn keep(succession: &Verified<Succession>) -> Change {
    let mut value = Vec::new();
    succession.claim().encode(&mut value);
    let key = succession.content().predecessor().as_bytes().to_vec();
    Change::keep(&KEYS, key, value).at_least(Urgency::Critical)
}

/// Nobody came after this key.
pub fn forget(old: &NodeId) -> Change {
    Change::forget(&KEYS, old.as_bytes().to_vec())
}

impl Remembered for Vec<Verified<Succession>> {
    fn tables(&self) -> &'static [&'static Table] {
        &[&KEYS]
    }

    fn load(&mut self, row: Row, network: &NetworkId) -> Result<(), Malformed> {
        let (mut key, mut value) = (Reader::new(row.key), Reader::new(row.value));
        let claim = Signed::<Succession>::decode(&mut value)?;
        let other = key.malformed("key of another succession");
        let old = NodeId::from_bytes(key.array()?);
        key.finish()?;
        value.finish()?;
        if old != claim.content().predecessor() {
            return Err(other);
        }
        self.push(Verified::from_own_storage(claim, network));
        Ok(())
    }
}

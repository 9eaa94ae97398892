//! What the wiring itself keeps across restarts: our own numbers. And how changes are numbered.

use crate::{
    id::NetworkId,
    storage::{Change, Remembered, Row, Rule, Table, Urgency},
    wire::{Malformed, Reader},
};

/// Numbers the changes of one run: 1, 2, 3, ...
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeId(pub u64);

/// The two countings of a sender's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SequenceKind {
    /// To everyone.
    Broadcast,
    /// To one node.
    Direct,
}

/// Our own first numbers that were never given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Of broadcasts.
    pub next_broadcast: u64,
    /// Of direct messages.
    pub next_direct: u64,
    /// Whether others may know of more. No table says so; whoever found the key does.
    pub key: KeyAge,
}

/// Whether a key may have signed something that its database does not know of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyAge {
    /// It was made for this start of the node.
    #[default]
    New,
    /// It was there before.
    Used,
}

/// Which counting: the first number that was not given out. A reservation is never taken back: a
/// number that may have been used is not used again.
pub const NUMBERS: Table = Table { name: "node_numbers", rule: Rule::Rise, essential: true };

/// Our own numbers below `below` may have been used. Must survive a loss of power.
pub fn reserve(kind: SequenceKind, below: u64) -> Change {
    let change = Change::keep(&NUMBERS, name_of(kind), below.to_be_bytes().to_vec());
    change.at_least(Urgency::Critical)
}

impl Remembered for Numbers {
    fn tables(&self) -> &'static [&'static Table] {
        &[&NUMBERS]
    }

    fn load(&mut self, row: Row, _: &NetworkId) -> Result<(), Malformed> {
        let mut value = Reader::new(row.value);
        let next = value.u64()?;
        let unknown = value.malformed("counting");
        value.finish()?;
        if row.key == name_of(SequenceKind::Broadcast) {
            self.next_broadcast = next;
        } else if row.key == name_of(SequenceKind::Direct) {
            self.next_direct = next;
        } else {
            return Err(unknown);
        }
        Ok(())
    }
}

const fn name_of(kind: SequenceKind) -> &'static str {
    match kind {
        SequenceKind::Broadcast => "broadcast",
        SequenceKind::Direct => "direct",
    }
}

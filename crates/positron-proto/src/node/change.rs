//! What storage keeps, and what it brings back.

use crate::{
    gossip::GossipSnapshot,
    id::NetworkId,
    peers::KnownPeer,
    storage::{Change, Remembered, Row, Rule, Table},
    trust::RememberedTrust,
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

/// What storage brings back at the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Our own numbers.
    pub numbers: Numbers,
    /// Broadcasts and floors.
    pub gossip: GossipSnapshot,
    /// The address book.
    pub peers: Vec<KnownPeer>,
    /// What we make of peers.
    pub standings: Vec<RememberedTrust>,
}

/// Our own first numbers that were never given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Of broadcasts.
    pub next_broadcast: u64,
    /// Of direct messages.
    pub next_direct: u64,
}

/// Which counting: the first number that was not given out. A reservation is never taken back: a
/// number that may have been used is not used again.
pub const NUMBERS: Table = Table { name: "node_numbers", rule: Rule::Rise, essential: true };

/// Our own numbers below `below` may have been used. Must survive a loss of power.
pub fn reserve(kind: SequenceKind, below: u64) -> Change {
    let change = Change::keep(&NUMBERS, name_of(kind), below.to_be_bytes().to_vec());
    change.critical_if(true)
}

impl Snapshot {
    /// Every table of every room: what storage has to have a place for.
    pub fn tables() -> Vec<&'static Table> {
        Self::default().rooms().iter().flat_map(|room| room.tables()).copied().collect()
    }

    /// Takes a row of one of [`tables`](Self::tables); each table's come in the order in which their
    /// keys were first kept.
    ///
    /// # Errors
    /// The row makes no sense; it is left out.
    pub fn load(&mut self, row: Row, network: &NetworkId) -> Result<(), Malformed> {
        let of_this_row = |room: &&mut &mut dyn Remembered| room.tables().contains(&row.table);
        match self.rooms().iter_mut().find(of_this_row) {
            Some(room) => room.load(row, network),
            None => Err(Malformed { what: "row of no room", offset: 0 }),
        }
    }

    /// Everybody who keeps anything.
    fn rooms(&mut self) -> [&mut dyn Remembered; 4] {
        [&mut self.numbers, &mut self.gossip, &mut self.peers, &mut self.standings]
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_belongs_to_two_tables_and_each_can_be_written_without_quotes() {
        let tables = Snapshot::tables();
        let names: BTreeSet<_> = tables.iter().map(|table| table.name).collect();
        assert_eq!(names.len(), tables.len(), "{names:?}");
        for name in names {
            assert!(name.contains('_') && !name.starts_with('_'), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        }
    }

    #[test]
    fn a_row_of_no_room_is_refused() {
        const STRANGE: Table =
            Table { name: "strange_rows", rule: Rule::Replace, essential: false };
        let row = Row { table: &STRANGE, key: "key".into(), value: "value".into() };
        let mut snapshot = Snapshot::default();
        assert!(snapshot.load(row, &NetworkId::from_name("test")).is_err());
        assert_eq!(snapshot, Snapshot::default());
    }
}

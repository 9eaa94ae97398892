//! What is remembered across restarts: rows of tables, whoever keeps them.
//!
//! A room says what is to be kept as [`Change`]s of its own [`Table`]s, and reads its [`Row`]s back
//! at the start ([`Remembered`]). Who keeps them, a database or the disk of the simulator, knows
//! keys, values and rules, and nothing of what they mean.

use bytes::Bytes;

use crate::{crypto::sha256, id::NetworkId, wire::Malformed};

/// Rows of one kind: a constant of the room whose rows they are.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// The room and what a row is, as in `gossip_messages`: small letters and underscores. No two
    /// tables share one.
    pub name: &'static str,
    /// What a write makes of the row that stands.
    pub rule: Rule,
    /// Whether to start without a row that rotted is worse than not to start.
    pub essential: bool,
}

/// What a write makes of the row that stands under its key. Applying a change twice is applying it
/// once, by every rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The new value replaces the old one. The row keeps its place in the order.
    Replace,
    /// The larger of the two values stays, compared byte by byte: a number in network order only
    /// rises.
    Rise,
    /// Lines for people, oldest first, that no node reads back: what was written once stays as it
    /// is.
    Log {
        /// How many lines are kept, the newest.
        newest: usize,
    },
}

/// One thing to be remembered or forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub table: &'static Table,
    /// Of what; no two rows of a table share one.
    pub key: Bytes,
    /// What; `None` forgets the row.
    pub value: Option<Value>,
    /// How soon it must be there, and what it must survive then.
    pub urgency: Urgency,
}

/// How soon a change must be on disk. Changes stay in order: what was made before an urgent one is
/// as urgent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// With what else comes in a moment: nobody waits for it.
    #[default]
    Behind,
    /// In a moment: somebody waits until it survives a crash of the process, and can spare the
    /// moment in which others come to share the commit.
    Soon,
    /// At once: somebody waits until it survives a crash of the process.
    Awaited,
    /// At once, and it must survive a loss of power.
    Critical,
}

/// What stands under a key, in two parts: what was written down for it, and behind that what it
/// shares with others. A payload is not copied to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// The first part.
    pub head: Bytes,
    /// The second part, of a length that the first one need not tell.
    pub tail: Bytes,
}

/// One row, as it is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// From where.
    pub table: &'static Table,
    /// Of what.
    pub key: Bytes,
    /// What.
    pub value: Bytes,
}

/// What a room begins with: empty, then told its rows one by one, each table in the order in which
/// its keys were first kept.
pub trait Remembered {
    /// Every table of the room, what it does not read back included.
    fn tables(&self) -> &'static [&'static Table];

    /// Takes a row of one of [`tables`](Self::tables). Signatures are not checked again: they were
    /// before the row was kept.
    ///
    /// # Errors
    /// The row makes no sense; it is left out.
    fn load(&mut self, row: Row, network: &NetworkId) -> Result<(), Malformed>;
}

impl Change {
    /// Remembers `value` under `key`.
    pub fn keep(table: &'static Table, key: impl Into<Bytes>, value: impl Into<Value>) -> Self {
        Self { table, key: key.into(), value: Some(value.into()), urgency: Urgency::Behind }
    }

    /// Remembers nothing under `key` any more.
    pub fn forget(table: &'static Table, key: impl Into<Bytes>) -> Self {
        Self { table, key: key.into(), value: None, urgency: Urgency::Behind }
    }

    /// The same, not less urgent than this.
    #[must_use]
    pub fn at_least(mut self, urgency: Urgency) -> Self {
        self.urgency = self.urgency.max(urgency);
        self
    }

    /// Bytes of key and value.
    pub fn len(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Value::len)
    }

    /// Whether neither key nor value have any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Value {
    /// Bytes of both parts.
    pub const fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes.
    pub fn iter(&self) -> impl Iterator<Item = u8> {
        self.head.iter().chain(&self.tail).copied()
    }

    /// Its bytes in one piece.
    pub fn to_bytes(&self) -> Bytes {
        if self.tail.is_empty() {
            return self.head.clone();
        }
        [&self.head[..], &self.tail].concat().into()
    }

    /// What tells a row that rotted on the disk; see [`Row::checksum`].
    pub fn checksum(&self, table: &Table, key: &[u8]) -> [u8; 8] {
        checksum(table, key, &self.head, &self.tail)
    }
}

impl From<Vec<u8>> for Value {
    fn from(head: Vec<u8>) -> Self {
        Self { head: head.into(), tail: Bytes::new() }
    }
}

impl Row {
    /// Eight bytes of a hash over all of the row.
    ///
    /// Signatures are not checked when a node starts. A claim that rotted on our disk and was
    /// passed on would be a forgery that others hold against us, so it is told by this.
    pub fn checksum(&self) -> [u8; 8] {
        checksum(self.table, &self.key, &self.value, &[])
    }
}

fn checksum(table: &Table, key: &[u8], head: &[u8], tail: &[u8]) -> [u8; 8] {
    // Where a name and a key end is told, so that no two rows hash the same bytes.
    let len = (key.len() as u64).to_be_bytes();
    let hash = sha256(&[table.name.as_bytes(), &[0], &len, key, head, tail]);
    let mut short = [0; 8];
    short.copy_from_slice(&hash[..8]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table { name: "test_rows", rule: Rule::Replace, essential: false };
    const OTHER: Table = Table { name: "test_ro", rule: Rule::Replace, essential: false };

    fn row(table: &'static Table, key: &'static str, value: &'static str) -> Row {
        Row { table, key: key.into(), value: value.into() }
    }

    #[test]
    fn a_value_in_two_parts_is_the_value_in_one() {
        let halves = Value { head: "head".into(), tail: "tail".into() };
        let whole = Value::from(b"headtail".to_vec());
        assert_eq!(halves.to_bytes(), whole.to_bytes());
        assert!(halves.iter().eq(whole.iter()));
        assert_eq!(halves.len(), whole.len());
        let sum = row(&TABLE, "key", "headtail").checksum();
        assert_eq!(halves.checksum(&TABLE, b"key"), sum);
        assert_eq!(whole.checksum(&TABLE, b"key"), sum);
    }

    #[test]
    fn the_checksum_tells_tables_keys_and_values_apart() {
        let rows = [
            row(&TABLE, "key", "value"),
            row(&OTHER, "key", "value"),
            row(&TABLE, "keyv", "alue"),
            row(&TABLE, "kex", "value"),
            row(&TABLE, "key", "valuf"),
            row(&TABLE, "key", "value\0"),
            row(&TABLE, "", "keyvalue"),
        ];
        let mut sums = rows.iter().map(Row::checksum).collect::<Vec<_>>();
        sums.sort_unstable();
        sums.dedup();
        assert_eq!(sums.len(), rows.len());
    }
}

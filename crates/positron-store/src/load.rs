//! What is on disk as the values that a node starts with.

use std::path::Path;

use bytes::Bytes;
use positron_proto::{
    id::NetworkId,
    node::Snapshot,
    storage::{Row, Rule, Table},
};
use rusqlite::{Connection, types::ValueRef};

use crate::StoreError;

/// What was loaded, and how many rows make no sense: they stay where they are and are left out.
pub(crate) struct Loaded {
    pub(crate) snapshot: Snapshot,
    pub(crate) skipped: u64,
}

/// Reads everything that a node starts with, each table in the order in which its keys were first
/// kept. A checksum tells what has changed since; see [`Row::checksum`].
pub(crate) fn load(
    db: &Connection,
    path: &Path,
    network: &NetworkId,
) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded { snapshot: Snapshot::default(), skipped: 0 };
    for table in Snapshot::tables() {
        // Nobody reads a log back.
        if matches!(table.rule, Rule::Log { .. }) {
            continue;
        }
        let sql = |error| StoreError::from_sql(&error, "read", path);
        let skipped =
            rows(db, table, OLDEST_FIRST, |row| loaded.snapshot.load(row, network).is_ok());
        let skipped = skipped.map_err(sql)?;
        if skipped > 0 && table.essential {
            let why = format!(
                "{skipped} rows of {}, which no node can be without, make no sense",
                table.name
            );
            return Err(StoreError::Corrupt { path: path.to_owned(), why });
        }
        loaded.skipped += skipped;
    }
    Ok(loaded)
}

/// Hands every sound row of `table` to `take`, which says whether it makes sense, in an `order` of
/// SQL. Returns how many do not. An error of the database itself ends it.
pub(crate) fn rows(
    db: &Connection,
    table: &'static Table,
    order: &str,
    mut take: impl FnMut(Row) -> bool,
) -> rusqlite::Result<u64> {
    let mut statement =
        db.prepare(&format!("SELECT key, value, checksum FROM {} {order}", table.name))?;
    let mut rows = statement.query(())?;
    let mut skipped = 0;
    while let Some(row) = rows.next()? {
        let read = (blob(row.get_ref(0)?), blob(row.get_ref(1)?), row.get_ref(2)?.as_blob());
        let makes_sense = match read {
            (Some(key), Some(value), Ok(checksum)) => {
                let row = Row { table, key, value };
                row.checksum() == checksum && take(row)
            }
            _ => false,
        };
        skipped += u64::from(!makes_sense);
    }
    Ok(skipped)
}

fn blob(column: ValueRef<'_>) -> Option<Bytes> {
    column.as_blob().ok().map(Bytes::copy_from_slice)
}

/// As the keys were first kept.
pub(crate) const OLDEST_FIRST: &str = "ORDER BY number";

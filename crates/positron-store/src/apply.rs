//! Changes as SQL. Applying them twice is applying them once.

use positron_proto::{
    node::ChangeId,
    storage::{Change, Rule, Table, Value},
};
use rusqlite::Connection;

use crate::{
    limits::PRUNED_PART,
    settled::{Kept, Settled, settle},
};

/// Turns changes into rows.
#[derive(Default)]
pub(crate) struct Apply {
    statements: Vec<Statements>,
    scratch: Vec<u8>,
}

/// What is done to one table, as SQL: written once, because a prepared statement is found by its
/// text.
struct Statements {
    table: &'static Table,
    keep: String,
    forget: String,
    span: String,
    prune: String,
}

impl Apply {
    /// Applies a batch within the transaction that is open on `db`, and deletes the oldest lines of
    /// every log that it wrote to, if there are too many.
    pub(crate) fn apply(
        &mut self,
        db: &Connection,
        batch: &[(ChangeId, Change)],
    ) -> rusqlite::Result<()> {
        let Self { statements, scratch } = self;
        for Settled { table, forgotten, kept } in settle(batch) {
            let statements = of(statements, table);
            if !forgotten.is_empty() {
                let mut forget = db.prepare_cached(&statements.forget)?;
                for key in forgotten {
                    forget.execute((key,))?;
                }
            }
            let mut keep = db.prepare_cached(&statements.keep)?;
            for Kept { key, value, .. } in kept {
                let checksum = value.checksum(table, key);
                keep.execute((key, whole(value, scratch), checksum))?;
            }
            if let Rule::Log { newest } = table.rule {
                prune(db, statements, newest)?;
            }
        }
        Ok(())
    }
}

/// A value in one piece.
fn whole<'a>(value: &'a Value, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if value.tail.is_empty() {
        return &value.head;
    }
    scratch.clear();
    scratch.extend_from_slice(&value.head);
    scratch.extend_from_slice(&value.tail);
    scratch
}

/// The statements of `table`; there are few tables.
fn of<'a>(statements: &'a mut Vec<Statements>, table: &'static Table) -> &'a Statements {
    let known = statements.iter().position(|known| known.table == table);
    let at = known.unwrap_or_else(|| {
        statements.push(Statements::new(table));
        statements.len() - 1
    });
    &statements[at]
}

impl Statements {
    fn new(table: &'static Table) -> Self {
        let name = table.name;
        let conflict = match table.rule {
            Rule::Replace => "DO UPDATE SET value = excluded.value, checksum = excluded.checksum",
            // Blobs are compared byte by byte.
            Rule::Rise => {
                "DO UPDATE SET value = excluded.value, checksum = excluded.checksum
                 WHERE excluded.value > value"
            }
            Rule::Log { .. } => "DO NOTHING",
        };
        Self {
            table,
            keep: format!(
                "INSERT INTO {name} (key, value, checksum) VALUES (?1, ?2, ?3)
                 ON CONFLICT (key) {conflict}"
            ),
            forget: format!("DELETE FROM {name} WHERE key = ?1"),
            span: format!(
                "SELECT (SELECT min(number) FROM {name}), (SELECT max(number) FROM {name})"
            ),
            prune: format!("DELETE FROM {name} WHERE number <= ?1"),
        }
    }
}

fn prune(db: &Connection, of: &Statements, most: usize) -> rusqlite::Result<()> {
    let (oldest, newest) = db
        .prepare_cached(&of.span)?
        .query_row((), |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)))?;
    let (Some(oldest), Some(newest)) = (oldest, newest) else { return Ok(()) };
    // Numbers are consecutive: only the oldest are ever deleted.
    let most = integer(most);
    if newest.saturating_sub(oldest) < most {
        return Ok(());
    }
    let last = newest.saturating_sub(most.saturating_sub(most / PRUNED_PART));
    db.prepare_cached(&of.prune)?.execute((last,)).map(drop)
}

/// A count as SQLite has it, 63 bits.
fn integer(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Statements for each table; all of them stay prepared.
pub(crate) const STATEMENTS_PER_TABLE: usize = 4;

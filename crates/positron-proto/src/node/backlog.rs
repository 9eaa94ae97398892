//! Changes that the disk has no turn for yet.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::ChangeId;
use crate::{
    limits::{BACKLOG_OVERHEAD, MAX_BACKLOG_BYTES},
    storage::{Change, Rule, Urgency},
};

/// What waits behind a slow disk or for one that is away, in order.
///
/// Of several changes of one row only the last waits, because a row comes to the same without those
/// before it. So what the rooms bound is bounded here too, for as long as it takes: a message that
/// came and left again waits as the few bytes that forget it. What no room bounds, rows that were
/// forgotten and lines of a log, is dropped beyond [`MAX_BACKLOG_BYTES`], and so are messages that
/// others have, rows that are kept before rows that are forgotten, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    changes: BTreeMap<ChangeId, Change>,
    /// The last change of each row.
    of_row: BTreeMap<(&'static str, Bytes), ChangeId>,
    /// What may be dropped; first what keeps a row, then what forgets one.
    droppable: BTreeSet<(bool, ChangeId)>,
    bytes: usize,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// Bytes of memory, about.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a change. Returns how many had to be dropped.
    pub(super) fn push(&mut self, id: ChangeId, mut change: Change) -> u64 {
        let row = (change.table.name, change.key.clone());
        if let Some(&earlier) = self.of_row.get(&row)
            && self.is_void_after(earlier, &change)
            && let Some(before) = self.remove(earlier)
            && let (Rule::Rise, Some(lower), Some(value)) =
                (change.table.rule, before.value, &change.value)
            && lower.iter().gt(value.iter())
        {
            change.value = Some(lower);
        }
        self.bytes += cost(&change);
        if change.urgency == Urgency::Behind {
            self.droppable.insert((change.value.is_none(), id));
        }
        self.of_row.insert(row, id);
        self.changes.insert(id, change);
        self.drop_beyond_limit()
    }

    /// Takes the first one.
    pub(super) fn pop(&mut self) -> Option<(ChangeId, Change)> {
        let (&id, _) = self.changes.first_key_value()?;
        Some((id, self.remove(id)?))
    }

    /// Whether an earlier change of the row makes no difference any more. What rises is not risen
    /// again from where it was before it was forgotten.
    fn is_void_after(&self, earlier: ChangeId, change: &Change) -> bool {
        let forgot = self.changes.get(&earlier).is_some_and(|earlier| earlier.value.is_none());
        match change.table.rule {
            Rule::Replace => true,
            Rule::Rise => !forgot || change.value.is_none(),
            Rule::Log { .. } => false,
        }
    }

    fn remove(&mut self, id: ChangeId) -> Option<Change> {
        let change = self.changes.remove(&id)?;
        self.droppable.remove(&(change.value.is_none(), id));
        self.bytes -= cost(&change);
        let row = (change.table.name, change.key.clone());
        if self.of_row.get(&row) == Some(&id) {
            self.of_row.remove(&row);
        }
        Some(change)
    }

    fn drop_beyond_limit(&mut self) -> u64 {
        let mut dropped = 0;
        while self.bytes > MAX_BACKLOG_BYTES
            && let Some(&(_, id)) = self.droppable.first()
        {
            self.remove(id);
            dropped += 1;
        }
        dropped
    }
}

fn cost(change: &Change) -> usize {
    BACKLOG_OVERHEAD + change.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Table;

    const ROWS: Table = Table { name: "test_rows", rule: Rule::Replace, essential: false };
    const FLOORS: Table = Table { name: "test_floors", rule: Rule::Rise, essential: false };
    const LINES: Table =
        Table { name: "test_lines", rule: Rule::Log { newest: 9 }, essential: false };

    fn keep(table: &'static Table, key: u64, value: &[u8]) -> Change {
        Change::keep(table, key.to_be_bytes().to_vec(), value.to_vec())
    }

    fn forget(table: &'static Table, key: u64) -> Change {
        Change::forget(table, key.to_be_bytes().to_vec())
    }

    fn drained(mut backlog: Backlog) -> Vec<(u64, Change)> {
        core::iter::from_fn(|| backlog.pop().map(|(id, change)| (id.0, change))).collect()
    }

    fn filled(changes: impl IntoIterator<Item = Change>) -> Backlog {
        let mut backlog = Backlog::default();
        for (id, change) in (1..).map(ChangeId).zip(changes) {
            assert_eq!(backlog.push(id, change), 0);
        }
        backlog
    }

    #[test]
    fn of_several_changes_of_a_row_the_last_waits_in_its_place() {
        let backlog = filled([
            keep(&ROWS, 1, b"a"),
            keep(&ROWS, 2, b"b"),
            forget(&ROWS, 1),
            keep(&LINES, 1, b"c"),
        ]);
        let expected =
            vec![(2, keep(&ROWS, 2, b"b")), (3, forget(&ROWS, 1)), (4, keep(&LINES, 1, b"c"))];
        assert_eq!(drained(backlog), expected);
    }

    #[test]
    fn what_rises_does_not_fall_by_waiting() {
        let backlog = filled([keep(&FLOORS, 1, &[5]), keep(&FLOORS, 1, &[3])]);
        assert_eq!(drained(backlog), [(2, keep(&FLOORS, 1, &[5]))]);
        let again = [keep(&FLOORS, 1, &[5]), forget(&FLOORS, 1), keep(&FLOORS, 1, &[3])];
        let backlog = filled(again.clone());
        assert_eq!(drained(backlog), [(2, again[1].clone()), (3, again[2].clone())]);
    }

    #[test]
    fn a_disk_that_is_away_for_hours_costs_no_more_than_the_bound() {
        let mut backlog = Backlog::default();
        let own = keep(&ROWS, u64::MAX, b"awaited").at_least(Urgency::Awaited);
        backlog.push(ChangeId(1), own.clone());
        let number = keep(&FLOORS, 0, b"critical").at_least(Urgency::Critical);
        backlog.push(ChangeId(2), number.clone());
        let mut dropped = 0;
        for n in 3..600_000 {
            dropped += backlog.push(ChangeId(2 * n), keep(&ROWS, n, &[7; 1024]));
            dropped += backlog.push(ChangeId(2 * n + 1), forget(&ROWS, n));
            assert!(backlog.bytes() <= MAX_BACKLOG_BYTES);
        }
        assert!(dropped > 0);
        assert_eq!(backlog.pop(), Some((ChangeId(1), own)));
        assert_eq!(backlog.pop(), Some((ChangeId(2), number)));
        while backlog.pop().is_some() {}
        assert_eq!((backlog.bytes(), backlog.of_row.len(), backlog.droppable.len()), (0, 0, 0));
    }
}

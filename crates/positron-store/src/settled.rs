//! What a batch comes to: of each row the last word.

use std::cmp::Ordering;

use positron_proto::{
    node::ChangeId,
    storage::{Change, Rule, Table, Value},
};

/// What becomes of the rows of one table. What is forgotten goes first.
#[derive(Debug)]
pub(crate) struct Settled<'a> {
    pub(crate) table: &'static Table,
    /// In the order of keys, as the tree that is searched by key has them.
    pub(crate) forgotten: Vec<&'a [u8]>,
    /// In the order in which they were first kept, which is the order of their numbers.
    pub(crate) kept: Vec<Kept<'a>>,
}

/// What is written under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a Value,
    /// Where in the batch it was first kept, after it was last forgotten.
    first: usize,
}

/// What `batch` comes to, table by table. A row that changed often, as a floor does, is written
/// once, and one that came and went again is only forgotten. What is said of a log is written line
/// by line.
pub(crate) fn settle(batch: &[(ChangeId, Change)]) -> Vec<Settled<'_>> {
    let mut order: Vec<(usize, &Change)> =
        batch.iter().map(|(_, change)| change).enumerate().collect();
    order.sort_unstable_by(|(a, one), (b, other)| {
        one.table.name.cmp(other.table.name).then_with(|| by_row(one, other)).then(a.cmp(b))
    });
    let tables = order.chunk_by(|(_, one), (_, other)| one.table == other.table);
    tables.map(settle_table).collect()
}

/// Changes of one table, sorted.
fn settle_table<'a>(changes: &[(usize, &'a Change)]) -> Settled<'a> {
    let mut settled =
        Settled { table: changes[0].1.table, forgotten: Vec::new(), kept: Vec::new() };
    for of_row in changes.chunk_by(|(_, one), (_, other)| is_same_row(one, other)) {
        let mut kept: Option<Kept<'a>> = None;
        for &(at, change) in of_row {
            kept = change.value.as_ref().map(|value| match kept {
                // Nothing is risen again from where it was before it was forgotten.
                Some(before) if change.table.rule == Rule::Rise => {
                    let falls = value.iter().lt(before.value.iter());
                    Kept { value: if falls { before.value } else { value }, ..before }
                }
                Some(before) => Kept { value, ..before },
                None => Kept { key: &change.key, value, first: at },
            });
        }
        if let Some((_, change)) = of_row.iter().find(|(_, change)| change.value.is_none()) {
            settled.forgotten.push(&change.key);
        }
        settled.kept.extend(kept);
    }
    settled.kept.sort_unstable_by_key(|kept| kept.first);
    settled
}

/// Lines of a log are in the order in which they came.
fn by_row(one: &Change, other: &Change) -> Ordering {
    if is_log(one) { Ordering::Equal } else { one.key.cmp(&other.key) }
}

fn is_same_row(one: &Change, other: &Change) -> bool {
    !is_log(one) && one.key == other.key
}

const fn is_log(change: &Change) -> bool {
    matches!(change.table.rule, Rule::Log { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: Table = Table { name: "test_rows", rule: Rule::Replace, essential: false };
    const FLOORS: Table = Table { name: "test_floors", rule: Rule::Rise, essential: false };
    const LINES: Table =
        Table { name: "test_lines", rule: Rule::Log { newest: 9 }, essential: false };

    fn keep(table: &'static Table, key: u8, value: u8) -> Change {
        Change::keep(table, vec![key], vec![value])
    }

    fn forget(table: &'static Table, key: u8) -> Change {
        Change::forget(table, vec![key])
    }

    /// The name of a table, which keys are forgotten, and which have which value.
    type InShort = (&'static str, Vec<u8>, Vec<(u8, u8)>);

    fn settled(changes: &[Change]) -> Vec<InShort> {
        let batch: Vec<_> = (1..).map(ChangeId).zip(changes.iter().cloned()).collect();
        let told = settle(&batch).into_iter().map(|Settled { table, forgotten, kept }| {
            let forgotten = forgotten.into_iter().map(|key| key[0]).collect();
            let kept = kept.into_iter().map(|row| (row.key[0], row.value.head[0])).collect();
            (table.name, forgotten, kept)
        });
        told.collect()
    }

    #[test]
    fn of_each_row_the_last_word_is_written_in_the_order_of_the_first() {
        let changes = [keep(&ROWS, 5, 1), keep(&ROWS, 3, 2), keep(&ROWS, 5, 3), keep(&ROWS, 9, 4)];
        assert_eq!(settled(&changes), [("test_rows", vec![], vec![(5, 3), (3, 2), (9, 4)])]);
    }

    #[test]
    fn what_is_forgotten_is_in_the_order_of_keys_and_loses_its_place() {
        let changes = [
            forget(&ROWS, 8),
            keep(&ROWS, 1, 1),
            keep(&ROWS, 2, 2),
            forget(&ROWS, 1),
            keep(&ROWS, 1, 3),
            keep(&ROWS, 4, 4),
            forget(&ROWS, 4),
        ];
        assert_eq!(settled(&changes), [("test_rows", vec![1, 4, 8], vec![(2, 2), (1, 3)])]);
    }

    #[test]
    fn what_rises_does_not_fall_unless_it_was_forgotten() {
        let changes = [
            keep(&FLOORS, 1, 5),
            keep(&FLOORS, 1, 3),
            keep(&FLOORS, 2, 7),
            forget(&FLOORS, 2),
            keep(&FLOORS, 2, 4),
        ];
        assert_eq!(settled(&changes), [("test_floors", vec![2], vec![(1, 5), (2, 4)])]);
    }

    #[test]
    fn lines_of_a_log_stay_in_order_and_tables_apart() {
        let changes =
            [keep(&ROWS, 1, 1), keep(&LINES, 9, 1), keep(&LINES, 3, 2), keep(&LINES, 9, 3)];
        let expected = [
            ("test_lines", vec![], vec![(9, 1), (3, 2), (9, 3)]),
            ("test_rows", vec![], vec![(1, 1)]),
        ];
        assert_eq!(settled(&changes), expected);
    }
}

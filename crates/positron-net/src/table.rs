//! Names and values in two columns, sizes and times as people read them.

use std::{fmt, time::Duration};

use comfy_table::{ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};

/// Lines of a name and a value each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    lines: Vec<(String, String)>,
}

impl Fields {
    /// Adds a line.
    pub(crate) fn line(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        self.lines.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a line for each value; only the first has the name.
    pub(crate) fn list(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = String>,
    ) -> &mut Self {
        let mut name = name;
        for value in values {
            self.line(name, value);
            name = "";
        }
        self
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (index, (name, value)) in self.lines.iter().enumerate() {
            let end = if index + 1 < self.lines.len() { "\n" } else { "" };
            write!(f, "{name:width$}  {value}{end}")?;
        }
        Ok(())
    }
}

/// A table with this head.
pub(crate) fn table<const N: usize>(head: [&str; N]) -> Table {
    let rule = LineStyle::none().fill('─').junction('─');
    let mut table = Table::new();
    table
        .load_style(TableStyle::new().header_separator(rule))
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head);
    table
}

/// How a table keeps to a width. No cell but those of words is folded: half an id is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    /// Columns that are left away where there is no room, the first one first.
    pub expendable: &'static [usize],
    /// The column of words, if there is one, which are folded.
    pub words: Option<usize>,
}

/// A table of `rows` that fits `width` columns, if there is a width.
pub(crate) fn fitted<const N: usize>(
    head: [&str; N],
    rows: Vec<[String; N]>,
    width: Option<usize>,
    fit: Fit,
) -> Table {
    let longest = |column: usize| {
        let cells = rows.iter().map(|row| row[column].as_str()).chain([head[column]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut needs: [usize; N] = std::array::from_fn(|column| longest(column) + PADDING);
    if let Some(words) = fit.words {
        needs[words] = needs[words].min(LEAST_WORDS + PADDING);
    }
    let mut table = table(head);
    table.add_rows(rows);
    let Some(width) = width else { return table };
    let mut hidden = Vec::new();
    for column in fit.expendable {
        if needs.iter().sum::<usize>() <= width {
            break;
        }
        needs[*column] = 0;
        hidden.push(*column);
    }
    table
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX));
    for (index, column) in table.column_iter_mut().enumerate() {
        if hidden.contains(&index) {
            column.set_constraint(ColumnConstraint::Hidden);
        } else if fit.words != Some(index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

/// Columns of a terminal beside the text of a cell, that between two cells among them.
const PADDING: usize = 3;
/// Columns that words are folded to at the least.
const LEAST_WORDS: usize = 20;

/// `count` and its noun, in the right number.
pub(crate) fn count(count: impl fmt::Display, noun: &str) -> String {
    let count = count.to_string();
    let plural = if count == "1" { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A number in at most four characters, below a million millions.
pub(crate) fn short(number: u64) -> String {
    let units = ["", "k", "M", "G"];
    let mut value = number;
    let mut tenths = 0;
    let mut unit = 0;
    while value >= 1000 && unit + 1 < units.len() {
        tenths = value % 1000 / 100;
        value /= 1000;
        unit += 1;
    }
    let tenth = if unit > 0 && value < 10 { format!(".{tenths}") } else { String::new() };
    format!("{value}{tenth}{}", units[unit])
}

/// Milliseconds in at most six characters, below a day.
pub(crate) fn short_ms(ms: f64) -> String {
    match ms {
        ..9.95 => format!("{ms:.1} ms"),
        ..999.5 => format!("{ms:.0} ms"),
        ..99_950.0 => format!("{:.1} s", ms / 1e3),
        _ => format!("{:.0} s", ms / 1e3),
    }
}

/// Bytes as people read them.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub(crate) fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// A time as people read it.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_align_their_values_and_name_a_list_once() {
        let mut fields = Fields::default();
        fields.line("node", "abc").list("listening on", ["x".into(), "y".into()]);
        assert_eq!(
            fields.to_string(),
            "node          abc\nlisten".to_owned() + "ing on  x\n              y"
        );
    }

    #[test]
    fn numbers_are_said_as_people_say_them() {
        assert_eq!(count(1, "peer"), "1 peer");
        assert_eq!(count(0, "peer"), "0 peers");
        assert_eq!([0, 999, 1000, 9999].map(short), ["0", "999", "1.0k", "9.9k"]);
        assert_eq!([10_000, 999_999, 1_000_000].map(short), ["10k", "999k", "1.0M"]);
        assert_eq!(
            [0.04, 9.94, 9.96, 999.4].map(short_ms),
            ["0.0 ms", "9.9 ms", "10 ms", "999 ms"]
        );
        assert_eq!([999.6, 99_940.0, 86_399_000.0].map(short_ms), ["1.0 s", "99.9 s", "86399 s"]);
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(duration(Duration::from_secs(59)), "59 s");
        assert_eq!(duration(Duration::from_secs(3700)), "1 h 1 min");
    }
}

//! What was measured, as a table for people.

use positron_sim::experiments::{Figure, Findings};

const HEAD: [&str; 5] = ["figure", "target", "published", "measured", ""];

/// The table of one experiment.
pub(crate) fn of(found: &Findings) -> String {
    let mut rows = vec![HEAD.map(String::from)];
    rows.extend(found.figures.iter().map(row));
    let widths = [0, 1, 2, 3, 4]
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let run = found.report.as_ref().map(|report| format!(", run {}", report.run_hash));
    let mut table = format!(
        "{} of {} nodes, seed {}{}\n",
        found.name,
        found.nodes,
        found.seed,
        run.unwrap_or_default()
    );
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        table.push_str(line.trim_end());
        table.push('\n');
    }
    for violation in found.report.iter().flat_map(|report| &report.violations) {
        table.push_str(&format!("broken: {violation}\n"));
    }
    table
}

fn row(figure: &Figure) -> [String; 5] {
    [
        figure.what.to_owned(),
        figure.promised(),
        figure.published.unwrap_or_default().to_owned(),
        figure.shown(),
        figure.verdict().to_owned(),
    ]
}

//! All rounds of all sizes.

use std::{
    error::Error,
    io::{Write as _, stderr, stdout},
};

use super::{
    options::{DhtOptions, Stack},
    report::Report,
    round::measure,
};
use crate::turns::in_turns;

/// Measures all sizes, and tells what it came to.
///
/// # Errors
/// A network does not come up, or nobody reads what is told.
pub(crate) async fn measure_all(options: DhtOptions) -> Result<(), Box<dyn Error>> {
    let DhtOptions { nodes, rounds, keys, at_once, only, json } = options;
    let mut reports = Vec::new();
    for size in nodes {
        let mut measured = Vec::new();
        for number in 0..rounds {
            for stack in in_turns(Stack::ALL, only, number) {
                let (nodes, name) = (size.nodes, stack.name());
                let note = format!("{nodes} nodes, round {} of {rounds}: {name}", number + 1);
                writeln!(stderr(), "{note}")?;
                let load = (usize::try_from(keys)?, usize::try_from(at_once)?);
                let round = measure(stack, size, load).await;
                let round = round.map_err(|why| format!("{}, {size:?}: {why}", stack.name()))?;
                measured.push((stack, round));
            }
        }
        let report = Report::new(size, measured);
        if !json {
            writeln!(stdout(), "{}", report.text())?;
        }
        reports.push(report);
    }
    if json {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&reports)?)?;
    }
    Ok(())
}

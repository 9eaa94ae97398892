//! All rounds of all sizes.

use std::{
    error::Error,
    io::{Write as _, stderr, stdout},
};

use super::{
    comparison::Comparison,
    options::{GossipOptions, Protocol},
    plan::{Outcome, Plan},
    process::{can_be_alone, carry_out},
};
use crate::turns::in_turns;

/// Measures all sizes, and tells what it came to.
///
/// # Errors
/// A network does not come up, or nobody reads what is told.
pub(crate) async fn measure_all(options: GossipOptions) -> Result<(), Box<dyn Error>> {
    let alone = can_be_alone().await;
    if let Err(why) = &alone {
        writeln!(stderr(), "no network for each process, so no bytes on the wire: {why}")?;
    }
    let mut comparisons = Vec::new();
    for &nodes in &options.nodes {
        for &bytes in &options.bytes {
            let plan = Plan {
                nodes: usize::try_from(nodes)?,
                bytes: usize::try_from(bytes)?,
                outstanding: usize::try_from(options.outstanding)?,
                seconds: options.seconds.into(),
                pause: options.pause.into(),
                folder: None,
                is_alone: alone.is_ok(),
            };
            let comparison = compare(&plan, &options).await?;
            if !options.json {
                writeln!(stdout(), "{}", comparison.text())?;
            }
            comparisons.push(comparison);
        }
    }
    if options.json {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&comparisons)?)?;
    }
    Ok(())
}

/// One round. A network that does not come up is started again: one of a few dozen nodes may fall
/// apart while they join, and what is measured is one that has not.
async fn start(protocol: Protocol, plan: &Plan) -> Result<Outcome, String> {
    let mut failures = Vec::new();
    while failures.len() < STARTS {
        match carry_out(protocol, plan.clone()).await {
            Ok(outcome) => return Ok(Outcome { failures, ..outcome }),
            Err(why) => failures.push(why),
        }
    }
    Err(failures.join("; "))
}

/// All rounds of one size.
async fn compare(plan: &Plan, options: &GossipOptions) -> Result<Comparison, Box<dyn Error>> {
    let mut measured = Vec::new();
    for number in 0..options.rounds {
        for protocol in in_turns(Protocol::ALL, options.only, number) {
            let Plan { nodes, bytes, .. } = plan;
            let (name, round) = (protocol.name(), number + 1);
            let size = format!("{nodes} nodes, {bytes} bytes");
            writeln!(stderr(), "{size}, round {round} of {}: {name}", options.rounds)?;
            let outcome = start(protocol, plan).await;
            measured.push((protocol, outcome.map_err(|why| format!("{name}, {size}: {why}"))?));
        }
    }
    Ok(Comparison::new(plan, measured))
}

/// How often a network is started, at most.
const STARTS: usize = 3;

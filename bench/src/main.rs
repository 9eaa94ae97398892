//! positron-net beside others that do the same, on one machine, in one run: `docs/BENCHMARKS.md`
//! says what is compared.

mod contender;
mod crew;
mod kademlia;
mod options;
mod order;
mod positron;
mod report;
mod round;
mod seen;
mod worker;

use std::{
    error::Error,
    io::{Write as _, stderr, stdout},
    process::ExitCode,
};

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    kademlia::Libp2p,
    options::{DhtOptions, Measured, Options, Stack},
    positron::Positron,
    report::Report,
    round::measure,
};

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Options::parse().command {
        Measured::Worker { stack: Stack::Positron } => {
            worker::run::<Positron>().await.map_err(Into::into)
        }
        Measured::Worker { stack: Stack::Libp2p } => {
            worker::run::<Libp2p>().await.map_err(Into::into)
        }
        Measured::Dht(options) => until_told_to_end(options).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody hears it whose standard error is closed.
            let _ = writeln!(stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// What is dropped at a signal ends its workers.
async fn until_told_to_end(options: DhtOptions) -> Result<(), Box<dyn Error>> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        result = measure_all(options) => result,
        _ = interrupted.recv() => Err("interrupted".into()),
        _ = terminated.recv() => Err("terminated".into()),
    }
}

async fn measure_all(options: DhtOptions) -> Result<(), Box<dyn Error>> {
    let DhtOptions { nodes, rounds, keys, at_once, only, json } = options;
    let mut reports = Vec::new();
    for size in nodes {
        let mut measured = Vec::new();
        for number in 0..rounds {
            let mut stacks = Stack::ALL;
            // Who goes first has the cooler machine.
            if number % 2 == 1 {
                stacks.reverse();
            }
            for stack in stacks.into_iter().filter(|stack| only.is_none_or(|only| only == *stack)) {
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

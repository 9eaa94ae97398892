//! positron-net beside others that do the same, on one machine, in one run: `docs/BENCHMARKS.md`
//! says what is compared.

mod conversation;
mod dht;
mod dice;
mod gossip;
mod numbers;
mod options;
mod seen;
mod transport;
mod turns;

use std::{
    error::Error,
    future::Future,
    io::{Write as _, stderr},
    process::ExitCode,
};

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::options::{Measured, Nodes, Options};

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Options::parse().command {
        Measured::Worker(nodes) => work(nodes).await,
        Measured::Dht(options) => until_told_to_end(dht::measure_all(options)).await,
        Measured::Gossip(options) => until_told_to_end(gossip::measure_all(options)).await,
        Measured::Transport(options) => until_told_to_end(transport::measure_all(options)).await,
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

/// Does what a worker does.
async fn work(nodes: Nodes) -> Result<(), Box<dyn Error>> {
    use dht::Stack;
    use gossip::Protocol;
    match nodes {
        Nodes::Dht { stack: Stack::Positron } => dht::run::<dht::Positron>().await?,
        Nodes::Dht { stack: Stack::Libp2p } => dht::run::<dht::Libp2p>().await?,
        Nodes::Gossip { protocol: Protocol::Positron | Protocol::PositronDisk } => {
            gossip::run::<gossip::PositronNode>().await?;
        }
        Nodes::Gossip { protocol: Protocol::Gossipsub } => {
            gossip::run::<gossip::GossipsubNode>().await?;
        }
        Nodes::Gossip { protocol: Protocol::Iroh } => gossip::run::<gossip::IrohNode>().await?,
        Nodes::Transport => transport::run().await?,
    }
    Ok(())
}

/// What is dropped at a signal ends its workers.
async fn until_told_to_end(
    measuring: impl Future<Output = Result<(), Box<dyn Error>>>,
) -> Result<(), Box<dyn Error>> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        result = measuring => result,
        _ = interrupted.recv() => Err("interrupted".into()),
        _ = terminated.recv() => Err("terminated".into()),
    }
}

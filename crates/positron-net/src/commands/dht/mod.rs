//! `positron-net dht`: values that are found by their keys, through the running node.

mod delete;
mod find;
mod get;
mod key;
mod put;
mod stats;

use clap::{Args, Subcommand};

use crate::{
    failure::{Exit, Failure},
    global::Global,
    terminal::Terminal,
};

/// Stores and finds values in the hash table, through the running node: whichever nodes are nearest
/// to a key keep what is stored under it.
#[derive(Args, Debug)]
pub(crate) struct DhtOptions {
    #[command(subcommand)]
    command: DhtCommand,
}

#[derive(Debug, Subcommand)]
enum DhtCommand {
    /// Store a value under a key
    Put(put::PutOptions),
    /// Print what is stored under a key
    Get(get::GetOptions),
    /// Take back what this node stored under a key
    Delete(delete::DeleteOptions),
    /// Find a node by its id, or who is nearest to a key
    Find(find::FindOptions),
    /// Tell what this node keeps, knows and did of the table
    Stats(stats::TableStatsOptions),
}

impl DhtOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        match self.command {
            DhtCommand::Put(options) => options.run(terminal, global),
            DhtCommand::Get(options) => options.run(terminal, global),
            DhtCommand::Delete(options) => options.run(terminal, global),
            DhtCommand::Find(options) => options.run(terminal, global),
            DhtCommand::Stats(options) => options.run(terminal, global),
        }
    }
}

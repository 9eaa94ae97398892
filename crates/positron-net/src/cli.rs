//! The grammar of the command line.

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::{
    commands::{bench, generate_config, id, invite, join, simulate, start, stats, status, version},
    failure::EXIT_CODES,
    terminal::Color,
};

/// Encrypted peer-to-peer networking: run a node, or a whole network on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "positron-net",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Begin with `positron-net simulate`, or `positron-net start` on one machine and \
                  the `join` line that it prints on another.",
    after_long_help = EXIT_CODES
)]
pub(crate) struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct Global {
    /// Data as JSON on stdout: one document, or one event a line
    #[arg(long, global = true)]
    pub json: bool,
    /// No messages on stderr but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// More messages: -v for DEBUG, -vv for TRACE
    #[arg(long, short, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Colours; `auto` heeds NO_COLOR
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node
    Start(start::Options),
    /// Run a node and connect it to another by the invite or the address of that one
    Join(join::Options),
    /// Run a whole network on this machine, send messages through it, and check that all arrive
    Simulate(simulate::Options),
    /// Print what another node needs to join this one
    Invite(invite::Options),
    /// Print the id of this node
    Id(id::Options),
    /// Ask the running node how it is
    Status(status::Options),
    /// Tell what the database of a node holds, whether it runs or not
    Stats(stats::Options),
    /// Write a configuration file with every key
    GenerateConfig(generate_config::Options),
    /// Measure this machine: signatures, messages, storage, and two networks
    Bench(bench::Options),
    /// Print the version
    Version(version::Options),
}

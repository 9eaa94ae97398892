//! The grammar of the command line.

use clap::{Parser, Subcommand};

use crate::{
    commands::{
        ban, bans, bench, dashboard, dht, disconnect, doctor, events, forget, generate_config, id,
        invite, join, peers, ping, replay, reserve, simulate, soak, start, stats, status, top,
        trace, unban, unreserve, version,
    },
    failure::EXIT_CODES,
    global::Global,
    soak::MemberOptions,
};

/// Encrypted peer-to-peer networking: run a node, or a whole network on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "positron-net",
    version,
    arg_required_else_help = true,
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

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node
    Start(start::StartOptions),
    /// Run a node and connect it to another by the invite or the address of that one
    Join(join::JoinOptions),
    /// Run a whole network on this machine, send messages through it, and check that all arrive
    Simulate(simulate::SimulateOptions),
    /// Show a recorded network in a browser
    Replay(replay::ReplayOptions),
    /// Run mixed load and faults of every kind for long, and check that every promise is kept
    Soak(soak::SoakOptions),
    /// A node of `soak --real`
    #[command(hide = true)]
    SoakMember(MemberOptions),
    /// Print what another node needs to join this one
    Invite(invite::InviteOptions),
    /// Print the id of this node
    Id(id::IdOptions),
    /// Ask the running node how it is
    Status(status::StatusOptions),
    /// Look for what is wrong with this machine and its network, and say what to change
    Doctor(doctor::DoctorOptions),
    /// List the peers of the running node, or explain the score of one
    Peers(peers::PeersOptions),
    /// Ask a node for signs of life: whether it answers, how fast, and over which path
    Ping(ping::PingOptions),
    /// Tell where a message went
    Trace(trace::TraceOptions),
    /// Follow what happens to the running node
    Events(events::EventsOptions),
    /// Watch the running node: health, rates, peers
    Top(top::TopOptions),
    /// Print or open the address of the page of the running node
    Dashboard(dashboard::DashboardOptions),
    /// Store values by their keys in the network, and find them
    Dht(dht::DhtOptions),
    /// Have the running node refuse a node, an address or a range of addresses
    Ban(ban::BanOptions),
    /// Lift a ban of the running node
    Unban(unban::UnbanOptions),
    /// List the bans of the running node
    Bans(bans::BansOptions),
    /// End a session of the running node
    Disconnect(disconnect::DisconnectOptions),
    /// Have the running node dial an address no more
    Forget(forget::ForgetOptions),
    /// Have the running node keep a slot for a peer
    Reserve(reserve::ReserveOptions),
    /// Have the running node keep no slot for a peer any more
    Unreserve(unreserve::UnreserveOptions),
    /// Tell what the database of a node holds, whether it runs or not
    Stats(stats::StatsOptions),
    /// Write a configuration file with every key
    GenerateConfig(generate_config::GenerateConfigOptions),
    /// Measure this machine: signatures, messages, storage, and two networks
    Bench(bench::BenchOptions),
    /// Print the version
    Version(version::VersionOptions),
}

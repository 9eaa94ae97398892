//! The `positron-net` command.

mod announcements;
mod background_writer;
mod bench;
mod cli;
mod commands;
mod doctor;
mod failure;
mod fd_limit;
mod files;
mod global;
mod home;
mod lasting;
mod logging;
mod rate;
mod recording;
mod running;

mod service;
mod settings;
mod signals;
mod simulate;
mod soak;
mod table;
mod terminal;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::Arc,
};

use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _};

use cli::{Cli, Command};
use failure::{Exit, Failure};
use terminal::{Color, Terminal};

fn main() -> ExitCode {
    let cli = parse();
    let terminal = Arc::new(Terminal::new(cli.global.color, cli.global.quiet));
    // A panic has told what happened by the time it arrives here.
    let ended = catch_unwind(AssertUnwindSafe(|| run(cli, &terminal))).unwrap_or_else(|_| {
        Err(Failure::new(Exit::Internal, "this is a bug of positron-net")
            .try_this("report it with the lines above"))
    });
    terminal.clear();
    let exit = match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if !failure.is_silent() {
                terminal.failure(&failure);
            }
            failure.exit().into()
        }
    };
    terminal.flush();
    exit
}

/// Reads the command line; help, version and wrong usage end here.
fn parse() -> Cli {
    // A path need not be UTF-8.
    let args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let color = match color_wish(args) {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    let mut command = Cli::command().color(color);
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    parsed
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .unwrap_or_else(|error| error.format(&mut command).exit())
}

/// The colours of the parser's own messages, which appear before anything is parsed.
fn color_wish(args: impl Iterator<Item = String>) -> Color {
    let args: Vec<String> = args.take_while(|arg| arg != "--").collect();
    let split = args.iter().zip(args.iter().skip(1));
    let wish = split
        .filter_map(|(name, value)| (name == "--color").then_some(value.as_str()))
        .chain(args.iter().filter_map(|arg| arg.strip_prefix("--color=")))
        .next();
    match wish {
        Some("always") => Color::Always,
        Some("never") => Color::Never,
        _ => Color::Auto,
    }
}

fn run(cli: Cli, terminal: &Arc<Terminal>) -> Result<Exit, Failure> {
    let global = cli.global;
    match cli.command {
        Command::Start(options) => options.run(terminal, global),
        Command::Join(options) => options.run(terminal, global),
        Command::Simulate(options) => options.run(terminal, global),
        Command::Replay(options) => options.run(terminal, global),
        Command::Soak(options) => options.run(terminal, global),
        Command::SoakMember(options) => options.run(),
        Command::Invite(options) => options.run(terminal, global),
        Command::Id(options) => options.run(terminal, global),
        Command::Status(options) => options.run(terminal, global),
        Command::Doctor(options) => options.run(terminal, global),
        Command::Peers(options) => options.run(terminal, global),
        Command::Ping(options) => options.run(terminal, global),
        Command::Trace(options) => options.run(terminal, global),
        Command::Events(options) => options.run(terminal, global),
        Command::Top(options) => options.run(terminal, global),
        Command::Dashboard(options) => options.run(terminal, global),
        Command::Dht(options) => options.run(terminal, global),
        Command::Ban(options) => options.run(terminal, global),
        Command::Unban(options) => options.run(terminal, global),
        Command::Bans(options) => options.run(terminal, global),
        Command::Disconnect(options) => options.run(terminal, global),
        Command::Forget(options) => options.run(terminal, global),
        Command::Reserve(options) => options.run(terminal, global),
        Command::Unreserve(options) => options.run(terminal, global),
        Command::Stats(options) => options.run(terminal, global),
        Command::GenerateConfig(options) => options.run(terminal),
        Command::Bench(options) => options.run(terminal, global),
        Command::Version(options) => options.run(terminal, global),
    }
}

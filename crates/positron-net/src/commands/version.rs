//! `positron-net version`.

use clap::Args;
use positron_proto::wire::packet::VERSION;
use serde_json::json;

use crate::{
    cli::Global,
    failure::{Exit, Failure},
    terminal::Screen,
};

/// Prints the version.
#[derive(Args, Debug)]
pub(crate) struct Options {}

impl Options {
    /// Runs it.
    pub(crate) fn run(self, screen: &Screen, global: Global) -> Result<Exit, Failure> {
        let Self {} = self;
        let version = env!("CARGO_PKG_VERSION");
        if global.json {
            screen.document(&json!({
                "name": "positron-net",
                "version": version,
                "protocol": VERSION,
                "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            }))?;
        } else {
            screen.data(format_args!("positron-net {version} (protocol {VERSION})"))?;
        }
        Ok(Exit::Ok)
    }
}

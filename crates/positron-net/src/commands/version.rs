//! `positron-net version`.

use clap::Args;
use serde_json::json;

use crate::{
    cli::Global,
    failure::{Exit, Failure},
    terminal::Screen,
};

/// The version of the protocol that is spoken `[PROTOCOL 5]`.
const PROTOCOL: u32 = 1;

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
                "protocol": PROTOCOL,
                "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            }))?;
        } else {
            screen.data(format_args!("positron-net {version} (protocol {PROTOCOL})"))?;
        }
        Ok(Exit::Ok)
    }
}

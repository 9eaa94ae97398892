//! `positron-net version`.

use clap::Args;
use positron_proto::wire::packet::VERSION;
use serde_json::json;

use crate::{
    failure::{Exit, Failure},
    global::Global,
    terminal::Terminal,
};

/// Prints the version.
#[derive(Args, Debug)]
pub(crate) struct VersionOptions {}

impl VersionOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let Self {} = self;
        let version = env!("CARGO_PKG_VERSION");
        if global.json {
            terminal.document(&json!({
                "name": "positron-net",
                "version": version,
                "protocol": VERSION,
                "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            }))?;
        } else {
            terminal.data(format_args!("positron-net {version} (protocol {VERSION})"))?;
        }
        Ok(Exit::Ok)
    }
}

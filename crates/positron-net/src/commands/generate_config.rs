//! `positron-net generate-config`: a configuration file with every key.

use std::path::{Path, PathBuf};

use clap::Args;
use positron_networking::{NetworkConfig, TransportPolicy};

use crate::{
    failure::{Exit, Failure},
    files::{Existing, Pending},
    settings::DEFAULT_DATA_DIR,
    terminal::Terminal,
};

/// Writes a configuration file with every key. Without FILE it is printed.
#[derive(Args, Debug)]
pub(crate) struct GenerateConfigOptions {
    /// The file to write; without it, or with `-`, to stdout
    file: Option<PathBuf>,
    /// IP address to listen on: `::` is all, of both families, `0.0.0.0` all of IPv4
    #[arg(long, value_name = "ADDRESS", default_value = "::")]
    host: String,
    /// Port to listen on, 0 for a free one
    #[arg(long, short, default_value_t = 8888)]
    port: u16,
    /// auto (UDP, and TCP where UDP is blocked), udp or tcp
    #[arg(long, value_name = "TRANSPORT", default_value_t)]
    transport: TransportPolicy,
    /// Nodes to begin with; may be repeated
    #[arg(long, short, value_name = "HOST:PORT", value_delimiter = ',')]
    bootstrap: Vec<String>,
    /// The name of the network
    #[arg(long, value_name = "NAME", default_value = "positron")]
    network: String,
    /// Where the node keeps its keys and its database
    #[arg(long, short, value_name = "FOLDER", default_value = DEFAULT_DATA_DIR)]
    data_dir: PathBuf,
    /// Replace a file that is there already
    #[arg(long, short, requires = "file")]
    force: bool,
}

impl GenerateConfigOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal) -> Result<Exit, Failure> {
        let config = NetworkConfig {
            host: self.host,
            port: self.port,
            transport: self.transport,
            bootstrap_nodes: self.bootstrap.iter().map(|node| node.trim().to_owned()).collect(),
            network: self.network,
            data_dir: Some(self.data_dir),
            ..NetworkConfig::default()
        };
        config.validate().map_err(|error| {
            Failure::new(Exit::Usage, "no node could start with this configuration").because(error)
        })?;
        let text = serde_json::to_string_pretty(&config).map_err(|error| {
            let what = "a configuration file cannot hold these values";
            Failure::new(Exit::Usage, what).because(error)
        })?;
        match self.file {
            Some(path) if path != Path::new("-") => {
                let existing = if self.force { Existing::Replace } else { Existing::Keep };
                if existing == Existing::Keep && path.symlink_metadata().is_ok() {
                    let what = format!("{} is there already", path.display());
                    return Err(Failure::new(Exit::Storage, what)
                        .because("a configuration is not overwritten unasked")
                        .try_this("choose another name, or replace it with --force"));
                }
                Pending::new(&path)?.write(&format!("{text}\n"), existing)?;
                terminal.message(format_args!("wrote {}", path.display()));
                terminal.message(format_args!(
                    "run it with: positron-net start --config {}",
                    path.display()
                ));
            }
            _ => terminal.data(text)?,
        }
        Ok(Exit::Ok)
    }
}

//! `positron-net stats`: what the database holds.

use clap::Args;
use positron_admin::ClientError;
use positron_store::{StoreError, Summary, summary};

use crate::{
    failure::{Exit, Failure},
    global::Global,
    running,
    settings::NodeSelector,
    table::{Fields, bytes, count},
    terminal::{Terminal, sanitised},
};

/// Tells what the database of a node holds. A node that runs is asked; if none does, the database
/// in the folder is read. Creates and changes nothing.
#[derive(Args, Debug)]
pub(crate) struct StatsOptions {
    #[command(flatten)]
    selector: NodeSelector,
}

impl StatsOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let settings = self.selector.settings(terminal)?;
        let folder = settings.data_dir();
        let asked = match running::client(folder) {
            Ok(client) => client.get("/v1/database"),
            // Where no socket can be, no node runs.
            Err(_) => Err(ClientError::NotRunning),
        };
        let summary = match asked {
            Ok(summary) => summary,
            Err(error) if !folder.is_dir() || matches!(error, ClientError::NotRunning) => {
                summary(folder).map_err(|error| unreadable(&error))?
            }
            Err(error) => return Err(running::failure(folder, error)),
        };
        if global.json {
            terminal.document(&summary)?;
        } else {
            terminal.data(fields(&summary))?;
        }
        Ok(Exit::Ok)
    }
}

fn unreadable(error: &StoreError) -> Failure {
    let failure = Failure::new(Exit::Storage, error.to_string());
    match error {
        StoreError::Missing { .. } => {
            failure.try_this("name the folder with --data-dir, or start a node with it first")
        }
        _ => failure,
    }
}

fn fields(summary: &Summary) -> Fields {
    let mut fields = Fields::default();
    fields
        .line("database", summary.database.display())
        .line("network", sanitised(&summary.network_name))
        .line(
            "address book",
            format_args!(
                "{}, {} of them answered a dial, {} where strangers reach them",
                count(summary.peers, "peer"),
                summary.dialled_peers,
                summary.proven_peers
            ),
        )
        .line(
            "broadcasts kept",
            format_args!(
                "{} of {} ({})",
                summary.messages,
                count(summary.senders, "sender"),
                bytes(summary.message_bytes)
            ),
        )
        .line(
            "trust",
            format_args!(
                "{} observed, {} banned, {} in the audit trail",
                count(summary.observed_peers, "peer"),
                summary.banned_peers,
                count(summary.trust_events, "event")
            ),
        );
    let trusted = summary.most_trusted.iter();
    fields.list(
        "most trusted",
        trusted.map(|peer| format!("{}  {:.3}", peer.peer.short(), peer.score)),
    );
    let bans = summary.bans.iter();
    fields.list(
        "banned",
        bans.map(|ban| format!("{}  until {} (Unix time)", ban.peer.short(), ban.until_unix_secs)),
    );
    let addresses = summary.banned_addresses.iter();
    fields.list(
        "banned addresses",
        addresses
            .map(|ban| format!("{}  until {} (Unix time)", ban.addresses, ban.until_unix_secs)),
    );
    let events = summary.last_trust_events.iter().take(5);
    fields.list(
        "latest events",
        events.map(|line| {
            let (peer, what) = (line.peer.short(), sanitised(&line.observation));
            format!("{peer}  {what} {:+.3} -> {:.3}", line.change, line.score)
        }),
    );
    fields
}

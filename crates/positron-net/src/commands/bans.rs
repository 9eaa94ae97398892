//! `positron-net bans`: whom the running node refuses.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::NodeSelector,
    table::{Fit, duration, fitted},
    terminal::{Terminal, sanitised},
};

/// Lists whom the running node refuses, until when, and why: nodes and addresses.
#[derive(Args, Debug)]
pub(crate) struct BansOptions {
    #[command(flatten)]
    selector: NodeSelector,
}

/// What people are shown of a ban.
#[derive(Debug, Deserialize)]
struct Ban {
    node_id: Option<String>,
    addresses: Option<String>,
    until_unix_secs: u64,
    reason: Option<String>,
}

impl BansOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let mut answer: Value = Running::of(&self.selector, terminal)?.get("/v1/bans")?;
        let bans = answer["bans"].take();
        if global.json {
            terminal.document(&json!({ "bans": bans }))?;
            return Ok(Exit::Ok);
        }
        let bans: Vec<Ban> = serde_json::from_value(bans).map_err(|error| {
            Failure::new(Exit::Unreachable, "the running node tells it in a way of its own")
                .because(error)
        })?;
        if bans.is_empty() {
            terminal.message("nobody is banned");
            return Ok(Exit::Ok);
        }
        let rows = bans.into_iter().map(|ban| {
            [
                ban.node_id.or(ban.addresses).unwrap_or_default(),
                remaining(ban.until_unix_secs),
                ban.reason.map_or_else(|| "its score".to_owned(), |why| sanitised(&why)),
            ]
        });
        let fit = Fit { expendable: &[1], words: Some(2) };
        let head = ["banned", "for another", "reason"];
        terminal.data(fitted(head, rows.collect(), terminal.width(), fit))?;
        Ok(Exit::Ok)
    }
}

fn remaining(until_unix_secs: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_secs(until_unix_secs).saturating_sub(now);
    if left > FOR_GOOD { "ever".to_owned() } else { duration(left) }
}

/// What is longer was not meant to end.
const FOR_GOOD: Duration = Duration::from_secs(20 * 365 * 86_400);

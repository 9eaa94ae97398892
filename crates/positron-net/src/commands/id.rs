//! `positron-net id`: who this node is, and what its key file looks like.

use clap::{Args, Subcommand};
use positron_networking::{
    NodeId,
    keys::{self, Passphrase},
};
use serde_json::json;

use crate::{
    commands::{identity_of, key_of},
    failure::{Exit, Failure},
    global::Global,
    settings::{NodeSelector, PASSPHRASE_VARIABLE, Settings},
    terminal::Terminal,
};

/// Prints the id of this node, whether it runs or not. Creates and changes nothing, unless it is
/// told to.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct IdOptions {
    #[command(flatten)]
    selector: NodeSelector,
    #[command(subcommand)]
    change: Option<Change>,
}

/// What becomes of the key file.
#[derive(Debug, Subcommand)]
enum Change {
    /// Encrypt the key file under the passphrase in `key_passphrase_file` or
    /// POSITRON_KEY_PASSPHRASE. The node keeps its id, and needs the passphrase from then on
    Encrypt(ChangeOptions),
    /// Write the key file without a passphrase
    Decrypt(ChangeOptions),
}

#[derive(Args, Debug)]
struct ChangeOptions {
    #[command(flatten)]
    selector: NodeSelector,
}

impl IdOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let id = match &self.change {
            None => identity_of(&self.selector.settings(terminal)?)?,
            Some(Change::Encrypt(options)) => {
                let settings = options.selector.settings(terminal)?;
                let passphrase = settings.key_passphrase()?.ok_or_else(no_passphrase)?;
                rewrite(&settings, Some(&passphrase), Some(&passphrase), terminal)?
            }
            Some(Change::Decrypt(options)) => {
                let settings = options.selector.settings(terminal)?;
                rewrite(&settings, settings.key_passphrase()?.as_ref(), None, terminal)?
            }
        };
        if global.json {
            terminal.document(&json!({ "node_id": id, "short": id.short() }))?;
        } else {
            terminal.data(id)?;
        }
        Ok(Exit::Ok)
    }
}

/// The same key, under another passphrase or under none.
fn rewrite(
    settings: &Settings,
    before: Option<&Passphrase>,
    after: Option<&Passphrase>,
    terminal: &Terminal,
) -> Result<NodeId, Failure> {
    let (path, identity) = key_of(settings, before)?;
    keys::replace(&path, &identity, after)
        .map_err(|error| Failure::new(Exit::Storage, "the key file is as it was").because(error))?;
    let is = if after.is_some() { "is encrypted" } else { "is not encrypted" };
    terminal
        .message(format_args!("{} {is}; copies of the old file are as they were", path.display()));
    Ok(identity.node_id())
}

fn no_passphrase() -> Failure {
    Failure::new(Exit::Configuration, "there is no passphrase to encrypt the key with").try_this(
        format!(
            "write one into a file that only you can read and name it with `key_passphrase_file` \
             in the configuration or POSITRON_KEY_PASSPHRASE_FILE, or set {PASSPHRASE_VARIABLE}"
        ),
    )
}

//! `positron-net id`: who this node is, and what its key file looks like.

use clap::{Args, Subcommand};
use positron_networking::{
    NodeId, RotateError, RotatedKey,
    keys::{self, Passphrase},
    rotate_key,
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
    /// Give the node, which must not run, a new key and with it a new id. Both keys sign that the
    /// new one takes the place of the old one: peers go on trusting, banning and reserving the node
    /// as before, and refuse the old key. It is written over; copies of it are worth nothing then
    Rotate(ChangeOptions),
}

#[derive(Args, Debug)]
struct ChangeOptions {
    #[command(flatten)]
    selector: NodeSelector,
}

impl IdOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let mut former = None;
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
            Some(Change::Rotate(options)) => {
                let RotatedKey { old, new } = rotate(&options.selector.settings(terminal)?)?;
                terminal.message(format_args!(
                    "node {} is {} from its next start on: back up the data folder, and make new \
                     invitations",
                    old.short(),
                    new.short()
                ));
                former = Some(old);
                new
            }
        };
        if global.json {
            let mut document = json!({ "node_id": id, "short": id.short() });
            if let Some(former) = former {
                document["former_node_id"] = json!(former);
            }
            terminal.document(&document)?;
        } else {
            terminal.data(id)?;
        }
        Ok(Exit::Ok)
    }
}

/// A new key, to which the old one gives way.
fn rotate(settings: &Settings) -> Result<RotatedKey, Failure> {
    rotate_key(&settings.config, settings.key_passphrase()?.as_ref()).map_err(|error| {
        let exit = match &error {
            RotateError::NoFolder => Exit::Configuration,
            _ => Exit::Storage,
        };
        Failure::new(exit, "the node keeps its key").because(error)
    })
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

//! One file a command.

pub(crate) mod ban;
pub(crate) mod bans;
pub(crate) mod bench;
pub(crate) mod dashboard;
pub(crate) mod disconnect;
mod ended;
pub(crate) mod events;
pub(crate) mod generate_config;
pub(crate) mod id;
pub(crate) mod invite;
pub(crate) mod join;
pub(crate) mod peers;
pub(crate) mod replay;
pub(crate) mod reserve;
pub(crate) mod simulate;
pub(crate) mod soak;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod top;
pub(crate) mod trace;
pub(crate) mod unban;
pub(crate) mod unreserve;
pub(crate) mod version;

use std::path::PathBuf;

use positron_networking::{
    NodeId,
    keys::{self, Identity, Passphrase},
};
use serde_json::Value;
use tokio::runtime::Builder;

use crate::{
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::{NodeSelector, Settings},
    terminal::{Terminal, sanitised},
};

/// Does `work` on the threads that a running node needs.
pub(crate) fn on_runtime<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(Exit::Internal, "the operating system gives no threads").because(error)
    })?;
    let done = runtime.block_on(work);
    // A name that is still being looked up must not hold up the end of the process.
    runtime.shutdown_background();
    done
}

/// Has the running node obey, and tells that it did.
fn give_order(
    selector: &NodeSelector,
    action: &str,
    order: &Value,
    terminal: &Terminal,
    global: Global,
) -> Result<Exit, Failure> {
    let running = Running::of(selector, terminal)?;
    let mut told: Value = running.post(&format!("/v1/actions/{action}"), order)?;
    let done = told["done"].take();
    let done = done.as_str().unwrap_or(action);
    if global.json {
        if let Value::Object(fields) = &mut told {
            fields.remove("done");
        }
        told["event"] = done.into();
        terminal.document(&told)?;
    } else {
        let name = told["node_id"].as_str().or_else(|| told["addresses"].as_str());
        let name = sanitised(name.unwrap_or_default());
        terminal.data(format_args!("{} {name}", sanitised(done)))?;
    }
    Ok(Exit::Ok)
}

/// Who the node of these settings is, whether it runs or not. Creates nothing.
fn identity_of(settings: &Settings) -> Result<NodeId, Failure> {
    let (_, identity) = key_of(settings, settings.key_passphrase()?.as_ref())?;
    Ok(identity.node_id())
}

/// The key of the node of these settings, and where it is. Creates nothing.
fn key_of(
    settings: &Settings,
    passphrase: Option<&Passphrase>,
) -> Result<(PathBuf, Identity), Failure> {
    let path = settings.config.key_path().ok_or_else(|| {
        Failure::new(Exit::Configuration, "a node without a data folder has no lasting identity")
    })?;
    let identity = keys::load(&path, passphrase).map_err(|error| {
        Failure::new(Exit::Storage, "the key of this node cannot be used").because(error)
    })?;
    let identity = identity.ok_or_else(|| {
        let what = format!("there is no identity in {}", settings.data_dir().display());
        Failure::new(Exit::Storage, what)
            .because(format!("{} does not exist", path.display()))
            .try_this("`positron-net start` makes one; --data-dir names another folder")
    })?;
    Ok((path, identity))
}

//! One file a command.

pub(crate) mod ban;
pub(crate) mod bans;
pub(crate) mod bench;
pub(crate) mod dashboard;
pub(crate) mod dht;
pub(crate) mod disconnect;
pub(crate) mod doctor;
mod ended;
pub(crate) mod events;
pub(crate) mod forget;
pub(crate) mod generate_config;
pub(crate) mod id;
pub(crate) mod invite;
pub(crate) mod join;
pub(crate) mod peers;
pub(crate) mod ping;
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

use std::{ops::ControlFlow, panic::resume_unwind, path::PathBuf, sync::Arc};

use positron_networking::{
    NodeId,
    keys::{self, Identity, Passphrase},
};
use serde_json::Value;
use tokio::{runtime::Builder, task::spawn_blocking};

use crate::{
    failure::{Exit, Failure},
    global::Global,
    logging::{Log, LogOptions},
    running::Running,
    settings::{NodeSelector, Settings, log_level},
    signals::Signals,
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

/// Does `work`, which waits or calculates, until it is done or a signal asks for the end. Then it
/// is left where it stands: the process is about to end.
pub(crate) fn until_signal<T: Send + 'static>(
    terminal: &Arc<Terminal>,
    global: Global,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<ControlFlow<Exit, T>, Failure> {
    let log = Log::start(terminal, LogOptions::text(log_level("WARNING", global)))?;
    on_runtime(async {
        let mut signals = Signals::listen(&log)?;
        tokio::select! {
            done = spawn_blocking(work) => match done {
                Ok(done) => done.map(ControlFlow::Continue),
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    Err(error) => {
                        Err(Failure::new(Exit::Internal, "a thread was ended").because(error))
                    }
                },
            },
            exit = signals.asked() => Ok(ControlFlow::Break(exit)),
        }
    })
}

/// The end of a command that `work` is all of, or of the signal that ended it.
fn until_signalled(
    terminal: &Arc<Terminal>,
    global: Global,
    work: impl FnOnce() -> Result<Exit, Failure> + Send + 'static,
) -> Result<Exit, Failure> {
    let (ControlFlow::Break(exit) | ControlFlow::Continue(exit)) =
        until_signal(terminal, global, work)?;
    Ok(exit)
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
        let names = ["node_id", "addresses", "target"];
        let name = names.iter().find_map(|name| told[*name].as_str());
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

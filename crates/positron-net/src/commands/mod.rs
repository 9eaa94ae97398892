//! One file a command.

pub(crate) mod ban;
pub(crate) mod bans;
pub(crate) mod bench;
pub(crate) mod disconnect;
mod ended;
pub(crate) mod generate_config;
pub(crate) mod id;
pub(crate) mod invite;
pub(crate) mod join;
pub(crate) mod peers;
pub(crate) mod reserve;
pub(crate) mod simulate;
pub(crate) mod soak;
pub(crate) mod start;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod unban;
pub(crate) mod unreserve;
pub(crate) mod version;

use std::path::PathBuf;

use positron_networking::{
    NodeId,
    keys::{self, Identity, Passphrase},
};
use tokio::runtime::Builder;

use crate::{
    control::{Request, Response, ask},
    failure::{Exit, Failure},
    global::Global,
    peer_orders::PeerRequest,
    settings::{NodeSelector, Settings},
    terminal::Terminal,
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

/// What the node says that runs with the data folder of these settings.
fn ask_running(
    selector: &NodeSelector,
    request: &Request,
    terminal: &Terminal,
) -> Result<Response, Failure> {
    let settings = selector.settings(terminal)?;
    ask(settings.data_dir(), request)?.map_err(|_not_running| not_running(&settings))
}

/// Has the running node obey, and tells that it did.
fn give_order(
    selector: &NodeSelector,
    order: PeerRequest,
    event: &str,
    terminal: &Terminal,
    global: Global,
) -> Result<Exit, Failure> {
    let whom = match ask_running(selector, &Request::Order(order), terminal)? {
        Response::Obeyed(whom) => whom,
        other => return Err(other.unexpected()),
    };
    if global.json {
        let mut told = whom;
        told["event"] = event.into();
        terminal.document(&told)?;
    } else {
        let name = whom["node_id"].as_str().or_else(|| whom["addresses"].as_str());
        terminal.data(format_args!("{event} {}", name.unwrap_or_default()))?;
    }
    Ok(Exit::Ok)
}

/// Nobody answers for the data folder of these settings.
fn not_running(settings: &Settings) -> Failure {
    let folder = settings.data_dir();
    let what = format!("no node is running with the data folder {}", folder.display());
    let failure = Failure::new(Exit::Unreachable, what);
    let fix = "start one with `positron-net start`, or name another folder with --data-dir";
    if folder.is_dir() {
        failure.because("nobody listens on the control socket in it").try_this(fix)
    } else {
        failure.because("there is no such folder").try_this(fix)
    }
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

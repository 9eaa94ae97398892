//! `positron-net dashboard`: the page of the running node.

use std::{
    fs,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;
use positron_admin::Token;
use serde_json::{Value, json};

use crate::{
    failure::{Exit, Failure},
    global::Global,
    running::Running,
    settings::NodeSelector,
    terminal::Terminal,
};

/// Leads a browser to the page, so that the token is in no list of processes.
const DOORMAT: &str = "dashboard.html";

/// Prints the address of the page of the running node, with the token in it: whoever has it may do
/// with the node what you may. The node must listen for it: `positron-net start --api
/// 127.0.0.1:9777`.
#[derive(Args, Debug)]
pub(crate) struct DashboardOptions {
    /// Open it in a browser instead
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    selector: NodeSelector,
}

impl DashboardOptions {
    /// Runs it.
    pub(crate) fn run(self, terminal: &Terminal, global: Global) -> Result<Exit, Failure> {
        let settings = self.selector.settings(terminal)?;
        let folder = settings.data_dir();
        let status: Value = Running::of(&self.selector, terminal)?.get("/v1/status")?;
        let address = status["api"].as_str().and_then(|address| address.parse().ok());
        let address = address.map(from_here).ok_or_else(|| {
            Failure::new(Exit::Unreachable, "this node has no page to open")
                .because("its API listens at no port")
                .try_this("start it with --api 127.0.0.1:9777, or set `api_listen`")
        })?;
        let token = Token::read(folder).map_err(|error| {
            Failure::new(Exit::Storage, "the token cannot be read").because(error)
        })?;
        let token = token.ok_or_else(|| {
            Failure::new(Exit::Storage, "there is no token in the data folder")
                .try_this("restart the node, which makes one")
        })?;
        let place = format!("http://{address}/#token={}", token.reveal());
        if self.open {
            open(folder, &place)?;
            if global.json {
                terminal.document(&json!({ "opened": format!("http://{address}/") }))?;
            } else {
                terminal.message(format_args!("opened http://{address}/"));
            }
        } else if global.json {
            terminal.document(&json!({ "dashboard": place }))?;
        } else {
            terminal.data(place)?;
        }
        Ok(Exit::Ok)
    }
}

/// The address as one of this machine asks for it.
fn from_here(address: SocketAddr) -> SocketAddr {
    let ip =
        if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    SocketAddr::new(ip, address.port())
}

fn open(folder: &Path, place: &str) -> Result<(), Failure> {
    let doormat = doormat(folder, place).map_err(|error| {
        Failure::new(Exit::Storage, "cannot write what leads the browser there").because(error)
    })?;
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let opened = Command::new(opener)
        .arg(&doormat)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match opened {
        Ok(status) if status.success() => Ok(()),
        other => {
            let why = other.map_or_else(|error| error.to_string(), |status| status.to_string());
            Err(Failure::new(Exit::Internal, "no browser was opened")
                .because(format!("{opener}: {why}"))
                .try_this("open what `positron-net dashboard` prints"))
        }
    }
}

/// For its owner only, as the token is.
fn doormat(folder: &Path, place: &str) -> std::io::Result<PathBuf> {
    let path = folder.join(DOORMAT);
    let _ = fs::remove_file(&path);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    writeln!(file, "<!doctype html><meta http-equiv=\"refresh\" content=\"0; url={place}\">")?;
    path.canonicalize()
}

//! Requests to the running node: a Unix socket in its data folder, for its owner only.
//!
//! One JSON line asks, one JSON line answers, and the connection is closed:
//!
//! ```text
//! -> {"ask":"status"}
//! <- {"status":{"node_id":"...", ...}}
//! -> {"ask":"join","target":"192.0.2.1:8888"}
//! <- {"joined":"<node id>"}  or  {"not_joined":{"end":"unreached","reason":"..."}}
//! -> {"ask":"order","order":"ban","whom":"203.0.113.0/24","seconds":7200,"reason":"scans us"}
//! <- {"obeyed":{"addresses":"203.0.113.0/24"}}  or  {"refused":"..."}
//! ```

mod client;
mod server;

pub(crate) use client::ask;
pub(crate) use server::Server;

use std::{
    fs::File,
    io,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    time::Duration,
};

use positron_networking::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    failure::{Exit, Failure},
    joining::NotJoined,
    peer_orders::PeerRequest,
    terminal::sanitised,
};

/// The socket in the data folder.
pub(crate) const SOCKET: &str = "control.sock";
/// Bytes in a request.
const MAX_REQUEST: u64 = 4096;
/// Bytes in an answer.
const MAX_RESPONSE: u64 = 16 << 20;
/// How long an answer may take: making a link is what takes longest.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes in the path of a Unix socket (`sun_path`, less its closing zero; 103 on macOS).
const MAX_SOCKET_PATH: usize = 103;

/// What the running node is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum Request {
    /// How are you?
    Status,
    /// Make a link to this node, keep it, and answer once it is there.
    Join {
        /// An invite, or `host:port`.
        target: String,
    },
    /// Which bans are there?
    Bans,
    /// Who left, and why?
    LostPeers,
    /// What came of the last dials?
    Dials,
    /// Treat a peer so from now on.
    Order(PeerRequest),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Response {
    /// To [`Request::Status`].
    Status(Value),
    /// To [`Request::Join`]: this node is there.
    Joined(NodeId),
    /// To [`Request::Join`]: nobody is there.
    NotJoined(NotJoined),
    /// To [`Request::Bans`].
    Bans(Value),
    /// To [`Request::LostPeers`].
    LostPeers(Value),
    /// To [`Request::Dials`].
    Dials(Value),
    /// To [`Request::Order`]: done, and for whom.
    Obeyed(Value),
    /// The request was not understood, or not granted, and why.
    Refused(String),
}

impl Response {
    /// What was asked was not answered.
    pub(crate) fn unexpected(self) -> Failure {
        match self {
            Self::Refused(why) => Failure::new(Exit::Refused, "the running node does not do it")
                .because(sanitised(&why)),
            other => Failure::new(Exit::Unreachable, "the running node answers something else")
                .because(sanitised(&format!("{other:?}")))
                .try_this("is it of another version? restart it with this one"),
        }
    }
}

/// A path to the socket that is short enough for the operating system, as long as it lives.
///
/// Where the real path is too long, it leads through the open folder.
struct SocketPath {
    path: PathBuf,
    _folder: Option<File>,
}

impl SocketPath {
    fn new(folder: &Path, name: &str) -> io::Result<Self> {
        let path = folder.join(name);
        if path.as_os_str().len() <= MAX_SOCKET_PATH {
            return Ok(Self { path, _folder: None });
        }
        let folder = File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }
}

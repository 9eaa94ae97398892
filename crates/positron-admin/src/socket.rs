//! The socket in the data folder.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

use crate::limits::MAX_SOCKET_PATH;

/// The socket in the data folder.
pub(crate) const SOCKET: &str = "control.sock";

/// A path to the socket that is short enough for the operating system, as long as it lives.
///
/// Where the real path is too long, it leads through the open folder.
#[derive(Debug)]
pub(crate) struct SocketPath {
    pub(crate) path: PathBuf,
    _folder: Option<File>,
}

impl SocketPath {
    pub(crate) fn new(folder: &Path, name: &str) -> io::Result<Self> {
        let path = folder.join(name);
        if path.as_os_str().len() <= MAX_SOCKET_PATH {
            return Ok(Self { path, _folder: None });
        }
        let folder = File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }
}

/// Listens in `folder`, which must be ours alone: a socket that is there was left behind. Returns
/// the path to remove in the end.
pub(crate) fn listen(folder: &Path) -> io::Result<(UnixListener, PathBuf)> {
    // It gets its name only when nobody else can connect to it.
    let scratch_name = format!(".{SOCKET}.{}", std::process::id());
    let scratch = SocketPath::new(folder, &scratch_name)?;
    let _ = fs::remove_file(&scratch.path);
    let listener = UnixListener::bind(&scratch.path)?;
    fs::set_permissions(&scratch.path, Permissions::from_mode(0o600))?;
    let socket = folder.join(SOCKET);
    fs::rename(&scratch.path, &socket)?;
    Ok((listener, socket))
}

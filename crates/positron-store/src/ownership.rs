//! Who besides us can change a file that we trust.

use std::{
    fmt,
    fs::{File, Metadata, OpenOptions},
    io,
    path::Path,
};

#[cfg(unix)]
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

/// How others could change a folder or a file, or lead us to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOurs {
    /// It belongs to another user.
    Owner {
        /// Whose it is.
        owner: u32,
        /// Who we are.
        us: u32,
    },
    /// Others may write it.
    Writable {
        /// Its permissions.
        mode: u32,
    },
}

impl fmt::Display for NotOurs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner { owner, us } => write!(
                f,
                "belongs to user {owner}, who can change it, and this process runs as user {us}; \
                 run it as that user, or choose another place"
            ),
            Self::Writable { mode } => write!(
                f,
                "can be changed by others (mode {mode:04o}), and with it what this node trusts; \
                 run `chmod go-w` on it, or choose another place"
            ),
        }
    }
}

impl std::error::Error for NotOurs {}

/// Refuses what others can change: only its owner may write it, and the owner is this process's
/// user or root, who can change everything anyway.
///
/// # Errors
/// How others could.
#[cfg(unix)]
pub fn refuse_others(found: &Metadata) -> Result<(), NotOurs> {
    let (owner, us) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner != us && owner != 0 {
        return Err(NotOurs::Owner { owner, us });
    }
    let mode = found.mode() & 0o7777;
    // A link has no permissions of its own.
    if mode & 0o022 != 0 && !found.is_symlink() {
        return Err(NotOurs::Writable { mode });
    }
    Ok(())
}

/// Refuses what others can change; here nobody knows who can.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn refuse_others(_found: &Metadata) -> Result<(), NotOurs> {
    Ok(())
}

/// Opens a file that is no link, so that nobody can lead us to another one, and that others cannot
/// change. A named pipe does not make the opening wait.
///
/// # Errors
/// Those of the operating system; [`NotOurs`] inside of one of the kind
/// [`PermissionDenied`](io::ErrorKind::PermissionDenied).
pub fn open_ours(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    let options = {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed())
    };
    let file = options.open(path)?;
    refuse_others(&file.metadata()?)
        .map_err(|why| io::Error::new(io::ErrorKind::PermissionDenied, why))?;
    Ok(file)
}

/// Which file it is, by whatever name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId(u64, u64);

impl FileId {
    #[cfg(unix)]
    pub(crate) fn of(found: &Metadata) -> Self {
        Self(found.dev(), found.ino())
    }

    /// Where files have no numbers all are taken for one.
    #[cfg(not(unix))]
    pub(crate) fn of(_found: &Metadata) -> Self {
        Self(0, 0)
    }
}

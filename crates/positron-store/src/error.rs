//! What can go wrong with the disk: what happened, why, and what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

use positron_proto::reason::Reason;
use rusqlite::{ErrorCode, ffi};

use crate::NotOurs;

/// Storage could not do what it was asked. Nothing that was acknowledged is lost by any of these,
/// and no file is deleted or repaired.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another node holds the data folder.
    #[error(
        "a node is already running in {} {}, or give this one a data folder of its own",
        folder.display(), holder(*pid, *is_this_process)
    )]
    AlreadyRunning {
        /// Which folder.
        folder: PathBuf,
        /// The process that holds it, if it said so.
        pid: Option<u32>,
        /// Whether it is this one: a pid alone says nothing, for two containers both count from 1.
        is_this_process: bool,
    },
    /// Others can change what a node would trust.
    #[error("{} {why}", path.display())]
    NotOurs {
        /// Which folder or file.
        path: PathBuf,
        /// How others could.
        why: NotOurs,
    },
    /// A file of the data folder is a symbolic link: whoever made it chose what we would write to.
    #[error(
        "{} is a symbolic link, and a node's files are in its data folder itself; remove the link, \
         or choose another data folder",
        path.display()
    )]
    Link {
        /// Which.
        path: PathBuf,
    },
    /// What is to be a folder, or one above it, is a file.
    #[error(
        "{} is a file, or below one, and a data folder is to be there; name another",
        path.display()
    )]
    NotAFolder {
        /// Which.
        path: PathBuf,
    },
    /// There is no folder, or no database in it.
    #[error(
        "{} does not exist: no node has been started with this data folder yet",
        path.display()
    )]
    Missing {
        /// What was looked for.
        path: PathBuf,
    },
    /// The operating system does not let us.
    #[error(
        "no permission to {doing} {}: {why}; run as the user who owns it, or choose another data \
         folder",
        path.display()
    )]
    Permission {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// In the words of the operating system.
        why: String,
    },
    /// The file is no database, or a damaged one. It is left exactly as it is.
    #[error(
        "the database {} is damaged: {why}; restore it from a copy, or move it away to start \
         empty. An identity that starts empty may use its message numbers again, which others \
         take for equivocation: start with a new identity then",
        path.display()
    )]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The file is a sound SQLite database of some other program.
    #[error(
        "{} is the database of another program; move it away or choose another data folder",
        path.display()
    )]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// The database belongs to another network.
    #[error(
        "the database {} belongs to the network \"{found}\", not to \"{wanted}\"; choose the data \
         folder of this network, or a new one",
        path.display()
    )]
    WrongNetwork {
        /// Which file.
        path: PathBuf,
        /// The network it belongs to.
        found: String,
        /// The network that was asked for.
        wanted: String,
    },
    /// Another version of this program wrote the database.
    #[error(
        "the database {} has schema version {found}, this program knows {known}; use the program \
         that wrote it, or another data folder",
        path.display()
    )]
    OtherSchema {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version that we know.
        known: i64,
    },
    /// The database was moved, deleted or replaced while it was open.
    #[error("the database {} is not there any more; put it back where it was", path.display())]
    Moved {
        /// Where it was.
        path: PathBuf,
    },
    /// The disk is full, or the database reached its own bound.
    #[error("no room to {doing} {}: {why}; make room on the disk", path.display())]
    Full {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// In the words of SQLite or the operating system.
        why: String,
    },
    /// Somebody else writes to the database, or keeps it from being written to.
    #[error(
        "could not {doing} {}: {why}; end the other program that uses it, perhaps a backup",
        path.display()
    )]
    Locked {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// In the words of SQLite.
        why: String,
    },
    /// Anything else between us and the disk.
    #[error("could not {doing} {}: {why}; check the disk and its file system", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// In the words of SQLite or the operating system.
        why: String,
    },
}

impl From<&StoreError> for Reason {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::AlreadyRunning { .. } => Self::AlreadyRunning,
            StoreError::NotOurs { .. } => Self::NotOurs,
            StoreError::Link { .. } => Self::SymbolicLink,
            StoreError::NotAFolder { .. } => Self::NotAFolder,
            StoreError::Missing { .. } => Self::Missing,
            StoreError::Permission { .. } => Self::PermissionDenied,
            StoreError::Corrupt { .. } => Self::Corrupt,
            StoreError::Foreign { .. } => Self::ForeignDatabase,
            StoreError::WrongNetwork { .. } => Self::OtherNetwork,
            StoreError::OtherSchema { .. } => Self::OtherSchema,
            StoreError::Moved { .. } => Self::Moved,
            StoreError::Full { .. } => Self::DiskFull,
            StoreError::Locked { .. } => Self::DatabaseLocked,
            StoreError::Io { .. } => Self::DiskError,
        }
    }
}

impl StoreError {
    /// Sorts an error of the operating system.
    pub(crate) fn from_io(error: &io::Error, doing: &'static str, path: &Path) -> Self {
        let (path, why) = (path.to_owned(), error.to_string());
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::NotADirectory => Self::NotAFolder { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Permission { doing, path, why }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { doing, path, why }
            }
            _ => Self::Io { doing, path, why },
        }
    }

    /// Sorts an error of SQLite.
    pub(crate) fn from_sql(error: &rusqlite::Error, doing: &'static str, path: &Path) -> Self {
        // Without the name of the file, which the error says already.
        let why = match error {
            rusqlite::Error::SqliteFailure(ffi::Error { extended_code, .. }, _) => {
                format!("{} (SQLite {extended_code})", ffi::code_to_str(*extended_code))
            }
            other => other.to_string(),
        };
        let owned = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Corrupt { path: owned, why }
            }
            Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
                Self::Permission { doing, path: owned, why }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Locked { doing, path: owned, why }
            }
            Some(ErrorCode::DiskFull) => Self::Full { doing, path: owned, why },
            // SQLite does not say why it cannot open a file. It is not opened here to find out:
            // closing it again would drop the locks of every connection in this process.
            Some(ErrorCode::CannotOpen) => match std::fs::metadata(path) {
                Err(error) => Self::from_io(&error, doing, path),
                Ok(_) => Self::Permission { doing, path: owned, why },
            },
            Some(_) => Self::Io { doing, path: owned, why },
            // Not SQLite's word but rusqlite's: a value that is not what the schema promises.
            None => Self::Corrupt { path: owned, why },
        }
    }
}

/// Who runs, and what to do about it.
fn holder(pid: Option<u32>, is_this_process: bool) -> String {
    match pid {
        _ if is_this_process => "in this very process: wait until it has stopped (one that was \
                                 dropped lets go a moment later)"
            .to_owned(),
        Some(pid) => format!("as pid {pid}; stop it"),
        None => "under an unknown pid; stop it".to_owned(),
    }
}

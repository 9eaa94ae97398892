//! Where the database was when it was opened, and whether it still is.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A file under its path. A file that was moved or deleted can be written to as before, and nobody
/// would find there what was reported as durable.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    file: FileId,
}

#[cfg(unix)]
type FileId = (u64, u64);
#[cfg(not(unix))]
type FileId = ();

impl Place {
    /// The file that is there now.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: file_id(path)? })
    }

    /// Where it was.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the same file is there.
    pub(crate) fn is_same(&self) -> bool {
        // Who may not look is no witness against it.
        match file_id(&self.path) {
            Ok(file) => file == self.file,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

#[cfg(unix)]
fn file_id(path: &Path) -> io::Result<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// Elsewhere a file that is open cannot be moved.
#[cfg(not(unix))]
fn file_id(path: &Path) -> io::Result<FileId> {
    std::fs::metadata(path).map(drop)
}

//! Files that are written whole or not at all.

use std::{
    fs::File,
    io::{self, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use crate::failure::{Exit, Failure};

/// A file that is going to be there: writable, as far as can be known, but not written.
///
/// What is written stands in a file without a name, so that a process that is killed leaves
/// nothing behind.
#[derive(Debug)]
pub(crate) struct Pending {
    path: PathBuf,
    scratch: File,
}

/// What to do when the file is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Leave it and fail.
    Keep,
    /// Replace it.
    Replace,
}

impl Pending {
    /// Makes sure that `path` can be written later.
    pub(crate) fn new(path: &Path) -> Result<Self, Failure> {
        if path.is_dir() {
            return Err(unwritable(path, &io::Error::other("it is a folder")));
        }
        let scratch =
            tempfile::tempfile_in(folder(path)).map_err(|error| unwritable(path, &error))?;
        Ok(Self { path: path.to_owned(), scratch })
    }

    /// Writes it, whole. On failure the old file, if any, is as it was.
    pub(crate) fn write(mut self, text: &str, existing: Existing) -> Result<(), Failure> {
        self.append(text)?;
        self.publish(existing)
    }

    /// Writes on, where nobody sees it yet.
    pub(crate) fn append(&mut self, text: &str) -> Result<(), Failure> {
        let written = self.scratch.write_all(text.as_bytes());
        written.map_err(|error| unwritable(&self.path, &error))
    }

    /// Gives what was written its name. On failure the old file, if any, is as it was.
    pub(crate) fn publish(self, existing: Existing) -> Result<(), Failure> {
        let Self { path, mut scratch } = self;
        let mut named = || {
            let mut named =
                tempfile::Builder::new().prefix(".positron-net-").tempfile_in(folder(&path))?;
            scratch.rewind()?;
            io::copy(&mut scratch, named.as_file_mut())?;
            readable_by_all(named.as_file())?;
            named.as_file().sync_all()?;
            Ok(named)
        };
        let named = named().map_err(|error: io::Error| unwritable(&path, &error))?;
        let persisted = match existing {
            Existing::Keep => named.persist_noclobber(&path),
            Existing::Replace => named.persist(&path),
        };
        match persisted {
            Ok(_) => Ok(()),
            Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(unwritable(&path, &failed.error)
                    .try_this("choose another name, or replace it with --force"))
            }
            Err(failed) => Err(unwritable(&path, &failed.error)),
        }
    }
}

/// Where its name stands.
fn folder(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// A temporary file is private; a configuration or a report is not.
fn readable_by_all(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    // The name of the scratch file, which is wrapped around it, means nothing to anybody.
    let wrapped = error.get_ref().is_some() && error.kind() != io::ErrorKind::Other;
    let why = if wrapped { error.kind().to_string() } else { error.to_string() };
    Failure::new(Exit::Storage, format!("cannot write {}", path.display())).because(why)
}

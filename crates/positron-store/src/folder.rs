//! The data folder, and the lock that makes a node its only user.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use crate::StoreError;

/// The name of the database in the data folder.
pub const DATABASE: &str = "node.db";
/// The name of the lock file in the data folder.
pub const LOCK: &str = "node.lock";

/// A data folder that is ours alone until this value is dropped.
///
/// The lock belongs to the process: the operating system releases it when the process ends, however
/// it ends. The file stays and tells who held it last.
///
/// ```
/// use positron_store::{DataFolder, StoreError};
///
/// let dir = tempfile::tempdir()?;
/// let folder = DataFolder::lock(dir.path().join("node"))?; // created, for its owner only
/// let second = DataFolder::lock(folder.path());
/// assert!(matches!(second, Err(StoreError::AlreadyRunning { pid: Some(_), .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    lock: File,
}

impl DataFolder {
    /// Creates the folder if it is missing (0700 on Unix) and takes its lock.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyRunning`] if another node holds it, [`StoreError::Permission`] and
    /// [`StoreError::Io`] if the operating system refuses. A folder may have been created.
    pub fn lock(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        create_private(&path).map_err(|error| {
            // Where nothing can be created (/proc), what is missing is not the work of a node.
            let (doing, missing) = ("create the data folder", io::ErrorKind::NotFound);
            match error.kind() == missing {
                true => StoreError::Io { doing, path: path.clone(), why: error.to_string() },
                false => StoreError::from_io(&error, doing, &path),
            }
        })?;
        let file = path.join(LOCK);
        let mut lock = open_lock_file(&file)
            .map_err(|error| StoreError::from_io(&error, "open the lock file", &file))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::AlreadyRunning { folder: path, pid: read_pid(&mut lock) });
            }
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::from_io(&error, "lock", &file));
            }
        }
        write_pid(&mut lock)
            .map_err(|error| StoreError::from_io(&error, "write our pid into", &file))?;
        Ok(Self { path, lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its database is, or will be.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }
}

impl Drop for DataFolder {
    /// Closing the file would not do: a child process that is being started holds a copy of it for
    /// a moment, and with it the lock.
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, folder = %self.path.display(), "the lock is kept until we end");
        }
    }
}

/// Creates the folder and what is missing above it; only the owner may look inside.
fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn open_lock_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    writeln!(lock, "{}", std::process::id())?;
    lock.flush()
}

/// Who holds the lock. `None` in the moment before the holder has written its pid, and where the
/// system does not let others read a locked file.
fn read_pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::{
        process::Command,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn a_folder_is_free_at_once_even_while_other_processes_are_started() {
        let dir = tempfile::tempdir().unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let this = std::env::current_exe().unwrap();
                while !done.load(Ordering::Relaxed) {
                    Command::new(&this).arg("--list").output().unwrap();
                }
            });
            let outcome = (0..2_000).try_for_each(|_| DataFolder::lock(dir.path()).map(drop));
            done.store(true, Ordering::Relaxed);
            outcome.unwrap();
        });
    }

    #[test]
    fn a_lock_file_without_a_pid_is_said_to_be_of_an_unknown_one() {
        let dir = tempfile::tempdir().unwrap();
        let _held = DataFolder::lock(dir.path()).unwrap();
        for text in ["", "x", "-1", "99999999999999999999"] {
            std::fs::write(dir.path().join(LOCK), text).unwrap();
            let error = DataFolder::lock(dir.path()).unwrap_err();
            assert!(matches!(error, StoreError::AlreadyRunning { pid: None, .. }));
            assert!(error.to_string().contains("under an unknown pid"), "{error}");
        }
    }
}

//! The data folder, and the lock that makes a node its only user.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{
    StoreError,
    ownership::{FileId, open_ours, refuse_others},
};

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
    id: FileId,
}

/// The lock files that this process holds, whoever of it does.
static HELD: Mutex<BTreeSet<FileId>> = Mutex::new(BTreeSet::new());

impl DataFolder {
    /// Creates the folder if it is missing (0700 on Unix) and takes its lock.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyRunning`] if another node holds it, [`StoreError::NotOurs`] if others
    /// can change the folder or what a node keeps in it, [`StoreError::Permission`] and
    /// [`StoreError::Io`] if the operating system refuses. A folder may have been created.
    pub fn lock(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        create_private(&path).map_err(|error| {
            // Where nothing can be created (/proc), what is missing is not the work of a node.
            let (doing, missing) = ("create the data folder", io::ErrorKind::NotFound);
            match error.kind() {
                kind if kind == missing => {
                    StoreError::Io { doing, path: path.clone(), why: error.to_string() }
                }
                io::ErrorKind::AlreadyExists => StoreError::NotAFolder { path: path.clone() },
                _ => StoreError::from_io(&error, doing, &path),
            }
        })?;
        let file = path.join(LOCK);
        refuse_others_at(&path)?;
        for inside in [file.clone(), path.join(DATABASE)] {
            if inside.is_symlink() {
                return Err(StoreError::Link { path: inside });
            }
            refuse_others_at(&inside)?;
        }
        let failed = |error| StoreError::from_io(&error, "open the lock file", &file);
        let mut lock = open_lock_file(&file).map_err(failed)?;
        let id = FileId::of(&lock.metadata().map_err(failed)?);
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        match lock.try_lock() {
            Ok(()) => drop(held.insert(id)),
            Err(TryLockError::WouldBlock) => {
                let (pid, is_this_process) = (read_pid(&mut lock), held.contains(&id));
                return Err(StoreError::AlreadyRunning { folder: path, pid, is_this_process });
            }
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::from_io(&error, "lock", &file));
            }
        }
        drop(held);
        let mut folder = Self { path, lock, id };
        write_pid(&mut folder.lock)
            .map_err(|error| StoreError::from_io(&error, "write our pid into", &file))?;
        Ok(folder)
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
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&self.id);
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
    open_ours(&mut options, path)
}

/// What is there is ours alone, or nothing is there. In a folder that only we can change, what was
/// looked at stays what it is.
fn refuse_others_at(path: &Path) -> Result<(), StoreError> {
    let failed = |error: io::Error| StoreError::from_io(&error, "look at", path);
    let mut found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    // A link of our own to a folder elsewhere is ours to make; files are where they are.
    if found.is_symlink() {
        refuse_others(&found).map_err(|why| StoreError::NotOurs { path: path.to_owned(), why })?;
        found = fs::metadata(path).map_err(failed)?;
    }
    refuse_others(&found).map_err(|why| StoreError::NotOurs { path: path.to_owned(), why })
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
    #[cfg(unix)]
    use crate::NotOurs;

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
    fn a_lock_of_our_own_process_says_so_whatever_stands_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataFolder::lock(dir.path()).unwrap();
        let error = DataFolder::lock(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::AlreadyRunning { is_this_process: true, .. }));
        assert!(error.to_string().contains("in this very process"), "{error}");
        drop(held);
        // Another process: a lock that we do not know of, with our pid in its own container.
        let other = File::open(dir.path().join(LOCK)).unwrap();
        other.lock().unwrap();
        let error = DataFolder::lock(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::AlreadyRunning { is_this_process: false, .. }));
        assert!(error.to_string().contains("as pid"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn what_others_can_change_is_refused_and_left_as_it_is() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let place = tempfile::tempdir().unwrap();
        let victim = place.path().join("victim");
        let lead_away = |folder: &Path, name: &str| {
            fs::write(&victim, "precious").unwrap();
            symlink(&victim, folder.join(name)).unwrap();
        };
        let open_to = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let make = |name: &str, spoil: &dyn Fn(&Path)| {
            let folder = place.path().join(name);
            drop(DataFolder::lock(&folder).unwrap());
            spoil(&folder);
            (folder.clone(), DataFolder::lock(folder).unwrap_err())
        };
        for mode in [0o770, 0o707, 0o1777] {
            let (_, error) = make(&format!("{mode:o}"), &|folder| open_to(folder, mode));
            let StoreError::NotOurs { why: NotOurs::Writable { mode: found }, .. } = error else {
                panic!("{error}");
            };
            assert_eq!(found, mode);
        }
        for name in [LOCK, DATABASE] {
            let (_, error) = make(&format!("{name} for all"), &|folder| {
                fs::write(folder.join(name), "").unwrap();
                open_to(&folder.join(name), 0o666);
            });
            assert!(error.to_string().contains("chmod go-w"), "{error}");
            let (folder, error) = make(&format!("{name} led away"), &|folder| {
                let _ = fs::remove_file(folder.join(name));
                lead_away(folder, name);
            });
            assert!(matches!(error, StoreError::Link { .. }), "{error}");
            assert_eq!(fs::read(&victim).unwrap(), b"precious");
            assert!(folder.join(name).is_symlink());
        }
        // A folder that is ours may be reached by a link that is ours.
        let link = place.path().join("link");
        symlink(place.path().join("elsewhere"), &link).unwrap();
        fs::create_dir(place.path().join("elsewhere")).unwrap();
        drop(DataFolder::lock(&link).unwrap());
    }

    #[test]
    fn a_lock_file_without_a_pid_is_said_to_be_of_an_unknown_one() {
        let dir = tempfile::tempdir().unwrap();
        drop(DataFolder::lock(dir.path()).unwrap());
        // Held by somebody else, as far as we know.
        let held = File::open(dir.path().join(LOCK)).unwrap();
        held.lock().unwrap();
        for text in ["", "x", "-1", "99999999999999999999"] {
            std::fs::write(dir.path().join(LOCK), text).unwrap();
            let error = DataFolder::lock(dir.path()).unwrap_err();
            assert!(matches!(error, StoreError::AlreadyRunning { pid: None, .. }));
            assert!(error.to_string().contains("under an unknown pid"), "{error}");
        }
    }
}

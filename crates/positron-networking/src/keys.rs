//! The key file of a node: loaded as it is, or created once, and never replaced.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

pub use positron_proto::identity::{BadKeyFile, Identity, SecretBytes};
use positron_store::{NotOurs, refuse_others};
use zeroize::Zeroizing;

use crate::limits::MAX_KEY_FILE;

/// The key file cannot be used. Nothing was changed: a node never takes a new identity because the
/// old one cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Others can read the private key.
    #[error(
        "{} can be read by others (mode {mode:04o}): whoever read it can pose as this node; if \
         nobody did, run `chmod 600 {}` (a secret that is mounted into a container belongs to root \
         and may have mode 0440)", .path.display(), .path.display()
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Others can replace the key file.
    #[error("{} {why}", .path.display())]
    NotOurs {
        /// Which file or folder.
        path: PathBuf,
        /// How others could.
        why: NotOurs,
    },
    /// The file holds no key.
    #[error(
        "{}: {why}; restore the file from a backup, or move it away to become a new node with a \
         new identity", .path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: BadKeyFile,
    },
    /// The folder belongs to a node whose key is gone.
    #[error(
        "{} is missing, but {} is there: restore the key from a backup, or choose another data \
         folder to become a new node with a new identity", .path.display(), .database.display()
    )]
    Lost {
        /// Where the key was expected.
        path: PathBuf,
        /// What shows that there was a node.
        database: PathBuf,
    },
    /// A key was given in memory, and there is a key file as well.
    #[error(
        "a key was given to the node, and {} holds one as well: remove the file if its key is the \
         one that was given, or give none", .path.display()
    )]
    TwoKeys {
        /// The file, which was not read.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Loads the key file at `path`; creates it from `fresh` bytes if there is none.
///
/// `database` is a file that exists only where a node lived before: if it is there and the key is
/// not, the key was lost, and that is an error.
pub(crate) fn load_or_create(
    path: &Path,
    database: Option<&Path>,
    fresh: impl Into<SecretBytes>,
) -> Result<Identity, KeyError> {
    if let Some(identity) = load(path)? {
        return Ok(identity);
    }
    if let Some(database) = database.filter(|file| file.exists()) {
        return Err(KeyError::Lost { path: path.into(), database: database.into() });
    }
    let identity = Identity::from_secret(fresh.into());
    match create(path, &identity) {
        Ok(()) => Ok(identity),
        // Another process was quicker: its key is the one.
        Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            load(path)?.ok_or_else(|| failed("read", path)(io::ErrorKind::NotFound.into()))
        }
        Err(error) => Err(error),
    }
}

/// The identity in the key file at `path`; `None` if there is no such file. Creates and changes
/// nothing.
///
/// ```
/// let none = positron_networking::keys::load("no/such/private_key.pem".as_ref());
/// assert!(none.unwrap().is_none());
/// ```
///
/// It may be read by its owner only, who is this process's user or root. One of root's may be read
/// by its group, too: that is how a secret looks that is mounted into a container for a user who
/// owns nothing there. A link to the file is followed, as mounted secrets are links.
///
/// # Errors
/// The file cannot be read, can be read or changed by others, or holds no Ed25519 key.
pub fn load(path: &Path) -> Result<Option<Identity>, KeyError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    refuse_exposed(&file, path)?;
    // All of its size at once: a text that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_KEY_FILE));
    let damaged =
        |why: &str| KeyError::Damaged { path: path.into(), why: BadKeyFile { why: why.into() } };
    file.take(MAX_KEY_FILE as u64).read_to_string(&mut text).map_err(|error| {
        match error.kind() {
            io::ErrorKind::InvalidData => damaged("it is no text"),
            _ => failed("read", path)(error),
        }
    })?;
    let identity =
        Identity::from_pem(&text).map_err(|why| KeyError::Damaged { path: path.into(), why })?;
    Ok(Some(identity))
}

#[cfg(unix)]
fn refuse_exposed(file: &File, path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::MetadataExt as _;

    let found = file.metadata().map_err(failed("read", path))?;
    let mode = found.mode() & 0o7777;
    let readers = if found.uid() == 0 { 0o040 } else { 0 };
    if mode & 0o077 & !readers != 0 {
        return Err(KeyError::Exposed { path: path.into(), mode });
    }
    refuse_others(&found).map_err(|why| KeyError::NotOurs { path: path.into(), why })
}

#[cfg(not(unix))]
fn refuse_exposed(_file: &File, _path: &Path) -> Result<(), KeyError> {
    Ok(())
}

/// Writes a new key file so that at no moment a part of it, or one that others can read, is there
/// under its name. A file that is already there stays.
fn create(path: &Path, identity: &Identity) -> Result<(), KeyError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_private_folder(folder).map_err(failed("create", folder))?;
    let draft = folder.join(format!(".private_key.{}.new", std::process::id()));
    let written = write_private(&draft, identity.to_pem().as_bytes())
        .map_err(failed("write", &draft))
        // Unlike a rename, a link never replaces what is there.
        .and_then(|()| fs::hard_link(&draft, path).map_err(failed("create", path)));
    let removed = fs::remove_file(&draft).map_err(failed("remove", &draft));
    written?;
    removed?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("write", folder))
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    // What a crashed process of the same number left behind.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

pub(crate) fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    move |source| KeyError::Io { doing, path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/private_key.pem");
        (folder, path)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_key_is_created_once_for_its_owner_only_and_loaded_from_then_on() {
        let (_folder, path) = place();
        let first = load_or_create(&path, None, [1; 32]).unwrap();
        let second = load_or_create(&path, None, [2; 32]).unwrap();
        assert_eq!(first.node_id(), second.node_id());
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_remedy() {
        let (_folder, path) = place();
        load_or_create(&path, None, [1; 32]).unwrap();
        for exposed in [0o604, 0o620, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(exposed)).unwrap();
            let error = load_or_create(&path, None, [2; 32]).unwrap_err();
            assert!(matches!(error, KeyError::Exposed { mode, .. } if mode == exposed));
            assert!(error.to_string().contains("chmod 600"));
        }
    }

    /// A mounted secret belongs to root, and its reader to its group.
    #[test]
    fn a_key_of_roots_may_be_read_by_its_group_and_by_a_link() {
        use std::os::unix::fs::MetadataExt as _;

        let (folder, path) = place();
        let made = load_or_create(&path, None, [1; 32]).unwrap();
        let link = folder.path().join("mounted");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for mode in [0o640, 0o440] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let is_roots = fs::metadata(&path).unwrap().uid() == 0;
            match load(&link) {
                Ok(read) => {
                    assert!(is_roots);
                    assert_eq!(read.map(|key| key.node_id()), Some(made.node_id()));
                }
                Err(error) => {
                    assert!(!is_roots);
                    assert!(matches!(error, KeyError::Exposed { .. }), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_damaged_key_is_refused_and_never_replaced() {
        let (_folder, path) = place();
        load_or_create(&path, None, [1; 32]).unwrap();
        let whole = fs::read(&path).unwrap();
        let half = &whole[..whole.len() / 2];
        for damaged in [b"".as_slice(), half, b"\xFF\xFE", b"hello", &vec![b'A'; 100_000]] {
            fs::write(&path, damaged).unwrap();
            let error = load_or_create(&path, None, [2; 32]).unwrap_err();
            assert!(matches!(error, KeyError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains("backup"));
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
    }

    #[test]
    fn a_lost_key_is_noticed_by_the_database_that_it_left_behind() {
        let (folder, path) = place();
        let database = folder.path().join("node.db");
        fs::write(&database, "").unwrap();
        let error = load_or_create(&path, Some(&database), [1; 32]).unwrap_err();
        assert!(matches!(error, KeyError::Lost { .. }));
        assert!(!path.exists());
    }
}

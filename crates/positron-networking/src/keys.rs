//! The key of a node. In a file it is loaded as it is, or created once; only [`replace`] writes
//! over it. A file that is made while there is a passphrase is encrypted under it.
//!
//! A program that keeps the key elsewhere, in a vault or a keyring, gives it in memory, made from
//! the text of a key file ([`Identity::from_pem`]) or from the 32 bytes of its secret. It is wiped
//! when the node is gone. No key file is read or written then, and one that is there is an error:
//! of two keys, nobody could tell which is meant.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use positron_networking::{
//!     NetworkConfig, Node,
//!     keys::{Identity, SecretBytes},
//! };
//!
//! let secret = SecretBytes::made(|place| place.fill(7)); // written where it stays
//! let key = Identity::from_secret(secret);
//! let id = key.node_id();
//! let node = Node::builder(NetworkConfig::loopback()).identity(key).start().await.unwrap();
//! assert_eq!(node.id(), id);
//! # });
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

pub use positron_proto::identity::{BadKeyFile, BadPassphrase, Identity, Passphrase, SecretBytes};
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
    /// The file is encrypted, and was not opened.
    #[error("{}: {why}{}", .path.display(), remedy(.why))]
    Locked {
        /// Which file.
        path: PathBuf,
        /// Why not.
        why: BadKeyFile,
    },
    /// The file that should hold the passphrase holds none.
    #[error("{}: {why}", .path.display())]
    NoPassphrase {
        /// Which file.
        path: PathBuf,
        /// Why it is none.
        why: BadPassphrase,
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

const fn remedy(why: &BadKeyFile) -> &'static str {
    match why {
        BadKeyFile::Encrypted => {
            "; write the passphrase into a file that only you can read, and name that file with \
             `key_passphrase_file`"
        }
        _ => "",
    }
}

/// Loads the key file at `path`; creates it from `fresh` bytes if there is none, encrypted if there
/// is a passphrase.
///
/// `database` is a file that exists only where a node lived before: if it is there and the key is
/// not, the key was lost, and that is an error.
pub(crate) fn load_or_create(
    path: &Path,
    database: Option<&Path>,
    passphrase: Option<&Passphrase>,
    fresh: impl Into<SecretBytes>,
) -> Result<Identity, KeyError> {
    if let Some(identity) = load(path, passphrase)? {
        return Ok(identity);
    }
    if let Some(database) = database.filter(|file| file.exists()) {
        return Err(KeyError::Lost { path: path.into(), database: database.into() });
    }
    let identity = Identity::from_secret(fresh.into());
    match create(path, &identity, passphrase) {
        Ok(()) => Ok(identity),
        // Another process was quicker: its key is the one.
        Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            load(path, passphrase)?
                .ok_or_else(|| failed("read", path)(io::ErrorKind::NotFound.into()))
        }
        Err(error) => Err(error),
    }
}

/// The identity in the key file at `path`; `None` if there is no such file. Creates and changes
/// nothing.
///
/// ```
/// let none = positron_networking::keys::load("no/such/private_key.pem".as_ref(), None);
/// assert!(none.unwrap().is_none());
/// ```
///
/// It may be read by its owner only, who is this process's user or root. One of root's may be read
/// by its group, too: that is how a secret looks that is mounted into a container for a user who
/// owns nothing there. A link to the file is followed, as mounted secrets are links.
///
/// # Errors
/// The file cannot be read, can be read or changed by others, is encrypted and does not open with
/// the passphrase, or holds no Ed25519 key.
pub fn load(path: &Path, passphrase: Option<&Passphrase>) -> Result<Option<Identity>, KeyError> {
    let not_text = |path| {
        let why = BadKeyFile::NoKey { why: "it is no text".into() };
        KeyError::Damaged { path, why }
    };
    let Some(text) = read_private(path, not_text)? else { return Ok(None) };
    if passphrase.is_some() && !text.contains("ENCRYPTED") {
        tracing::warn!(
            file = %path.display(),
            "the key is not encrypted, although there is a passphrase; `positron-net id encrypt` \
             encrypts it"
        );
    }
    let read = match passphrase {
        Some(passphrase) => Identity::from_encrypted_pem(&text, passphrase),
        None => Identity::from_pem(&text),
    };
    let path = || path.to_owned();
    read.map(Some).map_err(|why| match why {
        BadKeyFile::NoKey { .. } => KeyError::Damaged { path: path(), why },
        _ => KeyError::Locked { path: path(), why },
    })
}

/// The passphrase in the first line of the file at `path`, which may be read by whoever may read a
/// key file.
///
/// # Errors
/// The file is not there, cannot be read, can be read or changed by others, or holds none.
pub fn passphrase(path: &Path) -> Result<Passphrase, KeyError> {
    let unfit = |why| move |path| KeyError::NoPassphrase { path, why };
    let text = read_private(path, unfit(BadPassphrase::NotText))?
        .ok_or_else(|| failed("read", path)(io::ErrorKind::NotFound.into()))?;
    let line = text.lines().next().unwrap_or_default();
    Passphrase::new(line.to_owned()).map_err(|why| unfit(why)(path.into()))
}

/// Writes the key of `identity` over that at `path`, encrypted if there is a passphrase. What is
/// there stays until the new file is whole and on disk, and whoever could read it still can. Of a
/// link it is the file behind it that is replaced.
///
/// # Errors
/// The operating system refuses; the old file is as it was.
pub fn replace(
    path: &Path,
    identity: &Identity,
    passphrase: Option<&Passphrase>,
) -> Result<(), KeyError> {
    let path = fs::canonicalize(path).map_err(failed("replace", path))?;
    write(&path, identity, passphrase, Existing::Replace)
}

/// Writes the key of `identity` to a file that is not there yet, encrypted if there is a
/// passphrase.
pub(crate) fn create(
    path: &Path,
    identity: &Identity,
    passphrase: Option<&Passphrase>,
) -> Result<(), KeyError> {
    write(path, identity, passphrase, Existing::Keep)
}

/// The text in a file that nobody else may read, or change.
fn read_private(
    path: &Path,
    not_text: impl FnOnce(PathBuf) -> KeyError,
) -> Result<Option<Zeroizing<String>>, KeyError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    refuse_exposed(&file, path)?;
    // All of its size at once: a text that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_KEY_FILE));
    file.take(MAX_KEY_FILE as u64).read_to_string(&mut text).map_err(|error| {
        match error.kind() {
            io::ErrorKind::InvalidData => not_text(path.into()),
            _ => failed("read", path)(error),
        }
    })?;
    Ok(Some(text))
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

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existing {
    Keep,
    Replace,
}

/// Writes a key file so that at no moment a part of it, or one that others can read, is there under
/// its name.
fn write(
    path: &Path,
    identity: &Identity,
    passphrase: Option<&Passphrase>,
    existing: Existing,
) -> Result<(), KeyError> {
    let text = match passphrase {
        Some(passphrase) => {
            let mut dice = [0; 32];
            getrandom::fill(&mut dice)
                .map_err(|error| failed("encrypt", path)(io::Error::other(error.to_string())))?;
            identity.to_encrypted_pem(passphrase, dice).into()
        }
        None => identity.to_pem(),
    };
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_private_folder(folder).map_err(failed("create", folder))?;
    let draft = folder.join(format!(".private_key.{}.new", std::process::id()));
    write_private(&draft, text.as_bytes()).map_err(failed("write", &draft))?;
    let placed = match existing {
        // Unlike a rename, a link never replaces what is there.
        Existing::Keep => fs::hard_link(&draft, path).map_err(failed("create", path)),
        Existing::Replace => copy_rights(path, &draft)
            .and_then(|()| fs::rename(&draft, path))
            .map_err(failed("replace", path)),
    };
    let removed = match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", &draft)(error))
        }
        _ => Ok(()),
    };
    placed?;
    removed?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("write", folder))
}

/// `to` is for those whom `from` is for.
fn copy_rights(from: &Path, to: &Path) -> io::Result<()> {
    let found = fs::metadata(from)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;

        std::os::unix::fs::chown(to, Some(found.uid()), Some(found.gid()))?;
    }
    fs::set_permissions(to, found.permissions())
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

pub(crate) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
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
        let first = load_or_create(&path, None, None, [1; 32]).unwrap();
        let second = load_or_create(&path, None, None, [2; 32]).unwrap();
        assert_eq!(first.node_id(), second.node_id());
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_remedy() {
        let (_folder, path) = place();
        load_or_create(&path, None, None, [1; 32]).unwrap();
        for exposed in [0o604, 0o620, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(exposed)).unwrap();
            let error = load_or_create(&path, None, None, [2; 32]).unwrap_err();
            assert!(matches!(error, KeyError::Exposed { mode, .. } if mode == exposed));
            assert!(error.to_string().contains("chmod 600"));
        }
    }

    /// A mounted secret belongs to root, and its reader to its group.
    #[test]
    fn a_key_of_roots_may_be_read_by_its_group_and_by_a_link() {
        use std::os::unix::fs::MetadataExt as _;

        let (folder, path) = place();
        let made = load_or_create(&path, None, None, [1; 32]).unwrap();
        let link = folder.path().join("mounted");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for mode in [0o640, 0o440] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let is_roots = fs::metadata(&path).unwrap().uid() == 0;
            match load(&link, None) {
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
    fn a_key_that_is_replaced_is_for_the_same_eyes_and_behind_the_same_link() {
        let (folder, path) = place();
        let made = load_or_create(&path, None, None, [1; 32]).unwrap();
        let link = folder.path().join("mounted");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        let passphrase = Passphrase::new("secret".to_owned()).unwrap();
        replace(&link, &made, Some(&passphrase)).unwrap();
        assert!(link.is_symlink());
        assert!(fs::read_to_string(&path).unwrap().contains("ENCRYPTED"), "no plain one is left");
        assert_eq!(mode(&path), 0o400);
        let none = folder.path().join("none");
        assert!(matches!(replace(&none, &made, None), Err(KeyError::Io { .. })));
    }

    #[test]
    fn a_damaged_key_is_refused_and_never_replaced() {
        let (_folder, path) = place();
        load_or_create(&path, None, None, [1; 32]).unwrap();
        let whole = fs::read(&path).unwrap();
        let half = &whole[..whole.len() / 2];
        for damaged in [b"".as_slice(), half, b"\xFF\xFE", b"hello", &vec![b'A'; 100_000]] {
            fs::write(&path, damaged).unwrap();
            let error = load_or_create(&path, None, None, [2; 32]).unwrap_err();
            assert!(matches!(error, KeyError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains("backup"));
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
    }

    #[test]
    fn a_key_that_is_made_under_a_passphrase_opens_with_no_other() {
        let (_folder, path) = place();
        let secret = |text: &str| Passphrase::new(text.to_owned()).unwrap();
        let right = secret("right");
        let made = load_or_create(&path, None, Some(&right), [1; 32]).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("ENCRYPTED"));
        let again = load_or_create(&path, None, Some(&right), [2; 32]).unwrap();
        assert_eq!(again.node_id(), made.node_id());
        let whole = fs::read(&path).unwrap();
        let refused = |passphrase: Option<&Passphrase>| {
            let error = load_or_create(&path, None, passphrase, [2; 32]).unwrap_err();
            assert_eq!(fs::read(&path).unwrap(), whole, "{error}");
            error
        };
        let error = refused(None);
        assert!(matches!(error, KeyError::Locked { why: BadKeyFile::Encrypted, .. }));
        assert!(error.to_string().contains("key_passphrase_file"), "{error}");
        let error = refused(Some(&secret("wrong")));
        assert!(matches!(error, KeyError::Locked { why: BadKeyFile::WrongPassphrase, .. }));

        replace(&path, &made, None).unwrap();
        assert_eq!(load(&path, None).unwrap().map(|key| key.node_id()), Some(made.node_id()));
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_passphrase_is_the_first_line_of_a_file_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        let (_keys, key) = place();
        let made =
            load_or_create(&key, None, Some(&Passphrase::new("a b".to_owned()).unwrap()), [1; 32]);
        let id = made.unwrap().node_id();
        assert!(matches!(passphrase(&path), Err(KeyError::Io { .. })));
        let put = |content: &[u8], mode| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for content in ["a b", "a b\n", "a b\r\n", "a b\nmore\n"] {
            put(content.as_bytes(), 0o600);
            let read = passphrase(&path).unwrap();
            assert_eq!(load(&key, Some(&read)).unwrap().map(|key| key.node_id()), Some(id));
        }
        for (content, wrong) in [
            (b"".to_vec(), BadPassphrase::Empty),
            (b"\nsecret\n".to_vec(), BadPassphrase::Empty),
            (vec![0xFF; 8], BadPassphrase::NotText),
            (vec![b'a'; 100_000], BadPassphrase::TooLong),
        ] {
            put(&content, 0o600);
            let error = passphrase(&path).unwrap_err();
            assert!(matches!(error, KeyError::NoPassphrase { why, .. } if why == wrong), "{error}");
        }
        put(b"secret", 0o644);
        assert!(matches!(passphrase(&path), Err(KeyError::Exposed { .. })));
    }

    #[test]
    fn a_lost_key_is_noticed_by_the_database_that_it_left_behind() {
        let (folder, path) = place();
        let database = folder.path().join("node.db");
        fs::write(&database, "").unwrap();
        let error = load_or_create(&path, Some(&database), None, [1; 32]).unwrap_err();
        assert!(matches!(error, KeyError::Lost { .. }));
        assert!(!path.exists());
    }
}

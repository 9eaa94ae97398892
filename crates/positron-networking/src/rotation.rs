//! A node takes a new key, and its old one says so.

use std::path::{Path, PathBuf};

use positron_proto::{
    id::NodeId,
    identity::{Identity, Passphrase, SecretBytes, Verified},
    limits::MAX_SUCCESSION_CHAIN,
    node::ChangeId,
    succession::{Succession, change::keep},
};
use positron_store::{DATABASE, DataFolder, Store, StoreError};

use crate::{KeyError, NetworkConfig, keys};

/// Why a node did not take a new key. Its old one is in force.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The node keeps nothing.
    #[error(
        "a node needs a data folder (`data_dir`) to take a new key: there it keeps what the old \
         one signed"
    )]
    NoFolder,
    /// There is no node in the data folder.
    #[error("no node has lived in {}: {} is missing", .folder.display(), .missing.display())]
    NoNode {
        /// The data folder.
        folder: PathBuf,
        /// The key, or the database.
        missing: PathBuf,
    },
    /// The key file, or the new one, cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The data folder or the database in it cannot be used; or the node runs.
    #[error(transparent)]
    Storage(#[from] StoreError),
    /// This key gave way to another one already, and that is not here.
    #[error(
        "the key in {} gave way to that of node {successor} already, and no file here has that \
         one: put the key file of node {} in its place. If you did not change the key, somebody \
         else has it", .path.display(), .successor.short()
    )]
    Retired {
        /// The key file.
        path: PathBuf,
        /// Who has its place.
        successor: NodeId,
    },
    /// The history of keys is as long as others keep it.
    #[error("the key changed {MAX_SUCCESSION_CHAIN} times, and others keep no longer histories")]
    TooOften,
    /// The operating system has no random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Entropy(String),
}

/// A key that gave way to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotatedKey {
    /// Who the node was.
    pub old: NodeId,
    /// Who it is from its next start on.
    pub new: NodeId,
}

/// Gives the node of this configuration, which must not run, a new key, to which its old one gives
/// way: both sign that, and the node says it from its next start on. Its peers then make of the new
/// key what they made of the old one, bans and reservations included, and refuse the old one.
///
/// The key file is replaced, under the passphrase if there is one (given, or in
/// `key_passphrase_file`). Whatever ends this before it returns, a second call goes on where it
/// ended: the new key is in a file beside the old one until that is replaced.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use positron_networking::{NetworkConfig, Node, rotate_key};
///
/// # let folder = tempfile::tempdir().unwrap();
/// let data_dir = Some(folder.path().join("node"));
/// let config = NetworkConfig { data_dir, ..NetworkConfig::loopback() };
/// let before = Node::start(config.clone()).await.unwrap();
/// assert!(rotate_key(&config, None).is_err(), "it runs");
/// before.shutdown().await.unwrap();
///
/// let rotated = rotate_key(&config, None).unwrap();
/// let after = Node::start(config).await.unwrap();
/// assert_eq!((rotated.old, rotated.new), (before.id(), after.id()));
/// # });
/// ```
///
/// # Errors
/// See [`RotateError`]; the old key is in force.
pub fn rotate_key(
    config: &NetworkConfig,
    passphrase: Option<&Passphrase>,
) -> Result<RotatedKey, RotateError> {
    let folder = config.data_dir.clone().ok_or(RotateError::NoFolder)?;
    let path = config.key_path().ok_or(RotateError::NoFolder)?;
    for missing in [&path, &folder.join(DATABASE)] {
        if !missing.exists() {
            return Err(RotateError::NoNode { folder, missing: missing.clone() });
        }
    }
    let of_file = || config.key_passphrase_file.as_deref().map(keys::passphrase);
    let of_file = if passphrase.is_none() { of_file().transpose()? } else { None };
    let passphrase = passphrase.or(of_file.as_ref());

    let missing = || RotateError::NoNode { folder: folder.clone(), missing: path.clone() };
    let old = keys::load(&path, passphrase)?.ok_or_else(missing)?;
    // Whoever was quicker left word in the database that this key is no key any more.
    let lock = DataFolder::lock(&folder)?;
    let (store, snapshot) = Store::open(lock, config.network_id(), &config.network, drop)?;
    let next = NextKey::beside(&path)?;
    let prepared = next.load(&old, passphrase)?;
    let new = match (successor(&snapshot.successions, &old), prepared) {
        // An earlier call came as far as this.
        (Some(successor), Some(prepared)) if prepared.node_id() == successor => prepared,
        (Some(successor), _) => return Err(RotateError::Retired { path, successor }),
        (None, _) if history(&snapshot.successions, &old) >= MAX_SUCCESSION_CHAIN => {
            return Err(RotateError::TooOften);
        }
        (None, prepared) => {
            let new = prepared.map_or_else(|| next.make(passphrase), Ok)?;
            let signed = Succession::sign(&old, &new, &config.network_id());
            let written = store.persist(ChangeId(1), keep(&signed));
            written.map_err(|refused| StoreError::Io {
                doing: "write to",
                path: folder.join(DATABASE),
                why: refused.why,
            })?;
            new
        }
    };
    // It is on disk before the key changes; from here on a start says what to do.
    store.close()?;
    keys::replace(&path, &new, passphrase)?;
    next.remove()?;
    Ok(RotatedKey { old: old.node_id(), new: new.node_id() })
}

/// Who came after this key, as its database knows.
pub(crate) fn successor(known: &[Verified<Succession>], key: &Identity) -> Option<NodeId> {
    let of_key = known.iter().find(|one| one.content().predecessor() == key.node_id());
    of_key.map(|one| one.content().successor())
}

/// How many keys there were before this one.
fn history(known: &[Verified<Succession>], key: &Identity) -> usize {
    let before = |node: &NodeId| {
        let succession = known.iter().find(|one| one.content().successor() == *node)?;
        Some(succession.content().predecessor())
    };
    let all = std::iter::successors(before(&key.node_id()), before);
    all.take(MAX_SUCCESSION_CHAIN).count()
}

/// The file of a key that is not in force yet: beside the key file, where that really is.
struct NextKey(PathBuf);

impl NextKey {
    fn beside(path: &Path) -> Result<Self, KeyError> {
        let found = path.canonicalize().map_err(keys::failed("read", path))?;
        let mut name = found.into_os_string();
        name.push(".next");
        Ok(Self(name.into()))
    }

    /// What an earlier call left, unless that is in force already.
    fn load(
        &self,
        old: &Identity,
        passphrase: Option<&Passphrase>,
    ) -> Result<Option<Identity>, KeyError> {
        let prepared = keys::load(&self.0, passphrase)?;
        match prepared {
            Some(prepared) if prepared.node_id() == old.node_id() => self.remove().map(|()| None),
            prepared => Ok(prepared),
        }
    }

    fn make(&self, passphrase: Option<&Passphrase>) -> Result<Identity, RotateError> {
        let mut drawn = Ok(());
        let secret = SecretBytes::made(|place| drawn = getrandom::fill(place));
        drawn.map_err(|error| RotateError::Entropy(error.to_string()))?;
        let new = Identity::from_secret(secret);
        keys::create(&self.0, &new, passphrase)?;
        Ok(new)
    }

    fn remove(&self) -> Result<(), KeyError> {
        std::fs::remove_file(&self.0).map_err(keys::failed("remove", &self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{Node, StartError};

    fn passphrase() -> Passphrase {
        Passphrase::new("secret".to_owned()).unwrap()
    }

    /// A node that has lived, and who it is.
    async fn lived() -> (tempfile::TempDir, NetworkConfig, NodeId) {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = Some(folder.path().join("node"));
        let config = NetworkConfig { data_dir, ..NetworkConfig::loopback() };
        let node = Node::start(config.clone()).await.unwrap();
        node.shutdown().await.unwrap();
        (folder, config, node.id())
    }

    fn stored(config: &NetworkConfig) -> Vec<Verified<Succession>> {
        let lock = DataFolder::lock(config.data_dir.as_ref().unwrap()).unwrap();
        Store::open(lock, config.network_id(), &config.network, drop).unwrap().1.successions
    }

    #[tokio::test]
    async fn a_rotation_that_was_interrupted_anywhere_is_finished_by_the_next_one() {
        let (_folder, config, id) = lived().await;
        let path = config.key_path().unwrap();
        let next = NextKey::beside(&path).unwrap();
        let old = fs::read(&path).unwrap();

        // The new key was made, and nothing signed: the old one is in force.
        let made = next.make(None).unwrap();
        let node = Node::start(config.clone()).await.unwrap();
        assert_eq!(node.id(), id);
        node.shutdown().await.unwrap();

        // It was signed, and the key not replaced: to start would be to be refused by all.
        let rotated = rotate_key(&config, None).unwrap();
        assert_eq!(rotated, RotatedKey { old: id, new: made.node_id() });
        fs::write(&path, &old).unwrap();
        keys::create(&next.0, &made, None).unwrap();
        let error = Node::start(config.clone()).await.unwrap_err();
        assert!(matches!(error, StartError::KeyRetired { successor } if successor == rotated.new));
        assert!(error.to_string().contains("positron-net id rotate"), "{error}");
        assert_eq!(rotate_key(&config, None).unwrap(), rotated);

        // The key was replaced, and the file beside it not removed.
        keys::create(&next.0, &made, None).unwrap();
        let again = rotate_key(&config, None).unwrap();
        assert_eq!(again.old, rotated.new);
        assert!(!next.0.exists());
        let pairs: Vec<_> = stored(&config)
            .iter()
            .map(|one| (one.content().predecessor(), one.content().successor()))
            .collect();
        assert_eq!(pairs, [(id, rotated.new), (rotated.new, again.new)]);

        // The key of a backup is no key any more, and no other one takes its place.
        fs::write(&path, &old).unwrap();
        let error = rotate_key(&config, None).unwrap_err();
        assert!(
            matches!(error, RotateError::Retired { successor, .. } if successor == rotated.new)
        );
        assert_eq!(fs::read(&path).unwrap(), old);
    }

    #[tokio::test]
    async fn an_encrypted_key_gives_way_to_an_encrypted_one() {
        let (_folder, config, id) = lived().await;
        let path = config.key_path().unwrap();
        let key = keys::load(&path, None).unwrap().unwrap();
        keys::replace(&path, &key, Some(&passphrase())).unwrap();
        let error = rotate_key(&config, None).unwrap_err();
        assert!(matches!(error, RotateError::Key(KeyError::Locked { .. })), "{error}");
        let rotated = rotate_key(&config, Some(&passphrase())).unwrap();
        assert_eq!(rotated.old, id);
        assert!(fs::read_to_string(&path).unwrap().contains("ENCRYPTED"));
        let found = keys::load(&path, Some(&passphrase())).unwrap().unwrap();
        assert_eq!(found.node_id(), rotated.new);
        let beside = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "nothing is left beside it");
    }

    #[tokio::test]
    async fn where_no_node_has_lived_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let node = folder.path().join("node");
        let config = NetworkConfig { data_dir: Some(node.clone()), ..NetworkConfig::loopback() };
        let error = rotate_key(&config, None).unwrap_err();
        assert!(matches!(error, RotateError::NoNode { .. }), "{error}");
        assert!(!node.exists());
        let error = rotate_key(&NetworkConfig::loopback(), None).unwrap_err();
        assert!(matches!(error, RotateError::NoFolder), "{error}");
    }
}

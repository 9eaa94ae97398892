//! What a node begins with: dice, and from its last life identity and memory.

use positron_proto::{
    identity::{Identity, Passphrase, SecretBytes},
    limits::MAX_RESERVED,
    node::{KeyAge, Snapshot},
    peers::Reservation,
    rng::Seed,
};
use positron_store::{DATABASE, DataFolder};

use crate::{
    KeyError, NetworkConfig, StartError,
    driver::{Arrivals, storage::Storage},
    keys,
    rotation::successor,
};

/// The only entropy of a node.
pub(crate) struct Seeds {
    /// Of the identity, if there is none yet.
    pub(crate) identity: SecretBytes,
    /// Of every random draw.
    pub(crate) dice: Seed,
}

impl Seeds {
    pub(crate) fn draw() -> Result<Self, StartError> {
        let none = |error: getrandom::Error| StartError::Entropy(error.to_string());
        let (mut dice, mut drawn) = ([0; 32], Ok(()));
        let identity = SecretBytes::made(|place| drawn = getrandom::fill(place));
        drawn.and_then(|()| getrandom::fill(&mut dice)).map_err(none)?;
        Ok(Self { identity, dice: Seed::new(dice) })
    }
}

/// What an application says of the key of its node, beside the configuration.
#[derive(Debug, Default)]
pub(crate) struct GivenKey {
    /// The key itself.
    pub(crate) identity: Option<Identity>,
    /// What the key file is encrypted under.
    pub(crate) passphrase: Option<Passphrase>,
}

/// Who the node is, where its changes go, and what it remembers.
pub(crate) type Opened = (Identity, Storage, Snapshot);

/// Opens the data folder, if there is one, on a thread that may block; `fresh` makes the identity
/// if none was given and there is none yet.
pub(crate) async fn open(
    config: NetworkConfig,
    key: GivenKey,
    fresh: SecretBytes,
    arrivals: Arrivals,
) -> Result<Opened, StartError> {
    let opening = tokio::task::spawn_blocking(move || open_now(&config, key, fresh, arrivals));
    opening.await.unwrap_or_else(|crash| std::panic::resume_unwind(crash.into_panic()))
}

fn open_now(
    config: &NetworkConfig,
    key: GivenKey,
    fresh: SecretBytes,
    arrivals: Arrivals,
) -> Result<Opened, StartError> {
    // The lock comes first: two nodes that start together never make two keys.
    let folder = config.data_dir.as_ref().map(DataFolder::lock).transpose()?;
    let database = config.data_dir.as_ref().map(|folder| folder.join(DATABASE));
    let was_there = config.key_path().is_some_and(|path| path.exists());
    let was_used = was_there || key.identity.is_some();
    let identity = match (key.identity, config.key_path()) {
        (Some(_), Some(path)) if was_there => return Err(KeyError::TwoKeys { path }.into()),
        (Some(given), _) => given,
        (None, Some(path)) => {
            let of_file = || config.key_passphrase_file.as_deref().map(keys::passphrase);
            let passphrase = key.passphrase.map(Ok).or_else(of_file).transpose()?;
            keys::load_or_create(&path, database.as_deref(), passphrase.as_ref(), fresh)?
        }
        (None, None) => Identity::from_secret(fresh),
    };
    if let Some(wanted) = &config.node_id {
        let found = identity.node_id();
        if !found.to_string().starts_with(&wanted.to_ascii_lowercase()) {
            return Err(StartError::OtherIdentity { wanted: wanted.clone(), found });
        }
    }
    let (storage, mut snapshot) = match folder {
        Some(folder) => Storage::open(folder, config, arrivals)?,
        None => Default::default(),
    };
    if let Some(successor) = successor(&snapshot.successions, &identity) {
        return Err(StartError::KeyRetired { successor });
    }
    snapshot.numbers.key = if was_used { KeyAge::Used } else { KeyAge::New };
    Ok((identity, storage, snapshot))
}

/// Says for whom no slot is reserved, though one was asked for.
pub(crate) fn warn_of_missing(asked: &[Reservation], kept: &[Reservation]) {
    for slot in asked.iter().filter(|slot| !kept.iter().any(|one| one.peer == slot.peer)) {
        tracing::warn!(
            peer = %slot.peer.short(),
            "no slot is reserved for it: the application has banned it, it is this node, \
             or {MAX_RESERVED} others have one"
        );
    }
}

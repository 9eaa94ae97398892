//! What a node brings along from its last life: identity and memory.

use positron_proto::{identity::Identity, node::Snapshot};

use crate::{NetworkConfig, StartError, driver::storage::Storage, keys};

/// Who the node is, where its changes go, and what it remembers.
pub(crate) type Opened = (Identity, Storage, Snapshot);

/// Opens the data folder, if there is one, on a thread that may block; `fresh` makes the identity
/// if there is none yet.
pub(crate) async fn open(config: NetworkConfig, fresh: [u8; 32]) -> Result<Opened, StartError> {
    let opening = tokio::task::spawn_blocking(move || open_now(&config, fresh));
    opening.await.unwrap_or_else(|error| Err(StartError::Storage(error.to_string())))
}

fn open_now(config: &NetworkConfig, fresh: [u8; 32]) -> Result<Opened, StartError> {
    let database = config.data_dir.as_ref().map(|folder| folder.join("node.db"));
    let identity = match config.key_path() {
        Some(path) => keys::load_or_create(&path, database.as_deref(), fresh)?,
        None => Identity::from_seed(fresh),
    };
    if let Some(wanted) = &config.node_id {
        let found = identity.node_id();
        if !found.to_string().starts_with(&wanted.to_ascii_lowercase()) {
            return Err(StartError::OtherIdentity { wanted: wanted.clone(), found });
        }
    }
    Ok((identity, Storage::Nowhere, Snapshot::default()))
}

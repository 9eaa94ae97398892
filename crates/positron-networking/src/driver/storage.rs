//! Where changes go: to the disk, or nowhere.

use std::{path::Path, sync::Arc};

use positron_proto::{
    node::{ChangeId, Input, Snapshot},
    reason::Reason,
    storage::Change,
};
use positron_store::{DataFolder, Report, Store, StoreError};
use tokio::time::timeout;

use super::{Arrivals, CoreInput};
use crate::{NetworkConfig, ShutdownError, limits::STORAGE_FLUSH_TIMEOUT};

/// The memory of a node. Without a data folder it remembers nothing after its end.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    store: Option<Store>,
    folder: Option<Arc<Path>>,
}

impl Storage {
    /// Opens the database in a folder, and tells the core from then on what is durable.
    pub(crate) fn open(
        folder: DataFolder,
        config: &NetworkConfig,
        arrivals: Arrivals,
    ) -> Result<(Self, Snapshot), StoreError> {
        let report = move |report| {
            // A core that is gone has no use for it.
            let _ = arrivals.send(CoreInput::Input(as_input(report)));
        };
        let path = folder.path().into();
        let (store, snapshot) = Store::open(folder, config.network_id(), &config.network, report)?;
        Ok((Self { store: Some(store), folder: Some(path) }, snapshot))
    }

    /// Remembers a change, without waiting for the disk; what can be answered at once is the
    /// result.
    pub(super) fn persist(&self, id: ChangeId, change: Change) -> Option<Input> {
        match self.store.as_ref().map(|store| store.persist(id, change)) {
            None => Some(Input::Persisted { up_to: id }),
            Some(Ok(())) => None,
            // Usually the report came first; a writer that panicked makes none.
            Some(Err(refused)) => {
                Some(Input::StorageFailed { reason: Reason::DiskError, why: refused.why })
            }
        }
    }

    /// Where it keeps everything.
    pub(super) fn folder(&self) -> Option<Arc<Path>> {
        self.folder.clone()
    }

    /// Writes what it was given, and lets go of the folder.
    pub(super) async fn close(self) -> Result<(), ShutdownError> {
        let Some(store) = self.store else { return Ok(()) };
        let closing = tokio::task::spawn_blocking(move || store.close());
        match timeout(STORAGE_FLUSH_TIMEOUT, closing).await {
            Ok(Ok(closed)) => closed.map_err(|error| ShutdownError::Storage(error.to_string())),
            Ok(Err(_)) => Err(ShutdownError::Crashed),
            Err(_) => Err(ShutdownError::TimedOut),
        }
    }
}

fn as_input(report: Report) -> Input {
    match report {
        Report::Durable { up_to } => Input::Persisted { up_to },
        Report::Retrying { reason, why, .. } => Input::StorageWaits { reason, why },
        Report::Failed { reason, why } => Input::StorageFailed { reason, why },
    }
}

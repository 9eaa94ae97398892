//! Where changes go: to the disk, or nowhere.

use positron_proto::{
    node::{ChangeId, Input, Snapshot},
    storage::Change,
};
use positron_store::{DataFolder, Report, Store, StoreError};
use tokio::time::timeout;

use super::{Arrivals, CoreInput};
use crate::{NetworkConfig, StopError, limits::STORAGE_FLUSH_TIMEOUT, stats::StorageStats};

/// The memory of a node.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    /// None: a node without a data folder remembers nothing after its end.
    store: Option<Store>,
    /// The last change that it was given.
    given: ChangeId,
    /// The last one that is on disk.
    durable: ChangeId,
    /// Why it failed, if it did.
    failed: Option<String>,
}

impl Storage {
    /// Opens the database in a folder, and tells the core from then on what is durable.
    pub(crate) fn open(
        folder: DataFolder,
        config: &NetworkConfig,
        arrivals: Arrivals,
    ) -> Result<(Self, Snapshot), StoreError> {
        let report = move |report| {
            if let Some(input) = as_input(report) {
                // A core that is gone has no use for it.
                let _ = arrivals.send(CoreInput::Input(input));
            }
        };
        let (store, snapshot) = Store::open(folder, config.network_id(), &config.network, report)?;
        Ok((Self { store: Some(store), ..Self::default() }, snapshot))
    }

    /// Remembers a change; what can be answered at once is the result.
    ///
    /// With a disk that is hopelessly behind it waits, and the whole node with it: there is no
    /// other back-pressure on what must not be lost.
    pub(super) fn persist(&mut self, id: ChangeId, change: Change) -> Option<Input> {
        self.given = id;
        match self.store.as_ref().map(|store| store.persist(id, change)) {
            None => Some(Input::Persisted { up_to: id }),
            Some(Ok(())) => None,
            // Usually the report came first; a writer that panicked makes none.
            Some(Err(_)) if self.failed.is_some() => None,
            Some(Err(refused)) => {
                self.failed = Some(refused.why.clone());
                Some(Input::StorageFailed { why: refused.why })
            }
        }
    }

    /// Looks at what the core is about to be told.
    pub(super) fn note(&mut self, input: &Input) {
        match input {
            Input::Persisted { up_to } => self.durable = *up_to,
            Input::StorageFailed { why } => self.failed = Some(why.clone()),
            _ => {}
        }
    }

    pub(super) fn stats(&self) -> StorageStats {
        StorageStats {
            folder: self.store.as_ref().map(|store| store.folder().to_owned()),
            changes: self.given.0,
            durable: self.durable.0,
            failed: self.failed.clone(),
        }
    }

    /// Writes what it was given, and lets go of the folder.
    pub(super) async fn close(self) -> Result<(), StopError> {
        let Some(store) = self.store else { return Ok(()) };
        let closing = tokio::task::spawn_blocking(move || store.close());
        match timeout(STORAGE_FLUSH_TIMEOUT, closing).await {
            Ok(Ok(closed)) => closed.map_err(|error| StopError::Storage(error.to_string())),
            Ok(Err(_)) => Err(StopError::Crashed),
            Err(_) => Err(StopError::TimedOut),
        }
    }
}

fn as_input(report: Report) -> Option<Input> {
    match report {
        Report::Durable { up_to } => Some(Input::Persisted { up_to }),
        Report::Failed { why } => Some(Input::StorageFailed { why }),
        Report::Retrying { .. } => None,
    }
}

//! Where changes go: a disk, or nowhere.

use positron_proto::node::{Change, ChangeId, Input};

use crate::{StopError, stats::StorageStats};

/// The memory of a node.
#[derive(Debug)]
pub(crate) enum Storage {
    /// None: a node without a data folder remembers nothing after its end.
    Nowhere,
}

impl Storage {
    /// Remembers a change; what can be answered at once is the result.
    pub(super) fn persist(&mut self, id: ChangeId, _change: Change) -> Option<Input> {
        match self {
            Self::Nowhere => Some(Input::Persisted { up_to: id }),
        }
    }

    pub(super) fn stats(&self) -> StorageStats {
        match self {
            Self::Nowhere => StorageStats::default(),
        }
    }

    /// Writes what it was given, and closes.
    pub(super) async fn close(self) -> Result<(), StopError> {
        match self {
            Self::Nowhere => Ok(()),
        }
    }
}

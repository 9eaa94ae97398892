//! Values that were found.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use positron_proto::{
    dht::{BadName, FoundRecord, NameHash, Place, ReadFrom, ReadMode, RecordKind},
    id::NodeId,
};
use serde::de::DeserializeOwned;

use crate::{DecodeError, message::decode};

/// What a value is filed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueName<'a> {
    /// A name that everybody may use: what one node published under it, or all.
    Shared(&'a str, Option<NodeId>),
    /// A name that is this node's own.
    Owned(&'a str, NodeId),
    /// The key of what cannot change.
    Immutable(Place),
}

/// What was found under a name, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// The key that was looked for.
    pub key: Place,
    /// Of each publisher the newest, first that of who stands highest in this node's eyes; perhaps
    /// none.
    pub values: Vec<StoredValue>,
    /// Nodes that had any.
    pub holders: usize,
    /// How long it took.
    pub took: Duration,
    /// How many questions it took: none, if this node had it.
    pub asked: usize,
}

/// A value that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredValue {
    /// Who published it: its signature was checked.
    pub publisher: NodeId,
    /// Which of its records under the key it is.
    pub sequence: u64,
    /// When it was published, or renewed last, by its publisher's clock.
    pub created: SystemTime,
    /// How long it lives, if its publisher does not renew it.
    pub ttl: Duration,
    /// How long it is kept from now on, if nobody renews it.
    pub remaining: Duration,
    /// The node that had it; this one, if it did.
    pub from: NodeId,
    /// What it says: MessagePack by convention.
    pub value: Bytes,
}

impl ValueName<'_> {
    /// Where values of this name are.
    ///
    /// # Errors
    /// It cannot be a name.
    pub fn key(&self) -> Result<Place, BadName> {
        Ok(match self {
            // The publisher is no part of the key of what is shared.
            Self::Shared(name, _) => {
                NameHash::of_name(name)?.key(RecordKind::Shared, &NodeId::from_bytes([0; 32]))
            }
            Self::Owned(name, publisher) => {
                NameHash::of_name(name)?.key(RecordKind::Owned, publisher)
            }
            Self::Immutable(key) => *key,
        })
    }

    pub(super) const fn publisher(&self) -> Option<NodeId> {
        match self {
            Self::Shared(_, publisher) => *publisher,
            Self::Owned(_, publisher) => Some(*publisher),
            Self::Immutable(_) => None,
        }
    }

    pub(super) const fn mode(&self) -> ReadMode {
        match self {
            Self::Shared(..) | Self::Owned(..) => ReadMode::Fresh,
            Self::Immutable(_) => ReadMode::First,
        }
    }
}

impl StoredValue {
    /// The value, read as MessagePack.
    ///
    /// # Errors
    /// It is no `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        decode(&self.value)
    }

    /// How long ago it was published or renewed, by both clocks; nothing, if its publisher's is
    /// ahead.
    pub fn age(&self) -> Duration {
        SystemTime::now().duration_since(self.created).unwrap_or_default()
    }
}

impl From<ReadFrom> for Values {
    fn from(read: ReadFrom) -> Self {
        let ReadFrom { key, records, holders, took, asked, .. } = read;
        let values = records.into_iter().map(StoredValue::from).collect();
        Self { key, values, holders, took, asked }
    }
}

impl From<FoundRecord> for StoredValue {
    fn from(found: FoundRecord) -> Self {
        let record = found.record.content();
        Self {
            publisher: record.publisher.node_id(),
            sequence: record.sequence,
            created: SystemTime::UNIX_EPOCH + Duration::from_secs(record.created.into()),
            ttl: record.life(),
            remaining: found.remaining,
            from: found.from,
            value: record.value.clone().unwrap_or_default(),
        }
    }
}

//! The hash table as the application uses it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use positron_proto::{
    dht::{
        BadName, DhtOutcome, DhtRefused, FoundRecord, NameHash, NewRecord, Place, ReadMode,
        RecordKind, StoreOutcome, StoredAt,
    },
    id::NodeId,
    node::{Command, Outcome, Refused, TableOrder},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

use crate::{
    DecodeError,
    driver::{Order, Reply},
    message::{decode, encode},
    orders::Orders,
};

/// Values that are found by their keys, on whichever nodes keep them: those nearest to the key.
///
/// | kind | who may write under a name | |
/// | --- | --- | --- |
/// | *shared* | everybody, each beside the others: a notice board | [`store`](Self::store) |
/// | *owned* | this node alone; read with its id | [`store_owned`](Self::store_owned) |
/// | *immutable* | nobody: the key is a hash of it | [`store_immutable`](Self::store_immutable) |
///
/// What is stored lives for its `ttl`, 60 s to 48 h, and this node renews it for as long as it
/// runs, or until it is deleted. A value has at most 16 KiB.
#[derive(Clone, Debug)]
pub struct HashTable {
    orders: Orders,
    me: NodeId,
}

/// Where a record is kept now. This node keeps it, too, and renews it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// The key under which it is found.
    pub key: Place,
    /// Which of this publisher's records under the key it is: later ones have higher numbers.
    pub sequence: u64,
    /// The nodes besides this one that keep it: nobody, if this node is alone.
    pub holders: Vec<NodeId>,
    /// Who was asked to, and does not.
    pub refused: Vec<(NodeId, StoreOutcome)>,
    /// How many were asked to, and did not answer.
    pub silent: usize,
    /// How long it took.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

/// A value that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredValue {
    /// Who published it: its signature was checked.
    pub publisher: NodeId,
    /// Which of its records under the key it is.
    pub sequence: u64,
    /// When it was published, by its publisher's clock.
    pub created: SystemTime,
    /// How long it is kept from now on, if nobody renews it.
    pub remaining: Duration,
    /// The node that had it; this one, if it did.
    pub from: NodeId,
    /// What it says: MessagePack by convention.
    pub value: Bytes,
}

/// What became of a wish to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// A tombstone took its place on these nodes, and here.
    Deleted(Stored),
    /// This node published nothing there.
    NotFound,
    /// This node published nothing there; these did, and only they can take it back.
    NotYours(Vec<NodeId>),
}

/// What the hash table did not do, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DhtError {
    /// The key cannot be one.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// The value cannot be written as MessagePack.
    #[error("the value cannot be serialized: {0}")]
    Encode(String),
    /// The node does not do it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// What was found is something else than what is wanted.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The node stopped.
    #[error("the node stopped")]
    Stopped,
}

impl From<DhtRefused> for DhtError {
    fn from(refused: DhtRefused) -> Self {
        Self::Refused(refused.into())
    }
}

impl HashTable {
    pub(crate) const fn new(orders: Orders, me: NodeId) -> Self {
        Self { orders, me }
    }

    /// Stores a value under a name that everybody may use; others find it by the name alone. Each
    /// publisher has one value under a name: a second one takes the place of the first.
    ///
    /// # Errors
    /// The name is empty or longer than 1,024 bytes; the value is larger than 16 KiB; the life is
    /// shorter than 60 s or longer than 48 h.
    pub async fn store<T: Serialize + ?Sized>(
        &self,
        name: &str,
        value: &T,
        ttl: Duration,
    ) -> Result<Stored, DhtError> {
        self.publish(RecordKind::Shared, NameHash::of_name(name)?, encoded(value)?, ttl).await
    }

    /// Stores a value under a name of this node's own: nobody else can write there.
    ///
    /// # Errors
    /// Those of [`store`](Self::store).
    pub async fn store_owned<T: Serialize + ?Sized>(
        &self,
        name: &str,
        value: &T,
        ttl: Duration,
    ) -> Result<Stored, DhtError> {
        self.publish(RecordKind::Owned, NameHash::of_name(name)?, encoded(value)?, ttl).await
    }

    /// Stores bytes under their hash. [`retrieve_immutable`](Self::retrieve_immutable) takes the
    /// [`key`](Stored::key) that comes back.
    ///
    /// # Errors
    /// Those of [`store`](Self::store).
    pub async fn store_immutable(
        &self,
        value: impl Into<Bytes>,
        ttl: Duration,
    ) -> Result<Stored, DhtError> {
        let value = value.into();
        self.publish(RecordKind::Immutable, NameHash::of_value(&value), value, ttl).await
    }

    /// The value under a shared name; `None`, if nobody published one that is alive. Of several
    /// publishers that of who stands highest in this node's eyes, of equals the one with the latest
    /// sequence, then that of the smaller hash: [`retrieve_all`](Self::retrieve_all) tells all,
    /// [`retrieve_from`](Self::retrieve_from) that of one.
    ///
    /// # Errors
    /// The name cannot be one, or the value is no `T`.
    pub async fn retrieve<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, DhtError> {
        let all = self.retrieve_all(name).await?;
        Ok(all.into_iter().next().map(|found| found.decode()).transpose()?)
    }

    /// The values of all publishers under a shared name, first the one that
    /// [`retrieve`](Self::retrieve) takes.
    ///
    /// # Errors
    /// The name cannot be one.
    pub async fn retrieve_all(&self, name: &str) -> Result<Vec<StoredValue>, DhtError> {
        let name = NameHash::of_name(name)?;
        self.read(name.key(RecordKind::Shared, &self.me), None, ReadMode::Fresh).await
    }

    /// The value of one publisher under a shared name.
    ///
    /// # Errors
    /// The name cannot be one.
    pub async fn retrieve_from(
        &self,
        publisher: NodeId,
        name: &str,
    ) -> Result<Option<StoredValue>, DhtError> {
        let key = NameHash::of_name(name)?.key(RecordKind::Shared, &publisher);
        Ok(self.read(key, Some(publisher), ReadMode::Fresh).await?.into_iter().next())
    }

    /// What a node published under a name of its own.
    ///
    /// # Errors
    /// The name cannot be one.
    pub async fn retrieve_owned(
        &self,
        publisher: NodeId,
        name: &str,
    ) -> Result<Option<StoredValue>, DhtError> {
        let key = NameHash::of_name(name)?.key(RecordKind::Owned, &publisher);
        Ok(self.read(key, Some(publisher), ReadMode::Fresh).await?.into_iter().next())
    }

    /// The bytes whose key this is.
    ///
    /// # Errors
    /// The node stopped, or has too much to do.
    pub async fn retrieve_immutable(&self, key: Place) -> Result<Option<StoredValue>, DhtError> {
        Ok(self.read(key, None, ReadMode::First).await?.into_iter().next())
    }

    /// Takes back what this node published under a shared name. What others published there stays.
    ///
    /// # Errors
    /// The name cannot be one.
    pub async fn delete(&self, name: &str) -> Result<Deleted, DhtError> {
        self.take_back(RecordKind::Shared, NameHash::of_name(name)?).await
    }

    /// Takes back what this node published under a name of its own.
    ///
    /// # Errors
    /// The name cannot be one.
    pub async fn delete_owned(&self, name: &str) -> Result<Deleted, DhtError> {
        self.take_back(RecordKind::Owned, NameHash::of_name(name)?).await
    }

    async fn publish(
        &self,
        kind: RecordKind,
        name: NameHash,
        value: Bytes,
        ttl: Duration,
    ) -> Result<Stored, DhtError> {
        let order = TableOrder::Store(NewRecord { kind, name, value, ttl });
        match self.carry_out(order).await? {
            DhtOutcome::Stored(stored) => Ok(stored.into()),
            _ => Err(DhtError::Stopped),
        }
    }

    async fn read(
        &self,
        key: Place,
        publisher: Option<NodeId>,
        mode: ReadMode,
    ) -> Result<Vec<StoredValue>, DhtError> {
        match self.carry_out(TableOrder::Read { key, publisher, mode }).await? {
            DhtOutcome::Read(read) => Ok(read.records.into_iter().map(StoredValue::from).collect()),
            _ => Err(DhtError::Stopped),
        }
    }

    async fn take_back(&self, kind: RecordKind, name: NameHash) -> Result<Deleted, DhtError> {
        match self.carry_out(TableOrder::Delete { kind, name }).await? {
            DhtOutcome::Stored(stored) => Ok(Deleted::Deleted(stored.into())),
            DhtOutcome::NothingOfOurs { others } if others.is_empty() => Ok(Deleted::NotFound),
            DhtOutcome::NothingOfOurs { others } => Ok(Deleted::NotYours(others)),
            _ => Err(DhtError::Stopped),
        }
    }

    async fn carry_out(&self, order: TableOrder) -> Result<DhtOutcome, DhtError> {
        let (reply, end) = oneshot::channel::<Reply>();
        let command = Command::Table(order);
        let order = Order::Command { command, reply, permit: None };
        self.orders.send(order).await.map_err(|_| DhtError::Stopped)?;
        match end.await.map_err(|_| DhtError::Stopped)?? {
            Outcome::Table(outcome) => Ok(*outcome),
            _ => Err(DhtError::Stopped),
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
}

impl From<FoundRecord> for StoredValue {
    fn from(found: FoundRecord) -> Self {
        let record = found.record.content();
        Self {
            publisher: record.publisher.node_id(),
            sequence: record.sequence,
            created: SystemTime::UNIX_EPOCH + Duration::from_secs(record.created.into()),
            remaining: found.remaining,
            from: found.from,
            value: record.value.clone().unwrap_or_default(),
        }
    }
}

impl From<StoredAt> for Stored {
    fn from(stored: StoredAt) -> Self {
        let StoredAt { key, sequence, holders, refused, silent, took, .. } = stored;
        Self { key, sequence, holders, refused, silent, took }
    }
}

fn encoded<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, DhtError> {
    encode(value).map_err(|why| DhtError::Encode(why.to_string()))
}

fn seconds<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((time.as_secs_f64() * 1e3).round() / 1e3)
}

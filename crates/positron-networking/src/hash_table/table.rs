//! The hash table as the application uses it.

use std::time::Duration;

use bytes::Bytes;
use positron_proto::{
    dht::{DhtOutcome, NameHash, NewRecord, Place, RecordKind},
    id::NodeId,
    node::{Command, Outcome, TableOrder},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

use super::{
    Deleted, DhtError, DhtStats, FoundNode, NearestNodes, Stored, StoredValue, ValueName, Values,
};
use crate::{
    driver::{Order, Reply},
    message::encode,
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
}

impl HashTable {
    pub(crate) const fn new(orders: Orders) -> Self {
        Self { orders }
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

    /// As [`store`](Self::store), with the value as it is.
    ///
    /// # Errors
    /// Those of [`store`](Self::store).
    pub async fn store_bytes(
        &self,
        name: &str,
        value: impl Into<Bytes>,
        ttl: Duration,
    ) -> Result<Stored, DhtError> {
        self.publish(RecordKind::Shared, NameHash::of_name(name)?, value.into(), ttl).await
    }

    /// As [`store_owned`](Self::store_owned), with the value as it is.
    ///
    /// # Errors
    /// Those of [`store`](Self::store).
    pub async fn store_owned_bytes(
        &self,
        name: &str,
        value: impl Into<Bytes>,
        ttl: Duration,
    ) -> Result<Stored, DhtError> {
        self.publish(RecordKind::Owned, NameHash::of_name(name)?, value.into(), ttl).await
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
        Ok(self.look_up(ValueName::Shared(name, None)).await?.values)
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
        let found = self.look_up(ValueName::Shared(name, Some(publisher))).await?;
        Ok(found.values.into_iter().next())
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
        let found = self.look_up(ValueName::Owned(name, publisher)).await?;
        Ok(found.values.into_iter().next())
    }

    /// The bytes whose key this is.
    ///
    /// # Errors
    /// The node stopped, or has too much to do.
    pub async fn retrieve_immutable(&self, key: Place) -> Result<Option<StoredValue>, DhtError> {
        Ok(self.look_up(ValueName::Immutable(key)).await?.values.into_iter().next())
    }

    /// What is under a name, who had it, how long it took, and how many were asked.
    ///
    /// # Errors
    /// The name cannot be one.
    pub async fn look_up(&self, name: ValueName<'_>) -> Result<Values, DhtError> {
        let (key, publisher, mode) = (name.key()?, name.publisher(), name.mode());
        match self.carry_out(TableOrder::Read { key, publisher, mode }).await? {
            DhtOutcome::Read(read) => Ok(read.into()),
            _ => Err(DhtError::Stopped),
        }
    }

    /// The nodes that are nearest to a place, and how they were found: those keep what is stored
    /// under it, if it is a [key](ValueName::key).
    ///
    /// # Errors
    /// The node stopped, or has too much to do.
    pub async fn nearest(&self, place: Place) -> Result<NearestNodes, DhtError> {
        match self.carry_out(TableOrder::Find(place)).await? {
            DhtOutcome::Nearest(nearest) => Ok(NearestNodes::new(place, &nearest)),
            _ => Err(DhtError::Stopped),
        }
    }

    /// Where a node is, by its id: what it says of itself, as this node knows it or finds it in the
    /// table. `None`, if nobody knows, or what was found cannot be used.
    ///
    /// # Errors
    /// The node stopped, or has too much to do.
    pub async fn find_node(&self, id: NodeId) -> Result<Option<FoundNode>, DhtError> {
        match self.carry_out(TableOrder::FindNode(id)).await? {
            DhtOutcome::Node(sought) => Ok(FoundNode::of(sought)),
            _ => Err(DhtError::Stopped),
        }
    }

    /// What the node tells of the table, as it is now.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// # use positron_networking::{NetworkConfig, Node};
    /// # let node = Node::start(NetworkConfig::loopback()).await.unwrap();
    /// let stats = node.dht().stats().await.unwrap();
    /// println!("{} keys, {} nodes; {}", stats.stored_keys, stats.total_nodes, stats.why);
    /// # });
    /// ```
    ///
    /// # Errors
    /// The node stopped.
    pub async fn stats(&self) -> Result<DhtStats, DhtError> {
        let (reply, told) = oneshot::channel();
        let order = Order::TableStats { reply };
        self.orders.send(order).await.map_err(|_| DhtError::Stopped)?;
        told.await.map_err(|_| DhtError::Stopped)
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

fn encoded<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, DhtError> {
    encode(value).map_err(|why| DhtError::Encode(why.to_string()))
}

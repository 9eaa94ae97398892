//! A node of positron-net, with the configuration that every node has on loopback.

use std::time::Duration;

use positron_networking::{Deleted, NetworkConfig, Node};
use positron_proto::dht::{NameHash, RecordKind};

use super::{
    contender::{Contender, value_of},
    order::Want,
};

/// A node of positron-net. A value that is to be read as the newest is *shared*, under its name;
/// one of which any copy will do is *immutable*, under its hash.
#[derive(Clone)]
pub(crate) struct Positron(Node);

impl Contender for Positron {
    async fn start(known: &[String]) -> Result<Self, String> {
        let config = NetworkConfig { bootstrap_nodes: known.to_vec(), ..NetworkConfig::loopback() };
        Ok(Self(Node::start(config).await.map_err(|error| error.to_string())?))
    }

    fn address(&self) -> String {
        self.0.listen_addresses()[0].to_string()
    }

    async fn put(&self, want: Want, name: &str, value: &str) -> Result<(), String> {
        let table = self.0.dht();
        let stored = match want {
            Want::Newest => table.store(name, value, TTL).await,
            Want::First => table.store_immutable(value.to_owned(), TTL).await,
        };
        let stored = stored.map_err(|error| error.to_string())?;
        if stored.holders.is_empty() { Err(format!("nobody keeps it: {stored:?}")) } else { Ok(()) }
    }

    async fn get(&self, want: Want, name: &str) -> Result<Option<String>, String> {
        let table = self.0.dht();
        let read = match want {
            Want::Newest => table.retrieve(name).await,
            Want::First => {
                let hash = NameHash::of_value(value_of(name).as_bytes());
                let key = hash.key(RecordKind::Immutable, &self.0.id());
                let found = table.retrieve_immutable(key).await;
                found.map(|found| found.map(|found| String::from_utf8_lossy(&found.value).into()))
            }
        };
        read.map_err(|error| error.to_string())
    }

    async fn delete(&self, name: &str) -> Result<(), String> {
        match self.0.dht_delete(name).await.map_err(|error| error.to_string())? {
            Deleted::Deleted(_) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }

    async fn requests(&self) -> u64 {
        // A node that stopped asks nothing any more.
        self.0.dht().stats().await.map(|stats| stats.questions).unwrap_or_default()
    }
}

/// How long a value is kept: longer than a run.
const TTL: Duration = Duration::from_secs(3600);

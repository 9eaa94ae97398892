//! Peers that nobody ever saw, in the address book of a node.

use std::{error::Error, path::Path};

use positron_networking::{NetworkConfig, Node};
use positron_proto::{
    id::NetworkId,
    identity::Identity,
    node::ChangeId,
    peers::{KnownPeer, change::keep},
    rng::Seed,
    time::{Duration, WallTime},
    wire::address::Address,
};
use positron_store::{DataFolder, Store};

use crate::attack::invented;

/// Writes so many of them to the database of a node that ran once.
pub(crate) async fn fill_book(folder: &Path, count: u16) -> Result<(), Box<dyn Error>> {
    let config = NetworkConfig { data_dir: Some(folder.into()), ..NetworkConfig::loopback() };
    Node::start(config).await?.shutdown().await?;
    let network = NetworkId::from_name(NetworkId::DEFAULT);
    let folder = DataFolder::lock(folder)?;
    let (store, _) = Store::open(folder, network, NetworkId::DEFAULT, |_| {})?;
    let mut dice = Seed::from_number(1).stream("crowd");
    for nth in 0..count {
        let record = invented(&Identity::from_seed(dice.bytes()), nth, &network);
        let dialled = record.content().addresses.first().and_then(Address::socket_addr);
        let last_seen = WallTime::from_unix_micros(u64::from(nth) + 1);
        let chosen_for = Duration::ZERO;
        let known = KnownPeer { record, dialled, proven: None, last_seen, failures: 0, chosen_for };
        store.persist(ChangeId(u64::from(nth) + 1), keep(&known)).map_err(|_| "storage failed")?;
    }
    Ok(store.close()?)
}

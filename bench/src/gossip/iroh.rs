//! A node of iroh that gossips, with its iroh-gossip as it comes.

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::StreamExt as _;
use iroh::{
    Endpoint, EndpointAddr, PublicKey, RelayMode, SecretKey, Signature,
    address_lookup::memory::MemoryLookup, endpoint::presets::Minimal, protocol::Router,
};
use iroh_gossip::{
    ALPN, Gossip, TopicId,
    api::{Event, GossipReceiver, GossipSender},
};
use tokio::time::sleep;

use super::{
    node::{Counts, GossipNode},
    tally::Ear,
};

/// A node of iroh: QUIC on loopback, without relays, and with no addresses of others but those that
/// it is given and those that its gossip tells it; iroh-gossip with its defaults, but for larger
/// messages. It signs nothing, so the application does: it signs what it publishes with the key of
/// its endpoint, and verifies what it hears.
pub(crate) struct IrohNode {
    router: Router,
    gossip: Gossip,
    sender: GossipSender,
    address: EndpointAddr,
    peers: Arc<AtomicUsize>,
}

impl GossipNode for IrohNode {
    type Address = EndpointAddr;

    async fn start(known: &[EndpointAddr], _: Option<PathBuf>, ear: Ear) -> Result<Self, String> {
        let lookup = MemoryLookup::from_endpoint_info(known.iter().cloned());
        let endpoint = Endpoint::builder(Minimal)
            .relay_mode(RelayMode::Disabled)
            .address_lookup(lookup)
            .clear_ip_transports()
            .bind_addr((Ipv4Addr::LOCALHOST, 0))
            .map_err(|error| error.to_string())?;
        let endpoint = endpoint.bind().await.map_err(|error| error.to_string())?;
        let here = *endpoint.bound_sockets().first().ok_or("it listens nowhere")?;
        let address = EndpointAddr::new(endpoint.id()).with_ip_addr(here);
        let gossip = Gossip::builder().max_message_size(LARGEST).spawn(endpoint.clone());
        let router = Router::builder(endpoint).accept(ALPN, gossip.clone()).spawn();
        let others: Vec<_> = known.iter().map(|other| other.id).collect();
        let topic =
            gossip.subscribe(TOPIC, others.clone()).await.map_err(|error| error.to_string())?;
        let (sender, receiver) = topic.split();
        let peers = Arc::<AtomicUsize>::default();
        tokio::spawn(listen(receiver, ear, peers.clone()));
        tokio::spawn(stay(sender.clone(), others, peers.clone()));
        Ok(Self { router, gossip, sender, address, peers })
    }

    fn address(&self) -> EndpointAddr {
        self.address.clone()
    }

    async fn publish(&self, payload: Bytes) -> Result<(), String> {
        let signed = signed(self.router.endpoint().secret_key(), &payload);
        self.sender.broadcast(signed).await.map_err(|error| error.to_string())
    }

    async fn counts(&self) -> Counts {
        let copies = self.gossip.metrics().msgs_data_recv.get();
        Counts { copies, peers: self.peers.load(Ordering::Relaxed) }
    }
}

async fn listen(mut receiver: GossipReceiver, ear: Ear, peers: Arc<AtomicUsize>) {
    while let Some(Ok(event)) = receiver.next().await {
        match event {
            Event::Received(message) => {
                if let Some(payload) = verified(&message.content) {
                    ear.hear(payload);
                }
            }
            Event::NeighborUp(_) | Event::NeighborDown(_) => {
                peers.store(receiver.neighbors().count(), Ordering::Relaxed);
            }
            // What it dropped before it was handed over is missing in the tally.
            Event::Lagged => {}
        }
    }
}

/// Joins again by those who are known, when nobody is left: it has no way back of its own.
async fn stay(sender: GossipSender, known: Vec<PublicKey>, peers: Arc<AtomicUsize>) {
    let mut joined = Ok(());
    while joined.is_ok() && !known.is_empty() {
        sleep(LONELY).await;
        if peers.load(Ordering::Relaxed) == 0 {
            joined = sender.join_peers(known.clone()).await;
        }
    }
}

/// The payload, and behind it who says it and the signature.
fn signed(key: &SecretKey, payload: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(payload.len() + PROOF);
    message.put_slice(payload);
    message.put_slice(key.public().as_bytes());
    message.put_slice(&key.sign(payload).to_bytes());
    message.freeze()
}

/// The payload, if it is signed by who says it.
fn verified(message: &[u8]) -> Option<&[u8]> {
    let (rest, signature) = message.split_last_chunk::<{ Signature::LENGTH }>()?;
    let (payload, key) = rest.split_last_chunk::<{ PublicKey::LENGTH }>()?;
    let key = PublicKey::from_bytes(key).ok()?;
    key.verify(payload, &Signature::from_bytes(signature)).ok()?;
    Some(payload)
}

/// Bytes that who says it and the signature take.
const PROOF: usize = PublicKey::LENGTH + Signature::LENGTH;
/// The largest message, with what is around it; that of gossipsub by default, 4 KiB here by
/// default.
const LARGEST: usize = 65_536;
/// How long a node may have no peers before it joins again.
const LONELY: Duration = Duration::from_secs(5);
const TOPIC: TopicId = TopicId::from_bytes([0xBE; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_signed_with_96_bytes_and_another_is_not_taken_for_it() {
        let key = SecretKey::from_bytes(&[7; 32]);
        let message = signed(&key, b"hello");
        assert_eq!(message.len(), 5 + 96);
        assert_eq!(verified(&message), Some(&b"hello"[..]));
        for at in 0..message.len() {
            let mut other = message.to_vec();
            other[at] ^= 1;
            assert_eq!(verified(&other), None, "{at}");
        }
        assert_eq!(verified(&message[..95]), None);
    }
}

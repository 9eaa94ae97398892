//! A node of libp2p that gossips, with its gossipsub as it comes.

use std::{error::Error, path::PathBuf, time::Duration};

use bytes::Bytes;
use futures::StreamExt as _;
use libp2p::{
    Multiaddr, Swarm, SwarmBuilder,
    gossipsub::{
        Behaviour, ConfigBuilder, Event, IdentTopic, MessageAuthenticity, MetricsConfig,
        ValidationMode,
    },
    metrics::Registry,
    noise,
    swarm::SwarmEvent,
    tcp, yamux,
};
use prometheus_client::encoding::text::encode;
use tokio::sync::{mpsc, oneshot};

use super::{
    node::{Counts, GossipNode},
    tally::Ear,
};

/// A node of libp2p: TCP, Noise, yamux, and gossipsub with its defaults (a mesh of 6, a heartbeat a
/// second), where each message is signed and each signature verified.
pub(crate) struct GossipsubNode {
    orders: mpsc::Sender<Ask>,
    address: Multiaddr,
}

/// What is wanted of the task that has the swarm.
enum Ask {
    Publish(Bytes, oneshot::Sender<Result<(), String>>),
    Count(oneshot::Sender<Counts>),
}

/// The one owner of a swarm.
struct Gossiping {
    swarm: Swarm<Behaviour>,
    topic: IdentTopic,
    registry: Registry,
    ear: Ear,
}

impl GossipNode for GossipsubNode {
    type Address = Multiaddr;

    async fn start(known: &[Multiaddr], _: Option<PathBuf>, ear: Ear) -> Result<Self, String> {
        let (mut swarm, registry) = new_swarm().map_err(|error| error.to_string())?;
        let topic = IdentTopic::new("bench");
        swarm.behaviour_mut().subscribe(&topic).map_err(|error| error.to_string())?;
        let here = "/ip4/127.0.0.1/tcp/0".parse().expect("a fixed address");
        swarm.listen_on(here).map_err(|error| error.to_string())?;
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        for other in known {
            swarm.dial(other.clone()).map_err(|error| error.to_string())?;
        }
        let (orders, asked) = mpsc::channel(1024);
        tokio::spawn(Gossiping { swarm, topic, registry, ear }.run(asked));
        Ok(Self { orders, address })
    }

    fn address(&self) -> Multiaddr {
        self.address.clone()
    }

    async fn publish(&self, payload: Bytes) -> Result<(), String> {
        let (reply, done) = oneshot::channel();
        self.orders.send(Ask::Publish(payload, reply)).await.map_err(|_| STOPPED)?;
        done.await.map_err(|_| STOPPED)?
    }

    async fn counts(&self) -> Counts {
        let (reply, counted) = oneshot::channel();
        // A node that stopped counts nothing any more.
        let _ = self.orders.send(Ask::Count(reply)).await;
        counted.await.unwrap_or_default()
    }
}

impl Gossiping {
    async fn run(mut self, mut asked: mpsc::Receiver<Ask>) {
        loop {
            tokio::select! {
                ask = asked.recv() => match ask {
                    Some(ask) => self.answer(ask),
                    None => return,
                },
                event = self.swarm.select_next_some() => {
                    if let SwarmEvent::Behaviour(Event::Message { message, .. }) = event {
                        self.ear.hear(&message.data);
                    }
                }
            }
        }
    }

    /// Whoever does not wait for an answer any more has none.
    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Publish(payload, reply) => {
                let gossip = self.swarm.behaviour_mut();
                let published = gossip.publish(self.topic.clone(), payload);
                _ = reply.send(published.map(|_| ()).map_err(|error| error.to_string()));
            }
            Ask::Count(reply) => {
                let mut text = String::new();
                let copies = encode(&mut text, &self.registry).map_or(0, |()| copies(&text));
                let peers = self.swarm.network_info().num_peers();
                _ = reply.send(Counts { copies, peers });
            }
        }
    }
}

fn new_swarm() -> Result<(Swarm<Behaviour>, Registry), Box<dyn Error>> {
    let mut registry = Registry::default();
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|key| {
            let config =
                ConfigBuilder::default().validation_mode(ValidationMode::Strict).build()?;
            let gossip = Behaviour::new(MessageAuthenticity::Signed(key.clone()), config)?;
            Ok(gossip.with_metrics(&mut registry, MetricsConfig::default()))
        })?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
        .build();
    Ok((swarm, registry))
}

/// Messages that came in, each as often as it came, of all topics: they are read from the text of
/// the metrics, a line for each.
fn copies(metrics: &str) -> u64 {
    let counted = metrics.lines().filter(|line| line.starts_with(COPIES));
    counted.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// The name of that metric, up to its labels.
const COPIES: &str = "topic_msg_recv_counts_unfiltered_total{";
/// How long a connection stays that nobody uses: longer than a run, so that none is made twice.
const IDLE: Duration = Duration::from_secs(3600);
const STOPPED: &str = "the node stopped";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_all_topics_are_counted_and_bytes_are_not() {
        let text = "# TYPE topic_msg_recv_counts_unfiltered counter\n\
                    topic_msg_recv_counts_unfiltered_total{hash=\"a b\"} 41\n\
                    topic_msg_recv_counts_unfiltered_total{hash=\"c\"} 1\n\
                    topic_msg_recv_counts_total{hash=\"c\"} 7\n\
                    topic_msg_recv_bytes_unfiltered_total{hash=\"c\"} 4096\n# EOF\n";
        assert_eq!(copies(text), 42);
        assert_eq!(copies(""), 0);
    }
}

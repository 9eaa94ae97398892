//! A node of libp2p, with its Kademlia as it comes.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::StreamExt as _;
use libp2p::{
    Multiaddr, Swarm, SwarmBuilder, identify,
    kad::{
        self, GetRecordOk, Mode, QueryId, QueryResult, Quorum, Record, RecordKey,
        store::MemoryStore,
    },
    multiaddr::Protocol,
    noise,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use tokio::sync::{mpsc, oneshot};

use super::{contender::Contender, order::Want};

/// A node of libp2p: TCP, Noise, yamux, Kademlia in server mode with its defaults (k = 20,
/// alpha = 3, 20 replicas), and identify, which tells it the addresses of others.
#[derive(Clone)]
pub(crate) struct Libp2p {
    orders: mpsc::Sender<Wish>,
    address: Multiaddr,
    requests: Arc<AtomicU64>,
}

/// What is wanted of the task that has the swarm.
enum Wish {
    Put(Record, oneshot::Sender<Result<(), String>>),
    Get(RecordKey, Want, oneshot::Sender<Result<Option<String>, String>>),
}

/// A query under way.
enum Query {
    Put(oneshot::Sender<Result<(), String>>),
    Get { want: Want, found: Option<String>, reply: Option<oneshot::Sender<Read>> },
}

type Read = Result<Option<String>, String>;

#[derive(NetworkBehaviour)]
struct Behaviour {
    kad: kad::Behaviour<MemoryStore>,
    identify: identify::Behaviour,
}

/// The one owner of a swarm.
struct Task {
    swarm: Swarm<Behaviour>,
    queries: HashMap<QueryId, Query>,
    requests: Arc<AtomicU64>,
}

impl Contender for Libp2p {
    async fn start(known: &[String]) -> Result<Self, String> {
        let mut swarm = new_swarm().map_err(|error| error.to_string())?;
        let here = "/ip4/127.0.0.1/tcp/0".parse().expect("a fixed address");
        swarm.listen_on(here).map_err(|error| error.to_string())?;
        let listens = loop {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let address = listens.with(Protocol::P2p(*swarm.local_peer_id()));
        let kad = &mut swarm.behaviour_mut().kad;
        for text in known {
            let mut at: Multiaddr = text.parse().map_err(|error| format!("{text}: {error}"))?;
            if let Some(Protocol::P2p(peer)) = at.pop() {
                kad.add_address(&peer, at);
            }
        }
        if !known.is_empty() {
            kad.bootstrap().map_err(|error| error.to_string())?;
        }
        let (orders, wishes) = mpsc::channel(1024);
        let requests = Arc::<AtomicU64>::default();
        let task = Task { swarm, queries: HashMap::new(), requests: requests.clone() };
        tokio::spawn(task.run(wishes));
        Ok(Self { orders, address, requests })
    }

    fn address(&self) -> String {
        self.address.to_string()
    }

    async fn put(&self, _: Want, name: &str, value: &str) -> Result<(), String> {
        let (reply, done) = oneshot::channel();
        let record = Record::new(name.as_bytes().to_vec(), value.as_bytes().to_vec());
        self.orders.send(Wish::Put(record, reply)).await.map_err(|_| STOPPED)?;
        done.await.map_err(|_| STOPPED)?
    }

    async fn get(&self, want: Want, name: &str) -> Result<Option<String>, String> {
        let (reply, done) = oneshot::channel();
        let wish = Wish::Get(RecordKey::new(&name), want, reply);
        self.orders.send(wish).await.map_err(|_| STOPPED)?;
        done.await.map_err(|_| STOPPED)?
    }

    async fn delete(&self, _: &str) -> Result<(), String> {
        Err("libp2p has no delete: copies of others stay until they end".into())
    }

    async fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Task {
    async fn run(mut self, mut wishes: mpsc::Receiver<Wish>) {
        loop {
            tokio::select! {
                wish = wishes.recv() => match wish {
                    Some(wish) => self.begin(wish),
                    None => return,
                },
                event = self.swarm.select_next_some() => self.handle_event(event),
            }
        }
    }

    fn begin(&mut self, wish: Wish) {
        let kad = &mut self.swarm.behaviour_mut().kad;
        match wish {
            Wish::Put(record, reply) => match kad.put_record(record, Quorum::Majority) {
                Ok(id) => _ = self.queries.insert(id, Query::Put(reply)),
                Err(error) => _ = reply.send(Err(error.to_string())),
            },
            Wish::Get(key, want, reply) => {
                let query = Query::Get { want, found: None, reply: Some(reply) };
                self.queries.insert(kad.get_record(key), query);
            }
        }
    }

    fn handle_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                peer_id,
                info,
                ..
            })) => {
                for address in info.listen_addrs {
                    self.swarm.behaviour_mut().kad.add_address(&peer_id, address);
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed {
                id,
                result,
                stats,
                step,
            })) => {
                if step.last && self.queries.contains_key(&id) {
                    self.requests.fetch_add(stats.num_requests().into(), Ordering::Relaxed);
                }
                self.handle_progress(id, result, step.last);
            }
            _ => {}
        }
    }

    fn handle_progress(&mut self, id: QueryId, result: QueryResult, is_last: bool) {
        match (self.queries.remove(&id), result) {
            (Some(Query::Put(reply)), QueryResult::PutRecord(result)) => {
                _ = reply.send(result.map(|_| ()).map_err(|error| error.to_string()));
            }
            (Some(Query::Get { want, mut found, mut reply }), QueryResult::GetRecord(result)) => {
                if let Ok(GetRecordOk::FoundRecord(record)) = result {
                    found = String::from_utf8(record.record.value).ok();
                }
                let is_enough = want == Want::First && found.is_some();
                if (is_last || is_enough)
                    && let Some(reply) = reply.take()
                {
                    _ = reply.send(Ok(found.clone()));
                }
                if !is_last {
                    if is_enough
                        && let Some(mut query) = self.swarm.behaviour_mut().kad.query_mut(&id)
                    {
                        query.finish();
                    }
                    self.queries.insert(id, Query::Get { want, found, reply });
                }
            }
            _ => {}
        }
    }
}

fn new_swarm() -> Result<Swarm<Behaviour>, Box<dyn std::error::Error>> {
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|key| {
            let me = key.public().to_peer_id();
            let identify = identify::Config::new("/bench/1".into(), key.public());
            let mut kad = kad::Behaviour::new(me, MemoryStore::new(me));
            kad.set_mode(Some(Mode::Server));
            Behaviour { kad, identify: identify::Behaviour::new(identify) }
        })?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE))
        .build();
    Ok(swarm)
}

/// How long a connection stays that nobody uses: longer than a run, so that none is made twice.
const IDLE: Duration = Duration::from_secs(3600);
const STOPPED: &str = "the node stopped";

//! A simulated network, or a recording of one, behind the page: the truth about all nodes, and what
//! may be done to them.

use std::{fmt::Debug, net::SocketAddr, sync::Arc, time::SystemTime};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    middleware,
    response::IntoResponse,
};
use positron_networking::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use utoipa::ToSchema;

use crate::{
    door::{Door, NotLoopback},
    gate,
    moment::rfc3339,
    offers::{Offers, Serves},
    reel::Reel,
    refusal::Refusal,
    routes::{health, told::Told},
    server::{ServerError, serve_bearers},
    token::Token,
};

/// Who is up and who is linked, now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkPicture {
    /// Every node, and whether its process runs.
    pub nodes: Vec<(NodeId, bool)>,
    /// Pairs of nodes that hold a session with each other.
    pub links: Vec<NetworkLink>,
}

/// Two nodes that hold a session with each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetworkLink {
    /// One, by its place in the picture.
    pub a: usize,
    /// The other.
    pub b: usize,
    /// Smoothed round trip time in milliseconds, where it is known.
    pub rtt_ms: Option<f64>,
}

/// A kind of [`NetworkAction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// It can be parted.
    Partition,
    /// What was done between nodes can be undone.
    Heal,
    /// Nodes can be ended.
    Kill,
    /// Nodes can be started again.
    Start,
    /// Everything between nodes can be late.
    Slow,
}

impl Ability {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Partition, Self::Heal, Self::Kill, Self::Start, Self::Slow];
}

/// What is done to a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NetworkAction {
    /// A part of all nodes cannot reach the others.
    Partition {
        /// Which part: above 0 and below 1.
        part: f64,
    },
    /// Everything between nodes is as it was at the beginning.
    Heal,
    /// A node ends: its process dies, or is shut down where it shares it with others.
    Kill {
        /// Which node.
        node: usize,
    },
    /// A node that ended starts again.
    Start {
        /// Which node.
        node: usize,
    },
    /// Everything between nodes is late.
    Slow {
        /// By up to so many milliseconds.
        ms: u64,
    },
}

/// A network that is simulated.
pub trait SimulatedNetwork: Debug + Send + Sync {
    /// What there is now.
    fn picture(&self) -> NetworkPicture;

    /// What can be done to it: the page offers nothing else.
    fn abilities(&self) -> &'static [Ability];

    /// Does something to it, soon.
    ///
    /// # Errors
    /// It cannot be done to this one, in words.
    fn act(&self, action: NetworkAction) -> Result<(), String>;
}

/// The page over a simulated network, on this machine alone, until it is dropped.
#[derive(Debug)]
pub struct NetworkServer {
    address: SocketAddr,
    token: Token,
    task: JoinHandle<()>,
}

impl NetworkServer {
    /// Listens at `address`, which must be one of loopback; port 0 is a free one. Within a tokio
    /// runtime. The token is another one each time.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn listen(
        address: SocketAddr,
        network: Arc<dyn SimulatedNetwork>,
        reel: Reel,
    ) -> Result<Self, ServerError> {
        if !address.ip().is_loopback() {
            return Err(ServerError::NotLoopback(NotLoopback(address)));
        }
        let token = Token::random().map_err(ServerError::Token)?;
        let unbound = |error| ServerError::Bind(address, error);
        let listener = TcpListener::bind(address).await.map_err(unbound)?;
        let address = listener.local_addr().map_err(unbound)?;
        let told_by = "the command that shows this network printed the address with the token";
        let door = Door::Bearer { token: Arc::new(token.clone()), address, told_by };
        let router =
            router(Shown { network, reel }).layer(middleware::from_fn_with_state(door, gate::pass));
        let task = tokio::spawn(serve_bearers(listener, router));
        Ok(Self { address, token, task })
    }

    /// What a browser is to open. The token is behind a `#`, so that it is sent to nobody.
    pub fn page(&self) -> String {
        format!("http://{}/#token={}", self.address, self.token.reveal())
    }
}

impl Drop for NetworkServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the routes answer from.
#[derive(Clone, Debug)]
struct Shown {
    network: Arc<dyn SimulatedNetwork>,
    reel: Reel,
}

fn router(shown: Shown) -> Router {
    let is_over = shown.reel.is_over();
    let offers = Offers::of(if is_over { Serves::Recording } else { Serves::Network })
        .get("/livez", health::livez)
        .get("/v1/topology", topology)
        .get("/v1/recording", recording);
    if is_over {
        return offers.into_router(shown);
    }
    offers
        .post("/v1/actions/partition", partition)
        .post("/v1/actions/heal", heal)
        .post("/v1/actions/kill", kill)
        .post("/v1/actions/start", start)
        .post("/v1/actions/slow", slow)
        .into_router(shown)
}

async fn topology(State(shown): State<Shown>) -> Json<Value> {
    let NetworkPicture { nodes, links } = shown.network.picture();
    let name = |place: &usize| nodes.get(*place).map(|(id, _)| id);
    let edges = links.iter().map(|NetworkLink { a, b, rtt_ms }| {
        let mut edge = json!({ "a": name(a), "b": name(b), "heard": false });
        if let Some(rtt_ms) = rtt_ms {
            edge["rtt_ms"] = json!(rtt_ms);
        }
        edge
    });
    let edges: Vec<Value> = edges.collect();
    let told = nodes.iter().map(|(id, up)| json!({ "id": id, "me": false, "up": up }));
    Json(json!({
        "truth": true,
        "at": rfc3339(SystemTime::now()),
        "nodes": told.collect::<Vec<_>>(),
        "edges": edges,
        "actions": shown.network.abilities(),
    }))
}

async fn recording(State(shown): State<Shown>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/x-ndjson")], shown.reel.body())
}

/// It will be done.
#[derive(Debug, Serialize)]
struct Done {
    done: &'static str,
}

/// Nothing else is to be said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoBody {}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PartBody {
    part: f64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NodeBody {
    node: usize,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SlowBody {
    ms: u64,
}

/// Milliseconds that everything may be late: beyond it nodes take each other for dead anyway.
const MAX_SLOW_MS: u64 = 10_000;

async fn partition(
    State(shown): State<Shown>,
    Told(PartBody { part }): Told<PartBody>,
) -> Result<Json<Done>, Refusal> {
    if !(part > 0.0 && part < 1.0) {
        return Err(Refusal::bad(
            "bad_part",
            format!("`part` is {part}; it is above 0 and below 1"),
        ));
    }
    shown.act("partitioned", NetworkAction::Partition { part })
}

async fn heal(
    State(shown): State<Shown>,
    Told(NoBody {}): Told<NoBody>,
) -> Result<Json<Done>, Refusal> {
    shown.act("healed", NetworkAction::Heal)
}

async fn kill(
    State(shown): State<Shown>,
    Told(NodeBody { node }): Told<NodeBody>,
) -> Result<Json<Done>, Refusal> {
    shown.at(node, "killed", NetworkAction::Kill { node })
}

async fn start(
    State(shown): State<Shown>,
    Told(NodeBody { node }): Told<NodeBody>,
) -> Result<Json<Done>, Refusal> {
    shown.at(node, "started", NetworkAction::Start { node })
}

async fn slow(
    State(shown): State<Shown>,
    Told(SlowBody { ms }): Told<SlowBody>,
) -> Result<Json<Done>, Refusal> {
    if ms > MAX_SLOW_MS {
        let sentence = format!("`ms` is {ms}; it is {MAX_SLOW_MS} at most");
        return Err(Refusal::bad("too_slow", sentence));
    }
    shown.act("slowed", NetworkAction::Slow { ms })
}

impl Shown {
    fn act(&self, done: &'static str, action: NetworkAction) -> Result<Json<Done>, Refusal> {
        let refused = |why| Refusal::new(StatusCode::CONFLICT, "not_possible", why);
        self.network.act(action).map_err(refused)?;
        Ok(Json(Done { done }))
    }

    fn at(
        &self,
        node: usize,
        done: &'static str,
        action: NetworkAction,
    ) -> Result<Json<Done>, Refusal> {
        let nodes = self.network.picture().nodes.len();
        if node >= nodes {
            let sentence = format!("`node` is {node}; there are {nodes}, counted from 0");
            return Err(Refusal::unknown("unknown_node", sentence));
        }
        self.act(done, action)
    }
}

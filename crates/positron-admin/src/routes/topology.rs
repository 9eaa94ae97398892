//! The network, as far as this node knows it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::SystemTime,
};

use axum::{Json, extract::State};
use positron_networking::{Direction, LinkTransport, NodeId, Stats, stats::KnownNode};
use serde::Serialize;
use utoipa::ToSchema;

use super::peers::{MadeOf, WhoDialled};
use crate::{app::App, moment::rfc3339, refusal::ErrorAnswer};

/// The network as this node knows it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TopologyAnswer {
    /// Whether this is all there is: only who made up the network can say that.
    truth: bool,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Who.
    nodes: Vec<TopologyNode>,
    /// Who with whom.
    edges: Vec<TopologyEdge>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TopologyNode {
    /// Who.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    id: NodeId,
    /// Whether it is this one.
    me: bool,
    /// Whether this node has a link to it.
    linked: bool,
    /// Where, as far as is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    address: Option<SocketAddr>,
    /// What this node makes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64, required = false)]
    trust: Option<f64>,
    /// What it runs, as it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    software: Option<String>,
}

/// Two nodes that have to do with each other.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TopologyEdge {
    /// One.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    a: NodeId,
    /// The other.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    b: NodeId,
    /// Whether it is hearsay: `a` said that it knows `b`. Otherwise it is a link of this node.
    heard: bool,
    /// What the link is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = MadeOf, required = false)]
    transport: Option<LinkTransport>,
    /// Who dialled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = WhoDialled, required = false)]
    direction: Option<Direction>,
    /// Smoothed round trip time in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64, required = false)]
    rtt_ms: Option<f64>,
}

/// The network as this node knows it: its own links, and what it heard.
#[utoipa::path(
    get, path = "/v1/topology", tag = "peers",
    responses(
        (status = 200, description = "Nodes and edges.", body = TopologyAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
    )
)]
pub(crate) async fn topology(State(app): State<App>) -> Json<TopologyAnswer> {
    let known = app.node.known_nodes().await;
    Json(picture(&app.node.stats(), &known))
}

/// This node, its peers, and whom it heard of; what peers say is kept apart from what it sees.
fn picture(stats: &Stats, known: &[KnownNode]) -> TopologyAnswer {
    let of_book: BTreeMap<NodeId, &KnownNode> =
        known.iter().map(|node| (node.node_id, node)).collect();
    let linked: BTreeSet<NodeId> = stats.peers.iter().map(|peer| peer.node_id).collect();
    let me = TopologyNode {
        id: stats.node_id,
        me: true,
        linked: false,
        address: stats.external_addresses.first().or(stats.listen.first()).copied(),
        trust: None,
        software: Some(stats.software.clone()),
    };
    let software = |id: &NodeId| {
        let told = of_book.get(id).map(|node| node.software.clone());
        told.filter(|told| !told.is_empty())
    };
    let peers = stats.peers.iter().map(|peer| TopologyNode {
        id: peer.node_id,
        me: false,
        linked: true,
        address: peer.address,
        trust: Some(peer.trust_score),
        software: software(&peer.node_id),
    });
    let others = known.iter().filter(|node| !linked.contains(&node.node_id));
    let others = others.map(|node| TopologyNode {
        id: node.node_id,
        me: false,
        linked: false,
        address: node.address,
        trust: None,
        software: software(&node.node_id),
    });
    let links = stats.peers.iter().map(|peer| TopologyEdge {
        a: stats.node_id,
        b: peer.node_id,
        heard: false,
        transport: Some(peer.transport),
        direction: Some(peer.direction),
        rtt_ms: peer.rtt_ms,
    });
    // Who told of somebody and is forgotten since is no node of this picture.
    let is_shown = |id: &NodeId| linked.contains(id) || of_book.contains_key(id);
    let heard = known.iter().flat_map(|node| {
        let tellers = node.told_by.iter().copied().filter(is_shown);
        tellers.map(|teller| TopologyEdge {
            a: teller,
            b: node.node_id,
            heard: true,
            transport: None,
            direction: None,
            rtt_ms: None,
        })
    });
    TopologyAnswer {
        truth: false,
        at: rfc3339(SystemTime::now()),
        nodes: std::iter::once(me).chain(peers).chain(others).collect(),
        edges: links.chain(heard).collect(),
    }
}

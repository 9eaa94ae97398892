//! With whom the node is connected.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use positron_networking::{NodeId, stats::PeerStats};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    refusal::{ErrorAnswer, Refusal},
};

/// The peers that are connected.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct PeersAnswer {
    /// In order of their ids.
    #[schema(value_type = Vec<PeerShape>)]
    peers: Vec<PeerStats>,
}

/// One connected peer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `PeerStats` writes")]
#[schema(example = json!({
    "node_id": "0707070707070707070707070707070707070707070707070707070707070707",
    "address": "192.0.2.1:8888", "direction": "outbound", "transport": "udp",
    "trust_score": 0.5, "connected_s": 12.5, "rtt_ms": 20.3, "queued_bytes": 0
}))]
pub(crate) struct PeerShape {
    /// Who: 64 hexadecimal characters.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    node_id: String,
    /// Where.
    address: String,
    /// Who dialled: `outbound` is this node.
    direction: WhoDialled,
    /// What its link is made of.
    transport: MadeOf,
    /// What this node makes of it.
    trust_score: f64,
    /// Seconds since it joined.
    connected_s: f64,
    /// Smoothed round trip time in milliseconds, once it is known.
    rtt_ms: Option<f64>,
    /// Bytes that wait for it.
    queued_bytes: u64,
}

/// Who dialled.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes what `Direction` writes")]
pub(crate) enum WhoDialled {
    /// The peer.
    Inbound,
    /// This node.
    Outbound,
}

/// What a link is made of.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it describes what `LinkTransport` writes")]
pub(crate) enum MadeOf {
    /// Datagrams.
    Udp,
    /// A byte stream.
    Tcp,
}

/// With whom the node is connected.
#[utoipa::path(
    get, path = "/v1/peers", tag = "peers",
    responses(
        (status = 200, description = "Who is connected.", body = PeersAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
    )
)]
pub(crate) async fn peers(State(app): State<App>) -> Json<PeersAnswer> {
    Json(PeersAnswer { peers: app.node.stats().peers })
}

/// One peer.
#[utoipa::path(
    get, path = "/v1/peers/{id}", tag = "peers",
    params(("id" = String, Path, description = "Its id", pattern = "^[0-9a-f]{64}$")),
    responses(
        (status = 200, description = "It is connected.", body = PeerShape),
        (status = 400, description = "That is no id.", body = ErrorAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
        (status = 404, description = "It is not connected.", body = ErrorAnswer),
    )
)]
pub(crate) async fn peer(
    State(app): State<App>,
    id: Result<Path<NodeId>, PathRejection>,
) -> Result<Json<PeerStats>, Refusal> {
    let Path(id) =
        id.map_err(|_| Refusal::bad("bad_id", "the id of a node has 64 hexadecimal characters"))?;
    let peers = app.node.stats().peers;
    let peer = peers.into_iter().find(|peer| peer.node_id == id);
    peer.map(Json).ok_or_else(|| {
        Refusal::unknown("not_connected", format!("node {} is not connected", id.short()))
            .try_this("GET /v1/peers lists who is")
    })
}

//! How long a round trip takes.

use std::net::SocketAddr;

use axum::{Json, extract::State};
use positron_networking::{LinkTransport, NodeId, RoundTrip};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    actions::PeerBody,
    peers::MadeOf,
    told::{ActionErrors, Told},
};
use crate::{app::App, orders, refusal::Refusal};

/// A peer answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "node_id": "0707070707070707070707070707070707070707070707070707070707070707",
    "rtt_ms": 20.3, "transport": "udp", "address": "192.0.2.1:8888", "relay": null,
}))]
pub(crate) struct PingAnswer {
    /// Who.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    node_id: NodeId,
    /// Milliseconds from the question to the answer.
    rtt_ms: f64,
    /// What its link is made of.
    #[schema(value_type = MadeOf)]
    transport: LinkTransport,
    /// Where it is; null behind a relay.
    #[schema(value_type = Option<String>, required = true)]
    address: Option<SocketAddr>,
    /// Who forwards between it and this node, if it is behind a relay.
    #[schema(value_type = Option<String>, pattern = "^[0-9a-f]{64}$", required = true)]
    relay: Option<NodeId>,
}

/// Asks a node for a sign of life, and answers when it came: within ten seconds it is connected
/// with, if it is not, and within five it answers.
#[utoipa::path(
    post, path = "/v1/actions/ping", tag = "actions", request_body = PeerBody,
    responses((status = 200, description = "It answered.", body = PingAnswer), ActionErrors)
)]
pub(crate) async fn ping(
    State(app): State<App>,
    Told(told): Told<PeerBody>,
) -> Result<Json<PingAnswer>, Refusal> {
    let _turn = app.turn()?;
    let node_id = orders::peer(&app.node, &told.peer).await?;
    let RoundTrip { rtt, place, transport } = app.node.ping(node_id).await?;
    let rtt_ms = rtt.as_secs_f64() * 1e3;
    Ok(Json(PingAnswer { node_id, rtt_ms, transport, address: place.address, relay: place.relay }))
}

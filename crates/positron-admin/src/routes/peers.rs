//! With whom the node is connected, with whom it was, and whom it tried to reach.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use positron_networking::{
    LostPeer, Node, NodeId, PeerBounds, PeerDetail, PeerStanding, RecentDial, stats::PeerStats,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::standing::{BoundsShape, StandingShape};
use crate::{
    app::App,
    orders,
    refusal::{ErrorAnswer, Refusal},
};

/// The peers that are connected, and those that were.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct PeersAnswer {
    /// In order of their ids.
    #[schema(value_type = Vec<PeerShape>)]
    peers: Vec<PeerStats>,
    /// The last 256 that left, the newest first.
    #[schema(value_type = Vec<LostShape>)]
    lost: Vec<LostPeer>,
}

/// One connected peer.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `PeerStats` writes")]
#[schema(example = json!({
    "node_id": "0707070707070707070707070707070707070707070707070707070707070707",
    "address": "192.0.2.1:8888", "relay": null, "direction": "outbound", "transport": "udp",
    "trust_score": 0.5, "connected_s": 12.5, "rtt_ms": 20.3, "queued_bytes": 0
}))]
pub(crate) struct PeerShape {
    /// Who: 64 hexadecimal characters.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    node_id: String,
    /// Where; null behind a relay.
    address: Option<String>,
    /// Who forwards between it and this node, if it is behind a relay.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    relay: Option<String>,
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
    /// A byte stream that another node forwards.
    Relay,
}

/// One peer that was connected.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `LostPeer` writes")]
#[schema(example = json!({
    "node_id": "0707070707070707070707070707070707070707070707070707070707070707",
    "address": "192.0.2.1:8888", "relay": null, "transport": "tcp", "direction": "inbound",
    "lost_at": "2026-11-27T15:50:51.123456Z", "age_s": 3.5, "connected_s": 812.0, "by": "us",
    "reason": "slots_full", "sentence": "every slot is taken", "remedy": "raise `max_peers`"
}))]
pub(crate) struct LostShape {
    /// Who: 64 hexadecimal characters.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    node_id: String,
    /// Where it was last; null behind a relay.
    address: Option<String>,
    /// Who forwarded last, if it was behind a relay.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    relay: Option<String>,
    /// What its last link was made of.
    transport: MadeOf,
    /// Who dialled.
    direction: WhoDialled,
    /// When it left.
    #[schema(format = DateTime)]
    lost_at: String,
    /// Seconds since then.
    age_s: f64,
    /// Seconds for which it was connected.
    connected_s: f64,
    /// Who ended it: `us`, `peer` or `network`.
    by: String,
    /// Why: one word of a closed list.
    reason: String,
    /// What it means.
    sentence: String,
    /// What to do about it.
    remedy: String,
}

/// A peer, connected or not any more, and what this node makes of it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct PeerAnswer {
    /// Its session, or how that ended.
    #[serde(flatten)]
    session: PeerSession,
    /// Why its score is what it is.
    #[schema(value_type = StandingShape)]
    why: PeerStanding,
    /// How near it is to each of its bounds, while it is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = BoundsShape, required = false)]
    bounds: Option<PeerBounds>,
}

/// A session that is, or was.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum PeerSession {
    /// It is connected.
    #[schema(value_type = PeerShape)]
    Connected(PeerStats),
    /// It was.
    #[schema(value_type = LostShape)]
    Lost(LostPeer),
    /// It was not of late, and something is known of it all the same.
    Known(KnownPeer),
}

/// Who was not connected of late.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct KnownPeer {
    /// Who: 64 hexadecimal characters.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    node_id: NodeId,
    /// No.
    connected: bool,
}

/// What became of a dial.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct DialsAnswer {
    /// The last 256, the newest first.
    #[schema(value_type = Vec<DialShape>)]
    dials: Vec<RecentDial>,
}

/// A dial, and what came of it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `RecentDial` writes")]
pub(crate) struct DialShape {
    /// Who answered, or who was expected.
    #[schema(value_type = String, required = false, pattern = "^[0-9a-f]{64}$")]
    node_id: Option<String>,
    /// Where to: `ip:port`, or `host:port` of a name that has no address.
    address: String,
    /// What the link is made of, if there is one.
    #[schema(value_type = MadeOf, required = false)]
    transport: Option<MadeOf>,
    /// `connect` or `probe`.
    purpose: String,
    /// When it began.
    #[schema(format = DateTime)]
    at: String,
    /// Seconds since then.
    age_s: f64,
    /// Milliseconds that it took, so far if it is under way.
    took_ms: f64,
    /// `connected`, `failed` or `under_way`.
    outcome: String,
    /// Why it failed: one word of a closed list.
    #[schema(value_type = String, required = false)]
    reason: Option<String>,
    /// What it means.
    #[schema(value_type = String, required = false)]
    sentence: Option<String>,
    /// What to do about it.
    #[schema(value_type = String, required = false)]
    remedy: Option<String>,
}

/// With whom the node is connected, and with whom it was.
#[utoipa::path(
    get, path = "/v1/peers", tag = "peers",
    responses(
        (status = 200, description = "Who is connected, and who was.", body = PeersAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
    )
)]
pub(crate) async fn peers(State(app): State<App>) -> Json<PeersAnswer> {
    let lost = app.node.lost_peers().await;
    Json(PeersAnswer { peers: app.node.stats().peers, lost })
}

/// One peer, connected or not any more.
#[utoipa::path(
    get, path = "/v1/peers/{id}", tag = "peers",
    params(("id" = String, Path, description = "Its id, or the first 16 characters of it",
        pattern = "^[0-9a-f]{16}([0-9a-f]{48})?$")),
    responses(
        (status = 200, description = "As it is, or as it was.", body = PeerAnswer),
        (status = 400, description = "That is no id.", body = ErrorAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
        (status = 404, description = "Nothing was seen of it.", body = ErrorAnswer),
        (status = 409, description = "Several ids begin so.", body = ErrorAnswer),
        (status = 503, description = "The node is stopping.", body = ErrorAnswer),
    )
)]
pub(crate) async fn peer(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<PeerAnswer>, Refusal> {
    let Path(id) = id.map_err(|_| Refusal::bad("bad_name", "the id of a node is plain text"))?;
    let id = orders::peer(&app.node, &id).await?;
    let PeerDetail { standing: why, bounds, .. } =
        app.node.peer_detail(id).await.ok_or_else(Refusal::stopping)?;
    let is_known = why.banned_until.is_some()
        || !why.totals.is_empty()
        || !why.recommended_by.is_empty()
        || !why.recent.is_empty();
    let known =
        || is_known.then_some(PeerSession::Known(KnownPeer { node_id: id, connected: false }));
    let session = session(&app.node, id).await.or_else(known).ok_or_else(|| {
        let sentence = format!("nothing was seen of node {}", id.short());
        Refusal::unknown("not_connected", sentence).try_this("GET /v1/peers lists who is")
    })?;
    Ok(Json(PeerAnswer { session, why, bounds }))
}

async fn session(node: &Node, id: NodeId) -> Option<PeerSession> {
    let connected = node.stats().peers.into_iter().find(|peer| peer.node_id == id);
    if let Some(peer) = connected {
        return Some(PeerSession::Connected(peer));
    }
    let lost = node.lost_peers().await.into_iter().find(|peer| peer.node_id == id);
    lost.map(PeerSession::Lost)
}

/// What came of the last 256 dials.
#[utoipa::path(
    get, path = "/v1/dials", tag = "peers",
    responses(
        (status = 200, description = "The newest first.", body = DialsAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
    )
)]
pub(crate) async fn dials(State(app): State<App>) -> Json<DialsAnswer> {
    Json(DialsAnswer { dials: app.node.recent_dials().await })
}

//! How the node is.

use std::net::SocketAddr;

use axum::{Json, extract::State};
use positron_networking::{MappedPort, Readiness, Stats};
use serde::Serialize;
use utoipa::ToSchema;

use super::{health::ReadyAnswer, nat::NatShape};

use crate::{app::App, refusal::ErrorAnswer, words};

/// Everything that the node tells about itself: every counter of every room, under the name of the
/// room, beside what is listed here.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct StatusAnswer {
    /// What the library tells.
    #[serde(flatten)]
    #[schema(value_type = StatusShape)]
    stats: Stats,
    /// The process.
    pid: u32,
    /// Whether others can reach it, and how one knows, in words.
    reachable: String,
    /// What stands between it and the internet, in words.
    nat_in_words: String,
    /// The port that the router was asked to map, in words; null without `map_port`.
    port_mapping_in_words: Option<String>,
    /// How the disk is, in words.
    storage_state: String,
    /// What another node needs to join this one.
    invite: Option<String>,
    /// Where the API listens for who has the token, if at all.
    #[schema(value_type = Option<String>)]
    api: Option<SocketAddr>,
    /// Whether it can do its work: as `/readyz`.
    #[schema(value_type = ReadyAnswer)]
    health: Readiness,
}

/// The part of the numbers that is promised; rooms add theirs.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `Stats` writes")]
pub(crate) struct StatusShape {
    /// Who it is: 64 hexadecimal characters.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    node_id: String,
    /// Its software.
    software: String,
    /// The name of its network.
    network: String,
    /// Where it listens.
    listen: Vec<String>,
    /// Where others can reach it, as far as it knows.
    external_addresses: Vec<String>,
    /// What stands between it and the internet.
    nat: NatShape,
    /// Seconds since its start.
    uptime_s: f64,
    /// Peers that are connected.
    active_peers: u64,
    /// Peers of the address book.
    known_peers: u64,
    /// When no peer is connected: why, in words.
    isolation_reason: Option<String>,
    /// What is missing in words, when fewer are connected than `min_peers`.
    few_peers: Option<String>,
    /// The connected peers.
    peers: Vec<super::peers::PeerShape>,
}

impl StatusAnswer {
    fn of(app: &App) -> Self {
        let node = &app.node;
        let stats = node.stats();
        Self {
            api: app.address(),
            health: node.readiness(),
            pid: std::process::id(),
            reachable: words::reachability(&stats),
            nat_in_words: stats.nat.in_words(),
            port_mapping_in_words: stats.nat.port_mapping.as_ref().map(MappedPort::in_words),
            storage_state: words::storage_state(&stats),
            invite: stats.invite().map(|invite| invite.to_string()),
            stats,
        }
    }
}

/// How the node is.
#[utoipa::path(
    get, path = "/v1/status", tag = "node",
    responses(
        (status = 200, description = "All its numbers.", body = StatusAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
    )
)]
pub(crate) async fn status(State(app): State<App>) -> Json<StatusAnswer> {
    Json(StatusAnswer::of(&app))
}

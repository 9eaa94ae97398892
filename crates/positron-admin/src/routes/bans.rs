//! Whom the node refuses.

use axum::{Json, extract::State};
use positron_networking::Ban;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{app::App, refusal::ErrorAnswer};

/// Every ban but those of strangers.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct BansAnswer {
    /// Of nodes first.
    #[schema(value_type = Vec<BanShape>)]
    bans: Vec<Ban>,
}

/// A ban, of a node or of addresses.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `Ban` writes")]
pub(crate) struct BanShape {
    /// Of this node,
    #[schema(pattern = "^[0-9a-f]{64}$", value_type = String, required = false)]
    node_id: Option<String>,
    /// or of whoever is at these addresses.
    #[schema(value_type = String, required = false)]
    addresses: Option<String>,
    /// Until when, in seconds since 1970.
    until_unix_secs: u64,
    /// The words with which it was ordered; `null`: a score fell too low.
    reason: Option<String>,
}

/// Whom the node refuses, until when, and why.
#[utoipa::path(
    get, path = "/v1/bans", tag = "peers",
    responses(
        (status = 200, description = "Every ban but those of strangers.", body = BansAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
    )
)]
pub(crate) async fn bans(State(app): State<App>) -> Json<BansAnswer> {
    Json(BansAnswer { bans: app.node.bans().await })
}

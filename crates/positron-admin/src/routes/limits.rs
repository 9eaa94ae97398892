//! How near the node is to its bounds.

use axum::{Json, extract::State};
use positron_networking::stats::Usage;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{app::App, refusal::ErrorAnswer};

/// Every bound that can be reached.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct LimitsAnswer {
    /// In the order of the rooms.
    #[schema(value_type = Vec<UsageShape>)]
    limits: Vec<Usage>,
}

/// What there is of something, and the most that there can be.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `Usage` writes")]
pub(crate) struct UsageShape {
    /// Of what.
    name: String,
    /// Who bounds it.
    room: String,
    /// What one of it is.
    unit: String,
    /// What there is.
    used: u64,
    /// The most: beyond it something gives way, or is refused.
    limit: u64,
    /// What it is, in words.
    help: String,
    /// What to do when it is near.
    when_high: String,
}

/// How near the node is to each of its bounds.
#[utoipa::path(
    get, path = "/v1/limits", tag = "node",
    responses(
        (status = 200, description = "Every bound.", body = LimitsAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
    )
)]
pub(crate) async fn limits(State(app): State<App>) -> Json<LimitsAnswer> {
    Json(LimitsAnswer { limits: app.node.stats().limits })
}

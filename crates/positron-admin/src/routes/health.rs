//! Whether the node runs.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The process runs and answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "live": true }))]
pub(crate) struct LiveAnswer {
    /// Always.
    pub live: bool,
}

/// Whether the process answers. Needs no token.
#[utoipa::path(
    get, path = "/livez", tag = "health", security(()),
    responses((status = 200, description = "It does.", body = LiveAnswer))
)]
pub(crate) async fn livez() -> Json<LiveAnswer> {
    Json(LiveAnswer { live: true })
}

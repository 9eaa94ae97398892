//! What the node was told, and by whom.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{app::App, refusal::ErrorAnswer, surroundings::ConfigValue};

/// The configuration of the node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ConfigAnswer {
    /// Every key.
    pub values: Vec<ConfigValue>,
}

/// What the node was told, and by whom. There is no secret in it.
#[utoipa::path(
    get, path = "/v1/config", tag = "node",
    responses(
        (status = 200, description = "Every key.", body = ConfigAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
    )
)]
pub(crate) async fn config(State(app): State<App>) -> Json<ConfigAnswer> {
    Json(ConfigAnswer { values: app.around.config.clone() })
}

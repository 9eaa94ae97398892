//! What the node was told, and by whom.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::App;
use crate::refusal::ErrorAnswer;

/// One key of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "key": "port", "value": 8888, "origin": "default" }))]
pub struct ConfigValue {
    /// Its name.
    pub key: String,
    /// What it is.
    pub value: Value,
    /// Who said so: `default`, `file`, `environment` or `command line`.
    pub origin: String,
}

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
    Json(ConfigAnswer { values: app.0.around.config.clone() })
}

//! Whether the node runs, and whether it can do its work.

use axum::{Extension, Json, extract::State, http::StatusCode};
use positron_networking::{Readiness, ReadinessCheck};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{app::App, gate::MayAsk};

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

/// Whether the node can do its work.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({
    "ready": false,
    "sentence": "not ready: 0 of at least 5 peers are connected",
    "checks": [{
        "check": "peers", "ok": false, "reason": "0 of at least 5 peers are connected",
        "remedy": "positron-net join INVITE",
    }],
}))]
pub(crate) struct ReadyAnswer {
    /// Whether every check holds.
    ready: bool,
    /// The same in words, for who may ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    sentence: Option<String>,
    /// Each check, for who may ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<CheckShape>, required = false)]
    checks: Option<Vec<ReadinessCheck>>,
}

/// One thing that a node needs for its work.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `ReadinessCheck` writes")]
pub(crate) struct CheckShape {
    /// `socket`, `clock`, `store`, `peers`, `load` or `stopping`.
    check: String,
    /// Whether it holds.
    ok: bool,
    /// Why not.
    #[schema(value_type = String, required = false)]
    reason: Option<String>,
    /// What to do about it.
    #[schema(value_type = String, required = false)]
    remedy: Option<String>,
}

/// Whether the node can do its work. Needs no token, which is needed to be told why not.
#[utoipa::path(
    get, path = "/readyz", tag = "health", security((), ("token" = [])),
    responses(
        (status = 200, description = "It can.", body = ReadyAnswer),
        (status = 503, description = "It cannot.", body = ReadyAnswer),
    )
)]
pub(crate) async fn readyz(
    State(app): State<App>,
    Extension(MayAsk(may_ask)): Extension<MayAsk>,
) -> (StatusCode, Json<ReadyAnswer>) {
    let Readiness { ready, sentence, checks } = app.node.readiness();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let (sentence, checks) = (may_ask.then_some(sentence), may_ask.then_some(checks));
    (code, Json(ReadyAnswer { ready, sentence, checks }))
}

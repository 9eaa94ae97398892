//! Where a message went.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use positron_networking::{MessageId, MessageTrace};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    app::App,
    refusal::{ErrorAnswer, Refusal},
};

/// The way of a message, as far as it is known.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `MessageTrace` writes")]
pub(crate) struct TraceShape {
    /// Which message.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    message: String,
    /// What this node remembers: from whom it came and how, when it was verified and delivered, to
    /// whom it went, or why it was dropped.
    #[schema(value_type = Option<Object>)]
    local: Option<Value>,
    /// What others report, if they were asked: claims that nobody can check.
    #[schema(value_type = Option<Object>)]
    network: Option<Value>,
}

/// Others are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "asked": true }))]
pub(crate) struct AskedAnswer {
    /// Always.
    asked: bool,
}

/// The way of a message of the last 4,096, as this node remembers it, and as others report it if
/// they were asked.
#[utoipa::path(
    get, path = "/v1/trace/{message}", tag = "messages",
    params(("message" = String, Path, description = "Its id", pattern = "^[0-9a-f]{64}$")),
    responses(
        (status = 200, description = "What is known.", body = TraceShape),
        (status = 400, description = "That is no id.", body = ErrorAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
        (status = 404, description = "It never came, or is forgotten.", body = ErrorAnswer),
    )
)]
pub(crate) async fn trace(
    State(app): State<App>,
    message: Result<Path<MessageId>, PathRejection>,
) -> Result<Json<MessageTrace>, Refusal> {
    let known = app.node.trace(id(message)?).await;
    known.map(Json).ok_or_else(|| {
        let sentence = "this node remembers nothing of that message: it never came, or long ago";
        Refusal::unknown("unknown_message", sentence)
    })
}

/// Asks others for the way of a broadcast of this node; poll `GET` for what they report.
#[utoipa::path(
    post, path = "/v1/trace/{message}", tag = "messages",
    params(("message" = String, Path, description = "Its id", pattern = "^[0-9a-f]{64}$")),
    responses(
        (status = 202, description = "They are asked.", body = AskedAnswer),
        (status = 400, description = "That is no id.", body = ErrorAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
        (status = 403, description = "It is of somebody else.", body = ErrorAnswer),
        (status = 404, description = "It never came, or is forgotten.", body = ErrorAnswer),
        (status = 409, description = "Others have forgotten it.", body = ErrorAnswer),
        (status = 429, description = "There was a trace a short time ago.", body = ErrorAnswer),
        (status = 503, description = "The node is stopping.", body = ErrorAnswer),
    )
)]
pub(crate) async fn ask(
    State(app): State<App>,
    message: Result<Path<MessageId>, PathRejection>,
) -> Result<(StatusCode, Json<AskedAnswer>), Refusal> {
    app.node.ask_trace(id(message)?).await?;
    Ok((StatusCode::ACCEPTED, Json(AskedAnswer { asked: true })))
}

fn id(message: Result<Path<MessageId>, PathRejection>) -> Result<MessageId, Refusal> {
    message
        .map(|Path(id)| id)
        .map_err(|_| Refusal::bad("bad_id", "the id of a message has 64 hexadecimal characters"))
}

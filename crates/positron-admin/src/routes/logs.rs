//! What the node logs, and how much of it.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::told::{ActionErrors, Told};
use crate::{
    app::App,
    refusal::{ErrorAnswer, Refusal},
    surroundings::Logbook,
};

/// The end of the log.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct LogsAnswer {
    /// What is logged.
    level: String,
    /// The last lines, oldest first: 512, and half a mebibyte of text, at most.
    #[schema(value_type = Vec<LogLineShape>)]
    lines: Vec<Value>,
}

/// A line of the log.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what a `Logbook` tells")]
pub(crate) struct LogLineShape {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// How grave.
    level: String,
    /// The place in the code.
    target: String,
    /// What. Without control characters, whoever wrote it.
    text: String,
}

/// How much is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "level": "debug" }))]
pub(crate) struct LogLevel {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    level: String,
}

/// The last lines of the log.
#[utoipa::path(
    get, path = "/v1/logs", tag = "log",
    responses(
        (status = 200, description = "Oldest first.", body = LogsAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
        (status = 503, description = "This node keeps no log.", body = ErrorAnswer),
    )
)]
pub(crate) async fn logs(State(app): State<App>) -> Result<Json<LogsAnswer>, Refusal> {
    let log = log(&app)?;
    Ok(Json(LogsAnswer { level: log.level(), lines: log.lines() }))
}

/// Changes what is logged, until the node stops.
#[utoipa::path(
    put, path = "/v1/log-level", tag = "log", request_body = LogLevel,
    responses((status = 200, description = "As it is now.", body = LogLevel), ActionErrors)
)]
pub(crate) async fn set_level(
    State(app): State<App>,
    Told(told): Told<LogLevel>,
) -> Result<Json<LogLevel>, Refusal> {
    let log = log(&app)?;
    log.set_level(&told.level).map_err(|why| Refusal::bad("bad_level", why))?;
    Ok(Json(LogLevel { level: log.level() }))
}

fn log(app: &App) -> Result<&dyn Logbook, Refusal> {
    let log = app.around.log.as_deref();
    log.ok_or_else(|| Refusal::unavailable("no_log", "this node keeps no log to ask"))
}

//! What happens, as it happens.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    feed::Place,
    limits::{MAX_EVENTS, MAX_LISTENERS},
    refusal::{ErrorAnswer, Refusal},
};

/// With which of those that are kept it begins.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct From {
    /// The newest, so many, unless `Last-Event-ID` says where to go on.
    #[param(value_type = usize, required = false, minimum = 0, maximum = 4096)]
    last: Option<usize>,
}

/// One of the server-sent events of a stream: its fields, as they stand on their lines.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the feed writes the lines; this describes them")]
pub(crate) struct SentEvent {
    /// Its number: say it as `Last-Event-ID` to go on behind it.
    id: String,
    /// What happened: its `type`.
    event: String,
    /// The event as JSON.
    #[schema(content_media_type = "application/json")]
    data: String,
}

/// Events as they happen, as server-sent events: `id`, `event` with the name, `data` with the event
/// as JSON, whose first keys are `id`, `type`, `at` and `age_s`. `event: gap` says that some were
/// lost.
#[utoipa::path(
    get, path = "/v1/events", tag = "node",
    params(From, ("Last-Event-ID" = Option<u64>, Header,
        description = "Go on behind this one, if it is among the last 4,096")),
    responses(
        (status = 200, description = "Until either end goes.",
            body = SentEvent, content_type = "text/event-stream"),
        (status = 400, description = "That is no id of an event, or no number of them.",
            body = ErrorAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
        (status = 503, description = "16 others listen.", body = ErrorAnswer),
    )
)]
pub(crate) async fn events(
    State(app): State<App>,
    from: Result<Query<From>, QueryRejection>,
    fields: HeaderMap,
) -> Result<Response, Refusal> {
    let newest = from.map_or(usize::MAX, |Query(From { last })| last.unwrap_or(0));
    if newest > MAX_EVENTS {
        let sentence = format!("`last` is a number from 0 to {MAX_EVENTS}");
        return Err(Refusal::bad("bad_parameter", sentence));
    }
    let place = match fields.get("last-event-id") {
        None => Place::Newest(newest),
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse().ok());
            let wrong = || Refusal::bad("bad_event_id", "`Last-Event-ID` is the `id` of an event");
            Place::Behind(id.ok_or_else(wrong)?)
        }
    };
    let body = app.feed.listen(place).ok_or_else(|| {
        let sentence = format!("{MAX_LISTENERS} others listen already");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_listeners", sentence)
            .try_this("close a page or an `events` command")
    })?;
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

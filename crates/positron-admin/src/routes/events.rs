//! What happens, as it happens.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    app::App,
    limits::MAX_LISTENERS,
    refusal::{ErrorAnswer, Refusal},
};

/// Events as they happen, as server-sent events: `id`, `event` with the name, `data` with the event
/// as JSON. `event: gap` says that some were lost.
#[utoipa::path(
    get, path = "/v1/events", tag = "node",
    params(("Last-Event-ID" = Option<u64>, Header,
        description = "Go on behind this one, if it is among the last 4,096")),
    responses(
        (status = 200, description = "Until either end goes.",
            body = String, content_type = "text/event-stream"),
        (status = 400, description = "That is no id of an event.", body = ErrorAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
        (status = 503, description = "16 others listen.", body = ErrorAnswer),
    )
)]
pub(crate) async fn events(State(app): State<App>, fields: HeaderMap) -> Result<Response, Refusal> {
    let last = match fields.get("last-event-id") {
        None => None,
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse().ok());
            let wrong = || Refusal::bad("bad_event_id", "`Last-Event-ID` is the `id` of an event");
            Some(id.ok_or_else(wrong)?)
        }
    };
    let body = app.feed.listen(last).ok_or_else(|| {
        let sentence = format!("{MAX_LISTENERS} others listen already");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_listeners", sentence)
            .try_this("close a page or an `events` command")
    })?;
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

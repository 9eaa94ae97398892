//! What a request says in its body, and how that may fail.

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::{
    limits::{BODY_TIMEOUT, MAX_BODY},
    refusal::{ErrorAnswer, Refusal},
};

/// The JSON of a request.
pub(crate) struct Told<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Told<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        // A form of a foreign page can have three types; this is none of them.
        if !kind.eq_ignore_ascii_case("application/json") {
            let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Refusal::new(code, "not_json", "the body is JSON, and says so")
                .try_this("send the header Content-Type: application/json"));
        }
        let body = timeout(BODY_TIMEOUT, to_bytes(request.into_body(), MAX_BODY)).await;
        let body = body.map_err(|_| {
            let sentence = format!("the body took more than {} s", BODY_TIMEOUT.as_secs());
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "too_slow", sentence)
        })?;
        let body = body.map_err(|_| {
            let sentence = format!("a body has at most {MAX_BODY} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", sentence)
        })?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| Refusal::bad("not_understood", format!("the body: {error}")))
    }
}

/// How an action may fail.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "it describes what `Refusal` writes")]
pub(crate) enum ActionErrors {
    /// The body is not what it should be.
    #[response(status = 400)]
    Bad(#[to_schema] ErrorAnswer),
    /// No token.
    #[response(status = 401)]
    Unauthorized(#[to_schema] ErrorAnswer),
    /// Nobody knows that node.
    #[response(status = 404)]
    Unknown(#[to_schema] ErrorAnswer),
    /// The body took too long.
    #[response(status = 408)]
    Slow(#[to_schema] ErrorAnswer),
    /// As things are, it cannot be done.
    #[response(status = 409)]
    Conflict(#[to_schema] ErrorAnswer),
    /// The body is too large.
    #[response(status = 413)]
    TooLarge(#[to_schema] ErrorAnswer),
    /// The body is not JSON.
    #[response(status = 415)]
    NotJson(#[to_schema] ErrorAnswer),
    /// Too much else is being done.
    #[response(status = 429)]
    Busy(#[to_schema] ErrorAnswer),
    /// The disk is away, or the node is stopping.
    #[response(status = 503)]
    Unavailable(#[to_schema] ErrorAnswer),
}

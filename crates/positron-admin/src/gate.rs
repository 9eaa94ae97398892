//! What every request and every answer passes.

use axum::{
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{self, HeaderName},
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::{door::Door, refusal::Refusal, slots::Guest};

/// Who asks may be told everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MayAsk(pub(crate) bool);

/// Lets in whom the door admits, and says to browsers what the answer is not to be used for.
pub(crate) async fn pass(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let mut answer = match admitted(&door, &request) {
        Ok(may_ask) => {
            if may_ask && let Some(guest) = request.extensions().get::<Guest>() {
                guest.welcome();
            }
            request.extensions_mut().insert(MayAsk(may_ask));
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    };
    for (name, value) in SAID_WITH_EVERYTHING {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let fields = answer.headers_mut();
    fields.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

fn admitted(door: &Door, request: &Request) -> Result<bool, Refusal> {
    let may_ask = door.admits(request.uri(), request.headers())?;
    let path = request.uri().path();
    if may_ask || !is_data(path) {
        return Ok(may_ask);
    }
    Err(door.unauthorized("this needs the token"))
}

/// Everything that tells of this node; the rest is the same on every one.
fn is_data(path: &str) -> bool {
    path == "/metrics" || path.starts_with("/v1/") || path == "/v1"
}

/// Nothing is there.
pub(crate) async fn not_found() -> Refusal {
    Refusal::unknown("no_such_route", "nothing is here").try_this("GET /v1 lists what there is")
}

/// Something is there for another method; axum names it in `Allow`.
pub(crate) async fn wrong_method() -> Refusal {
    let code = StatusCode::METHOD_NOT_ALLOWED;
    Refusal::new(code, "wrong_method", "this is asked in another way: see the header Allow")
}

const SAID_WITH_EVERYTHING: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         object-src 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

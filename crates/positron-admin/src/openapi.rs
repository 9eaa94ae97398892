//! What each route takes and answers, for programs.

use std::sync::OnceLock;

use axum::{http::header, response::IntoResponse};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::{
    offers,
    routes::{
        actions, bans, config, database, dht, events, health, history, limits, logs, metrics,
        peers, ping, status, topology, trace, values,
    },
};

/// The description of the API, as JSON. What is committed as `openapi.json` is the same, for who
/// reads it without a node.
pub fn openapi() -> &'static str {
    static WRITTEN: OnceLock<String> = OnceLock::new();
    // A tree of maps and texts is always JSON.
    WRITTEN.get_or_init(|| Described::openapi().to_pretty_json().unwrap_or_default() + "\n")
}

/// What each route takes and answers, as OpenAPI. Needs no token.
#[utoipa::path(
    get, path = "/openapi.json", tag = "health", security(()),
    responses((status = 200, description = "This.", body = Object))
)]
pub(crate) async fn description() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi())
}

/// The description as the routes have it.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "positron-net",
        description = "The admin API of a node. Over TCP each route under /v1 needs the token: \
                       `Authorization: Bearer TOKEN`. Times are RFC 3339 in UTC; what ends in _s \
                       is in seconds, in _ms in milliseconds. `GET /v1` lists \
                       all routes; others are 404, with an error of the same form."
    ),
    servers((url = "http://127.0.0.1:9777")),
    security(("token" = [])),
    modifiers(&WithToken, &WithGate),
    paths(
        offers::offers,
        description,
        health::livez,
        health::readyz,
        status::status,
        peers::peers,
        peers::peer,
        peers::dials,
        topology::topology,
        history::history,
        config::config,
        bans::bans,
        database::database,
        limits::limits,
        logs::logs,
        logs::set_level,
        metrics::metrics,
        events::events,
        trace::trace,
        trace::ask,
        dht::dht,
        values::put,
        values::get,
        values::delete,
        values::find,
        actions::join,
        actions::forget,
        actions::disconnect,
        actions::ban,
        actions::unban,
        actions::reserve,
        actions::unreserve,
        actions::trust,
        actions::send,
        actions::broadcast,
        ping::ping,
        actions::stop,
    )
)]
struct Described;

struct WithToken;

impl Modify for WithToken {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", scheme);
    }
}

/// What every route may answer, because every request passes the gate.
struct WithGate;

impl Modify for WithGate {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        for path in openapi.paths.paths.values_mut() {
            let methods = [&mut path.get, &mut path.post, &mut path.put];
            for operation in methods.into_iter().flatten() {
                for (status, description) in GATE {
                    let answers = &mut operation.responses.responses;
                    answers.entry((*status).to_owned()).or_insert_with(|| error(description));
                }
            }
        }
    }
}

fn error(description: &str) -> RefOr<Response> {
    let schema = Ref::from_schema_name("ErrorAnswer");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let answer = ResponseBuilder::new().description(description);
    answer.content("application/json", content).build().into()
}

const GATE: &[(&str, &str)] = &[
    ("400", "A header is there twice or is no text, or the token is in the address."),
    ("401", "The token is wrong."),
    ("403", "Another page asks, or the host is no name of this API."),
    ("405", "Another method: the header Allow names those that there are."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_description_is_that_of_the_routes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        if std::env::var_os("POSITRON_WRITE_OPENAPI").is_some() {
            std::fs::write(path, openapi()).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap() == openapi(),
            "openapi.json is of other routes; write it anew: \
             POSITRON_WRITE_OPENAPI=1 cargo test -p positron-admin openapi"
        );
    }
}

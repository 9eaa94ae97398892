//! What each route takes and answers, for programs.

use std::sync::OnceLock;

use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

use crate::routes::{
    actions, bans, config, database, events, health, history, limits, logs, metrics, peers, status,
    topology, trace,
};

/// The description of the API, as JSON. What is committed as `openapi.json` is the same, for who
/// reads it without a node.
pub fn openapi() -> &'static str {
    static WRITTEN: OnceLock<String> = OnceLock::new();
    // A tree of maps and texts is always JSON.
    WRITTEN.get_or_init(|| Described::openapi().to_pretty_json().unwrap_or_default() + "\n")
}

/// The description as the routes have it.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "positron-net",
        description = "The admin API of a node. Over TCP each route under /v1 needs the token: \
                       `Authorization: Bearer TOKEN`. Times are RFC 3339 in UTC; what ends in _s \
                       is in seconds, in _ms in milliseconds. Unknown routes are 404, other \
                       methods 405, foreign pages and names 403; each with an error of the same \
                       form."
    ),
    servers((url = "http://127.0.0.1:9777")),
    security(("token" = [])),
    modifiers(&WithToken),
    paths(
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

//! What can be asked. One file for what is asked together; what each route takes and answers is
//! said at its function, from which `openapi.json` is made.

pub(crate) mod actions;
pub(crate) mod bans;
pub(crate) mod config;
pub(crate) mod database;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod limits;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod peers;
pub(crate) mod status;
pub(crate) mod told;
pub(crate) mod topology;
pub(crate) mod trace;

use axum::{
    Router,
    http::header,
    response::IntoResponse,
    routing::{get, post, put},
};

use crate::{app::App, gate, openapi, page};

/// Every route.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/openapi.json", get(description))
        .route("/v1/status", get(status::status))
        .route("/readyz", get(health::readyz))
        .route("/v1/dials", get(peers::dials))
        .route("/v1/peers", get(peers::peers))
        .route("/v1/peers/{id}", get(peers::peer))
        .route("/v1/topology", get(topology::topology))
        .route("/v1/history", get(history::history))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/limits", get(limits::limits))
        .route("/v1/logs", get(logs::logs))
        .route("/v1/log-level", put(logs::set_level))
        .route("/v1/config", get(config::config))
        .route("/v1/database", get(database::database))
        .route("/v1/bans", get(bans::bans))
        .route("/v1/trace/{message}", get(trace::trace).post(trace::ask))
        .route("/v1/events", get(events::events))
        .route("/v1/actions/join", post(actions::join))
        .route("/v1/actions/forget", post(actions::forget))
        .route("/v1/actions/disconnect", post(actions::disconnect))
        .route("/v1/actions/ban", post(actions::ban))
        .route("/v1/actions/unban", post(actions::unban))
        .route("/v1/actions/reserve", post(actions::reserve))
        .route("/v1/actions/unreserve", post(actions::unreserve))
        .route("/v1/actions/trust", post(actions::trust))
        .route("/v1/actions/send", post(actions::send))
        .route("/v1/actions/broadcast", post(actions::broadcast))
        .route("/v1/actions/stop", post(actions::stop))
        .fallback(page::answer)
        .method_not_allowed_fallback(gate::wrong_method)
        .with_state(app)
}

async fn description() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi::openapi())
}

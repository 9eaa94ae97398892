//! What can be asked. One file for what is asked together; what each route takes and answers is
//! said at its function, from which `openapi.json` is made.

pub(crate) mod actions;
pub(crate) mod bans;
pub(crate) mod config;
pub(crate) mod database;
pub(crate) mod dht;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod history;
pub(crate) mod limits;
pub(crate) mod logs;
pub(crate) mod metrics;
mod nat;
pub(crate) mod peers;
pub(crate) mod ping;
pub(crate) mod standing;
pub(crate) mod status;
pub(crate) mod told;
pub(crate) mod topology;
pub(crate) mod trace;
pub(crate) mod values;

use axum::Router;

use crate::{
    app::App,
    offers::{Offers, Serves},
    openapi,
};

/// Every route.
pub(crate) fn router(app: App) -> Router {
    Offers::of(Serves::Node)
        .get("/livez", health::livez)
        .get("/openapi.json", openapi::description)
        .get("/v1/status", status::status)
        .get("/readyz", health::readyz)
        .get("/v1/dials", peers::dials)
        .get("/v1/peers", peers::peers)
        .get("/v1/peers/{id}", peers::peer)
        .get("/v1/topology", topology::topology)
        .get("/v1/history", history::history)
        .get("/metrics", metrics::metrics)
        .get("/v1/limits", limits::limits)
        .get("/v1/logs", logs::logs)
        .put("/v1/log-level", logs::set_level)
        .get("/v1/config", config::config)
        .get("/v1/database", database::database)
        .get("/v1/bans", bans::bans)
        .get("/v1/trace/{message}", trace::trace)
        .post("/v1/trace/{message}", trace::ask)
        .get("/v1/events", events::events)
        .get("/v1/dht", dht::dht)
        .post("/v1/dht/put", values::put)
        .post("/v1/dht/get", values::get)
        .post("/v1/dht/delete", values::delete)
        .post("/v1/dht/find", values::find)
        .post("/v1/actions/join", actions::join)
        .post("/v1/actions/forget", actions::forget)
        .post("/v1/actions/disconnect", actions::disconnect)
        .post("/v1/actions/ban", actions::ban)
        .post("/v1/actions/unban", actions::unban)
        .post("/v1/actions/reserve", actions::reserve)
        .post("/v1/actions/unreserve", actions::unreserve)
        .post("/v1/actions/trust", actions::trust)
        .post("/v1/actions/send", actions::send)
        .post("/v1/actions/broadcast", actions::broadcast)
        .post("/v1/actions/ping", ping::ping)
        .post("/v1/actions/stop", actions::stop)
        .into_router(app)
}

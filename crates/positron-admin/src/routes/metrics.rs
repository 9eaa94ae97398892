//! Numbers for Prometheus.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use positron_networking::metrics::{ByPeer, MetricsFormat};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    refusal::{ErrorAnswer, Refusal},
};

/// What to tell besides.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct More {
    /// Also numbers of up to 64 single peers.
    #[param(inline, value_type = Collect, required = false)]
    collect: Option<Collect>,
}

/// Of what.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Collect {
    /// Of single peers.
    Peers,
}

/// Every number of the node, as OpenMetrics for who accepts that, else as the older text format.
#[utoipa::path(
    get, path = "/metrics", tag = "health", params(More),
    responses(
        (status = 200, description = "A text of one or the other format.", content(
            (String = "application/openmetrics-text"), (String = "text/plain"),
        )),
        (status = 400, description = "There is nothing of that name.", body = ErrorAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
    )
)]
pub(crate) async fn metrics(
    State(app): State<App>,
    more: Result<Query<More>, QueryRejection>,
    fields: HeaderMap,
) -> Result<Response, Refusal> {
    let wrong = |_| Refusal::bad("bad_parameter", "`collect` may be `peers`");
    let detail = match more.map_err(wrong)?.0.collect {
        Some(Collect::Peers) => ByPeer::With,
        None => ByPeer::Without,
    };
    let accept = fields.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = MetricsFormat::accepted(accept);
    let text = app.node.metrics(format, detail);
    Ok(([(header::CONTENT_TYPE, format.content_type())], text).into_response())
}

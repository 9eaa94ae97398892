//! The last hour.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    app::App,
    history::HistoryAnswer,
    limits::HISTORY_VALUES,
    refusal::{ErrorAnswer, Refusal},
};

/// How much of it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Span {
    /// Only the last values of each series, so many.
    #[param(value_type = usize, required = false, minimum = 1, maximum = 3600)]
    last: Option<usize>,
}

/// Numbers of the last hour, a value each second.
#[utoipa::path(
    get, path = "/v1/history", tag = "node", params(Span),
    responses(
        (status = 200, description = "All series.", body = HistoryAnswer),
        (status = 400, description = "That is no number of values.", body = ErrorAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
    )
)]
pub(crate) async fn history(
    State(app): State<App>,
    span: Result<Query<Span>, QueryRejection>,
) -> Result<Json<HistoryAnswer>, Refusal> {
    let most = match span {
        Ok(Query(Span { last })) => last.unwrap_or(HISTORY_VALUES),
        Err(_) => 0,
    };
    if !(1..=HISTORY_VALUES).contains(&most) {
        let sentence = format!("`last` is a number from 1 to {HISTORY_VALUES}");
        return Err(Refusal::bad("bad_parameter", sentence));
    }
    Ok(Json(app.history.answer(most)))
}

//! What the node keeps on its disk.

use axum::{Json, extract::State};
use positron_networking::Summary;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    refusal::{ErrorAnswer, Refusal},
};

/// What the database holds.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct DatabaseAnswer {
    #[serde(flatten)]
    #[schema(value_type = DatabaseShape)]
    summary: Summary,
}

/// The numbers of it, beside the bans that last longest, the best scores and the newest lines of
/// the audit trail.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `Summary` writes")]
pub(crate) struct DatabaseShape {
    /// The file.
    database: String,
    /// The name of the network.
    network_name: String,
    /// Peers of the address book.
    peers: u64,
    /// Broadcasts that are kept.
    messages: u64,
    /// Their bytes.
    message_bytes: u64,
    /// Who sent them.
    senders: u64,
    /// Lines of the audit trail of trust.
    trust_events: u64,
}

/// What the node keeps on its disk, read from there: what is still on its way is not in it.
#[utoipa::path(
    get, path = "/v1/database", tag = "node",
    responses(
        (status = 200, description = "What there is.", body = DatabaseAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
        (status = 404, description = "This node keeps nothing on a disk.", body = ErrorAnswer),
        (status = 503, description = "It cannot be read.", body = ErrorAnswer),
    )
)]
pub(crate) async fn database(State(app): State<App>) -> Result<Json<DatabaseAnswer>, Refusal> {
    // As an action, for it takes time of the disk.
    let _turn = app.turn()?;
    match app.node.stored().await {
        Ok(Some(summary)) => Ok(Json(DatabaseAnswer { summary })),
        Ok(None) => Err(Refusal::unknown("no_database", "this node keeps nothing on a disk")),
        Err(why) => Err(Refusal::unavailable("storage", why.to_string())),
    }
}

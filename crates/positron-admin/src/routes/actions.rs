//! What the node is told to do.

use std::{net::SocketAddr, time::Duration};

use axum::{Json, extract::State};
use positron_networking::{MessageId, NodeId, Subnet};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::told::{ActionErrors, Told};
use crate::{
    app::App,
    joining::{self, JoinEnd, Target},
    orders::{self, Named},
    refusal::{ErrorAnswer, Refusal},
};

/// It is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "done": "banned", "addresses": "203.0.113.0/24" }))]
pub(crate) struct DoneAnswer {
    /// What.
    done: &'static str,
    /// To which node.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$", required = false)]
    node_id: Option<NodeId>,
    /// To whoever is at these addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    addresses: Option<Subnet>,
    /// What was forgotten, as it was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    target: Option<String>,
    /// The message that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$", required = false)]
    message: Option<MessageId>,
}

impl DoneAnswer {
    const fn new(done: &'static str) -> Self {
        Self { done, node_id: None, addresses: None, target: None, message: None }
    }

    fn to(done: &'static str, whom: Named) -> Self {
        match whom {
            Named::Node(id) => Self { node_id: Some(id), ..Self::new(done) },
            Named::Addresses(addresses) => Self { addresses: Some(addresses), ..Self::new(done) },
        }
    }

    const fn sent(done: &'static str, message: MessageId) -> Self {
        let mut answer = Self::new(done);
        answer.message = Some(message);
        answer
    }
}

/// Whom to join.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "target": "192.0.2.1:8888" }))]
pub(crate) struct JoinBody {
    /// An invite, `host:port`, or `id@host:port`.
    target: String,
}

/// Whom to dial no more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "target": "192.0.2.1:8888" }))]
pub(crate) struct ForgetBody {
    /// An address as `bootstrap` in the status lists it, or the invite that was joined.
    target: String,
}

/// Whom to refuse.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "whom": "203.0.113.0/24", "seconds": 7200, "reason": "scans us" }))]
pub(crate) struct BanBody {
    /// The id of a node (the first 16 characters do for one that is connected), an address, or a
    /// range of addresses.
    whom: String,
    /// For how long; without it for good.
    #[serde(default)]
    #[schema(value_type = u64, required = false, minimum = 1)]
    seconds: Option<u64>,
    /// Why, for those who look later.
    #[serde(default)]
    #[schema(value_type = String, required = false, max_length = 256)]
    reason: Option<String>,
}

/// Whom to refuse no more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "whom": "203.0.113.0/24" }))]
pub(crate) struct UnbanBody {
    /// As it was banned.
    whom: String,
}

/// Which peer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "peer": "0707070707070707" }))]
pub(crate) struct PeerBody {
    /// Its id, or the first 16 characters of it.
    pub(super) peer: String,
}

/// For whom to keep a slot.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "peer": "0707070707070707070707070707070707070707070707070707070707070707",
    "address": "192.0.2.1:8888",
}))]
pub(crate) struct ReserveBody {
    /// Its id.
    peer: String,
    /// Where it is, besides where it says that it is.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    address: Option<String>,
}

/// Who did wrong.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "peer": "0707070707070707", "report": "sent a block that is none" }))]
pub(crate) struct TrustBody {
    /// Its id, or the first 16 characters of it.
    peer: String,
    /// What it did.
    #[schema(max_length = 256)]
    report: String,
}

/// What to tell whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "peer": "0707070707070707", "payload": { "message": "hello" } }))]
pub(crate) struct SendBody {
    /// Its id, or the first 16 characters of it.
    peer: String,
    /// Any JSON; it travels as MessagePack.
    payload: Value,
}

/// What to tell everyone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "payload": { "message": "hello" } }))]
pub(crate) struct BroadcastBody {
    /// Any JSON; it travels as MessagePack.
    payload: Value,
}

type Done = Result<Json<DoneAnswer>, Refusal>;

/// Connects with another node and answers when it is there, or after twelve seconds.
#[utoipa::path(
    post, path = "/v1/actions/join", tag = "actions", request_body = JoinBody,
    responses(
        (status = 200, description = "It is connected.", body = DoneAnswer),
        ActionErrors,
    )
)]
pub(crate) async fn join(State(app): State<App>, Told(told): Told<JoinBody>) -> Done {
    let _turn = app.turn()?;
    let target: Target =
        told.target.parse().map_err(|why: String| Refusal::bad("bad_target", why))?;
    match joining::join(&app.node, &target).await {
        Ok(id) => Ok(Json(DoneAnswer::to("joined", Named::Node(id)))),
        Err(why) => Err(match why.end {
            JoinEnd::Unreached => Refusal::conflict("unreached", why.reason)
                .try_this("is it running, reachable from here, and is the address right?"),
            JoinEnd::Refused => Refusal::conflict("refused", why.reason)
                .try_this("ask whoever runs that node, or join another one of the network"),
            JoinEnd::Ourselves => Refusal::conflict("ourselves", why.reason)
                .try_this("take the invite of another node"),
        }),
    }
}

/// Dials an address no more that the node was asked to join. One that the configuration names is
/// there again at the next start; a session with who is there goes on.
#[utoipa::path(
    post, path = "/v1/actions/forget", tag = "actions", request_body = ForgetBody,
    responses((status = 200, description = "It is forgotten.", body = DoneAnswer), ActionErrors)
)]
pub(crate) async fn forget(State(app): State<App>, Told(told): Told<ForgetBody>) -> Done {
    let _turn = app.turn()?;
    let target: Target =
        told.target.parse().map_err(|why: String| Refusal::bad("bad_target", why))?;
    let mut forgotten = Ok(false);
    for address in target.addresses() {
        forgotten = match (app.node.forget(&address).await, forgotten) {
            (Ok(()), _) | (Err(_), Ok(true)) => Ok(true),
            (Err(why), _) => Err(why),
        };
    }
    forgotten?;
    let mut answer = DoneAnswer::new("forgotten");
    answer.target = Some(target.to_string());
    Ok(Json(answer))
}

/// Ends a session. The peer is not banned: it may dial, and is not dialled for about ten minutes.
#[utoipa::path(
    post, path = "/v1/actions/disconnect", tag = "actions", request_body = PeerBody,
    responses((status = 200, description = "It is over.", body = DoneAnswer), ActionErrors)
)]
pub(crate) async fn disconnect(State(app): State<App>, Told(told): Told<PeerBody>) -> Done {
    let _turn = app.turn()?;
    let peer = orders::peer(&app.node, &told.peer).await?;
    app.node.disconnect(peer).await?;
    Ok(Json(DoneAnswer::to("disconnected", Named::Node(peer))))
}

/// Refuses a node, or whoever is at some addresses. Lasts over restarts.
#[utoipa::path(
    post, path = "/v1/actions/ban", tag = "actions", request_body = BanBody,
    responses((status = 200, description = "It is banned.", body = DoneAnswer), ActionErrors)
)]
pub(crate) async fn ban(State(app): State<App>, Told(told): Told<BanBody>) -> Done {
    let _turn = app.turn()?;
    let node = &app.node;
    let whom = orders::named(node, &told.whom).await?;
    let lasts = told.seconds.map_or(Duration::MAX, Duration::from_secs);
    let why = told.reason.as_deref().unwrap_or("by hand");
    match whom {
        Named::Node(peer) => node.ban(peer, why, lasts).await?,
        Named::Addresses(addresses) => node.ban_address(addresses, why, lasts).await?,
    }
    Ok(Json(DoneAnswer::to("banned", whom)))
}

/// Lifts a ban, which must be there as it is named.
#[utoipa::path(
    post, path = "/v1/actions/unban", tag = "actions", request_body = UnbanBody,
    responses((status = 200, description = "It is lifted.", body = DoneAnswer), ActionErrors)
)]
pub(crate) async fn unban(State(app): State<App>, Told(told): Told<UnbanBody>) -> Done {
    let _turn = app.turn()?;
    let node = &app.node;
    let whom = orders::named(node, &told.whom).await?;
    orders::is_banned(node, whom).await?;
    match whom {
        Named::Node(peer) => node.unban(peer).await?,
        Named::Addresses(addresses) => node.unban_address(addresses).await?,
    }
    Ok(Json(DoneAnswer::to("unbanned", whom)))
}

/// Keeps a slot for a peer, and a link to it.
#[utoipa::path(
    post, path = "/v1/actions/reserve", tag = "actions", request_body = ReserveBody,
    responses((status = 200, description = "It has one.", body = DoneAnswer), ActionErrors)
)]
pub(crate) async fn reserve(State(app): State<App>, Told(told): Told<ReserveBody>) -> Done {
    let _turn = app.turn()?;
    let peer = orders::peer(&app.node, &told.peer).await?;
    let address = told.address.as_deref().map(address).transpose()?;
    app.node.reserve(peer, address).await?;
    Ok(Json(DoneAnswer::to("reserved", Named::Node(peer))))
}

fn address(text: &str) -> Result<SocketAddr, Refusal> {
    text.parse().map_err(|_| {
        let sentence = format!("{text:?} is no address: ip:port was expected");
        Refusal::bad("bad_address", sentence)
    })
}

/// Keeps no slot for a peer any more.
#[utoipa::path(
    post, path = "/v1/actions/unreserve", tag = "actions", request_body = PeerBody,
    responses((status = 200, description = "It has none.", body = DoneAnswer), ActionErrors)
)]
pub(crate) async fn unreserve(State(app): State<App>, Told(told): Told<PeerBody>) -> Done {
    let _turn = app.turn()?;
    let peer = orders::peer(&app.node, &told.peer).await?;
    app.node.unreserve(peer).await?;
    Ok(Json(DoneAnswer::to("unreserved", Named::Node(peer))))
}

/// Says that a peer did wrong by rules that the node does not know: its score falls by
/// `trust_penalty_invalid`.
#[utoipa::path(
    post, path = "/v1/actions/trust", tag = "actions", request_body = TrustBody,
    responses((status = 200, description = "It is noted.", body = DoneAnswer), ActionErrors)
)]
pub(crate) async fn trust(State(app): State<App>, Told(told): Told<TrustBody>) -> Done {
    let _turn = app.turn()?;
    let peer = orders::peer(&app.node, &told.peer).await?;
    app.node.report(peer, &told.report).await?;
    Ok(Json(DoneAnswer::to("reported", Named::Node(peer))))
}

/// Tells one node, and answers when it acknowledged, or after 15 seconds.
#[utoipa::path(
    post, path = "/v1/actions/send", tag = "actions", request_body = SendBody,
    responses((status = 200, description = "It has it.", body = DoneAnswer), ActionErrors)
)]
pub(crate) async fn send(State(app): State<App>, Told(told): Told<SendBody>) -> Done {
    let _turn = app.turn()?;
    let peer = orders::peer(&app.node, &told.peer).await?;
    let id = app.node.send_to_peer(peer, &told.payload).await?;
    Ok(Json(DoneAnswer::sent("sent", id)))
}

/// Tells everyone, and answers when it is on disk.
#[utoipa::path(
    post, path = "/v1/actions/broadcast", tag = "actions", request_body = BroadcastBody,
    responses((status = 200, description = "It is on its way.", body = DoneAnswer), ActionErrors)
)]
pub(crate) async fn broadcast(State(app): State<App>, Told(told): Told<BroadcastBody>) -> Done {
    let _turn = app.turn()?;
    let id = app.node.broadcast(&told.payload).await?;
    Ok(Json(DoneAnswer::sent("broadcast", id)))
}

/// Ends the node, as Ctrl-C does.
#[utoipa::path(
    post, path = "/v1/actions/stop", tag = "actions",
    responses(
        (status = 200, description = "It begins to stop.", body = DoneAnswer),
        (status = 401, description = "No token.", body = ErrorAnswer),
    )
)]
pub(crate) async fn stop(State(app): State<App>) -> Json<DoneAnswer> {
    app.stop.notify_one();
    Json(DoneAnswer::new("stopping"))
}

//! What is answered instead of what was asked for.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use positron_networking::{AskTraceError, DhtError, DhtRefused, OrderError, Refused, SendError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A request that was not granted, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    wrong: Wrong,
}

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "code": "not_connected",
    "sentence": "node 07070707 is not connected",
    "remedy": "see who is: GET /v1/peers",
}))]
pub struct Wrong {
    /// One word of a closed list, for programs.
    pub code: String,
    /// What is wrong.
    pub sentence: String,
    /// What to do about it, if anything can be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub remedy: Option<String>,
}

/// The body of an answer that refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ErrorAnswer {
    /// What is wrong.
    pub error: Wrong,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &str, sentence: impl Into<String>) -> Self {
        let wrong = Wrong { code: code.to_owned(), sentence: sentence.into(), remedy: None };
        Self { status, wrong }
    }

    pub(crate) fn bad(code: &str, sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, sentence)
    }

    pub(crate) fn unknown(code: &str, sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, sentence)
    }

    pub(crate) fn conflict(code: &str, sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, sentence)
    }

    pub(crate) fn unavailable(code: &str, sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, sentence)
    }

    pub(crate) fn try_this(mut self, remedy: impl Into<String>) -> Self {
        self.wrong.remedy = Some(remedy.into());
        self
    }

    pub(crate) fn stopping() -> Self {
        Self::unavailable("stopping", "the node is stopping")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let answer = (self.status, Json(ErrorAnswer { error: self.wrong })).into_response();
        match self.status {
            // RFC 9110, 11.6.1: what would be accepted must be named.
            StatusCode::UNAUTHORIZED => {
                ([(header::WWW_AUTHENTICATE, "Bearer")], answer).into_response()
            }
            _ => answer,
        }
    }
}

impl From<DhtRefused> for Refusal {
    fn from(refused: DhtRefused) -> Self {
        let sentence = refused.to_string();
        match refused {
            DhtRefused::TooLarge(_) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", sentence)
            }
            DhtRefused::BadLife(_) => Self::bad("bad_ttl", sentence),
            DhtRefused::TooMany => Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", sentence),
            DhtRefused::TooManyPublished => {
                Self::conflict("too_many", sentence).try_this("delete some: POST /v1/dht/delete")
            }
            DhtRefused::OwnPeerRecord => Self::conflict("own_record", sentence),
            DhtRefused::Immutable => Self::conflict("immutable", sentence),
        }
    }
}

impl From<DhtError> for Refusal {
    fn from(error: DhtError) -> Self {
        let sentence = error.to_string();
        match error {
            DhtError::BadName(_) => Self::bad("bad_key", sentence),
            DhtError::Encode(_) | DhtError::Decode(_) => Self::bad("bad_value", sentence),
            DhtError::Table(refused) => refused.into(),
            DhtError::Refused(refused) => refused.into(),
            DhtError::NotEnoughHolders(_) => Self::conflict("not_enough_holders", sentence)
                .try_this(
                    "it is offered to others again by itself: GET /v1/dht tells by how many \
                           it is kept",
                ),
            DhtError::Stopped => Self::stopping(),
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let sentence = refused.to_string();
        match refused {
            Refused::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", sentence),
            Refused::ToOurselves | Refused::AgainstOurselves => {
                Self::conflict("ourselves", sentence)
            }
            Refused::BanWords(_) => Self::bad("reason_too_long", sentence),
            Refused::IsBanned(_) => {
                Self::conflict("is_banned", sentence).try_this("POST /v1/actions/unban")
            }
            Refused::IsReserved(_) => {
                Self::conflict("is_reserved", sentence).try_this("POST /v1/actions/unreserve")
            }
            Refused::NotConnected(_) => {
                Self::conflict("not_connected", sentence).try_this("see who is: GET /v1/peers")
            }
            Refused::NotReached(_) | Refused::NotReachedDirectly(_) | Refused::NoPong(_) => {
                Self::conflict("not_reached", sentence)
            }
            Refused::UnknownAddress(_) => Self::unknown("unknown_address", sentence)
                .try_this("GET /v1/status lists them, as `bootstrap`"),
            Refused::UnknownPeer { .. } | Refused::NotUsable(_) => {
                Self::unknown("unknown_peer", sentence)
                    .try_this("connect with it first: POST /v1/actions/join")
            }
            Refused::TooManyBans
            | Refused::TooManyAddressBans
            | Refused::TooManyReserved
            | Refused::TooManyAddresses
            | Refused::TooManySubscriptions => Self::conflict("too_many", sentence),
            Refused::TooManyPending
            | Refused::QueueFull
            | Refused::TooManyRequests
            | Refused::TooManyPings
            | Refused::TooManyLinks => Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", sentence),
            Refused::StorageWaits(_) | Refused::StorageFailed(_) => {
                Self::unavailable("storage", sentence)
            }
            Refused::Table(why) => why.into(),
            Refused::NotRecommended(_) => Self::conflict("not_recommended", sentence),
            Refused::Trace(why) => match why {
                AskTraceError::Unknown => Self::unknown("unknown_message", sentence),
                AskTraceError::NotOurs => Self::new(StatusCode::FORBIDDEN, "not_ours", sentence),
                AskTraceError::TooOld => Self::conflict("too_old", sentence),
                AskTraceError::TooOften { .. } => {
                    Self::new(StatusCode::TOO_MANY_REQUESTS, "too_often", sentence)
                }
            },
            Refused::Stopping => Self::stopping(),
            Refused::SubscriptionName(_) | Refused::NoSubscription(_) | Refused::Stream(_) => {
                Self::conflict("refused", sentence)
            }
        }
    }
}

impl From<OrderError> for Refusal {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Refused(refused) => refused.into(),
            OrderError::Stopped => Self::stopping(),
        }
    }
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        let sentence = error.to_string();
        match error {
            SendError::Refused(refused) => refused.into(),
            SendError::Stopped => Self::stopping(),
            SendError::NotDurable { .. } => Self::unavailable("storage", sentence),
            SendError::NotSerializable(_) => Self::bad("not_serializable", sentence),
            _ => Self::conflict("undelivered", sentence),
        }
    }
}

//! What callers want of the core.

use std::sync::{Arc, OnceLock};

use positron_proto::{
    id::{MessageId, NodeId, Ticket},
    identity::Verified,
    node::{Command, Outcome, Refused, Unacknowledged},
    trace::MessageTrace,
    wire::message::AppMessage,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::streams::OpenReply;
use crate::{
    DhtStats, LostPeer, PeerDetail, RecentDial, TrustedPeer,
    stats::{Ban, KnownNode},
};

/// How a command ended, or why it was not taken.
pub(crate) type Reply = Result<Outcome, Refused>;

/// What a caller wants of the core.
#[derive(Debug)]
pub(crate) enum Order {
    /// A command whose end is told.
    Command {
        /// What.
        command: Command,
        /// Whom to tell. A caller that left changes nothing.
        reply: oneshot::Sender<Reply>,
        /// Its place among the commands under way, until its end.
        permit: Option<OwnedSemaphorePermit>,
    },
    /// A request, and where its ticket is left as soon as it has one: whoever finds it there says
    /// so when nobody waits any more.
    Ask {
        /// What.
        command: Command,
        /// Whom to tell.
        reply: oneshot::Sender<Reply>,
        /// For the ticket.
        ticket: Arc<OnceLock<Ticket>>,
    },
    /// A stream to another node.
    OpenStream {
        /// Which.
        to: NodeId,
        /// Whom to give it.
        reply: OpenReply,
    },
    /// A new bootstrap address; told whether it was taken.
    Join {
        /// `host:port`.
        address: String,
        /// Whom to tell.
        reply: oneshot::Sender<Result<(), Refused>>,
    },
    /// A look at the core that is not older than the order.
    Publish {
        /// Whom to tell that it is there.
        reply: oneshot::Sender<()>,
    },
    /// What a durable subscription is to be handed.
    Next {
        /// Which subscription.
        name: String,
        /// From this number on.
        from: u64,
        /// Whom to tell.
        reply: oneshot::Sender<Option<Unacknowledged>>,
    },
    /// The broadcasts that are kept.
    History {
        /// Whom to tell.
        reply: oneshot::Sender<Vec<Verified<AppMessage>>>,
    },
    /// The bans that there are.
    Bans {
        /// Whom to tell.
        reply: oneshot::Sender<Vec<Ban>>,
    },
    /// Who left, and why.
    LostPeers {
        /// Whom to tell.
        reply: oneshot::Sender<Vec<LostPeer>>,
    },
    /// What came of the last dials.
    RecentDials {
        /// Whom to tell.
        reply: oneshot::Sender<Vec<RecentDial>>,
    },
    /// Who is known, and from whom.
    KnownNodes {
        /// Whom to tell.
        reply: oneshot::Sender<Vec<KnownNode>>,
    },
    /// What is known of the way of a message.
    Trace {
        /// Which.
        message: MessageId,
        /// Whom to tell.
        reply: oneshot::Sender<Option<MessageTrace>>,
    },
    /// What there is to say of one peer.
    PeerDetail {
        /// Of which.
        peer: NodeId,
        /// Whom to tell.
        reply: oneshot::Sender<PeerDetail>,
    },
    /// What there is to say of the hash table.
    TableStats {
        /// Whom to tell.
        reply: oneshot::Sender<DhtStats>,
    },
    /// Who is trusted.
    Trusted {
        /// How much at least.
        min_trust: f64,
        /// Whom to tell.
        reply: oneshot::Sender<Vec<TrustedPeer>>,
    },
}

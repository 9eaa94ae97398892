//! What the application says.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;

use crate::{
    dht::{DhtRefused, NameHash, NewRecord, Place, ReadMode, RecordKind},
    id::{MessageId, NodeId},
    limits::{
        LINK_WAIT, MAX_ADDRESS_BANS, MAX_BAN_WORDS, MAX_LINK_WISHES, MAX_ORDERED_BANS, MAX_PAYLOAD,
        MAX_PENDING_BROADCASTS, MAX_PINGS, MAX_RESERVED, MAX_SUBSCRIPTION_NAME, MAX_SUBSCRIPTIONS,
        PING_WAIT,
    },
    recommendation::NotRecommended,
    subnet::Subnet,
    substream::NotOpened,
    time::Duration,
    trace::AskTraceError,
};

/// Something that the application wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Tell everyone. Pushed at once; completes with `Durable`.
    Broadcast {
        /// What; MessagePack by convention.
        payload: Bytes,
    },
    /// Tell one node: one that is neither linked nor in the address book is looked for in the hash
    /// table. Completes with `Delivered` or `Undelivered`, or with `Refused` if it is not found.
    Send {
        /// Whom.
        to: NodeId,
        /// What.
        payload: Bytes,
    },
    /// Ask one node, which is looked for like a receiver of [`Send`](Self::Send). Completes with
    /// `Answered` or `Unanswered`, or with `Refused` if it is not found, unless
    /// [`super::Input::Unwanted`] comes first.
    Ask {
        /// Whom.
        to: NodeId,
        /// What.
        payload: Bytes,
        /// How long it may take, at most [`crate::limits::LONGEST_REQUEST`].
        timeout: Duration,
    },
    /// Make a link to `host:port` and keep it, like a bootstrap address. Completes at once with
    /// `Joining`.
    Join {
        /// Where.
        address: String,
    },
    /// Keep what comes for the application, under this name, until it is acknowledged; from now on,
    /// or, if there is such a subscription, on from what it acknowledged. Completes with `Noted`.
    Subscribe {
        /// The name of the subscription.
        name: String,
    },
    /// The application is done with a message and all before it. Completes with `Noted`.
    Acknowledge {
        /// The name of the subscription.
        name: String,
        /// The number of the message.
        up_to: u64,
    },
    /// Keep nothing more under this name. Completes with `Noted`.
    Unsubscribe {
        /// The name of the subscription.
        name: String,
    },
    /// Open a stream to a node, which is looked for like a receiver of [`Send`](Self::Send).
    /// Completes with `StreamOpened` or `StreamNotOpened`, or with `Refused` if it is not found.
    OpenStream {
        /// To whom.
        to: NodeId,
    },
    /// Make a link to a node, which is looked for like a receiver of [`Send`](Self::Send); through
    /// a relay if need be. Completes with `Linked` when there is one, or with `Refused` if it is
    /// not found, or not reached within [`LINK_WAIT`].
    Link {
        /// With whom.
        to: NodeId,
    },
    /// Ask a linked peer for a sign of life now. Completes with `Pong`, or with `Refused` if there
    /// is no answer within [`PING_WAIT`], or the session ends first.
    Ping {
        /// Whom.
        peer: NodeId,
    },
    /// Ask others for the way of a broadcast of ours: [`trace`](super::NodeCore::trace) tells what
    /// they report. Completes at once with `Noted`.
    Trace {
        /// Which.
        message: MessageId,
    },
    /// Ask a linked peer whom it trusts, and count its word for them. Completes with `Recommended`
    /// or `NotRecommended`.
    AskTrusted {
        /// Whom.
        peer: NodeId,
    },
    /// Tell all peers whom this node trusts. Completes at once with `Shared`.
    ShareTrusted,
    /// Do something with the hash table. Completes with `Table`.
    Table(TableOrder),
    /// Treat a peer so from now on. Completes at once with `Noted`.
    Peer(PeerOrder),
    /// Tell every peer goodbye. Completes with `Stopped`; afterwards everything is refused.
    Stop,
}

/// What the application wants of the hash table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableOrder {
    /// Publish a record, and renew it for as long as this node runs.
    Store(NewRecord),
    /// Look for records.
    Read {
        /// Under which key.
        key: Place,
        /// Of whom: of all publishers, if nobody is named.
        publisher: Option<NodeId>,
        /// How sure it is to be.
        mode: ReadMode,
    },
    /// Take back what this node published.
    Delete {
        /// Of which kind.
        kind: RecordKind,
        /// Under which name.
        name: NameHash,
    },
    /// Look for the nodes nearest to a place.
    Find(Place),
    /// Look for a node: what it says of itself, in the table and in the address book. Completes
    /// with [`DhtOutcome::Node`](crate::dht::DhtOutcome::Node).
    FindNode(NodeId),
}

/// How the application wants a peer to be treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerOrder {
    /// Close its session and refuse it, over restarts too; in place of any ban that it has.
    Ban {
        /// Whom.
        peer: NodeId,
        /// Why, for people.
        why: Arc<str>,
        /// For how long, [`LONGEST_BAN`](crate::limits::LONGEST_BAN) at most.
        lasts: Duration,
    },
    /// Lift its ban, whoever made it. Nothing happens if there is none.
    Unban {
        /// Whose.
        peer: NodeId,
    },
    /// Take nothing from these addresses and dial nobody there, over restarts too, in place of a
    /// ban of exactly these; sessions with who is there are closed. Not so of reserved peers,
    /// where they are expected.
    BanAddress {
        /// Which.
        addresses: Subnet,
        /// Why, for people.
        why: Arc<str>,
        /// For how long, [`LONGEST_BAN`](crate::limits::LONGEST_BAN) at most.
        lasts: Duration,
    },
    /// Lift the ban of exactly these addresses. Nothing happens if there is none.
    UnbanAddress {
        /// Which.
        addresses: Subnet,
    },
    /// End its session, and do not dial it for about
    /// [`REFUSED_PAUSE`](crate::limits::REFUSED_PAUSE) unless something for it is waiting. It may
    /// dial us.
    Disconnect {
        /// Whom.
        peer: NodeId,
    },
    /// Keep a slot for it beside all others, dial it for as long as it is not linked, and never ban
    /// it for its score, over restarts too, until it is unreserved or banned.
    Reserve {
        /// Whom.
        peer: NodeId,
        /// Where it is, besides what its record says.
        at: Option<SocketAddr>,
    },
    /// Treat it like others again. Nothing happens if no slot is reserved for it.
    Unreserve {
        /// Whom.
        peer: NodeId,
    },
    /// Dial this bootstrap address no more, whether the configuration or [`Peers::join`] gave it. A
    /// session with who is there goes on. The configuration gives it again at the next start.
    ///
    /// [`Peers::join`]: crate::peers::Peers::join
    Forget {
        /// As it was given.
        address: Arc<str>,
    },
    /// Lower its score by one plain penalty: it did wrong by the application's own rules.
    Report {
        /// Whom.
        peer: NodeId,
        /// Why, for people.
        why: Arc<str>,
    },
}

/// Why a command was not taken, or not carried out. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The payload is too large.
    #[error("the payload has {0} bytes, the limit is {MAX_PAYLOAD}")]
    TooLarge(usize),
    /// Too many broadcasts wait for the disk, or for peers that are slower.
    #[error("too many broadcasts wait already, for the disk or for slower peers")]
    TooManyPending,
    /// Too many direct messages wait for their receivers.
    #[error("too many direct messages wait for their receivers")]
    QueueFull,
    /// Too many requests wait for their answers.
    #[error("too many requests wait for their answers")]
    TooManyRequests,
    /// A message to ourselves.
    #[error("a node does not send messages to itself")]
    ToOurselves,
    /// An order about a peer that names ourselves.
    #[error("a node does not treat itself as a peer")]
    AgainstOurselves,
    /// The words of a ban or a report are too long.
    #[error("the words for a ban or a report have at most {MAX_BAN_WORDS} bytes, these have {0}")]
    BanWords(usize),
    /// Too many bans by the application.
    #[error("an application bans at most {MAX_ORDERED_BANS} nodes at once; lift one first")]
    TooManyBans,
    /// Too many bans of addresses.
    #[error("a node has at most {MAX_ADDRESS_BANS} bans of addresses; lift one first")]
    TooManyAddressBans,
    /// Too many reserved peers.
    #[error("a node has at most {MAX_RESERVED} reserved peers")]
    TooManyReserved,
    /// The application has banned the node that it wants to reserve a slot for.
    #[error("node {0} is banned by the application; lift the ban first")]
    IsBanned(NodeId),
    /// A reserved peer would be dialled again at once.
    #[error("a slot is reserved for node {0}; give that up first")]
    IsReserved(NodeId),
    /// There is no session to end.
    #[error("node {0} is not connected")]
    NotConnected(NodeId),
    /// Neither linked nor in the address book, nor found in the hash table.
    #[error(
        "no node with id {peer} is known, nor found in the hash table: {asked} nodes were asked"
    )]
    UnknownPeer {
        /// Who was looked for.
        peer: NodeId,
        /// How many nodes were asked.
        asked: usize,
    },
    /// The hash table has a record of it that is of no use.
    #[error(
        "node {0} was found in the hash table, but it is banned, or its record is wrong, or names \
         no address that may be dialled from here"
    )]
    NotUsable(NodeId),
    /// It does not answer, nor does any peer that it is linked with forward to it.
    #[error(
        "node {0} was not reached within {wait} s, neither directly nor through a relay",
        wait = LINK_WAIT.as_secs()
    )]
    NotReached(NodeId),
    /// Nobody answers at its addresses, and this node takes no relays.
    #[error(
        "node {0} was not reached within {wait} s directly, and this node uses no relays \
         (`direct_only`)",
        wait = LINK_WAIT.as_secs()
    )]
    NotReachedDirectly(NodeId),
    /// It is linked, and did not answer.
    #[error("node {0} did not answer within {wait} s", wait = PING_WAIT.as_secs())]
    NoPong(NodeId),
    /// Too many answers to a PING are waited for.
    #[error("{MAX_PINGS} answers to a PING are waited for already")]
    TooManyPings,
    /// Too many links are waited for.
    #[error("{MAX_LINK_WISHES} links are waited for already")]
    TooManyLinks,
    /// Too many addresses to join at.
    #[error("too many bootstrap addresses")]
    TooManyAddresses,
    /// No bootstrap address to forget.
    #[error("{0} is no bootstrap address of this node")]
    UnknownAddress(Arc<str>),
    /// Too many broadcasts wait for a disk that takes nothing for now, and why.
    #[error("{MAX_PENDING_BROADCASTS} broadcasts wait for storage already: {0}")]
    StorageWaits(String),
    /// The name of a subscription is empty or too long.
    #[error("the name of a subscription has 1 to {MAX_SUBSCRIPTION_NAME} bytes, this one has {0}")]
    SubscriptionName(usize),
    /// Too many durable subscriptions.
    #[error("a node has at most {MAX_SUBSCRIPTIONS} durable subscriptions")]
    TooManySubscriptions,
    /// There is no such subscription.
    #[error("there is no durable subscription {0:?}")]
    NoSubscription(String),
    /// The message cannot be traced.
    #[error(transparent)]
    Trace(#[from] AskTraceError),
    /// The peer cannot be asked whom it trusts.
    #[error(transparent)]
    NotRecommended(#[from] NotRecommended),
    /// The hash table does not do it.
    #[error(transparent)]
    Table(#[from] DhtRefused),
    /// Storage failed earlier, and why.
    #[error("storage failed: {0}")]
    StorageFailed(String),
    /// There are too many streams.
    #[error(transparent)]
    Stream(NotOpened),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// Whether a payload may be said.
pub(super) const fn check_size(payload: &Bytes) -> Result<(), Refused> {
    if payload.len() > MAX_PAYLOAD { Err(Refused::TooLarge(payload.len())) } else { Ok(()) }
}

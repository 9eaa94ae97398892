//! What the application hears.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{HandedOver, view::UsedTwice};
use crate::{
    gossip::ValidationId,
    handshake::Direction,
    id::{MessageId, NodeId, Ticket},
    misbehavior::BanReason,
    reason::Reason,
    relay::PeerPlace,
    session::sessions::{DialFailure, DialRequest, DownReason, LinkKind},
    substream::{NotOpened, SubstreamId, SubstreamNews},
    time::WallTime,
    trust::AddressBan,
    wire::frame::CloseReason,
};

/// Something that the application may want to know; each says why.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A message for the application, handed over once in a life of the process.
    Message(HandedOver),
    /// A broadcast came, if the application says which are valid
    /// ([`GossipConfig::validates`](crate::gossip::GossipConfig::validates)): answer with
    /// [`super::Input::Validity`]. Until then it is handed over and passed on to nobody.
    Validate {
        /// Its name.
        id: ValidationId,
        /// As it will be handed over.
        message: HandedOver,
    },
    /// Something happened to a stream between nodes.
    Stream {
        /// Which.
        id: SubstreamId,
        /// What.
        news: SubstreamNews,
    },
    /// A peer asks the application something: answer with [`super::Input::Answered`].
    Request {
        /// Who asks.
        from: NodeId,
        /// Which of its requests.
        id: u64,
        /// What.
        payload: Bytes,
    },
    /// The answer to a request is not wanted any more.
    RequestAbandoned {
        /// Who asked.
        from: NodeId,
        /// Which of its requests.
        id: u64,
    },
    /// What a command asked for is over.
    Completed {
        /// Which.
        ticket: Ticket,
        /// How.
        outcome: Outcome,
    },
    /// A session is up.
    PeerJoined {
        /// With whom.
        peer: NodeId,
        /// Where.
        place: PeerPlace,
        /// Who dialled.
        direction: Direction,
    },
    /// A session goes on over another path.
    PeerMoved {
        /// With whom.
        peer: NodeId,
        /// Where it is now.
        place: PeerPlace,
        /// What its link is made of now.
        transport: LinkKind,
    },
    /// A session is over.
    PeerLeft {
        /// With whom.
        peer: NodeId,
        /// Why.
        reason: DownReason,
    },
    /// Newcomers were refused: the last of them, and how many more since this was said last for the
    /// same reason.
    PeersRefused {
        /// Whom.
        peer: NodeId,
        /// Where.
        place: PeerPlace,
        /// Why, as it was told.
        reason: CloseReason,
        /// Others, of whom nothing was said.
        untold: u64,
    },
    /// There are fewer peers than `min_peers`, and have been for about a discovery interval. Said
    /// once, until there are enough.
    FewPeers {
        /// How many there are.
        linked: usize,
        /// How many there should be.
        wanted: usize,
    },
    /// A dial led to nothing.
    DialFailed {
        /// What was wished.
        dial: DialRequest,
        /// Why.
        reason: DialFailure,
    },
    /// A peer is refused from now on.
    PeerBanned {
        /// Whom.
        peer: NodeId,
        /// For what.
        why: BanReason,
        /// Until when.
        until: WallTime,
    },
    /// Whoever is at these addresses is refused from now on.
    AddressBanned(AddressBan),
    /// A peer has another key now, as the old one and the new one say: what was made of the old
    /// one, bans and reservations included, is made of the new one.
    PeerSucceeded {
        /// The id that is nobody's any more.
        old: NodeId,
        /// The id of the same peer from now on.
        new: NodeId,
    },
    /// The key of a peer, or a former key of ours, named a second successor: somebody has it beside
    /// its holder. The first one stays.
    SuccessionConflict {
        /// Whose key.
        old: NodeId,
        /// Who came after it here.
        kept: NodeId,
        /// Who did not.
        refused: NodeId,
    },
    /// Our own key gave way to another one, as it signed itself: this is an old copy of it, or
    /// somebody else has it. Peers that know of it refuse us.
    KeyRetired {
        /// Who has its place.
        successor: NodeId,
    },
    /// Others can reach us here, as far as we know.
    ExternalAddresses(Vec<SocketAddr>),
    /// A broadcast left the retention window before these peers had it: they take too little, and
    /// were waited for as long as anybody is. They do not get it from this node any more.
    BroadcastOutran {
        /// Which.
        message: MessageId,
        /// Who lacks it. Empty if nobody is connected any more who lacks it, and nobody has said
        /// that it has it.
        peers: Vec<NodeId>,
    },
    /// A node signed two contents under one number, and others who hold one of them get both: a
    /// proof that everybody can check. The application has the first one that came here, elsewhere
    /// perhaps the other one. Sixteen are told at once, and then one a second.
    Equivocated {
        /// Who.
        sender: NodeId,
        /// Under which number.
        sequence: u64,
        /// The broadcast that was handed over here, and the other one.
        messages: [MessageId; 2],
        /// How many others were not told since the last time.
        untold: u64,
    },
    /// Others showed us something that our key signed with higher numbers than our database and
    /// clock know of: the database was lost or is an old one, the clock was wrong, or the key is
    /// used elsewhere. Our numbers go on above. Told once in a minute.
    NumbersBehind,
    /// A key is used in two places at once: ours, or that of a peer. Told once in a minute.
    UsedTwice(UsedTwice),
    /// Storage takes nothing for now, or waits for something else than before. Broadcasts are sent
    /// and wait for it.
    StorageWaits {
        /// Why, in one word.
        reason: Reason,
        /// What it waits for, in words.
        why: String,
    },
    /// Storage takes what it is given again.
    StorageBack,
    /// Storage failed for good.
    StorageFailed {
        /// Why, in one word.
        reason: Reason,
        /// Why, in words.
        why: String,
    },
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broadcast and its number are on disk: it survives a crash of this process.
    Durable(MessageId),
    /// The receiver of the direct message acknowledged it, end to end.
    Delivered(MessageId),
    /// The direct message was given up, and why.
    Undelivered(crate::direct::Undelivered),
    /// The application of the other node answered the request.
    Answered(Bytes),
    /// The request was not answered, and why.
    Unanswered(crate::request::Unanswered),
    /// Storage failed before it was durable; a broadcast may have reached others all the same.
    NotDurable(String),
    /// The stream is open.
    StreamOpened(SubstreamId),
    /// There is no stream, and why.
    StreamNotOpened(NotOpened),
    /// There is a session with the node.
    Linked,
    /// How long it took ([`super::Command::Ping`]).
    Pong(super::RoundTrip),
    /// The address is dialled from now on ([`super::Command::Join`]); events tell how it goes.
    Joining,
    /// A subscription, or what it acknowledged, is on disk; or a [`super::PeerOrder`] is obeyed
    /// from now on.
    Noted,
    /// It was not done after all, and why.
    Refused(super::Refused),
    /// Whom the peer trusts.
    Recommended(Vec<crate::words::Recommendation>),
    /// The peer did not say whom it trusts, and why.
    NotRecommended(crate::recommendation::NotRecommended),
    /// So many peers were told whom this node trusts.
    Shared {
        /// How many.
        peers: usize,
    },
    /// What came of a [`super::TableOrder`].
    Table(Box<crate::dht::DhtOutcome>),
    /// Every session was told goodbye ([`super::Command::Stop`]).
    Stopped,
}

//! What peers want done.

use std::net::SocketAddr;

use super::{KnownPeer, PeersMessage, Reservation};
use crate::{
    id::NodeId,
    identity::Signed,
    misbehavior::Observation,
    session::sessions::{DialRequest, Peer},
    wire::{frame::CloseReason, record::PeerRecord},
};

/// What peers want done.
#[derive(Clone, Debug, PartialEq)]
pub enum PeersEffect {
    /// Dial; report [`handle_dial_ended`](super::Peers::handle_dial_ended).
    Dial(DialRequest),
    /// Look up `host:port`; report [`handle_resolved`](super::Peers::handle_resolved).
    Resolve(String),
    /// Let in who knocked ([`handle_incoming`](super::Peers::handle_incoming)).
    Admit(Peer),
    /// Do not let in who knocked; addresses of others go first.
    Refuse {
        /// Whom.
        peer: Peer,
        /// Why.
        reason: CloseReason,
        /// What to say before.
        parting: Option<PeersMessage>,
    },
    /// Newcomers were refused: the last of them, and how many more were since this was told last
    /// for the same reason.
    Refused {
        /// Whom.
        peer: Peer,
        /// Why.
        reason: CloseReason,
        /// Others, of whom nothing was told.
        untold: u64,
    },
    /// End a session.
    Disconnect {
        /// With whom.
        peer: NodeId,
        /// Why.
        reason: CloseReason,
    },
    /// Send this.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: PeersMessage,
    },
    /// Check the signature of a record; report
    /// [`handle_verified`](super::Peers::handle_verified) or
    /// [`handle_refuted`](super::Peers::handle_refuted).
    Verify {
        /// Who brought it.
        from: NodeId,
        /// The claim.
        record: Signed<PeerRecord>,
    },
    /// Keep it across restarts.
    Remember(KnownPeer),
    /// Drop it from the address book.
    Forget(NodeId),
    /// Keep across restarts that a slot is kept for it.
    Reserved(Reservation),
    /// Do so no more.
    Unreserved(NodeId),
    /// Something was seen of a peer.
    Observed {
        /// Of whom.
        peer: NodeId,
        /// What.
        what: Observation,
    },
    /// A peer said hello, and with it what it knows of us: nothing new, or a record of ours with
    /// this sequence, which we have outrun since.
    Recognized {
        /// That of the record.
        outrun: Option<u64>,
    },
    /// There have been fewer peers than there should be since the last look, or since the start.
    /// Told once, until there are enough.
    FewPeers {
        /// How many there are.
        linked: usize,
        /// How many there should be.
        wanted: usize,
    },
    /// Our own addresses changed, as far as others can see them.
    ExternalAddresses(Vec<SocketAddr>),
}

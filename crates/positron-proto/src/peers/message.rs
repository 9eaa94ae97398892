//! What others say.

use crate::{
    identity::Signed,
    wire::{Address, record::PeerRecord},
};

/// What a peer said that concerns peers.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "made once, matched at once, never kept")]
pub enum PeersMessage {
    /// First message of a session, or its answer.
    Hello {
        /// Whether it is the answer.
        answer: bool,
        /// Its own record.
        record: Signed<PeerRecord>,
        /// Where it sees us.
        observed: Address,
        /// Whom it knows.
        peers: Vec<Signed<PeerRecord>>,
    },
    /// It is there, with so many peers.
    Heartbeat(u32),
    /// It wants so many records.
    Discovery(u8),
    /// Whom it knows. Also what a node says that is about to refuse our dial
    /// ([`Parting`](crate::session::sessions::SessionEffect::Referral)).
    Announcement(Vec<Signed<PeerRecord>>),
}

//! What goes into gossip and what comes out.

use crate::{
    id::NodeId,
    identity::{Signed, Verified},
    misbehavior::Observation,
    wire::{
        holdings::Holdings,
        message::{AppMessage, Message},
    },
};

/// What a peer said that concerns gossip.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// A message, with its remaining hops.
    Push(u8, Signed<AppMessage>),
    /// What it has; an empty list ends its answer to a [`Incoming::Sync`].
    Have(Holdings),
    /// What it wants.
    Want(Holdings),
    /// The fingerprint of what it keeps.
    Sync {
        /// How many.
        count: u64,
        /// The sum of their ids.
        fingerprint: [u8; 32],
    },
}

/// What gossip wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Out {
    /// Send this; a full queue loses it, and anti-entropy brings it later.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Check a signature; report [`Gossip::verified`](super::Gossip::verified),
    /// [`refuted`](super::Gossip::refuted) or [`unchecked`](super::Gossip::unchecked).
    Verify {
        /// Who brought it.
        from: NodeId,
        /// Its remaining hops.
        ttl: u8,
        /// The claim.
        claim: Signed<AppMessage>,
    },
    /// Hand it to the application: new here, and never handed over before.
    Deliver {
        /// What.
        message: Verified<AppMessage>,
        /// Who brought it.
        from: NodeId,
    },
    /// Keep it across restarts.
    Keep(Verified<AppMessage>),
    /// It left the retention window. The [`Out::Floor`] that keeps it out came before.
    Forget {
        /// Whose.
        sender: NodeId,
        /// Which.
        sequence: u64,
    },
    /// Messages of this sender below `floor` are old: never delivered again, not even after a
    /// restart.
    Floor {
        /// Whose.
        sender: NodeId,
        /// The lowest number that may still be new.
        floor: u64,
    },
    /// This sender has no floor any more: too many others were heard since.
    ForgetFloor(NodeId),
    /// Something was seen of a peer.
    Observed {
        /// Of whom.
        peer: NodeId,
        /// What.
        what: Observation,
    },
}

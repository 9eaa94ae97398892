//! What comes out of successions.

use super::{Acceptance, Succession, SuccessionMessage};
use crate::{
    id::NodeId,
    identity::{Signed, Verified},
    misbehavior::Misbehavior,
};

/// What somebody is to us, as the node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tie {
    /// Nobody, or somebody of whom we only heard.
    None,
    /// It is linked, a dial of ours found it, or something is made of it.
    Known,
    /// The application keeps a slot for it, or it is this node.
    Reserved,
}

/// What successions want done.
#[derive(Clone, Debug, PartialEq)]
pub enum SuccessionEffect {
    /// Check what the new key signed; report
    /// [`handle_accepted`](super::Successions::handle_accepted) or
    /// [`handle_refuted`](super::Successions::handle_refuted).
    VerifyAcceptance {
        /// Who brought it.
        from: NodeId,
        /// The claim.
        claim: Signed<Acceptance>,
    },
    /// Check what the old key signed; report
    /// [`handle_verified`](super::Successions::handle_verified) or
    /// [`handle_refuted`](super::Successions::handle_refuted).
    Verify {
        /// Who brought it.
        from: NodeId,
        /// The claim.
        claim: Signed<Succession>,
    },
    /// Send this.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: SuccessionMessage,
    },
    /// A key gave way to another: keep it, and let everything that was made of the old one follow.
    Learned(Verified<Succession>),
    /// Forget who came after this key.
    Forget(NodeId),
    /// A key named a second successor: whoever has it, its holder and somebody else, does not have
    /// it alone.
    Conflict {
        /// Which key.
        old: NodeId,
        /// Who came after it here.
        kept: NodeId,
        /// Who did not.
        refused: NodeId,
    },
    /// A peer did wrong.
    Misbehaved {
        /// Who.
        peer: NodeId,
        /// What.
        what: Misbehavior,
    },
}

//! The rows of the table of links.

use std::net::SocketAddr;

use super::{admission::Quota, attempt::AttemptId, contract::LinkKind, link::SessionLink};

/// One link.
#[derive(Debug)]
pub(super) struct LinkEntry {
    pub(super) kind: LinkKind,
    pub(super) addr: SocketAddr,
    pub(super) stage: Stage,
    /// Bytes that its carrier was known to be rid of when that was looked at last.
    pub(super) taken: u64,
    pub(super) place: Quota,
}

/// How far a link is; the diagram is in [`super`].
#[derive(Debug)]
pub(super) enum Stage {
    /// We dial; nothing has answered yet.
    Connecting(AttemptId),
    /// We dialled and something answers: the handshake is under way.
    Initiating(AttemptId),
    /// We dialled and have keys; our first PING is out.
    AwaitPong(AttemptId, Box<SessionLink>, ReferralState),
    /// The other end dialled, and nothing is known of it.
    Responding,
    /// The other end dialled and is known; its first record is awaited.
    AwaitFirstRecord(Box<SessionLink>),
    /// The other end dialled and is live; the node decides.
    AwaitAdmission(Box<SessionLink>),
    /// The link of a session.
    Up(Box<SessionLink>),
    /// We hung up; what still arrives is dropped.
    Closing,
}

/// Whether the other end said something before it answered our PING. It may once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReferralState {
    Possible,
    Said,
}

impl LinkEntry {
    pub(super) const fn new(kind: LinkKind, addr: SocketAddr, stage: Stage, place: Quota) -> Self {
        Self { kind, addr, stage, taken: 0, place }
    }

    /// The link, once it has keys.
    pub(super) fn link(&self) -> Option<&SessionLink> {
        match &self.stage {
            Stage::AwaitPong(_, link, _)
            | Stage::AwaitFirstRecord(link)
            | Stage::AwaitAdmission(link)
            | Stage::Up(link) => Some(link),
            _ => None,
        }
    }

    /// The link, once it has keys.
    pub(super) fn link_mut(&mut self) -> Option<&mut SessionLink> {
        match &mut self.stage {
            Stage::AwaitPong(_, link, _)
            | Stage::AwaitFirstRecord(link)
            | Stage::AwaitAdmission(link)
            | Stage::Up(link) => Some(link),
            _ => None,
        }
    }

    /// The dial of ours that it belongs to, while it is not up.
    pub(super) const fn race(&self) -> Option<AttemptId> {
        match self.stage {
            Stage::Connecting(race) | Stage::Initiating(race) | Stage::AwaitPong(race, ..) => {
                Some(race)
            }
            _ => None,
        }
    }

    /// Whether its handshake is not complete.
    pub(super) const fn is_half_open(&self) -> bool {
        !matches!(self.stage, Stage::Up(_) | Stage::Closing)
    }
}

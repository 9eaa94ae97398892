//! How far a link is, and what may be said on it before both ends agreed.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{
    admission::Quota, contract::LinkKind, fault::LinkFault, happy_eyeballs::AttemptId,
    link::SessionLink,
};
use crate::{id::NodeId, time::Instant, wire::frame::Frame};

/// One link.
#[derive(Debug)]
pub(super) struct LinkEntry {
    pub(super) kind: LinkKind,
    pub(super) addr: SocketAddr,
    pub(super) stage: Stage,
    /// Bytes that its carrier was known to be rid of when that was looked at last.
    pub(super) taken: u64,
    pub(super) place: Quota,
    /// When somebody was there first.
    pub(super) reached: Instant,
}

impl LinkEntry {
    pub(super) const fn new(
        now: Instant,
        kind: LinkKind,
        addr: SocketAddr,
        stage: Stage,
        place: Quota,
    ) -> Self {
        Self { kind, addr, stage, taken: 0, place, reached: now }
    }
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
    Established(Box<SessionLink>),
    /// We hung up; what still arrives is dropped.
    Closing,
}

/// Whether the other end said something before it answered our PING. It may once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReferralState {
    Possible,
    Said,
}

/// What a frame means before the session is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    Nothing,
    /// A last word before a refusal.
    Parting {
        peer: NodeId,
        body: Bytes,
    },
    /// The dialler's first record: it is no old message sent again.
    Live,
    /// The listener lets us in.
    Agreed,
}

impl Stage {
    /// The link, once it has keys.
    pub(super) fn link(&self) -> Option<&SessionLink> {
        match self {
            Self::AwaitPong(_, link, _)
            | Self::AwaitFirstRecord(link)
            | Self::AwaitAdmission(link)
            | Self::Established(link) => Some(link),
            _ => None,
        }
    }

    /// The link, once it has keys.
    pub(super) fn link_mut(&mut self) -> Option<&mut SessionLink> {
        match self {
            Self::AwaitPong(_, link, _)
            | Self::AwaitFirstRecord(link)
            | Self::AwaitAdmission(link)
            | Self::Established(link) => Some(link),
            _ => None,
        }
    }

    /// The dial of ours that it belongs to, while it is not that of a session.
    pub(super) const fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::Connecting(id) | Self::Initiating(id) | Self::AwaitPong(id, ..) => Some(*id),
            _ => None,
        }
    }

    /// Whether its handshake is not complete.
    pub(super) const fn is_half_open(&self) -> bool {
        !matches!(self, Self::Established(_) | Self::Closing)
    }

    /// The next frame of the record at hand, before the session is up: `None` if there is none, or
    /// this is no time for greetings.
    pub(super) fn next_greeting(&mut self, now: Instant) -> Option<Result<Greeting, LinkFault>> {
        let (Self::AwaitPong(_, link, _)
        | Self::AwaitFirstRecord(link)
        | Self::AwaitAdmission(link)) = self
        else {
            return None;
        };
        match link.next_frame() {
            Ok(None) => None,
            Ok(Some(Frame::Close(reason))) => Some(Err(LinkFault::Closed(reason))),
            Ok(Some(frame)) => Some(self.greet(now, frame)),
            Err(fault) => Some(Err(fault)),
        }
    }

    fn greet(&mut self, now: Instant, frame: Frame) -> Result<Greeting, LinkFault> {
        match (self, frame) {
            (_, Frame::Unknown { .. }) => Ok(Greeting::Nothing),
            (Self::AwaitPong(_, link, _), Frame::Pong { token }) => {
                let answered = link.keep_alive.handle_pong(now, token);
                Ok(if answered.is_some() { Greeting::Agreed } else { Greeting::Nothing })
            }
            (Self::AwaitPong(_, link, parting), Frame::Message { body, .. })
                if *parting == ReferralState::Possible =>
            {
                *parting = ReferralState::Said;
                Ok(Greeting::Parting { peer: link.peer.id, body })
            }
            (Self::AwaitFirstRecord(link), Frame::Ping { token }) => {
                link.handle_introduction(token);
                link.keep_alive.handle_ping(now, token).map(|()| Greeting::Live)
            }
            (Self::AwaitAdmission(link), Frame::Ping { token }) => {
                link.keep_alive.handle_ping(now, token).map(|()| Greeting::Nothing)
            }
            _ => Err(LinkFault::violation("a frame before the session is up")),
        }
    }

    /// The dialler is live: the node is to decide. Not at any other stage.
    pub(super) fn await_admission(&mut self) {
        *self = match core::mem::replace(self, Self::Closing) {
            Self::AwaitFirstRecord(link) => Self::AwaitAdmission(link),
            other => other,
        };
    }

    /// Both ends agreed: from now on it is the link of a session. Not at any other stage.
    pub(super) fn establish(&mut self, now: Instant) {
        *self = match core::mem::replace(self, Self::Closing) {
            Self::AwaitPong(_, mut link, _) | Self::AwaitAdmission(mut link) => {
                link.handle_established(now);
                Self::Established(link)
            }
            other => other,
        };
    }
}

//! What a peer was asked, so that we see whose packets get in.

use std::{net::SocketAddr, num::NonZeroU16};

use super::trials::{DatagramPeer, TrialSender};
use crate::{
    datagram::contract::ExtraSocket, limits::FILTERING_REPLY_WAIT, rng::Rng, scope::canonical,
    stun::TransactionId, time::Instant,
};

/// How a peer may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TrialKind {
    /// To send to our listening socket from another port.
    OtherPort,
    /// To have a stranger send there.
    Stranger,
    /// The same for a fresh socket that sent to the peer alone, to which everybody else is a
    /// stranger.
    FreshSocket,
}

/// One question under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrialQuestion {
    /// Names the packet that is waited for.
    pub(super) id: TransactionId,
    pub(super) of: DatagramPeer,
    pub(super) kind: TrialKind,
    pub(super) awaits: AwaitedPacket,
    /// The fresh socket.
    pub(super) socket: Option<ExtraSocket>,
    /// Which port of ours is tried, if not that at which the peer sees the listening socket: where
    /// it sees the fresh one, or a mapped one.
    pub(super) port: Option<NonZeroU16>,
    pub(super) until: Instant,
}

/// What comes next, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AwaitedPacket {
    /// The peer's answer to the fresh socket.
    Mapping,
    /// A packet from another port of the peer: whether it says that it sent one.
    OtherPort { is_sent: bool },
    /// A stranger's packet: who it is, once the peer has said that.
    Stranger(Option<SocketAddr>),
}

impl TrialQuestion {
    /// A question that is asked now.
    pub(super) fn new(
        now: Instant,
        of: DatagramPeer,
        (kind, socket): (TrialKind, Option<ExtraSocket>),
        rng: &mut Rng,
    ) -> Self {
        let awaits = match kind {
            TrialKind::OtherPort => AwaitedPacket::OtherPort { is_sent: false },
            TrialKind::Stranger => AwaitedPacket::Stranger(None),
            TrialKind::FreshSocket => AwaitedPacket::Mapping,
        };
        let (id, until) = (TransactionId::draw(rng), now + FILTERING_REPLY_WAIT);
        Self { id, of, kind, awaits, socket, port: None, until }
    }

    /// The next question to the same peer, of the same fresh socket.
    pub(super) fn then(self, now: Instant, awaits: AwaitedPacket, rng: &mut Rng) -> Self {
        let (id, until) = (TransactionId::draw(rng), now + FILTERING_REPLY_WAIT);
        Self { id, awaits, until, ..self }
    }

    /// Who sent to the fresh socket, by where the packet came from: `None` for the one address that
    /// the socket itself sent to.
    pub(super) fn sender_to_fresh(&self, from: SocketAddr) -> Option<TrialSender> {
        let peer = canonical(self.of.addr);
        match (from.ip() == peer.ip(), from.port() == peer.port()) {
            (false, _) => Some(TrialSender::Stranger),
            (true, false) => Some(TrialSender::AnotherPort),
            (true, true) => None,
        }
    }
}

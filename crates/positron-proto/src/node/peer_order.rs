//! How the rooms keep to what the application decides about its peers.

use super::{PeerOrder, Refused, RoomQueues};
use crate::{
    id::NodeId, limits::MAX_BAN_WORDS, peers::Peers, standings::TrustTable, time::Now, trust::Trust,
};

impl PeerOrder {
    /// Has the rooms keep to it.
    pub(super) fn obey(
        self,
        now: Now,
        (trust, peers): (&mut Trust, &mut Peers),
        queues: &mut RoomQueues,
    ) -> Result<(), Refused> {
        let refuse = |refused: bool, why: Refused| if refused { Err(why) } else { Ok(()) };
        match self {
            Self::Ban { peer, why, lasts } => {
                check_words(&why)?;
                let is_banned = trust.ban(now, peer, why, lasts, &mut queues.trust);
                refuse(!is_banned, Refused::TooManyBans)?;
            }
            Self::Unban { peer } => {
                if trust.unban(now, peer, &mut queues.trust) {
                    peers.handle_unbanned(now, peer);
                }
            }
            Self::Disconnect { peer } => {
                refuse(peers.is_reserved(&peer), Refused::IsReserved(peer))?;
                let is_let_go = peers.disconnect(peer, &mut queues.peers);
                refuse(!is_let_go, Refused::NotConnected(peer))?;
            }
            Self::Report { peer, why } => {
                check_words(&why)?;
                trust.report(now, peer, why, &mut queues.trust);
            }
            Self::Reserve { peer, at } => {
                refuse(!peers.may_reserve(&peer), Refused::TooManyReserved)?;
                let is_spared = trust.spare(now, peer, &mut queues.trust);
                refuse(!is_spared, Refused::IsBanned(peer))?;
                peers.reserve(now, peer, at);
            }
            Self::Unreserve { peer } => {
                trust.spare_no_more(&peer);
                peers.unreserve(&peer, &mut queues.peers);
            }
        }
        Ok(())
    }

    /// The same, about who has the place of a key that gave way to others.
    pub(super) fn for_current(mut self, standings: &TrustTable) -> Self {
        match &mut self {
            Self::Ban { peer, .. }
            | Self::Unban { peer }
            | Self::Disconnect { peer }
            | Self::Report { peer, .. }
            | Self::Reserve { peer, .. }
            | Self::Unreserve { peer } => *peer = standings.current(*peer),
        }
        self
    }

    /// Whom it concerns.
    pub(super) const fn peer(&self) -> NodeId {
        match self {
            Self::Ban { peer, .. }
            | Self::Unban { peer }
            | Self::Disconnect { peer }
            | Self::Report { peer, .. }
            | Self::Reserve { peer, .. }
            | Self::Unreserve { peer } => *peer,
        }
    }
}

const fn check_words(why: &str) -> Result<(), Refused> {
    if why.len() > MAX_BAN_WORDS { Err(Refused::BanWords(why.len())) } else { Ok(()) }
}

//! How the rooms keep to what the application decides about its peers.

use super::{PeerOrder, Refused, RoomQueues};
use crate::{
    id::NodeId,
    limits::MAX_BAN_WORDS,
    peers::{Peers, PeersEffect, Reservation},
    standings::TrustTable,
    time::Now,
    trust::Trust,
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
            Self::BanAddress { addresses, why, lasts } => {
                check_words(&why)?;
                let out = &mut queues.trust;
                let is_banned = trust.ban_address(now, addresses, why, lasts, out);
                refuse(!is_banned, Refused::TooManyAddressBans)?;
            }
            Self::UnbanAddress { addresses } => {
                trust.unban_address(addresses, &mut queues.trust);
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
                peers.reserve(now, Reservation { peer, at }, &mut queues.peers);
            }
            Self::Forget { address } => {
                let is_forgotten = peers.forget(&address);
                refuse(!is_forgotten, Refused::UnknownAddress(address))?;
            }
            Self::Unreserve { peer } => {
                trust.spare_no_more(&peer);
                peers.unreserve(&peer, trust.standings(), &mut queues.peers);
            }
        }
        Ok(())
    }

    /// The same, about who has the place of a key that gave way to others.
    pub(super) fn for_current(mut self, standings: &TrustTable) -> Self {
        match &mut self {
            Self::BanAddress { .. } | Self::UnbanAddress { .. } | Self::Forget { .. } => {}
            Self::Ban { peer, .. }
            | Self::Unban { peer }
            | Self::Disconnect { peer }
            | Self::Report { peer, .. }
            | Self::Reserve { peer, .. }
            | Self::Unreserve { peer } => *peer = standings.current(*peer),
        }
        self
    }

    /// Whom it concerns, if it is one node.
    pub(super) const fn peer(&self) -> Option<NodeId> {
        match self {
            Self::BanAddress { .. } | Self::UnbanAddress { .. } | Self::Forget { .. } => None,
            Self::Ban { peer, .. }
            | Self::Unban { peer }
            | Self::Disconnect { peer }
            | Self::Report { peer, .. }
            | Self::Reserve { peer, .. }
            | Self::Unreserve { peer } => Some(*peer),
        }
    }
}

/// Keeps the slots that the configuration names and those that storage brought back, of which one
/// for which there is no room any more is forgotten. Where both name a peer, the address of the
/// configuration counts.
pub(super) fn restore_reservations(
    now: Now,
    me: NodeId,
    (configured, remembered): (Vec<Reservation>, Vec<Reservation>),
    (trust, peers): (&mut Trust, &mut Peers),
    queues: &mut RoomQueues,
) {
    let mut restore = |slot: Reservation| {
        let has_room = slot.peer != me && peers.may_reserve(&slot.peer);
        let is_kept = has_room && trust.spare(now, slot.peer, &mut queues.trust);
        if is_kept && !peers.is_reserved(&slot.peer) {
            peers.restore_reservation(now, slot);
        }
        is_kept
    };
    configured.into_iter().for_each(|slot| _ = restore(slot));
    let lost = remembered.into_iter().filter(|slot| !restore(*slot));
    queues.peers.extend(lost.map(|slot| PeersEffect::Unreserved(slot.peer)));
}

const fn check_words(why: &str) -> Result<(), Refused> {
    if why.len() > MAX_BAN_WORDS { Err(Refused::BanWords(why.len())) } else { Ok(()) }
}

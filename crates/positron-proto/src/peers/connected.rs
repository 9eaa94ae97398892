//! Who is linked, which slots are free, and how much each peer may say.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use super::{
    config::Slots,
    guests::{Guest, gives_way},
};
use crate::{
    allowance::Allowance,
    handshake::Direction,
    id::NodeId,
    limits::{
        ACQUAINTED_AFTER, ASKING_BURST, GREET_GRACE, HANDSHAKE_TIMEOUT, SAYING_BURST,
        SAYING_INTERVAL,
    },
    metric::Level,
    netgroup::{Owner, counted},
    scope::{Group, Scope, canonical},
    session::sessions::{LinkKind, Peer},
    standings::TrustTable,
    time::{Duration, Instant},
    wire::frame::CloseReason,
};

/// One linked peer.
#[derive(Debug)]
pub(super) struct PeerLink {
    /// Who and how; its address is where we see it now.
    pub peer: Peer,
    /// Where it was dialled, if we dialled it.
    pub dialled: Option<SocketAddr>,
    /// Over which kind of link that dial proved that strangers reach it there, if it did.
    pub proof: Option<LinkKind>,
    /// How far away it is.
    pub scope: Scope,
    /// Whose it probably is.
    pub owner: Owner,
    /// What its address counted as when it came; `None` if it is not counted.
    counted_as: Option<IpAddr>,
    /// It has a slot of its own.
    reserved: bool,
    /// Since when.
    pub since: Instant,
    /// Until when its time was counted.
    counted_until: Instant,
    /// It said hello, or answered ours.
    pub has_greeted: bool,
    /// We asked for records and wait for them.
    pub asked: bool,
    /// Probes of its addresses so far.
    pub probes: u32,
    /// What it may say.
    hearing: Allowance,
    /// What we may ask.
    asking: Allowance,
}

impl PeerLink {
    /// Whether its peer takes a slot that all share and never said hello.
    pub(super) const fn is_mute(&self) -> bool {
        !self.has_greeted && !self.reserved
    }

    /// Whether it is more than somebody who dialled us a moment ago.
    pub(super) fn is_acquainted(&self, now: Instant) -> bool {
        let is_old = now.since(self.since) >= ACQUAINTED_AFTER;
        is_old || self.reserved || self.peer.direction == Direction::Outbound
    }
}

/// Every linked peer, and the slots.
///
/// There are [`Slots`] for all, for those that dialled us, for those that dialled us from one
/// public address, and for those that we dialled. Reserved peers have slots of their own, beside
/// all these.
#[derive(Debug)]
pub(super) struct ConnectedPeers {
    by_id: BTreeMap<NodeId, PeerLink>,
    /// Let in, not up yet: since when, and where.
    admitted: BTreeMap<NodeId, (Instant, SocketAddr)>,
    slots: Slots,
}

impl ConnectedPeers {
    pub(super) const fn new(slots: Slots) -> Self {
        Self { by_id: BTreeMap::new(), admitted: BTreeMap::new(), slots }
    }

    /// A session came up. False if it was up before.
    pub(super) fn up(&mut self, now: Instant, peer: Peer, reserved: bool) -> bool {
        self.admitted.remove(&peer.id);
        if let Some(link) = self.by_id.get_mut(&peer.id) {
            link.peer = peer;
            return false;
        }
        let link = PeerLink {
            peer,
            dialled: (peer.direction == Direction::Outbound).then_some(peer.addr),
            proof: None,
            scope: Scope::of_peer(peer.addr),
            owner: Owner::of(peer.addr),
            counted_as: counted_at(peer.addr),
            reserved,
            since: now,
            counted_until: now,
            has_greeted: false,
            asked: false,
            probes: 0,
            hearing: Allowance::default(),
            asking: Allowance::default(),
        };
        self.by_id.insert(peer.id, link);
        true
    }

    /// A peer is at another address. Whether it is: IPv4 is the same however it is written.
    pub(super) fn moved(&mut self, peer: &NodeId, addr: SocketAddr) -> bool {
        let Some(link) = self.by_id.get_mut(peer) else { return false };
        let former = core::mem::replace(&mut link.peer.addr, addr);
        link.scope = Scope::of_peer(addr);
        link.owner = Owner::of(addr);
        canonical(former) != canonical(addr)
    }

    pub(super) fn down(&mut self, peer: &NodeId) -> Option<PeerLink> {
        self.admitted.remove(peer);
        self.by_id.remove(peer)
    }

    pub(super) fn get(&self, peer: &NodeId) -> Option<&PeerLink> {
        self.by_id.get(peer)
    }

    pub(super) fn get_mut(&mut self, peer: &NodeId) -> Option<&mut PeerLink> {
        self.by_id.get_mut(peer)
    }

    pub(super) fn contains(&self, peer: &NodeId) -> bool {
        self.by_id.contains_key(peer)
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// In order of the peers' ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &PeerLink)> {
        self.by_id.iter()
    }

    /// Links of our own choice: those that we dialled, in slots that all share.
    pub(super) fn outbound(&self) -> impl Iterator<Item = (&NodeId, &PeerLink)> {
        let chosen = |link: &PeerLink| link.peer.direction == Direction::Outbound;
        self.by_id.iter().filter(move |(_, link)| !link.reserved && chosen(link))
    }

    /// The same, to be changed.
    pub(super) fn outbound_mut(&mut self) -> impl Iterator<Item = (&NodeId, &mut PeerLink)> {
        let chosen = |link: &PeerLink| link.peer.direction == Direction::Outbound;
        self.by_id.iter_mut().filter(move |(_, link)| !link.reserved && chosen(link))
    }

    /// This peer has a slot of its own from now on.
    pub(super) fn reserve(&mut self, peer: &NodeId) {
        self.admitted.remove(peer);
        if let Some(link) = self.by_id.get_mut(peer) {
            link.reserved = true;
        }
    }

    /// It shares the slots of all others again.
    pub(super) fn unreserve(&mut self, peer: &NodeId) {
        if let Some(link) = self.by_id.get_mut(peer) {
            link.reserved = false;
        }
    }

    /// Links in slots that all share.
    fn shared(&self) -> impl Iterator<Item = &PeerLink> {
        self.by_id.values().filter(|link| !link.reserved)
    }

    /// The slots that all share.
    pub(super) fn slots_used(&self) -> Level {
        Level::new(self.shared().count() + self.admitted.len(), self.slots.max)
    }

    /// Of them, those of who dialled us.
    pub(super) fn inbound_used(&self) -> Level {
        Level::new(self.inbound(), self.slots.inbound)
    }

    /// Free slots for anybody.
    pub(super) fn free(&self) -> usize {
        self.slots.max.saturating_sub(self.shared().count() + self.admitted.len())
    }

    /// Free slots for links of our own choice.
    pub(super) fn free_outbound(&self) -> usize {
        self.free().min(self.slots.outbound.saturating_sub(self.outbound().count()))
    }

    /// Whether we may dial no more, with `connecting` dials under way.
    pub(super) fn outbound_limit_reached(&self, connecting: usize) -> bool {
        self.outbound().count() + connecting >= self.slots.outbound
    }

    /// Links that others dialled, in slots that all share; those that are on their way, too.
    fn inbound(&self) -> usize {
        self.shared().count() - self.outbound().count() + self.admitted.len()
    }

    /// Why a link of this direction, which is up, cannot stay: more share the slots than there are.
    /// One that a slot is kept for is not to blame for guests that came while more than one dial
    /// was under way.
    pub(super) fn overflow(&self, direction: Direction) -> Option<CloseReason> {
        let Slots { max, inbound, outbound, .. } = self.slots;
        let chosen = self.outbound().count();
        match direction {
            // Who knocked and does not come makes nobody go.
            Direction::Inbound if self.shared().count() - chosen > inbound => {
                Some(CloseReason::InboundFull)
            }
            Direction::Outbound if chosen > outbound => Some(CloseReason::Pruned),
            _ if self.shared().count() > max && chosen > max - inbound => {
                Some(CloseReason::SlotsFull)
            }
            _ => None,
        }
    }

    /// Takes a slot for who knocked, if one is left for guests, and for those of its address, or if
    /// one is reserved for it, or if a guest would [give way](gives_way).
    pub(super) fn admit(
        &mut self,
        now: Instant,
        peer: &Peer,
        reserved: bool,
        standings: &TrustTable,
    ) -> Result<(), CloseReason> {
        self.admitted.retain(|_, (since, _)| now.since(*since) < HANDSHAKE_TIMEOUT);
        let is_here = self.by_id.contains_key(&peer.id) || self.admitted.contains_key(&peer.id);
        if reserved || is_here {
            return Ok(());
        }
        let address = counted_at(peer.addr);
        let is_full_for_it = address.is_some() && self.guests_of(address) >= self.slots.per_address;
        let full = (self.free() == 0)
            .then_some(CloseReason::SlotsFull)
            .or((self.inbound() >= self.slots.inbound).then_some(CloseReason::InboundFull));
        match full {
            None if is_full_for_it => return Err(CloseReason::AddressFull),
            Some(reason) if is_full_for_it || self.gives_way(now, peer, standings).is_none() => {
                return Err(reason);
            }
            _ => {}
        }
        self.admitted.insert(peer.id, (now, peer.addr));
        Ok(())
    }

    /// The guest that gives way to this one. Who knocked before and is not up yet counts with its
    /// owner, so that nobody makes room by knocking alone.
    pub(super) fn gives_way(
        &self,
        now: Instant,
        peer: &Peer,
        standings: &TrustTable,
    ) -> Option<NodeId> {
        let guests = self.guests(now, standings);
        let guests: Vec<Guest> = guests.into_iter().filter(|guest| guest.id != peer.id).collect();
        let knocking = self.admitted.iter().filter(|(id, _)| **id != peer.id);
        let knocking: Vec<Owner> = knocking.map(|(_, (_, addr))| Owner::of(*addr)).collect();
        gives_way(&guests, &knocking, Owner::of(peer.addr))
    }

    /// Those who dialled us and share the slots.
    fn guests(&self, now: Instant, standings: &TrustTable) -> Vec<Guest> {
        let inbound = |link: &PeerLink| link.peer.direction == Direction::Inbound;
        let links = self.by_id.iter().filter(|(_, link)| !link.reserved && inbound(link));
        let guest = |(&id, link): (&NodeId, &PeerLink)| Guest {
            id,
            owner: link.owner,
            since: link.since,
            is_mute: link.is_mute() && now.since(link.since) >= GREET_GRACE,
            score: standings.regard(&id),
        };
        links.map(guest).collect()
    }

    /// Those who dialled us from what counts as one address.
    fn guests_of(&self, address: Option<IpAddr>) -> usize {
        let inbound = |link: &&PeerLink| link.peer.direction == Direction::Inbound;
        let linked = self.shared().filter(inbound).map(|link| link.counted_as);
        let admitted = self.admitted.values().map(|(_, addr)| counted_at(*addr));
        linked.chain(admitted).filter(|of| *of == address).count()
    }
}

/// What the slots of a public address are counted by. Nearer ones are not counted.
fn counted_at(addr: SocketAddr) -> Option<IpAddr> {
    let is_near = Group::of(addr.ip()) == Group::Near;
    if is_near { None } else { counted(addr) }
}

impl PeerLink {
    /// How long it lasts, as far as that was not asked before.
    pub(super) fn count_time(&mut self, now: Instant) -> Duration {
        now.since(core::mem::replace(&mut self.counted_until, now))
    }

    /// Pays for one message that makes us work; false if the peer said too much already.
    pub(super) fn may_speak(&mut self, now: Instant) -> bool {
        self.hearing.pay(now, SAYING_INTERVAL, SAYING_BURST)
    }

    /// Pays for one question of ours; false if we asked too much already.
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        self.asking.pay(now, SAYING_INTERVAL * 2, ASKING_BURST)
    }
}

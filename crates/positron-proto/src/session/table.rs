//! The rows of the table: one for each link, and who may still come in.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use super::{contract::LinkKind, happy_eyeballs::AttemptId, link::SessionLink};
use crate::{
    id::LinkId,
    limits::{MAX_HALF_OPEN, MAX_HALF_OPEN_PER_IP, MAX_LINKS_PER_IP},
    netgroup::counted,
};

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

/// Which quota a link counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quota {
    /// None: we dialled it, or it is over.
    Free,
    /// A stranger's, the n-th that was accepted.
    HalfOpen(u64),
    /// An established one that was accepted.
    Established,
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

/// Strangers on their way in, and how many links each address has.
///
/// Bounded by [`MAX_HALF_OPEN`], where the oldest gives way, and per address by
/// [`MAX_HALF_OPEN_PER_IP`] and [`MAX_LINKS_PER_IP`], where the newcomer does. An IPv6 address
/// counts by its /64, which is what one customer gets. Loopback is not counted per address.
#[derive(Debug, Default)]
pub(super) struct Admission {
    strangers: BTreeMap<u64, LinkId>,
    arrived: u64,
    by_address: BTreeMap<IpAddr, Count>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    strangers: usize,
    guests: usize,
}

/// The address has as many links as one may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Admission {
    /// Lets a stranger in front of the door.
    pub(super) fn reserve(&mut self, link: LinkId, from: SocketAddr) -> Result<Quota, TooMany> {
        if let Some(address) = counted(from) {
            let count = self.by_address.entry(address).or_default();
            if count.strangers >= MAX_HALF_OPEN_PER_IP || count.guests >= MAX_LINKS_PER_IP {
                return Err(TooMany);
            }
            count.strangers += 1;
        }
        self.arrived += 1;
        self.strangers.insert(self.arrived, link);
        Ok(Quota::HalfOpen(self.arrived))
    }

    /// The stranger who has to give way, if there are too many.
    pub(super) fn oldest_beyond_limit(&self) -> Option<LinkId> {
        let (_, link) = self.strangers.first_key_value()?;
        (self.strangers.len() > MAX_HALF_OPEN).then_some(*link)
    }

    /// A stranger became a guest.
    pub(super) fn promote(&mut self, place: Quota, from: SocketAddr) -> Quota {
        if !matches!(place, Quota::HalfOpen(_)) {
            return place;
        }
        self.release(place, from);
        if let Some(address) = counted(from) {
            self.by_address.entry(address).or_default().guests += 1;
        }
        Quota::Established
    }

    /// A stranger or guest has another address now.
    pub(super) fn moved(&mut self, place: Quota, from: SocketAddr, to: SocketAddr) {
        if let Some(address) = counted(to) {
            match place {
                Quota::Free => return,
                Quota::HalfOpen(_) => self.by_address.entry(address).or_default().strangers += 1,
                Quota::Established => self.by_address.entry(address).or_default().guests += 1,
            }
        }
        self.uncount(place, from);
    }

    /// A stranger or guest is gone.
    pub(super) fn release(&mut self, place: Quota, from: SocketAddr) {
        if let Quota::HalfOpen(arrived) = place {
            self.strangers.remove(&arrived);
        }
        self.uncount(place, from);
    }

    fn uncount(&mut self, place: Quota, from: SocketAddr) {
        let Some(address) = counted(from) else { return };
        let Some(count) = self.by_address.get_mut(&address) else { return };
        match place {
            Quota::Free => {}
            Quota::HalfOpen(_) => count.strangers = count.strangers.saturating_sub(1),
            Quota::Established => count.guests = count.guests.saturating_sub(1),
        }
        if *count == Count::default() {
            self.by_address.remove(&address);
        }
    }
}

//! Which strangers may knock.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use crate::{
    id::LinkId,
    limits::{MAX_HALF_OPEN, MAX_HALF_OPEN_PER_IP},
    netgroup::counted,
};

/// Strangers on their way in, until it is decided whether they may stay.
///
/// Bounded by [`MAX_HALF_OPEN`], where the oldest gives way, and per address by
/// [`MAX_HALF_OPEN_PER_IP`], where the newcomer does. An IPv6 address counts by its /64, which is
/// what one customer gets. Loopback is not counted per address. How many sessions an address may
/// have is not asked here: who is refused for that is told so, and where else to go, by the node.
#[derive(Debug, Default)]
pub(super) struct Admission {
    strangers: BTreeMap<u64, LinkId>,
    arrived: u64,
    by_address: BTreeMap<IpAddr, usize>,
}

/// Which quota a link counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quota {
    /// None: we dialled it, it is that of a session, or it is over.
    Free,
    /// A stranger's, the n-th that was accepted.
    HalfOpen(u64),
}

/// The address has as many strangers as one may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Admission {
    /// Lets a stranger in front of the door.
    pub(super) fn reserve(&mut self, link: LinkId, from: SocketAddr) -> Result<Quota, TooMany> {
        if let Some(address) = counted(from) {
            let strangers = self.by_address.entry(address).or_default();
            if *strangers >= MAX_HALF_OPEN_PER_IP {
                return Err(TooMany);
            }
            *strangers += 1;
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

    /// A stranger has another address now.
    pub(super) fn handle_move(&mut self, place: Quota, from: SocketAddr, to: SocketAddr) {
        if place == Quota::Free {
            return;
        }
        if let Some(address) = counted(to) {
            *self.by_address.entry(address).or_default() += 1;
        }
        self.uncount(from);
    }

    /// A stranger was let in, or is gone.
    pub(super) fn release(&mut self, place: Quota, from: SocketAddr) {
        if let Quota::HalfOpen(arrived) = place {
            self.strangers.remove(&arrived);
            self.uncount(from);
        }
    }

    fn uncount(&mut self, from: SocketAddr) {
        let Some(address) = counted(from) else { return };
        let Some(strangers) = self.by_address.get_mut(&address) else { return };
        *strangers = strangers.saturating_sub(1);
        if *strangers == 0 {
            self.by_address.remove(&address);
        }
    }
}

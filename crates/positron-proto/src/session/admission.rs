//! Who may still come in: strangers, and links of one address.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use crate::{
    id::LinkId,
    limits::{MAX_HALF_OPEN, MAX_HALF_OPEN_PER_IP, MAX_LINKS_PER_IP},
    netgroup::counted,
};

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
    pub(super) fn handle_move(&mut self, place: Quota, from: SocketAddr, to: SocketAddr) {
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

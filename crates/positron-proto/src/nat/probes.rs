//! Requests under way to addresses that a peer named, and what may be spent on them.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use super::{NatCounters, NatEffect};
use crate::{
    id::NodeId,
    limits::{MAX_PUNCH_BUDGETS, PUNCH_BUDGET, PUNCH_BUDGET_TIME, PUNCH_NETWORK_BUDGET},
    lru::LruMap,
    rng::Rng,
    stun::TransactionId,
    time::Instant,
};

/// Why an address is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskedFor {
    /// To see whether this peer answers there.
    Path(NodeId),
    /// To see whether so many hops are enough to get there.
    Hops(NodeId, u8),
    /// To hear where the relay of this peer sees a new socket.
    Mapping(NodeId),
}

impl AskedFor {
    const fn peer(self) -> NodeId {
        let (Self::Path(peer) | Self::Hops(peer, _) | Self::Mapping(peer)) = self;
        peer
    }
}

/// STUN requests to addresses that others named.
///
/// An address that never answered gets at most [`PUNCH_BUDGET`] packets in [`PUNCH_BUDGET_TIME`],
/// and all of one machine, or one /64 of IPv6, [`PUNCH_NETWORK_BUDGET`], whoever names them and
/// however often; so much is known of [`MAX_PUNCH_BUDGETS`] addresses and networks. A relay, which
/// is linked where it is asked, was named by nobody.
#[derive(Debug)]
pub(super) struct Probes {
    asked: BTreeMap<TransactionId, (AskedFor, SocketAddr)>,
    addresses: LruMap<SocketAddr, Budget>,
    networks: LruMap<IpAddr, Budget>,
}

#[derive(Clone, Copy, Debug)]
struct Budget {
    since: Instant,
    spent: u32,
    has_answered: bool,
}

impl Default for Probes {
    fn default() -> Self {
        Self {
            asked: BTreeMap::new(),
            addresses: LruMap::new(MAX_PUNCH_BUDGETS),
            networks: LruMap::new(MAX_PUNCH_BUDGETS),
        }
    }
}

impl Probes {
    /// Sends one request, unless enough was spent on the address.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        (why, to): (AskedFor, SocketAddr),
        hops: Option<u8>,
        (rng, counters): (&mut Rng, &mut NatCounters),
        out: &mut VecDeque<NatEffect>,
    ) {
        let is_named = matches!(why, AskedFor::Path(_));
        if is_named && !self.pay(now, to) {
            counters.spared += 1;
            return;
        }
        counters.packets += 1;
        let id = TransactionId::draw(rng);
        self.asked.insert(id, (why, to));
        out.push_back(NatEffect::Ask { to, id, hops });
    }

    /// Sends one request of a search, which is bounded as a whole, and waits for its answer.
    pub(super) fn guess(
        &mut self,
        (why, to): (AskedFor, SocketAddr),
        (rng, counters): (&mut Rng, &mut NatCounters),
        out: &mut VecDeque<NatEffect>,
    ) {
        counters.packets += 1;
        let id = TransactionId::draw(rng);
        self.asked.insert(id, (why, to));
        out.push_back(NatEffect::Ask { to, id, hops: None });
    }

    fn pay(&mut self, now: Instant, to: SocketAddr) -> bool {
        let address = spend(&mut self.addresses, to, now);
        if address.has_answered {
            return true;
        }
        address.spent <= PUNCH_BUDGET
            && spend(&mut self.networks, network(to.ip()), now).spent <= PUNCH_NETWORK_BUDGET
    }

    /// Somebody answered: why it was asked, if it was, and there.
    pub(super) fn handle_answer(
        &mut self,
        from: SocketAddr,
        id: &TransactionId,
    ) -> Option<AskedFor> {
        let (why, to) = *self.asked.get(id)?;
        if to != from {
            return None;
        }
        self.asked.remove(id);
        if let Some(budget) = self.addresses.get_mut(&to) {
            budget.has_answered = true;
        }
        Some(why)
    }

    /// Whether this peer answers where it was sought is not waited for any more.
    pub(super) fn forget_paths(&mut self, peer: &NodeId) {
        self.asked.retain(|_, (why, _)| *why != AskedFor::Path(*peer));
    }

    /// Nothing that was asked for this peer is waited for any more.
    pub(super) fn forget(&mut self, peer: &NodeId) {
        self.asked.retain(|_, (why, _)| why.peer() != *peer);
    }

    /// Requests whose answers are waited for.
    #[cfg(test)]
    pub(super) fn waits_for(&self) -> usize {
        self.asked.len()
    }
}

/// What was spent there of late, with one packet more.
fn spend<K: Ord + Copy>(budgets: &mut LruMap<K, Budget>, place: K, now: Instant) -> Budget {
    // Who names many others beside it shall not have it forgotten.
    budgets.touch(&place);
    if let Some(budget) = budgets.get_mut(&place) {
        if now.since(budget.since) >= PUNCH_BUDGET_TIME {
            (budget.since, budget.spent) = (now, 0);
        }
        budget.spent += 1;
        return *budget;
    }
    let budget = Budget { since: now, spent: 1, has_answered: false };
    budgets.insert(place, budget);
    budget
}

/// One machine, or what one owner has of IPv6 at the least.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

//! How much of what a node keeps for others is whose.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    held::{RecordBringer, Slot},
    place::network,
};
use crate::{
    id::NodeId,
    limits::{
        MAX_RECORD_BYTES_PER_NETWORK, MAX_RECORD_BYTES_PER_PEER, MAX_RECORD_BYTES_PER_PUBLISHER,
        MAX_RECORDS_PER_NETWORK, MAX_RECORDS_PER_PEER, MAX_RECORDS_PER_PUBLISHER,
    },
    subnet::Subnet,
    time::Instant,
};

/// What one record takes, and on whose accounts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    pub(super) bringer: RecordBringer,
    pub(super) publisher: NodeId,
    pub(super) bytes: usize,
}

/// What each peer, network and publisher has kept here. None has more than its share, so that none
/// fills a node alone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Quotas {
    used: BTreeMap<Account, Usage>,
}

/// Who competes for the room that there is: the network of who brought something. Nearby, where
/// there is one network and its owner is not an attacker, the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sharer {
    Network(Subnet),
    Peer(NodeId),
}

/// Who has how much of one room, and who gives way when it is full: whoever has the most, and of
/// that what ends soonest.
///
/// Whoever has little is then safe from whoever brings much, however near to us the keys of a flood
/// are: a name whose key is near costs nothing but a few hashes, addresses in many networks do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shares {
    things: BTreeSet<(Sharer, Instant, Slot)>,
    costs: BTreeMap<Sharer, usize>,
    by_cost: BTreeSet<(usize, Sharer)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Account {
    Peer(NodeId),
    Network(Subnet),
    Publisher(NodeId),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Usage {
    records: usize,
    bytes: usize,
}

impl Charge {
    fn accounts(&self) -> impl Iterator<Item = Account> {
        let network = network(self.bringer.addr).map(Account::Network);
        [Account::Peer(self.bringer.id), Account::Publisher(self.publisher)]
            .into_iter()
            .chain(network)
    }
}

impl Account {
    const fn limit(self) -> Usage {
        let (records, bytes) = match self {
            Self::Peer(_) => (MAX_RECORDS_PER_PEER, MAX_RECORD_BYTES_PER_PEER),
            Self::Network(_) => (MAX_RECORDS_PER_NETWORK, MAX_RECORD_BYTES_PER_NETWORK),
            Self::Publisher(_) => (MAX_RECORDS_PER_PUBLISHER, MAX_RECORD_BYTES_PER_PUBLISHER),
        };
        Usage { records, bytes }
    }
}

impl Quotas {
    /// Whether all who pay can, if `instead_of` is paid no more.
    pub(super) fn has_room(&self, charge: &Charge, instead_of: Option<&Charge>) -> bool {
        charge.accounts().all(|account| {
            let mut used = self.used.get(&account).copied().unwrap_or_default();
            let gone = instead_of.filter(|gone| gone.accounts().any(|other| other == account));
            if let Some(gone) = gone {
                used.records = used.records.saturating_sub(1);
                used.bytes = used.bytes.saturating_sub(gone.bytes);
            }
            let limit = account.limit();
            used.records < limit.records && used.bytes + charge.bytes <= limit.bytes
        })
    }

    /// It is kept.
    pub(super) fn add(&mut self, charge: &Charge) {
        for account in charge.accounts() {
            let used = self.used.entry(account).or_default();
            used.records += 1;
            used.bytes += charge.bytes;
        }
    }

    /// It is kept no more.
    pub(super) fn subtract(&mut self, charge: &Charge) {
        for account in charge.accounts() {
            if let Some(used) = self.used.get_mut(&account) {
                used.records = used.records.saturating_sub(1);
                used.bytes = used.bytes.saturating_sub(charge.bytes);
                if used.records == 0 {
                    self.used.remove(&account);
                }
            }
        }
    }
}

impl Sharer {
    pub(super) fn of(bringer: &RecordBringer) -> Self {
        network(bringer.addr).map_or(Self::Peer(bringer.id), Self::Network)
    }
}

impl Shares {
    pub(super) fn add(&mut self, sharer: Sharer, until: Instant, slot: Slot, cost: usize) {
        if self.things.insert((sharer, until, slot)) {
            self.set(sharer, self.of(sharer) + cost);
        }
    }

    pub(super) fn subtract(&mut self, sharer: Sharer, until: Instant, slot: Slot, cost: usize) {
        if self.things.remove(&(sharer, until, slot)) {
            self.set(sharer, self.of(sharer).saturating_sub(cost));
        }
    }

    /// What this one has.
    pub(super) fn of(&self, sharer: Sharer) -> usize {
        self.costs.get(&sharer).copied().unwrap_or(0)
    }

    /// Whoever has the most, and how much.
    pub(super) fn largest(&self) -> Option<(usize, Sharer)> {
        self.by_cost.last().copied()
    }

    /// What this one has, what ends soonest first.
    pub(super) fn things(&self, sharer: Sharer) -> impl Iterator<Item = Slot> {
        self.things
            .range((sharer, Instant::ORIGIN, Slot::FIRST)..)
            .take_while(move |(whose, ..)| *whose == sharer)
            .map(|(.., slot)| *slot)
    }

    fn set(&mut self, sharer: Sharer, cost: usize) {
        let before = if cost == 0 {
            self.costs.remove(&sharer)
        } else {
            self.by_cost.insert((cost, sharer));
            self.costs.insert(sharer, cost)
        };
        if let Some(before) = before.filter(|before| *before != cost) {
            self.by_cost.remove(&(before, sharer));
        }
    }
}

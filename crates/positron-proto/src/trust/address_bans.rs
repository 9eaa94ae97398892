//! Bans of all who are at some addresses.

use std::{collections::BTreeMap, sync::Arc};

use super::AddressBan;
use crate::{
    deadlines::Deadlines,
    limits::{LONGEST_BAN, MAX_ADDRESS_BANS},
    subnet::Subnet,
    time::{Duration, Instant, Now},
};

/// Which there are, [`MAX_ADDRESS_BANS`] at most, and when each is over by the clock that nobody
/// sets.
#[derive(Debug, Default)]
pub(super) struct AddressBans {
    by_subnet: BTreeMap<Subnet, AddressBan>,
    deadlines: Deadlines<Subnet>,
}

impl AddressBans {
    /// Those that storage remembers, and those of the configuration, which nobody has to remember.
    pub(super) fn new(configured: Vec<Subnet>, remembered: Vec<AddressBan>, now: Now) -> Self {
        let mut bans = Self::default();
        for ban in remembered {
            let lasts = ban.until.since(now.wall);
            bans.insert(now, ban.addresses, ban.why, lasts);
        }
        for addresses in configured {
            bans.insert(now, addresses, CONFIGURED.into(), LONGEST_BAN);
        }
        bans
    }

    /// In place of a ban of exactly these addresses. `None`: there are too many.
    pub(super) fn insert(
        &mut self,
        now: Now,
        addresses: Subnet,
        why: Arc<str>,
        lasts: Duration,
    ) -> Option<&AddressBan> {
        if self.by_subnet.len() >= MAX_ADDRESS_BANS && !self.by_subnet.contains_key(&addresses) {
            return None;
        }
        let lasts = lasts.min(LONGEST_BAN);
        // At least a moment, so that a clock that stands still does not make us spin.
        self.deadlines.set(addresses, now.mono + lasts.max(Duration::from_millis(1)));
        let ban = AddressBan { addresses, until: now.wall + lasts, why };
        self.by_subnet.insert(addresses, ban);
        self.by_subnet.get(&addresses)
    }

    /// Whether there was one of exactly these addresses.
    pub(super) fn remove(&mut self, addresses: Subnet) -> bool {
        self.deadlines.clear(addresses);
        self.by_subnet.remove(&addresses).is_some()
    }

    /// In order of the addresses.
    pub(super) fn iter(&self) -> impl Iterator<Item = &AddressBan> {
        self.by_subnet.values()
    }

    /// The next one that was served.
    pub(super) fn pop_served(&mut self, now: Instant) -> Option<Subnet> {
        self.deadlines.pop_due(now)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }
}

const CONFIGURED: &str = "configured (`banned_addresses`)";

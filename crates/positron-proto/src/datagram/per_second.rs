//! What happens within one second.

use std::net::{IpAddr, SocketAddr};

use crate::{
    limits::MAX_COUNTED_ASKERS,
    lru::LruMap,
    netgroup::counted,
    time::{Duration, Instant},
};

/// Counts what happens within one second.
#[derive(Debug, Default)]
pub(super) struct PerSecond {
    since: Instant,
    pub(super) count: u32,
}

impl PerSecond {
    pub(super) fn in_this_second(&mut self, now: Instant) -> u32 {
        if now.since(self.since) >= Duration::from_secs(1) {
            (self.since, self.count) = (now, 0);
        }
        self.count
    }

    pub(super) fn count(&mut self, now: Instant) {
        self.count = self.in_this_second(now).saturating_add(1);
    }
}

/// Counts what happens within one second of each address. Loopback is not counted.
///
/// **Bounds**: [`MAX_COUNTED_ASKERS`] addresses.
#[derive(Debug)]
pub(super) struct PerAddress(LruMap<IpAddr, PerSecond>);

impl Default for PerAddress {
    fn default() -> Self {
        Self(LruMap::new(MAX_COUNTED_ASKERS))
    }
}

impl PerAddress {
    pub(super) fn in_this_second(&mut self, now: Instant, of: SocketAddr) -> u32 {
        let counts = counted(of).and_then(|address| self.0.get_mut(&address));
        counts.map_or(0, |counts| counts.in_this_second(now))
    }

    pub(super) fn count(&mut self, now: Instant, of: SocketAddr) {
        let Some(address) = counted(of) else { return };
        match self.0.get_mut(&address) {
            Some(counts) => {
                counts.count(now);
                self.0.touch(&address);
            }
            None => {
                let mut counts = PerSecond::default();
                counts.count(now);
                let _ = self.0.insert(address, counts);
            }
        }
    }
}

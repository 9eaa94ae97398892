//! How many queries of others are answered.

use std::net::{IpAddr, SocketAddr};

use crate::{
    datagram::per_second::PerSecond,
    limits::{MAX_COUNTED_ASKERS, QUERIES_PER_ADDRESS, QUERIES_PER_SECOND},
    lru::LruMap,
    netgroup::counted,
    time::Instant,
};

/// Counts queries by address and in all: apart those from where they say, by a cookie or a ticket,
/// and those from anywhere, so that nobody uses up what is another one's in its name.
///
/// **Bounds**: [`MAX_COUNTED_ASKERS`] addresses of each kind.
#[derive(Debug)]
pub(in crate::datagram) struct QueryAdmission {
    unproven: LruMap<IpAddr, PerSecond>,
    proven: LruMap<IpAddr, PerSecond>,
    /// Of proven addresses. The others are bounded with all SYNs.
    in_all: PerSecond,
}

impl QueryAdmission {
    pub(super) fn new() -> Self {
        Self {
            unproven: LruMap::new(MAX_COUNTED_ASKERS),
            proven: LruMap::new(MAX_COUNTED_ASKERS),
            in_all: PerSecond::default(),
        }
    }

    /// Whether an address that is not proven may ask no more in this second.
    pub(in crate::datagram) fn is_pressed(&mut self, now: Instant, from: SocketAddr) -> bool {
        counted(from)
            .and_then(|address| self.unproven.get_mut(&address))
            .is_some_and(|asked| asked.in_this_second(now) >= QUERIES_PER_ADDRESS)
    }

    /// Counts a query from an address that is not proven.
    pub(in crate::datagram) fn count_unproven(&mut self, now: Instant, from: SocketAddr) {
        if let Some(address) = counted(from) {
            count(&mut self.unproven, now, address);
        }
    }

    /// Counts a query from a proven address, unless it may ask no more in this second.
    pub(in crate::datagram) fn admit_proven(&mut self, now: Instant, from: SocketAddr) -> bool {
        if self.in_all.in_this_second(now) >= QUERIES_PER_SECOND {
            return false;
        }
        if let Some(address) = counted(from) {
            let asked = self.proven.get_mut(&address);
            if asked.is_some_and(|asked| asked.in_this_second(now) >= QUERIES_PER_ADDRESS) {
                return false;
            }
            count(&mut self.proven, now, address);
        }
        self.in_all.count(now);
        true
    }
}

fn count(askers: &mut LruMap<IpAddr, PerSecond>, now: Instant, address: IpAddr) {
    match askers.get_mut(&address) {
        Some(asked) => {
            asked.count(now);
            askers.touch(&address);
        }
        None => {
            let mut asked = PerSecond::default();
            asked.count(now);
            let _ = askers.insert(address, asked);
        }
    }
}

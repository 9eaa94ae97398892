//! How many queries of others are answered.

use std::net::SocketAddr;

use crate::{
    datagram::per_second::{PerAddress, PerSecond},
    limits::{QUERIES_PER_ADDRESS, QUERIES_PER_SECOND},
    time::Instant,
};

/// Counts queries by address and in all: apart those from where they say, by a cookie or a ticket,
/// and those from anywhere, so that nobody uses up what is another one's in its name.
#[derive(Debug, Default)]
pub(in crate::datagram) struct QueryAdmission {
    unproven: PerAddress,
    proven: PerAddress,
    /// Of proven addresses. The others are bounded with all SYNs.
    in_all: PerSecond,
}

impl QueryAdmission {
    /// Whether an address that is not proven may ask no more in this second.
    pub(in crate::datagram) fn is_pressed(&mut self, now: Instant, from: SocketAddr) -> bool {
        self.unproven.in_this_second(now, from) >= QUERIES_PER_ADDRESS
    }

    /// Counts a query from an address that is not proven.
    pub(in crate::datagram) fn count_unproven(&mut self, now: Instant, from: SocketAddr) {
        self.unproven.count(now, from);
    }

    /// Counts a query from a proven address, unless it may ask no more in this second.
    pub(in crate::datagram) fn admit_proven(&mut self, now: Instant, from: SocketAddr) -> bool {
        if self.in_all.in_this_second(now) >= QUERIES_PER_SECOND
            || self.proven.in_this_second(now, from) >= QUERIES_PER_ADDRESS
        {
            return false;
        }
        self.proven.count(now, from);
        self.in_all.count(now);
        true
    }
}

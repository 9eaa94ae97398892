//! To whom this node sent of late, from the socket on which it listens.

use std::net::{IpAddr, SocketAddr};

use crate::{
    limits::{CONTACT_LIFE, CONTACT_PRECISION, MAX_CONTACTED},
    lru::LruMap,
    time::Instant,
};

/// The IP addresses that a translator before us may let in because we sent to them.
///
/// **Bounds**: [`MAX_CONTACTED`] addresses. When one gives way that is not old enough to be
/// forgotten, everybody counts as contacted until it would have been.
#[derive(Debug)]
pub(super) struct Contacted {
    sent: LruMap<IpAddr, Instant>,
    /// When the last of those was sent to that gave way.
    forgotten: Option<Instant>,
}

impl Default for Contacted {
    fn default() -> Self {
        Self { sent: LruMap::new(MAX_CONTACTED), forgotten: None }
    }
}

impl Contacted {
    /// Datagrams leave.
    pub(super) fn handle_sent(&mut self, now: Instant, to: SocketAddr) {
        let ip = to.ip().to_canonical();
        let before = self.sent.get(&ip).copied();
        if before.is_some_and(|at| now.since(at) < CONTACT_PRECISION) {
            return;
        }
        if before.is_none() && self.sent.len() >= MAX_CONTACTED {
            self.forgotten = self.sent.oldest().map(|(_, at)| *at).max(self.forgotten);
        }
        self.sent.insert(ip, now);
    }

    /// Whether a translator may let this address in because of what we sent there, as far as we
    /// remember.
    pub(super) fn has(&self, now: Instant, ip: IpAddr) -> bool {
        let is_recent = |at: Instant| now.since(at) < CONTACT_LIFE + CONTACT_PRECISION;
        self.forgotten.is_some_and(is_recent)
            || self.sent.get(&ip.to_canonical()).is_some_and(|at| is_recent(*at))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn at(n: usize) -> SocketAddr {
        (Ipv4Addr::from_bits(0x1400_0000 + u32::try_from(n).unwrap()), 9).into()
    }

    #[test]
    fn who_was_sent_to_is_contacted_for_a_while_whatever_the_port() {
        let (mut contacted, now) = (Contacted::default(), Instant::from_micros(1_000_000_000));
        contacted.handle_sent(now, at(1));
        let mapped = "::ffff:20.0.0.1".parse().unwrap();
        assert!(contacted.has(now + CONTACT_LIFE, at(1).ip()) && contacted.has(now, mapped));
        assert!(!contacted.has(now, at(2).ip()));
        assert!(!contacted.has(now + CONTACT_LIFE + CONTACT_PRECISION, at(1).ip()));
    }

    #[test]
    fn who_sends_to_more_than_it_remembers_is_sure_of_nobody_until_that_is_old() {
        let (mut contacted, now) = (Contacted::default(), Instant::from_micros(1_000_000_000));
        for n in 0..=MAX_CONTACTED {
            contacted.handle_sent(now, at(n));
        }
        let stranger = at(MAX_CONTACTED + 1).ip();
        assert!(contacted.has(now, stranger));
        assert!(!contacted.has(now + CONTACT_LIFE + CONTACT_PRECISION, stranger));
        assert!(contacted.sent.len() == MAX_CONTACTED);
    }
}

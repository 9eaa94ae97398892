//! To whom this node sent of late, from the socket on which it listens.

use std::net::{IpAddr, SocketAddr};

use crate::{
    limits::{CONTACT_LIFE, CONTACT_PRECISION, MAX_CONTACTED, MAX_CONTACTED_PORTS},
    lru::LruMap,
    time::Instant,
};

/// The addresses that a translator before us may let in because we sent to them.
///
/// **Bounds**: [`MAX_CONTACTED`] IP addresses, and [`MAX_CONTACTED_PORTS`] ports of each; beyond
/// that all of its ports count as contacted. When an address gives way that is not old enough to be
/// forgotten, everybody counts as contacted until it would have been.
#[derive(Debug)]
pub(super) struct Contacted {
    sent: LruMap<IpAddr, SentTo>,
    /// When the last of those was sent to that gave way.
    forgotten: Option<Instant>,
}

/// What was sent to one IP address.
#[derive(Clone, Copy, Debug)]
struct SentTo {
    /// When the last of it was sent.
    at: Instant,
    /// To which ports, since nothing was sent there for long; 0 is none.
    ports: [u16; MAX_CONTACTED_PORTS],
    /// Whether there were more.
    has_more: bool,
}

impl SentTo {
    const fn new(at: Instant, port: u16) -> Self {
        let mut ports = [0; MAX_CONTACTED_PORTS];
        ports[0] = port;
        Self { at, ports, has_more: false }
    }

    fn has(&self, port: u16) -> bool {
        self.has_more || self.ports.contains(&port)
    }

    fn is_recent(&self, now: Instant) -> bool {
        is_recent(now, self.at)
    }

    fn add(&mut self, port: u16) {
        if self.has(port) {
            return;
        }
        match self.ports.iter_mut().find(|free| **free == 0) {
            Some(free) => *free = port,
            None => self.has_more = true,
        }
    }
}

fn is_recent(now: Instant, at: Instant) -> bool {
    now.since(at) < CONTACT_LIFE + CONTACT_PRECISION
}

impl Default for Contacted {
    fn default() -> Self {
        Self { sent: LruMap::new(MAX_CONTACTED), forgotten: None }
    }
}

impl Contacted {
    /// Datagrams leave.
    pub(super) fn handle_sent(&mut self, now: Instant, to: SocketAddr) {
        let (ip, port) = (to.ip().to_canonical(), to.port());
        let before = self.sent.get(&ip).copied();
        let is_known = |sent: &SentTo| now.since(sent.at) < CONTACT_PRECISION && sent.has(port);
        if before.as_ref().is_some_and(is_known) {
            return;
        }
        if before.is_none() && self.sent.len() >= MAX_CONTACTED {
            let oldest = self.sent.oldest().map(|(_, sent)| sent.at);
            self.forgotten = oldest.max(self.forgotten);
        }
        let sent = match before.filter(|sent| sent.is_recent(now)) {
            Some(mut sent) => {
                sent.add(port);
                SentTo { at: now, ..sent }
            }
            None => SentTo::new(now, port),
        };
        self.sent.insert(ip, sent);
    }

    /// Whether a translator may let this address in because of what we sent there, to whatever
    /// port, as far as we remember.
    pub(super) fn has(&self, now: Instant, ip: IpAddr) -> bool {
        self.is_unsure(now) || self.recent(now, ip).is_some()
    }

    /// The same, where it lets in no other port than those that were sent to.
    pub(super) fn has_port(&self, now: Instant, at: SocketAddr) -> bool {
        self.is_unsure(now) || self.recent(now, at.ip()).is_some_and(|sent| sent.has(at.port()))
    }

    fn is_unsure(&self, now: Instant) -> bool {
        self.forgotten.is_some_and(|at| is_recent(now, at))
    }

    fn recent(&self, now: Instant, ip: IpAddr) -> Option<&SentTo> {
        self.sent.get(&ip.to_canonical()).filter(|sent| sent.is_recent(now))
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

    #[test]
    fn another_port_of_who_was_sent_to_is_not_contacted_until_there_are_too_many() {
        let (mut contacted, mut now) = (Contacted::default(), Instant::from_micros(1_000_000_000));
        let port = |port| SocketAddr::new(at(1).ip(), port);
        contacted.handle_sent(now, port(9));
        assert!(contacted.has_port(now, port(9)) && !contacted.has_port(now, port(10)));
        assert!(!contacted.has_port(now, at(2)));
        // At the same moment, and to the same address.
        contacted.handle_sent(now, port(10));
        assert!(contacted.has_port(now, port(9)) && contacted.has_port(now, port(10)));
        for n in 0..u16::try_from(MAX_CONTACTED_PORTS).unwrap() {
            contacted.handle_sent(now, port(100 + n));
        }
        assert!(contacted.has_port(now, port(9_999)), "any may have been");
        now = now + CONTACT_LIFE + CONTACT_PRECISION;
        assert!(!contacted.has_port(now, port(9)));
        contacted.handle_sent(now, port(11));
        assert!(contacted.has_port(now, port(11)) && !contacted.has_port(now, port(9)));
    }
}

//! Tickets, at the end that was given them.

use std::net::SocketAddr;

use super::{contract::QueryTarget, secret::TicketSecret, ticket::TicketName};
use crate::{
    identity::PublicKey,
    limits::{
        MAX_TICKETS, TICKET_LIFE, TICKET_PATIENCE_LEAST, TICKET_PATIENCE_LONGEST,
        TICKET_PATIENCE_RTTS,
    },
    lru::LruMap,
    time::{Duration, Instant},
};

/// The tickets of each node at each address, the one that came last.
///
/// **Bounds**: [`MAX_TICKETS`]; the least recently used gives way.
#[derive(Debug)]
pub(super) struct Wallet(LruMap<(PublicKey, SocketAddr), HeldTicket>);

#[derive(Debug)]
struct HeldTicket {
    name: TicketName,
    secret: TicketSecret,
    since: Instant,
    /// The number that seals next is above it.
    used: Option<u32>,
    rtt: Duration,
}

/// A ticket to be used once, with its number.
#[derive(Clone, Debug)]
pub(super) struct TicketUse {
    pub(super) name: TicketName,
    pub(super) secret: TicketSecret,
    pub(super) number: u32,
    /// Silence after which it is taken to be of no use.
    pub(super) patience: Duration,
}

impl Wallet {
    pub(super) const fn new() -> Self {
        Self(LruMap::new(MAX_TICKETS))
    }

    /// Whether there is a ticket that can be used now.
    pub(super) fn has(&self, now: Instant, to: &QueryTarget) -> bool {
        self.0.get(&(to.key, to.addr)).is_some_and(|ticket| ticket.next_number(now).is_some())
    }

    /// Uses a ticket once more.
    ///
    /// Its number is its age in milliseconds, or one above the last number where that is more:
    /// numbers grow strictly, so that no nonce repeats, and tell the responder how old the query
    /// is. With another clock, or another process, there is another ticket.
    pub(super) fn take(&mut self, now: Instant, to: &QueryTarget) -> Option<TicketUse> {
        let place = (to.key, to.addr);
        let ticket = self.0.get_mut(&place)?;
        let number = ticket.next_number(now)?;
        ticket.used = Some(number);
        let patience = (ticket.rtt * TICKET_PATIENCE_RTTS)
            .clamp(TICKET_PATIENCE_LEAST, TICKET_PATIENCE_LONGEST);
        let secret = ticket.secret.clone();
        let taken = TicketUse { name: ticket.name, secret, number, patience };
        self.0.touch(&place);
        Some(taken)
    }

    /// A ticket came, in place of what was there.
    pub(super) fn put(
        &mut self,
        now: Instant,
        from: &QueryTarget,
        (name, secret): (TicketName, TicketSecret),
        rtt: Duration,
    ) {
        let ticket = HeldTicket { name, secret, since: now, used: None, rtt };
        let _ = self.0.insert((from.key, from.addr), ticket);
    }

    /// A ticket was of no use: it is forgotten, unless another one came meanwhile.
    pub(super) fn discard(&mut self, of: &QueryTarget, name: TicketName) {
        let place = (of.key, of.addr);
        if self.0.get(&place).is_some_and(|ticket| ticket.name == name) {
            let _ = self.0.remove(&place);
        }
    }

    /// How long the answer took.
    pub(super) fn note_rtt(&mut self, of: &QueryTarget, rtt: Duration) {
        if let Some(ticket) = self.0.get_mut(&(of.key, of.addr)) {
            ticket.rtt = rtt;
        }
    }
}

impl HeldTicket {
    fn next_number(&self, now: Instant) -> Option<u32> {
        let age = u32::try_from(now.since(self.since).as_millis()).ok()?;
        let number = match self.used {
            Some(used) => age.max(used.checked_add(1)?),
            None => age,
        };
        // More than one in a millisecond runs ahead of the clock; the responder allows for little.
        let is_old = Duration::from_millis(number.into()) > TICKET_LIFE;
        (!is_old && number - age <= MOST_AHEAD).then_some(number)
    }
}

/// Milliseconds: half of [`TICKET_EARLINESS`](crate::limits::TICKET_EARLINESS).
const MOST_AHEAD: u32 = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    fn target(n: u8, port: u16) -> QueryTarget {
        let key = *Identity::from_seed([n; 32]).public_key();
        QueryTarget { addr: ([10, 0, 0, n], port).into(), key, noise_static: [n; 32] }
    }

    fn ticket(n: u8) -> (TicketName, TicketSecret) {
        (TicketName { nonce: [n; 8], issued: 7 }, TicketSecret::new([n; 32]))
    }

    #[test]
    fn numbers_of_a_ticket_are_its_age_and_never_come_twice() {
        let mut wallet = Wallet::new();
        let (to, start) = (target(1, 1), Instant::from_micros(9_000_000));
        let rtt = Duration::from_millis(30);
        wallet.put(start, &to, ticket(1), rtt);
        let number = |wallet: &mut Wallet, at| wallet.take(at, &to).map(|taken| taken.number);
        assert_eq!(number(&mut wallet, start), Some(0));
        assert_eq!(number(&mut wallet, start), Some(1));
        let later = start + Duration::from_secs(5);
        assert_eq!(number(&mut wallet, later), Some(5_000));
        let burst: Vec<u32> = (0..2000).map_while(|_| number(&mut wallet, later)).collect();
        assert_eq!(burst, (5_001..=5_500).collect::<Vec<_>>());
        assert!(!wallet.has(later, &to));
        assert_eq!(number(&mut wallet, start + TICKET_LIFE), Some(3_600_000));
        assert_eq!(number(&mut wallet, start + TICKET_LIFE), None);
        assert!(wallet.take(later, &target(1, 2)).is_none(), "another address");
        assert!(wallet.take(later, &QueryTarget { addr: to.addr, ..target(2, 1) }).is_none());
    }

    #[test]
    fn a_ticket_that_is_of_no_use_does_not_take_the_next_one_with_it() {
        let mut wallet = Wallet::new();
        let (to, now) = (target(1, 1), Instant::from_micros(9_000_000));
        wallet.put(now, &to, ticket(1), Duration::ZERO);
        wallet.put(now, &to, ticket(2), Duration::ZERO);
        wallet.discard(&to, ticket(1).0);
        assert!(wallet.has(now, &to));
        wallet.discard(&to, ticket(2).0);
        assert!(!wallet.has(now, &to));
    }
}

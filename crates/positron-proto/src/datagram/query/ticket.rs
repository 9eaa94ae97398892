//! Tickets, at the end that hands them out and keeps none (RFC 5077, RFC 8446, 2.2 and 4.6.1).

use std::net::IpAddr;

use zeroize::Zeroizing;

use super::{contract::Asker, secret::TicketSecret};
use crate::{
    crypto::HmacKey,
    limits::{TICKET_EARLINESS, TICKET_LATENESS, TICKET_LIFE},
    rng::Rng,
    time::{Duration, Instant},
};

/// What a ticket is called on the wire: who shows it must also know its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::datagram) struct TicketName {
    pub(in crate::datagram) nonce: [u8; 8],
    /// In whole seconds of the clock of whoever made it.
    pub(in crate::datagram) issued: u32,
}

/// Makes tickets and knows its own again, without remembering any.
///
/// The secret is an HMAC-SHA-256 over the name and over whom it was made for, where: under other
/// keys or another address the same name has another secret. Keys change after [`TICKET_LIFE`], and
/// the one before opens what it made for as long; the lowest bit of the first byte of a nonce says
/// which of the two it was.
#[derive(Debug)]
pub(in crate::datagram) struct TicketMint {
    current: HmacKey,
    previous: HmacKey,
    parity: u8,
    since: Instant,
}

impl TicketMint {
    pub(in crate::datagram) fn new(now: Instant, rng: &mut Rng) -> Self {
        Self { current: key(rng), previous: key(rng), parity: 0, since: now }
    }

    /// A ticket for a node where it is.
    pub(in crate::datagram) fn make(
        &mut self,
        now: Instant,
        to: &Asker,
        rng: &mut Rng,
    ) -> (TicketName, TicketSecret) {
        if now.since(self.since) >= TICKET_LIFE {
            self.previous = core::mem::replace(&mut self.current, key(rng));
            self.parity ^= 1;
            self.since = now;
        }
        let mut nonce: [u8; 8] = rng.bytes();
        nonce[0] = nonce[0] & !1 | self.parity;
        let issued = u32::try_from(now.as_micros() / SECOND).unwrap_or(u32::MAX);
        let name = TicketName { nonce, issued };
        (name, TicketSecret::new(self.current.sign(&covered(name, to))))
    }

    /// The secret of the ticket of this name, if it is in use now: `age` is how old its owner takes
    /// it for, which whoever repeats what the owner said once cannot change.
    pub(in crate::datagram) fn secret(
        &self,
        now: Instant,
        name: TicketName,
        age: Duration,
        to: &Asker,
    ) -> Option<TicketSecret> {
        let issued = Instant::from_micros(u64::from(name.issued).checked_mul(SECOND)?);
        if issued > now || age > TICKET_LIFE {
            return None;
        }
        let lived = now.since(issued);
        if lived > age + TICKET_LATENESS || lived + TICKET_EARLINESS < age {
            return None;
        }
        let is_current = name.nonce[0] & 1 == self.parity;
        let key = if is_current { &self.current } else { &self.previous };
        Some(TicketSecret::new(key.sign(&covered(name, to))))
    }
}

fn key(rng: &mut Rng) -> HmacKey {
    HmacKey::new(Zeroizing::new(rng.bytes::<32>()).as_slice())
}

/// Every field has one length: no two tickets are covered alike.
fn covered(name: TicketName, to: &Asker) -> [u8; COVERED] {
    let ip = match to.addr.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut covered = [0; COVERED];
    let fields = [
        &name.nonce[..],
        &name.issued.to_be_bytes(),
        to.key.as_bytes(),
        &to.noise_static,
        &ip.octets(),
        &to.addr.port().to_be_bytes(),
    ];
    let bytes = fields.into_iter().flatten();
    covered.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    covered
}

const COVERED: usize = 8 + 4 + 32 + 32 + 16 + 2;
/// In microseconds.
const SECOND: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::Identity, rng::Seed};

    const MILLI: Duration = Duration::from_millis(1);

    fn asker(n: u8, addr: &str) -> Asker {
        let key = *Identity::from_seed([n; 32]).public_key();
        Asker { addr: addr.parse().unwrap(), key, noise_static: [n; 32] }
    }

    #[test]
    fn a_ticket_is_good_for_its_owner_at_its_address_in_its_time_and_for_nothing_else() {
        let rng = &mut Seed::from_number(1).stream("tickets");
        let alice = &asker(1, "10.0.0.1:1");
        let now = Instant::from_micros(5_000 * SECOND);
        let mut mint = TicketMint::new(now, rng);
        let (name, secret) = mint.make(now, alice, rng);
        let minutes = Duration::from_secs(600);
        let same = |at, name, age, whose: &Asker| {
            mint.secret(at, name, age, whose) == Some(secret.clone())
        };
        assert!(same(now, name, Duration::ZERO, alice));
        assert!(same(now + minutes, name, minutes, alice));
        assert!(same(now + TICKET_LIFE, name, TICKET_LIFE, alice));
        for other in [
            Asker { key: asker(2, "10.0.0.1:1").key, ..*alice },
            Asker { noise_static: [2; 32], ..*alice },
            asker(1, "10.0.0.1:2"),
            asker(1, "10.0.0.2:1"),
            asker(1, "[::1]:1"),
        ] {
            assert!(!same(now, name, Duration::ZERO, &other), "{other:?}");
        }
        let other = TicketName { issued: name.issued - 1, ..name };
        assert!(!same(now, other, Duration::ZERO, alice));
        for bit in 0..64_u32 {
            let mut nonce = name.nonce;
            nonce[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
            let other = TicketName { nonce, ..name };
            assert!(!same(now, other, Duration::ZERO, alice), "bit {bit}");
        }
        // Late and early, which is what a copy is, and beyond its life.
        assert!(same(now + minutes + TICKET_LATENESS, name, minutes, alice));
        assert!(!same(now + minutes + TICKET_LATENESS + MILLI, name, minutes, alice));
        assert!(same(now + minutes, name, minutes + TICKET_EARLINESS, alice));
        assert!(!same(now + minutes, name, minutes + TICKET_EARLINESS + MILLI, alice));
        assert!(!same(now + TICKET_LIFE, name, TICKET_LIFE + MILLI, alice));
        let before = now - Duration::from_micros(SECOND);
        assert!(!same(before, name, Duration::ZERO, alice));
        let last = TicketName { issued: u32::MAX, ..name };
        assert!(!same(now, last, Duration::ZERO, alice));
    }

    #[test]
    fn a_ticket_outlives_one_change_of_keys_and_no_second_one() {
        let rng = &mut Seed::from_number(1).stream("tickets");
        let whose = &asker(1, "10.0.0.1:1");
        let first = Instant::from_micros(5_000 * SECOND);
        let mut mint = TicketMint::new(first, rng);
        let late = first + TICKET_LIFE - Duration::from_secs(1);
        let (name, secret) = mint.make(late, whose, rng);
        let after = late + Duration::from_secs(1);
        let (next, _) = mint.make(after, whose, rng);
        assert_ne!(name.nonce[0] & 1, next.nonce[0] & 1);
        let age = Duration::from_secs(1);
        assert_eq!(mint.secret(after, name, age, whose), Some(secret.clone()));
        let _ = mint.make(after + TICKET_LIFE, whose, rng);
        // Of its age it would be too old in any case; of a wrong one it is another ticket.
        assert_ne!(mint.secret(after, name, age, whose), Some(secret));
    }
}

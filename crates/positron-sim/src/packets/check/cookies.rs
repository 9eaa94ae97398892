//! Under pressure only who receives at its address costs more than an answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use positron_proto::{
    limits::{COOKIE_AGE, COOKIES_FROM},
    time::Instant,
    wire::packet::{Syn, SynAck},
};

use super::{Promise, Wrong};
use crate::packets::header_view::{HEADER, PacketHeaderView};

/// The cookies that one life of an end gave, and whom it may answer by more than another one.
#[derive(Debug, Default)]
pub(crate) struct Cookies {
    /// To which address, for which connection, and when.
    given: BTreeMap<(SocketAddr, u32, Vec<u8>), Instant>,
    admitted: BTreeSet<(SocketAddr, u32)>,
}

impl Cookies {
    /// The end was handed a datagram while it held so many half-open handshakes.
    pub(crate) fn handle_handover(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        half_open: usize,
    ) {
        let Some(syn) = payload(datagram, SYN).and_then(|payload| Syn::decode(payload).ok()) else {
            return;
        };
        let given = self.given.get(&(from, syn.connection, syn.cookie.to_vec()));
        let is_good = given.is_some_and(|given| now.since(*given) <= COOKIE_AGE);
        if half_open < COOKIES_FROM || is_good {
            self.admitted.insert((from, syn.connection));
        }
    }

    /// The end sent a datagram.
    pub(crate) fn handle_sent(
        &mut self,
        now: Instant,
        to: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), Wrong> {
        let connection = PacketHeaderView::of(datagram).map_or(0, |packet| packet.connection);
        match payload(datagram, SYN_ACK).and_then(|payload| SynAck::decode(payload).ok()) {
            Some(SynAck::Cookie { cookie }) => {
                self.given.insert((to, connection, cookie.to_vec()), now);
            }
            Some(SynAck::Noise { .. }) if !self.admitted.contains(&(to, connection)) => {
                let what = format!("{to} brought no cookie of its own, and is let in");
                return Err(Wrong::new(Promise::Cookies, what));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether an end gives a cookie.
pub(crate) fn is_cookie(datagram: &[u8]) -> bool {
    let answer = payload(datagram, SYN_ACK).and_then(|payload| SynAck::decode(payload).ok());
    matches!(answer, Some(SynAck::Cookie { .. }))
}

/// What follows the header of an unsealed packet of this type.
fn payload(datagram: &[u8], kind: u8) -> Option<&[u8]> {
    let packet = PacketHeaderView::of(datagram)?;
    (packet.kind == kind && !packet.is_sealed()).then(|| datagram.get(HEADER..))?
}

const SYN: u8 = 1;
const SYN_ACK: u8 = 2;

#[cfg(test)]
mod tests {
    use positron_proto::{
        time::Duration,
        wire::packet::{PacketType, put_unsealed},
    };

    use super::*;

    const CONNECTION: u32 = 7;
    const COOKIE: &[u8] = b"a cookie";

    fn alice() -> SocketAddr {
        SocketAddr::from(([10, 7, 0, 1], 1))
    }

    fn datagram(kind: PacketType, connection: u32, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut datagram = Vec::new();
        put_unsealed(&mut datagram, kind, connection, write);
        datagram
    }

    fn syn(connection: u32, cookie: &[u8]) -> Vec<u8> {
        let syn = Syn { pattern: 2, connection, cookie, noise: &[1; 40] };
        datagram(PacketType::Syn, 0, |out| syn.encode(out))
    }

    fn answer(answer: SynAck<'_>) -> Vec<u8> {
        datagram(PacketType::SynAck, CONNECTION, |out| answer.encode(out))
    }

    /// Whether the end that gave Alice a cookie at the beginning may let in who brings this SYN.
    fn may_let_in(millis: u64, from: SocketAddr, syn: &[u8], half_open: usize) -> bool {
        let mut cookies = Cookies::default();
        let now = Instant::ORIGIN + Duration::from_millis(millis);
        let cookie = answer(SynAck::Cookie { cookie: COOKIE });
        assert!(is_cookie(&cookie));
        cookies.handle_sent(Instant::ORIGIN, alice(), &cookie).unwrap();
        cookies.handle_handover(now, from, syn, half_open);
        let noise = answer(SynAck::Noise { pattern: 2, noise: &[1; 40] });
        cookies.handle_sent(now, from, &noise).is_ok()
    }

    #[test]
    fn under_pressure_a_cookie_lets_in_who_it_was_given_to_and_nobody_else() {
        let pressed = COOKIES_FROM;
        let bob = SocketAddr::from(([10, 7, 0, 2], 1));
        assert!(may_let_in(1, alice(), &syn(CONNECTION, COOKIE), pressed));
        assert!(!may_let_in(1, alice(), &syn(CONNECTION, b""), pressed));
        assert!(!may_let_in(1, alice(), &syn(CONNECTION, b"another"), pressed));
        assert!(!may_let_in(1, bob, &syn(CONNECTION, COOKIE), pressed));
        assert!(!may_let_in(1, alice(), &syn(CONNECTION + 1, COOKIE), pressed));
        assert!(!may_let_in(10_001, alice(), &syn(CONNECTION, COOKIE), pressed), "too old");
    }

    #[test]
    fn without_pressure_nobody_needs_one() {
        assert!(may_let_in(1, alice(), &syn(CONNECTION, b""), COOKIES_FROM - 1));
    }
}

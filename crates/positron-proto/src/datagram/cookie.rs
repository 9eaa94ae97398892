//! Cookies: what a SYN must bring back under pressure, so that only who receives at its address
//! costs state and computation (RFC 6013, QUIC's Retry in RFC 9000, 8.1.2).

use std::net::{IpAddr, SocketAddr};

use crate::{crypto::HmacKey, limits::COOKIE_AGE, rng::Rng, time::Instant, wire::packet::Syn};

/// Mints and checks cookies without remembering any.
///
/// A cookie is the time of its making and a MAC (HMAC-SHA-256) over that time, the address, the
/// connection id and the Noise message: it proves that who brings it received what was sent to
/// this address, and is good for this very SYN for [`COOKIE_AGE`]. Keys change as often.
#[derive(Debug)]
pub(super) struct Cookies {
    current: HmacKey,
    previous: HmacKey,
    since: Instant,
}

impl Cookies {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self { current: key(rng), previous: key(rng), since: Instant::ORIGIN }
    }

    /// A cookie for this SYN from this address.
    pub(super) fn mint(
        &mut self,
        now: Instant,
        from: SocketAddr,
        syn: &Syn<'_>,
        rng: &mut Rng,
    ) -> Vec<u8> {
        if now.since(self.since) >= COOKIE_AGE {
            self.previous = core::mem::replace(&mut self.current, key(rng));
            self.since = now;
        }
        let minted = now.as_micros().to_be_bytes();
        let tag = self.current.sign(&covered(minted, from, syn));
        [&minted[..], &tag].concat()
    }

    /// Whether the SYN brings a cookie of ours for itself that is not too old.
    pub(super) fn is_good(&self, now: Instant, from: SocketAddr, syn: &Syn<'_>) -> bool {
        let Some((minted, tag)) = syn.cookie.split_first_chunk() else { return false };
        let at = Instant::from_micros(u64::from_be_bytes(*minted));
        // A time that is yet to come was not minted here, and would never grow too old.
        if at > now || now.since(at) > COOKIE_AGE {
            return false;
        }
        let covered = covered(*minted, from, syn);
        [&self.current, &self.previous].iter().any(|key| key.verify(&covered, tag))
    }
}

fn key(rng: &mut Rng) -> HmacKey {
    HmacKey::new(&rng.bytes::<32>())
}

/// Every field has one length but the last: no two SYNs are covered alike.
fn covered(minted: [u8; 8], from: SocketAddr, syn: &Syn<'_>) -> Vec<u8> {
    let ip = match from.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    [
        &minted[..],
        &ip.octets(),
        &from.port().to_be_bytes(),
        &[syn.pattern],
        &syn.connection.to_be_bytes(),
        syn.noise,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rng::Seed, time::Duration};

    fn syn<'a>(cookie: &'a [u8], noise: &'a [u8]) -> Syn<'a> {
        Syn { pattern: 2, connection: 7, cookie, noise }
    }

    #[test]
    fn a_cookie_is_good_for_its_syn_from_its_address_in_its_time_and_for_nothing_else() {
        let rng = &mut Seed::from_number(1).stream("cookies");
        let mut cookies = Cookies::new(rng);
        let (alice, bob) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.1:2".parse().unwrap());
        let now = Instant::from_micros(50_000_000);
        let cookie = cookies.mint(now, alice, &syn(b"", b"noise"), rng);
        let good = |at, from, syn: Syn<'_>| cookies.is_good(at, from, &syn);
        assert!(good(now, alice, syn(&cookie, b"noise")));
        assert!(good(now + COOKIE_AGE, alice, syn(&cookie, b"noise")));
        let late = now + COOKIE_AGE + Duration::from_micros(1);
        assert!(!good(late, alice, syn(&cookie, b"noise")));
        assert!(!good(now - Duration::from_micros(1), alice, syn(&cookie, b"noise")));
        assert!(!good(now, bob, syn(&cookie, b"noise")));
        assert!(!good(now, alice, syn(&cookie, b"other")));
        assert!(!good(now, alice, Syn { pattern: 1, ..syn(&cookie, b"noise") }));
        assert!(!good(now, alice, Syn { connection: 8, ..syn(&cookie, b"noise") }));
        for at in 0..cookie.len() {
            let mut forged = cookie.clone();
            forged[at] ^= 1;
            assert!(!good(now, alice, syn(&forged, b"noise")), "byte {at}");
            assert!(!good(now, alice, syn(&cookie[..at], b"noise")), "{at} bytes");
        }
    }

    #[test]
    fn a_cookie_outlives_one_change_of_keys() {
        let rng = &mut Seed::from_number(1).stream("cookies");
        let mut cookies = Cookies::new(rng);
        let from = "10.0.0.1:1".parse().unwrap();
        let first = Instant::from_micros(20_000_000);
        let _ = cookies.mint(first, from, &syn(b"", b"a"), rng);
        let late = first + COOKIE_AGE - Duration::from_micros(1);
        let cookie = cookies.mint(late, from, &syn(b"", b"b"), rng);
        let after = late + Duration::from_secs(1);
        let _ = cookies.mint(after, from, &syn(b"", b"c"), rng);
        assert!(cookies.is_good(after, from, &syn(&cookie, b"b")));
        let later = after + COOKIE_AGE;
        let _ = cookies.mint(later, from, &syn(b"", b"d"), rng);
        assert!(!cookies.is_good(later, from, &syn(&cookie, b"b")));
    }
}

//! Who could have opened the way to itself for us, and for us only.

use std::net::{IpAddr, SocketAddr};

use super::{KnownPeer, address_book::NOTE_INTERVAL, connected::ConnectedPeers};
use crate::{
    limits::{MAX_CONTACTS, NAT_MAPPING_LIFETIME},
    lru::LruMap,
    netgroup::counted,
    time::{Duration, Instant, Now},
};

/// The addresses from which somebody spoke to us.
///
/// What stands in front of a node lets in those to whom the node has spoken, for as long as
/// [`NAT_MAPPING_LIFETIME`] (RFC 4787, 4.3 and 5). So if a datagram of ours gets through to an
/// address from which nobody ever spoke to us, one of any stranger does; otherwise it proves
/// nothing. The node need not be the one that spoke: what counts is what its translator or firewall
/// has seen. Loopback has none.
///
/// Bounded by [`MAX_CONTACTS`]. An address that gives way too early makes us take for proven what
/// is not, and whoever hears of that dials once in vain.
#[derive(Debug)]
pub(super) struct Contacts {
    last: LruMap<IpAddr, Instant>,
    /// Until then what an earlier life of ours heard may count, which nobody remembers.
    forgotten_until: Instant,
}

impl Contacts {
    /// `remembered` says how long ago there was an earlier life.
    pub(super) fn new(remembered: &[KnownPeer], now: Now) -> Self {
        let lately = NAT_MAPPING_LIFETIME + NOTE_INTERVAL;
        let last_seen = remembered.iter().map(|known| known.last_seen).max();
        let forgets = last_seen.is_some_and(|at| now.wall.since(at) < lately);
        let wait = if forgets { NAT_MAPPING_LIFETIME } else { Duration::ZERO };
        Self { last: LruMap::new(MAX_CONTACTS), forgotten_until: now.mono + wait }
    }

    /// Somebody at this address spoke to us.
    pub(super) fn note(&mut self, addr: SocketAddr, now: Instant) {
        if let Some(ip) = counted(addr) {
            self.last.insert(ip, now);
        }
    }

    /// Somebody at this address answered us. If it had spoken first, the way that it opened then
    /// stays open; if not, it is found without.
    pub(super) fn note_answer(&mut self, addr: SocketAddr, now: Instant) {
        let spoke = |at: &Instant| now.since(*at) < NAT_MAPPING_LIFETIME;
        if counted(addr).and_then(|ip| self.last.get(&ip)).is_some_and(spoke) {
            self.note(addr, now);
        }
    }

    /// Whether nobody at this address spoke to us for so long that a dial now is like that of any
    /// stranger.
    pub(super) fn are_strangers(
        &self,
        addr: SocketAddr,
        links: &ConnectedPeers,
        now: Instant,
    ) -> bool {
        let Some(ip) = counted(addr) else { return true };
        let spoke = |at: &Instant| now.since(*at) < NAT_MAPPING_LIFETIME;
        let is_linked = || links.iter().any(|(_, link)| counted(link.peer.addr) == Some(ip));
        now >= self.forgotten_until && !self.last.get(&ip).is_some_and(spoke) && !is_linked()
    }

    /// Whether somebody at this address spoke to us since then.
    pub(super) fn spoke_since(&self, addr: SocketAddr, since: Instant) -> bool {
        let last = counted(addr).and_then(|ip| self.last.get(&ip));
        last.is_some_and(|at| *at >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::WallTime;

    const START: Instant = Instant::from_micros(1_000_000_000);

    fn nobody() -> (Contacts, ConnectedPeers) {
        let now = Now { mono: START, wall: WallTime::from_unix_micros(0) };
        let slots = crate::peers::PeersConfig::default().slots();
        (Contacts::new(&[], now), ConnectedPeers::new(slots))
    }

    #[test]
    fn who_spoke_is_no_stranger_from_any_port_for_as_long_as_a_translator_may_remember() {
        let (mut contacts, links) = nobody();
        let [spoke, neighbour, other] =
            ["9.9.9.9:1", "[::ffff:9.9.9.9]:2", "9.9.9.8:1"].map(|addr| addr.parse().unwrap());
        contacts.note(spoke, START);
        let last = START + NAT_MAPPING_LIFETIME - Duration::from_micros(1);
        assert!(!contacts.are_strangers(neighbour, &links, last));
        assert!(contacts.spoke_since(neighbour, START) && !contacts.spoke_since(spoke, last));
        assert!(contacts.are_strangers(other, &links, last));
        assert!(contacts.are_strangers(spoke, &links, START + NAT_MAPPING_LIFETIME));
    }

    #[test]
    fn an_answer_keeps_a_way_open_that_was_opened_before_and_opens_none() {
        let (mut contacts, links) = nobody();
        let addr: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let later = START + NAT_MAPPING_LIFETIME * 2 / 3;
        contacts.note_answer(addr, later);
        assert!(contacts.are_strangers(addr, &links, later), "nobody spoke first");
        contacts.note(addr, later);
        let answered = later + NAT_MAPPING_LIFETIME * 2 / 3;
        contacts.note_answer(addr, answered);
        assert!(!contacts.are_strangers(addr, &links, answered + NAT_MAPPING_LIFETIME / 2));
        assert!(contacts.are_strangers(addr, &links, answered + NAT_MAPPING_LIFETIME));
    }

    #[test]
    fn nothing_translates_on_loopback() {
        let (mut contacts, links) = nobody();
        let addr = "127.0.0.1:1".parse().unwrap();
        contacts.note(addr, START);
        assert!(contacts.are_strangers(addr, &links, START));
    }
}

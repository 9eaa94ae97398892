//! What addresses get of us where nobody ever answered.

use std::net::{IpAddr, SocketAddr};

use crate::{
    limits::{LONGEST_SILENCE, MAX_ASKED_ADDRESSES, MAX_TO_SILENT, SILENT_FOR},
    lru::LruMap,
    netgroup::counted,
    time::{Duration, Instant},
};

/// Addresses to which something went because somebody said that a node is there: dials, probes and
/// queries of the hash table, all in one account.
///
/// An address that nobody answered from gets [`MAX_TO_SILENT`] packets in [`SILENT_FOR`], and as
/// many in each time that follows, which is twice as long as the one before, and
/// [`LONGEST_SILENCE`] at most. A time begins with its first packet, so that nothing adds up while
/// nobody names the address. Where a node proved to be, the caller may send what it likes: to all
/// ports, because an IP address is one machine, or one translator with any number of nodes behind
/// it. For the same reason all its ports are one silence: who names 65,535 of them names one.
///
/// What is sent to whom the operator or the application names, or to where a node was reached
/// before, is no part of it.
///
/// **Bounds**: [`MAX_ASKED_ADDRESSES`]; addresses count as in [`counted`], loopback does not.
#[derive(Debug)]
pub(super) struct SilentAddresses(LruMap<IpAddr, AskedAddress>);

#[derive(Debug)]
enum AskedAddress {
    Silent(Silence),
    Answered,
}

#[derive(Debug)]
struct Silence {
    /// Packets that may go there until then.
    left: u32,
    until: Instant,
    /// How long the next time is.
    next: Duration,
}

impl SilentAddresses {
    pub(super) const fn new() -> Self {
        Self(LruMap::new(MAX_ASKED_ADDRESSES))
    }

    /// Whether as much may go there as the caller likes.
    pub(super) fn has_answered(&self, addr: SocketAddr) -> bool {
        let asked = counted(addr).map(|ip| self.0.get(&ip));
        asked.is_none_or(|asked| matches!(asked, Some(AskedAddress::Answered)))
    }

    /// Until when so many packets may not go there, if they may not now.
    pub(super) fn until(&self, now: Instant, to: SocketAddr, packets: u32) -> Option<Instant> {
        match counted(to).and_then(|ip| self.0.get(&ip))? {
            AskedAddress::Silent(silence) => silence.until(now, packets),
            AskedAddress::Answered => None,
        }
    }

    /// So many packets go there, at most [`MAX_TO_SILENT`], if they may.
    pub(super) fn spend(&mut self, now: Instant, to: SocketAddr, packets: u32) -> bool {
        let Some(ip) = counted(to) else { return true };
        let Some(asked) = self.0.get_mut(&ip) else {
            let silence = Silence::begin(now, packets);
            let _ = self.0.insert(ip, AskedAddress::Silent(silence));
            return true;
        };
        let may = match asked {
            AskedAddress::Silent(silence) => silence.spend(now, packets),
            AskedAddress::Answered => true,
        };
        // Also where it may not: who is named again and again is not to be forgotten.
        self.0.touch(&ip);
        may
    }

    /// A node proved to be there. Whether that is news.
    pub(super) fn note_answer(&mut self, from: SocketAddr) -> bool {
        let Some(ip) = counted(from) else { return false };
        let was_silent = matches!(self.0.get(&ip), Some(AskedAddress::Silent(_)));
        let _ = self.0.insert(ip, AskedAddress::Answered);
        was_silent
    }
}

impl Silence {
    fn begin(now: Instant, packets: u32) -> Self {
        let left = MAX_TO_SILENT.saturating_sub(packets);
        Self { left, until: now + SILENT_FOR, next: SILENT_FOR * 2 }
    }

    fn until(&self, now: Instant, packets: u32) -> Option<Instant> {
        (now < self.until && self.left < packets).then_some(self.until)
    }

    fn spend(&mut self, now: Instant, packets: u32) -> bool {
        if self.until(now, packets).is_some() {
            return false;
        }
        if now >= self.until {
            (self.left, self.until) = (MAX_TO_SILENT, now + self.next);
            self.next = (self.next * 2).min(LONGEST_SILENCE);
        }
        self.left = self.left.saturating_sub(packets);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{QUERY_PACKETS, SPARING_DIAL_PACKETS};

    const START: Instant = Instant::from_micros(5_000_000);

    #[test]
    fn an_address_that_never_answers_gets_three_packets_and_then_ever_fewer() {
        for packets in [QUERY_PACKETS, SPARING_DIAL_PACKETS] {
            let mut silent = SilentAddresses::new();
            let mut sent = Vec::new();
            for tenth in 0..864_000_u32 {
                let now = START + Duration::from_millis(100) * tenth;
                let port = u16::try_from(1 + tenth % 60_000).unwrap();
                let to = SocketAddr::from(([10, 0, 0, 1], port));
                // Bursts with pauses between them, which a count per window would let add up.
                let may = silent.until(now, to, packets).is_none();
                if tenth % 97 < 30 {
                    assert_eq!(silent.spend(now, to, packets), may);
                    sent.extend((0..packets).filter(|_| may).map(|_| now));
                }
            }
            let within = |seconds| {
                let end = START + Duration::from_secs(seconds);
                sent.iter().filter(|at| **at < end).count()
            };
            let of_a_time = usize::try_from(MAX_TO_SILENT / packets * packets).unwrap();
            assert_eq!([24, 74, 174].map(within), [1, 2, 3].map(|times| times * of_a_time));
            assert!((30..=100).contains(&within(86_400)), "{}", within(86_400));
        }
    }

    #[test]
    fn an_answer_from_any_port_ends_the_silence_of_an_address_and_of_no_other() {
        let mut silent = SilentAddresses::new();
        let [to, neighbour, other, loopback] =
            ["10.0.0.1:1", "[::ffff:10.0.0.1]:2", "10.0.0.2:1", "127.0.0.1:1"]
                .map(|addr| addr.parse().unwrap());
        for addr in [to, other] {
            assert!(silent.spend(START, addr, MAX_TO_SILENT));
        }
        assert!(!silent.spend(START, neighbour, 1), "ports of one address are one");
        assert_eq!(silent.until(START, to, 1), Some(START + SILENT_FOR));
        assert!(silent.note_answer(neighbour) && !silent.note_answer(to));
        assert!((0..100).all(|_| silent.spend(START, to, MAX_TO_SILENT)));
        assert!(silent.has_answered(to) && !silent.has_answered(other));
        assert!(!silent.spend(START, other, 1));
        assert!(silent.has_answered(loopback) && silent.spend(START, loopback, MAX_TO_SILENT));
    }

    #[test]
    fn who_is_named_again_and_again_is_not_forgotten_for_many_others() {
        let mut silent = SilentAddresses::new();
        let victim = SocketAddr::from(([10, 0, 0, 1], 1));
        assert!(silent.spend(START, victim, MAX_TO_SILENT));
        for n in 0..u32::try_from(3 * MAX_ASKED_ADDRESSES).unwrap() {
            let other = SocketAddr::from(((0x0B00_0000 + n).to_be_bytes(), 1));
            assert!(silent.spend(START, other, 1) && !silent.spend(START, victim, 1));
        }
    }
}

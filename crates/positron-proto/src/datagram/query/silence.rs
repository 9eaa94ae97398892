//! How often an address is asked that never answers.

use std::net::{IpAddr, SocketAddr};

use crate::{
    limits::{LONGEST_SILENCE, MAX_ASKED_ADDRESSES, MAX_TO_SILENT, SILENT_FOR},
    lru::LruMap,
    netgroup::counted,
    time::{Duration, Instant},
};

/// Addresses that were asked. Whoever answered once, provably, may be asked as often as the caller
/// likes; any other address gets [`MAX_TO_SILENT`] packets in [`SILENT_FOR`], and as many in each
/// time that follows, which is twice as long as the one before, and [`LONGEST_SILENCE`] at most.
///
/// **Bounds**: [`MAX_ASKED_ADDRESSES`]; addresses count as in [`counted`], loopback does not.
#[derive(Debug)]
pub(super) struct SilentAddresses(LruMap<IpAddr, AskedAddress>);

#[derive(Debug)]
enum AskedAddress {
    Silent {
        /// When it was sent to, the latest first.
        sent: [Option<Instant>; MAX_TO_SILENT],
        /// How often.
        times: usize,
    },
    Answered,
}

/// How long it gets no more that was sent to so often.
fn pause_after(times: usize) -> Duration {
    let before = (times / MAX_TO_SILENT).saturating_sub(1);
    (0..before).fold(SILENT_FOR, |pause, _| (2 * pause).min(LONGEST_SILENCE))
}

impl SilentAddresses {
    pub(super) const fn new() -> Self {
        Self(LruMap::new(MAX_ASKED_ADDRESSES))
    }

    /// Whether one more packet may go there.
    pub(super) fn allows(&self, now: Instant, to: SocketAddr) -> bool {
        match counted(to).and_then(|address| self.0.get(&address)) {
            Some(AskedAddress::Silent { sent: [.., Some(earliest)], times }) => {
                now.since(*earliest) >= pause_after(*times)
            }
            Some(AskedAddress::Silent { .. } | AskedAddress::Answered) | None => true,
        }
    }

    /// A packet goes there.
    pub(super) fn note_sent(&mut self, now: Instant, to: SocketAddr) {
        let Some(address) = counted(to) else { return };
        match self.0.get_mut(&address) {
            Some(AskedAddress::Answered) => self.0.touch(&address),
            Some(AskedAddress::Silent { sent, times }) => {
                sent.rotate_right(1);
                sent[0] = Some(now);
                *times += 1;
                self.0.touch(&address);
            }
            None => {
                let mut sent = [None; MAX_TO_SILENT];
                sent[0] = Some(now);
                let _ = self.0.insert(address, AskedAddress::Silent { sent, times: 1 });
            }
        }
    }

    /// Who was asked there answered.
    pub(super) fn note_answer(&mut self, from: SocketAddr) {
        if let Some(address) = counted(from) {
            let _ = self.0.insert(address, AskedAddress::Answered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_never_answers_gets_two_packets_and_then_ever_fewer() {
        let mut silent = SilentAddresses::new();
        let to = "10.0.0.1:1".parse().unwrap();
        let neighbour = "10.0.0.1:2".parse().unwrap();
        let mut sent = Vec::new();
        let start = Instant::from_micros(5_000_000);
        for tenth in 0..864_000 {
            let now = start + Duration::from_millis(100) * tenth;
            // Bursts with pauses between them, which a count per window would let add up.
            if tenth % 97 < 30 && silent.allows(now, to) {
                silent.note_sent(now, to);
                sent.push(now);
            }
        }
        let within = |seconds| {
            let end = start + Duration::from_secs(seconds);
            sent.iter().filter(|at| **at <= end).count()
        };
        assert_eq!((within(9), within(29)), (2, 4));
        assert!(within(150) <= 10 && (40..=70).contains(&within(86_400)), "{sent:?}");
        assert!(sent.windows(3).all(|three| three[2].since(three[0]) >= SILENT_FOR));
        let now = start + Duration::from_secs(200_000);
        silent.note_sent(now, to);
        silent.note_sent(now, neighbour);
        assert!(!silent.allows(now, to), "ports of one address are one");
        silent.note_answer(to);
        (0..100).for_each(|_| silent.note_sent(now, to));
        assert!(silent.allows(now, to));
    }
}

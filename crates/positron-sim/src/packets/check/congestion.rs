//! Not much more is sent than needed, and less and less into silence.

use std::collections::BTreeMap;

use positron_proto::{
    time::{Duration, Instant},
    wire::packet::PacketType,
};

use super::{Promise, Wrong};
use crate::packets::glimpse::Glimpse;

/// How long a peer must have been silent before the packets are counted: by then the first
/// retransmission timeout has passed, and the congestion window is one datagram.
const DEAF_AFTER: Duration = Duration::from_secs(2);
/// Packets that one connection may send from then on until it hears again or gives up. A timeout
/// that starts at half a second and doubles up to ten seconds fires 5 times in half a minute, with
/// two probes each; windows that are told anew, pings and closing add some (guess; the most in
/// 20,000 stories was 25).
const INTO_SILENCE: u32 = 32;

/// What is sent on each connection of an end while nothing comes back.
#[derive(Debug, Default)]
pub(crate) struct Silence(BTreeMap<u32, Deaf>);

#[derive(Clone, Copy, Debug)]
struct Deaf {
    since: Instant,
    sent: u32,
}

impl Silence {
    /// The end sent a packet; connections are told apart by the id that the other end chose.
    pub(crate) fn sent(&mut self, now: Instant, packet: &Glimpse) -> Result<(), Wrong> {
        // An application that reads on has windows told anew: that asks nobody for anything.
        if !packet.is_sealed() || packet.kind == PacketType::Ack as u8 {
            return Ok(());
        }
        let deaf = self.0.entry(packet.connection).or_insert(Deaf { since: now, sent: 0 });
        let lasting = now.since(deaf.since);
        if lasting <= DEAF_AFTER {
            return Ok(());
        }
        deaf.sent += 1;
        if deaf.sent != INTO_SILENCE + 1 {
            return Ok(());
        }
        let what = format!("{} packets into {lasting:?} of silence, last: {packet}", deaf.sent);
        Err(Wrong::new(Promise::Congestion, what))
    }

    /// The end was handed packets from the other end of some connection.
    pub(crate) fn heard(&mut self) {
        self.0.clear();
    }
}

/// Bytes that were sent, and bytes that had to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Effort {
    /// Bytes of packets that carry data.
    pub(crate) sent: u64,
    /// Bytes of messages and streams that applications gave away.
    pub(crate) needed: u64,
    /// Packets that carry data.
    pub(crate) packets: u64,
    /// Packets declared lost.
    pub(crate) lost: u64,
}

impl Effort {
    /// Sent for each byte that was needed.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn ratio(&self) -> f64 {
        if self.needed == 0 { 0.0 } else { self.sent as f64 / self.needed as f64 }
    }

    /// Looks at a whole run; `faithful`: no path lost anything.
    pub(crate) fn check(&self, faithful: bool) -> Result<(), Wrong> {
        // Half of all packets lost doubles what is sent; three times as much, and headers of small
        // messages, have another reason.
        if self.sent > 500_000 && self.sent > 6 * self.needed && self.packets * 100 < self.sent {
            let what = format!("{} bytes sent for {}", self.sent, self.needed);
            return Err(Wrong::new(Promise::Congestion, what));
        }
        // Reordering looks like loss until it is known; a twentieth is more than that.
        if faithful && self.packets > 500 && self.lost > self.packets / 20 {
            let what = format!("{} of {} packets lost where none was", self.lost, self.packets);
            return Err(Wrong::new(Promise::Congestion, what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEALED: Glimpse = Glimpse { kind: 7, flags: 4, number: 1, ack: 0, connection: 9 };

    fn send_every(every: Duration, packets: u32) -> Result<(), Wrong> {
        let mut silence = Silence::default();
        (0..packets).try_for_each(|n| silence.sent(Instant::ORIGIN + every * n, &SEALED))
    }

    #[test]
    fn a_timeout_that_never_backs_off_is_found() {
        assert!(send_every(Duration::from_millis(300), 60).is_err());
        assert!(send_every(Duration::from_secs(2), 15).is_ok());
    }

    #[test]
    fn whoever_hears_may_go_on() {
        let mut silence = Silence::default();
        for n in 0..500 {
            if n % 5 == 0 {
                silence.heard();
            }
            assert!(silence.sent(Instant::ORIGIN + Duration::from_secs(1) * n, &SEALED).is_ok());
        }
    }

    #[test]
    fn waste_and_imagined_losses_are_found() {
        let effort = Effort { sent: 1_000_000, needed: 900_000, packets: 900, lost: 20 };
        assert!(effort.check(true).is_ok());
        assert!(Effort { needed: 100_000, ..effort }.check(false).is_err());
        assert!(Effort { lost: 100, ..effort }.check(true).is_err());
        assert!(Effort { lost: 100, ..effort }.check(false).is_ok());
    }
}

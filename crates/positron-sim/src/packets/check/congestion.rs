//! Not much more is sent than needed, and less and less into silence.

use std::collections::BTreeMap;

use positron_proto::{
    time::{Duration, Instant},
    wire::packet::PacketType,
};

use super::{Promise, Wrong};
use crate::packets::header_view::PacketHeaderView;

/// How long a peer must have been silent before the packets are counted.
const DEAF_AFTER: Duration = Duration::from_secs(2);
/// Packets that the timers of one connection may send from then on until it hears again or gives
/// up. Probes and timeouts come after waits that double: after 2, 4, 8 and 16 s at the most often,
/// and one that began before. Each sends two packets: a probe has two, and so has the congestion
/// window at its least, which a timeout leaves.
const INTO_SILENCE: u32 = 5 * 2;

/// Types of packets that nobody has to acknowledge: they say nothing of who listens. An application
/// that reads on has windows told anew, and what the other end asked may be answered late.
const ASKS_NOBODY: [u8; 4] = [
    PacketType::Ack as u8,
    PacketType::Pong as u8,
    PacketType::FinAck as u8,
    PacketType::Rst as u8,
];

/// What is sent on each connection of an end while it waits for an answer and nothing comes back.
/// Connections are told apart by the id that the other end chose.
#[derive(Debug, Default)]
pub(crate) struct Silence(BTreeMap<u32, Deaf>);

#[derive(Clone, Copy, Debug)]
struct Deaf {
    since: Instant,
    sent: u32,
}

impl Silence {
    /// The end sent a packet, because time went on or because its application said something: that
    /// is as much as the application wants.
    pub(crate) fn handle_sent(
        &mut self,
        now: Instant,
        packet: &PacketHeaderView,
        by_timer: bool,
    ) -> Result<(), Wrong> {
        if !packet.is_sealed() || ASKS_NOBODY.contains(&packet.kind) {
            return Ok(());
        }
        let deaf = self.0.entry(packet.connection).or_insert(Deaf { since: now, sent: 0 });
        let lasting = now.since(deaf.since);
        if lasting <= DEAF_AFTER || !by_timer {
            return Ok(());
        }
        deaf.sent += 1;
        if deaf.sent != INTO_SILENCE + 1 {
            return Ok(());
        }
        let what = format!("{} packets into {lasting:?} of silence, last: {packet}", deaf.sent);
        Err(Wrong::new(Promise::Congestion, what))
    }

    /// Nothing of a connection waits to be acknowledged: what it said asked for nothing.
    pub(crate) fn rests(&mut self, connection: u32) {
        self.0.remove(&connection);
    }

    /// The end was handed packets from the other end of some connection.
    pub(crate) fn handle_sign_of_life(&mut self) {
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

    const SEALED: PacketHeaderView =
        PacketHeaderView { kind: 7, flags: 4, number: 1, ack: 0, connection: 9 };

    fn send_every(every: Duration, packets: u32, by_timer: bool) -> Result<(), Wrong> {
        let mut silence = Silence::default();
        let mut send = |n| silence.handle_sent(Instant::ORIGIN + every * n, &SEALED, by_timer);
        (0..packets).try_for_each(&mut send)
    }

    #[test]
    fn a_timeout_that_never_backs_off_is_found_and_an_application_may_say_what_it_likes() {
        const OFTEN: Duration = Duration::from_millis(300);
        assert!(send_every(OFTEN, 60, true).is_err());
        assert!(send_every(OFTEN, 60, false).is_ok());
        assert!(send_every(Duration::from_secs(2), 12, true).is_ok());
    }

    #[test]
    fn whoever_hears_or_asks_for_nothing_may_go_on() {
        for hears in [true, false] {
            let mut silence = Silence::default();
            for n in 0..500 {
                match n % 5 {
                    0 if hears => silence.handle_sign_of_life(),
                    0 => silence.rests(SEALED.connection),
                    _ => {}
                }
                let now = Instant::ORIGIN + Duration::from_secs(1) * n;
                assert!(silence.handle_sent(now, &SEALED, true).is_ok());
            }
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

//! What an end sealed opens at the other one, unless the way harmed it or kept it for too long.

use std::collections::{BTreeMap, BTreeSet};

use positron_proto::{
    datagram::{Endpoint, contract::ConnectionState},
    limits::{ACK_DELAY, FIRST_RTT, REPLAY_WINDOW, TIMER_GRANULARITY},
    time::{Duration, Instant},
};

use super::{Keys, Promise, Seal, Wrong, nonces::hash};
use crate::packets::header_view::PacketHeaderView;

/// All that ends sent, as it was. Whatever else arrives was harmed on its way, or made up.
#[derive(Debug, Default)]
pub(crate) struct Seals(BTreeMap<u64, Seal>);

/// What one life of an end was handed of it.
#[derive(Debug, Default)]
pub(crate) struct Openings {
    handed: BTreeSet<u64>,
    /// The highest number so far, by the id that this end chose for the connection.
    highest: BTreeMap<u32, u32>,
    /// The ids to which a strange packet was sent before there was such a connection: one of each
    /// may be kept until the handshake is complete (PROTOCOL 9.4), and is judged then.
    early: BTreeSet<u32>,
}

/// What an endpoint shows that matters here, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    opened: u64,
    forged: u64,
    malformed: u64,
    /// Connections that open what arrives: the ids that this end chose, and the round trip times.
    live: BTreeMap<u32, Duration>,
}

/// What was handed to an endpoint in one call.
#[derive(Debug, Default)]
struct Batch {
    /// Datagrams that nobody sent like this.
    strange: u64,
    /// Strange packets of earlier calls that may be judged in this one.
    late: u64,
    /// Packets that must open.
    opens: u64,
}

impl Seals {
    /// An end sent a datagram.
    pub(crate) fn handle_sent(&mut self, datagram: &[u8], seal: Seal) {
        self.0.insert(content(datagram), seal);
    }
}

impl Shown {
    /// By this endpoint, now.
    pub(crate) fn by(endpoint: &Endpoint) -> Self {
        let counters = endpoint.counters();
        let live = endpoint.views().into_iter();
        let live =
            live.filter(|view| view.remote.is_some() && view.state != ConnectionState::Closed);
        Self {
            opened: counters.packets_opened,
            forged: counters.decrypt_failed,
            malformed: counters.malformed,
            live: live.map(|view| (view.id_here, view.rtt.unwrap_or(FIRST_RTT))).collect(),
        }
    }

    /// How long a key that was replaced is kept at the least: 3 PTO (PROTOCOL 9.5), of which the
    /// variation is not shown. Within one call the round trip time may be a little less.
    fn grace(&self, later: &Self, here: u32) -> Option<Duration> {
        let rtt = self.live.get(&here)?.min(later.live.get(&here)?);
        Some((*rtt / 2 + TIMER_GRANULARITY + ACK_DELAY) * 3)
    }
}

impl Openings {
    /// The end was handed these datagrams; what it showed `before` and `after`.
    pub(crate) fn handle_handover<'a>(
        &mut self,
        now: Instant,
        datagrams: impl Iterator<Item = &'a [u8]>,
        (seals, keys): (&Seals, &mut Keys),
        [before, after]: [Shown; 2],
    ) -> Result<(), Wrong> {
        let mut batch = Batch::default();
        for datagram in datagrams {
            let content = content(datagram);
            let packet = PacketHeaderView::of(datagram);
            let is_live = packet.is_some_and(|to| before.live.contains_key(&to.connection));
            let ends_handshake = packet.filter(|packet| packet.is_ack() && !is_live);
            let late = ends_handshake.filter(|packet| self.early.contains(&packet.connection));
            batch.late += u64::from(late.is_some());
            let packet = packet.filter(PacketHeaderView::is_sealed);
            let Some(seal) = seals.0.get(&content) else {
                batch.strange += 1;
                self.early.extend(packet.filter(|_| !is_live).map(|packet| packet.connection));
                continue;
            };
            let Some(packet) = packet else { continue };
            let grace = before.grace(&after, packet.connection);
            let has_key =
                keys.handle_handover(now, packet.connection, *seal, grace.unwrap_or_default());
            let is_recent = self.is_recent(&packet);
            let is_new = self.handed.insert(content);
            batch.opens += u64::from(is_new && is_recent && has_key && grace.is_some());
        }
        batch.check(&before, &after)
    }

    /// Whether the replay window has room for a packet.
    fn is_recent(&mut self, packet: &PacketHeaderView) -> bool {
        let PacketHeaderView { connection, number, .. } = *packet;
        let highest = self.highest.entry(connection).or_insert(number);
        // Numbers come around: what is less than half of them behind was sent before.
        let behind = highest.wrapping_sub(number);
        if behind > u32::MAX / 2 {
            *highest = number;
            return true;
        }
        u64::from(behind) < REPLAY_WINDOW
    }
}

impl Batch {
    fn check(&self, before: &Shown, after: &Shown) -> Result<(), Wrong> {
        let opened = after.opened - before.opened;
        if opened < self.opens {
            let what = format!("{opened} of {} packets opened that had to", self.opens);
            return Err(Wrong::new(Promise::Opening, what));
        }
        for (what, count) in [
            ("forged", after.forged - before.forged),
            ("malformed", after.malformed - before.malformed),
        ] {
            let strange = self.strange + self.late;
            if count > strange {
                let what = format!("{count} taken for {what}, but {strange} were");
                return Err(Wrong::new(Promise::Opening, what));
            }
        }
        Ok(())
    }
}

/// Names a datagram. The checksum of a sealed one is not sealed: it opens whatever that is.
fn content(datagram: &[u8]) -> u64 {
    let sealed = PacketHeaderView::of(datagram).is_some_and(|packet| packet.is_sealed());
    if !sealed {
        return hash(datagram);
    }
    let mut datagram = datagram.to_vec();
    datagram[CHECKSUM].fill(0);
    hash(&datagram)
}

/// Where a header has its checksum.
const CHECKSUM: core::ops::Range<usize> = 14..16;

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: u32 = 9;

    fn packet(number: u32, checksum: u8) -> [u8; 60] {
        let mut packet = [0; 60];
        (packet[0], packet[3], packet[15], packet[31]) = (0xBE, 4, checksum, 9);
        packet[4..8].copy_from_slice(&number.to_be_bytes());
        packet
    }

    fn shown(opened: u64, forged: u64) -> Shown {
        Shown { opened, forged, malformed: 0, live: [(HERE, FIRST_RTT)].into() }
    }

    /// An end that all these were sealed for.
    struct End(Seals, Keys, Openings);

    impl End {
        fn new(numbers: impl Iterator<Item = u32>) -> Self {
            let mut seals = Seals::default();
            numbers.for_each(|number| seals.handle_sent(&packet(number, 1), Seal::default()));
            Self(seals, Keys::default(), Openings::default())
        }

        /// Is handed a packet, of which it opens so many.
        fn handed(&mut self, packet: &[u8], opens: u64) -> Result<(), Wrong> {
            let Self(seals, keys, openings) = self;
            let packets = core::iter::once(packet);
            let shown = [shown(0, 0), shown(opens, 0)];
            openings.handle_handover(Instant::ORIGIN, packets, (seals, keys), shown)
        }
    }

    #[test]
    fn what_was_sealed_opens_once_whatever_its_checksum_is() {
        let mut end = End::new(0..3);
        assert!(end.handed(&packet(0, 1), 1).is_ok());
        assert!(end.handed(&packet(0, 1), 0).is_ok(), "again");
        assert!(end.handed(&packet(1, 7), 1).is_ok());
        assert!(end.handed(&packet(1, 1), 0).is_ok(), "it differed in nothing that counts");
        assert!(end.handed(&packet(2, 1), 0).is_err());
    }

    #[test]
    fn what_is_too_old_or_comes_to_no_connection_need_not_open() {
        let far = u32::try_from(REPLAY_WINDOW).unwrap();
        let mut end = End::new([u32::MAX, far - 1, 0].into_iter());
        assert!(end.handed(&packet(far - 1, 1), 1).is_ok());
        assert!(end.handed(&packet(u32::MAX, 1), 0).is_ok(), "one before the window");
        assert!(end.handed(&packet(0, 1), 0).is_err());
        let End(seals, mut keys, _) = end;
        let none = [Shown::default(), Shown::default()];
        let packet = packet(0, 1);
        let one = core::iter::once(&packet[..]);
        let mut openings = Openings::default();
        assert!(openings.handle_handover(Instant::ORIGIN, one, (&seals, &mut keys), none).is_ok());
    }

    #[test]
    fn only_what_nobody_sent_may_be_taken_for_forged() {
        for (number, is_right) in [(0, false), (5, true)] {
            let End(seals, mut keys, mut openings) = End::new(0..3);
            let packet = packet(number, 1);
            let one = core::iter::once(&packet[..]);
            let shown = [shown(0, 0), shown(1, 1)];
            let result = openings.handle_handover(Instant::ORIGIN, one, (&seals, &mut keys), shown);
            assert_eq!(result.is_ok(), is_right);
        }
    }
}

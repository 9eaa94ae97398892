//! How large a datagram the path carries: DPLPMTUD (RFC 8899).

use crate::{
    limits::{
        BLACK_HOLE_LOSSES, LARGEST_DATAGRAM, LEAST_DATAGRAM, SIZE_PROBE_PAUSE, SIZE_PROBES,
        SIZE_SEARCH_AGAIN, SIZE_STEP,
    },
    time::Instant,
};

/// The size of the datagrams of one connection, in bytes of UDP payload, and the search for a
/// larger one.
///
/// While the connection is established, ask [`poll_probe`](Self::poll_probe) before sending: a size
/// it returns is sent as one datagram of exactly that many bytes, padded, with something in it that
/// asks for an acknowledgment and is repeated elsewhere if it is lost; then
/// [`probe_sent`](Self::probe_sent). One probe is in flight at a time.
///
/// Report **every** datagram's end, probes and others: [`handle_ack`](Self::handle_ack) first
/// and then [`handle_loss`](Self::handle_loss), as an acknowledgment tells them. The loss of a
/// probe is no sign of congestion (RFC 8899, 3): ask [`is_probe`](Self::is_probe) before reporting
/// it.
///
/// - A probe that arrives is the new size. One of which [`SIZE_PROBES`] are lost, while something
///   sent later arrived, is too large. What is lost together with everything else tells nothing.
/// - After the usual sizes comes a binary search, until there is little to gain; after
///   [`SIZE_SEARCH_AGAIN`] everything is tried again.
/// - [`BLACK_HOLE_LOSSES`] datagrams above [`LEAST_DATAGRAM`] lost in a row, later than any that
///   arrived, bring the size down to [`LEAST_DATAGRAM`] at once, and the size before is probed
///   first: after random losses it is back within a round trip. If it really is too large now, that
///   is a black hole, and the search goes on below it.
///
/// Constant size; no call loops further than over the table of sizes.
#[derive(Debug)]
pub(super) struct DatagramSize {
    ceiling: usize,
    /// Known to arrive; at least [`LEAST_DATAGRAM`].
    current: usize,
    /// The largest size that is not known to be too large.
    limit: usize,
    /// The size before the last suspicion, to be probed first.
    suspected: Option<usize>,
    probe: Option<Probe>,
    /// Losses of the present candidate.
    losses: u32,
    /// No probe before.
    pause_until: Instant,
    /// When the search begins again, once it is over.
    search_again: Option<Instant>,
    /// The highest number acknowledged, of any size: later losses are not told from a dead path.
    newest_arrived: Option<u64>,
    /// The highest number acknowledged above [`LEAST_DATAGRAM`].
    newest_large_arrived: Option<u64>,
    /// Losses above [`LEAST_DATAGRAM`] since.
    large_losses: u32,
    black_holes: u64,
}

/// The probe in flight.
#[derive(Clone, Copy, Debug)]
struct Probe {
    number: u64,
}

impl DatagramSize {
    /// Starts at [`LEAST_DATAGRAM`]; searches up to `ceiling`, at most [`LARGEST_DATAGRAM`].
    pub(super) fn new(ceiling: usize) -> Self {
        let ceiling = ceiling.clamp(LEAST_DATAGRAM, LARGEST_DATAGRAM);
        Self {
            ceiling,
            current: LEAST_DATAGRAM,
            limit: ceiling,
            suspected: None,
            probe: None,
            losses: 0,
            pause_until: Instant::ORIGIN,
            search_again: None,
            newest_arrived: None,
            newest_large_arrived: None,
            large_losses: 0,
            black_holes: 0,
        }
    }

    /// Bytes of UDP payload that the path is known to carry. Nothing but a probe is larger.
    pub(super) const fn current(&self) -> usize {
        self.current
    }

    /// How often a size that used to arrive turned out to be too large.
    pub(super) const fn black_holes(&self) -> u64 {
        self.black_holes
    }

    /// The size of a probe to send now, larger than [`current`](Self::current). Asking again
    /// returns the same.
    pub(super) fn poll_probe(&mut self, now: Instant) -> Option<usize> {
        if self.probe.is_some() || now < self.pause_until {
            return None;
        }
        if self.search_again.is_some_and(|at| at <= now) {
            self.search_again = None;
            self.limit = self.ceiling;
        }
        let candidate = self.candidate();
        if candidate.is_none() && self.search_again.is_none() {
            self.search_again = Some(now + SIZE_SEARCH_AGAIN);
        }
        candidate
    }

    /// When to ask [`poll_probe`](Self::poll_probe) again on a connection that is otherwise quiet;
    /// `None` while a probe is in flight.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.probe.is_some() {
            return None;
        }
        Some(self.search_again.unwrap_or(Instant::ORIGIN).max(self.pause_until))
    }

    /// The size of [`poll_probe`](Self::poll_probe) went out as the packet of this number.
    pub(super) const fn probe_sent(&mut self, number: u64) {
        self.probe = Some(Probe { number });
    }

    /// Whether the packet of this number is the probe in flight.
    pub(super) fn is_probe(&self, number: u64) -> bool {
        self.probe.is_some_and(|probe| probe.number == number)
    }

    /// A datagram was acknowledged.
    pub(super) fn handle_ack(&mut self, number: u64, size: usize) {
        self.newest_arrived = self.newest_arrived.max(Some(number));
        if size > LEAST_DATAGRAM && self.newest_large_arrived < Some(number) {
            self.newest_large_arrived = Some(number);
            self.large_losses = 0;
        }
        if self.is_probe(number) {
            self.probe = None;
            self.losses = 0;
            self.suspected = None;
            self.current = size.max(self.current);
            self.limit = self.limit.max(self.current);
        }
    }

    /// A datagram was declared lost.
    pub(super) fn handle_loss(&mut self, now: Instant, number: u64, size: usize) {
        if self.is_probe(number) {
            self.probe = None;
            if self.newest_arrived < Some(number) {
                self.pause_until = now + SIZE_PROBE_PAUSE;
                return;
            }
            self.losses += 1;
            if self.losses >= SIZE_PROBES {
                self.is_too_large(size);
            }
        } else if LEAST_DATAGRAM < size
            && size <= self.current
            && self.newest_large_arrived < Some(number)
        {
            // RFC 8899, 4.3.
            self.large_losses += 1;
            if self.large_losses >= BLACK_HOLE_LOSSES {
                self.fall_back(now, self.current);
            }
        }
    }

    /// The other end moved: what was known of the path holds no more (RFC 9000, 9.4).
    pub(super) fn handle_move(&mut self) {
        let black_holes = self.black_holes;
        *self = Self { black_holes, ..Self::new(self.ceiling) };
    }

    fn fall_back(&mut self, now: Instant, suspected: usize) {
        self.current = LEAST_DATAGRAM;
        self.suspected = Some(suspected).filter(|&size| size > LEAST_DATAGRAM);
        self.probe = None;
        self.losses = 0;
        self.large_losses = 0;
        self.pause_until = now;
        self.search_again = None;
    }

    fn is_too_large(&mut self, size: usize) {
        self.losses = 0;
        self.limit = self.limit.min(size - 1);
        if self.suspected.take().is_some_and(|suspected| suspected >= size) {
            self.black_holes += 1;
        }
    }

    /// What to try next.
    fn candidate(&self) -> Option<usize> {
        if let Some(suspected) = self.suspected {
            return Some(suspected);
        }
        let usual = USUAL_SIZES.into_iter().find(|&size| size > self.current);
        if let Some(size) = usual.filter(|&size| size <= self.limit) {
            return Some(size);
        }
        // Nothing but the ceiling is above a usual size that is too large for it.
        if self.limit == self.ceiling && self.current < self.ceiling {
            return Some(self.ceiling);
        }
        let gain = self.limit - self.current;
        (gain > self.current / SIZE_STEP).then(|| self.current + gain.div_ceil(2))
    }
}

/// Sizes that paths usually carry, upwards: MTUs without the headers of UDP and IP (28 bytes with
/// IPv4, 48 with IPv6).
const USUAL_SIZES: [usize; 7] = [
    // The least MTU of IPv6, 1,280.
    1_232,
    // A tunnel in Ethernet (WireGuard's 1,420 and 1,440).
    1_392,
    // Ethernet, over IPv6 and IPv4.
    1_452,
    1_472,
    // Jumbo frames of 9,000, over IPv6.
    8_952,
    // As many bytes as pay off where the MTU is larger still (loopback: 65,536).
    12_288,
    LARGEST_DATAGRAM,
];

#[cfg(test)]
mod tests;

//! One end of a connection, as a kernel keeps it.
//!
//! ```text
//! node ─ Write ─▸ waiting ──▸ in flight (kernel buffer) ──▸ arrives ──▸ unread ──▸ Bytes ── node
//!                   └ not `Written` yet   └ or held back by a cut          └ if it stopped reading
//! ```

use std::{collections::VecDeque, net::SocketAddr};

use bytes::Bytes;
use positron_proto::time::{Duration, Instant};

use crate::{clock::micros, dice::Dice, event::PeerEnd, physics::Physics};

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Asked for; to this address.
    Connecting(SocketAddr),
    /// Both ends know.
    Open(PeerEnd),
    /// Hung up by us; what waits is still being flushed.
    Flushing(PeerEnd),
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) state: State,
    /// The host at the other end.
    pub(crate) remote: u32,
    /// Dead without either end knowing: nothing that is sent arrives.
    pub(crate) severed: bool,
    pub(crate) sending: Sending,
    pub(crate) receiving: Receiving,
}

/// What goes out.
#[derive(Debug)]
pub(crate) struct Sending {
    dice: Dice,
    delay: Duration,
    /// Written by the node, not taken by the kernel.
    pub(crate) waiting: VecDeque<Bytes>,
    /// Taken by the kernel, held back by a cut.
    pub(crate) held: VecDeque<Bytes>,
    held_bytes: usize,
    /// When each chunk arrives, as far as the kernel knows.
    in_flight: VecDeque<(Instant, usize)>,
    in_flight_bytes: usize,
    /// Arrived and not read, as far as the kernel was told.
    unread: usize,
    last_arrival: Instant,
    line_free: Instant,
    /// Whether a look for room is under way.
    pub(crate) room_awaited: bool,
}

/// What comes in.
#[derive(Debug, Default)]
pub(crate) struct Receiving {
    /// Arrived, and not given to the node: it does not read, or a cut holds it back.
    pub(crate) unread: VecDeque<Bytes>,
    /// Whether the sender was told of the bytes in `unread`, that they may count against its room.
    pub(crate) told: usize,
    /// Ends after these bytes.
    pub(crate) fin: bool,
}

impl Endpoint {
    pub(crate) fn new(state: State, remote: u32, delay: Duration, dice: Dice) -> Self {
        Self {
            state,
            remote,
            severed: false,
            sending: Sending {
                dice,
                delay,
                waiting: VecDeque::new(),
                held: VecDeque::new(),
                held_bytes: 0,
                in_flight: VecDeque::new(),
                in_flight_bytes: 0,
                unread: 0,
                last_arrival: Instant::ORIGIN,
                line_free: Instant::ORIGIN,
                room_awaited: false,
            },
            receiving: Receiving::default(),
        }
    }

    /// The other end, once it is known.
    pub(crate) const fn peer(&self) -> Option<PeerEnd> {
        match self.state {
            State::Connecting(_) => None,
            State::Open(end) | State::Flushing(end) => Some(end),
        }
    }
}

impl Sending {
    /// When something without bytes, sent now and not part of the stream, arrives.
    pub(crate) fn arrival_of_signal(&mut self, now: Instant, physics: &Physics) -> Instant {
        let stall = self.stall(1, physics);
        now + self.delay + self.dice.between(physics.jitter) + stall
    }

    /// When `len` bytes arrive that the kernel sends now, behind all that it sent before.
    pub(crate) fn arrival(&mut self, now: Instant, len: usize, physics: &Physics) -> Instant {
        let mut sent = now;
        if let Some(rate) = physics.rate {
            let line =
                u64::try_from(len).unwrap_or(u64::MAX).saturating_mul(1_000_000) / rate.max(1);
            sent = sent.max(self.line_free) + Duration::from_micros(line);
            self.line_free = sent;
        }
        let packets = len.div_ceil(physics.packet).max(1);
        let stall = self.stall(packets, physics);
        let alone = sent + self.delay + self.dice.between(physics.jitter) + stall;
        self.last_arrival = self.last_arrival.max(alone);
        self.last_arrival
    }

    /// What losses cost `packets` that are sent together.
    ///
    /// A loss that three later packets follow is repaired after a round trip (RFC 5681, 3.2), any
    /// other after the timeout (RFC 6298), which doubles for each repetition that is lost too.
    fn stall(&mut self, packets: usize, physics: &Physics) -> Duration {
        let round_trip = 2 * self.delay;
        let mut stall = Duration::ZERO;
        for left in (0..packets).rev() {
            if !self.dice.chance(physics.loss) {
                continue;
            }
            let mut timeout = physics.rto + round_trip;
            let mut repaired = if left >= 3 { round_trip } else { timeout };
            while self.dice.chance(physics.loss) && repaired < Duration::from_secs(20) {
                timeout *= 2;
                repaired += timeout;
            }
            stall = stall.max(repaired);
        }
        stall
    }

    /// How many bytes more the kernel takes now.
    pub(crate) fn room(&mut self, now: Instant, physics: &Physics) -> usize {
        while self.in_flight.front().is_some_and(|(arrival, _)| *arrival <= now) {
            let (_, len) = self.in_flight.pop_front().unwrap_or((now, 0));
            self.in_flight_bytes -= len;
        }
        let taken = self.in_flight_bytes + self.held_bytes + self.unread;
        physics.kernel_buffer.saturating_sub(taken)
    }

    /// When the kernel will have room again by itself.
    pub(crate) fn next_room(&self) -> Option<Instant> {
        self.in_flight.front().map(|(arrival, _)| *arrival)
    }

    pub(crate) fn launched(&mut self, arrival: Instant, len: usize) {
        self.in_flight.push_back((arrival, len));
        self.in_flight_bytes += len;
    }

    pub(crate) fn hold(&mut self, chunk: Bytes) {
        self.held_bytes += chunk.len();
        self.held.push_back(chunk);
    }

    /// What a cut held back, now that it has healed. The kernel repeats it when its timer, which
    /// doubled all the while, fires next: up to twice as late as if it had just begun.
    pub(crate) fn unhold(&mut self, now: Instant, physics: &Physics) -> VecDeque<Bytes> {
        if !self.held.is_empty() {
            let late = self.dice.between((Duration::ZERO, 2 * physics.rto));
            self.last_arrival = self.last_arrival.max(now + late + self.delay);
        }
        self.held_bytes = 0;
        std::mem::take(&mut self.held)
    }

    pub(crate) const fn set_unread(&mut self, more: usize, less: usize) {
        self.unread = (self.unread + more).saturating_sub(less);
    }

    /// When a connection that was asked for in vain is asked for again: after 1 s, then doubled
    /// (RFC 6298, 5.5 to 5.7).
    pub(crate) fn syn_retry(attempt: u32) -> Duration {
        Duration::from_micros(micros(Duration::from_secs(1)) << attempt.min(6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending(physics: &Physics) -> Sending {
        let here = State::Connecting(([10, 0, 0, 1], 1).into());
        Endpoint::new(here, 0, physics.delay.0, Dice::keyed(1, 2)).sending
    }

    #[test]
    fn a_stream_never_reorders_however_many_packets_are_lost() {
        let physics = Physics { loss: 0.5, ..Physics::default() };
        let mut sending = sending(&physics);
        let mut last = Instant::ORIGIN;
        for step in 0..1_000 {
            let now = Instant::from_micros(step * 1_000);
            let arrival = sending.arrival(now, 3_000, &physics);
            assert!(arrival >= last && arrival >= now + physics.delay.0);
            last = arrival;
        }
    }

    #[test]
    fn a_rate_spreads_bytes_over_time() {
        let physics = Physics { rate: Some(1_000_000), ..Physics::calm() };
        let mut sending = sending(&physics);
        let arrivals: Vec<_> =
            (0..4).map(|_| sending.arrival(Instant::ORIGIN, 500_000, &physics)).collect();
        assert_eq!(arrivals[3].since(arrivals[0]), Duration::from_millis(1_500));
    }

    #[test]
    fn a_full_kernel_takes_nothing_until_something_arrived() {
        let physics = Physics { kernel_buffer: 100, ..Physics::calm() };
        let mut sending = sending(&physics);
        sending.launched(Instant::from_micros(50), 100);
        assert_eq!(sending.room(Instant::ORIGIN, &physics), 0);
        assert_eq!(sending.next_room(), Some(Instant::from_micros(50)));
        assert_eq!(sending.room(Instant::from_micros(50), &physics), 100);
    }
}

//! One end of a byte stream, as a kernel keeps it.
//!
//! ```text
//! write ──▸ waiting ──▸ in flight (kernel buffer) ──▸ arrives ──▸ unread ──▸ Data
//!             └ not `Written` yet   └ or held back by a cut          └ if nobody reads
//! ```

use core::time::Duration;
use std::{collections::VecDeque, net::SocketAddr};

use bytes::Bytes;

use crate::{Time, dice::Dice, laws::StreamLaws, queue::StreamEnd, topology::HostId};

/// How far a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Asked for; at this address.
    Connecting(SocketAddr),
    /// Both ends know.
    Open(StreamEnd),
    /// Closed by us; what waits is still being flushed.
    Flushing(StreamEnd),
}

/// One end of a stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) state: State,
    /// The host at the other end; `None` if nobody has the address.
    pub(crate) remote: Option<HostId>,
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
    /// Written, not taken by the kernel.
    pub(crate) waiting: VecDeque<Bytes>,
    /// Taken by the kernel, held back by a cut.
    pub(crate) held: VecDeque<Bytes>,
    held_bytes: usize,
    /// When each chunk arrives, as far as the kernel knows.
    in_flight: VecDeque<(Time, usize)>,
    in_flight_bytes: usize,
    /// Arrived and not read, as far as the kernel was told.
    unread: usize,
    last_arrival: Time,
    line_free: Time,
    /// Whether a look for room is under way.
    pub(crate) room_awaited: bool,
}

/// What comes in.
#[derive(Debug, Default)]
pub(crate) struct Receiving {
    /// Arrived, and not handed over: nobody reads, or a cut holds it back.
    pub(crate) unread: VecDeque<Bytes>,
    /// How much of `unread` the sender was told of, so that it counts against its room.
    pub(crate) told: usize,
    /// Ends after these bytes.
    pub(crate) fin: bool,
}

impl Stream {
    pub(crate) fn new(state: State, remote: Option<HostId>, delay: Duration, dice: Dice) -> Self {
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
                last_arrival: Duration::ZERO,
                line_free: Duration::ZERO,
                room_awaited: false,
            },
            receiving: Receiving::default(),
        }
    }

    /// The other end, once it is known.
    pub(crate) const fn peer(&self) -> Option<StreamEnd> {
        match self.state {
            State::Connecting(_) => None,
            State::Open(end) | State::Flushing(end) => Some(end),
        }
    }
}

impl Sending {
    /// When something without bytes, sent now and not part of the stream, arrives.
    pub(crate) fn arrival_of_signal(&mut self, now: Time, laws: &StreamLaws) -> Time {
        let stall = self.stall(1, laws);
        now + self.delay + self.dice.between(laws.jitter) + stall
    }

    /// When `len` bytes arrive that the kernel sends now, behind all that it sent before.
    pub(crate) fn arrival(&mut self, now: Time, len: usize, laws: &StreamLaws) -> Time {
        let mut sent = now;
        if let Some(rate) = laws.rate {
            let line =
                u64::try_from(len).unwrap_or(u64::MAX).saturating_mul(1_000_000) / rate.max(1);
            sent = sent.max(self.line_free) + Duration::from_micros(line);
            self.line_free = sent;
        }
        let packets = len.div_ceil(laws.packet).max(1);
        let stall = self.stall(packets, laws);
        let alone = sent + self.delay + self.dice.between(laws.jitter) + stall;
        self.last_arrival = self.last_arrival.max(alone);
        self.last_arrival
    }

    /// What losses cost `packets` that are sent together.
    ///
    /// A loss that three later packets follow is repaired after a round trip (RFC 5681, 3.2), any
    /// other after the timeout (RFC 6298), which doubles for each repetition that is lost too.
    fn stall(&mut self, packets: usize, laws: &StreamLaws) -> Duration {
        let round_trip = 2 * self.delay;
        let mut stall = Duration::ZERO;
        for left in (0..packets).rev() {
            if !self.dice.chance(laws.loss) {
                continue;
            }
            let mut timeout = laws.rto + round_trip;
            let mut repaired = if left >= 3 { round_trip } else { timeout };
            while self.dice.chance(laws.loss) && repaired < Duration::from_secs(20) {
                timeout *= 2;
                repaired += timeout;
            }
            stall = stall.max(repaired);
        }
        stall
    }

    /// How many bytes more the kernel takes now.
    pub(crate) fn room(&mut self, now: Time, laws: &StreamLaws) -> usize {
        while self.in_flight.front().is_some_and(|(arrival, _)| *arrival <= now) {
            let (_, len) = self.in_flight.pop_front().unwrap_or((now, 0));
            self.in_flight_bytes -= len;
        }
        let taken = self.in_flight_bytes + self.held_bytes + self.unread;
        laws.kernel_buffer.saturating_sub(taken)
    }

    /// When the kernel will have room again by itself.
    pub(crate) fn next_room(&self) -> Option<Time> {
        self.in_flight.front().map(|(arrival, _)| *arrival)
    }

    /// A chunk is in the kernel until it arrives.
    pub(crate) fn launch(&mut self, arrival: Time, len: usize) {
        self.in_flight.push_back((arrival, len));
        self.in_flight_bytes += len;
    }

    pub(crate) fn hold(&mut self, chunk: Bytes) {
        self.held_bytes += chunk.len();
        self.held.push_back(chunk);
    }

    /// What a cut held back, now that it has healed. The kernel repeats it when its timer, which
    /// doubled all the while, fires next: up to twice as late as if it had just begun.
    pub(crate) fn unhold(&mut self, now: Time, laws: &StreamLaws) -> VecDeque<Bytes> {
        if !self.held.is_empty() {
            let late = self.dice.between((Duration::ZERO, 2 * laws.rto));
            self.last_arrival = self.last_arrival.max(now + late + self.delay);
        }
        self.held_bytes = 0;
        std::mem::take(&mut self.held)
    }

    pub(crate) const fn set_unread(&mut self, more: usize, less: usize) {
        self.unread = (self.unread + more).saturating_sub(less);
    }

    /// When a stream that was asked for in vain is asked for again: after 1 s, then doubled
    /// (RFC 6298, 5.5 to 5.7).
    pub(crate) const fn syn_retry(attempt: u32) -> Duration {
        Duration::from_secs(1 << if attempt < 6 { attempt } else { 6 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn sending() -> Sending {
        let here = State::Connecting(([10, 0, 0, 1], 1).into());
        Stream::new(here, None, 10 * MS, Dice::keyed(1, 2)).sending
    }

    #[test]
    fn a_stream_never_reorders_however_many_packets_are_lost() {
        let laws = StreamLaws { loss: 0.5, jitter: (Duration::ZERO, MS), ..StreamLaws::CALM };
        let (mut sending, mut last) = (sending(), Duration::ZERO);
        for step in 0..1_000 {
            let now = step * MS;
            let arrival = sending.arrival(now, 3_000, &laws);
            assert!(arrival >= last && arrival >= now + 10 * MS);
            last = arrival;
        }
    }

    #[test]
    fn a_rate_spreads_bytes_over_time() {
        let laws = StreamLaws { rate: Some(1_000_000), ..StreamLaws::CALM };
        let mut sending = sending();
        let arrivals: Vec<_> =
            (0..4).map(|_| sending.arrival(Duration::ZERO, 500_000, &laws)).collect();
        assert_eq!(arrivals[3] - arrivals[0], Duration::from_millis(1_500));
    }

    #[test]
    fn a_full_kernel_takes_nothing_until_something_arrived() {
        let laws = StreamLaws { kernel_buffer: 100, ..StreamLaws::CALM };
        let mut sending = sending();
        sending.launch(50 * MS, 100);
        assert_eq!(sending.room(Duration::ZERO, &laws), 0);
        assert_eq!(sending.next_room(), Some(50 * MS));
        assert_eq!(sending.room(50 * MS, &laws), 100);
    }
}

//! What was sent, what of it arrived and what is lost (RFC 8985 RACK-TLP, RFC 6298, RFC 9002).

mod delivery;
mod lost;
mod news;
mod rack;
mod sent;
#[cfg(test)]
mod tests;

use core::ops::RangeInclusive;

pub(super) use self::sent::SentPacketKind;
use self::{
    delivery::DeliveryMeter,
    lost::Losses,
    news::{BadNews, News},
    rack::Tolerance,
    sent::{Flight, Lost, SentPacket, bytes_of},
};
use super::{
    congestion::{AckSample, Controller, LossSample},
    rtt::Rtt,
};
use crate::{
    limits::{ACK_DELAY, RTO_LONGEST, TAIL_PROBES, TIMER_GRANULARITY},
    time::{Duration, Instant},
};

/// A packet that is out of flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled<C> {
    /// Its number.
    pub(super) number: u64,
    /// Bytes of its datagram.
    pub(super) size: usize,
    /// Eliciting or a probe.
    pub(super) kind: SentPacketKind,
    /// When it was sent.
    pub(super) sent_at: Instant,
    /// What it carried.
    pub(super) contents: C,
}

/// What an acknowledgment or a timer did. Only added to; the caller takes out what it has read.
#[derive(Debug)]
pub(super) struct AckOutcome<C> {
    /// Arrived, each run of numbers ascending.
    pub(super) acked: Vec<Settled<C>>,
    /// Declared lost: their contents are to be sent again. Ascending.
    pub(super) lost: Vec<Settled<C>>,
    /// Packets declared lost before that arrived after all.
    pub(super) spurious: u64,
}

impl<C> AckOutcome<C> {
    /// Nothing happened.
    pub(super) const fn new() -> Self {
        Self { acked: Vec::new(), lost: Vec::new(), spurious: 0 }
    }
}

/// An acknowledgment of a packet that was never sent. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("packet {0} was acknowledged and never sent")]
pub(super) struct AckedUnsent(pub(super) u64);

/// Why the timer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// A packet will count as lost: it was overtaken, or it only probed for a size.
    Loss,
    /// Nothing was heard for a while: ask.
    Probe,
    /// Nothing was heard at all.
    Rto,
}

/// What a timer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeoutOutcome {
    /// Nothing was due.
    Idle,
    /// Packets were added to [`AckOutcome::lost`].
    Lost,
    /// Send one eliciting packet now, whatever the window says: new data, or once more that of
    /// [`Recovery::newest_outstanding`].
    Probe,
    /// Everything in flight was added to [`AckOutcome::lost`], and the window is at its least.
    Rto,
}

/// Loss recovery and congestion control of one direction.
///
/// Call [`handle_sent`](Self::handle_sent) for every packet in order of the numbers, each of which
/// is used once; [`handle_ack`](Self::handle_ack) for what arrives;
/// [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) says so. Send
/// no more than [`room`](Self::room), but for probes; say [`app_limited`](Self::app_limited) when
/// less waits than that.
///
/// Memory: some slots for each packet in flight, which the window bounds, and
/// [`MAX_LOST_REMEMBERED`](crate::limits::MAX_LOST_REMEMBERED) lost ones.
#[derive(Debug)]
pub(super) struct Recovery<C> {
    rtt: Rtt,
    congestion: Box<dyn Controller>,
    flight: Flight<C>,
    losses: Losses,
    tolerance: Tolerance,
    delivery: DeliveryMeter,
    /// The most that was in flight in the last round trip, and in this one.
    flight_peaks: [u64; 2],
    /// The round trip is over when this number, or a later one, is acknowledged.
    round_ends: u64,
    clock: Clock,
    /// The number that follows the last one sent.
    next: u64,
    largest_acked: Option<u64>,
    /// The highest cumulative number that the other end told.
    peer_cumulative: u64,
    /// The unbroken row of lost packets that the oldest one in flight continues.
    row: Option<LostRow>,
}

/// What the timers of a tail count from.
#[derive(Debug, Default)]
struct Clock {
    /// The last packet that must be acknowledged.
    last_sent: Instant,
    /// Where the retransmission timer starts (RFC 6298, 5).
    rto_from: Instant,
    /// Timeouts in a row.
    backoff: u32,
    /// How often the tail was asked for. The wait doubles each time (RFC 9002, 6.2.1), so that on
    /// a short path a lost probe does not cost the least timeout; on one as long as that timeout
    /// there is one probe, and then the timeout (RFC 8985, 7.2).
    probes: u32,
    /// The number that followed when it was asked for last: an answer to the probe is no less.
    /// Without one nothing is asked anew, for older packets may arrive for long behind a queue that
    /// probes only lengthen.
    probed_from: u64,
}

/// Lost packets without an acknowledged one between them.
#[derive(Clone, Copy, Debug)]
struct LostRow {
    first_sent_at: Instant,
    last_sent_at: Instant,
}

impl<C> Recovery<C> {
    /// Nothing was sent; numbers start at 0.
    pub(super) fn new(congestion: Box<dyn Controller>) -> Self {
        Self {
            rtt: Rtt::new(),
            congestion,
            flight: Flight::new(),
            losses: Losses::new(),
            tolerance: Tolerance::new(),
            delivery: DeliveryMeter::default(),
            flight_peaks: [0; 2],
            round_ends: 0,
            clock: Clock::default(),
            next: 0,
            largest_acked: None,
            peer_cumulative: 0,
            row: None,
        }
    }

    /// Numbers start at `number`: everything below counts as acknowledged.
    pub(super) fn starting_at(mut self, number: u64) -> Self {
        (self.next, self.peer_cumulative) = (number, number);
        self
    }

    /// A packet of `size` bytes goes out.
    pub(super) fn handle_sent(
        &mut self,
        now: Instant,
        number: u64,
        size: usize,
        kind: SentPacketKind,
        contents: C,
    ) {
        debug_assert!(number >= self.next, "packet numbers go up");
        self.next = self.next.max(number.saturating_add(1));
        if kind == SentPacketKind::AckOnly {
            return;
        }
        // The order of sending is the order of numbers, also if the clock jumped back.
        let at = now.max(self.clock.last_sent);
        if self.flight.packets() == 0 {
            self.clock.rto_from = at;
        }
        self.clock.last_sent = at;
        let mark = self.delivery.mark(at, self.flight.bytes(), bytes_of(size));
        self.flight.push(number, SentPacket { at, size, kind, mark, contents });
        self.flight_peaks[1] = self.flight_peaks[1].max(self.flight.bytes());
    }

    /// The path is another one: what was measured of the old one says nothing of it (RFC 9000,
    /// 9.4). Packets in flight stay so.
    pub(super) fn handle_move(&mut self, congestion: Box<dyn Controller>) {
        (self.rtt, self.congestion) = (Rtt::new(), congestion);
        self.tolerance = Tolerance::new();
    }

    /// There is less to send than the window allows: what is measured now says nothing of the path.
    pub(super) fn app_limited(&mut self) {
        self.delivery.begin_app_limited(self.flight.bytes());
    }

    /// The other end says what arrived: `ranges`, highest first, and everything below `cumulative`,
    /// as far as it was not abandoned. `ack_delay` is how long it says that it waited.
    pub(super) fn handle_ack(
        &mut self,
        now: Instant,
        ranges: impl Iterator<Item = RangeInclusive<u64>> + Clone,
        ack_delay: Duration,
        cumulative: u64,
        out: &mut AckOutcome<C>,
    ) -> Result<(), AckedUnsent> {
        let ends = ranges.clone().map(|range| *range.end());
        let highest = ends.chain(cumulative.checked_sub(1)).max();
        if let Some(unsent) = highest.filter(|&number| number >= self.next) {
            return Err(AckedUnsent(unsent));
        }
        let mut news = News::default();
        for range in ranges {
            self.range_arrived(now, &range, cumulative, &mut news, out);
        }
        if let Some(last) = cumulative.checked_sub(1)
            && cumulative > self.peer_cumulative
        {
            // What the cumulative number covered before was dealt with then.
            self.range_arrived(now, &(self.peer_cumulative..=last), cumulative, &mut news, out);
            self.peer_cumulative = cumulative;
        }
        let before = self.largest_acked;
        self.largest_acked = before.max(highest);
        if self.flight.settle() {
            self.row = None;
        }
        if news.newest_number.is_some() {
            let rtt = self.learn(now, before, ack_delay, &news);
            self.lose_overtaken(now, out);
            self.tell_acknowledged(now, rtt, &news);
        }
        self.losses.forget_below(self.peer_cumulative);
        Ok(())
    }

    /// Bytes in packets that the other end acknowledged.
    pub(super) fn delivered_bytes(&self) -> u64 {
        self.delivery.delivered_bytes()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and why.
    pub(super) fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        if let Some(at) = self.overtaken_until() {
            return Some((at, Timer::Loss));
        }
        if self.flight.packets() == 0 {
            return None;
        }
        let rto_at = self.clock.rto_from + self.rto();
        if self.flight.only_size_probes() {
            return Some((rto_at, Timer::Loss));
        }
        let probe_at = self.probe_at();
        let may_probe = self.clock.backoff == 0 && self.clock.probes < TAIL_PROBES;
        if may_probe && probe_at < rto_at {
            return Some((probe_at, Timer::Probe));
        }
        Some((rto_at, Timer::Rto))
    }

    /// Does what is due. Never harmful.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        out: &mut AckOutcome<C>,
    ) -> TimeoutOutcome {
        let Some((_, timer)) = self.poll_timeout().filter(|&(at, _)| at <= now) else {
            return TimeoutOutcome::Idle;
        };
        match timer {
            Timer::Loss if self.flight.only_size_probes() => {
                self.lose_all(now, out);
                TimeoutOutcome::Lost
            }
            Timer::Loss => {
                self.lose_overtaken(now, out);
                TimeoutOutcome::Lost
            }
            Timer::Probe => {
                if self.clock.probes == 0 {
                    // RFC 8985, 7.3: the retransmission timer starts anew after a probe.
                    self.clock.rto_from = now;
                }
                self.clock.probes = self.clock.probes.saturating_add(1);
                self.clock.probed_from = self.next;
                TimeoutOutcome::Probe
            }
            Timer::Rto => {
                self.losses.force(now);
                self.tolerance.episode();
                self.lose_all(now, out);
                self.clock.backoff = self.clock.backoff.saturating_add(1);
                self.congestion.handle_rto(now);
                TimeoutOutcome::Rto
            }
        }
    }

    /// What the packet that was sent last carried, if it is in flight still.
    pub(super) fn newest_outstanding(&self) -> Option<&C> {
        self.flight.newest().map(|(_, packet)| &packet.contents)
    }

    /// The lowest number in flight; the next number if nothing is.
    pub(super) fn lowest_outstanding(&self) -> u64 {
        self.flight.oldest().map_or(self.next, |(number, _)| number)
    }

    /// What to say in STOP_WAITING, if the other end waits for numbers that will never come. A
    /// packet that was declared lost just now is not given up yet: once it is, its late arrival
    /// could not be told from its loss. Call [`lowest_told`](Self::lowest_told) when it goes out.
    pub(super) fn lowest_to_tell(&self, now: Instant) -> Option<u64> {
        let awaited = self.losses.lowest_awaited(now - self.rtt.smoothed());
        let lowest =
            awaited.map_or(self.lowest_outstanding(), |n| n.min(self.lowest_outstanding()));
        // Only what arrived above its cumulative number shows that it has a gap; packets that only
        // acknowledge leave gaps too, and nothing else ever closes those.
        let has_gap = self.largest_acked.is_some_and(|largest| largest >= self.peer_cumulative);
        (has_gap && self.peer_cumulative < lowest).then_some(lowest)
    }

    /// STOP_WAITING goes out with this number.
    pub(super) fn lowest_told(&mut self, lowest: u64) {
        self.losses.handle_announced(lowest);
    }

    /// Keeps no room that nothing is in.
    pub(super) fn shrink(&mut self) {
        self.flight.shrink();
        self.losses.shrink();
    }

    /// Bytes sent and neither acknowledged nor lost.
    pub(super) fn in_flight(&self) -> u64 {
        self.flight.bytes()
    }

    /// Bytes that may be sent now as far as the congestion window goes.
    #[cfg(test)]
    pub(super) fn room(&self) -> u64 {
        self.congestion.window().saturating_sub(self.flight.bytes())
    }

    /// The number for the next packet.
    #[cfg(test)]
    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    /// Timeouts in a row without an acknowledgment.
    pub(super) fn backoff(&self) -> u32 {
        self.clock.backoff
    }

    /// Round trip times.
    pub(super) fn rtt(&self) -> &Rtt {
        &self.rtt
    }

    /// Round trip times, for a test that knows them.
    #[cfg(test)]
    pub(super) fn rtt_mut(&mut self) -> &mut Rtt {
        &mut self.rtt
    }

    /// Congestion control.
    pub(super) fn congestion(&self) -> &dyn Controller {
        &*self.congestion
    }

    /// Congestion control, to tell it of another datagram size or path.
    pub(super) fn congestion_mut(&mut self) -> &mut dyn Controller {
        &mut *self.congestion
    }

    fn range_arrived(
        &mut self,
        now: Instant,
        range: &RangeInclusive<u64>,
        cumulative: u64,
        news: &mut News,
        out: &mut AckOutcome<C>,
    ) {
        let overtook = Overtook { now, largest: self.largest_acked, round_trip: self.round_trip() };
        let Self { flight, losses, tolerance, row, .. } = self;
        flight.acknowledge(range, |number, packet| {
            overtook.tell(tolerance, number, packet.at);
            news.handle_ack(number, &packet);
            let SentPacket { at, size, kind, contents, .. } = packet;
            out.acked.push(Settled { number, size, kind, sent_at: at, contents });
        });
        losses.handle_arrival(*range.start(), *range.end(), cumulative, |lost| {
            overtook.tell(tolerance, lost.number, lost.sent_at);
            tolerance.was_too_strict();
            news.handle_return(lost.number, lost.bytes, lost.sent_at);
            out.spurious += 1;
            *row = None;
        });
    }

    /// The acknowledgment brought something: the path lives. The round trip time that it tells, if
    /// it does.
    fn learn(
        &mut self,
        now: Instant,
        before: Option<u64>,
        ack_delay: Duration,
        news: &News,
    ) -> Option<Duration> {
        self.clock.backoff = 0;
        self.clock.rto_from = now;
        if news.newest_number.is_some_and(|(number, _)| number >= self.clock.probed_from) {
            self.clock.probes = 0;
        }
        // RFC 9002, 5.1: only the largest one, when it is new, was acknowledged without waiting for
        // others.
        let newest = news.newest_number.filter(|&(number, sent_at)| {
            before.is_none_or(|before| number > before) && now >= sent_at
        });
        let rtt = newest.map(|(_, sent_at)| self.rtt.sample(now, now.since(sent_at), ack_delay));
        self.delivery.handle_delivered(now, news.bytes, news.returned_bytes);
        if self.losses.take_refuted() {
            self.congestion.undo();
        }
        rtt
    }

    fn tell_acknowledged(&mut self, now: Instant, rtt: Option<Duration>, news: &News) {
        let Some((newest, newest_sent_at, mark)) = news.newest else { return };
        let delivery = self.delivery.sample(newest_sent_at, &mark);
        let [before, present] = self.flight_peaks;
        let peak = before.max(present);
        if newest >= self.round_ends {
            self.flight_peaks = [present, self.flight.bytes()];
            self.round_ends = self.next;
        }
        // RFC 7661, 4.1: a window of which less than half was used was not tried, whatever held the
        // sender back: the application, the other end's window, or a queue of ours.
        let app_limited = mark.app_limited || peak < self.congestion.window() / 2;
        let (bytes, in_flight) = (news.bytes, self.flight.bytes());
        let sample =
            AckSample { now, bytes, newest_sent_at, app_limited, rtt, in_flight, delivery };
        self.congestion.acknowledged(&sample);
    }

    /// The round trip that an overtaken packet is granted: RFC 9002, 6.1.2 takes the larger of
    /// both, so that one quick packet does not condemn its neighbours.
    fn round_trip(&self) -> Duration {
        self.rtt.latest().max(self.rtt.smoothed())
    }

    /// Until when the oldest packet may still come, if a later one did. Never lost by time alone.
    fn overtaken_until(&self) -> Option<Instant> {
        let (number, packet) = self.flight.oldest()?;
        let overtaken = self.largest_acked.is_some_and(|largest| number < largest);
        let grace = self.round_trip() + self.tolerance.window(&self.rtt);
        overtaken.then(|| packet.at + grace.max(TIMER_GRANULARITY))
    }

    fn lose_overtaken(&mut self, now: Instant, out: &mut AckOutcome<C>) {
        let first = out.lost.len();
        let mut news = BadNews::default();
        while let Some((number, _)) = self.flight.oldest() {
            let Some(largest) = self.largest_acked.filter(|&largest| largest > number) else {
                break;
            };
            let late = self.overtaken_until().is_some_and(|until| until <= now);
            if !late && !self.tolerance.too_far(largest - number) {
                break;
            }
            self.lose_oldest(&mut news, out);
        }
        self.tell_lost(now, first, &news, out);
    }

    /// Takes the oldest packet out as lost.
    fn lose_oldest(&mut self, news: &mut BadNews, out: &mut AckOutcome<C>) {
        let Some(Lost { number, packet, acked_follows }) = self.flight.lose_oldest() else {
            return;
        };
        if packet.kind != SentPacketKind::SizeProbe {
            let row = self
                .row
                .get_or_insert(LostRow { first_sent_at: packet.at, last_sent_at: packet.at });
            row.last_sent_at = packet.at;
            // RFC 9002, 7.6.1: three probe timeouts.
            let length = row.last_sent_at.since(row.first_sent_at);
            news.persistent |= self.rtt.measured() && length > self.rtt.pto() * 3;
            news.bytes = news.bytes.saturating_add(bytes_of(packet.size));
            news.newest = Some((packet.at, packet.mark));
        }
        if acked_follows {
            self.row = None;
        }
        let SentPacket { at, size, kind, contents, .. } = packet;
        out.lost.push(Settled { number, size, kind, sent_at: at, contents });
    }

    /// Remembers what was added to `out.lost` from `first` on, and tells congestion control.
    fn tell_lost(&mut self, now: Instant, first: usize, news: &BadNews, out: &AckOutcome<C>) {
        let Some((newest_lost_sent_at, mark)) = news.newest else {
            self.remember_lost(now, first, out);
            return;
        };
        if self.losses.begin(now, newest_lost_sent_at) {
            self.tolerance.episode();
        }
        self.remember_lost(now, first, out);
        self.delivery.handle_lost(news.bytes);
        let (persistent, bytes) = (news.persistent, news.bytes);
        let delivery = self.delivery.since(&mark);
        let sample = LossSample { newest_lost_sent_at, persistent, bytes, delivery };
        self.congestion.lost(now, &sample);
    }

    fn remember_lost(&mut self, now: Instant, first: usize, out: &AckOutcome<C>) {
        for lost in &out.lost[first..] {
            let congestion = lost.kind != SentPacketKind::SizeProbe;
            self.losses.add(now, lost.number, bytes_of(lost.size), lost.sent_at, congestion);
        }
    }

    /// Everything in flight is lost. Congestion control is not told here.
    fn lose_all(&mut self, now: Instant, out: &mut AckOutcome<C>) {
        let first = out.lost.len();
        let mut news = BadNews::default();
        while self.flight.packets() > 0 {
            self.lose_oldest(&mut news, out);
        }
        self.delivery.handle_lost(news.bytes);
        self.remember_lost(now, first, out);
    }

    /// RFC 6298, 5.5: doubled for every timeout in a row.
    fn rto(&self) -> Duration {
        let doubled = 1u32.checked_shl(self.clock.backoff.min(16)).unwrap_or(u32::MAX);
        self.rtt.rto().saturating_mul(doubled).min(RTO_LONGEST)
    }

    /// RFC 8985, 7.2: at first two round trips after the last packet or acknowledgment, and what
    /// the other end may wait for company if there is only one.
    fn probe_at(&self) -> Instant {
        let delay = if self.flight.packets() == 1 { ACK_DELAY } else { Duration::ZERO };
        let wait = self.rtt.smoothed() * 2 + TIMER_GRANULARITY + delay;
        let doubled = 1u32.checked_shl(self.clock.probes.min(16)).unwrap_or(u32::MAX);
        let wait = wait.saturating_mul(doubled);
        self.clock.last_sent.max(self.clock.rto_from) + wait
    }
}

/// Against what the lateness of a packet is measured.
struct Overtook {
    now: Instant,
    largest: Option<u64>,
    round_trip: Duration,
}

impl Overtook {
    fn tell(&self, tolerance: &mut Tolerance, number: u64, sent_at: Instant) {
        if let Some(largest) = self.largest.filter(|&largest| largest > number) {
            let late = self.now.since(sent_at).saturating_sub(self.round_trip);
            tolerance.handle_overtaken(largest - number, late);
        }
    }
}

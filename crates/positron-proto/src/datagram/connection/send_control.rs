//! How many datagrams may go out, of what size, and what became of those that did.

use super::data::{Carried, SentPacketData};
use crate::{
    datagram::{
        batching::Batching,
        congestion::CongestionAlgorithm,
        contract::{ConnectionView, EndpointConfig, EndpointCounters},
        mtu::DatagramSize,
        pacer::Pacer,
        recovery::{AckOutcome, AckedUnsent, Recovery, SentPacketKind, TimeoutOutcome},
        rtt::Rtt,
        window::SendWindow,
    },
    limits::LEAST_DATAGRAM,
    time::{Duration, Instant},
    wire::{
        packet::{HEADER_LEN, TAG_LEN},
        packet_frame::AckRanges,
    },
};

/// Everything that holds back what is sent, and has to hear of each packet for that: loss recovery
/// and congestion control (RFC 9002), pacing, the size of datagrams (RFC 8899), whether they go in
/// batches, and the window of the other end.
///
/// Send no more full datagrams than [`allowance`](Self::allowance) says, of
/// [`datagram_size`](Self::datagram_size) bytes each, with no more in them than
/// [`budget`](Self::budget), and tell of every packet, whatever is in it
/// ([`handle_sent`](Self::handle_sent)), and of every batch
/// ([`handle_batch_sent`](Self::handle_batch_sent)). While [`probes_due`](Self::probes_due), one
/// goes beyond the allowance, to find out what was lost.
///
/// What acknowledgments and timers tell of a packet is handed on to what it carried; whatever
/// concerns more than that is returned as [`Progress`].
///
/// **Bounds**: packets in flight by the congestion window; an idle connection keeps no room.
#[derive(Debug)]
pub(super) struct SendControl {
    recovery: Recovery<SentPacketData>,
    congestion: CongestionAlgorithm,
    /// What the recovery tells, until it is handed on: the same room for each acknowledgment.
    outcome: AckOutcome<SentPacketData>,
    pacer: Pacer,
    /// Until when pacing holds back what could be sent.
    paced_until: Option<Instant>,
    size: DatagramSize,
    batching: Batching,
    window: SendWindow,
    /// Packets that may go beyond the congestion window, to find out what was lost.
    probes: u32,
    /// When a STOP_WAITING frame was last sent.
    stop_waiting_at: Instant,
    lost: u64,
    sent: u64,
}

/// What became of packets of ours, as far as it concerns more than what they carried.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The highest number that was acknowledged for the first time.
    pub(super) newest_acked: Option<u64>,
    /// Something that was said was acknowledged.
    pub(super) acknowledged: bool,
    /// Our FIN was.
    pub(super) fin_acked: bool,
    /// Our FIN is to be sent again.
    pub(super) fin_lost: bool,
    /// The other end is to be asked for an acknowledgment, and nothing else asks.
    pub(super) ping_due: bool,
}

impl SendControl {
    /// Nothing was sent; packets are numbered from `first` on.
    pub(super) fn new(now: Instant, config: &EndpointConfig, first: u64) -> Self {
        let datagram = u64::try_from(LEAST_DATAGRAM).unwrap_or(u64::MAX);
        Self {
            recovery: Recovery::new(config.congestion.controller(datagram)).starting_at(first),
            congestion: config.congestion,
            outcome: AckOutcome::new(),
            pacer: Pacer::new(now, datagram),
            paced_until: None,
            size: DatagramSize::new(config.max_datagram),
            batching: Batching::new(config.batches),
            window: SendWindow::new(),
            probes: 0,
            stop_waiting_at: now,
            lost: 0,
            sent: 0,
        }
    }

    pub(super) fn rtt(&self) -> &Rtt {
        self.recovery.rtt()
    }

    /// Bytes of a full datagram.
    pub(super) const fn datagram_size(&self) -> usize {
        self.size.current()
    }

    /// Room for the frames of a full datagram.
    pub(super) const fn room(&self) -> usize {
        self.datagram_size().saturating_sub(HEADER_LEN + TAG_LEN)
    }

    /// Bytes that the other end takes beside what is under way.
    pub(super) const fn budget(&self) -> u64 {
        self.window.left()
    }

    /// Bytes in packets that the other end acknowledged.
    pub(super) fn delivered_bytes(&self) -> u64 {
        self.recovery.delivered_bytes()
    }

    /// Whether something waits to be acknowledged.
    pub(super) fn is_in_flight(&self) -> bool {
        self.recovery.in_flight() > 0
    }

    /// Whether pacing holds back what could be sent.
    pub(super) const fn is_paced(&self) -> bool {
        self.paced_until.is_some()
    }

    /// Whether the path answers, as far as is known.
    pub(super) fn answers(&self) -> bool {
        self.recovery.backoff() == 0
    }

    /// Adds what statistics show of it.
    pub(super) fn view(&self, view: &mut ConnectionView) {
        let rtt = Some(self.rtt()).filter(|rtt| rtt.measured());
        let congestion = self.recovery.congestion();
        view.rtt = rtt.map(Rtt::smoothed);
        view.least_rtt = rtt.map(Rtt::least);
        view.congestion = congestion.name();
        view.congestion_window = congestion.window();
        view.in_flight = self.recovery.in_flight();
        view.send_window = self.budget();
        view.datagram_size = self.datagram_size();
        (view.lost, view.sent) = (self.lost, self.sent);
    }

    /// How many full datagrams may go now, `most` at the most, if the path takes `path` bytes and
    /// `queued` ones wait.
    pub(super) fn allowance(
        &mut self,
        now: Instant,
        path: u64,
        most: usize,
        queued: usize,
    ) -> usize {
        let datagram = u64::try_from(self.datagram_size()).unwrap_or(u64::MAX).max(1);
        let most = u64::try_from(most).unwrap_or(1);
        self.recovery.congestion_mut().datagram_size_changed(datagram);
        let window = self.recovery.congestion().window();
        let free = window.saturating_sub(self.recovery.in_flight());
        let queued = u64::try_from(queued).unwrap_or(u64::MAX).saturating_add(datagram);
        let wanted = free.min(path).min(datagram * most).min(queued) / datagram * datagram;
        self.paced_until = None;
        if wanted == 0 {
            self.pacer.handle_idle();
            return 0;
        }
        self.pacer.datagram_size_changed(datagram);
        self.pacer.follow(now, self.recovery.congestion(), self.recovery.rtt());
        let paced = self.pacer.allowance(now, wanted);
        if paced < datagram {
            self.paced_until = self.pacer.poll_timeout(now, wanted);
        }
        usize::try_from(paced.min(wanted) / datagram).unwrap_or(0)
    }

    /// Whether a batch may have more than one datagram now.
    pub(super) fn may_batch(&self, now: Instant) -> bool {
        self.batching.is_allowed(now)
    }

    /// Whether a packet may go beyond the allowance.
    pub(super) const fn probes_due(&self) -> bool {
        self.probes > 0
    }

    /// A packet that asks for an acknowledgment went out where a probe may have been due.
    pub(super) const fn handle_probe_sent(&mut self) {
        self.probes = self.probes.saturating_sub(1);
    }

    /// A PING went out: it is as good as all probes.
    pub(super) const fn handle_ping_sent(&mut self) {
        self.probes = 0;
    }

    /// There was less to send than what is allowed.
    pub(super) fn handle_app_limited(&mut self) {
        self.recovery.app_limited();
        self.pacer.handle_idle();
        self.paced_until = None;
    }

    /// A packet goes out, as a datagram of `size` bytes.
    pub(super) fn handle_sent(
        &mut self,
        now: Instant,
        number: u64,
        size: usize,
        asks: SentPacketKind,
        cargo: SentPacketData,
    ) {
        self.sent += 1;
        self.window.handle_sent(cargo.charged);
        if asks == SentPacketKind::SizeProbe {
            self.size.probe_sent(number);
        }
        self.recovery.handle_sent(now, number, size, asks, cargo);
    }

    /// A batch of packets with data went out.
    pub(super) fn handle_batch_sent(&mut self, now: Instant, bytes: usize) {
        self.pacer.handle_sent(now, u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// The size of a datagram to send now, larger than the path is known to carry.
    pub(super) fn poll_size_probe(&mut self, now: Instant) -> Option<usize> {
        self.size.poll_probe(now)
    }

    /// When [`poll_size_probe`](Self::poll_size_probe) has one.
    pub(super) fn poll_size_timeout(&self) -> Option<Instant> {
        self.size.poll_timeout()
    }

    /// The number for a STOP_WAITING frame. Until the other end shows that it heard of one, it is
    /// told again, no more often than twice a round trip.
    pub(super) fn stop_waiting_due(&self, now: Instant) -> Option<u64> {
        let pause = self.rtt().smoothed() / 2;
        let number = self.recovery.lowest_to_tell(now)?;
        (now.since(self.stop_waiting_at) >= pause).then_some(number)
    }

    /// A STOP_WAITING frame goes out.
    pub(super) fn handle_stop_waiting_sent(&mut self, now: Instant, number: u64) {
        self.recovery.lowest_told(number);
        self.stop_waiting_at = now;
    }

    /// The header of packet `number` told the other end's window.
    pub(super) fn handle_announcement(&mut self, number: u64, window: u16) {
        self.window.handle_announcement(number, window);
    }

    /// The other end received everything below the number `cumulative`, and what `acknowledged`
    /// names.
    ///
    /// # Errors
    ///
    /// Something of that was never sent; nothing was changed.
    pub(super) fn handle_ack(
        &mut self,
        now: Instant,
        cumulative: u64,
        acknowledged: Option<(AckRanges, Duration)>,
        carried: &mut Carried,
        counters: &mut EndpointCounters,
    ) -> Result<Progress, AckedUnsent> {
        let out = &mut self.outcome;
        match acknowledged {
            Some((ranges, delay)) => {
                self.recovery.handle_ack(now, ranges.iter(), delay, cumulative, out)?;
            }
            None => {
                let nothing = core::iter::empty();
                self.recovery.handle_ack(now, nothing, Duration::ZERO, cumulative, out)?;
            }
        }
        let progress = self.settle(now, carried, counters);
        if !self.is_in_flight() {
            // An idle connection keeps no room for packets and what they carry.
            self.shrink();
        }
        Ok(progress)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.recovery.poll_timeout().map(|(at, _)| at).into_iter().chain(self.paced_until).min()
    }

    /// Does what is due. `fin_due`: our FIN waits to be sent.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        fin_due: bool,
        carried: &mut Carried,
        counters: &mut EndpointCounters,
    ) -> Progress {
        if self.paced_until.is_some_and(|until| until <= now) {
            self.paced_until = None;
        }
        match self.recovery.handle_timeout(now, &mut self.outcome) {
            TimeoutOutcome::Idle => Progress::default(),
            TimeoutOutcome::Lost => self.settle(now, carried, counters),
            TimeoutOutcome::Probe => {
                counters.probe_timeouts += 1;
                self.probe_tail(fin_due, carried)
            }
            TimeoutOutcome::Rto => {
                counters.retransmission_timeouts += 1;
                self.probes = 1;
                let progress = self.settle(now, carried, counters);
                Progress { ping_due: !self.has_data_to_send(carried), ..progress }
            }
        }
    }

    /// The other end is at another address. What was measured of the old path says nothing of this
    /// one (RFC 9000, 9.4).
    pub(super) fn handle_move(&mut self, now: Instant) {
        self.size.handle_move();
        self.batching.handle_move();
        let datagram = u64::try_from(self.datagram_size()).unwrap_or(u64::MAX);
        self.recovery.handle_move(self.congestion.controller(datagram));
        self.pacer = Pacer::new(now, datagram);
    }

    /// Keeps no room for the packets of busier times.
    pub(super) fn shrink(&mut self) {
        self.outcome = AckOutcome::new();
        self.recovery.shrink();
    }

    /// Packets arrived at the other end or were lost: what they carried is done with, or waits
    /// again.
    fn settle(
        &mut self,
        now: Instant,
        carried: &mut Carried,
        counters: &mut EndpointCounters,
    ) -> Progress {
        counters.spurious_losses += core::mem::take(&mut self.outcome.spurious);
        let mut progress = Progress::default();
        for packet in self.outcome.acked.drain(..) {
            let cargo = packet.contents;
            self.window.handle_settled(cargo.charged);
            self.size.handle_ack(packet.number, packet.size);
            let batches_end = self.batching.handle_ack(now, packet.number, cargo.follows);
            counters.batches_given_up += u64::from(batches_end);
            carried.handle_ack(&cargo);
            progress.newest_acked = progress.newest_acked.max(Some(packet.number));
            progress.fin_acked |= cargo.fin;
            progress.acknowledged |= cargo.charged > 0;
        }
        let black_holes = self.size.black_holes();
        for packet in self.outcome.lost.drain(..) {
            let cargo = packet.contents;
            self.window.handle_settled(cargo.charged);
            self.size.handle_loss(now, packet.number, packet.size);
            self.batching.handle_loss(packet.number, cargo.follows);
            self.lost += 1;
            progress.fin_lost |= cargo.fin;
            counters.packets_lost += 1;
            carried.handle_loss(&cargo);
        }
        counters.black_holes += self.size.black_holes() - black_holes;
        progress
    }

    /// Asks for the end of a flight: by what is new, or by what was sent last once more.
    fn probe_tail(&mut self, fin_due: bool, carried: &mut Carried) -> Progress {
        // Two, as one that is lost costs a longer wait (RFC 9002, 6.2.4).
        self.probes = 2;
        let mut progress = Progress::default();
        if self.has_data_to_send(carried) {
            return progress;
        }
        match self.recovery.newest_outstanding() {
            Some(cargo) if !cargo.contents.is_empty() => carried.handle_loss(cargo),
            Some(cargo) if cargo.fin => progress.fin_lost = true,
            _ => progress.ping_due = true,
        }
        // What was in it may have arrived in another.
        let nothing = !self.has_data_to_send(carried) && !carried.has_replies();
        progress.ping_due |= nothing && !fin_due && !progress.fin_lost;
        progress
    }

    /// Whether messages or streams have something to send.
    fn has_data_to_send(&self, carried: &Carried) -> bool {
        carried.most_urgent(self.room(), self.budget()).is_some()
    }
}

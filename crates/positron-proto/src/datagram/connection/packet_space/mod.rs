//! The half of a connection that speaks in packets.
//!
//! - here: what one brings that arrived, frame by frame, and what time brings;
//! - `transmit`: what goes into the next ones.

mod transmit;

use std::net::SocketAddr;

use super::{
    data::Carried,
    idle_timer::IdleTimer,
    packet::OpenedPacket,
    send_control::{Progress, SendControl},
};
use crate::{
    datagram::{
        ack_tracker::AckTracker,
        contract::{Closed, ConnectionView, EndpointConfig, EndpointCounters, RemoteNode},
        incoming::Violation,
        path_validation::Paths,
        protection::{Protection, Unopened},
        rtt::Rtt,
    },
    misbehavior::Misbehavior,
    rng::Rng,
    time::{Duration, Instant},
    wire::{
        Malformed,
        frame::CloseReason,
        packet::{Header, extend_number},
        packet_frame::{AckRanges, Frames, PacketFrame},
    },
};

/// What a connection has once both ends hold keys: their packets, whose numbers only go up.
///
/// A packet is opened ([`open`](Self::open)) and then heard
/// ([`handle_opened`](Self::handle_opened)); what it says for the application goes to what is
/// [`Carried`], what concerns the connection is returned. What goes out is asked for in the order
/// of its urgency: [`poll_path`](Self::poll_path), [`poll_pong`](Self::poll_pong),
/// [`poll_data`](Self::poll_data), [`poll_probe_or_ack`](Self::poll_probe_or_ack); what the
/// connection says of its end is sealed by [`seal_end`](Self::seal_end) in between.
///
/// **Bounds** are those of its parts: what was sent in [`SendControl`], what arrived in
/// [`AckTracker`], where to in [`Paths`].
#[derive(Debug)]
pub(super) struct PacketSpace {
    remote: RemoteNode,
    /// The other end's name for this connection.
    theirs: u32,
    protection: Protection,
    received: AckTracker,
    sending: SendControl,
    paths: Paths,
    idle_timer: IdleTimer,
    /// Changes of keys that were counted.
    key_updates: u64,
}

/// What a packet or the time brought, as far as it concerns the connection.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    pub(super) progress: Progress,
    /// Where the other end proved to be now.
    pub(super) moved: Option<SocketAddr>,
    /// What a FIN or RST gives as its reason.
    pub(super) close: Option<CloseReason>,
    /// Whether some of it is for the application.
    pub(super) said: bool,
    /// Whether nothing had been heard for long.
    pub(super) was_quiet: bool,
}

/// What the frames of a packet came to, beside what they changed at once.
#[derive(Default)]
struct Heard {
    eliciting: bool,
    said: bool,
    acknowledged: Option<(AckRanges, Duration)>,
    moved: Option<SocketAddr>,
    close: Option<CloseReason>,
    /// The token of its last PATH_CHALLENGE: however many questions a packet has, it gets one
    /// answer.
    challenge: Option<[u8; 8]>,
}

impl PacketSpace {
    pub(super) fn new(
        now: Instant,
        config: &EndpointConfig,
        protection: Protection,
        remote: RemoteNode,
        theirs: u32,
    ) -> Self {
        // Both directions count from the same number, which is 0 but in tests.
        let first = protection.next_number();
        let mut received = AckTracker::new();
        received.abandoned_below(first);
        Self {
            remote,
            theirs,
            received,
            sending: SendControl::new(now, config, first),
            paths: Paths::new(remote.addr, true, 0, 0),
            idle_timer: IdleTimer::new(now, config, theirs),
            key_updates: 0,
            protection,
        }
    }

    pub(super) fn rtt(&self) -> &Rtt {
        self.sending.rtt()
    }

    /// When the last packet opened.
    pub(super) const fn heard(&self) -> Instant {
        self.idle_timer.heard()
    }

    /// Bytes in packets that the other end acknowledged.
    pub(super) fn delivered_bytes(&self) -> u64 {
        self.sending.delivered_bytes()
    }

    /// Whether the path answers, as far as is known.
    pub(super) fn answers(&self) -> bool {
        self.sending.answers()
    }

    /// Adds what statistics show of it.
    pub(super) fn view(&self, view: &mut ConnectionView) {
        view.id_there = Some(self.theirs);
        view.remote = Some(self.remote);
        view.gaps = self.received.gaps();
        self.sending.view(view);
    }

    /// The other end is to be asked for an acknowledgment.
    pub(super) const fn ask(&mut self) {
        self.idle_timer.ask();
    }

    /// An unauthenticated word about this connection arrived: the other end is asked for a sign of
    /// life, not too often. Nothing else changes.
    pub(super) fn handle_suspicion(&mut self, now: Instant) {
        self.idle_timer.handle_suspicion(now);
    }

    /// Opens a packet into `out` and returns its number.
    pub(super) fn open(
        &mut self,
        now: Instant,
        header: &Header,
        datagram: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<u64, Unopened> {
        self.protection.open(now, self.sending.rtt().three_pto(), header, datagram, out)
    }

    /// Whether so many packets failed to open that the connection must end.
    pub(super) const fn is_at_cipher_limit(&self) -> bool {
        self.protection.is_at_cipher_limit()
    }

    /// A packet opened. To the `deaf` nothing more can be said: it is acknowledged and not heard.
    ///
    /// # Errors
    ///
    /// No honest end would have sent it, and the connection ends.
    pub(super) fn handle_opened(
        &mut self,
        now: Instant,
        packet: OpenedPacket<'_>,
        deaf: bool,
        carried: &mut Carried,
        rng: &mut Rng,
        counters: &mut EndpointCounters,
    ) -> Result<Arrival, Violation> {
        let updates = self.protection.key_updates();
        counters.key_updates += updates - core::mem::replace(&mut self.key_updates, updates);
        let OpenedPacket { from, header, number, len, .. } = packet;
        let was_quiet = self.idle_timer.handle_arrival(now) >= QUIET;
        let newest = self.protection.highest_opened() == Some(number);
        let pto = self.sending.rtt().pto();
        self.paths.handle_arrival(now, from, len, newest, pto, rng);
        self.sending.handle_announcement(number, header.window);

        let heard = self.hear_all(now, packet, deaf, carried, counters)?;
        let Heard { eliciting, said, acknowledged, moved, close, challenge } = heard;
        let progress = self.handle_ack(now, header.ack, acknowledged, carried, counters)?;
        carried.count_arrived()?;
        if let Some(token) = challenge {
            self.paths.handle_challenge(from, token, len);
        }
        self.received.handle_arrival(now, number, eliciting);
        if was_quiet {
            self.sending.shrink();
        }
        if let Some(addr) = moved {
            self.handle_move(now, addr);
        }
        Ok(Arrival { progress, moved, close, said, was_quiet })
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`handle_silence`](Self::handle_silence)
    /// has something to do, or a packet may go out. `drained`: nothing that was said waits for an
    /// acknowledgment; `may_probe_size`: as for [`poll_probe_or_ack`](Self::poll_probe_or_ack).
    pub(super) fn poll_timeout(&self, drained: bool, may_probe_size: bool) -> Option<Instant> {
        let mut next = self.idle_timer.poll_timeout(self.blocked_rto(drained));
        // One after the other: this is asked after every packet, and an array of all of them cost a
        // fifth of the small messages of a second (measured).
        let mut wake_at = |at: Option<Instant>| next = next.into_iter().chain(at).min();
        wake_at(self.sending.poll_timeout());
        wake_at(self.received.poll_timeout());
        wake_at(self.paths.poll_timeout());
        wake_at(self.sending.poll_size_timeout().filter(|_| may_probe_size));
        next
    }

    /// Does what is due, but for [`handle_silence`](Self::handle_silence). `fin_due`: our FIN waits
    /// to be sent.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        fin_due: bool,
        carried: &mut Carried,
        counters: &mut EndpointCounters,
    ) -> Arrival {
        let progress = self.sending.handle_timeout(now, fin_due, carried, counters);
        if progress.ping_due {
            self.idle_timer.ask();
        }
        let moved = self.paths.handle_timeout(now);
        if let Some(addr) = moved {
            self.handle_move(now, addr);
        }
        Arrival { progress, moved, ..Arrival::default() }
    }

    /// Asks for a sign of life, if that is due, or says that there was none for too long.
    pub(super) fn handle_silence(&mut self, now: Instant, drained: bool) -> Option<Closed> {
        self.idle_timer.handle_timeout(now, self.blocked_rto(drained))
    }

    /// The retransmission timeout, if data waits for the other end's window.
    fn blocked_rto(&self, drained: bool) -> Option<Duration> {
        (!drained && !self.sending.is_paced()).then(|| self.sending.rtt().rto())
    }

    fn handle_move(&mut self, now: Instant, addr: SocketAddr) {
        self.remote.addr = addr;
        self.sending.handle_move(now);
    }

    /// Frame by frame.
    fn hear_all(
        &mut self,
        now: Instant,
        packet: OpenedPacket<'_>,
        deaf: bool,
        carried: &mut Carried,
        counters: &mut EndpointCounters,
    ) -> Result<Heard, Violation> {
        let OpenedPacket { from, header, number, frames, .. } = packet;
        let mut heard = Heard::default();
        for frame in Frames::new(header.kind, header.fragment, frames) {
            let malformed =
                |it: Malformed| Violation { what: it.what, misbehavior: Misbehavior::Malformed };
            match frame.map_err(malformed)? {
                PacketFrame::StopWaiting { number: lowest } if lowest > number => {
                    return Err(unsent("STOP_WAITING above its own packet"));
                }
                frame if deaf && is_for_application(&frame) => heard.eliciting = true,
                frame => self.hear(now, from, frame, carried, &mut heard, counters)?,
            }
        }
        Ok(heard)
    }

    fn hear(
        &mut self,
        now: Instant,
        from: SocketAddr,
        frame: PacketFrame<&[u8]>,
        carried: &mut Carried,
        heard: &mut Heard,
        counters: &mut EndpointCounters,
    ) -> Result<(), Violation> {
        heard.eliciting |= frame.is_ack_eliciting();
        heard.said |= is_for_application(&frame);
        match frame {
            PacketFrame::Padding { .. } | PacketFrame::Pong { .. } => {}
            PacketFrame::Unknown { .. } => counters.extensions_ignored += 1,
            PacketFrame::Ping { token } => self.idle_timer.handle_ping(token),
            PacketFrame::PacketAck { ranges, delay } => heard.acknowledged = Some((ranges, delay)),
            PacketFrame::StopWaiting { number } => self.received.abandoned_below(number),
            PacketFrame::PathChallenge { token } => heard.challenge = Some(token),
            PacketFrame::PathResponse { token } => {
                let token = u64::from_be_bytes(token);
                heard.moved = self.paths.handle_response(now, from, token).or(heard.moved);
            }
            PacketFrame::Close(reason) => heard.close = Some(reason),
            frame @ (PacketFrame::Message { .. }
            | PacketFrame::Fragment { .. }
            | PacketFrame::MessageAck { .. }
            | PacketFrame::MessageNack { .. }
            | PacketFrame::Stream { .. }
            | PacketFrame::MaxData { .. }
            | PacketFrame::StreamEnd { .. }) => carried.handle_frame(now, frame, counters)?,
        }
        Ok(())
    }

    /// The other end received everything below the number whose low half is `cumulative`, and what
    /// `acknowledged` names.
    fn handle_ack(
        &mut self,
        now: Instant,
        cumulative: u32,
        acknowledged: Option<(AckRanges, Duration)>,
        carried: &mut Carried,
        counters: &mut EndpointCounters,
    ) -> Result<Progress, Violation> {
        let cumulative = extend_number(cumulative, self.protection.next_number().checked_sub(1));
        let progress = self
            .sending
            .handle_ack(now, cumulative, acknowledged, carried, counters)
            .map_err(|_| unsent("an acknowledgment of what was never sent"))?;
        if let Some(number) = progress.newest_acked {
            self.protection.handle_ack(number);
        }
        self.received.rtt_changed(self.sending.rtt().smoothed());
        Ok(progress)
    }
}

#[cfg(test)]
impl PacketSpace {
    pub(super) const fn key_updates(&self) -> u64 {
        self.protection.key_updates()
    }

    /// PINGs that were sent.
    pub(super) const fn pings(&self) -> u64 {
        self.idle_timer.pings()
    }
}

/// Whether it is for the application, and not between the two machines.
const fn is_for_application(frame: &PacketFrame<&[u8]>) -> bool {
    matches!(
        frame,
        PacketFrame::Message { .. } | PacketFrame::Fragment { .. } | PacketFrame::Stream { .. }
    )
}

const fn unsent(what: &'static str) -> Violation {
    Violation { what, misbehavior: Misbehavior::ProtocolViolation }
}

/// Silence after which a connection counts as idle (guess: long beside every round trip).
const QUIET: Duration = Duration::from_secs(1);

//! What time brings to a connection.

use super::{Carried, Connection, PacketSpace, recv::RecvProgress};
use crate::{
    datagram::{
        contract::{Closed, ConnectionState, EndpointConfig, EndpointCounters},
        recovery::TimeoutOutcome,
    },
    limits::PROBE_SIZE_FROM,
    time::Instant,
};

impl Connection {
    /// When [`handle_timeout`](Self::handle_timeout) or `poll_transmit` has something to do.
    pub(in super::super) fn poll_timeout(&self) -> Option<Instant> {
        let mut next = self.ending.until();
        // One after the other: this is asked after every packet, and an array of all of them cost a
        // fifth of the small messages of a second (measured).
        let mut wake_at = |at: Option<Instant>| next = next.into_iter().chain(at).min();
        if let Some(secured) = &self.secured
            && self.state != ConnectionState::Closed
        {
            wake_at(secured.recovery.poll_timeout().map(|(at, _)| at));
            wake_at(secured.received.poll_timeout());
            wake_at(secured.paths.poll_timeout());
            wake_at(secured.paced_until);
            wake_at(self.carried.incoming.poll_timeout());
            wake_at(secured.size.poll_timeout().filter(|_| self.may_probe_size()));
            wake_at(secured.poll_silence(&self.config, self.drained));
        }
        next
    }

    /// Whether it is worth looking for a larger datagram: there is something to send that would
    /// use it, and the path answers. Into silence only the timeout speaks.
    pub(super) fn may_probe_size(&self) -> bool {
        self.state == ConnectionState::Established
            && self.queued_bytes() >= PROBE_SIZE_FROM
            && self.secured.as_ref().is_some_and(|secured| secured.recovery.backoff() == 0)
    }

    /// Does what is due.
    pub(in super::super) fn handle_timeout(
        &mut self,
        now: Instant,
        counters: &mut EndpointCounters,
    ) {
        self.end_if_due(now);
        if self.state == ConnectionState::Closed {
            return;
        }
        counters.reassemblies_abandoned += self.carried.incoming.handle_timeout(now);
        let Some(secured) = self.secured.as_deref_mut() else { return };
        let progress = secured.wake_recovery(now, &mut self.carried, counters);
        let moved = secured.paths.handle_timeout(now);
        self.handle_progress(now, &progress);
        if let Some(addr) = moved {
            self.handle_move(now, addr, counters);
        }
        let Some(secured) = self.secured.as_deref_mut() else { return };
        if secured.paced_until.is_some_and(|until| until <= now) {
            secured.paced_until = None;
        }
        if secured.poll_silence(&self.config, self.drained).is_none_or(|at| at > now) {
            return;
        }
        if secured.unanswered.is_some() {
            self.abort(now, Closed::Silent);
        } else {
            secured.due.ping = true;
        }
    }
}

impl PacketSpace {
    /// When to ask for a sign of life, or to give up. `drained`: nothing that was said waits for
    /// an acknowledgment.
    fn poll_silence(&self, config: &EndpointConfig, drained: bool) -> Option<Instant> {
        if let Some(since) = self.unanswered {
            return Some(since + config.idle_timeout);
        }
        let quiet_since = self.heard.max(self.spoke);
        let waits_for_window = !drained && self.paced_until.is_none();
        if waits_for_window {
            return Some(quiet_since + self.recovery.rtt().rto());
        }
        config.keep_alive.map(|interval| quiet_since + interval)
    }

    fn wake_recovery(
        &mut self,
        now: Instant,
        carried: &mut Carried,
        counters: &mut EndpointCounters,
    ) -> RecvProgress {
        let outcome = self.recovery.handle_timeout(now, &mut self.outcome);
        match outcome {
            TimeoutOutcome::Idle => return RecvProgress::default(),
            TimeoutOutcome::Lost => {}
            TimeoutOutcome::Probe => {
                counters.probe_timeouts += 1;
                self.probe_tail(carried);
            }
            TimeoutOutcome::Rto => {
                counters.retransmission_timeouts += 1;
                self.due.probes = 1;
            }
        }
        let progress = self.settle(now, carried, counters);
        self.due.ping |= outcome == TimeoutOutcome::Rto && !self.has_data_to_send(carried);
        progress
    }

    /// Asks for the end of a flight: by what is new, or by what was sent last once more.
    fn probe_tail(&mut self, carried: &mut Carried) {
        // Two, as one that is lost costs a longer wait (RFC 9002, 6.2.4).
        self.due.probes = 2;
        if self.has_data_to_send(carried) {
            return;
        }
        match self.recovery.newest_outstanding() {
            Some(cargo) if !cargo.contents.is_empty() => carried.handle_loss(cargo),
            Some(cargo) if cargo.fin => self.due.fin = true,
            _ => self.due.ping = true,
        }
        // What was in it may have arrived in another.
        let nothing = !self.has_data_to_send(carried) && !carried.incoming.has_replies();
        self.due.ping |= nothing && !self.due.fin;
    }
}

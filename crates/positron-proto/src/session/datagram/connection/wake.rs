//! What time brings to a connection.

use super::{Connection, Secured};
use crate::{
    limits::PROBE_SIZE_FROM,
    session::datagram::{
        contract::{Closed, EndpointCounters, State},
        recovery::{Outcome, TimeoutOutcome},
    },
    time::{Duration, Instant},
};

impl Connection {
    /// When [`handle_timeout`](Self::handle_timeout) or `poll_transmit` has something to do.
    pub(in super::super) fn poll_timeout(&self) -> Option<Instant> {
        let mut times = [self.ending.until(), None, None, None, None, None, None, None];
        if let Some(secured) = &self.secured
            && self.state != State::Closed
        {
            times[1] = secured.recovery.poll_timeout().map(|(at, _)| at);
            times[2] = secured.received.poll_timeout();
            times[3] = secured.paths.poll_timeout();
            times[4] = secured.paced_until;
            times[5] = self.incoming.poll_timeout();
            times[6] = secured.size.poll_timeout().filter(|_| self.may_probe_size());
            times[7] = self.poll_silence(secured);
        }
        times.into_iter().flatten().min()
    }

    /// Whether it is worth looking for a larger datagram: there is something to send that would
    /// use it, and the path answers. Into silence only the timeout speaks.
    pub(super) fn may_probe_size(&self) -> bool {
        self.state == State::Established
            && self.queued_bytes() >= PROBE_SIZE_FROM
            && self.secured.as_ref().is_some_and(|secured| secured.recovery.backoff() == 0)
    }

    /// When to ask for a sign of life, or to give up.
    fn poll_silence(&self, secured: &Secured) -> Option<Instant> {
        if let Some(since) = secured.unanswered {
            return Some(since + self.config.idle_timeout);
        }
        let waits_for_window = !self.drained && secured.paced_until.is_none();
        if waits_for_window {
            return Some(secured.heard.max(secured.spoke) + secured.patience());
        }
        self.config.keep_alive.map(|interval| secured.heard.max(secured.spoke) + interval)
    }

    /// Does what is due.
    pub(in super::super) fn handle_timeout(
        &mut self,
        now: Instant,
        counters: &mut EndpointCounters,
    ) {
        self.end_if_due(now);
        if self.state == State::Closed {
            return;
        }
        counters.messages_given_up += self.incoming.handle_timeout(now);
        self.wake_recovery(now, counters);
        let Some(secured) = &mut self.secured else { return };
        if let Some(addr) = secured.paths.handle_timeout(now) {
            self.moved(now, addr, counters);
        }
        let Some(secured) = &mut self.secured else { return };
        if secured.paced_until.is_some_and(|until| until <= now) {
            secured.paced_until = None;
        }
        let Some(secured) = &self.secured else { return };
        if self.poll_silence(secured).is_none_or(|at| at > now) {
            return;
        }
        if secured.unanswered.is_some() {
            self.abort(now, Closed::Silent);
        } else if let Some(secured) = &mut self.secured {
            secured.due.ping = true;
        }
    }

    fn wake_recovery(&mut self, now: Instant, counters: &mut EndpointCounters) {
        let Some(secured) = &mut self.secured else { return };
        if secured.recovery.poll_timeout().is_none_or(|(at, _)| at > now) {
            return;
        }
        let mut outcome = core::mem::replace(&mut secured.outcome, Outcome::new());
        let mut timed_out = false;
        match secured.recovery.handle_timeout(now, &mut outcome) {
            TimeoutOutcome::Idle | TimeoutOutcome::Lost => {}
            TimeoutOutcome::Probe => {
                counters.probes += 1;
                // Two, as one that is lost costs a longer wait (RFC 9002, 6.2.4).
                secured.due.probes = 2;
                // What was sent last comes again in it, if nothing new waits.
                if !self.has_data_to_send()
                    && let Some(secured) = &mut self.secured
                {
                    match secured.recovery.newest_outstanding().cloned() {
                        Some(cargo) if !cargo.contents.is_empty() => self.requeue(&cargo),
                        Some(cargo) if cargo.fin => secured.due.fin = true,
                        _ => secured.due.ping = true,
                    }
                    // What was in it may have arrived in another.
                    let nothing = !self.has_data_to_send() && !self.incoming.has_replies();
                    if let Some(secured) = &mut self.secured {
                        secured.due.ping |= nothing && !secured.due.fin;
                    }
                }
            }
            TimeoutOutcome::Rto => {
                counters.timeouts += 1;
                secured.due.probes = 1;
                timed_out = true;
            }
        }
        self.settle(now, &mut outcome, counters);
        let nothing_to_repeat = timed_out && !self.has_data_to_send();
        if let Some(secured) = &mut self.secured {
            secured.due.ping |= nothing_to_repeat;
            secured.outcome = outcome;
        }
    }
}

impl Secured {
    /// How long a closed window is waited for before it is asked about.
    fn patience(&self) -> Duration {
        self.recovery.rtt().rto()
    }
}

//! How a connection ends: by FIN on both sides, by RST, by silence.

use super::{Connection, ConnectionEvent};
use crate::{
    datagram::{
        contract::{Closed, ConnectionState},
        incoming::Violation,
        state::Transition,
    },
    limits::{FLUSH_TIMEOUT, LONGEST_HALF_CLOSE},
    time::Instant,
    wire::frame::CloseReason,
};

impl Connection {
    /// Closes when everything that waits was sent and acknowledged.
    pub(in super::super) fn close(&mut self, now: Instant, reason: CloseReason) {
        if self.ending.is_asked_for() {
            return;
        }
        match self.state {
            ConnectionState::SynSent | ConnectionState::SynReceived => {
                self.abort(now, Closed::ByUs(reason));
            }
            ConnectionState::Established | ConnectionState::CloseWait => {
                self.ending.ours = Some(reason);
                self.close_if_drained(now);
            }
            _ => {}
        }
    }

    /// Sends our FIN once nothing waits any more, if there is to be one.
    pub(super) fn close_if_drained(&mut self, now: Instant) {
        let asked = self.ending.is_asked_for();
        if !(asked && self.state == ConnectionState::Established
            || self.state == ConnectionState::CloseWait)
        {
            return;
        }
        if !self.carried.is_drained() {
            self.ending.until.get_or_insert(now + FLUSH_TIMEOUT);
            return;
        }
        if !asked && self.carried.streams.has_unread() {
            // Nothing more comes, but what came is not forgotten before it is read.
            self.ending.until = None;
            return;
        }
        let Some(state) = self.state.after(Transition::Close) else { return };
        self.state = state;
        // The other end has this long to say its last word; a FIN that is lost comes again.
        self.ending.until = Some(now + FLUSH_TIMEOUT);
        self.ending.latest = Some(now + LONGEST_HALF_CLOSE);
        if let Some(secured) = &mut self.secured {
            secured.due.fin = true;
        }
    }

    /// Something that waited was acknowledged: whoever closes goes on waiting for the rest.
    pub(super) fn note_progress(&mut self, now: Instant) {
        let drains =
            matches!(self.state, ConnectionState::Established | ConnectionState::CloseWait);
        if drains && let Some(until) = &mut self.ending.until {
            *until = now + FLUSH_TIMEOUT;
        }
    }

    /// Something that was said arrived: whoever closed first goes on waiting for the rest of it.
    pub(super) fn note_arrival(&mut self, now: Instant) {
        if self.state == ConnectionState::FinWait2
            && let Some(latest) = self.ending.latest
        {
            self.ending.until = Some(latest.min(now + FLUSH_TIMEOUT));
        }
    }

    /// Closes at once and tells the other end.
    pub(in super::super) fn reset(&mut self, now: Instant, reason: CloseReason) {
        self.ending.ours = Some(reason.clone());
        self.abort(now, Closed::ByUs(reason));
    }

    /// Over, at once. Who still says something is told by a RST, for a while.
    pub(super) fn abort(&mut self, now: Instant, why: Closed) {
        let Some(state) = self.state.after(Transition::Abort) else { return };
        self.state = state;
        let mut linger = now;
        if let Some(secured) = &mut self.secured {
            self.ending.resets = matches!(why, Closed::ByUs(_) | Closed::Violation { .. });
            secured.due.reset = self.ending.resets;
            linger = now + secured.three_pto();
        }
        if let Closed::Violation { what, .. } = why {
            self.ending.ours = Some(CloseReason::Violation(what.into()));
        }
        self.ending.until = Some(linger);
        self.tell_end(why);
    }

    /// The other end broke the rules inside its sealed packets.
    pub(super) fn violate(&mut self, now: Instant, violation: Violation) {
        let Violation { what, misbehavior } = violation;
        self.abort(now, Closed::Violation { what, misbehavior });
    }

    /// Their FIN.
    pub(super) fn handle_fin(&mut self, now: Instant, reason: CloseReason) {
        if let Some(secured) = &mut self.secured {
            secured.due.fin_ack = true;
        }
        if self.state == ConnectionState::TimeWait {
            // Our answer was lost (RFC 9293, 3.10.7.4: the wait begins anew).
            self.wait_for_repeats(now);
        }
        let Some(state) = self.state.after(Transition::Fin) else { return };
        self.state = state;
        match state {
            ConnectionState::TimeWait => self.wait_for_repeats(now),
            ConnectionState::CloseWait => {
                self.events.push_back(ConnectionEvent::Finished(reason.clone()));
            }
            _ => {}
        }
        self.ending.theirs = Some(reason);
        self.close_if_drained(now);
    }

    /// Our FIN was acknowledged.
    pub(super) fn handle_fin_ack(&mut self, now: Instant) {
        let Some(state) = self.state.after(Transition::FinAcknowledged) else { return };
        self.state = state;
        match state {
            ConnectionState::TimeWait => self.wait_for_repeats(now),
            ConnectionState::Closed => {
                self.ending.until = Some(now);
                self.tell_end(Closed::ByPeer(self.their_reason()));
            }
            _ => {}
        }
    }

    fn wait_for_repeats(&mut self, now: Instant) {
        let wait = self.secured.as_ref().map_or(FLUSH_TIMEOUT, |secured| secured.three_pto());
        self.ending.until = Some(now + wait);
        let why = Closed::ByUs(self.ending.reason());
        self.tell_end(why);
    }

    fn their_reason(&self) -> CloseReason {
        self.ending.theirs.clone().unwrap_or(CloseReason::ShuttingDown)
    }

    /// Their RST.
    pub(super) fn handle_reset(&mut self, now: Instant, reason: CloseReason) {
        self.abort(now, Closed::ByPeer(reason));
    }

    /// The application hears of the end once.
    fn tell_end(&mut self, why: Closed) {
        if !core::mem::replace(&mut self.ending.told, true) {
            self.events.push_back(ConnectionEvent::Closed(why));
        }
    }

    /// The time to answer what still comes is over.
    pub(super) fn end_if_due(&mut self, now: Instant) {
        if self.ending.until.is_none_or(|until| until > now) {
            return;
        }
        self.ending.until = None;
        match self.state {
            ConnectionState::TimeWait => {
                self.state =
                    self.state.after(Transition::Waited).unwrap_or(ConnectionState::Closed);
            }
            ConnectionState::Closed => {}
            // The other end does not say its last word, but heard ours, and may be reading still.
            ConnectionState::FinWait2 => {
                self.abort(now, Closed::ByUs(self.ending.reason()));
                self.ending.resets = false;
                if let Some(secured) = &mut self.secured {
                    secured.due.reset = false;
                }
            }
            ConnectionState::Closing | ConnectionState::FinWait1 => {
                self.abort(now, Closed::ByUs(self.ending.reason()));
            }
            // Nothing of what waits was acknowledged for long.
            ConnectionState::Established | ConnectionState::CloseWait
                if self.ending.is_asked_for() =>
            {
                self.abort(now, Closed::Silent);
                self.ending.resets = true;
                if let Some(secured) = &mut self.secured {
                    secured.due.reset = true;
                }
            }
            ConnectionState::CloseWait => self.abort(now, Closed::ByPeer(self.their_reason())),
            ConnectionState::LastAck => self.abort(now, Closed::ByPeer(self.their_reason())),
            ConnectionState::SynSent
            | ConnectionState::SynReceived
            | ConnectionState::Established => {}
        }
    }

    /// Whether nothing is to be done or said any more: it may be forgotten.
    pub(in super::super) fn is_over(&self, now: Instant) -> bool {
        self.state == ConnectionState::Closed
            && self.events.is_empty()
            && self.ending.until.is_none_or(|until| until <= now)
    }
}

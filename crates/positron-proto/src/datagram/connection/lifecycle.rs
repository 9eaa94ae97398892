//! How a connection begins and ends: by FIN on both sides, by RST, by silence.

use super::{data::Carried, event::ConnectionEvent};
use crate::{
    datagram::{
        contract::{Closed, ConnectionState},
        incoming::Violation,
        rtt::Rtt,
        state::Transition,
    },
    handshake::expect::Direction,
    limits::{FLUSH_TIMEOUT, LONGEST_HALF_CLOSE},
    time::Instant,
    wire::{frame::CloseReason, packet::PacketType},
};

/// The state of a connection, from its first SYN to the end of its TIME_WAIT (RFC 9293, 3.3.2), and
/// what is to be said of its end.
///
/// Tell it what the application wants ([`close`](Self::close), [`reset`](Self::reset)), what the
/// other end said of the end, and the time. Each input returns what the application is to hear of
/// it; that the connection is closed it hears once. What goes out is a RST
/// ([`poll_reset`](Self::poll_reset), also once it is closed), the answer to their FIN
/// ([`poll_fin_ack`](Self::poll_fin_ack)) and our own ([`poll_fin`](Self::poll_fin)), with
/// [`reason`](Self::reason) in it.
///
/// What waits to be sent is sent and acknowledged before our FIN: ask
/// [`close_if_drained`](Self::close_if_drained) after every input and whenever it may have become
/// less. `rtt` is what the path was measured to be, once both ends hold keys.
///
/// **Bounds**: who closes waits [`FLUSH_TIMEOUT`] for each step of the other end, and
/// [`LONGEST_HALF_CLOSE`] for its last word, however much comes meanwhile.
#[derive(Debug)]
pub(super) struct Lifecycle {
    state: ConnectionState,
    /// When the handshake began or, once it is over, ended.
    since: Instant,
    /// Why we close, once we were asked to.
    ours: Option<CloseReason>,
    /// Why they close, once they said so.
    theirs: Option<CloseReason>,
    /// Whether the application was told that it is over.
    told: bool,
    /// Whether a RST says that it is over to whoever still speaks.
    resets: bool,
    /// Until when what waits has to go on being acknowledged, once we close; after that, until when
    /// the connection is remembered, to answer what still comes.
    until: Option<Instant>,
    /// Until when the other end is heard out at most, once our FIN went out.
    latest: Option<Instant>,
    due: Due,
}

/// What waits to be said.
#[derive(Debug, Default)]
struct Due {
    /// Our FIN, maybe again.
    fin: bool,
    /// The FIN of the other end is to be answered.
    fin_ack: bool,
    /// A RST.
    reset: bool,
}

impl Lifecycle {
    /// The handshake is under way.
    pub(super) fn new(now: Instant, direction: Direction) -> Self {
        let step = match direction {
            Direction::Outbound => Transition::Dialled,
            Direction::Inbound => Transition::Answered,
        };
        Self {
            state: ConnectionState::Closed.after(step).expect("every connection begins closed"),
            since: now,
            ours: None,
            theirs: None,
            told: false,
            resets: false,
            until: None,
            latest: None,
            due: Due::default(),
        }
    }

    /// Both ends hold keys; whether that is news.
    pub(super) fn establish(&mut self, now: Instant) -> bool {
        let is_news = self.advance(Transition::Proven);
        if is_news {
            self.since = now;
        }
        is_news
    }

    pub(super) const fn state(&self) -> ConnectionState {
        self.state
    }

    /// When the handshake began or, once it is over, ended.
    pub(super) const fn since(&self) -> Instant {
        self.since
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == ConnectionState::Closed
    }

    /// Whether the application may still say something.
    pub(super) const fn takes_messages(&self) -> bool {
        self.state.takes_messages() && !self.is_asked_for()
    }

    /// Whether whoever still speaks is told that it is over.
    pub(super) const fn resets(&self) -> bool {
        self.resets
    }

    /// What our FIN or RST says.
    pub(super) fn reason(&self) -> CloseReason {
        let reason = self.ours.as_ref().or(self.theirs.as_ref());
        reason.cloned().unwrap_or(CloseReason::ShuttingDown)
    }

    /// Whether nothing is to be said any more: it may be forgotten.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.is_closed() && self.until.is_none_or(|until| until <= now)
    }

    /// Closes when everything that waits was sent and acknowledged.
    pub(super) fn close(
        &mut self,
        now: Instant,
        reason: CloseReason,
        rtt: Option<&Rtt>,
    ) -> Option<ConnectionEvent> {
        if self.is_asked_for() {
            return None;
        }
        match self.state {
            ConnectionState::SynSent | ConnectionState::SynReceived => {
                return self.abort(now, Closed::ByUs(reason), rtt);
            }
            ConnectionState::Established | ConnectionState::CloseWait => self.ours = Some(reason),
            _ => {}
        }
        None
    }

    /// Sends our FIN once nothing waits any more, if there is to be one.
    pub(super) fn close_if_drained(&mut self, now: Instant, carried: &Carried) {
        let asked = self.is_asked_for();
        if !(asked && self.state == ConnectionState::Established
            || self.state == ConnectionState::CloseWait)
        {
            return;
        }
        if !carried.is_drained() {
            self.until.get_or_insert(now + FLUSH_TIMEOUT);
            return;
        }
        if !asked && carried.has_unread() {
            // Nothing more comes, but what came is not forgotten before it is read.
            self.until = None;
            return;
        }
        if !self.advance(Transition::Close) {
            return;
        }
        // The other end has this long to say its last word; a FIN that is lost comes again.
        self.until = Some(now + FLUSH_TIMEOUT);
        self.latest = Some(now + LONGEST_HALF_CLOSE);
        self.due.fin = true;
    }

    /// Something that waited was acknowledged: whoever closes goes on waiting for the rest.
    pub(super) fn handle_progress(&mut self, now: Instant) {
        let drains =
            matches!(self.state, ConnectionState::Established | ConnectionState::CloseWait);
        if drains && let Some(until) = &mut self.until {
            *until = now + FLUSH_TIMEOUT;
        }
    }

    /// Something that was said arrived: whoever closed first goes on waiting for the rest of it.
    pub(super) fn handle_arrival(&mut self, now: Instant) {
        if self.state == ConnectionState::FinWait2
            && let Some(latest) = self.latest
        {
            self.until = Some(latest.min(now + FLUSH_TIMEOUT));
        }
    }

    /// Closes at once and tells the other end.
    pub(super) fn reset(
        &mut self,
        now: Instant,
        reason: CloseReason,
        rtt: Option<&Rtt>,
    ) -> Option<ConnectionEvent> {
        self.ours = Some(reason.clone());
        self.abort(now, Closed::ByUs(reason), rtt)
    }

    /// Over, at once. Who still says something is told by a RST, for a while.
    pub(super) fn abort(
        &mut self,
        now: Instant,
        why: Closed,
        rtt: Option<&Rtt>,
    ) -> Option<ConnectionEvent> {
        if !self.advance(Transition::Abort) {
            return None;
        }
        let mut linger = now;
        if let Some(rtt) = rtt {
            self.resets =
                matches!(why, Closed::ByUs(_) | Closed::Violation { .. } | Closed::CipherLimit);
            self.due.reset = self.resets;
            linger = now + rtt.three_pto();
        }
        match why {
            Closed::Violation { what, .. } => {
                self.ours = Some(CloseReason::Violation(what.into()));
            }
            Closed::CipherLimit => self.ours = Some(CloseReason::RecordBroken),
            _ => {}
        }
        self.until = Some(linger);
        self.tell_end(why)
    }

    /// The other end broke the rules inside its sealed packets.
    pub(super) fn handle_violation(
        &mut self,
        now: Instant,
        violation: Violation,
        rtt: Option<&Rtt>,
    ) -> Option<ConnectionEvent> {
        let Violation { what, misbehavior } = violation;
        self.abort(now, Closed::Violation { what, misbehavior }, rtt)
    }

    /// Their FIN.
    pub(super) fn handle_fin(
        &mut self,
        now: Instant,
        reason: CloseReason,
        rtt: Option<&Rtt>,
    ) -> Option<ConnectionEvent> {
        self.due.fin_ack = true;
        if self.state == ConnectionState::TimeWait {
            // Our answer was lost (RFC 9293, 3.10.7.4: the wait begins anew).
            return self.wait_for_repeats(now, rtt);
        }
        if !self.advance(Transition::Fin) {
            return None;
        }
        let event = match self.state {
            ConnectionState::TimeWait => self.wait_for_repeats(now, rtt),
            ConnectionState::CloseWait => Some(ConnectionEvent::Finished(reason.clone())),
            _ => None,
        };
        self.theirs = Some(reason);
        event
    }

    /// Our FIN was acknowledged.
    pub(super) fn handle_fin_ack(
        &mut self,
        now: Instant,
        rtt: Option<&Rtt>,
    ) -> Option<ConnectionEvent> {
        if !self.advance(Transition::FinAcknowledged) {
            return None;
        }
        match self.state {
            ConnectionState::TimeWait => self.wait_for_repeats(now, rtt),
            ConnectionState::Closed => {
                self.until = Some(now);
                self.tell_end(Closed::ByPeer(self.their_reason()))
            }
            _ => None,
        }
    }

    /// Our FIN was lost.
    pub(super) const fn handle_fin_loss(&mut self) {
        self.due.fin = true;
    }

    /// A packet opened although it is over: whoever still speaks is told again, no more often than
    /// it speaks.
    pub(super) fn handle_late_packet(&mut self, kind: PacketType) {
        self.due.reset |= kind != PacketType::Rst && self.resets;
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }

    /// The time to answer what still comes may be over.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        rtt: Option<&Rtt>,
    ) -> Option<ConnectionEvent> {
        if self.until.is_none_or(|until| until > now) {
            return None;
        }
        self.until = None;
        match self.state {
            ConnectionState::TimeWait => {
                self.advance(Transition::Waited);
                None
            }
            // The other end does not say its last word, but heard ours, and may be reading still.
            ConnectionState::FinWait2 => {
                let event = self.abort(now, Closed::ByUs(self.reason()), rtt);
                (self.resets, self.due.reset) = (false, false);
                event
            }
            ConnectionState::Closing | ConnectionState::FinWait1 => {
                self.abort(now, Closed::ByUs(self.reason()), rtt)
            }
            // Nothing of what waits was acknowledged for long.
            ConnectionState::Established | ConnectionState::CloseWait if self.is_asked_for() => {
                let event = self.abort(now, Closed::Silent, rtt);
                (self.resets, self.due.reset) = (true, true);
                event
            }
            ConnectionState::CloseWait | ConnectionState::LastAck => {
                self.abort(now, Closed::ByPeer(self.their_reason()), rtt)
            }
            ConnectionState::SynSent
            | ConnectionState::SynReceived
            | ConnectionState::Established
            | ConnectionState::Closed => None,
        }
    }

    /// Whether a RST is to go out now.
    pub(super) const fn poll_reset(&mut self) -> bool {
        core::mem::replace(&mut self.due.reset, false)
    }

    /// Whether the answer to their FIN is to go out now.
    pub(super) const fn poll_fin_ack(&mut self) -> bool {
        core::mem::replace(&mut self.due.fin_ack, false)
    }

    /// Whether our FIN is to go out now.
    pub(super) const fn poll_fin(&mut self) -> bool {
        core::mem::replace(&mut self.due.fin, false) && self.state.awaits_fin_acknowledgment()
    }

    /// Whether our FIN waits to be sent.
    pub(super) const fn is_fin_due(&self) -> bool {
        self.due.fin
    }

    /// Whether we were asked to close.
    const fn is_asked_for(&self) -> bool {
        self.ours.is_some()
    }

    /// Takes a step; whether it means anything in this state.
    const fn advance(&mut self, step: Transition) -> bool {
        let Some(state) = self.state.after(step) else { return false };
        self.state = state;
        true
    }

    fn wait_for_repeats(&mut self, now: Instant, rtt: Option<&Rtt>) -> Option<ConnectionEvent> {
        self.until = Some(now + rtt.map_or(FLUSH_TIMEOUT, Rtt::three_pto));
        self.tell_end(Closed::ByUs(self.reason()))
    }

    fn their_reason(&self) -> CloseReason {
        self.theirs.clone().unwrap_or(CloseReason::ShuttingDown)
    }

    /// The application hears of the end once.
    fn tell_end(&mut self, why: Closed) -> Option<ConnectionEvent> {
        (!core::mem::replace(&mut self.told, true)).then_some(ConnectionEvent::Closed(why))
    }
}

#[cfg(test)]
mod tests;

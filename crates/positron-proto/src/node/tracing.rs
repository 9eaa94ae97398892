//! What is told of messages, for those who ask where they went.

use super::{NodeCore, judging::Judging, pending_verification::Claim, room_name::RoomName};
use crate::{
    id::{MessageId, NodeId},
    identity::{Signed, Verdict},
    session::sessions::Flow,
    time::{Instant, Now},
    trace::{AskTraceError, PendingAsk, TraceEffect, TraceMessage, TraceOrder},
    wire::message::RoomMessage as _,
};

/// A node, while something is told of its messages.
pub(super) struct Tracing<'a>(pub(super) &'a mut NodeCore);

impl Tracing<'_> {
    pub(super) fn ask(&mut self, now: Now, message: MessageId) -> Result<(), AskTraceError> {
        self.0.traces.may_ask(now, &message)?;
        let order = TraceOrder { sender: *self.0.me.public_key(), message, at: now.wall };
        let order = self.0.me.sign(order, &self.0.network);
        let known = self.0.peers.known().count() + 1;
        self.0.traces.ask(now, &order, known, &mut self.0.queues.trace);
        Ok(())
    }

    pub(super) fn route(&mut self, now: Now, out: TraceEffect) {
        match out {
            TraceEffect::Send { to, message } => {
                // Not behind the streams of others.
                let flow = Flow { lane: message.lane(), of: Some(to) };
                let body = message.encode();
                self.0.traces.handle_sent(body.len());
                self.0.send(now, to, RoomName::Trace, flow, body, None);
            }
            TraceEffect::Verify(PendingAsk { from, hops, arrived, order }) => {
                self.0.verify(now, from, Claim::Trace { hops, arrived, order });
            }
            TraceEffect::Misbehaved { peer, what } => {
                Judging(self.0).observe_misbehavior(now, peer, what);
            }
        }
    }

    pub(super) fn handle_message(&mut self, now: Now, from: NodeId, message: TraceMessage) {
        let known = (self.0.sessions.least_rtt(&from), self.0.peers.known().count() + 1);
        self.0.traces.handle_message(now, from, message, known, &mut self.0.queues.trace);
    }

    pub(super) fn handle_verdict(
        &mut self,
        now: Now,
        (from, hops, arrived): (NodeId, u8, Instant),
        order: Signed<TraceOrder>,
        verdict: Verdict,
    ) {
        let out = &mut self.0.queues.trace;
        match order.accept(verdict) {
            Some(order) => self.0.traces.handle_verified(now, (from, hops, arrived), &order, out),
            None => self.0.traces.handle_refuted(from, out),
        }
    }
}

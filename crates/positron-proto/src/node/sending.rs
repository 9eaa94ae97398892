//! Messages on their way into sessions, and what is noted of them.

use super::{NodeCore, pushes::Push, room_name::RoomName};
use crate::{
    direct::DirectMessage,
    gossip::GossipMessage,
    id::{NodeId, Ticket},
    limits::SENT_REMEMBERED,
    session::sessions::Flow,
    time::Now,
    wire::message::{AppMessage, RoomMessage as _},
};

/// A node, while something is said of which it is noted how it goes.
pub(super) struct Speaking<'a>(pub(super) &'a mut NodeCore);

impl Speaking<'_> {
    /// Tells several nodes the same: the message is encoded once, and they share its bytes.
    pub(super) fn gossip(&mut self, now: Now, to: Vec<NodeId>, message: &GossipMessage) {
        let (lane, body) = (message.lane(), message.encode());
        let (of, large) = match message {
            GossipMessage::Gossip(_, claim) => {
                let AppMessage { sender, sequence, payload, .. } = claim.content();
                let sender = sender.node_id();
                let is_large = payload.len() >= SENT_REMEMBERED;
                (Some(sender), is_large.then_some((sender, *sequence)))
            }
            _ => (None, None),
        };
        for to in to {
            let ticket = large.map(|_| self.0.publisher.ticket());
            let flow = Flow { lane, of };
            if !self.0.send(now, to, RoomName::Gossip, flow, body.clone(), ticket) {
                self.0.gossip.handle_not_sent(to, message, &mut self.0.queues.gossip);
            } else if let (Some(ticket), Some((sender, sequence))) = (ticket, large) {
                self.0.pushes.add(ticket, Push { to, sender, sequence });
            }
        }
    }

    pub(super) fn direct(&mut self, now: Now, to: NodeId, message: &DirectMessage, ticket: Ticket) {
        let (lane, body) = (message.lane(), message.encode());
        let out = &mut self.0.queues.session;
        let sent = self.0.sessions.send(now, to, lane, body.into(), Some(ticket), out);
        self.0.counters.note_said(RoomName::Direct, sent.is_ok());
        if sent.is_err() {
            self.0.direct.handle_undelivered(now, ticket, &mut self.0.queues.direct);
        }
    }
}

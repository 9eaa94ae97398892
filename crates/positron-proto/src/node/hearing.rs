//! When what peers say is read, and whether.

use bytes::Bytes;

use super::{Message, NodeCore, held_links::HeldFor, judging::Judging, work_budget::Charged};
use crate::{
    id::NodeId, misbehavior::Misbehavior, session::sessions::DownReason, time::Now,
    wire::frame::CloseReason,
};

/// A node, while it hears others.
pub(super) struct Hearing<'a>(pub(super) &'a mut NodeCore);

impl Hearing<'_> {
    /// A linked peer said something: it is read now, or when its turn comes.
    pub(super) fn hear(&mut self, now: Now, from: NodeId, body: Bytes) {
        if self.0.unread.takes(&from, &body) {
            self.read(now, from, body);
        } else if self.0.unread.push(now.mono, from, body)
            && self.0.hold(now, from, HeldFor::Turn, None)
        {
            self.0.counters.links_held += 1;
        }
    }

    /// Reads what waits, until the turn is over; of whom had no turns, too, if that is past.
    pub(super) fn read_on(&mut self, now: Now) {
        let NodeCore { unread, sessions, held, .. } = &mut *self.0;
        unread.resume(|peer| sessions.link_of(peer).is_none_or(|link| !held.is_stuck(link)));
        while let Some((from, body)) = self.0.unread.pop() {
            if self.0.unread.is_short(&from)
                && let Some(link) = self.0.sessions.link_of(&from)
                && self.0.held.release(link, HeldFor::Turn)
            {
                self.0.read_on(now, vec![link]);
            }
            self.read(now, from, body);
            self.0.route_until_idle(now);
        }
    }

    /// A session is over. What was said before that was acknowledged, and is read; but not of one
    /// that was sent away.
    pub(super) fn peer_down(&mut self, now: Now, peer: NodeId, reason: &DownReason) {
        let unread = self.0.unread.take_line(&peer);
        if let DownReason::ByUs(CloseReason::Violation(_) | CloseReason::Banned) = reason {
            return;
        }
        unread.for_each(|body| self.read(now, peer, body));
    }

    /// Slows down a peer that was charged for what it said, or sends it away. Whether that is to be
    /// read.
    pub(super) fn hold_for_work(&mut self, now: Now, peer: NodeId, charged: Charged) -> bool {
        let until = match charged {
            Charged::Within => return true,
            Charged::Waits(until) | Charged::Dropped(until) => until,
            // Told once, however much of it waits to be read.
            Charged::Floods if self.0.sessions.link_of(&peer).is_none() => return false,
            Charged::Floods => {
                Judging(self.0).observe_misbehavior(now, peer, Misbehavior::Flooding);
                let reason = CloseReason::Violation("more work than a peer may make".into());
                self.0.sessions.close(now, peer, reason, &mut self.0.queues.session);
                return false;
            }
        };
        if self.0.hold(now, peer, HeldFor::Work, Some(until)) {
            self.0.counters.peers_over_budget += 1;
        }
        let is_dropped = matches!(charged, Charged::Dropped(_));
        self.0.counters.over_budget_dropped += u64::from(is_dropped);
        !is_dropped
    }

    /// Unless it makes too much work, or cannot be understood.
    fn read(&mut self, now: Now, from: NodeId, body: Bytes) {
        let charged = self.0.work.charge(now.mono, from, &body);
        if !self.hold_for_work(now, from, charged) {
            return;
        }
        let core = &mut *self.0;
        let message = match Message::decode(body, core.id()) {
            Ok(Some(message)) => message,
            Ok(None) => {
                core.counters.unknown_types += 1;
                return;
            }
            Err(malformed) => {
                core.counters.malformed += 1;
                Judging(core).observe_misbehavior(now, from, Misbehavior::Malformed);
                let reason = CloseReason::Violation(malformed.to_string());
                core.sessions.close(now, from, reason, &mut core.queues.session);
                return;
            }
        };
        core.counters.note_heard(message.room());
        core.route_message(now, from, message);
    }
}

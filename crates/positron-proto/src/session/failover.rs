//! Of two links between the same two nodes one stays, and a session moves to the preferred kind of
//! link that gets through, or away from one that does not `[PROTOCOL 5.2]`.

use std::collections::VecDeque;

use super::{
    attempt::Reason,
    contract::{DialRequest, Peer, Purpose, SessionEffect},
    link::SessionLink,
    session::Attachment,
    sessions::{SessionWake, Sessions},
    table::{LinkEntry, Stage},
};
use crate::{
    handshake::expect::{Direction, Expect},
    id::{LinkId, NodeId},
    limits::{BACK_FIRST, BACK_LONGEST},
    time::Now,
    wire::frame::CloseReason,
};

impl Sessions {
    /// Two links between the same two nodes: one stays, and both ends choose alike, for they know
    /// the same of both.
    pub(super) fn break_tie(
        &mut self,
        now: Now,
        new: Peer,
        old: LinkId,
        out: &mut VecDeque<SessionEffect>,
    ) {
        let links = [old, new.link].map(|id| self.links.get(&id).and_then(LinkEntry::link));
        let [Some(older), Some(newer)] = links else { return };
        if !self.supersedes(newer, older) {
            self.close_link(now, new.link, CloseReason::Duplicate);
            return;
        }
        let (since, from) = (older.since, older.kind);
        let was_good = now.mono.since(older.raised) >= BACK_LONGEST;
        if self.config.transports.before(from).is_empty()
            && was_good
            && let Some(talk) = self.sessions.get_mut(&new.id)
        {
            talk.back_after = BACK_FIRST;
        }
        self.bring_up(now, new.link);
        if let Some(LinkEntry { stage: Stage::Up(link), .. }) = self.links.get_mut(&new.link) {
            link.since = since;
        }
        self.close_link(now, old, CloseReason::Duplicate);
        self.cancel_attempts(now, new.id, |why| why == Reason::Failover, out);
    }

    /// Whether a link takes the place of another one to the same node.
    ///
    /// Of links from the same end the later one stays, as the dialler counts (their first PINGs may
    /// overtake each other), but one of a less preferred kind only instead of one that the dialler
    /// holds for dead. Of links from opposite ends, one whose dialler held an earlier link for dead
    /// stays, for that may be the other one; then the preferred kind; then that of the smaller id.
    fn supersedes(&self, new: &SessionLink, old: &SessionLink) -> bool {
        let rank = |link: &SessionLink| core::cmp::Reverse(link.kind);
        if new.peer.direction == old.peer.direction {
            let new_is_later = new.order > old.order;
            let (later, earlier) = if new_is_later { (new, old) } else { (old, new) };
            let later_stays = later.failover || rank(later) >= rank(earlier);
            return later_stays == new_is_later;
        }
        let me = self.me;
        let dialler_is_smaller = match new.peer.direction {
            Direction::Outbound => me < new.peer.id,
            Direction::Inbound => new.peer.id < me,
        };
        let new_rank = (new.failover, rank(new), dialler_is_smaller);
        new_rank > (old.failover, rank(old), !dialler_is_smaller)
    }

    /// Whether we hold every earlier link to `peer` for dead.
    pub(super) fn is_failover(&self, peer: &NodeId) -> bool {
        let Some(talk) = self.sessions.get(peer) else { return false };
        match talk.attachment {
            Attachment::Attached(link) => {
                let link = self.links.get(&link).and_then(LinkEntry::link);
                link.is_some_and(SessionLink::is_suspect)
            }
            Attachment::Handover(_) => false,
            Attachment::Detached(_) => talk.lost,
        }
    }

    /// A link of ours has fallen silent: one of a less preferred kind to the same address stands
    /// by.
    pub(super) fn failover(&mut self, now: Now, peer: Peer, out: &mut VecDeque<SessionEffect>) {
        let Some(entry) = self.links.get(&peer.link) else { return };
        let over = self.config.transports.after(entry.kind);
        if !self.is_attempting(peer.id, Reason::Failover) {
            self.counters.failovers += 1;
            self.race(now, again(peer), Reason::Failover, over, out);
        }
    }

    /// What a link of a session may have to be replaced by, now that it is up.
    pub(super) fn prepare_to_move(&mut self, now: Now, id: LinkId) {
        let transports = self.config.transports;
        let Some(LinkEntry { stage: Stage::Up(link), .. }) = self.links.get_mut(&id) else {
            return;
        };
        if link.peer.direction == Direction::Inbound {
            return;
        }
        link.replaceable = !transports.after(link.kind).is_empty();
        if !transports.before(link.kind).is_empty() {
            self.try_back_later(now, id);
        }
    }

    /// Tries a preferred kind again when its time comes: each time after twice as long.
    fn try_back_later(&mut self, now: Now, id: LinkId) {
        let Some(link) = self.links.get(&id).and_then(LinkEntry::link) else { return };
        let Some(talk) = self.sessions.get_mut(&link.peer.id) else { return };
        self.deadlines.set(SessionWake::Back(id), now.mono + talk.back_after);
        talk.back_after = BACK_LONGEST.min(2 * talk.back_after);
    }

    /// Tries the preferred kinds again for a session that runs over this link.
    pub(super) fn upgrade(&mut self, now: Now, id: LinkId, out: &mut VecDeque<SessionEffect>) {
        let Some(LinkEntry { stage: Stage::Up(link), .. }) = self.links.get(&id) else { return };
        let (peer, over) = (link.peer, self.config.transports.before(link.kind));
        self.try_back_later(now, id);
        if !self.is_attempting(peer.id, Reason::Upgrade) {
            self.counters.upgrades += 1;
            self.race(now, again(peer), Reason::Upgrade, over, out);
        }
    }
}

/// A dial to where a peer was reached.
const fn again(peer: Peer) -> DialRequest {
    DialRequest {
        to: peer.addr,
        expect: Expect::Node(peer.id),
        noise_static: Some(peer.noise_static),
        purpose: Purpose::Connect,
    }
}

//! Of two links between the same two nodes one stays, and a session moves to where datagrams get
//! through, or away from where they do not `[PROTOCOL 5.2]`.

use std::collections::VecDeque;

use super::{
    contract::{DialRequest, LinkKind, LinkKinds, Peer, Purpose, SessionEffect},
    happy_eyeballs::Reason,
    link::SessionLink,
    session::Attachment,
    sessions::{SessionWake, Sessions},
    table::{LinkEntry, Stage},
};
use crate::{
    handshake::expect::{Direction, Expect},
    id::{LinkId, NodeId},
    limits::BACK_LONGEST,
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
            self.close_link(now, new.link, CloseReason::Duplicate, out);
            return;
        }
        let (since, from) = (older.since, older.transport());
        let was_good = now.mono.since(older.raised) >= BACK_LONGEST;
        if from == LinkKind::Udp
            && was_good
            && let Some(talk) = self.sessions.get_mut(&new.id)
        {
            talk.back_after = crate::limits::BACK_FIRST;
        }
        self.bring_up(now, new.link);
        if let Some(LinkEntry { stage: Stage::Up(link), .. }) = self.links.get_mut(&new.link) {
            link.since = since;
        }
        self.close_link(now, old, CloseReason::Duplicate, out);
        self.cancel_attempts(now, new.id, |why| why == Reason::Failover, out);
    }

    /// Whether a link takes the place of another one to the same node.
    ///
    /// Of links from the same end the later one stays, as the dialler counts (their first PINGs may
    /// overtake each other), but a byte stream only instead of datagrams that the dialler holds for
    /// dead. Of links from opposite ends, one whose dialler held an earlier link for dead stays,
    /// for that may be the other one; then one over datagrams; then that of the smaller id.
    fn supersedes(&self, new: &SessionLink, old: &SessionLink) -> bool {
        let rank = |link: &SessionLink| link.transport() == LinkKind::Udp;
        if new.peer.direction == old.peer.direction {
            let new_is_later = new.order > old.order;
            let (later, earlier) = if new_is_later { (new, old) } else { (old, new) };
            let later_stays = later.failover || rank(later) >= rank(earlier);
            return later_stays == new_is_later;
        }
        let me = self.local.me.node_id();
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

    /// A datagram link of ours has fallen silent: a byte stream to the same address stands by.
    pub(super) fn failover(&mut self, now: Now, peer: Peer, out: &mut VecDeque<SessionEffect>) {
        if !self.is_attempting(peer.id, Reason::Failover) {
            self.counters.failovers += 1;
            self.race(now, again(peer), Reason::Failover, LinkKinds::Tcp, out);
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
        match link.transport() {
            LinkKind::Udp => link.replaceable = transports.has(LinkKind::Tcp),
            LinkKind::Tcp if transports.has(LinkKind::Udp) => self.try_back_later(now, id),
            LinkKind::Tcp => {}
        }
    }

    /// Tries datagrams again when their time comes: each time after twice as long.
    fn try_back_later(&mut self, now: Now, id: LinkId) {
        let Some(link) = self.links.get(&id).and_then(LinkEntry::link) else { return };
        let Some(talk) = self.sessions.get_mut(&link.peer.id) else { return };
        self.deadlines.set(SessionWake::Back(id), now.mono + talk.back_after);
        talk.back_after = BACK_LONGEST.min(2 * talk.back_after);
    }

    /// Tries datagrams again for a session that runs over this byte stream.
    pub(super) fn upgrade(&mut self, now: Now, id: LinkId, out: &mut VecDeque<SessionEffect>) {
        let Some(LinkEntry { stage: Stage::Up(link), .. }) = self.links.get(&id) else { return };
        let peer = link.peer;
        self.try_back_later(now, id);
        if !self.is_attempting(peer.id, Reason::Upgrade) {
            self.counters.upgrades += 1;
            self.race(now, again(peer), Reason::Upgrade, LinkKinds::Udp, out);
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

//! Of two links between the same two nodes one stays, and a session moves to where datagrams get
//! through, or away from where they do not `[PROTOCOL 5.2]`.

use std::collections::VecDeque;

use super::{
    contract::{Dial, Out, Peer, Purpose, Transport, Transports},
    conversation::Presence,
    link::Link,
    racing::Why,
    sessions::{Sessions, Wake},
    table::{Entry, Stage},
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
    pub(super) fn break_tie(&mut self, now: Now, new: Peer, old: LinkId, out: &mut VecDeque<Out>) {
        let links = [old, new.link].map(|id| self.links.get(&id).and_then(Entry::link));
        let [Some(older), Some(newer)] = links else { return };
        if !self.supersedes(newer, older) {
            self.close_link(now, new.link, CloseReason::Duplicate, out);
            return;
        }
        let (since, from) = (older.since, older.transport());
        let was_good = now.mono.since(older.raised) >= BACK_LONGEST;
        if from == Transport::Udp
            && was_good
            && let Some(talk) = self.conversations.get_mut(&new.id)
        {
            talk.back_after = crate::limits::BACK_FIRST;
        }
        self.raise(now, new.link);
        if let Some(Entry { stage: Stage::Up(link), .. }) = self.links.get_mut(&new.link) {
            link.since = since;
        }
        self.close_link(now, old, CloseReason::Duplicate, out);
        self.give_up_races(now, new.id, |why| why == Why::Instead, out);
    }

    /// Whether a link takes the place of another one to the same node.
    ///
    /// Of links from the same end the later one stays, as the dialler counts (their first PINGs may
    /// overtake each other), but a byte stream only instead of datagrams that the dialler holds for
    /// dead. Of links from opposite ends, one whose dialler held an earlier link for dead stays,
    /// for that may be the other one; then one over datagrams; then that of the smaller id.
    fn supersedes(&self, new: &Link, old: &Link) -> bool {
        let rank = |link: &Link| link.transport() == Transport::Udp;
        if new.peer.direction == old.peer.direction {
            let new_is_later = new.order > old.order;
            let (later, earlier) = if new_is_later { (new, old) } else { (old, new) };
            let later_stays = later.instead || rank(later) >= rank(earlier);
            return later_stays == new_is_later;
        }
        let me = self.local.me.node_id();
        let dialler_is_smaller = match new.peer.direction {
            Direction::Outbound => me < new.peer.id,
            Direction::Inbound => new.peer.id < me,
        };
        let new_rank = (new.instead, rank(new), dialler_is_smaller);
        new_rank > (old.instead, rank(old), !dialler_is_smaller)
    }

    /// Whether we hold every earlier link to `peer` for dead.
    pub(super) fn holds_for_dead(&self, peer: &NodeId) -> bool {
        let Some(talk) = self.conversations.get(peer) else { return false };
        match talk.presence {
            Presence::Up(link) => {
                let link = self.links.get(&link).and_then(Entry::link);
                link.is_some_and(Link::is_doubted)
            }
            Presence::Between(_) => false,
            Presence::Dormant(_) => talk.lost,
        }
    }

    /// A datagram link of ours has fallen silent: a byte stream to the same address stands by.
    pub(super) fn dial_instead(&mut self, now: Now, peer: Peer, out: &mut VecDeque<Out>) {
        if !self.is_racing(peer.id, Why::Instead) {
            self.counters.dials_instead += 1;
            self.race(now, again(peer), Why::Instead, Transports::Tcp, out);
        }
    }

    /// What a link of a session may have to be replaced by, now that it is up.
    pub(super) fn prepare_to_move(&mut self, now: Now, id: LinkId) {
        let transports = self.config.transports;
        let Some(Entry { stage: Stage::Up(link), .. }) = self.links.get_mut(&id) else { return };
        if link.peer.direction == Direction::Inbound {
            return;
        }
        match link.transport() {
            Transport::Udp => link.replaceable = transports.has(Transport::Tcp),
            Transport::Tcp if transports.has(Transport::Udp) => self.try_back_later(now, id),
            Transport::Tcp => {}
        }
    }

    /// Tries datagrams again when their time comes: each time after twice as long.
    fn try_back_later(&mut self, now: Now, id: LinkId) {
        let Some(link) = self.links.get(&id).and_then(Entry::link) else { return };
        let Some(talk) = self.conversations.get_mut(&link.peer.id) else { return };
        self.deadlines.set(Wake::Back(id), now.mono + talk.back_after);
        talk.back_after = BACK_LONGEST.min(2 * talk.back_after);
    }

    /// Tries datagrams again for a session that runs over this byte stream.
    pub(super) fn dial_back(&mut self, now: Now, id: LinkId, out: &mut VecDeque<Out>) {
        let Some(Entry { stage: Stage::Up(link), .. }) = self.links.get(&id) else { return };
        let peer = link.peer;
        self.try_back_later(now, id);
        if !self.is_racing(peer.id, Why::Back) {
            self.counters.dials_back += 1;
            self.race(now, again(peer), Why::Back, Transports::Udp, out);
        }
    }
}

/// A dial to where a peer was reached.
const fn again(peer: Peer) -> Dial {
    Dial {
        to: peer.addr,
        expect: Expect::Node(peer.id),
        noise_static: Some(peer.noise_static),
        purpose: Purpose::Connect,
    }
}

//! The conversations of a node: those that go on over a link, and those that wait for one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    contract::{DownReason, EndedSession, Flow, LinkKind, NotSent, Peer, SessionEffect},
    conversation::Conversation,
    processes::Process,
    upgrade_backoff::UpgradeBackoff,
};
use crate::{
    id::{LinkId, NodeId, Ticket},
    limits::{CONVERSATION_GRACE, MAX_DORMANT_BYTES, MAX_DORMANT_CONVERSATIONS},
    metric::Level,
    time::{Duration, Instant},
    wire::{body::Body, frame::CloseReason},
};

/// What was said and heard, for each peer, and the link by which it goes on.
///
/// A peer has a *session* from [`attach`](Self::attach), which gives its conversation a link, until
/// [`end_session`](Self::end_session); [`hand_over`](Self::hand_over) keeps the session between two
/// links. A conversation whose session is over is *dormant*: the next link goes on with it, unless
/// it is forgotten before, when [`poll_timeout`](Self::poll_timeout) says or because there are too
/// many.
///
/// It knows links by their names only, and ends none.
///
/// Bounded by how many sessions its caller begins, and in those that are dormant by
/// [`MAX_DORMANT_CONVERSATIONS`] and [`MAX_DORMANT_BYTES`], where the oldest is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    /// In boxes: the tree has room for eleven in each of its nodes, and few of them are full.
    by_peer: BTreeMap<NodeId, Box<Entry>>,
    /// Those without a link, by when they are forgotten.
    dormant: BTreeSet<(Instant, NodeId)>,
    /// How many memories of conversations were named.
    epochs: u64,
}

#[derive(Debug)]
struct Entry {
    conversation: Conversation,
    /// Who is at the other end, by the last link.
    peer: Peer,
    /// What that link is made of.
    kind: LinkKind,
    /// Since when there is a session, or when the last one began.
    since: Instant,
    attachment: Attachment,
    upgrade: UpgradeBackoff,
}

/// By which link a conversation goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attachment {
    /// This one.
    Attached(LinkId),
    /// The peer closed one as a duplicate, or fell silent on it, and another is about to come up.
    /// If it does not, the session ends for this reason.
    Handover(DownReason),
    /// None: forgotten at this time.
    Detached(Instant),
}

/// What becomes of a conversation whose session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retention {
    /// It waits for another link.
    Keep,
    /// It is over, and what waits will not be delivered.
    Drop,
}

/// How a conversation goes on over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resumed {
    /// The name of our memory of it, for the first PING.
    pub(super) epoch: u64,
    /// Whether its link before was of another kind.
    pub(super) moved: bool,
}

impl Conversations {
    /// Goes on with this process of `peer` over its link, which is made of `kind`, or begins.
    pub(super) fn attach(&mut self, now: Instant, peer: Peer, kind: LinkKind) -> Resumed {
        let entry = self.by_peer.entry(peer.id).or_insert_with(|| {
            Box::new(Entry {
                conversation: Conversation::new(peer.boot, now),
                peer,
                kind,
                since: now,
                attachment: Attachment::Attached(peer.link),
                upgrade: UpgradeBackoff::default(),
            })
        });
        if let Attachment::Detached(until) = entry.attachment {
            self.dormant.remove(&(until, peer.id));
            entry.since = now;
        }
        entry.attachment = Attachment::Attached(peer.link);
        let moved = entry.upgrade.handle_link(kind);
        (entry.peer, entry.kind) = (peer, kind);
        let epoch = entry.conversation.resume(now, peer.boot, &mut self.epochs);
        Resumed { epoch, moved }
    }

    /// The link of a session is closed, and another is about to come up.
    pub(super) fn hand_over(&mut self, peer: &NodeId, otherwise: DownReason) {
        if let Some(entry) = self.by_peer.get_mut(peer) {
            entry.attachment = Attachment::Handover(otherwise);
        }
    }

    /// The session with `peer` is over; false if there was none.
    pub(super) fn end_session(
        &mut self,
        now: Instant,
        peer: NodeId,
        reason: DownReason,
        memory: Retention,
        out: &mut VecDeque<SessionEffect>,
    ) -> bool {
        let Some(entry) = self.by_peer.get_mut(&peer) else { return false };
        if let Attachment::Detached(_) = entry.attachment {
            return false;
        }
        let lost = matches!(
            reason,
            DownReason::Link(_)
                | DownReason::ByUs(CloseReason::Timeout | CloseReason::OtherProcess(_))
        );
        entry.upgrade.handle_session_down(lost);
        let until = now + CONVERSATION_GRACE;
        entry.attachment = Attachment::Detached(until);
        self.dormant.insert((until, peer));
        let session = EndedSession {
            peer: entry.peer,
            transport: entry.kind,
            lasted: now.since(entry.since),
        };
        out.push_back(SessionEffect::Down { peer, reason, session });
        if memory == Retention::Drop {
            self.forget(peer, out);
        }
        self.forget_beyond_limits(out);
        true
    }

    /// How many have no link, and what waits in them.
    pub(super) fn dormant(&self) -> (Level, Level) {
        let bytes = self.dormant.iter().map(|(_, peer)| self.queued_bytes(peer)).sum();
        (
            Level::new(self.dormant.len(), MAX_DORMANT_CONVERSATIONS),
            Level::new(bytes, MAX_DORMANT_BYTES),
        )
    }

    /// Forgets everything about `peer`; what waits for it will not be delivered.
    pub(super) fn forget(&mut self, peer: NodeId, out: &mut VecDeque<SessionEffect>) {
        let Some(entry) = self.by_peer.remove(&peer) else { return };
        if let Attachment::Detached(until) = entry.attachment {
            self.dormant.remove(&(until, peer));
        }
        let tickets = entry.conversation.into_tickets();
        out.extend(tickets.map(|ticket| SessionEffect::Undelivered { ticket }));
    }

    /// Forgets the oldest dormant conversations while there are too many, or too much waits in
    /// them.
    fn forget_beyond_limits(&mut self, out: &mut VecDeque<SessionEffect>) {
        let mut bytes: usize = self.dormant.iter().map(|(_, peer)| self.queued_bytes(peer)).sum();
        while self.dormant.len() > MAX_DORMANT_CONVERSATIONS || bytes > MAX_DORMANT_BYTES {
            let Some(&(_, oldest)) = self.dormant.first() else { return };
            bytes -= self.queued_bytes(&oldest);
            self.forget(oldest, out);
        }
    }

    /// Forgets the dormant conversations whose time has come.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut VecDeque<SessionEffect>) {
        while let Some(&(until, peer)) = self.dormant.first()
            && until <= now
        {
            self.forget(peer, out);
        }
    }

    /// When the oldest dormant conversation is to be forgotten.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.dormant.first().map(|(until, _)| *until)
    }

    /// Queues a message for a peer with a session. Its link, if it has one now.
    pub(super) fn push(
        &mut self,
        now: Instant,
        peer: &NodeId,
        flow: Flow,
        body: Body,
        ticket: Option<Ticket>,
    ) -> Result<Option<LinkId>, NotSent> {
        let Entry { conversation, attachment, .. } =
            &mut **self.by_peer.get_mut(peer).ok_or(NotSent::NotConnected)?;
        if let Attachment::Detached(_) = attachment {
            return Err(NotSent::NotConnected);
        }
        conversation.push(now, flow, body, ticket)?;
        Ok(match attachment {
            Attachment::Attached(link) => Some(*link),
            Attachment::Handover(_) | Attachment::Detached(_) => None,
        })
    }

    /// If there are links, and each has more than half of what may be queued for its peer: until
    /// when one of the peers is waited for.
    pub(super) fn clogged_until(&self, now: Instant) -> Option<Instant> {
        let mut until = None;
        for entry in self.by_peer.values() {
            if matches!(entry.attachment, Attachment::Detached(_)) {
                continue;
            }
            if !entry.conversation.is_half_full() {
                return None;
            }
            until = until.max(entry.conversation.waited_for_until());
        }
        until.filter(|until| now < *until)
    }

    /// Bytes that the bulk lane to `peer` takes now; none without a session.
    pub(super) fn bulk_room(&self, peer: &NodeId) -> usize {
        match self.by_peer.get(peer) {
            Some(entry) if !matches!(entry.attachment, Attachment::Detached(_)) => {
                entry.conversation.bulk_room()
            }
            _ => 0,
        }
    }

    /// What is said with `peer`, if anything is remembered of it.
    pub(super) fn get_mut(&mut self, peer: &NodeId) -> Option<&mut Conversation> {
        self.by_peer.get_mut(peer).map(|entry| &mut entry.conversation)
    }

    /// The same, to look at.
    pub(super) fn get(&self, peer: &NodeId) -> Option<&Conversation> {
        self.by_peer.get(peer).map(|entry| &entry.conversation)
    }

    /// The process of `peer` that was talked to last.
    pub(super) fn process(&self, peer: &NodeId) -> Option<Process> {
        let process = |peer: &Peer| Process { boot: peer.boot, addr: peer.addr };
        self.by_peer.get(peer).map(|entry| process(&entry.peer))
    }

    /// By which link the conversation with `peer` goes on.
    pub(super) fn attachment(&self, peer: &NodeId) -> Option<&Attachment> {
        self.by_peer.get(peer).map(|entry| &entry.attachment)
    }

    /// Whether `peer` was held for dead when its session ended.
    pub(super) fn is_lost(&self, peer: &NodeId) -> bool {
        self.by_peer.get(peer).is_some_and(|entry| entry.upgrade.is_lost())
    }

    /// How long the next attempt to reach `peer` by a preferred kind of link waits.
    pub(super) fn next_upgrade(&mut self, peer: &NodeId) -> Option<Duration> {
        self.by_peer.get_mut(peer).map(|entry| entry.upgrade.next_attempt())
    }

    /// The link to `peer` of the most preferred kind lasted.
    pub(super) fn handle_good_link(&mut self, peer: &NodeId) {
        if let Some(entry) = self.by_peer.get_mut(peer) {
            entry.upgrade.handle_good_link();
        }
    }

    /// Whether there is a session with `peer`.
    pub(super) fn is_up(&self, peer: &NodeId) -> bool {
        self.attachment(peer).is_some_and(|it| !matches!(it, Attachment::Detached(_)))
    }

    /// How many sessions there are.
    pub(super) fn sessions(&self) -> usize {
        self.by_peer.len() - self.dormant.len()
    }

    /// The peers of which anything is remembered, in order.
    pub(super) fn peers(&self) -> impl Iterator<Item = NodeId> {
        self.by_peer.keys().copied()
    }

    /// The sessions that have a link, in order of their peers: the link, and the bytes that wait.
    pub(super) fn attached(&self) -> impl Iterator<Item = (LinkId, usize)> {
        self.by_peer.values().filter_map(|entry| match entry.attachment {
            Attachment::Attached(link) => Some((link, entry.conversation.queued_bytes())),
            Attachment::Handover(_) | Attachment::Detached(_) => None,
        })
    }

    /// Bytes that wait for `peer`.
    pub(super) fn queued_bytes(&self, peer: &NodeId) -> usize {
        self.by_peer.get(peer).map_or(0, |entry| entry.conversation.queued_bytes())
    }
}

//! The machine: sending until acknowledged or out of time, and receiving once.

use std::collections::{BTreeSet, VecDeque};

use super::{
    DirectCounters, DirectEffect, DirectMessage, QueueFull, Undelivered,
    inbox::{Inbox, SenderProcess},
    outbox::Outbox,
};
use crate::{
    deadlines::Deadlines,
    id::{NodeId, Ticket},
    identity::Verified,
    limits::{DIRECT_RECONNECT, DIRECT_RETRY, DIRECT_TIMEOUT, MAX_DIRECT_SENDERS},
    lru::LruMap,
    misbehavior::Misbehavior,
    time::{Instant, Now},
    wire::message::{AppMessage, Audience},
};

/// Messages under way to and from single nodes.
///
/// Every message that [`send`](Self::send) took ends with exactly one [`DirectEffect::Completed`],
/// within [`DIRECT_TIMEOUT`]. Answer each [`DirectEffect::Send`] with
/// [`handle_delivered`](Self::handle_delivered) or
/// [`handle_undelivered`](Self::handle_undelivered), each [`DirectEffect::Verify`] with
/// [`handle_verified`](Self::handle_verified) or [`handle_refuted`](Self::handle_refuted); say
/// [`peer_up`](Self::peer_up) and [`peer_down`](Self::peer_down) of every peer.
///
/// What is received is handed to the application once, in the order of the verdicts. A message that
/// its sender was told is undelivered may have arrived all the same.
#[derive(Debug)]
pub struct Direct {
    up: BTreeSet<NodeId>,
    outbox: Outbox,
    inbox: Inbox,
    /// Which start of its process a peer had when it was up last.
    boots: LruMap<NodeId, u64>,
    deadlines: Deadlines<DirectWake>,
    counters: DirectCounters,
}

/// Why direct messages wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum DirectWake {
    /// A message is out of time.
    Expire(Ticket),
    /// The session of a peer that is up may take messages again.
    Retry(NodeId),
    /// A link that is waited for did not come up.
    Reconnect(NodeId),
}

impl Default for Direct {
    /// No messages.
    fn default() -> Self {
        Self {
            up: BTreeSet::new(),
            outbox: Outbox::default(),
            inbox: Inbox::default(),
            boots: LruMap::new(MAX_DIRECT_SENDERS),
            deadlines: Deadlines::new(),
            counters: DirectCounters::default(),
        }
    }
}

impl Direct {
    /// Sends our own message to its audience; `up` says whether a session is there now.
    pub fn send(
        &mut self,
        now: Now,
        to: NodeId,
        message: Verified<AppMessage>,
        ticket: Ticket,
        up: bool,
        out: &mut VecDeque<DirectEffect>,
    ) -> Result<(), QueueFull> {
        let bytes = message.content().payload.len();
        let message = DirectMessage::CustomData(message.claim().clone());
        let first = !self.outbox.has_any(&to);
        self.outbox.add(ticket, to, message, bytes)?;
        self.deadlines.set(DirectWake::Expire(ticket), now.mono + DIRECT_TIMEOUT);
        if up {
            self.up.insert(to);
            // While others wait for a retry, this one waits behind them.
            if self.deadlines.get(DirectWake::Retry(to)).is_none() {
                self.send_waiting(now, to, out);
            }
        } else {
            self.up.remove(&to);
            if first || self.deadlines.get(DirectWake::Reconnect(to)).is_none() {
                self.connect(now, to, out);
            }
        }
        Ok(())
    }

    /// A [`DirectMessage`] came in. Its signer must be `from`; that we are its audience is part
    /// of what is signed.
    pub fn handle_message(
        &mut self,
        _now: Now,
        from: NodeId,
        message: DirectMessage,
        out: &mut VecDeque<DirectEffect>,
    ) {
        let DirectMessage::CustomData(claim) = message;
        let content = claim.content();
        let to_one = matches!(content.audience, Audience::Node(_));
        if !to_one || content.sender.node_id() != from {
            out.push_back(DirectEffect::Misbehaved {
                peer: from,
                what: Misbehavior::ProtocolViolation,
            });
        } else if self.inbox.has(&self.process(from), content.sequence) {
            self.counters.duplicates += 1;
        } else {
            out.push_back(DirectEffect::Verify { from, claim });
        }
    }

    /// The claim of [`DirectEffect::Verify`] proved true.
    pub fn handle_verified(
        &mut self,
        _now: Now,
        from: NodeId,
        message: Verified<AppMessage>,
        out: &mut VecDeque<DirectEffect>,
    ) {
        if self.inbox.insert(self.process(from), message.content().sequence) {
            self.counters.received += 1;
            out.push_back(DirectEffect::Deliver(message));
        } else {
            self.counters.duplicates += 1;
        }
    }

    /// The claim of [`DirectEffect::Verify`] proved false: the peer did not sign it, or not for us.
    pub fn handle_refuted(&mut self, _now: Now, from: NodeId, out: &mut VecDeque<DirectEffect>) {
        out.push_back(DirectEffect::Misbehaved { peer: from, what: Misbehavior::ForgedSignature });
    }

    /// The peer acknowledged it.
    pub fn handle_delivered(
        &mut self,
        _now: Now,
        ticket: Ticket,
        out: &mut VecDeque<DirectEffect>,
    ) {
        if let Some(ended) = self.outbox.end(ticket) {
            self.deadlines.clear(DirectWake::Expire(ticket));
            self.counters.delivered += 1;
            out.push_back(DirectEffect::Completed { ticket, outcome: Ok(()) });
            self.tidy(ended.to);
        }
    }

    /// The session could not deliver it (queue full, conversation ended): tried again until its
    /// deadline.
    pub fn handle_undelivered(
        &mut self,
        now: Now,
        ticket: Ticket,
        out: &mut VecDeque<DirectEffect>,
    ) {
        let Some(to) = self.outbox.put_back(ticket) else { return };
        if self.up.contains(&to) {
            self.deadlines.set_earliest(DirectWake::Retry(to), now.mono + DIRECT_RETRY);
        } else if self.deadlines.get(DirectWake::Reconnect(to)).is_none() {
            self.connect(now, to, out);
        }
    }

    /// A session with the process of `peer` that `boot` names is up: what waits for it is sent.
    pub fn peer_up(&mut self, now: Now, peer: NodeId, boot: u64, out: &mut VecDeque<DirectEffect>) {
        self.up.insert(peer);
        self.boots.insert(peer, boot);
        self.deadlines.clear(DirectWake::Reconnect(peer));
        self.deadlines.clear(DirectWake::Retry(peer));
        self.send_waiting(now, peer, out);
    }

    /// A session is down. What it had taken may still be acknowledged on the next link; what it
    /// gives up comes back by [`handle_undelivered`](Self::handle_undelivered).
    pub fn peer_down(&mut self, now: Now, peer: NodeId, out: &mut VecDeque<DirectEffect>) {
        self.up.remove(&peer);
        self.deadlines.clear(DirectWake::Retry(peer));
        if self.outbox.has_any(&peer) {
            self.connect(now, peer, out);
        }
    }

    /// The node stops: everything that is pending is given up.
    pub fn give_up_all(&mut self, out: &mut VecDeque<DirectEffect>) {
        for ticket in self.outbox.tickets() {
            self.deadlines.clear(DirectWake::Expire(ticket));
            self.expire(ticket, out);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<DirectEffect>) {
        while let Some(wake) = self.deadlines.pop_due(now.mono) {
            match wake {
                DirectWake::Expire(ticket) => self.expire(ticket, out),
                DirectWake::Retry(peer) => self.send_waiting(now, peer, out),
                DirectWake::Reconnect(peer) => self.connect(now, peer, out),
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// What happened so far.
    pub fn counters(&self) -> DirectCounters {
        self.counters
    }

    fn process(&self, peer: NodeId) -> SenderProcess {
        (peer, self.boots.get(&peer).copied().unwrap_or_default())
    }

    fn send_waiting(&mut self, now: Now, to: NodeId, out: &mut VecDeque<DirectEffect>) {
        while let Some((ticket, message)) = self.outbox.take_next(&to) {
            out.push_back(DirectEffect::Send { to, message, ticket });
        }
        if self.outbox.has_waiting(&to) {
            self.deadlines.set(DirectWake::Retry(to), now.mono + DIRECT_RETRY);
        }
    }

    fn connect(&mut self, now: Now, to: NodeId, out: &mut VecDeque<DirectEffect>) {
        self.deadlines.set(DirectWake::Reconnect(to), now.mono + DIRECT_RECONNECT);
        out.push_back(DirectEffect::Connect(to));
    }

    fn expire(&mut self, ticket: Ticket, out: &mut VecDeque<DirectEffect>) {
        let Some(ended) = self.outbox.end(ticket) else { return };
        let linked = ended.tried || self.up.contains(&ended.to);
        let why = if linked { Undelivered::NotAcknowledged } else { Undelivered::NoLink };
        self.counters.undelivered += 1;
        out.push_back(DirectEffect::Completed { ticket, outcome: Err(why) });
        self.tidy(ended.to);
    }

    /// Wakes for a peer only while something is pending for it.
    fn tidy(&mut self, peer: NodeId) {
        if !self.outbox.has_any(&peer) {
            self.deadlines.clear(DirectWake::Reconnect(peer));
            self.deadlines.clear(DirectWake::Retry(peer));
        }
    }
}

//! The wiring diagram: who hears whom. One exhaustive match a room; each arm says who hears it.

use super::{Change, CheckId, Effect, Event, NodeCore, Outcome, SequenceKind, parked::Claim};
use crate::{
    direct, gossip,
    id::{NodeId, Ticket},
    identity::{Signed, Verdict, Verified},
    misbehavior::{Misbehavior, Observation},
    peers,
    session::sessions::{self, DialOutcome, Peer},
    time::Now,
    trust,
    wire::{
        frame::CloseReason,
        message::{AppMessage, Message},
    },
};

impl NodeCore {
    /// Lets the sessions seal what was said, and carries on until all rooms are silent.
    pub(super) fn conclude(&mut self, now: Now) {
        self.settle(now);
        self.sessions.flush(now, &mut self.outs.session);
        self.settle(now);
    }

    /// Carries what the rooms say to whom it concerns, until all of them are silent.
    pub(super) fn settle(&mut self, now: Now) {
        loop {
            if let Some(out) = self.outs.session.pop_front() {
                self.route_session(now, out);
            } else if let Some(out) = self.outs.peers.pop_front() {
                self.route_peers(now, out);
            } else if let Some(out) = self.outs.gossip.pop_front() {
                self.route_gossip(now, out);
            } else if let Some(out) = self.outs.direct.pop_front() {
                self.route_direct(now, out);
            } else if let Some(out) = self.outs.trust.pop_front() {
                self.route_trust(now, out);
            } else {
                break;
            }
        }
    }

    fn route_session(&mut self, now: Now, out: sessions::Out) {
        match out {
            sessions::Out::Dial { link, to } => self.effects.push_back(Effect::Dial { link, to }),
            sessions::Out::Write { link, bytes } => {
                self.effects.push_back(Effect::Write { link, bytes });
            }
            sessions::Out::Hangup { link, how } => {
                self.effects.push_back(Effect::Hangup { link, how });
            }
            sessions::Out::Knock(peer) => {
                let standings = self.trust.standings();
                self.peers.knock(now, peer, standings, &mut self.outs.peers);
            }
            sessions::Out::Up(peer) => self.peer_up(now, peer),
            sessions::Out::Down { peer, reason } => {
                self.peers.peer_down(now, peer, &reason, &mut self.outs.peers);
                self.gossip.peer_down(now, peer, &mut self.outs.gossip);
                self.direct.peer_down(now, peer, &mut self.outs.direct);
                self.emit(Event::PeerLeft { peer, reason });
            }
            sessions::Out::DialEnded { dial, outcome } => {
                if let DialOutcome::Failed(reason) = &outcome {
                    self.emit(Event::DialFailed { dial, reason: reason.clone() });
                }
                self.peers.dial_ended(now, dial, outcome, &mut self.outs.peers);
            }
            sessions::Out::Message { peer, body } => self.message(now, peer, body),
            sessions::Out::Parting { peer, body } => self.parting(now, peer, body),
            sessions::Out::Delivered { ticket } => {
                self.direct.delivered(now, ticket, &mut self.outs.direct);
            }
            sessions::Out::Undelivered { ticket } => {
                self.direct.undelivered(now, ticket, &mut self.outs.direct);
            }
            sessions::Out::Misbehaved { peer, what } => self.misbehaved(now, peer, what),
        }
    }

    fn route_peers(&mut self, now: Now, out: peers::Out) {
        match out {
            peers::Out::Dial(dial) => self.sessions.dial(now, dial, &mut self.outs.session),
            peers::Out::Resolve(name) => self.effects.push_back(Effect::Resolve { name }),
            peers::Out::Admit(peer) => {
                self.sessions.admit(now, peer.link, &mut self.outs.session);
            }
            peers::Out::Refuse { peer, reason, parting } => {
                let parting = parting.map(|message| message.encode());
                self.sessions.refuse(now, peer.link, reason, parting, &mut self.outs.session);
            }
            peers::Out::Disconnect { peer, reason } => {
                self.sessions.close(now, peer, reason, &mut self.outs.session);
            }
            peers::Out::Send { to, message } => self.send(now, to, &message),
            peers::Out::Verify { from, record } => self.check(now, from, Claim::Record(record)),
            peers::Out::Remember(peer) => {
                self.persist(Change::KeepPeer(peer));
            }
            peers::Out::Forget(peer) => {
                self.persist(Change::ForgetPeer(peer));
            }
            peers::Out::Observed { peer, what } => {
                self.trust.observe(now, peer, what, &mut self.outs.trust);
            }
            peers::Out::OwnAddresses(addresses) => self.emit(Event::OwnAddresses(addresses)),
        }
    }

    fn route_gossip(&mut self, now: Now, out: gossip::Out) {
        match out {
            gossip::Out::Send { to, message } => self.send(now, to, &message),
            gossip::Out::Verify { from, ttl, claim } => {
                self.check(now, from, Claim::Gossip(ttl, claim));
            }
            gossip::Out::Deliver { message, from } => {
                self.deliver(&message, SequenceKind::Broadcast, from);
            }
            gossip::Out::Keep(message) => self.keep(message),
            gossip::Out::Forget { sender, sequence } => {
                self.persist(Change::ForgetMessage { sender, sequence });
            }
            gossip::Out::Floor { sender, floor } => {
                self.persist(Change::Floor { sender, floor });
            }
            gossip::Out::ForgetFloor(sender) => {
                self.persist(Change::ForgetFloor(sender));
            }
            gossip::Out::Observed { peer, what } => {
                self.trust.observe(now, peer, what, &mut self.outs.trust);
            }
        }
    }

    fn route_direct(&mut self, now: Now, out: direct::Out) {
        match out {
            direct::Out::Send { to, message, ticket } => {
                self.send_with_ticket(now, to, &message, ticket);
            }
            direct::Out::Connect(peer) => self.peers.connect(now, peer, &mut self.outs.peers),
            direct::Out::Verify { from, claim } => self.check(now, from, Claim::Direct(claim)),
            direct::Out::Deliver(message) => {
                let from = message.content().sender.node_id();
                self.deliver(&message, SequenceKind::Direct, from);
            }
            direct::Out::Completed { ticket, outcome } => {
                let Some(id) = self.outgoing.direct_over(ticket) else { return };
                let outcome = match outcome {
                    Ok(()) => Outcome::Delivered(id),
                    Err(why) => Outcome::Undelivered(why),
                };
                self.emit(Event::Completed { ticket, outcome });
            }
            direct::Out::Misbehaved { peer, what } => self.misbehaved(now, peer, what),
        }
    }

    fn route_trust(&mut self, now: Now, out: trust::Out) {
        match out {
            trust::Out::Remember { peer, standing, at } => {
                self.persist(Change::KeepStanding { peer, standing, at });
            }
            trust::Out::Forget(peer) => {
                self.persist(Change::ForgetStanding(peer));
            }
            trust::Out::Record(event) => {
                self.persist(Change::Audit(event));
            }
            trust::Out::Ban { peer, until, why } => {
                self.peers.banned(now, peer, &mut self.outs.peers);
                self.emit(Event::PeerBanned { peer, why, until });
            }
        }
    }

    fn peer_up(&mut self, now: Now, peer: Peer) {
        self.emit(Event::PeerJoined { peer: peer.id, addr: peer.addr, direction: peer.direction });
        let standings = self.trust.standings();
        self.peers.peer_up(now, peer, standings, &mut self.outs.peers);
        self.gossip.peer_up(now, peer.id, &mut self.outs.gossip);
        self.direct.peer_up(now, peer.id, &mut self.outs.direct);
    }

    /// A linked peer said something: to the room that it concerns.
    fn message(&mut self, now: Now, from: NodeId, body: bytes::Bytes) {
        let message = match Message::decode(body, self.id()) {
            Ok(Some(message)) => message,
            Ok(None) => {
                self.counters.unknown_types += 1;
                return;
            }
            Err(malformed) => {
                self.counters.malformed += 1;
                self.misbehaved(now, from, Misbehavior::Malformed);
                let reason = CloseReason::Violation(malformed.to_string());
                self.sessions.close(now, from, reason, &mut self.outs.session);
                return;
            }
        };
        match message {
            Message::Hello { answer, record, observed, peers } => {
                let hello = peers::Incoming::Hello { answer, record, observed, peers };
                self.tell_peers(now, from, hello);
            }
            Message::Heartbeat { active_peers } => {
                self.tell_peers(now, from, peers::Incoming::Heartbeat(active_peers));
            }
            Message::PeerDiscovery { count } => {
                self.tell_peers(now, from, peers::Incoming::Discovery(count));
            }
            Message::PeerAnnouncement { peers } => {
                self.tell_peers(now, from, peers::Incoming::Announcement(peers));
            }
            Message::Gossip { ttl, message } => {
                self.tell_gossip(now, from, gossip::Incoming::Push(ttl, message));
            }
            Message::GossipHave(holdings) => {
                self.tell_gossip(now, from, gossip::Incoming::Have(holdings));
            }
            Message::GossipWant(holdings) => {
                self.tell_gossip(now, from, gossip::Incoming::Want(holdings));
            }
            Message::GossipSync { count, fingerprint } => {
                self.tell_gossip(now, from, gossip::Incoming::Sync { count, fingerprint });
            }
            Message::Direct { message } => {
                self.direct.handle_message(now, from, message, &mut self.outs.direct);
            }
        }
    }

    /// A node that refuses us names others first; everything else it says is ignored.
    fn parting(&mut self, now: Now, from: NodeId, body: bytes::Bytes) {
        if let Ok(Some(Message::PeerAnnouncement { peers })) = Message::decode(body, self.id()) {
            self.tell_peers(now, from, peers::Incoming::Announcement(peers));
        }
    }

    fn tell_peers(&mut self, now: Now, from: NodeId, incoming: peers::Incoming) {
        let standings = self.trust.standings();
        self.peers.handle_message(now, from, incoming, standings, &mut self.outs.peers);
    }

    fn tell_gossip(&mut self, now: Now, from: NodeId, incoming: gossip::Incoming) {
        let standings = self.trust.standings();
        self.gossip.handle_message(now, from, incoming, standings, &mut self.outs.gossip);
    }

    fn send(&mut self, now: Now, to: NodeId, message: &Message) {
        let (lane, body) = (message.lane(), message.encode());
        let sent = self.sessions.send(now, to, lane, body, None, &mut self.outs.session);
        if sent.is_err() {
            self.counters.sends_lost += 1;
            self.gossip.not_sent(to, message);
        }
    }

    fn send_with_ticket(&mut self, now: Now, to: NodeId, message: &Message, ticket: Ticket) {
        let (lane, body) = (message.lane(), message.encode());
        let sent = self.sessions.send(now, to, lane, body, Some(ticket), &mut self.outs.session);
        if sent.is_err() {
            self.direct.undelivered(now, ticket, &mut self.outs.direct);
        }
    }

    /// A claim waits for its signature to be checked. Without room for it a broadcast or a record
    /// is as if it was lost; a direct message was acknowledged already and is checked at once.
    fn check(&mut self, now: Now, from: NodeId, claim: Claim) {
        match self.parked.park(from, claim, &self.network) {
            Ok((check, job)) => self.effects.push_back(Effect::Verify { check, job }),
            Err(claim) => match *claim {
                Claim::Gossip(_, claim) => {
                    self.counters.claims_dropped += 1;
                    self.gossip.unchecked(now, from, &claim);
                }
                Claim::Record(_) => self.counters.claims_dropped += 1,
                Claim::Direct(_) => {
                    for (from, claim, verdict) in self.parked.decide_directs(from, &self.network) {
                        self.claim_decided(now, from, claim, verdict);
                    }
                    let verdict = claim.job(&self.network).run();
                    self.claim_decided(now, from, *claim, verdict);
                }
            },
        }
    }

    /// A signature was checked: whatever waited for it, or behind it, goes on.
    pub(super) fn decided(&mut self, now: Now, check: CheckId, verdict: Verdict) {
        for (from, claim, verdict) in self.parked.decide(check, verdict) {
            self.claim_decided(now, from, claim, verdict);
        }
    }

    /// To the room that waits for the claim, as evidence or as a lie.
    fn claim_decided(&mut self, now: Now, from: NodeId, claim: Claim, verdict: Verdict) {
        self.counters.checks += 1;
        self.counters.checks_failed += u64::from(!verdict.is_valid());
        match claim {
            Claim::Gossip(ttl, claim) => self.gossip_decided(now, from, ttl, claim, verdict),
            Claim::Direct(claim) => match claim.accept(verdict) {
                Some(message) => self.direct.verified(now, from, message, &mut self.outs.direct),
                None => self.direct.refuted(now, from, &mut self.outs.direct),
            },
            Claim::Record(claim) => {
                let node = claim.content().node_id();
                match claim.accept(verdict) {
                    Some(record) => self.peers.verified(now, from, record, &mut self.outs.peers),
                    None => self.peers.refuted(now, from, node, &mut self.outs.peers),
                }
            }
        }
    }

    fn gossip_decided(
        &mut self,
        now: Now,
        from: NodeId,
        ttl: u8,
        claim: Signed<AppMessage>,
        verdict: Verdict,
    ) {
        if !verdict.is_valid() {
            self.gossip.refuted(now, from, &claim, &mut self.outs.gossip);
        } else if let Some(message) = claim.accept(verdict) {
            let standings = self.trust.standings();
            self.gossip.verified(now, from, ttl, message, standings, &mut self.outs.gossip);
        }
    }

    fn deliver(&mut self, message: &Verified<AppMessage>, kind: SequenceKind, from: NodeId) {
        let content = message.content();
        self.emit(Event::Message {
            id: message.id(),
            sender: content.sender.node_id(),
            kind,
            timestamp: content.timestamp,
            payload: content.payload.clone(),
            from,
        });
    }

    fn misbehaved(&mut self, now: Now, peer: NodeId, what: Misbehavior) {
        self.trust.observe(now, peer, Observation::Misbehaved(what), &mut self.outs.trust);
    }
}

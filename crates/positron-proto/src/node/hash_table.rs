//! What carries the questions of the hash table, and its answers.

use super::{
    Event, NodeCore, Outcome, Refused, TableOrder,
    finding::Finding,
    judging::Judging,
    node_finder::Wish,
    pending_verification::Claim,
    room_name::RoomName,
    table_carrier::{ReplyTo, TableCarrier},
};
use crate::{
    datagram::contract::{QueryEvent, QueryId, QueryTarget},
    dht::{
        AskedBy, Contact, DhtAnswer, DhtAsk, DhtEffect, DhtMessage, DhtMode, DhtOutcome, DhtQuery,
        DhtRecord, PendingRecord, QuestionId, RecordFor, ReplyId, Serve, StoreOutcome, Via,
    },
    handshake::Direction,
    id::{NodeId, Ticket},
    identity::{Signed, Verdict},
    limits::DHT_SESSION_ROOM,
    misbehavior::Misbehavior,
    peers::KnownPeer,
    scope::{Scope, is_relayed},
    session::sessions::Peer,
    storage::Urgency,
    time::Now,
    wire::{Address, message::RoomMessage as _},
};

/// A node, while it takes part in the hash table.
pub(super) struct HashTable<'a>(pub(super) &'a mut NodeCore);

impl HashTable<'_> {
    /// It is time for something.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        if self.0.dht.mode() == DhtMode::Young {
            self.judge_mode(now);
        }
        self.0.dht.handle_timeout(now, &mut self.0.queues.dht);
    }

    /// What the application wants of the table.
    pub(super) fn carry_out(&mut self, now: Now, order: TableOrder) -> Result<Ticket, Refused> {
        if let TableOrder::FindNode(peer) = order {
            return Finding(self.0).find(now, peer, Wish::Record);
        }
        let ticket = self.0.publisher.ticket();
        let (dht, out) = (&mut self.0.dht, &mut self.0.queues.dht);
        match order {
            TableOrder::Store(record) => dht.store(now, ticket, record, out).map(|_| ()),
            TableOrder::Read { key, publisher, mode } => {
                dht.read(now, ticket, (key, publisher), mode, out)
            }
            TableOrder::Delete { kind, name } => dht.delete(now, ticket, (kind, name), out),
            TableOrder::Find(place) => dht.find(now, ticket, place, out),
            TableOrder::FindNode(_) => Ok(()),
        }?;
        Ok(ticket)
    }

    /// The node stops: what it keeps for others goes to others, and what its application waits for
    /// ends.
    pub(super) fn stop(&mut self, now: Now) {
        for ticket in self.0.dht.handle_stop(now, &mut self.0.queues.dht) {
            let is_internal = self.0.table.finder.handle_read(ticket).is_some()
                || self.0.table.desk.end(ticket).is_some();
            if !is_internal {
                let outcome = Outcome::Refused(Refused::Stopping);
                self.0.emit(Event::Completed { ticket, outcome });
            }
        }
    }

    pub(super) fn route(&mut self, now: Now, out: DhtEffect) {
        match out {
            DhtEffect::Ask { question, to, ask, via } => self.ask(now, question, &to, ask, via),
            DhtEffect::Abandon(question) => {
                self.0.sessions.cancel_query(QueryId(question.0));
                self.0.table.give_up(question);
            }
            DhtEffect::Answer { to, answer } => self.answer(now, to, answer),
            DhtEffect::Verify(PendingRecord { claim, remaining, from, wanted }) => {
                self.0.verify(now, from, Claim::Stored { claim, remaining, wanted });
            }
            DhtEffect::Keep(change) if change.urgency > Urgency::Behind => self.0.persist(change),
            DhtEffect::Keep(change) => self.0.persist_later(now, change),
            DhtEffect::Done { ticket, outcome } => {
                if let Some((peer, number)) = self.0.table.desk.end(ticket) {
                    self.tell(now, peer, number, outcome.into_answer());
                } else if let Some(mut outcome) = Finding(self.0).handle_done(now, ticket, outcome)
                {
                    if let DhtOutcome::Read(read) = &mut outcome {
                        let standings = self.0.trust.standings();
                        read.order_by_standing(|publisher| standings.regard(publisher));
                    }
                    let outcome = Outcome::Table(Box::new(outcome));
                    self.0.emit(Event::Completed { ticket, outcome });
                }
            }
            DhtEffect::Misbehaved { peer, what } => {
                Judging(self.0).observe_misbehavior(now, peer, what);
            }
            DhtEffect::Equivocated(records) => {
                let publisher = records[0].content().publisher.node_id();
                Judging(self.0).observe_misbehavior(now, publisher, Misbehavior::Equivocation);
            }
        }
    }

    fn ask(&mut self, now: Now, id: QuestionId, to: &Contact, ask: DhtAsk, via: Via) {
        let is_up = self.0.sessions.is_up(&to.id());
        match via {
            Via::Any | Via::Session if is_up => self.ask_over_session(now, id, to.id(), ask),
            Via::Any | Via::Datagram => {
                let (addr, key, noise_static) = (to.addr(), *to.key(), *to.noise_static());
                let target = QueryTarget { addr, key, noise_static };
                let may = self.0.peers.may_query(now, addr, &mut self.0.queues.peers);
                let query = (QueryId(id.0), ask.to_bytes());
                let asked = may && self.0.sessions.query(now, target, query.0, query.1).is_ok();
                if !asked {
                    self.0.dht.handle_unanswered(now, id, &mut self.0.queues.dht);
                }
            }
            Via::Session => {
                let whom = (to.id(), to.addr(), *to.noise_static());
                let (standings, out) = (self.0.trust.standings(), &mut self.0.queues.peers);
                if self.0.peers.dial_for_table(now, whom, standings, out) {
                    let waiting = self.0.table.waiting.entry(to.id()).or_default();
                    waiting.push((id, ask));
                } else {
                    self.0.dht.handle_unanswered(now, id, &mut self.0.queues.dht);
                }
            }
        }
    }

    fn ask_over_session(&mut self, now: Now, id: QuestionId, to: NodeId, ask: DhtAsk) {
        let message = match self.0.dht.is_errand(id) {
            true => DhtMessage::Errand { number: id.0, query: ask.query },
            false => DhtMessage::Query { number: id.0, ask },
        };
        self.0.table.over_sessions.insert(id, to);
        if !self.0.send(now, to, RoomName::Dht, message.lane(), message.encode(), None) {
            self.0.table.over_sessions.remove(&id);
            self.0.dht.handle_unanswered(now, id, &mut self.0.queues.dht);
        }
    }

    fn answer(&mut self, now: Now, to: ReplyId, answer: DhtAnswer) {
        match self.0.table.replies.remove(&to) {
            Some(ReplyTo::Session(peer, number)) => self.tell(now, peer, number, answer),
            Some(ReplyTo::Datagram(reply)) => {
                let answered = self.0.sessions.answer_query(now, reply, &answer.to_bytes());
                debug_assert!(answered.is_ok(), "the table keeps to the room of the reply");
            }
            None => {}
        }
    }

    fn tell(&mut self, now: Now, peer: NodeId, number: u64, answer: DhtAnswer) {
        let message = DhtMessage::Answer { number, answer };
        self.0.send(now, peer, RoomName::Dht, message.lane(), message.encode(), None);
    }

    /// A linked peer said something about the table.
    pub(super) fn handle_message(&mut self, now: Now, from: NodeId, message: DhtMessage) {
        match message {
            DhtMessage::Query { number, ask } => {
                let session = self.0.sessions.views().find(|session| session.peer.id == from);
                let Some(addr) = session.map(|session| session.peer.addr) else { return };
                let reply = self.0.table.reply(ReplyTo::Session(from, number));
                let room = DHT_SESSION_ROOM;
                let asker = AskedBy { id: from, addr, contact: None, is_proven: true, room };
                self.0.dht.handle_query(now, (asker, reply), ask, &mut self.0.queues.dht);
            }
            DhtMessage::Errand { number, query } => {
                // What it brings of others would be on our account where it is kept.
                let is_its_own = match &query {
                    DhtQuery::Store(living) | DhtQuery::StoreOnTheWay(living) => {
                        living.record.content().publisher.node_id() == from
                    }
                    DhtQuery::Find(_) | DhtQuery::Get { .. } => true,
                };
                let is_done = is_its_own && self.0.dht.can_do(now, &query);
                if is_done && self.0.table.desk.take(now.mono, from) {
                    let ticket = self.0.publisher.ticket();
                    self.0.table.desk.begin(ticket, from, number);
                    let out = &mut self.0.queues.dht;
                    self.0.dht.handle_errand(now, (from, ticket), query, out);
                } else {
                    let answer = DhtAnswer::Stored(StoreOutcome::Refused);
                    self.tell(now, from, number, answer);
                }
            }
            DhtMessage::Answer { number, answer } => {
                let question = QuestionId(number);
                if self.0.table.over_sessions.get(&question) == Some(&from) {
                    self.0.table.over_sessions.remove(&question);
                    let out = &mut self.0.queues.dht;
                    self.0.dht.handle_answer(now, (question, Via::Session), answer, out);
                } else {
                    self.0.dht.handle_strange();
                }
            }
        }
    }

    /// Something came by datagrams.
    pub(super) fn handle_query(&mut self, now: Now, event: QueryEvent) {
        match event {
            QueryEvent::Answered { id, body, .. } => {
                let question = QuestionId(id.0);
                if let Some(addr) = self.0.dht.asked_at(question) {
                    self.0.peers.handle_answer(now, addr);
                }
                let out = &mut self.0.queues.dht;
                match DhtAnswer::read(body) {
                    Ok(answer) => {
                        self.0.dht.handle_answer(now, (question, Via::Datagram), answer, out);
                    }
                    Err(_) => self.0.dht.handle_nonsense(now, question, out),
                }
            }
            QueryEvent::Failed { id, why } => {
                let question = QuestionId(id.0);
                if why.shows_a_node()
                    && let Some(addr) = self.0.dht.asked_at(question)
                {
                    self.0.peers.handle_answer(now, addr);
                }
                self.0.dht.handle_unanswered(now, question, &mut self.0.queues.dht);
            }
            QueryEvent::Asked { from, body, reply, ticketed } => {
                let contact = Contact::new(from.key, from.noise_static, from.addr);
                let standings = self.0.trust.standings();
                if standings.is_banned(&contact.id(), now.wall) {
                    return;
                }
                match DhtAsk::read(body) {
                    Ok(ask) => {
                        let (id, addr, room) = (contact.id(), contact.addr(), reply.room());
                        // Whoever asks opens the way to itself, for us: that it answers us then
                        // does not show that strangers reach it. Its record tells of it.
                        let is_near = Scope::of_peer(addr) != Scope::Public;
                        let contact = is_near.then_some(contact);
                        self.0.peers.handle_contact(now, addr, ticketed);
                        let asker = AskedBy { id, addr, contact, is_proven: ticketed, room };
                        let reply = self.0.table.reply(ReplyTo::Datagram(reply));
                        self.0.dht.handle_query(now, (asker, reply), ask, &mut self.0.queues.dht);
                    }
                    Err(_) => {
                        self.0.counters.malformed += 1;
                        // Without a ticket it may be a copy that anybody sends, often.
                        if ticketed {
                            Judging(self.0).observe_misbehavior(
                                now,
                                contact.id(),
                                Misbehavior::Malformed,
                            );
                        }
                    }
                }
            }
        }
    }

    /// A session is up: what waits for it goes, and its other end may serve the table.
    pub(super) fn peer_up(&mut self, now: Now, peer: &Peer) {
        self.judge_mode(now);
        if !is_relayed(peer.addr.ip()) {
            let contact = Contact::new(peer.key, peer.noise_static, peer.addr);
            self.0.dht.peer_up(now, contact, self.0.table.has_datagrams);
        }
        let peer = peer.id;
        for (id, ask) in self.0.table.waiting.remove(&peer).unwrap_or_default() {
            self.ask_over_session(now, id, peer, ask);
        }
    }

    /// The address book has a node: it may serve the table.
    pub(super) fn handle_known(&mut self, now: Now, peer: &KnownPeer) {
        let record = peer.record.content();
        // A query would come to its translator uninvited, and spoil the direct path.
        if self.is_relayed(&record.node_id()) {
            return;
        }
        let listed = record.addresses.iter().find_map(Address::socket_addr);
        if let Some(addr) = peer.proven.or(peer.dialled).or(listed) {
            let contact = Contact::new(record.key, record.noise_static, addr);
            self.0.dht.handle_contact(now, contact);
        }
    }

    fn is_relayed(&self, peer: &NodeId) -> bool {
        let mut sessions = self.0.sessions.views().map(|session| session.peer);
        sessions.any(|there| there.id == *peer && is_relayed(there.addr.ip()))
    }

    /// Whether this node serves the table, as things are.
    pub(super) fn judge_mode(&mut self, now: Now) {
        let TableCarrier { serve, has_datagrams, grown_up, .. } = self.0.table;
        let addr = self.0.peers.external_addresses().into_iter().find(|_| has_datagrams);
        // Whom a relay brought was let in by a search for a path, which strangers do not make.
        let is_brought = |peer: &NodeId| self.0.relays.relays_of(*peer).next().is_some();
        let is_found = || {
            let mut guests = self.0.sessions.views().map(|at| at.peer);
            guests.any(|at| at.direction == Direction::Inbound && !is_brought(&at.id))
        };
        let mode = match addr.map(|addr| (addr, Scope::of_peer(addr))) {
            _ if serve == Serve::Never => Err(DhtMode::ToldTo),
            None => Err(DhtMode::Unreachable),
            // One network of one owner: nothing is between its nodes.
            Some((addr, Scope::Loopback | Scope::Private)) => Ok(addr),
            Some(_) if !is_found() => Err(DhtMode::Unreachable),
            Some(_) if now.mono < grown_up => Err(DhtMode::Young),
            Some((addr, Scope::Public)) => Ok(addr),
        };
        self.0.dht.handle_mode(now, mode);
    }

    /// A signature was checked.
    pub(super) fn handle_verdict(
        &mut self,
        now: Now,
        claim: Signed<DhtRecord>,
        (remaining, from, wanted): (u32, NodeId, RecordFor),
        verdict: Verdict,
    ) {
        let (dht, out) = (&mut self.0.dht, &mut self.0.queues.dht);
        match claim.accept(verdict) {
            Some(record) => dht.handle_verified(now, record, (remaining, from, wanted), out),
            None => dht.handle_refuted(now, (from, wanted), out),
        }
    }
}

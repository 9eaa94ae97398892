//! The wiring diagram: who hears whom. One exhaustive match a room; each arm says who hears it.

use bytes::Bytes;

use super::{
    CheckId, Command, Effect, Event, HandedOver, Message, NodeCore, Outcome, Refused, SequenceKind,
    commands::Commands, finding::Finding, hash_table::HashTable, hearing::Hearing,
    inheritance::Inheritance, judging::Judging, pending_verification::Claim, persistence::Awaited,
    pinging::Pinging, recognition::Recognition, recommending::Recommending, relaying::Relaying,
    room_name::RoomName, sending::Speaking, sightings::Sightings, tracing::Tracing,
    verification::Verification,
};
use crate::{
    dht::RoutingTable,
    direct,
    gossip::{self, ValidationId, Validity},
    id::{LinkId, NodeId, Ticket},
    identity::{Verdict, Verified},
    misbehavior::Observation,
    peers::{self, PeersMessage},
    request,
    scope::is_relayed,
    session::sessions::{self, DialOutcome, DownReason, Flow, LinkDown, Peer, Reading},
    storage::Change,
    substream,
    time::Now,
    trust,
    wire::{
        body::Body,
        frame::CloseReason,
        message::{AppMessage, RoomMessage as _},
    },
};

impl NodeCore {
    /// Lets the sessions seal what was said, and carries on until all rooms are silent.
    pub(super) fn flush_and_route(&mut self, now: Now) {
        self.route_until_idle(now);
        Hearing(self).read_on(now);
        self.fill_bulk(now);
        self.sessions.flush(now, &mut self.queues.session);
        self.route_until_idle(now);
        if self.publisher.is_held_up() && self.may_publish(now) {
            self.flush_outgoing(now);
            self.sessions.flush(now, &mut self.queues.session);
            self.route_until_idle(now);
        }
        let is_held_up = self.publisher.is_held_up();
        self.unclogged_at = is_held_up.then(|| self.sessions.clogged_until(now.mono)).flatten();
    }

    /// Carries what the rooms say to whom it concerns, until all of them are silent.
    pub(super) fn route_until_idle(&mut self, now: Now) {
        loop {
            if let Some(out) = self.queues.session.pop_front() {
                self.route_session(now, out);
            } else if let Some(out) = self.queues.peers.pop_front() {
                self.route_peers(now, out);
            } else if let Some(out) = self.queues.gossip.pop_front() {
                self.route_gossip(now, out);
            } else if let Some(out) = self.queues.direct.pop_front() {
                self.route_direct(now, out);
            } else if let Some(out) = self.queues.requests.pop_front() {
                self.route_requests(now, out);
            } else if let Some(out) = self.queues.substream.pop_front() {
                self.route_substream(now, out);
            } else if let Some(out) = self.queues.trust.pop_front() {
                self.route_trust(now, out);
            } else if let Some(out) = self.queues.succession.pop_front() {
                Inheritance(self).route(now, out);
            } else if let Some(out) = self.queues.recommendation.pop_front() {
                Recommending(self).route(now, out);
            } else if let Some(out) = self.queues.trace.pop_front() {
                Tracing(self).route(now, out);
            } else if let Some(out) = self.queues.nat.pop_front() {
                Relaying(self).route_nat(now, out);
            } else if let Some(out) = self.queues.relay.pop_front() {
                Relaying(self).route(now, out);
            } else if let Some(out) = self.queues.dht.pop_front() {
                HashTable(self).route(now, out);
            } else {
                break;
            }
        }
    }

    fn route_session(&mut self, now: Now, out: sessions::SessionEffect) {
        let Some(out) = Relaying(self).take(out) else { return };
        match out {
            sessions::SessionEffect::Dial { link, kind, to } => {
                self.effects.push_back(Effect::Dial { link, kind, to });
            }
            sessions::SessionEffect::Write { link, bytes } => {
                self.effects.push_back(Effect::Write { link, bytes });
            }
            sessions::SessionEffect::Hangup { link, how } => {
                self.effects.push_back(Effect::Hangup { link, how });
            }
            sessions::SessionEffect::Read { link, reading } => {
                self.effects.push_back(Effect::Read { link, reading });
            }
            sessions::SessionEffect::Incoming(peer) => {
                let standings = self.trust.standings();
                self.peers.handle_incoming(now, peer, standings, &mut self.queues.peers);
            }
            sessions::SessionEffect::Up(peer) => self.peer_up(now, peer),
            sessions::SessionEffect::UsedTwice { peer, addrs } => {
                Judging(self).handle_used_twice(now, peer, addrs.into());
            }
            sessions::SessionEffect::Moved { peer, addr } => {
                Relaying(self).handle_moved(now, peer);
                let standings = self.trust.standings();
                self.peers.handle_moved(now, peer, addr, standings, &mut self.queues.peers);
            }
            sessions::SessionEffect::DialledUs { peer, from } => {
                self.peers.handle_dialled_us(now, peer, from, &mut self.queues.peers);
            }
            sessions::SessionEffect::Down { reason, session, .. } => {
                Hearing(self).peer_down(now, session.peer.id, &reason);
                self.peer_down(now, &session, reason);
            }
            sessions::SessionEffect::DialEnded { dial, .. } if is_relayed(dial.to.ip()) => {
                if let Some(peer) = Relaying(self).handle_dial_ended(&dial) {
                    Finding(self).handle_not_reached(now, peer);
                }
            }
            sessions::SessionEffect::DialEnded { dial, outcome } => {
                self.counters.dials_ended.add(((&outcome).into(),), 1);
                self.endings.handle_dial_ended(now, &dial, &outcome);
                Finding(self).handle_dial_ended(now, &dial, &outcome);
                if let DialOutcome::Failed(reason) = &outcome {
                    self.emit(Event::DialFailed { dial, reason: reason.clone() });
                }
                self.peers.handle_dial_ended(now, dial, outcome, &mut self.queues.peers);
            }
            sessions::SessionEffect::Message { peer, body } => Hearing(self).hear(now, peer, body),
            sessions::SessionEffect::Idle { peer, bytes } => {
                let charged = self.work.charge_frames(now.mono, peer, bytes);
                Hearing(self).hold_for_work(now, peer, charged);
            }
            sessions::SessionEffect::Referral { peer, body } => self.parting(now, peer, body),
            sessions::SessionEffect::Delivered { ticket } => {
                if let Some(push) = self.pushes.end(ticket) {
                    return self.gossip.handle_arrived(&push.to, push.sender, push.sequence);
                }
                self.direct.handle_delivered(now, ticket, &mut self.queues.direct);
                self.substreams.handle_delivered(now, ticket, &mut self.queues.substream);
            }
            sessions::SessionEffect::Undelivered { ticket } => {
                if let Some(push) = self.pushes.end(ticket) {
                    return self.gossip.handle_arrived(&push.to, push.sender, push.sequence);
                }
                self.direct.handle_undelivered(now, ticket, &mut self.queues.direct);
                self.substreams.handle_undelivered(ticket);
            }
            sessions::SessionEffect::Query(event) => HashTable(self).handle_query(now, event),
            sessions::SessionEffect::Suspect(peer) => Relaying(self).stand_by(now, peer),
            sessions::SessionEffect::Pong { peer, rtt } => Pinging(self).handle_rtt(now, peer, rtt),
            sessions::SessionEffect::Stun(answer) => Relaying(self).handle_stun(now, answer),
            sessions::SessionEffect::Misbehaved { peer, what } => {
                Judging(self).observe_misbehavior(now, peer, what);
            }
        }
    }

    fn route_peers(&mut self, now: Now, out: peers::PeersEffect) {
        match out {
            peers::PeersEffect::Dial(dial)
                if self.peers.is_banned_dial(&dial, self.trust.standings()) =>
            {
                self.endings.handle_dial(now, dial);
                let outcome = DialOutcome::Failed(LinkDown::BannedAddress.into());
                let out = &mut self.queues.session;
                out.push_back(sessions::SessionEffect::DialEnded { dial, outcome });
            }
            peers::PeersEffect::Dial(dial) => {
                self.endings.handle_dial(now, dial);
                self.sessions.dial(now, dial, &mut self.queues.session);
            }
            peers::PeersEffect::Resolve(name) => self.effects.push_back(Effect::Resolve { name }),
            peers::PeersEffect::Admit(peer) => {
                self.sessions.accept(now, peer.link, &mut self.queues.session);
            }
            peers::PeersEffect::Refuse { peer, reason, parting } => {
                let parting = match reason {
                    CloseReason::KeyRetired => Some(Inheritance(self).parting(&peer.id).encode()),
                    _ => parting.map(|message| message.encode()),
                };
                self.sessions.refuse(now, peer.link, reason, parting, &mut self.queues.session);
            }
            peers::PeersEffect::Refused { peer, reason, untold } => {
                Relaying(self).tell_refused(&peer, reason, untold);
            }
            peers::PeersEffect::Disconnect { peer, reason } => {
                self.sessions.close(now, peer, reason, &mut self.queues.session);
            }
            peers::PeersEffect::Send { to, message } => {
                Inheritance(self).telling(now, to, &message);
                self.send(now, to, RoomName::Peers, message.lane(), message.encode(), None);
            }
            peers::PeersEffect::Verify { from, record } => {
                self.verify(now, from, Claim::Record(record));
            }
            peers::PeersEffect::Remember(peer) => {
                HashTable(self).handle_known(now, &peer);
                self.persist_later(now, peers::change::keep(&peer));
            }
            peers::PeersEffect::Forget(peer) => {
                self.persist_later(now, peers::change::forget(&peer));
            }
            peers::PeersEffect::Reserved(slot) => self.persist(peers::change::keep_slot(&slot)),
            peers::PeersEffect::Unreserved(peer) => self.persist(peers::change::forget_slot(&peer)),
            // Whoever comes back again and again is asked again and again.
            peers::PeersEffect::Observed { peer, what: Observation::Answered }
                if self.identity_use.is_used_twice(now.mono, &peer) => {}
            peers::PeersEffect::Observed { peer, what } => Judging(self).observe(now, peer, what),
            peers::PeersEffect::Recognized { outrun } => {
                Recognition(self).handle_recognized(now, outrun);
            }
            peers::PeersEffect::FewPeers { linked, wanted } => {
                self.emit(Event::FewPeers { linked, wanted });
            }
            peers::PeersEffect::ExternalAddresses(addresses) => {
                HashTable(self).judge_mode(now);
                Finding(self).announce(now);
                self.emit(Event::ExternalAddresses(addresses));
            }
        }
    }

    fn route_gossip(&mut self, now: Now, out: gossip::GossipEffect) {
        match out {
            gossip::GossipEffect::Send { to, message } => Speaking(self).gossip(now, to, &message),
            gossip::GossipEffect::Verify { from, ttl, claim } => {
                self.verify(now, from, Claim::Gossip(ttl, claim));
            }
            gossip::GossipEffect::Validate { id, message, from } => {
                let message = HandedOver::new(&message, SequenceKind::Broadcast, from);
                self.emit(Event::Validate { id, message });
            }
            gossip::GossipEffect::Deliver { message, from } => {
                self.deliver(now, &message, SequenceKind::Broadcast, from);
            }
            gossip::GossipEffect::Keep(message) => self.keep(now, &message),
            gossip::GossipEffect::Forget { sender, sequence } => {
                self.persist(gossip::change::forget_message(&sender, sequence));
            }
            gossip::GossipEffect::Floor { sender, floor } => {
                self.persist(gossip::change::keep_floor(&sender, floor));
            }
            gossip::GossipEffect::ForgetFloor(sender) => {
                self.persist(gossip::change::forget_floor(&sender));
            }
            gossip::GossipEffect::GivenUp { message, peers } => {
                self.emit(Event::BroadcastOutran { message, peers });
            }
            gossip::GossipEffect::Traced { nth, step } => self.traces.handle_step(now, nth, step),
            gossip::GossipEffect::Dropped(dropped) => self.traces.handle_dropped(now, dropped),
            gossip::GossipEffect::Equivocated { sender, sequence, messages } => {
                let told = self.equivocations.tell(now.mono, (sender, sequence), messages);
                told.into_iter().for_each(|event| self.emit(event));
            }
            gossip::GossipEffect::Observed { peer, what } => {
                Judging(self).observe(now, peer, what);
            }
        }
    }

    fn route_direct(&mut self, now: Now, out: direct::DirectEffect) {
        match out {
            direct::DirectEffect::Send { to, message, ticket } => {
                Speaking(self).direct(now, to, &message, ticket);
            }
            direct::DirectEffect::Connect(peer) => Finding(self).connect(now, peer),
            direct::DirectEffect::Verify { from, claim } => {
                self.verify(now, from, Claim::Direct(claim));
            }
            direct::DirectEffect::Deliver(message) => {
                let from = message.content().sender.node_id();
                self.traces.handle_direct(now, &message, None);
                self.deliver(now, &message, SequenceKind::Direct, from);
            }
            direct::DirectEffect::Completed { ticket, outcome } => {
                let Some(id) = self.publisher.direct_over(ticket) else { return };
                let outcome = match outcome {
                    Ok(()) => {
                        self.traces.handle_direct_arrived(&id);
                        Outcome::Delivered(id)
                    }
                    Err(why) => Outcome::Undelivered(why),
                };
                self.emit(Event::Completed { ticket, outcome });
            }
            direct::DirectEffect::Misbehaved { peer, what } => {
                Judging(self).observe_misbehavior(now, peer, what);
            }
        }
    }

    fn route_requests(&mut self, now: Now, out: request::RequestEffect) {
        match out {
            request::RequestEffect::Send { to } => self.send_requests(now, to),
            request::RequestEffect::Connect(peer) => Finding(self).connect(now, peer),
            request::RequestEffect::Awaited(peer) => self.sessions.handle_awaited(now, &peer),
            request::RequestEffect::Serve { from, id, payload } => {
                self.emit(Event::Request { from, id, payload });
            }
            request::RequestEffect::Abandon { from, id } => {
                self.emit(Event::RequestAbandoned { from, id });
            }
            request::RequestEffect::Completed { ticket, outcome } => {
                let outcome = match outcome {
                    Ok(answer) => Outcome::Answered(answer),
                    Err(why) => Outcome::Unanswered(why),
                };
                self.emit(Event::Completed { ticket, outcome });
            }
            request::RequestEffect::Useful { peer, payload } => {
                self.work.handle_news(&peer, payload);
            }
            request::RequestEffect::Misbehaved { peer, what } => {
                Judging(self).observe_misbehavior(now, peer, what);
            }
        }
    }

    fn route_substream(&mut self, now: Now, out: substream::SubstreamEffect) {
        match out {
            substream::SubstreamEffect::Send { to, message, finishes } => {
                let ticket = finishes.map(|id| {
                    let ticket = self.publisher.ticket();
                    self.substreams.handle_finish_sent(id, ticket);
                    ticket
                });
                let (room, body) = (RoomName::Substream, message.encode_parts());
                if !self.send(now, to, room, message.lane(), body, ticket) {
                    self.substreams.handle_not_sent(to, message);
                }
            }
            substream::SubstreamEffect::Connect(peer) => Finding(self).connect(now, peer),
            substream::SubstreamEffect::Awaited(peer) => self.sessions.handle_awaited(now, &peer),
            substream::SubstreamEffect::Opened { ticket, outcome } => {
                let outcome = match outcome {
                    Ok(id) => Outcome::StreamOpened(id),
                    Err(why) => Outcome::StreamNotOpened(why),
                };
                self.emit(Event::Completed { ticket, outcome });
            }
            substream::SubstreamEffect::News { id, news } => {
                self.emit(Event::Stream { id, news });
            }
            substream::SubstreamEffect::Misbehaved { peer, what } => {
                Judging(self).observe_misbehavior(now, peer, what);
            }
        }
    }

    /// Gives the session of `to` what waits for it, as long as it takes it.
    fn send_requests(&mut self, now: Now, to: NodeId) {
        while let Some(message) = self.requests.offer(&to) {
            let (lane, body) = (message.lane(), message.encode().into());
            let out = &mut self.queues.session;
            if self.sessions.send(now, to, lane, body, None, out).is_err() {
                return self.requests.handle_not_sent(now, to);
            }
            self.counters.note_said(RoomName::Request, true);
            self.requests.handle_sent(to);
        }
    }

    fn route_trust(&mut self, now: Now, out: trust::TrustEffect) {
        if let Some(change) = trust::change::of(&out) {
            self.persist_later(now, change);
        }
        match out {
            trust::TrustEffect::Ban { peer, until, why } => {
                self.peers.handle_banned(now, peer, &mut self.queues.peers);
                self.emit(Event::PeerBanned { peer, why, until });
            }
            trust::TrustEffect::Refuse(peer) => {
                self.counters.strangers_refused += 1;
                self.peers.handle_banned(now, peer, &mut self.queues.peers);
            }
            trust::TrustEffect::UnbanAddress(_) => self.peers.handle_address_unbanned(now),
            trust::TrustEffect::BanAddress(ban) => {
                let standings = self.trust.standings();
                self.peers.handle_address_banned(standings, &mut self.queues.peers);
                self.emit(Event::AddressBanned(ban));
            }
            trust::TrustEffect::Remember(_)
            | trust::TrustEffect::Forget(_)
            | trust::TrustEffect::Record(_) => {}
        }
    }

    fn peer_up(&mut self, now: Now, peer: Peer) {
        Relaying(self).tell_up(&peer);
        let standings = self.trust.standings();
        self.peers.peer_up(now, peer, standings, &mut self.queues.peers);
        Inheritance(self).peer_up(now, &peer);
        self.gossip.peer_up(now, peer.id, &mut self.queues.gossip);
        self.direct.peer_up(now, peer.id, peer.boot, &mut self.queues.direct);
        self.requests.peer_up(now, peer.id, peer.boot, &mut self.queues.requests);
        self.substreams.peer_up(now, peer.id, peer.boot, &mut self.queues.substream);
        self.recommendations.peer_up(peer.id);
        self.traces.peer_up(now, peer.id);
        Relaying(self).handle_place(now, &peer);
        HashTable(self).peer_up(now, &peer);
        Finding(self).peer_up(now, peer.id);
    }

    fn peer_down(&mut self, now: Now, session: &sessions::EndedSession, reason: DownReason) {
        let peer = session.peer.id;
        self.endings.handle_down(now, session, self.relays.place_of(session.peer.addr), &reason);
        if let DownReason::ByPeer(CloseReason::OtherProcess(there)) = &reason {
            let there = there.parse().ok();
            let me = self.id();
            Judging(self).handle_used_twice(now, me, Vec::from_iter(there));
        }
        let ended = ((&reason).into(), (&reason).into());
        self.counters.sessions_lost.add(ended, 1);
        self.peers.peer_down(now, peer, &reason, &mut self.queues.peers);
        self.gossip.peer_down(now, peer, &mut self.queues.gossip);
        self.direct.peer_down(now, peer, &mut self.queues.direct);
        self.requests.peer_down(now, peer, &mut self.queues.requests);
        self.substreams.peer_down(now, peer, &mut self.queues.substream);
        self.successions.peer_down(&peer);
        self.recommendations.peer_down(&peer, &mut self.queues.recommendation);
        self.traces.peer_down(now, peer, &mut self.queues.trace);
        self.relays.peer_down(&peer, &mut self.queues.relay);
        Relaying(self).peer_down(now, &peer);
        Pinging(self).peer_down(peer);
        self.dht.peer_down(&peer);
        self.emit(Event::PeerLeft { peer, reason });
    }

    /// A linked peer said something: to the room that it concerns.
    pub(super) fn route_message(&mut self, now: Now, from: NodeId, message: Message) {
        match message {
            Message::Peers(message) => self.tell_peers(now, from, message),
            Message::Gossip(message) => {
                let standings = self.trust.standings();
                self.gossip.handle_message(now, from, message, standings, &mut self.queues.gossip);
            }
            Message::Direct(message) => {
                self.direct.handle_message(now, from, message, &mut self.queues.direct);
            }
            Message::Request(message) => {
                self.requests.handle_message(now, from, message, &mut self.queues.requests);
            }
            Message::Substream(message) => {
                self.substreams.handle_message(now, from, message, &mut self.queues.substream);
            }
            Message::Succession(message) => Inheritance(self).handle_message(now, from, message),
            Message::Recommendation(message) => {
                Recommending(self).handle_message(now, from, message);
            }
            Message::Trace(message) => Tracing(self).handle_message(now, from, message),
            Message::Nat(message) => Relaying(self).handle_message(now, from, message),
            Message::Relay(message) => {
                self.relays.handle_message(now, from, message, &mut self.queues.relay);
            }
            Message::Dht(message) => HashTable(self).handle_message(now, from, message),
        }
    }

    /// A node that refuses us names others first; everything else it says is ignored.
    fn parting(&mut self, now: Now, from: NodeId, body: Bytes) {
        match Message::decode(body, self.id()) {
            Ok(Some(Message::Peers(message @ PeersMessage::Announcement(_)))) => {
                self.tell_peers(now, from, message);
            }
            Ok(Some(Message::Succession(message))) => {
                Inheritance(self).handle_parting(from, message);
            }
            _ => {}
        }
    }

    fn tell_peers(&mut self, now: Now, from: NodeId, incoming: PeersMessage) {
        Inheritance(self).handle_records(now, from, &incoming);
        Sightings(self).handle_message(now, from, &incoming);
        let standings = self.trust.standings();
        self.peers.handle_message(now, from, incoming, standings, &mut self.queues.peers);
    }

    /// Queues an encoded message; returns whether the session took it. It tells of its arrival if
    /// there is a ticket.
    pub(super) fn send(
        &mut self,
        now: Now,
        to: NodeId,
        room: RoomName,
        flow: impl Into<Flow>,
        body: impl Into<Body>,
        ticket: Option<Ticket>,
    ) -> bool {
        let out = &mut self.queues.session;
        let sent = self.sessions.send(now, to, flow, body.into(), ticket, out);
        self.counters.sends_lost += u64::from(sent.is_err());
        self.counters.note_said(room, sent.is_ok());
        sent.is_ok()
    }

    /// These links are read again.
    pub(super) fn read_on(&mut self, now: Now, links: Vec<LinkId>) {
        for link in links {
            self.sessions.set_reading(now, link, Reading::Open, &mut self.queues.session);
        }
    }

    /// Whom it knows of the hash table.
    pub const fn routing_table(&self) -> &RoutingTable {
        self.dht.table()
    }

    /// What the application wants.
    pub(super) fn carry_out(&mut self, now: Now, command: Command) -> Result<Ticket, Refused> {
        Commands(self).carry_out(now, command)
    }

    /// Which keys gave way to others, and what follows, is known from the start.
    pub(super) fn begin_inheritance(&mut self, now: Now) {
        Inheritance(self).begin(now);
    }

    /// The application says whether a broadcast is valid.
    pub(super) fn handle_validity(&mut self, now: Now, id: ValidationId, validity: Validity) {
        let (standings, out) = (self.trust.standings(), &mut self.queues.gossip);
        self.gossip.validating().handle_validity(now, id, validity, standings, out);
    }

    /// Nobody waits for the answer to a request any more.
    pub(super) fn handle_unwanted(&mut self, ticket: Ticket) {
        Finding(self).cancel(ticket);
        self.requests.cancel(ticket, &mut self.queues.requests);
    }

    /// Relays and the searches for direct paths do what is due.
    pub(super) fn handle_paths_timeout(&mut self, now: Now) {
        Relaying(self).handle_timeout(now);
    }

    /// The hash table does what is due.
    pub(super) fn handle_table_timeout(&mut self, now: Now) {
        HashTable(self).handle_timeout(now);
        Finding(self).handle_timeout(now);
    }

    /// Has a claim of `from` checked.
    pub(super) fn verify(&mut self, now: Now, from: NodeId, claim: Claim) {
        Verification(self).ask(now, from, claim);
    }

    /// A signature was checked.
    pub(super) fn handle_verdict(&mut self, now: Now, check: CheckId, verdict: Verdict) {
        Verification(self).handle_verdict(now, check, verdict);
    }

    /// Hands a change to the disk.
    pub(super) fn persist(&mut self, change: Change) {
        self.persistence.persist(change, &mut self.effects);
    }

    /// Hands a change to the disk that strangers can cause as often as they like.
    pub(super) fn persist_later(&mut self, now: Now, change: Change) {
        self.persistence.persist_later(now.mono, change, &mut self.effects);
    }

    /// Gossip keeps `message`; if it is the one being published, its ticket waits for the disk.
    fn keep(&mut self, now: Now, message: &Verified<AppMessage>) {
        let change = gossip::change::keep_message(message);
        let content = message.content();
        let Some(ticket) = self.publisher.handle_kept(&content.sender) else {
            let ours = content.sender == *self.me.public_key();
            if ours && self.publisher.outrun(now, content.sequence) {
                Recognition(self).handle_numbers_behind(now);
            }
            return self.persist(change);
        };
        let what = Awaited::Broadcast(ticket, message.id());
        self.persistence.persist_for(what, change, &mut self.effects);
    }

    fn deliver(
        &mut self,
        now: Now,
        message: &Verified<AppMessage>,
        kind: SequenceKind,
        from: NodeId,
    ) {
        self.brought_by(now, from);
        self.work.handle_news(&from, message.content().payload.len());
        let delivered = HandedOver::new(message, kind, from);
        for change in self.deliveries.append(&delivered) {
            self.persist(change);
        }
        self.emit(Event::Message(delivered));
    }
}

//! What the application wants of a node, and how it is told why not.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    Command, Event, NodeCore, Outcome, PeerOrder, Refused, command::check_size,
    delivery_log::DeliveryLog, finding::Finding, hash_table::HashTable, node_finder::Wish,
    persistence::Awaited, pinging::Pinging, recommending::Recommending, tracing::Tracing,
};
use crate::{
    direct,
    id::{NodeId, Ticket},
    limits::MAX_PENDING_BROADCASTS,
    storage::Change,
    time::{Duration, Now},
    wire::frame::CloseReason,
};

/// A node, while it is told what the application wants.
pub(super) struct Commands<'a>(pub(super) &'a mut NodeCore);

impl Commands<'_> {
    /// Does what is wanted, or says why not.
    pub(super) fn carry_out(&mut self, now: Now, command: Command) -> Result<Ticket, Refused> {
        Ok(match command {
            Command::Broadcast { payload } => self.broadcast(now, payload)?,
            Command::Send { to, payload } => self.send_direct(now, to, payload)?,
            Command::Ask { to, payload, timeout } => self.ask(now, to, payload, timeout)?,
            Command::Join { address } => self.join(now, address)?,
            Command::Subscribe { name } => {
                self.note(|log| log.subscribe(&name).map(|change| [change].into()))?
            }
            Command::Acknowledge { name, up_to } => {
                self.note(|log| log.acknowledge(&name, up_to))?
            }
            Command::Unsubscribe { name } => self.note(|log| log.unsubscribe(&name))?,
            Command::OpenStream { to } => self.open_stream(now, to)?,
            Command::Link { to } => self.link(now, to)?,
            Command::Ping { peer } => Pinging(self.0).ping(now, peer)?,
            Command::Trace { message } => {
                Tracing(self.0).ask(now, message)?;
                self.noted()
            }
            Command::AskTrusted { peer } => Recommending(self.0).ask(now, peer)?,
            Command::ShareTrusted => Recommending(self.0).share(now),
            Command::Table(order) => HashTable(self.0).carry_out(now, order)?,
            Command::Peer(order) => self.obey(now, order)?,
            Command::Stop => self.stop(now),
        })
    }

    fn broadcast(&mut self, now: Now, payload: Bytes) -> Result<Ticket, Refused> {
        check_size(&payload)?;
        self.0.persistence.check()?;
        let queued = self.0.publisher.queue_broadcast(payload, self.0.persistence.waiting());
        let ticket = queued.map_err(|refused| self.0.persistence.explain(refused))?;
        self.0.flush_outgoing(now);
        Ok(ticket)
    }

    fn send_direct(&mut self, now: Now, to: NodeId, payload: Bytes) -> Result<Ticket, Refused> {
        check_size(&payload)?;
        self.0.persistence.check()?;
        if self.is_to_be_found(to)? {
            return Finding(self.0).find(now, to, Wish::Send(payload));
        }
        let ticket = self.0.publisher.ticket();
        self.0.publisher.queue_direct(ticket, to, payload)?;
        self.0.flush_outgoing(now);
        Ok(ticket)
    }

    /// Changes something about subscriptions, unless too much waits for the disk already.
    fn note(
        &mut self,
        change: impl FnOnce(&mut DeliveryLog) -> Result<VecDeque<Change>, Refused>,
    ) -> Result<Ticket, Refused> {
        self.0.persistence.check()?;
        if self.0.persistence.waiting() >= MAX_PENDING_BROADCASTS {
            return Err(self.0.persistence.explain(Refused::TooManyPending));
        }
        let changes = change(&mut self.0.deliveries)?;
        let ticket = self.0.publisher.ticket();
        let mut changes = changes.into_iter();
        // The first one says it; the others only clear up behind it.
        if let Some(first) = changes.next() {
            let what = Awaited::Subscription(ticket);
            self.0.persistence.persist_for(what, first, &mut self.0.effects);
        }
        changes.for_each(|change| self.0.persist(change));
        Ok(ticket)
    }

    fn stop(&mut self, now: Now) -> Ticket {
        // Nobody is there any more to have them once the sessions are closed: published then, they
        // would push out others that reached nobody.
        let why = if self.0.publisher.is_in_doubt() { NEVER_RECOGNIZED } else { NEVER_PUBLISHED };
        for ticket in self.0.publisher.give_up_broadcasts() {
            let outcome = Outcome::NotDurable(why.to_owned());
            self.0.emit(Event::Completed { ticket, outcome });
        }
        Finding(self.0).give_up_all();
        HashTable(self.0).stop(now);
        self.0.nat.stop(now.mono, &mut self.0.queues.nat);
        self.0.flush_and_route(now);
        self.0.sessions.close_all(now, CloseReason::ShuttingDown, &mut self.0.queues.session);
        self.0.flush_and_route(now);
        // Nobody will acknowledge them, and every ticket is answered.
        self.0.direct.give_up_all(&mut self.0.queues.direct);
        self.0.requests.give_up_all(&mut self.0.queues.requests);
        self.0.substreams.give_up_all(&mut self.0.queues.substream);
        self.0.recommendations.give_up_all(&mut self.0.queues.recommendation);
        for ticket in self.0.publisher.give_up_directs() {
            let outcome = Outcome::Undelivered(direct::Undelivered::NoLink);
            self.0.emit(Event::Completed { ticket, outcome });
        }
        self.0.flush_and_route(now);
        self.0.persistence.flush(&mut self.0.effects);
        self.0.stopping = true;
        let ticket = self.0.publisher.ticket();
        self.0.emit(Event::Completed { ticket, outcome: Outcome::Stopped });
        ticket
    }

    /// What the application wants of its peers.
    fn obey(&mut self, now: Now, order: PeerOrder) -> Result<Ticket, Refused> {
        let order = order.for_current(self.0.trust.standings());
        if order.peer() == Some(self.0.id()) {
            return Err(Refused::AgainstOurselves);
        }
        let sought = match &order {
            PeerOrder::Reserve { peer, at: None } if !self.0.peers.knows(peer) => Some(*peer),
            _ => None,
        };
        order.obey(now, (&mut self.0.trust, &mut self.0.peers), &mut self.0.queues)?;
        if let Some(peer) = sought {
            Finding(self.0).seek(now, peer);
        }
        Ok(self.noted())
    }

    /// It is done already.
    fn noted(&mut self) -> Ticket {
        let ticket = self.0.publisher.ticket();
        self.0.emit(Event::Completed { ticket, outcome: Outcome::Noted });
        ticket
    }

    fn join(&mut self, now: Now, address: String) -> Result<Ticket, Refused> {
        if !self.0.peers.join(now, address) {
            return Err(Refused::TooManyAddresses);
        }
        let ticket = self.0.publisher.ticket();
        self.0.emit(Event::Completed { ticket, outcome: Outcome::Joining });
        Ok(ticket)
    }

    fn open_stream(&mut self, now: Now, to: NodeId) -> Result<Ticket, Refused> {
        if self.is_to_be_found(to)? {
            return Finding(self.0).find(now, to, Wish::OpenStream);
        }
        let ticket = self.0.publisher.ticket();
        let opened = self.0.substreams.open(now, to, ticket, &mut self.0.queues.substream);
        opened.map_err(Refused::Stream).map(|()| ticket)
    }

    fn link(&mut self, now: Now, to: NodeId) -> Result<Ticket, Refused> {
        let is_to_be_found = self.is_to_be_found(to)?;
        if self.0.sessions.is_up(&to) {
            self.0.punching.handle_asked(now, &to);
            let ticket = self.0.publisher.ticket();
            self.0.emit(Event::Completed { ticket, outcome: Outcome::Linked });
            return Ok(ticket);
        }
        if !self.0.wanted_links.has_room() {
            return Err(Refused::TooManyLinks);
        }
        let ticket = if is_to_be_found {
            Finding(self.0).find(now, to, Wish::Link)?
        } else {
            Finding(self.0).connect(now, to);
            self.0.publisher.ticket()
        };
        self.0.wanted_links.wait(now.mono, ticket, to);
        Ok(ticket)
    }

    /// A request needs no number, and nothing of it is kept.
    fn ask(
        &mut self,
        now: Now,
        to: NodeId,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Ticket, Refused> {
        check_size(&payload)?;
        if self.is_to_be_found(to)? {
            return Finding(self.0).find(now, to, Wish::Ask(payload, timeout));
        }
        let ticket = self.0.publisher.ticket();
        let asked =
            self.0.requests.ask(now, to, payload, timeout, ticket, &mut self.0.queues.requests);
        asked.map(|()| ticket).map_err(|_| Refused::TooManyRequests)
    }

    /// Something for one node, and not this one, needs one that is linked or can be dialled:
    /// whether it is to be looked for. While it is, everything waits, so that the order stays.
    fn is_to_be_found(&self, to: NodeId) -> Result<bool, Refused> {
        if to == self.0.id() {
            return Err(Refused::ToOurselves);
        }
        let is_known = self.0.sessions.is_up(&to) || self.0.peers.knows(&to);
        Ok(!is_known || self.0.table.finder.is_seeking(&to))
    }
}

const NEVER_RECOGNIZED: &str =
    "the node stopped before a peer could say which numbers its key had used";

const NEVER_PUBLISHED: &str = "the node stopped before its peers had taken what came before";

//! Links over datagram connections, as what carries sessions.

use std::collections::{BTreeMap, VecDeque};

use super::{
    carrier::{Carrier, CarrierEvent, CarrierOrder, Draft, LinkEnding, LinkNames, Traffic},
    contract::{DialFailure, DialRequest, Effort, LinkDown, Reading},
    fault::LinkFault,
};
use crate::{
    datagram::{
        Endpoint,
        contract::{
            Closed, ConnectionId, Delivery, EndpointEvent, ExtraSocket, NotDialled, NotQueued,
            RemoteNode, WireBytes,
        },
    },
    handshake::HandshakeFailure,
    id::LinkId,
    limits::{LINK_DATAGRAM_WINDOW, MAX_DATAGRAM_MESSAGE},
    time::{Duration, Instant, Now},
    wire::{
        body::Body,
        frame::{CloseReason, Lane},
    },
};

/// The datagram connections of a node, of which each is a link: an ordered message of a lane is a
/// message of that lane of the connection.
///
/// A connection does its own sealing, closing and cutting. It has one user, who reads at once, so
/// its messages are released as they come. A message is given to it as long as less than
/// [`LINK_DATAGRAM_WINDOW`] bytes of its lane and more urgent ones wait to be acknowledged: so the
/// largest one goes too, no message waits for what is less urgent, and at most that and one message
/// of each lane cannot move to another link any more.
#[derive(Debug)]
pub(super) struct DatagramCarrier {
    pub(super) endpoint: Endpoint,
    by_link: BTreeMap<LinkId, ConnectionId>,
    by_connection: BTreeMap<ConnectionId, LinkId>,
    /// Links for which something waits until there is room, and the most urgent lane of it.
    waiting: BTreeMap<LinkId, Lane>,
    /// Up to which change of the endpoint there was room for none of them.
    without_room: u64,
    /// Connections whose other end gets no more room for now, and the sizes of the messages of
    /// which that was not told.
    held: BTreeMap<ConnectionId, Vec<usize>>,
    events: VecDeque<CarrierEvent>,
    traffic: Traffic,
}

impl DatagramCarrier {
    pub(super) const fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            by_link: BTreeMap::new(),
            by_connection: BTreeMap::new(),
            waiting: BTreeMap::new(),
            without_room: 0,
            held: BTreeMap::new(),
            events: VecDeque::new(),
            traffic: Traffic {
                bytes_sent: 0,
                bytes_received: 0,
                messages_sent: 0,
                messages_received: 0,
            },
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_link.is_empty()
            && self.by_connection.is_empty()
            && self.waiting.is_empty()
            && self.held.is_empty()
    }

    /// Whether a link goes over another socket than that on which we listen.
    pub(super) fn is_over_extra_socket(&self, link: LinkId) -> bool {
        let view = self.by_link.get(&link).and_then(|connection| self.endpoint.view(*connection));
        let remote = view.and_then(|view| view.remote);
        remote.is_some_and(|remote| ExtraSocket::split(remote.addr).0.is_some())
    }

    fn is_open(&self, link: LinkId, lane: Lane) -> bool {
        let connection = self.by_link.get(&link);
        let queued = connection.and_then(|it| self.endpoint.queued_bytes(*it, lane.number()));
        queued.is_none_or(|queued| queued < LINK_DATAGRAM_WINDOW)
    }

    /// The next link for which something waited and there is room. Asked with every packet, it
    /// looks at links only if there can be.
    fn take_with_room(&mut self) -> Option<LinkId> {
        let changes = self.endpoint.changes();
        if self.waiting.is_empty() || self.without_room == changes {
            return None;
        }
        let has_room = |(link, lane): &(&LinkId, &Lane)| self.is_open(**link, **lane);
        let link = self.waiting.iter().find(has_room).map(|(link, _)| *link);
        match link {
            Some(link) => drop(self.waiting.remove(&link)),
            None => self.without_room = changes,
        }
        link
    }

    fn forget(&mut self, connection: ConnectionId) -> Option<LinkId> {
        let link = self.by_connection.remove(&connection)?;
        self.by_link.remove(&link);
        self.waiting.remove(&link);
        self.held.remove(&connection);
        Some(link)
    }

    fn handle_event(&mut self, now: Now, event: EndpointEvent, names: &mut LinkNames) {
        let known = |connection| self.by_connection.get(&connection).copied();
        let event = match event {
            EndpointEvent::Connected { connection, remote } => {
                let remote = without_socket(remote);
                known(connection).map(|link| CarrierEvent::Authenticated { link, remote })
            }
            EndpointEvent::Accepted { connection, remote } => {
                let link = names.next();
                self.by_link.insert(link, connection);
                self.by_connection.insert(connection, link);
                Some(CarrierEvent::Authenticated { link, remote: without_socket(remote) })
            }
            EndpointEvent::Message { connection, lane, delivery, body } => {
                let link = known(connection);
                match self.held.get_mut(&connection) {
                    Some(unreleased) => unreleased.push(body.len()),
                    None => self.endpoint.release(now, connection, body.len()),
                }
                self.traffic.messages_received += 1;
                link.map(|link| match (delivery, Lane::from_number(lane)) {
                    (Delivery::Ordered, Some(lane)) => CarrierEvent::Message { link, lane, body },
                    _ => CarrierEvent::Failed {
                        link,
                        why: LinkFault::violation("a message in no order of links"),
                    },
                })
            }
            EndpointEvent::Moved { connection, addr } => {
                let (_, addr) = ExtraSocket::split(addr);
                known(connection).map(|link| CarrierEvent::Moved { link, addr })
            }
            EndpointEvent::Finished { connection, reason } => {
                let why = LinkFault::Closed(reason);
                known(connection).map(|link| CarrierEvent::Failed { link, why })
            }
            EndpointEvent::Closed { connection, why } => return self.closed(connection, why),
            // A link has no streams: whoever opens one is told that nobody reads it.
            EndpointEvent::StreamReadable { connection, stream } => {
                return self.endpoint.drop_stream(now, connection, stream, 0);
            }
            // Whether there is room is looked at in any case.
            EndpointEvent::Drained { .. }
            | EndpointEvent::Writable { .. }
            | EndpointEvent::StreamWritable { .. }
            | EndpointEvent::StreamStopped { .. }
            | EndpointEvent::StreamsAvailable { .. } => None,
        };
        self.events.extend(event);
    }

    fn closed(&mut self, connection: ConnectionId, why: Closed) {
        let Some(link) = self.forget(connection) else { return };
        let (down, fault) = match why {
            Closed::NoAnswer | Closed::Silent => (LinkDown::TimedOut, None),
            Closed::NoWay => (LinkDown::Unreachable(why.to_string()), None),
            Closed::CipherLimit => (LinkDown::Reset, Some(LinkFault::Forged)),
            Closed::ByUs(reason) => {
                (LinkDown::HungUp, Some(LinkFault::Handshake(HandshakeFailure::Refused(reason))))
            }
            Closed::ByPeer(reason) => (LinkDown::Reset, Some(LinkFault::Closed(reason))),
            Closed::Violation { what, misbehavior } => {
                (LinkDown::Reset, Some(LinkFault::Violation { what, misbehavior }))
            }
            Closed::Handshake(what) => {
                (LinkDown::Reset, Some(LinkFault::Handshake(HandshakeFailure::Broken(what))))
            }
            Closed::WrongNode { found } => {
                (LinkDown::Reset, Some(LinkFault::Handshake(HandshakeFailure::WrongNode { found })))
            }
            Closed::Ourselves => {
                (LinkDown::Reset, Some(LinkFault::Handshake(HandshakeFailure::Ourselves)))
            }
        };
        self.events.extend(fault.map(|why| CarrierEvent::Failed { link, why }));
        self.events.push_back(CarrierEvent::Closed { link, why: down });
    }
}

/// Which of our sockets it is reached over is nobody's business above.
fn without_socket(remote: RemoteNode) -> RemoteNode {
    RemoteNode { addr: ExtraSocket::split(remote.addr).1, ..remote }
}

impl Carrier for DatagramCarrier {
    fn connect(&mut self, now: Now, link: LinkId, dial: &DialRequest) -> Result<(), DialFailure> {
        let DialRequest { to, expect, noise_static, effort, .. } = *dial;
        let connect = match effort {
            Effort::Full => self.endpoint.connect(now, to, expect, noise_static),
            Effort::Packets(syns) => self.endpoint.knock(now, to, expect, noise_static, syns),
        };
        let connection = connect.map_err(|why| match why {
            NotDialled::TooMany => DialFailure::Link(LinkDown::Other(why.to_string())),
            NotDialled::BadAddress(_) => DialFailure::Link(LinkDown::Unreachable(why.to_string())),
            NotDialled::Handshake => HandshakeFailure::Broken("no handshake can be started").into(),
        })?;
        self.by_link.insert(link, connection);
        self.by_connection.insert(connection, link);
        Ok(())
    }

    fn order(&self) -> CarrierOrder {
        CarrierOrder::OfLanes
    }

    fn largest_message(&self, _link: LinkId) -> usize {
        MAX_DATAGRAM_MESSAGE
    }

    fn has_room(&mut self, link: LinkId, lane: Lane) -> bool {
        let is_open = self.is_open(link, lane);
        if !is_open {
            let waits = self.waiting.entry(link).or_insert(lane);
            *waits = lane.min(*waits);
        }
        is_open
    }

    fn begin(&mut self, _link: LinkId) -> Draft {
        Draft::sharing()
    }

    /// The caller saw that there is room. If the connection refuses all the same it is of no use:
    /// what it was given comes again over the next one.
    fn send(&mut self, now: Now, link: LinkId, lane: Lane, message: Draft) {
        let Some(&connection) = self.by_link.get(&link) else { return };
        if message.is_empty() {
            return;
        }
        let body = Body::new(message.bytes.into(), message.tail);
        self.traffic.messages_sent += 1;
        match self.endpoint.send(now, connection, lane.number(), Delivery::Ordered, body) {
            // That it is closed, and why, is said by an event.
            Ok(()) | Err(NotQueued::Closed) => {}
            Err(_) => {
                self.endpoint.reset(now, connection, CloseReason::Timeout);
                self.forget(connection);
                self.events.push_back(CarrierEvent::Closed { link, why: LinkDown::TimedOut });
            }
        }
    }

    /// Packets are answered in any case, so that a link that is held lives.
    fn set_reading(&mut self, now: Now, link: LinkId, reading: Reading) {
        let Some(&connection) = self.by_link.get(&link) else { return };
        match reading {
            Reading::Held => drop(self.held.entry(connection).or_default()),
            Reading::Open => {
                for bytes in self.held.remove(&connection).unwrap_or_default() {
                    self.endpoint.release(now, connection, bytes);
                }
            }
        }
    }

    /// A connection says why by itself when it ends, after everything that was said before in any
    /// lane was acknowledged; so nothing is overtaken, and nothing that was acknowledged is lost.
    /// Where that would take long, because the peer is gone or goes on elsewhere, it ends at once.
    fn end(&mut self, now: Now, link: LinkId, how: LinkEnding, reason: CloseReason) {
        let Some(&connection) = self.by_link.get(&link) else { return };
        match how {
            LinkEnding::Close | LinkEnding::Answer => self.endpoint.close(now, connection, reason),
            LinkEnding::MoveOn | LinkEnding::Reset => self.endpoint.reset(now, connection, reason),
        }
    }

    fn heard(&self, link: LinkId) -> Option<Instant> {
        self.endpoint.heard(*self.by_link.get(&link)?)
    }

    fn is_drained(&self, link: LinkId) -> Option<bool> {
        self.endpoint.is_drained(*self.by_link.get(&link)?)
    }

    fn least_rtt(&self, link: LinkId) -> Option<Duration> {
        self.endpoint.least_rtt(*self.by_link.get(&link)?)
    }

    fn taken(&self, link: LinkId) -> u64 {
        let connection = self.by_link.get(&link);
        connection.and_then(|connection| self.endpoint.delivered_bytes(*connection)).unwrap_or(0)
    }

    fn wire_bytes(&self, link: LinkId) -> WireBytes {
        let connection = self.by_link.get(&link);
        connection.and_then(|it| self.endpoint.wire_bytes(*it)).unwrap_or_default()
    }

    fn poll_event(&mut self, now: Now, names: &mut LinkNames) -> Option<CarrierEvent> {
        while self.events.is_empty() {
            match self.endpoint.poll_event() {
                Some(event) => self.handle_event(now, event, names),
                None => {
                    let link = self.take_with_room()?;
                    self.events.push_back(CarrierEvent::Taken { link });
                }
            }
        }
        self.events.pop_front()
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}

//! Relayed streams that end here.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::{
    RelayEffect, RelayMessage, RelayRefusal,
    addresses::{RelayedAddresses, Route},
    message::RelayLabel,
};
use crate::{
    id::{LinkId, NodeId},
    limits::{MAX_RELAYED_LINKS, RELAY_PIECE, RELAY_WINDOW},
    metric::Level,
    misbehavior::Misbehavior,
    stream::contract::{Hangup, LinkDown, Reading},
};

/// The relayed streams of which this node is an end, as byte streams.
///
/// **Contract**: that of a socket. What was dialled is answered by [`RelayEffect::Connected`] or
/// [`RelayEffect::Down`]; each stream comes to one `Down`, its last word, also in answer to a
/// hangup. What is asked of one that is gone does nothing.
///
/// **Bounds**: [`MAX_RELAYED_LINKS`]; [`RELAY_WINDOW`] that the other end may have under way, for
/// each; what is written and may not go yet is the sessions' to bound.
#[derive(Debug, Default)]
pub(super) struct RelayedStreams {
    streams: BTreeMap<LinkId, Stream>,
    opening: BTreeMap<Route, LinkId>,
    open: BTreeMap<(NodeId, u64), LinkId>,
    accepted: u64,
}

#[derive(Debug)]
struct Stream {
    route: Route,
    /// What the relay calls it, once it is open.
    number: Option<u64>,
    /// What waits to be said, as far as the other end grants it.
    unsent: VecDeque<Bytes>,
    said: u64,
    may_say: u64,
    heard: u64,
    granted: u64,
    reading: Reading,
    /// It ends when all is said.
    ending: bool,
}

impl Stream {
    /// One that is not open yet.
    const fn new(route: Route) -> Self {
        Self {
            route,
            number: None,
            unsent: VecDeque::new(),
            said: 0,
            may_say: 0,
            heard: 0,
            granted: RELAY_WINDOW,
            reading: Reading::Open,
            ending: false,
        }
    }
}

impl RelayedStreams {
    /// Whether a link goes through a relay.
    pub(super) fn carries(&self, link: LinkId) -> bool {
        self.streams.contains_key(&link)
    }

    /// Has the relay of a route open a stream, if it is linked.
    pub(super) fn dial(
        &mut self,
        link: LinkId,
        route: Option<Route>,
        out: &mut VecDeque<RelayEffect>,
    ) {
        let failed = |why: &str| LinkDown::Unreachable(why.to_owned());
        let reason = match route {
            None => failed("the relay is not linked"),
            Some(_) if self.streams.len() >= MAX_RELAYED_LINKS => failed("too many relayed links"),
            Some(route) if self.opening.contains_key(&route) => failed("it is being dialled"),
            Some(route) => {
                self.streams.insert(link, Stream::new(route));
                self.opening.insert(route, link);
                let message = RelayMessage::Open(route.peer);
                return out.push_back(RelayEffect::Send { to: route.relay, message });
            }
        };
        out.push_back(RelayEffect::Down { link, reason });
    }

    /// Writes all of it, as fast as the other end reads.
    pub(super) fn write(&mut self, link: LinkId, bytes: Bytes, out: &mut VecDeque<RelayEffect>) {
        let Some(stream) = self.streams.get_mut(&link).filter(|stream| !stream.ending) else {
            return;
        };
        stream.unsent.push_back(bytes);
        self.say(link, out);
    }

    /// Reads a stream, or not: what is not read is not granted anew.
    pub(super) fn set_reading(
        &mut self,
        link: LinkId,
        reading: Reading,
        out: &mut VecDeque<RelayEffect>,
    ) {
        if let Some(stream) = self.streams.get_mut(&link) {
            stream.reading = reading;
            stream.grant(out);
        }
    }

    /// Ends a stream.
    pub(super) fn hang_up(&mut self, link: LinkId, how: Hangup, out: &mut VecDeque<RelayEffect>) {
        let Some(stream) = self.streams.get_mut(&link) else { return };
        stream.ending = true;
        if how == Hangup::Abort {
            stream.unsent.clear();
        }
        if stream.unsent.is_empty() {
            self.end(link, LinkDown::HungUp, true, out);
        }
    }

    /// A relay said something of a stream of ours.
    pub(super) fn handle_message(
        &mut self,
        relay: NodeId,
        message: RelayMessage,
        addresses: &mut RelayedAddresses,
        out: &mut VecDeque<RelayEffect>,
    ) {
        match message {
            RelayMessage::Opened { number, peer, asked } => {
                self.handle_opened(Route { relay, peer }, (number, asked), addresses, out);
            }
            RelayMessage::Refused { peer, why } => {
                self.handle_refused(Route { relay, peer }, why, out);
            }
            RelayMessage::Data { label, bytes } => {
                self.handle_data(relay, label.number, bytes, out);
            }
            RelayMessage::Credit { label, limit } => {
                let Some(link) = self.open.get(&(relay, label.number)).copied() else { return };
                if let Some(stream) = self.streams.get_mut(&link) {
                    stream.may_say = stream.may_say.max(limit);
                    self.say(link, out);
                }
            }
            RelayMessage::Close(label) => {
                if let Some(link) = self.open.get(&(relay, label.number)).copied() {
                    self.end(link, LinkDown::Eof, false, out);
                }
            }
            RelayMessage::Open(_) => {}
        }
    }

    fn handle_opened(
        &mut self,
        route: Route,
        (number, asked): (u64, bool),
        addresses: &mut RelayedAddresses,
        out: &mut VecDeque<RelayEffect>,
    ) {
        let relay = route.relay;
        if self.open.contains_key(&(relay, number)) {
            let what = Misbehavior::ProtocolViolation;
            return out.push_back(RelayEffect::Misbehaved { peer: relay, what });
        }
        let link = if asked {
            self.opening.remove(&route)
        } else {
            let has_room = self.streams.len() < MAX_RELAYED_LINKS;
            has_room.then(|| {
                let link = LinkId::of_relay(self.accepted);
                self.accepted += 1;
                self.streams.insert(link, Stream::new(route));
                link
            })
        };
        let Some(link) = link else {
            let message = RelayMessage::Close(by_end(number));
            return out.push_back(RelayEffect::Send { to: relay, message });
        };
        self.open.insert((relay, number), link);
        if let Some(stream) = self.streams.get_mut(&link) {
            stream.number = Some(number);
        }
        out.push_back(match asked {
            true => RelayEffect::Connected(link),
            false => RelayEffect::Accepted { link, from: addresses.of(route) },
        });
    }

    fn handle_refused(&mut self, route: Route, why: RelayRefusal, out: &mut VecDeque<RelayEffect>) {
        if let Some(link) = self.opening.get(&route).copied() {
            self.end(link, LinkDown::Unreachable(why.to_string()), false, out);
        }
    }

    fn handle_data(
        &mut self,
        relay: NodeId,
        number: u64,
        bytes: Bytes,
        out: &mut VecDeque<RelayEffect>,
    ) {
        let Some(link) = self.open.get(&(relay, number)).copied() else { return };
        let Some(stream) = self.streams.get_mut(&link) else { return };
        stream.heard += as_u64(bytes.len());
        if stream.heard > stream.granted {
            let what = Misbehavior::Flooding;
            out.push_back(RelayEffect::Misbehaved { peer: relay, what });
            return self.end(link, LinkDown::Reset, true, out);
        }
        out.push_back(RelayEffect::Bytes { link, bytes });
        stream.grant(out);
    }

    /// A stream lost something on its way.
    pub(super) fn give_up(&mut self, relay: &NodeId, number: u64, out: &mut VecDeque<RelayEffect>) {
        if let Some(link) = self.open.get(&(*relay, number)).copied() {
            self.end(link, LinkDown::Reset, true, out);
        }
    }

    /// A relay could not be asked.
    pub(super) fn handle_unasked(
        &mut self,
        relay: NodeId,
        peer: NodeId,
        out: &mut VecDeque<RelayEffect>,
    ) {
        if let Some(link) = self.opening.get(&Route { relay, peer }).copied() {
            self.end(link, LinkDown::Unreachable("the relay is not linked".to_owned()), false, out);
        }
    }

    /// The session with a relay is over.
    pub(super) fn peer_down(&mut self, relay: &NodeId, out: &mut VecDeque<RelayEffect>) {
        let through = |stream: &Stream| stream.route.relay == *relay;
        let over: Vec<LinkId> =
            self.streams.iter().filter(|(_, it)| through(it)).map(|(link, _)| *link).collect();
        for link in over {
            self.end(link, LinkDown::Reset, false, out);
        }
    }

    /// Says what may be said.
    fn say(&mut self, link: LinkId, out: &mut VecDeque<RelayEffect>) {
        let Some(stream) = self.streams.get_mut(&link) else { return };
        let Some(number) = stream.number else { return };
        let mut written = 0;
        while let Some(front) = stream.unsent.front_mut() {
            let room = usize::try_from(stream.may_say - stream.said).unwrap_or(usize::MAX);
            let len = front.len().min(RELAY_PIECE).min(room);
            if len == 0 && !front.is_empty() {
                break;
            }
            let bytes = front.split_to(len);
            if front.is_empty() {
                stream.unsent.pop_front();
            }
            if bytes.is_empty() {
                continue;
            }
            stream.said += as_u64(len);
            written += len;
            let message = RelayMessage::Data { label: by_end(number), bytes };
            out.push_back(RelayEffect::Send { to: stream.route.relay, message });
        }
        if written > 0 {
            out.push_back(RelayEffect::Written { link, bytes: written });
        }
        if stream.ending && stream.unsent.is_empty() {
            self.end(link, LinkDown::HungUp, true, out);
        }
    }

    /// A stream is over; the relay is told if it does not know.
    fn end(&mut self, link: LinkId, reason: LinkDown, tell: bool, out: &mut VecDeque<RelayEffect>) {
        let Some(stream) = self.streams.remove(&link) else { return };
        let relay = stream.route.relay;
        match stream.number {
            Some(number) => {
                self.open.remove(&(relay, number));
                if tell {
                    let message = RelayMessage::Close(by_end(number));
                    out.push_back(RelayEffect::Send { to: relay, message });
                }
            }
            None => {
                self.opening.remove(&stream.route);
            }
        }
        out.push_back(RelayEffect::Down { link, reason });
    }

    /// Streams, and the most that there can be.
    pub(super) fn level(&self) -> Level {
        Level::new(self.streams.len(), MAX_RELAYED_LINKS)
    }
}

impl Stream {
    /// Grants a window beyond what was heard, when half of one can be granted anew.
    fn grant(&mut self, out: &mut VecDeque<RelayEffect>) {
        let limit = self.heard + RELAY_WINDOW;
        let Some(number) = self.number else { return };
        if self.reading == Reading::Open && limit - self.granted >= RELAY_WINDOW / 2 {
            self.granted = limit;
            let message = RelayMessage::Credit { label: by_end(number), limit };
            out.push_back(RelayEffect::Send { to: self.route.relay, message });
        }
    }
}

const fn by_end(number: u64) -> RelayLabel {
    RelayLabel { number, by_relay: false }
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

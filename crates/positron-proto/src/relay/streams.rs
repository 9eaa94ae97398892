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
    limits::{MAX_RELAYED_LINKS, MAX_RELAYED_LINKS_PER_RELAY, RELAY_PIECE, RELAY_WINDOW},
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
/// **Bounds**: [`MAX_RELAYED_LINKS`], [`MAX_RELAYED_LINKS_PER_RELAY`] of them; [`RELAY_WINDOW`]
/// that the other end may have under way, for each; what is written and may not go yet is the
/// sessions' to bound.
#[derive(Debug, Default)]
pub(super) struct RelayedStreams {
    streams: BTreeMap<LinkId, Stream>,
    /// By whom was asked, and with which tag.
    opening: BTreeMap<(NodeId, u64), LinkId>,
    open: BTreeMap<(NodeId, u64), LinkId>,
    accepted: u64,
    /// Tags that were used.
    asked: u64,
}

#[derive(Debug)]
struct Stream {
    route: Route,
    /// The tag with which it was asked for, as long as it is not open.
    tag: Option<u64>,
    /// What the relay calls it, once it is open.
    number: Option<u64>,
    /// Whether the relay sees both ends at one address.
    is_one_site: bool,
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
    const fn new(route: Route, tag: Option<u64>) -> Self {
        Self {
            route,
            tag,
            number: None,
            is_one_site: false,
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
            Some(route) if self.is_opening(route) => failed("it is being dialled"),
            Some(route) if self.through(&route.relay) >= MAX_RELAYED_LINKS_PER_RELAY => {
                failed("too many links through that relay")
            }
            Some(route) => {
                let tag = self.asked;
                self.asked += 1;
                self.streams.insert(link, Stream::new(route, Some(tag)));
                self.opening.insert((route.relay, tag), link);
                let message = RelayMessage::Open { tag, peer: route.peer };
                return out.push_back(RelayEffect::Send { to: route.relay, message });
            }
        };
        out.push_back(RelayEffect::Down { link, reason });
    }

    /// Whether a stream is asked for.
    fn is_opening(&self, route: Route) -> bool {
        self.streams.values().any(|stream| stream.route == route && stream.tag.is_some())
    }

    /// How many go through one relay.
    fn through(&self, relay: &NodeId) -> usize {
        self.streams.values().filter(|stream| stream.route.relay == *relay).count()
    }

    /// Whether the relay of an open stream sees its ends at one address.
    pub(super) fn is_one_site(&self, route: Route) -> bool {
        self.streams.values().any(|stream| stream.route == route && stream.is_one_site)
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
            RelayMessage::Opened { number, peer, asked, one_site } => {
                let link = self.handle_opened(Route { relay, peer }, number, asked, addresses, out);
                if let Some(stream) = link.and_then(|link| self.streams.get_mut(&link)) {
                    stream.is_one_site = one_site;
                }
            }
            RelayMessage::Refused { tag, why, .. } => self.handle_refused(relay, tag, why, out),
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
            RelayMessage::Open { .. } => {}
        }
    }

    /// The stream that is open now, if it is wanted.
    fn handle_opened(
        &mut self,
        route: Route,
        number: u64,
        asked: Option<u64>,
        addresses: &mut RelayedAddresses,
        out: &mut VecDeque<RelayEffect>,
    ) -> Option<LinkId> {
        let relay = route.relay;
        if self.open.contains_key(&(relay, number)) {
            let what = Misbehavior::ProtocolViolation;
            out.push_back(RelayEffect::Misbehaved { peer: relay, what });
            return None;
        }
        let link = match asked {
            Some(tag) => self.take_asked(route, tag),
            None => self.accept(route),
        };
        let Some(link) = link else {
            let message = RelayMessage::Close(by_end(number));
            out.push_back(RelayEffect::Send { to: relay, message });
            return None;
        };
        self.open.insert((relay, number), link);
        if let Some(stream) = self.streams.get_mut(&link) {
            (stream.tag, stream.number) = (None, Some(number));
        }
        out.push_back(match asked {
            Some(_) => RelayEffect::Connected(link),
            None => RelayEffect::Accepted { link, from: addresses.of(route) },
        });
        Some(link)
    }

    /// The stream that was asked for with this tag, if it is still wanted and goes to that node.
    fn take_asked(&mut self, route: Route, tag: u64) -> Option<LinkId> {
        let link = *self.opening.get(&(route.relay, tag))?;
        if self.streams.get(&link)?.route != route {
            return None;
        }
        self.opening.remove(&(route.relay, tag))
    }

    /// One that the other end asked for, if there is room.
    fn accept(&mut self, route: Route) -> Option<LinkId> {
        let has_room = self.streams.len() < MAX_RELAYED_LINKS
            && self.through(&route.relay) < MAX_RELAYED_LINKS_PER_RELAY;
        has_room.then(|| {
            let link = LinkId::of_relay(self.accepted);
            self.accepted += 1;
            self.streams.insert(link, Stream::new(route, None));
            link
        })
    }

    fn handle_refused(
        &mut self,
        relay: NodeId,
        tag: u64,
        why: RelayRefusal,
        out: &mut VecDeque<RelayEffect>,
    ) {
        if let Some(link) = self.opening.get(&(relay, tag)).copied() {
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
        tag: u64,
        out: &mut VecDeque<RelayEffect>,
    ) {
        if let Some(link) = self.opening.get(&(relay, tag)).copied() {
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
        if let Some(tag) = stream.tag {
            self.opening.remove(&(relay, tag));
        }
        if let Some(number) = stream.number {
            self.open.remove(&(relay, number));
            if tell {
                let message = RelayMessage::Close(by_end(number));
                out.push_back(RelayEffect::Send { to: relay, message });
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

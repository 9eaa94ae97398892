//! The machine: who opens, what each message and order comes to, whose session is up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::{
    Label, NotOpened, OpenedBy, SubstreamCounters, SubstreamEffect, SubstreamEnd, SubstreamId,
    SubstreamLevels, SubstreamMessage, SubstreamNews, SubstreamOrder,
    ghosts::Ghosts,
    peer_table::{MESSAGE_HEAD, PeerTable, label},
    receive_half::Wrong,
};
use crate::{
    deadlines::Deadlines,
    id::{NodeId, Ticket},
    limits::{
        MAX_SUBSTREAM_BYTES, MAX_SUBSTREAMS, MAX_SUBSTREAMS_PER_PEER, PROBE_AFTER,
        SUBSTREAM_OPEN_TIMEOUT, SUBSTREAM_RECONNECT, SUBSTREAM_WINDOW_FIRST,
    },
    metric::Level,
    misbehavior::Misbehavior,
    time::{Instant, Now},
};

/// All substreams of a node.
///
/// Every [`open`](Self::open) that was taken ends with one [`SubstreamEffect::Opened`]. Each
/// substream that it gives, or that [`SubstreamNews::Incoming`] tells of, ends in each direction
/// with exactly one of [`SubstreamNews::Delivered`], [`SubstreamNews::Stopped`] or an order to
/// reset, and of [`SubstreamNews::Finished`], [`SubstreamNews::Reset`] or an order to stop.
///
/// Say [`peer_up`](Self::peer_up) and [`peer_down`](Self::peer_down) of every session. When an
/// input is done with, call [`fill`](Self::fill) for each peer that [`wanting`](Self::wanting)
/// names, with the room in its lane: what does not fit waits here.
///
/// Bounded by [`MAX_SUBSTREAMS_PER_PEER`], [`MAX_SUBSTREAMS`] and, in what others may make us keep,
/// by [`SUBSTREAM_SHARE_PER_PEER`](crate::limits::SUBSTREAM_SHARE_PER_PEER) beside the first window
/// of each, and [`MAX_SUBSTREAM_BYTES`]; what the application writes, by the application.
#[derive(Debug)]
pub struct Substreams {
    peers: BTreeMap<NodeId, PeerTable>,
    /// Who has something to send.
    wanting: BTreeSet<NodeId>,
    /// Those that wait for a link.
    opening: BTreeMap<Ticket, NodeId>,
    /// Ends that were sent and not acknowledged.
    finishing: BTreeMap<Ticket, SubstreamId>,
    ghosts: Ghosts,
    deadlines: Deadlines<SubstreamWake>,
    /// The number of the next that we open, to anybody.
    next_number: u64,
    counters: SubstreamCounters,
}

/// Why substreams wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SubstreamWake {
    /// No link came up in time.
    Expire(Ticket),
    /// A link that is waited for did not come up.
    Reconnect(NodeId),
    /// There is a substream with this peer.
    Awaited(NodeId),
}

impl Default for Substreams {
    /// None.
    fn default() -> Self {
        Self {
            peers: BTreeMap::new(),
            wanting: BTreeSet::new(),
            opening: BTreeMap::new(),
            finishing: BTreeMap::new(),
            ghosts: Ghosts::new(),
            deadlines: Deadlines::new(),
            next_number: 0,
            counters: SubstreamCounters::default(),
        }
    }
}

impl Substreams {
    /// Opens one to a node that is linked or can be dialled.
    pub fn open(
        &mut self,
        now: Now,
        to: NodeId,
        ticket: Ticket,
        out: &mut VecDeque<SubstreamEffect>,
    ) -> Result<(), NotOpened> {
        if self.opening.len() + self.count() >= MAX_SUBSTREAMS {
            return Err(NotOpened::TooMany);
        }
        match self.peers.get(&to) {
            Some(table) if table.len() >= MAX_SUBSTREAMS_PER_PEER => Err(NotOpened::TooMany),
            Some(_) => {
                self.deadlines.set_earliest(SubstreamWake::Awaited(to), now.mono + PROBE_AFTER);
                self.open_now(to, ticket, out);
                Ok(())
            }
            None => {
                self.opening.insert(ticket, to);
                let expire = SubstreamWake::Expire(ticket);
                self.deadlines.set(expire, now.mono + SUBSTREAM_OPEN_TIMEOUT);
                if self.deadlines.get(SubstreamWake::Reconnect(to)).is_none() {
                    self.connect(now, to, out);
                }
                Ok(())
            }
        }
    }

    /// What the application wants of one. Nothing happens if it is over.
    pub fn handle_order(
        &mut self,
        _now: Now,
        id: SubstreamId,
        order: SubstreamOrder,
        out: &mut VecDeque<SubstreamEffect>,
    ) {
        let elsewhere = self.room();
        let Some(table) = self.peers.get_mut(&id.peer) else { return };
        match order {
            SubstreamOrder::Write(bytes) => {
                table.step(&id, |it| it.send.write(bytes));
            }
            SubstreamOrder::Finish => {
                table.step(&id, |it| it.send.finish());
            }
            SubstreamOrder::Reset(code) => {
                table.step(&id, |it| it.send.reset(code));
            }
            SubstreamOrder::Consumed(bytes) => {
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                table.step(&id, |it| it.receive.consume(bytes));
                if let Some(message) = table.grant(&id, elsewhere) {
                    out.push_back(SubstreamEffect::Send { to: id.peer, message, finishes: None });
                }
            }
            SubstreamOrder::Stop(code) => {
                let stopped = table.step(&id, |it| {
                    let tell = it.receive.is_open();
                    it.receive.end();
                    tell
                });
                if stopped == Some(true) {
                    let (label, why) = (label(&id), SubstreamEnd::Application(code));
                    let message = SubstreamMessage::Stop { label, why };
                    out.push_back(SubstreamEffect::Send { to: id.peer, message, finishes: None });
                }
            }
        }
        self.note_wanting(id.peer);
    }

    /// A [`SubstreamMessage`] came in.
    pub fn handle_message(
        &mut self,
        now: Now,
        from: NodeId,
        message: SubstreamMessage,
        out: &mut VecDeque<SubstreamEffect>,
    ) {
        self.deadlines.set_earliest(SubstreamWake::Awaited(from), now.mono + PROBE_AFTER);
        let id = |label: Label| SubstreamId {
            peer: from,
            opener: if label.by_sender { OpenedBy::Peer } else { OpenedBy::Us },
            number: label.number,
        };
        match message {
            SubstreamMessage::Data { label, offset, fin, bytes } => {
                self.handle_data(id(label), (offset, fin, bytes), out);
            }
            SubstreamMessage::Credit { label, limit } => {
                let id = id(label);
                self.step(&id, |table| table.step(&id, |it| it.send.handle_credit(limit)));
            }
            SubstreamMessage::Reset { label, why } => {
                let id = id(label);
                let ended = self.step(&id, |table| {
                    table.step(&id, |it| {
                        let was_open = it.receive.is_open();
                        it.receive.end();
                        was_open
                    })
                });
                self.tell_end(ended, id, SubstreamNews::Reset(why), out);
            }
            SubstreamMessage::Stop { label, why } => {
                let id = id(label);
                let ended = self.step(&id, |table| {
                    table.step(&id, |it| {
                        let was_open = !it.send.is_over();
                        it.send.end();
                        was_open
                    })
                });
                self.tell_end(ended, id, SubstreamNews::Stopped(why), out);
            }
        }
        self.note_wanting(from);
    }

    /// Nobody took what was to be said: it waits, if there is still a session.
    pub fn handle_not_sent(&mut self, to: NodeId, message: SubstreamMessage) {
        if let Some(table) = self.peers.get_mut(&to) {
            table.keep(message);
            self.wanting.insert(to);
        }
    }

    /// The end of a substream was given to the session, which tells of its arrival by this ticket.
    pub fn handle_finish_sent(&mut self, id: SubstreamId, ticket: Ticket) {
        self.finishing.insert(ticket, id);
    }

    /// The peer acknowledged the end of a substream, and so all of it.
    pub fn handle_delivered(
        &mut self,
        _now: Now,
        ticket: Ticket,
        out: &mut VecDeque<SubstreamEffect>,
    ) {
        let Some(id) = self.finishing.remove(&ticket) else { return };
        let delivered = self.step(&id, |table| table.step(&id, |it| it.send.handle_delivered()));
        self.tell_end(delivered, id, SubstreamNews::Delivered, out);
    }

    /// The session gave up the end of a substream; it is down, or the substream is over.
    pub fn handle_undelivered(&mut self, ticket: Ticket) {
        self.finishing.remove(&ticket);
    }

    /// Whose lanes are wanted.
    pub fn wanting(&self) -> Vec<NodeId> {
        self.wanting.iter().copied().collect()
    }

    /// Gives the lane of `peer` up to `room` bytes.
    pub fn fill(&mut self, peer: NodeId, mut room: usize, out: &mut VecDeque<SubstreamEffect>) {
        let Some(table) = self.peers.get_mut(&peer) else {
            self.wanting.remove(&peer);
            return;
        };
        while let Some((message, finishes)) = table.next(room) {
            if let SubstreamMessage::Data { bytes, label, .. } = &message {
                room = room.saturating_sub(bytes.len() + MESSAGE_HEAD);
                self.counters.bytes_sent += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                if !bytes.is_empty() {
                    let opener = if label.by_sender { OpenedBy::Us } else { OpenedBy::Peer };
                    let id = SubstreamId { peer, opener, number: label.number };
                    let news = SubstreamNews::Taken(bytes.len());
                    out.push_back(SubstreamEffect::News { id, news });
                }
            }
            out.push_back(SubstreamEffect::Send { to: peer, message, finishes });
        }
        self.note_wanting(peer);
    }

    /// A session with the process of `peer` that `boot` names is up.
    pub fn peer_up(
        &mut self,
        now: Now,
        peer: NodeId,
        boot: u64,
        out: &mut VecDeque<SubstreamEffect>,
    ) {
        self.peer_down(now, peer, out);
        self.peers.insert(peer, PeerTable::new(peer, boot));
        for message in self.ghosts.messages(&peer, boot) {
            out.push_back(SubstreamEffect::Send { to: peer, message, finishes: None });
        }
        self.deadlines.clear(SubstreamWake::Reconnect(peer));
        let waiting: Vec<Ticket> = self.waiting_for(peer).collect();
        self.deadlines.set_earliest(SubstreamWake::Awaited(peer), now.mono + PROBE_AFTER);
        for ticket in waiting {
            self.opening.remove(&ticket);
            self.deadlines.clear(SubstreamWake::Expire(ticket));
            self.open_now(peer, ticket, out);
        }
    }

    /// A session is down, and every substream in it is over.
    pub fn peer_down(&mut self, _now: Now, peer: NodeId, out: &mut VecDeque<SubstreamEffect>) {
        let Some(table) = self.peers.remove(&peer) else { return };
        self.wanting.remove(&peer);
        self.finishing.retain(|_, id| id.peer != peer);
        let boot = table.boot;
        let why = SubstreamEnd::SessionEnded;
        let mut ids = Vec::new();
        for (id, substream) in table.into_streams() {
            self.counters.lost += 1;
            ids.push(id);
            if !substream.send.is_over() {
                let news = SubstreamNews::Stopped(why);
                out.push_back(SubstreamEffect::News { id, news });
            }
            if substream.receive.is_open() {
                out.push_back(SubstreamEffect::News { id, news: SubstreamNews::Reset(why) });
            }
        }
        self.ghosts.add(peer, boot, ids);
    }

    /// The node stops: nothing that waits for a link will get one.
    pub fn give_up_all(&mut self, out: &mut VecDeque<SubstreamEffect>) {
        for ticket in std::mem::take(&mut self.opening).into_keys() {
            self.deadlines.clear(SubstreamWake::Expire(ticket));
            let outcome = Err(NotOpened::Stopping);
            out.push_back(SubstreamEffect::Opened { ticket, outcome });
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, out: &mut VecDeque<SubstreamEffect>) {
        while let Some(wake) = self.deadlines.pop_due(now.mono) {
            match wake {
                SubstreamWake::Expire(ticket) => {
                    if self.opening.remove(&ticket).is_some() {
                        let outcome = Err(NotOpened::NoLink);
                        out.push_back(SubstreamEffect::Opened { ticket, outcome });
                    }
                }
                SubstreamWake::Reconnect(peer) if self.waiting_for(peer).next().is_some() => {
                    self.connect(now, peer, out);
                }
                SubstreamWake::Reconnect(_) => {}
                SubstreamWake::Awaited(peer) => {
                    if self.peers.get(&peer).is_some_and(|table| table.len() > 0) {
                        out.push_back(SubstreamEffect::Awaited(peer));
                        self.deadlines.set(SubstreamWake::Awaited(peer), now.mono + PROBE_AFTER);
                    }
                }
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.next().map(|(at, _)| at)
    }

    /// What happened so far.
    pub const fn counters(&self) -> SubstreamCounters {
        self.counters
    }

    /// What is there, beside the most that there can be.
    pub fn levels(&self) -> SubstreamLevels {
        SubstreamLevels { open: Level::new(self.count(), MAX_SUBSTREAMS) }
    }

    /// How many there are with `peer`.
    pub fn level_with(&self, peer: &NodeId) -> Level {
        let open = self.peers.get(peer).map_or(0, PeerTable::len);
        Level::new(open, MAX_SUBSTREAMS_PER_PEER)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.peers.values().map(PeerTable::len).sum()
    }

    /// What others may make us keep, in bytes.
    pub fn taken(&self) -> u64 {
        self.peers.values().map(PeerTable::taken).sum()
    }

    fn handle_data(
        &mut self,
        id: SubstreamId,
        (offset, fin, bytes): (u64, bool, Bytes),
        out: &mut VecDeque<SubstreamEffect>,
    ) {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let opens = id.opener == OpenedBy::Peer && offset == 0;
        let (count, room) = (self.count(), self.room());
        let Some(table) = self.peers.get_mut(&id.peer) else { return };
        if opens && table.is_new(id.number) {
            let is_full = table.len() >= MAX_SUBSTREAMS_PER_PEER
                || count >= MAX_SUBSTREAMS
                || room < SUBSTREAM_WINDOW_FIRST;
            if is_full {
                self.counters.refused += 1;
                refuse(id, SubstreamEnd::Busy, out);
                return;
            }
            table.open(id.opener, id.number);
            self.counters.accepted += 1;
            out.push_back(SubstreamEffect::News { id, news: SubstreamNews::Incoming });
        } else if bytes.is_empty() && !fin {
            out.push_back(SubstreamEffect::Misbehaved {
                peer: id.peer,
                what: Misbehavior::ProtocolViolation,
            });
            return;
        }
        match table.step(&id, |it| it.receive.handle_piece(offset, len, fin)) {
            // Ours that is over, or of a session that the peer has not seen end.
            None => {
                self.counters.stray += 1;
                refuse(id, SubstreamEnd::Gone, out);
            }
            Some(Ok(false)) => self.counters.stray += 1,
            Some(Ok(true)) => {
                self.counters.bytes_received += len;
                if !bytes.is_empty() {
                    out.push_back(SubstreamEffect::News { id, news: SubstreamNews::Data(bytes) });
                }
                if fin {
                    out.push_back(SubstreamEffect::News { id, news: SubstreamNews::Finished });
                }
            }
            Some(Err(Wrong)) => out.push_back(SubstreamEffect::Misbehaved {
                peer: id.peer,
                what: Misbehavior::ProtocolViolation,
            }),
        }
    }

    fn open_now(&mut self, to: NodeId, ticket: Ticket, out: &mut VecDeque<SubstreamEffect>) {
        let Some(table) = self.peers.get_mut(&to) else { return };
        let id = table.open(OpenedBy::Us, self.next_number);
        self.next_number += 1;
        self.counters.opened += 1;
        out.push_back(SubstreamEffect::Opened { ticket, outcome: Ok(id) });
        self.note_wanting(to);
    }

    fn connect(&mut self, now: Now, to: NodeId, out: &mut VecDeque<SubstreamEffect>) {
        self.deadlines.set(SubstreamWake::Reconnect(to), now.mono + SUBSTREAM_RECONNECT);
        out.push_back(SubstreamEffect::Connect(to));
    }

    fn waiting_for(&self, peer: NodeId) -> impl Iterator<Item = Ticket> {
        self.opening.iter().filter(move |(_, to)| **to == peer).map(|(ticket, _)| *ticket)
    }

    fn step<T>(
        &mut self,
        id: &SubstreamId,
        what: impl FnOnce(&mut PeerTable) -> Option<T>,
    ) -> Option<T> {
        self.peers.get_mut(&id.peer).and_then(what)
    }

    /// Tells that a half has ended, if it was it that did.
    fn tell_end(
        &mut self,
        ended: Option<bool>,
        id: SubstreamId,
        news: SubstreamNews,
        out: &mut VecDeque<SubstreamEffect>,
    ) {
        match ended {
            Some(true) => out.push_back(SubstreamEffect::News { id, news }),
            Some(false) => {}
            None => self.counters.stray += 1,
        }
    }

    fn note_wanting(&mut self, peer: NodeId) {
        if self.peers.get(&peer).is_some_and(PeerTable::has_next) {
            self.wanting.insert(peer);
        } else {
            self.wanting.remove(&peer);
        }
    }

    /// What all others together may still be granted.
    fn room(&self) -> u64 {
        MAX_SUBSTREAM_BYTES.saturating_sub(self.taken())
    }
}

/// Both directions of a substream that there is not.
fn refuse(id: SubstreamId, why: SubstreamEnd, out: &mut VecDeque<SubstreamEffect>) {
    let (to, label) = (id.peer, label(&id));
    for message in [SubstreamMessage::Stop { label, why }, SubstreamMessage::Reset { label, why }] {
        out.push_back(SubstreamEffect::Send { to, message, finishes: None });
    }
}

//! The table of links: how far each is, which quota it takes, and when it is to be looked at.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
};

use bytes::Bytes;

use super::{
    admission::{Admission, Quota, TooMany},
    carrier::{Carrier, CarrierEvent, LinkEnding, LinkNames},
    carriers::Carriers,
    contract::{DialFailure, DialRequest, LinkKind, SessionEffect},
    fault::LinkFault,
    happy_eyeballs::AttemptId,
    link::SessionLink,
    partials_budget::{Partial, Partials},
    stage::{LinkEntry, Stage},
};
use crate::{
    datagram::contract::WireBytes,
    deadlines::Deadlines,
    id::{LinkId, NodeId},
    limits::{FLUSH_TIMEOUT, HANDSHAKE_TIMEOUT},
    metric::Histogram,
    stream::contract::StreamEffect,
    time::{Instant, Now, earliest},
    wire::frame::{CloseReason, Frame, Lane},
};

/// All links of a node with what carries them, from the first byte to the last.
///
/// A row is made by [`admit`](Self::admit) or [`dial`](Self::dial) and is there until its carrier
/// says that the link is over: then, exactly once, by [`remove`](Self::remove).
/// [`end`](Self::end) and [`close`](Self::close) only hang up. While a link flushes it keeps its
/// quota: whoever is told goodbye and does not go costs a descriptor like any other stranger.
///
/// Each row has a deadline, by which its [`Stage`] is to be looked at, and at most one more, by
/// which something better is to be tried ([`upgrade_at`](Self::upgrade_at)). A link that was hung
/// up has nothing else left here: no unfinished messages, nothing to be flushed, no upgrade.
///
/// It decides nothing about peers: which link stays, and what a fault means, is judged above.
///
/// Bounded by [`Admission`] for those that others dial, by what the caller dials for the rest, and
/// by [`MAX_PARTIAL_BYTES`](crate::limits::MAX_PARTIAL_BYTES) in unfinished messages.
#[derive(Debug)]
pub(super) struct LinkTable {
    carriers: Carriers,
    names: LinkNames,
    rows: BTreeMap<LinkId, LinkEntry>,
    door: Admission,
    partials: Partials,
    /// Links on which something waits to be sealed, and since when.
    unflushed: BTreeSet<LinkId>,
    unflushed_since: Option<Instant>,
    deadlines: Deadlines<LinkWake>,
    /// How long it took from when somebody was there until both ends agreed.
    handshakes: Histogram,
    /// What went through relays.
    relayed: WireBytes,
}

/// Why a link is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LinkWake {
    /// A handshake, the liveness of a session, or a hanging flush: what its stage says.
    Stage(LinkId),
    /// The session over it is to try a preferred kind again.
    Upgrade(LinkId),
}

/// Whether a stranger may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// Yes.
    Yes,
    /// Yes, and the one who waited longest was hung up on: there were too many in all.
    InsteadOfOldest,
    /// No, it was hung up on: its address has as many strangers as one may have.
    Refused,
}

/// A link of a session, and what carries it.
#[derive(Debug)]
pub(super) struct EstablishedLink<'a> {
    pub(super) link: &'a mut SessionLink,
    pub(super) carrier: &'a mut dyn Carrier,
    /// Bytes that the carrier was known to be rid of when that was looked at last.
    pub(super) taken: &'a mut u64,
}

impl LinkTable {
    pub(super) fn new(carriers: Carriers) -> Self {
        Self {
            carriers,
            names: LinkNames::default(),
            rows: BTreeMap::new(),
            door: Admission::default(),
            partials: Partials::default(),
            unflushed: BTreeSet::new(),
            unflushed_since: None,
            deadlines: Deadlines::new(),
            handshakes: Histogram::default(),
            relayed: WireBytes::default(),
        }
    }

    /// What carries the links: what sockets say goes to them at once.
    pub(super) const fn carriers(&self) -> &Carriers {
        &self.carriers
    }

    /// The same to change.
    pub(super) const fn carriers_mut(&mut self) -> &mut Carriers {
        &mut self.carriers
    }

    /// The next thing that happened, and to a link of which kind.
    pub(super) fn poll_event(&mut self, now: Now) -> Option<(LinkKind, CarrierEvent)> {
        let (kind, event) = self.carriers.poll_event(now, &mut self.names)?;
        Some((self.rows.get(&event.link()).map_or(kind, |entry| entry.kind), event))
    }

    /// Tells what is to be done with byte streams.
    pub(super) fn drain_effects(&mut self, out: &mut VecDeque<SessionEffect>) {
        while let Some(effect) = self.carriers.poll_effect() {
            out.push_back(match effect {
                StreamEffect::Dial { link, to } => {
                    let Some(LinkEntry { kind, .. }) = self.rows.get(&link) else { continue };
                    SessionEffect::Dial { link, kind: *kind, to }
                }
                StreamEffect::Write { link, bytes } => {
                    if self.is_relayed(link) {
                        self.relayed.sent += as_u64(bytes.len());
                    }
                    SessionEffect::Write { link, bytes }
                }
                StreamEffect::Hangup { link, how } => SessionEffect::Hangup { link, how },
                StreamEffect::Read { link, reading } => SessionEffect::Read { link, reading },
            });
        }
    }

    /// Bytes of a stream arrived: to be told before its carrier is.
    pub(super) fn handle_bytes(&mut self, link: LinkId, bytes: usize) {
        if self.is_relayed(link) {
            self.relayed.received += as_u64(bytes);
        }
    }

    /// What went through relays since the start, as bytes of streams.
    pub(super) const fn relayed(&self) -> WireBytes {
        self.relayed
    }

    fn is_relayed(&self, link: LinkId) -> bool {
        self.rows.get(&link).is_some_and(|entry| entry.kind == LinkKind::Relay)
    }

    /// Lets a stranger in front of the door, unless too many of its address are there; the stranger
    /// who waits longest gives way when there are too many in all.
    pub(super) fn admit(
        &mut self,
        now: Now,
        kind: LinkKind,
        link: LinkId,
        from: SocketAddr,
        stage: Stage,
    ) -> Admitted {
        match self.door.reserve(link, from) {
            Ok(place) => {
                self.rows.insert(link, LinkEntry::new(now.mono, kind, from, stage, place));
                self.deadlines.set(LinkWake::Stage(link), now.mono + HANDSHAKE_TIMEOUT);
            }
            Err(TooMany) => {
                self.rows.insert(
                    link,
                    LinkEntry::new(now.mono, kind, from, Stage::Closing, Quota::Free),
                );
                self.carriers.of(kind).end(
                    now,
                    link,
                    LinkEnding::Reset,
                    CloseReason::ConnectionsFull,
                );
                return Admitted::Refused;
            }
        }
        match self.door.oldest_beyond_limit() {
            Some(oldest) => {
                self.end(now, oldest, LinkEnding::Reset, CloseReason::ConnectionsFull);
                Admitted::InsteadOfOldest
            }
            None => Admitted::Yes,
        }
    }

    /// Dials for an attempt; something must answer by `until`.
    pub(super) fn dial(
        &mut self,
        now: Now,
        kind: LinkKind,
        dial: &DialRequest,
        attempt: AttemptId,
        until: Instant,
    ) -> Result<LinkId, DialFailure> {
        let link = self.names.next();
        self.carriers.of(kind).connect(now, link, dial)?;
        let stage = Stage::Connecting(attempt);
        self.rows.insert(link, LinkEntry::new(now.mono, kind, dial.to, stage, Quota::Free));
        self.deadlines.set(LinkWake::Stage(link), until);
        Ok(link)
    }

    /// Something answers where we dialled.
    pub(super) fn handle_reached(&mut self, now: Now, link: LinkId) {
        if let Some(entry) = self.rows.get_mut(&link)
            && let Stage::Connecting(attempt) = entry.stage
        {
            entry.stage = Stage::Initiating(attempt);
            entry.reached = now.mono;
            self.look_at(link, now.mono + HANDSHAKE_TIMEOUT);
        }
    }

    /// A dial is the last one of its attempt: where nothing says that nobody is there, it is not
    /// waited for as long.
    pub(super) fn shorten_dial(&mut self, now: Now, link: LinkId) {
        if let Some(LinkEntry { stage: Stage::Connecting(_), kind, .. }) = self.rows.get(&link)
            && let Some(alone) = kind.alone()
        {
            self.look_by(link, now.mono + alone);
        }
    }

    /// One record came in, in this lane: its frames are to be dealt with before the next one.
    pub(super) fn take_record(
        &mut self,
        id: LinkId,
        lane: Lane,
        record: Bytes,
    ) -> Result<(), LinkFault> {
        let Some(entry) = self.rows.get_mut(&id) else { return Ok(()) };
        let order = self.carriers.of(entry.kind).order();
        let Some(link) = entry.stage.link_mut() else { return Ok(()) };
        link.take_record(order, lane, record)
    }

    /// How far a link is.
    pub(super) fn stage(&self, link: LinkId) -> Option<&Stage> {
        self.rows.get(&link).map(|entry| &entry.stage)
    }

    /// The same to change.
    pub(super) fn stage_mut(&mut self, link: LinkId) -> Option<&mut Stage> {
        self.rows.get_mut(&link).map(|entry| &mut entry.stage)
    }

    /// A link, once it has keys.
    pub(super) fn link(&self, link: LinkId) -> Option<&SessionLink> {
        self.stage(link).and_then(Stage::link)
    }

    /// The link of a session with what carries it.
    pub(super) fn established(&mut self, id: LinkId) -> Option<EstablishedLink<'_>> {
        let LinkEntry { stage: Stage::Established(link), kind, taken, .. } =
            self.rows.get_mut(&id)?
        else {
            return None;
        };
        Some(EstablishedLink { link, carrier: self.carriers.of(*kind), taken })
    }

    /// Every link at every stage.
    pub(super) fn stages(&self) -> impl Iterator<Item = (LinkId, &Stage)> {
        self.rows.iter().map(|(link, entry)| (*link, &entry.stage))
    }

    /// The links to this peer that have keys.
    pub(super) fn links_to(&self, peer: &NodeId) -> Vec<LinkId> {
        let to_peer = |stage: &Stage| stage.link().is_some_and(|link| link.peer.id == *peer);
        self.stages().filter(|(_, stage)| to_peer(stage)).map(|(link, _)| link).collect()
    }

    /// Whether a dial of ours to `peer` waits for its PONG.
    pub(super) fn is_confirming(&self, peer: &NodeId) -> bool {
        self.stages().any(|(_, stage)| match stage {
            Stage::AwaitPong(_, link, _) => link.peer.id == *peer,
            _ => false,
        })
    }

    /// The other end has another address: who it is, if this is the link of a session.
    pub(super) fn handle_moved(&mut self, link: LinkId, addr: SocketAddr) -> Option<NodeId> {
        let entry = self.rows.get_mut(&link)?;
        self.door.handle_move(entry.place, entry.addr, addr);
        entry.addr = addr;
        let link = entry.stage.link_mut()?;
        link.peer.addr = addr;
        let peer = link.peer.id;
        matches!(entry.stage, Stage::Established(_)).then_some(peer)
    }

    /// Makes a link on which both ends agreed that of a session, and looks at it at once.
    pub(super) fn establish(&mut self, now: Now, id: LinkId) -> Option<&mut SessionLink> {
        let entry = self.rows.get_mut(&id)?;
        entry.stage.establish(now.mono);
        let Stage::Established(link) = &mut entry.stage else { return None };
        self.handshakes.note(now.mono.since(entry.reached));
        self.door.release(entry.place, entry.addr);
        entry.place = Quota::Free;
        self.deadlines.set(LinkWake::Stage(id), now.mono);
        Some(link)
    }

    /// Says one frame of lane 0 on a link.
    pub(super) fn say(&mut self, now: Now, id: LinkId, frame: &Frame) {
        let Some(entry) = self.rows.get(&id) else { return };
        let carrier = self.carriers.of(entry.kind);
        let mut record = carrier.begin(id);
        frame.encode(&mut record.bytes);
        carrier.send(now, id, Lane::CONTROL, record);
    }

    /// Says why, and ends a link after what was said before. Where its session goes on over another
    /// one, or the peer is gone, nothing waits for that: what was not acknowledged comes again over
    /// the next link.
    pub(super) fn close(&mut self, now: Now, id: LinkId, reason: CloseReason) {
        let Some(stage) = self.stage(id) else { return };
        // Nobody waits for who is banned: nothing may be heard from where it is.
        let moved_on = matches!(
            (stage, &reason),
            (
                Stage::Established(_),
                CloseReason::Banned
                    | CloseReason::Duplicate
                    | CloseReason::OtherProcess(_)
                    | CloseReason::Timeout
                    | CloseReason::SlowReader
                    | CloseReason::MemoryFull
                    | CloseReason::RecordBroken
            )
        );
        let how = if moved_on { LinkEnding::MoveOn } else { LinkEnding::Close };
        self.end(now, id, how, reason);
    }

    /// Ends a link. What still arrives is dropped; it is forgotten when its carrier says that it is
    /// over.
    pub(super) fn end(&mut self, now: Now, link: LinkId, how: LinkEnding, reason: CloseReason) {
        let Some(entry) = self.rows.get_mut(&link) else { return };
        entry.stage = Stage::Closing;
        let kind = entry.kind;
        if how == LinkEnding::Reset {
            self.door.release(entry.place, entry.addr);
            entry.place = Quota::Free;
            self.deadlines.clear(LinkWake::Stage(link));
        } else {
            self.deadlines.set(LinkWake::Stage(link), now.mono + FLUSH_TIMEOUT);
        }
        self.lay_down(link);
        self.carriers.of(kind).end(now, link, how, reason);
    }

    /// The carrier says that a link is over: it is forgotten. How far it was.
    pub(super) fn remove(&mut self, link: LinkId) -> Option<Stage> {
        let entry = self.rows.remove(&link)?;
        self.deadlines.clear(LinkWake::Stage(link));
        self.lay_down(link);
        self.door.release(entry.place, entry.addr);
        Some(entry.stage)
    }

    /// Nothing more is expected of a link, nor given to it.
    fn lay_down(&mut self, link: LinkId) {
        self.partials.note(link, None);
        self.unflushed.remove(&link);
        self.deadlines.clear(LinkWake::Upgrade(link));
    }

    /// What the unfinished messages of a link take now.
    pub(super) fn note_partial(&mut self, link: LinkId, partial: Option<Partial>) {
        self.partials.note(link, partial);
    }

    /// The link whose unfinished message has to give way, if they take too much in all.
    pub(super) fn longest_partial_beyond_limit(&self) -> Option<LinkId> {
        self.partials.longest_beyond_limit()
    }

    /// Something waits to be sealed on this link.
    pub(super) fn ask_for_flush(&mut self, now: Now, link: LinkId) {
        self.unflushed.insert(link);
        self.unflushed_since.get_or_insert(now.mono);
    }

    /// The links on which something waits to be sealed; call until `None`.
    pub(super) fn take_unflushed(&mut self) -> Option<BTreeSet<LinkId>> {
        if self.unflushed.is_empty() {
            self.unflushed_since = None;
            return None;
        }
        Some(core::mem::take(&mut self.unflushed))
    }

    /// Looks at a link at this time.
    pub(super) fn look_at(&mut self, link: LinkId, at: Instant) {
        self.deadlines.set(LinkWake::Stage(link), at);
    }

    /// Looks at a link at this time or earlier.
    pub(super) fn look_by(&mut self, link: LinkId, at: Instant) {
        self.deadlines.set_earliest(LinkWake::Stage(link), at);
    }

    /// Something better than this link is to be tried at this time.
    pub(super) fn upgrade_at(&mut self, link: LinkId, at: Instant) {
        self.deadlines.set(LinkWake::Upgrade(link), at);
    }

    /// A link that is to be looked at.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<LinkWake> {
        self.deadlines.pop_due(now)
    }

    /// When [`pop_due`](Self::pop_due) has something, or something waits to be sealed.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.next().map(|(at, _)| at);
        earliest([self.unflushed_since, deadline])
    }

    /// How long it took from when somebody was there until both ends agreed.
    pub(super) const fn handshakes(&self) -> Histogram {
        self.handshakes
    }

    /// Bytes that unfinished messages take.
    pub(super) const fn partial_bytes(&self) -> usize {
        self.partials.bytes()
    }
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

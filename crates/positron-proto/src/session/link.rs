//! One link with keys: bytes to frames and back, and whether the other end lives.

use bytes::{Bytes, BytesMut};

use super::{
    carrier::CarrierOrder,
    contract::{LinkKind, Peer},
    credit::{ReceiveCredit, SendCredit},
    fault::LinkFault,
    keep_alive::KeepAlive,
    partials_budget::Partial,
};
use crate::{
    handshake::{Direction, RemoteNode},
    id::{LinkId, NodeId},
    limits::{MAX_MESSAGE, MAX_RECORD},
    metric::Level,
    time::Instant,
    wire::{
        codec::Reader,
        frame::{Frame, Lane},
    },
};

/// A link whose other end is known.
///
/// Each message that its carrier brings goes in by [`take_record`](Self::take_record), and then
/// through [`next_frame`](Self::next_frame) until that returns `None`.
/// Whether the peer is still there is for its [`KeepAlive`] to say. After a [`LinkFault`] the link
/// is to be ended.
///
/// A *record* is what frames travel in: a message of whatever carries the link.
///
/// It holds no buffer while nothing is incomplete: at most one partial message per lane, which
/// grows as bytes arrive. Whoever keeps a message holds at most twice its bytes: a peer that wraps
/// 100 of them into 16 KiB of ignored frames would cost 160 times what the limits of the rooms
/// count.
#[derive(Debug)]
pub(super) struct SessionLink {
    pub(super) peer: Peer,
    pub(super) since: Instant,
    /// When it became the link of its session, if it did.
    pub(super) raised: Instant,
    /// Counts the links that whoever dialled it dialled.
    pub(super) order: u64,
    /// Whether who dialled it held an earlier link for dead.
    pub(super) failover: bool,
    /// What it is made of.
    pub(super) kind: LinkKind,
    /// What is left of the record that arrived last.
    frames: Reader,
    /// What a slice of that record keeps in memory, about.
    held: usize,
    /// The lane in which it came, if that binds its frames.
    at_hand: Option<Lane>,
    /// Messages of which only the beginning has arrived.
    assemblies: [Option<Assembly>; Lane::KNOWN.len()],
    pub(super) keep_alive: KeepAlive,
    /// What the other end lets us send.
    pub(super) send_credit: SendCredit,
    /// What we let it send, if we have a limit.
    pub(super) receive_credit: Option<ReceiveCredit>,
}

/// The first PING of a link that was dialled because an earlier one is held for dead has this bit
/// set in its token [PROTOCOL 5.2].
pub(super) const FAILOVER_BIT: u64 = 1 << 63;

/// A message in parts, as far as it has arrived.
#[derive(Debug)]
struct Assembly {
    since: Instant,
    number: u64,
    total: u32,
    body: BytesMut,
}

impl SessionLink {
    pub(super) fn new(remote: &RemoteNode, link: LinkId, kind: LinkKind, now: Instant) -> Self {
        Self {
            peer: Peer::of(remote, link),
            since: now,
            raised: now,
            order: 0,
            failover: false,
            kind,
            frames: Reader::new(Bytes::new()),
            held: 0,
            at_hand: None,
            assemblies: [const { None }; Lane::KNOWN.len()],
            keep_alive: KeepAlive::new(now),
            send_credit: SendCredit::default(),
            receive_credit: None,
        }
    }

    /// Bytes of the record at hand whose frames were not taken.
    pub(super) fn unread(&self) -> usize {
        self.frames.remaining()
    }

    /// The next frame of the record at hand.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, LinkFault> {
        if self.frames.is_empty() {
            return Ok(None);
        }
        let mut frame = Frame::decode(&mut self.frames)?;
        if let Frame::Message { body, .. } = &mut frame
            && body.len() < self.held / 2
        {
            *body = Bytes::copy_from_slice(body);
        }
        if self.frames.is_empty() {
            // Lets go of the buffer that the record arrived in.
            self.frames = Reader::new(Bytes::new());
        }
        if let Some(at_hand) = self.at_hand
            && lane_of(&frame).is_some_and(|lane| lane != at_hand)
        {
            return Err(LinkFault::violation("a frame in the lane of others"));
        }
        Ok(Some(frame))
    }

    /// A record came: take its frames before the next one.
    pub(super) fn take_record(
        &mut self,
        order: CarrierOrder,
        lane: Lane,
        record: Bytes,
    ) -> Result<(), LinkFault> {
        if record.is_empty() {
            return Err(LinkFault::violation("a record without frames"));
        }
        (self.at_hand, self.held) = match order {
            CarrierOrder::OfLanes => (Some(lane), record.len()),
            // It stands among others in what was read from the stream at once.
            CarrierOrder::OfLinks => (None, MAX_RECORD),
        };
        self.frames = Reader::new(record);
        Ok(())
    }

    /// Bytes of a message of this lane arrived.
    pub(super) fn handle_received(&mut self, lane: Lane, bytes: usize) -> Result<(), LinkFault> {
        match &mut self.receive_credit {
            Some(credit) if lane != Lane::CONTROL => credit.handle_received(bytes),
            _ => Ok(()),
        }
    }

    /// Adds one part; the whole message when it was the last one.
    pub(super) fn assemble(
        &mut self,
        now: Instant,
        lane: Lane,
        number: u64,
        (offset, total): (u32, u32),
        body: &Bytes,
    ) -> Result<Option<Bytes>, LinkFault> {
        let Some(slot) = self.assemblies.get_mut(lane.index()) else { return Ok(None) };
        let gap = LinkFault::violation("a part that does not continue its message");
        let begun = Assembly { since: now, number, total, body: BytesMut::new() };
        let assembly = slot.get_or_insert(begun);
        let arrived = u32::try_from(assembly.body.len()).ok();
        if (assembly.number, assembly.total, arrived) != (number, total, Some(offset)) {
            return Err(gap);
        }
        assembly.body.extend_from_slice(body);
        // That a part lies inside its message was checked when it was decoded.
        if u32::try_from(assembly.body.len()) != Ok(total) {
            return Ok(None);
        }
        Ok(slot.take().map(|whole| whole.body.freeze()))
    }

    /// What the messages take of which only the beginning has arrived.
    pub(super) fn partial(&self) -> Option<Partial> {
        let begun = || self.assemblies.iter().flatten();
        let since = begun().map(|assembly| assembly.since).min()?;
        Some(Partial { since, bytes: begun().map(|assembly| assembly.body.capacity()).sum() })
    }

    /// How many these are, and how much of them has arrived.
    pub(super) fn partial_levels(&self) -> (Level, Level) {
        let begun = || self.assemblies.iter().flatten();
        let bytes = begun().map(|assembly| assembly.body.len()).sum();
        let most = self.assemblies.len();
        (Level::new(begun().count(), most), Level::new(bytes, most * MAX_MESSAGE))
    }

    /// Whether the beginning of a message of this lane has arrived.
    pub(super) fn is_assembling(&self, lane: Lane) -> bool {
        self.assemblies.get(lane.index()).is_some_and(Option::is_some)
    }

    /// The first frame of the initiator; `order` grows with each dial [PROTOCOL 5.2].
    pub(super) fn first_ping(&mut self, now: Instant, order: u64, instead: bool) -> Frame {
        let token = if instead { order | FAILOVER_BIT } else { order };
        (self.order, self.failover) = (order, instead);
        self.keep_alive.handle_asked(now, token);
        Frame::Ping { token }
    }

    /// Whether a link takes the place of another one to the same node, of which `me` is this end.
    ///
    /// Of links from the same end the later one stays, as the dialler counts (their first PINGs may
    /// overtake each other), but one of a less preferred kind only instead of one that the dialler
    /// holds for dead. Of links from opposite ends, one whose dialler held an earlier link for dead
    /// stays, for that may be the other one; then the preferred kind; then that of the smaller id.
    pub(super) fn supersedes(&self, old: &Self, me: NodeId) -> bool {
        let rank = |link: &Self| core::cmp::Reverse(link.kind);
        if self.peer.direction == old.peer.direction {
            let is_later = self.order > old.order;
            let (later, earlier) = if is_later { (self, old) } else { (old, self) };
            let later_stays = later.failover || rank(later) >= rank(earlier);
            return later_stays == is_later;
        }
        let dialler_is_smaller = match self.peer.direction {
            Direction::Outbound => me < self.peer.id,
            Direction::Inbound => self.peer.id < me,
        };
        let new_rank = (self.failover, rank(self), dialler_is_smaller);
        new_rank > (old.failover, rank(old), !dialler_is_smaller)
    }

    /// Both ends agreed: it becomes the link of a session.
    pub(super) const fn handle_established(&mut self, now: Instant) {
        (self.since, self.raised) = (now, now);
        self.keep_alive.handle_carried(now);
    }

    /// The first PING of the initiator arrived.
    pub(super) const fn handle_introduction(&mut self, token: u64) {
        (self.order, self.failover) = (token & !FAILOVER_BIT, token & FAILOVER_BIT != 0);
    }
}

/// The lane in which a frame travels; `None` if it does not matter.
const fn lane_of(frame: &Frame) -> Option<Lane> {
    match frame {
        Frame::Message { lane, .. } | Frame::Fragment { lane, .. } => Some(*lane),
        Frame::Ping { .. }
        | Frame::Pong { .. }
        | Frame::Ack { .. }
        | Frame::Credit { .. }
        | Frame::Demand { .. }
        | Frame::Close(_) => Some(Lane::CONTROL),
        Frame::Unknown { .. } => None,
    }
}

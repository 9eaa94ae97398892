//! One link with keys: bytes to frames and back, and whether the other end lives.

use bytes::{Bytes, BytesMut};

use super::{
    carrier::CarrierOrder,
    contract::{LinkKind, Peer},
    fault::LinkFault,
    partials_budget::Partial,
};
use crate::{
    handshake::RemoteNode,
    id::LinkId,
    limits::{
        INSTEAD_AFTER, MAX_PINGS_PER_SECOND, MAX_RECORD, PROBE_AFTER, PROBE_TIMEOUT, RECENT_TRAFFIC,
    },
    time::{Duration, Instant},
    wire::{
        codec::Reader,
        frame::{Frame, Lane},
    },
};

/// A link whose other end is known.
///
/// Each message that its carrier brings goes in by [`take_record`](Self::take_record), and then
/// through [`next_frame`](Self::next_frame) until that returns `None`.
/// [`poll_liveness`](Self::poll_liveness) says when to ask
/// [`check_liveness`](Self::check_liveness) whether the peer is still there `[PROTOCOL 5.4]`.
/// After a [`LinkFault`] the link is to be ended.
///
/// A *record* is what frames travel in: a message of whatever carries the link.
///
/// It holds no buffer while nothing is incomplete: at most one partial message per lane, which
/// grows as bytes arrive, and [`MAX_PINGS_PER_SECOND`] unanswered PINGs. Whoever keeps a message
/// holds at most twice its bytes: a peer that wraps 100 of them into 16 KiB of ignored frames would
/// cost 160 times what the limits of the rooms count.
#[derive(Debug)]
pub(super) struct SessionLink {
    pub(super) peer: Peer,
    /// The start of the peer's process, as its hello says.
    pub(super) boot: u64,
    pub(super) since: Instant,
    /// When it became the link of its session, if it did.
    pub(super) raised: Instant,
    /// Counts the links that whoever dialled it dialled.
    pub(super) order: u64,
    /// Whether who dialled it held an earlier link for dead.
    pub(super) failover: bool,
    /// Whether we could dial a link of another kind instead.
    pub(super) replaceable: bool,
    /// What it is made of.
    pub(super) kind: LinkKind,
    /// What is left of the record that arrived last.
    frames: Reader,
    /// What a slice of that record keeps in memory, about.
    held: usize,
    /// The lane in which it came, if that binds its frames.
    at_hand: Option<Lane>,
    /// Messages of which only the beginning has arrived.
    assemblies: [Option<Assembly>; 3],
    keep_alive: KeepAlive,
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
            boot: remote.boot,
            since: now,
            raised: now,
            order: 0,
            failover: false,
            replaceable: false,
            kind,
            frames: Reader::new(Bytes::new()),
            held: 0,
            at_hand: None,
            assemblies: [const { None }; 3],
            keep_alive: KeepAlive::new(now),
        }
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
            return Err(LinkFault::Violation("a frame in the lane of others"));
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
            return Err(LinkFault::Violation("a record without frames"));
        }
        (self.at_hand, self.held) = match order {
            CarrierOrder::OfLanes => (Some(lane), record.len()),
            // It stands among others in what was read from the stream at once.
            CarrierOrder::OfLinks => (None, MAX_RECORD),
        };
        self.frames = Reader::new(record);
        Ok(())
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
        if offset == 0 {
            *slot = Some(Assembly { since: now, number, total, body: BytesMut::new() });
        }
        let gap = LinkFault::Violation("a part that does not continue its message");
        let Some(assembly) = slot else { return Err(gap) };
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

    /// Lets go of a message in parts: it came whole.
    pub(super) fn abandon(&mut self, lane: Lane) {
        if let Some(slot) = self.assemblies.get_mut(lane.index()) {
            *slot = None;
        }
    }

    /// Whether a PING or PONG waits to be sent.
    pub(super) fn has_keep_alive(&self) -> bool {
        self.keep_alive.ask.is_some() || !self.keep_alive.answers.is_empty()
    }

    /// Appends the PINGs and PONGs that wait.
    pub(super) fn put_keep_alive(&mut self, now: Instant, out: &mut Vec<u8>) {
        for token in self.keep_alive.answers.drain(..) {
            Frame::Pong { token }.encode(out);
        }
        self.keep_alive.answers = Vec::new();
        if let Some(token) = self.keep_alive.ask.take() {
            self.keep_alive.asked = Some((token, now));
            Frame::Ping { token }.encode(out);
        }
    }

    /// The first frame of the initiator; `order` grows with each dial [PROTOCOL 5.2].
    pub(super) fn first_ping(&mut self, now: Instant, order: u64, instead: bool) -> Frame {
        let token = if instead { order | FAILOVER_BIT } else { order };
        (self.order, self.failover) = (order, instead);
        self.keep_alive.asked = Some((token, now));
        Frame::Ping { token }
    }

    /// The first PING of the initiator arrived.
    pub(super) const fn handle_introduction(&mut self, token: u64) {
        (self.order, self.failover) = (token & !FAILOVER_BIT, token & FAILOVER_BIT != 0);
    }

    /// Asks with this token as soon as something is sent.
    pub(super) fn ask(&mut self, token: u64) {
        self.keep_alive.ask = Some(token);
    }

    /// A PING arrived; its PONG waits to be sent.
    pub(super) fn handle_ping(&mut self, now: Instant, token: u64) -> Result<(), LinkFault> {
        self.keep_alive.handle_ping(now, token)
    }

    /// A PONG arrived: whether it answers our PING.
    pub(super) fn handle_pong(&mut self, now: Instant, token: u64) -> bool {
        self.keep_alive.handle_pong(now, token)
    }

    /// Bytes arrived, whatever they are.
    pub(super) fn handle_sign_of_life(&mut self, now: Instant) {
        self.keep_alive.heard = now;
        self.keep_alive.probed = None;
    }

    /// Something arrived then, perhaps less than a record.
    pub(super) fn heard_then(&mut self, then: Instant) {
        if then > self.keep_alive.heard
            && self.keep_alive.probed.is_none_or(|probe| then > probe.since)
        {
            self.handle_sign_of_life(then);
        }
    }

    /// Whether it left a PING unanswered for so long that another link was dialled instead.
    pub(super) fn is_suspect(&self) -> bool {
        self.keep_alive.probed.is_some_and(|probe| probe.suspect)
    }

    /// A message went out or came in.
    pub(super) fn handle_carried(&mut self, now: Instant) {
        self.keep_alive.carried = now;
    }

    /// How long the peer has been silent, and since when it was asked.
    pub(super) fn check_liveness(
        &mut self,
        now: Instant,
        waiting: Waiting,
        heartbeat: Duration,
    ) -> Liveness {
        if self.poll_liveness(waiting, heartbeat) > now {
            return Liveness::Fine;
        }
        match &mut self.keep_alive.probed {
            Some(probe) if self.replaceable && !probe.suspect => {
                probe.suspect = true;
                return Liveness::Suspect;
            }
            Some(_) => return Liveness::Gone,
            None => {}
        }
        self.keep_alive.probed = Some(Probe { since: now, suspect: false });
        let token = self.keep_alive.next_token();
        self.keep_alive.ask.get_or_insert(token);
        Liveness::Ask
    }

    /// When [`check_liveness`](Self::check_liveness) may come to something else than fine.
    pub(super) fn poll_liveness(&self, waiting: Waiting, heartbeat: Duration) -> Instant {
        match self.keep_alive.probed {
            Some(probe) if self.replaceable && !probe.suspect => probe.since + INSTEAD_AFTER,
            Some(probe) => probe.since + PROBE_TIMEOUT,
            None => self.keep_alive.next_question(waiting, heartbeat),
        }
    }

    /// Smoothed round trip time, once known.
    pub(super) const fn rtt(&self) -> Option<Duration> {
        self.keep_alive.srtt
    }
}

/// Whether something of ours waits to be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    Nothing,
    Unacknowledged,
}

/// What silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Liveness {
    /// Nothing yet.
    Fine,
    /// A PING waits to be sent.
    Ask,
    /// It was asked and has not answered yet: time to dial another link instead.
    Suspect,
    /// It was asked and did not answer.
    Gone,
}

/// Signs of life in both directions.
#[derive(Debug)]
struct KeepAlive {
    /// When bytes arrived last.
    heard: Instant,
    /// When a message went out or came in last.
    carried: Instant,
    /// The question by which silence is judged.
    probed: Option<Probe>,
    /// The token of a PING that waits to be sent.
    ask: Option<u64>,
    /// The PING that was sent last, and when.
    asked: Option<(u64, Instant)>,
    /// Tokens that wait to be sent back.
    answers: Vec<u64>,
    tokens: u64,
    /// PINGs that arrived since the start of the current second.
    pings: (Instant, u32),
    srtt: Option<Duration>,
}

/// A PING that stands between a silent link and its end.
#[derive(Clone, Copy, Debug)]
struct Probe {
    since: Instant,
    /// Whether it was found to take long.
    suspect: bool,
}

impl KeepAlive {
    const fn new(now: Instant) -> Self {
        Self {
            heard: now,
            carried: now,
            probed: None,
            ask: None,
            asked: None,
            answers: Vec::new(),
            tokens: 0,
            pings: (now, 0),
            srtt: None,
        }
    }

    /// Authenticated already, so a counter does: dice are for ephemeral keys only.
    const fn next_token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    fn handle_ping(&mut self, now: Instant, token: u64) -> Result<(), LinkFault> {
        let (start, count) = &mut self.pings;
        if now.since(*start) >= Duration::from_secs(1) {
            (*start, *count) = (now, 0);
        }
        *count += 1;
        if *count > MAX_PINGS_PER_SECOND {
            return Err(LinkFault::Flooding("too many PINGs"));
        }
        // While the peer does not read, its oldest questions are forgotten.
        if u32::try_from(self.answers.len()).is_ok_and(|waiting| waiting >= MAX_PINGS_PER_SECOND) {
            self.answers.remove(0);
        }
        self.answers.push(token);
        Ok(())
    }

    fn handle_pong(&mut self, now: Instant, token: u64) -> bool {
        let Some((_, sent)) = self.asked.take_if(|(asked, _)| *asked == token) else {
            return false;
        };
        // RFC 6298, 2.2 and 2.3, with alpha 1/8.
        let sample = now.since(sent);
        self.srtt = Some(self.srtt.map_or(sample, |srtt| srtt - srtt / 8 + sample / 8));
        true
    }

    fn next_question(&self, waiting: Waiting, heartbeat: Duration) -> Instant {
        let busy = (self.heard + PROBE_AFTER).since(self.carried) < RECENT_TRAFFIC;
        let patience = match waiting {
            Waiting::Nothing if !busy => heartbeat.max(PROBE_AFTER),
            Waiting::Nothing | Waiting::Unacknowledged => PROBE_AFTER,
        };
        self.heard + patience
    }
}

/// The lane in which a frame travels; `None` if it does not matter.
const fn lane_of(frame: &Frame) -> Option<Lane> {
    match frame {
        Frame::Message { lane, .. } | Frame::Fragment { lane, .. } => Some(*lane),
        Frame::Ping { .. } | Frame::Pong { .. } | Frame::Ack { .. } | Frame::Close(_) => {
            Some(Lane::CONTROL)
        }
        Frame::Unknown { .. } => None,
    }
}

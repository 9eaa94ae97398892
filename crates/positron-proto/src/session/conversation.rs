//! Messages between two nodes, numbered and acknowledged whatever links come and go
//! `[PROTOCOL 4]`.

use super::{
    carrier::Draft,
    contract::{Flow, LaneLevels, NotSent},
    fault::LinkFault,
    keep_alive::Waiting,
    pace::Pace,
    receive_lanes::ReceiveLanes,
    send_lane::{Done, Put, SendLane},
};
use crate::{
    id::Ticket,
    limits::{
        MAX_BULK_QUEUE_BYTES, MAX_FLOW_BYTES, MAX_FLOW_MESSAGES, MAX_MESSAGE, MAX_NUMBER,
        MAX_PEER_QUEUE_BYTES, MAX_PEER_QUEUE_MESSAGES, QUEUE_STEP_BYTES, QUEUE_STEP_MESSAGES,
        REACH_PATIENCE,
    },
    metric::Level,
    time::Instant,
    wire::{body::Body, frame::Lane},
};

/// Everything said to one node and not yet acknowledged, and how far it was heard.
///
/// [`push`](Self::push) queues, [`put`](Self::put) fills records most urgent lane first,
/// [`handle_ack`](Self::handle_ack) lets go. When the link dies nothing changes here;
/// [`resume`](Self::resume) starts over on the next link with what was not acknowledged.
///
/// **Where the two ends stand.** On each link the peer first names its memory of this conversation
/// (the token of its first PING), then says how far it heard each lane (the first ACKs). Nothing is
/// sent before. A memory that we know goes on where it is, and a smaller number than we know is
/// only late; a new one has forgotten everything (or we have), and what waits is numbered from
/// where it stands. So two nodes need not agree on when to forget, and a link that was overtaken by
/// a newer one does no harm.
///
/// Bounded by [`MAX_PEER_QUEUE_BYTES`] and [`MAX_PEER_QUEUE_MESSAGES`] over all lanes but
/// [`Lane::BULK`], which has [`MAX_BULK_QUEUE_BYTES`] of its own, so that neither takes the room of
/// the other. Of those, what waits of one sender among many takes at most [`MAX_FLOW_BYTES`] and
/// [`MAX_FLOW_MESSAGES`], so that others have room.
#[derive(Debug)]
pub(super) struct Conversation {
    /// The start of the peer's process that this is with.
    boot: u64,
    /// Names our memory of what we heard: a new number whenever that begins anew.
    epoch: u64,
    /// The same of the peer, once it told us.
    their_epoch: Option<u64>,
    epoch_state: EpochState,
    outgoing: [SendLane; Lane::KNOWN.len()],
    /// How far the peer was heard.
    pub(super) incoming: ReceiveLanes,
    /// Bytes and messages in all outgoing queues.
    queued: (usize, usize),
    /// Those of them that are bulk.
    bulk: (usize, usize),
    /// Bytes in all outgoing queues that were not put on the present link.
    unsent: usize,
    /// Since the queues were more than half full, until a step was taken.
    clog: Option<Clog>,
    pace: Pace,
}

/// A long queue, and what the peer has to take of it to be waited for.
#[derive(Clone, Copy, Debug)]
struct Clog {
    since: Instant,
    bytes: usize,
    messages: usize,
}

/// What the peer said of its memory on the present link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EpochState {
    /// Nothing yet.
    Awaited,
    /// It is the one that we know.
    Known,
    /// It is a new one: it remembers nothing of what we numbered.
    New,
    /// It was replaced since: the link is an old one.
    Outdated,
}

impl Clog {
    const fn new(since: Instant) -> Self {
        Self { since, bytes: QUEUE_STEP_BYTES, messages: QUEUE_STEP_MESSAGES }
    }
}

impl Conversation {
    pub(super) fn new(boot: u64, now: Instant) -> Self {
        Self {
            boot,
            epoch: 0,
            their_epoch: None,
            epoch_state: EpochState::Awaited,
            outgoing: [const { SendLane::new() }; Lane::KNOWN.len()],
            incoming: ReceiveLanes::new(),
            queued: (0, 0),
            bulk: (0, 0),
            unsent: 0,
            clog: None,
            pace: Pace::new(now),
        }
    }

    /// Goes on over another link with the process of the peer that `boot` names. Returns the name
    /// of our memory, for the first PING; `epochs` counts the names that this node gave.
    pub(super) fn resume(&mut self, now: Instant, boot: u64, epochs: &mut u64) -> u64 {
        if self.epoch == 0 || self.boot != boot {
            // The process that heard the earlier numbers is gone: counting starts anew.
            *epochs += 1;
            (self.epoch, self.their_epoch, self.boot) = (*epochs, None, boot);
            self.incoming = ReceiveLanes::new();
            self.let_go_of_the_said();
        }
        self.epoch_state = EpochState::Awaited;
        for lane in &mut self.outgoing {
            lane.restart();
        }
        self.incoming.tell_all();
        self.unsent = self.queued.0;
        self.pace = Pace::new(now);
        self.epoch
    }

    /// All that is wholly on the present link is at its other end, whether or not the peer says so.
    pub(super) fn handle_arrived(&mut self) {
        self.outgoing.iter_mut().for_each(SendLane::handle_arrived);
    }

    /// Whether all that is wholly on the present link is known to be at its other end.
    pub(super) fn has_arrived(&self) -> bool {
        self.outgoing.iter().all(SendLane::has_arrived)
    }

    /// What arrived at the process that is gone, and for which nobody waits, is not said to the
    /// next one: it is out of date, and of broadcasts notes are compared.
    fn let_go_of_the_said(&mut self) {
        let lanes = Lane::KNOWN.into_iter().zip(&mut self.outgoing);
        for (_, outgoing) in lanes.filter(|(lane, _)| !lane.is_awaited()) {
            while let Some(gone) = outgoing.let_go_of_said() {
                self.queued = (self.queued.0 - gone.len, self.queued.1 - 1);
            }
        }
    }

    /// The first PING of the peer on the present link names its memory; later ones do not matter.
    pub(super) fn handle_epoch(&mut self, memory: u64) {
        if self.epoch_state != EpochState::Awaited {
            return;
        }
        self.epoch_state = match self.their_epoch {
            Some(known) if memory < known => EpochState::Outdated,
            Some(known) if memory == known => EpochState::Known,
            _ => EpochState::New,
        };
        if self.epoch_state == EpochState::New {
            self.their_epoch = Some(memory);
        }
    }

    /// Queues a message at the end of its flow.
    pub(super) fn push(
        &mut self,
        now: Instant,
        flow: Flow,
        body: Body,
        ticket: Option<Ticket>,
    ) -> Result<(), NotSent> {
        let Flow { lane, of } = flow;
        if body.len() > MAX_MESSAGE {
            return Err(NotSent::TooLarge);
        }
        let is_full = match lane {
            Lane::BULK => body.len() > self.bulk_room(),
            _ => {
                let (bytes, messages) = self.queued_but_bulk();
                bytes + body.len() > MAX_PEER_QUEUE_BYTES || messages >= MAX_PEER_QUEUE_MESSAGES
            }
        };
        let (bytes, messages) = self.outgoing[lane.index()].waiting_of(of);
        let has_its_share =
            of.is_some() && (bytes + body.len() > MAX_FLOW_BYTES || messages >= MAX_FLOW_MESSAGES);
        if is_full || has_its_share {
            return Err(NotSent::QueueFull);
        }
        if self.queued.1 == 0 {
            self.pace.handle_progress(now);
        }
        self.queued = (self.queued.0 + body.len(), self.queued.1 + 1);
        if lane == Lane::BULK {
            self.bulk = (self.bulk.0 + body.len(), self.bulk.1 + 1);
        }
        self.unsent += body.len();
        if self.clog.is_none() && self.is_half_full() {
            self.clog = Some(Clog::new(now));
        }
        self.outgoing[lane.index()].push(of, body, ticket);
        Ok(())
    }

    /// Whether more than half of what may be queued is.
    pub(super) const fn is_half_full(&self) -> bool {
        let (bytes, messages) = self.queued_but_bulk();
        bytes > MAX_PEER_QUEUE_BYTES / 2 || messages > MAX_PEER_QUEUE_MESSAGES / 2
    }

    /// Bytes that [`Lane::BULK`] takes now.
    pub(super) const fn bulk_room(&self) -> usize {
        let (bytes, messages) = self.bulk;
        if messages >= MAX_PEER_QUEUE_MESSAGES {
            return 0;
        }
        MAX_BULK_QUEUE_BYTES.saturating_sub(bytes)
    }

    const fn queued_but_bulk(&self) -> (usize, usize) {
        (self.queued.0 - self.bulk.0, self.queued.1 - self.bulk.1)
    }

    /// What waits in each lane, beside the most that can.
    pub(super) fn lane_levels(&self) -> impl Iterator<Item = LaneLevels> {
        Lane::KNOWN.into_iter().zip(&self.outgoing).map(|(lane, outgoing)| {
            let (bytes, messages) = outgoing.queued();
            let most = if lane == Lane::BULK { MAX_BULK_QUEUE_BYTES } else { MAX_PEER_QUEUE_BYTES };
            LaneLevels {
                lane: lane.name(),
                bytes: Level::new(bytes, most),
                messages: Level::new(messages, MAX_PEER_QUEUE_MESSAGES),
            }
        })
    }

    /// What waits in all lanes but [`Lane::BULK`], which share one limit: bytes and messages.
    pub(super) fn shared_levels(&self) -> (Level, Level) {
        let (bytes, messages) = self.queued_but_bulk();
        (Level::new(bytes, MAX_PEER_QUEUE_BYTES), Level::new(messages, MAX_PEER_QUEUE_MESSAGES))
    }

    /// Until when the peer is waited for although its queues are long: it is at a standstill then,
    /// if it takes nothing more. To fall below a half for a moment is not enough to begin anew.
    pub(super) fn waited_for_until(&self) -> Option<Instant> {
        self.clog.map(|clog| clog.since + REACH_PATIENCE)
    }

    /// So much of the queues has arrived.
    fn note_taken(&mut self, now: Instant, bytes: usize, messages: usize) {
        let Some(clog) = &mut self.clog else { return };
        clog.bytes = clog.bytes.saturating_sub(bytes);
        clog.messages = clog.messages.saturating_sub(messages);
        if clog.bytes == 0 || clog.messages == 0 {
            self.clog = self.is_half_full().then(|| Clog::new(now));
        }
    }

    /// Whether a record could be filled now.
    pub(super) fn has_something_to_say(&self) -> bool {
        self.incoming.is_due() || self.has_messages(&Lane::KNOWN)
    }

    /// Whether a message of these lanes could be sent now.
    pub(super) fn has_messages(&self, lanes: &[Lane]) -> bool {
        lanes.iter().any(|lane| self.outgoing[lane.index()].has_next())
    }

    /// Appends the acknowledgments that are due.
    pub(super) fn put_acks(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.incoming.put(out);
        self.pace.handle_spoken(now);
    }

    /// Appends messages of these lanes to a record, until it is full or none is left. A record has
    /// [`MAX_RECORD`] bytes, but one message that needs more may have `largest`: only beyond that
    /// is it cut, or where no more than `allowed` bytes may go of all lanes that can wait; what
    /// goes of them is taken off.
    pub(super) fn put(
        &mut self,
        lanes: &[Lane],
        record: &mut Draft,
        largest: usize,
        allowed: &mut usize,
    ) -> Put {
        let mut put = Put::default();
        for lane in lanes {
            let outgoing = &mut self.outgoing[lane.index()];
            let (before, can_wait) = (put.bytes, *lane != Lane::CONTROL);
            let most = if can_wait { *allowed } else { usize::MAX };
            let done = outgoing.put(*lane, record, largest, most, &mut put);
            put.is_awaited |= lane.is_awaited() && put.bytes > before;
            if can_wait {
                *allowed -= put.bytes - before;
            }
            if done == Done::RecordFull {
                break;
            }
        }
        self.unsent -= put.bytes;
        put
    }

    /// The peer says that it was handed every message of `lane` below `next`. Those are let go;
    /// their tickets are given to `delivered`. Whether we did not know.
    pub(super) fn handle_ack(
        &mut self,
        now: Instant,
        lane: Lane,
        next: u64,
        mut delivered: impl FnMut(Ticket),
    ) -> Result<bool, LinkFault> {
        if next > MAX_NUMBER {
            return Err(LinkFault::violation("an acknowledgment beyond all numbers"));
        }
        let before = self.queued_but_bulk();
        // A lane in which we say nothing, whatever it is to the peer.
        let Some(outgoing) = self.outgoing.get_mut(lane.index()) else { return Ok(false) };
        let known = match self.epoch_state {
            _ if outgoing.is_resumed() => outgoing.next_unsent(),
            EpochState::Known => outgoing.ever_sent(),
            EpochState::New => {
                outgoing.number_from(next);
                next
            }
            EpochState::Outdated => return Ok(false),
            EpochState::Awaited => {
                return Err(LinkFault::violation("an acknowledgment before a PING"));
            }
        };
        if next > known {
            return Err(LinkFault::violation("an acknowledgment of what was never sent"));
        }
        let mut moves = !outgoing.is_resumed();
        outgoing.resume();
        while let Some(gone) = outgoing.let_go_below(next) {
            moves = true;
            if !gone.was_sent {
                self.unsent -= gone.len;
            }
            self.queued = (self.queued.0 - gone.len, self.queued.1 - 1);
            if lane == Lane::BULK {
                self.bulk = (self.bulk.0 - gone.len, self.bulk.1 - 1);
            }
            self.pace.handle_progress(now);
            gone.ticket.into_iter().for_each(&mut delivered);
        }
        let after = self.queued_but_bulk();
        self.note_taken(now, before.0 - after.0, before.1 - after.1);
        Ok(moves)
    }

    /// A part of a message arrived. A receiver that is silent for too long while it assembles looks
    /// dead to the sender: acknowledge what there is.
    pub(super) fn assembling(&mut self, now: Instant, lane: Lane) {
        if self.pace.is_silent(now) {
            self.incoming.tell(lane);
        }
    }

    /// A limit of bandwidth held back what waits: the peer could not take it.
    pub(super) const fn handle_held_back(&mut self, now: Instant) {
        self.pace.handle_progress(now);
    }

    /// `bytes` more of what was sent were taken.
    pub(super) fn handle_written(&mut self, now: Instant, bytes: u64) {
        if self.waiting() == Waiting::Unacknowledged {
            self.pace.handle_taken(now, bytes);
        }
    }

    /// When the peer will have been too slow, if nothing happens before.
    pub(super) fn slow_reader_at(&self) -> Instant {
        match self.waiting() {
            Waiting::Nothing => Instant::FAR_FUTURE,
            Waiting::Unacknowledged => self.pace.slow_at(),
        }
    }

    /// Whether something waits to be acknowledged.
    pub(super) const fn waiting(&self) -> Waiting {
        match self.queued {
            (_, 0) => Waiting::Nothing,
            _ => Waiting::Unacknowledged,
        }
    }

    /// Bytes that were not acknowledged.
    pub(super) const fn queued_bytes(&self) -> usize {
        self.queued.0
    }

    /// Bytes that could be put on the present link.
    pub(super) const fn unsent_bytes(&self) -> usize {
        self.unsent
    }

    /// The tickets of everything that was not acknowledged, lane by lane.
    pub(super) fn into_tickets(self) -> impl Iterator<Item = Ticket> {
        self.outgoing.into_iter().flat_map(SendLane::into_tickets)
    }
}

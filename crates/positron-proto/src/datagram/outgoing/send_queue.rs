//! One lane of one delivery towards the other end.

use core::ops::Range;
use std::collections::{BTreeSet, VecDeque};

use super::fragmenter::{Cut, Piece};
use crate::{
    datagram::{
        incoming::cost_of_unfinished,
        sent_frames::{PacketBuilder, PacketKind, SentFrame},
    },
    limits::{
        LARGEST_DATAGRAM, MAX_FRAGMENTS_PER_PEER, MAX_MESSAGE_SPAN, MAX_UNFINISHED_PER_PEER,
        MESSAGE_COST,
    },
    wire::{
        body::Body,
        packet_frame::{
            Channel, Delivery, fragment_overhead, message_overhead, put_fragment, put_message,
        },
    },
};

/// What all queues of a connection take together.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) bytes: usize,
    pub(super) messages: usize,
    /// Reliable messages in fragments that were begun and are not known to be whole.
    begun: usize,
    /// What the other end counts for them.
    begun_bytes: usize,
    pub(super) dropped: u64,
}

impl Tally {
    /// Whether the other end has to take one more message in fragments. What is new leaves room
    /// for one that was lost whole, which all the others may be waiting for.
    fn may_begin(&self, len: usize, is_new: bool) -> bool {
        let (kept, kept_bytes) =
            if is_new { (1, cost_of_unfinished(LARGEST_DATAGRAM)) } else { (0, 0) };
        self.begun + kept < MAX_UNFINISHED_PER_PEER
            && self.begun_bytes + cost_of_unfinished(len) + kept_bytes <= MAX_FRAGMENTS_PER_PEER
    }
}

/// Messages with consecutive numbers: the first ones were sent, the others wait.
#[derive(Debug)]
pub(super) struct Queue {
    channel: Channel,
    items: VecDeque<Item>,
    /// Bytes of those that did not arrive.
    bytes: usize,
    /// The number of the first of the items.
    base: u64,
    /// The number of the first that was never sent, nor begun.
    next: u64,
    /// Whole messages that were lost.
    again: BTreeSet<u64>,
    /// Messages in pieces of which some are to be sent.
    cuts: BTreeSet<u64>,
}

#[derive(Debug)]
struct Item {
    body: Body,
    state: QueueState,
}

#[derive(Debug)]
enum QueueState {
    /// Never sent.
    Waiting,
    /// On its way, whole.
    Sent,
    /// Lost.
    Again,
    /// In pieces.
    Cut(Box<Cut>),
    /// Arrived; others before it did not.
    Done,
}

/// What is to be sent next.
enum Step {
    /// A piece of a message that was begun.
    Piece(u64, Piece),
    /// A message that was lost.
    Again(u64),
    /// The next one.
    New,
    /// A message that has to be cut first.
    Begin(u64),
}

impl Queue {
    pub(super) fn new(channel: Channel) -> Self {
        let (items, again, cuts) = (VecDeque::new(), BTreeSet::new(), BTreeSet::new());
        Self { channel, items, bytes: 0, base: 0, next: 0, again, cuts }
    }

    pub(super) fn push(&mut self, body: Body, tally: &mut Tally) {
        self.bytes += body.len();
        tally.bytes += body.len();
        tally.messages += 1;
        self.items.push_back(Item { body, state: QueueState::Waiting });
    }

    /// Makes room by the oldest message that was not begun; whether there is one.
    pub(super) fn drop_oldest(&mut self, tally: &mut Tally) -> bool {
        let Some(item) = self.index(self.next).and_then(|at| self.items.remove(at)) else {
            return false;
        };
        self.forget(item.body.len(), tally);
        tally.dropped += 1;
        true
    }

    /// Bytes that wait to be sent or acknowledged.
    pub(super) const fn queued_bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a packet of its own would take something.
    pub(super) fn is_ready(&self, tally: &Tally, full: usize, budget: u64) -> bool {
        match self.step(tally, full) {
            None => false,
            Some(Step::Again(_)) => true,
            Some(Step::Piece(_, piece)) => piece.again || piece_cost(&piece) <= budget,
            // Its first piece is not larger than a packet; whether that is allowed is seen then.
            Some(Step::Begin(number)) => {
                self.was_begun(number) || budget >= as_u64(full + MESSAGE_COST)
            }
            Some(Step::New) => self.item(self.next).is_some_and(|item| cost(&item.body) <= budget),
        }
    }

    /// Puts what fits into a packet. A fragment has one of its own; the short end of a message with
    /// others behind it, and what comes into a packet behind something else, goes as a part.
    pub(super) fn fill(&mut self, tally: &mut Tally, packet: &mut PacketBuilder<'_>) {
        while let Some(step) = self.step(tally, packet.full) {
            let went_in = match step {
                Step::Begin(number) => {
                    self.begin(number, packet.full, tally);
                    continue;
                }
                Step::Piece(number, piece) => self.put_piece(number, piece, tally, packet),
                Step::Again(number) => self.put_whole(number, tally, packet),
                Step::New => self.put_whole(self.next, tally, packet),
            };
            if !went_in || !packet.takes_data() {
                return;
            }
        }
    }

    pub(super) fn handle_ack(&mut self, first: u64, count: u32, tally: &mut Tally) {
        let end = first.saturating_add(u64::from(count)).min(self.next);
        for number in first.max(self.base)..end {
            self.done(number, tally);
        }
        self.let_go();
    }

    pub(super) fn handle_loss(&mut self, first: u64, count: u32) {
        let end = first.saturating_add(u64::from(count)).min(self.next);
        for number in first.max(self.base)..end {
            let Some(at) = self.index(number) else { return };
            if matches!(self.items[at].state, QueueState::Sent) {
                self.items[at].state = QueueState::Again;
                self.again.insert(number);
            }
        }
    }

    pub(super) fn part_acknowledged(&mut self, number: u64, part: Range<u32>, attempt: u8) {
        if let Some(cut) = self.cut(number) {
            cut.handle_ack(part, attempt);
            self.note(number);
        }
    }

    pub(super) fn part_lost(&mut self, number: u64, part: Range<u32>, attempt: u8) {
        if let Some(cut) = self.cut(number) {
            cut.handle_loss(part, attempt);
            self.note(number);
        }
    }

    /// Whether something of a message was ever sent.
    pub(super) const fn was_begun(&self, number: u64) -> bool {
        number < self.next
    }

    pub(super) fn whole(&mut self, number: u64, tally: &mut Tally) {
        if number >= self.base && self.channel.delivery != Delivery::Unreliable {
            self.done(number, tally);
            self.let_go();
        }
    }

    pub(super) fn given_up(&mut self, number: u64) {
        if self.channel.delivery != Delivery::Unreliable
            && let Some(cut) = self.cut(number)
        {
            cut.restart();
            self.note(number);
        }
    }

    /// What is to be sent next, if anything may be: the first that was begun or lost, for what came
    /// after it may fill the window until it arrives; then what is new.
    fn step(&self, tally: &Tally, full: usize) -> Option<Step> {
        let (lost, begun) = (self.again.first().copied(), self.cuts.first().copied());
        let first_lost = lost.filter(|lost| begun.is_none_or(|begun| *lost < begun));
        if let Some(step) = first_lost.and_then(|number| self.step_whole(number, tally, full)) {
            return Some(step);
        }
        if let Some(number) = begun
            && let QueueState::Cut(cut) = &self.item(number)?.state
        {
            return cut.next(number, full).map(|piece| Step::Piece(number, piece));
        }
        self.step_whole(lost.unwrap_or(self.next), tally, full)
    }

    /// What to do with a message of which nothing is under way.
    fn step_whole(&self, number: u64, tally: &Tally, full: usize) -> Option<Step> {
        // A sender never begins what an honest receiver would have to refuse.
        if number - self.base >= MAX_MESSAGE_SPAN {
            return None;
        }
        let (len, is_new) = (self.item(number)?.body.len(), number >= self.next);
        if message_overhead(number, len) + len <= full {
            return Some(if is_new { Step::New } else { Step::Again(number) });
        }
        let unreliable = self.channel.delivery == Delivery::Unreliable;
        (unreliable || tally.may_begin(len, is_new)).then_some(Step::Begin(number))
    }

    fn put_whole(
        &mut self,
        number: u64,
        tally: &mut Tally,
        packet: &mut PacketBuilder<'_>,
    ) -> bool {
        let Some(at) = self.index(number) else { return false };
        let (body, new) = (&self.items[at].body, number == self.next);
        if message_overhead(number, body.len()) + body.len() > packet.room() {
            return false;
        }
        if new && !packet.charge(cost(body)) {
            return false;
        }
        if !new {
            packet.charge_again(cost(body));
        }
        put_message(packet.out, self.channel, number, body.parts(0..body.len()));
        self.mark(packet, PacketKind::Data);
        if self.channel.delivery == Delivery::Unreliable {
            self.forget_first(tally);
            return true;
        }
        packet.contents.push(SentFrame::Messages {
            channel: self.channel,
            first: number,
            count: 1,
        });
        self.items[at].state = QueueState::Sent;
        self.again.remove(&number);
        self.next += u64::from(new);
        true
    }

    fn put_piece(
        &mut self,
        number: u64,
        mut piece: Piece,
        tally: &mut Tally,
        packet: &mut PacketBuilder<'_>,
    ) -> bool {
        let Some(at) = self.index(number) else { return false };
        let is_followed = self.item(self.next).is_some();
        let Item { body, state: QueueState::Cut(cut) } = &mut self.items[at] else { return false };
        let total = cut.total();
        let len = piece.to - piece.from;
        let overhead = fragment_overhead(number, piece.from, total, as_usize(len));
        let is_tail = piece.to == total && overhead + as_usize(len) + MIN_PART < packet.full;
        let shares = packet.kind != PacketKind::Empty || (is_tail && is_followed);
        let kind = match piece.fragment {
            Some(_) if !shares && overhead + as_usize(len) > packet.room() => return false,
            Some(fragment) if !shares => PacketKind::Fragment(fragment),
            _ => {
                let fits = packet.room().saturating_sub(overhead);
                if fits < MIN_PART.min(as_usize(len)) {
                    return false;
                }
                piece.to = piece.from + len.min(u32::try_from(fits).unwrap_or(u32::MAX));
                PacketKind::Data
            }
        };
        if piece.again {
            packet.charge_again(piece_cost(&piece));
        } else if !packet.charge(piece_cost(&piece)) {
            return false;
        }
        let Piece { from, to, .. } = piece;
        let parts = body.parts(as_usize(from)..as_usize(to));
        put_fragment(packet.out, self.channel, number, from, total, parts);
        cut.handle_taken(&piece);
        let attempt = cut.attempt();
        let everything = !cut.has_something();
        self.mark(packet, kind);
        if self.channel.delivery != Delivery::Unreliable {
            let channel = self.channel;
            packet.contents.push(SentFrame::Part { channel, number, from, to, attempt });
            self.note(number);
        } else if everything {
            self.cuts.remove(&number);
            self.next -= 1;
            self.forget_first(tally);
        }
        true
    }

    fn begin(&mut self, number: u64, full: usize, tally: &mut Tally) {
        let Some(at) = self.index(number) else { return };
        let len = self.items[at].body.len();
        let was_whole = self.again.remove(&number);
        self.items[at].state = QueueState::Cut(Box::new(Cut::new(number, len, full, was_whole)));
        self.cuts.insert(number);
        self.next += u64::from(!was_whole);
        if self.channel.delivery != Delivery::Unreliable {
            tally.begun += 1;
            tally.begun_bytes += cost_of_unfinished(len);
        }
    }

    /// A reliable message arrived.
    fn done(&mut self, number: u64, tally: &mut Tally) {
        let Some(at) = self.index(number) else { return };
        let item = &mut self.items[at];
        match core::mem::replace(&mut item.state, QueueState::Done) {
            QueueState::Done => return,
            QueueState::Again => _ = self.again.remove(&number),
            QueueState::Cut(_) => {
                self.cuts.remove(&number);
                tally.begun -= 1;
                tally.begun_bytes -= cost_of_unfinished(item.body.len());
            }
            QueueState::Waiting | QueueState::Sent => {}
        }
        let len = core::mem::take(&mut item.body).len();
        self.forget(len, tally);
    }

    /// Forgets everything below the first that did not arrive.
    fn let_go(&mut self) {
        while self.items.front().is_some_and(|item| matches!(item.state, QueueState::Done)) {
            self.items.pop_front();
            self.base += 1;
        }
        if self.items.is_empty() {
            self.items = VecDeque::new();
        }
    }

    /// An unreliable message was sent: nobody asks for it again.
    fn forget_first(&mut self, tally: &mut Tally) {
        if let Some(item) = self.items.pop_front() {
            self.forget(item.body.len(), tally);
        }
        self.base += 1;
        self.next += 1;
    }

    /// A message of so many bytes needs no place any more.
    const fn forget(&mut self, len: usize, tally: &mut Tally) {
        self.bytes -= len;
        tally.bytes -= len;
        tally.messages -= 1;
    }

    /// Remembers whether a message in pieces has something to send.
    fn note(&mut self, number: u64) {
        if self.cut(number).is_some_and(|cut| cut.has_something()) {
            self.cuts.insert(number);
        } else {
            self.cuts.remove(&number);
        }
    }

    fn mark(&self, packet: &mut PacketBuilder<'_>, kind: PacketKind) {
        packet.kind = kind;
        packet.reliable |= self.channel.delivery != Delivery::Unreliable;
        packet.ordered |= self.channel.delivery == Delivery::Ordered;
        packet.carries(self.channel.lane);
    }

    fn index(&self, number: u64) -> Option<usize> {
        let at = usize::try_from(number.checked_sub(self.base)?).ok()?;
        (at < self.items.len()).then_some(at)
    }

    fn item(&self, number: u64) -> Option<&Item> {
        self.index(number).map(|at| &self.items[at])
    }

    fn cut(&mut self, number: u64) -> Option<&mut Cut> {
        let at = self.index(number)?;
        match &mut self.items[at].state {
            QueueState::Cut(cut) => Some(cut),
            QueueState::Waiting | QueueState::Sent | QueueState::Again | QueueState::Done => None,
        }
    }
}

/// What a message takes of the other end's window.
fn cost(body: &Body) -> u64 {
    as_u64(body.len() + MESSAGE_COST)
}

/// The same of a piece: what a message costs beside its bytes is charged with the first one.
fn piece_cost(piece: &Piece) -> u64 {
    let first = if piece.from == 0 { as_u64(MESSAGE_COST) } else { 0 };
    u64::from(piece.to - piece.from) + first
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A message has at most [`MAX_DATAGRAM_MESSAGE`](crate::limits::MAX_DATAGRAM_MESSAGE) bytes.
fn as_usize(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// A smaller part is not worth its frame, nor what the other end remembers of it; it waits for the
/// next packet (guess).
const MIN_PART: usize = 256;

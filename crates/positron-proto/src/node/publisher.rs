//! Our own messages on their way: tickets, numbers, signatures `[PROTOCOL 3.1]`.
//!
//! A broadcast is numbered, signed, pushed and handed to the disk in one step; its ticket completes
//! when the disk has it. It waits for that, in order, while there is no reserved number, and while
//! the peers do not keep up with what was published before.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use super::{KeyAge, Numbers, Refused, SequenceKind, sequence::Sequence};
use crate::{
    id::{MessageId, NetworkId, NodeId, Ticket},
    identity::{Identity, PublicKey, Verified},
    limits::{
        CLOCK_DRIFT_NUMBERS, MAX_NUMBER, MAX_PENDING_BROADCASTS, MAX_PENDING_BYTES,
        MAX_WAITING_DIRECT, NUMBERS_APART, NUMBERS_PER_RECORD, RECOGNITION_WAIT,
    },
    time::{Instant, Now, WallTime},
    wire::message::{AppMessage, Audience},
};

/// What the application says, from the command to the signed message.
///
/// [`queue_broadcast`](Self::queue_broadcast) and [`queue_direct`](Self::queue_direct) take it;
/// [`next_broadcast`](Self::next_broadcast) and [`next_direct`](Self::next_direct) give it back
/// signed, in order, as long as there are numbers. Those are reserved by
/// [`reservation`](Self::reservation), and there when the disk has that
/// ([`handle_reserved`](Self::handle_reserved)). A broadcast is taken to be kept
/// ([`handle_kept`](Self::handle_kept)) before the next one is asked for; a direct message is under
/// way until it is [`direct_over`](Self::direct_over).
///
/// **Numbers.** A number that others have seen of this key must not come again, and neither may a
/// lower one: it would be old to them. The disk says where to go on; the clock does when it is
/// further, because the database may be lost or an old one; and so does whatever this key signed
/// that comes back from others ([`outrun`](Self::outrun)). The clock is not asked once but each
/// time: it may have been set right since. If disk and clock leave a doubt, broadcasts wait until a
/// peer has said what it knows of us ([`handle_recognized`](Self::handle_recognized)), at most
/// [`RECOGNITION_WAIT`].
///
/// Bounded by [`MAX_PENDING_BROADCASTS`], [`MAX_PENDING_BYTES`] and [`MAX_WAITING_DIRECT`].
#[derive(Debug)]
pub(super) struct Publisher {
    me: Arc<Identity>,
    network: NetworkId,
    last_ticket: u64,
    broadcast_numbers: Sequence,
    direct_numbers: Sequence,
    /// When this process began, by the clock that is right.
    started: Instant,
    /// Until when broadcasts wait for a peer that knows us.
    in_doubt: Option<Instant>,
    broadcasts: VecDeque<(Ticket, Bytes)>,
    /// Of the payloads of those.
    broadcast_bytes: usize,
    directs: VecDeque<(Ticket, NodeId, Bytes)>,
    /// The broadcast that is being published right now, until gossip says that it keeps it.
    publishing: Option<Ticket>,
    under_way: BTreeMap<Ticket, MessageId>,
}

impl Publisher {
    /// The numbers were never given out, as far as this disk knows. Disk and clock leave a doubt
    /// if the disk knows of none although the key is not new, or if the clock is behind it.
    pub(super) fn new(me: Arc<Identity>, network: NetworkId, next: Numbers, now: Now) -> Self {
        let lost = next.next_broadcast == 0 && next.key == KeyAge::Used;
        let in_doubt = lost || next.next_broadcast > now.wall.as_unix_micros();
        Self {
            me,
            network,
            last_ticket: 0,
            broadcast_numbers: Sequence::new(next.next_broadcast),
            direct_numbers: Sequence::new(next.next_direct),
            started: now.mono,
            in_doubt: in_doubt.then(|| now.mono + RECOGNITION_WAIT),
            broadcasts: VecDeque::new(),
            broadcast_bytes: 0,
            directs: VecDeque::new(),
            publishing: None,
            under_way: BTreeMap::new(),
        }
    }

    /// A ticket that was never given out.
    pub(super) const fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    /// Takes a broadcast, unless too many wait, here or, by `waiting`, for the disk. One is taken
    /// however large it is.
    pub(super) fn queue_broadcast(
        &mut self,
        payload: Bytes,
        waiting: usize,
    ) -> Result<Ticket, Refused> {
        let bytes = self.broadcast_bytes + payload.len();
        if self.broadcasts.len() + waiting >= MAX_PENDING_BROADCASTS
            || self.broadcast_bytes > 0 && bytes > MAX_PENDING_BYTES
        {
            return Err(Refused::TooManyPending);
        }
        self.broadcast_bytes = bytes;
        let ticket = self.ticket();
        self.broadcasts.push_back((ticket, payload));
        Ok(ticket)
    }

    /// Takes a direct message, unless too many wait for a number or for their receivers.
    pub(super) fn queue_direct(
        &mut self,
        ticket: Ticket,
        to: NodeId,
        payload: Bytes,
    ) -> Result<(), Refused> {
        if self.directs.len() + self.under_way.len() >= MAX_WAITING_DIRECT {
            return Err(Refused::QueueFull);
        }
        self.directs.push_back((ticket, to, payload));
        Ok(())
    }

    /// Whether broadcasts wait.
    pub(super) fn is_held_up(&self) -> bool {
        !self.broadcasts.is_empty()
    }

    /// The next broadcast, if there is a number for it.
    pub(super) fn next_broadcast(&mut self, now: Now) -> Option<Verified<AppMessage>> {
        if self.in_doubt.is_some_and(|until| now.mono < until) {
            return None;
        }
        self.follow_clock(now);
        let (sequence, (ticket, payload)) =
            pop_numbered(&mut self.broadcasts, &mut self.broadcast_numbers)?;
        self.broadcast_bytes -= payload.len();
        self.publishing = Some(ticket);
        Some(self.sign(Audience::Everyone, (sequence, payload), now.wall))
    }

    /// The next direct message, its receiver and its ticket, if there is a number for it.
    pub(super) fn next_direct(
        &mut self,
        now: Now,
    ) -> Option<(NodeId, Ticket, Verified<AppMessage>)> {
        self.follow_clock(now);
        let (sequence, (ticket, to, payload)) =
            pop_numbered(&mut self.directs, &mut self.direct_numbers)?;
        let message = self.sign(Audience::Node(to), (sequence, payload), now.wall);
        self.under_way.insert(ticket, message.id());
        Some((to, ticket, message))
    }

    fn sign(
        &self,
        audience: Audience,
        (sequence, payload): (u64, Bytes),
        timestamp: WallTime,
    ) -> Verified<AppMessage> {
        let sender = *self.me.public_key();
        let message = AppMessage { sender, audience, sequence, timestamp, payload };
        self.me.sign(message, &self.network)
    }

    /// A broadcast of `sender` is kept: its ticket, if it is the one that is being published.
    pub(super) fn handle_kept(&mut self, sender: &PublicKey) -> Option<Ticket> {
        self.publishing.take_if(|_| sender == self.me.public_key())
    }

    /// The direct message with this ticket is over; its id.
    pub(super) fn direct_over(&mut self, ticket: Ticket) -> Option<MessageId> {
        self.under_way.remove(&ticket)
    }

    /// Whether broadcasts wait for a peer that knows us.
    pub(super) const fn is_in_doubt(&self) -> bool {
        self.in_doubt.is_some()
    }

    /// Broadcasts that wait for a number will not be sent any more.
    pub(super) fn give_up_broadcasts(&mut self) -> impl Iterator<Item = Ticket> + use<> {
        self.broadcast_bytes = 0;
        core::mem::take(&mut self.broadcasts).into_iter().map(|(ticket, ..)| ticket)
    }

    /// Direct messages that wait for a number will not be sent any more.
    pub(super) fn give_up_directs(&mut self) -> impl Iterator<Item = Ticket> + use<> {
        core::mem::take(&mut self.directs).into_iter().map(|(ticket, ..)| ticket)
    }

    /// The reservation of numbers to ask the disk for now, if any.
    pub(super) fn reservation(&mut self, now: Now, kind: SequenceKind) -> Option<u64> {
        self.follow_clock(now);
        self.numbers(kind).ask()
    }

    /// A message of ours with the number `sequence` came from others. If it is none that we know
    /// of, which is returned, numbers go on well above it: whoever has our key, too, goes on with
    /// the one after it.
    pub(super) fn outrun(&mut self, now: Now, sequence: u64) -> bool {
        let is_behind = sequence >= self.broadcast_numbers.next();
        if is_behind {
            let apart = sequence.saturating_add(NUMBERS_APART);
            self.skip_to(apart.max(now.wall.as_unix_micros()));
        }
        is_behind
    }

    /// A peer has said what it knows of us. `record` is the sequence of a record that we signed and
    /// did not know of any more: numbers go on above all that were given out under it, and not
    /// where a second process with this key goes on that hears the same.
    pub(super) fn handle_recognized(&mut self, now: Now, record: Option<u64>) -> bool {
        self.in_doubt = None;
        let apart = now.wall.as_unix_micros() % NUMBERS_APART;
        record.is_some_and(|record| {
            self.skip_to(record.saturating_add(NUMBERS_PER_RECORD).saturating_add(apart))
        })
    }

    /// When broadcasts wait no longer for a peer that knows us.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.in_doubt.filter(|_| !self.broadcasts.is_empty())
    }

    /// Nobody who knows us came in time.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.in_doubt = self.in_doubt.filter(|until| now < *until);
    }

    /// The number from which on a record of ours is to count: no number of ours is further above it
    /// than [`NUMBERS_PER_RECORD`].
    pub(super) fn next_number(&self) -> u64 {
        self.broadcast_numbers.next().max(self.direct_numbers.next())
    }

    /// What the clock says now of when this process began is the least number: what an earlier
    /// process gave out is below it, if the clock is right. A clock that goes on by itself uses up
    /// no numbers, so that a block of them on disk lasts; nor does one that drifts, so that numbers
    /// have few gaps and lists of them are short.
    fn follow_clock(&mut self, now: Now) {
        let began = (now.wall - now.mono.since(self.started)).as_unix_micros().min(MAX_NUMBER / 2);
        for numbers in [&mut self.broadcast_numbers, &mut self.direct_numbers] {
            if began > numbers.next().saturating_add(CLOCK_DRIFT_NUMBERS) {
                numbers.skip_to(began);
            }
        }
    }

    fn skip_to(&mut self, next: u64) -> bool {
        let next = next.min(MAX_NUMBER / 2);
        let broadcasts = self.broadcast_numbers.skip_to(next);
        self.direct_numbers.skip_to(next) || broadcasts
    }

    /// The disk has the reservation of every number below `below`.
    pub(super) fn handle_reserved(&mut self, kind: SequenceKind, below: u64) {
        self.numbers(kind).handle_reserved(below);
    }

    const fn numbers(&mut self, kind: SequenceKind) -> &mut Sequence {
        match kind {
            SequenceKind::Broadcast => &mut self.broadcast_numbers,
            SequenceKind::Direct => &mut self.direct_numbers,
        }
    }
}

/// The first of what waits, with a number, if there is one.
fn pop_numbered<T>(queue: &mut VecDeque<T>, numbers: &mut Sequence) -> Option<(u64, T)> {
    if queue.is_empty() {
        return None;
    }
    let sequence = numbers.take()?;
    queue.pop_front().map(|first| (sequence, first))
}

//! A session that is up, for one step: frames in, records out, liveness.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    carrier::CarrierOrder,
    contract::{SessionCounters, SessionEffect},
    conversation::Conversation,
    conversations::Conversations,
    credit::ReceiveCredit,
    fault::LinkFault,
    keep_alive::{Liveness, Waiting},
    link_table::{EstablishedLink, LinkTable},
    partials_budget::Partial,
    receive_lanes::Freshness,
    send_lane::MIN_PART,
    shaper::Shaper,
};
use crate::{
    id::{LinkId, NodeId},
    limits::{
        ACK_COMPANY_DELAY, LONE_ACK_DELAY, MAX_RECORD, PROVING_ACK_DELAY, SLOW_READER_TIMEOUT,
    },
    metric::Way,
    time::{Duration, Instant, Now},
    wire::frame::{Frame, Lane},
};

/// The link of a session with what carries it, and the conversation that goes on over it.
///
/// Lent by the two tables for one step: [`handle_frames`](Self::handle_frames) when a record came,
/// [`fill`](Self::fill) when something waits to be sealed, [`check`](Self::check) when
/// [`poll_check`](Self::poll_check) says, which each of them may change. What a step finds is the
/// caller's to act on: nothing is ended here.
#[derive(Debug)]
pub(super) struct EstablishedSession<'a> {
    id: LinkId,
    on: EstablishedLink<'a>,
    conversation: &'a mut Conversation,
}

/// Whether a session may go on over its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Yes.
    Fine,
    /// The peer has been silent for so long that another link is to be dialled instead.
    Suspect,
    /// It did not answer a probe.
    Silent,
    /// It does not take what is sent to it.
    SlowReader,
}

/// What a frame came to.
enum FrameOutcome {
    /// Something goes on because of it.
    Progress,
    Message {
        lane: Lane,
        bytes: usize,
    },
    /// A message goes on by so many bytes.
    Part(usize),
    /// Nothing at all.
    Nothing,
    Duplicate,
    UnknownLane,
}

impl<'a> EstablishedSession<'a> {
    /// The session over this link, if it is the link of one.
    pub(super) fn of(
        links: &'a mut LinkTable,
        conversations: &'a mut Conversations,
        id: LinkId,
    ) -> Option<Self> {
        let on = links.established(id)?;
        let conversation = conversations.get_mut(&on.link.peer.id)?;
        Some(Self { id, on, conversation })
    }

    /// With whom.
    pub(super) const fn peer(&self) -> NodeId {
        self.on.link.peer.id
    }

    /// Whether the peer has been silent for so long that another link was dialled instead.
    pub(super) fn is_suspect(&self) -> bool {
        self.on.link.keep_alive.is_suspect()
    }

    /// What the messages take of which only the beginning has arrived.
    pub(super) fn partial(&self) -> Option<Partial> {
        self.on.link.partial()
    }

    /// Takes every frame of the record at hand, as far as none is at fault.
    pub(super) fn handle_frames(
        &mut self,
        now: Instant,
        counters: &mut SessionCounters,
        out: &mut VecDeque<SessionEffect>,
    ) -> Result<(), LinkFault> {
        self.on.link.keep_alive.handle_sign_of_life(now);
        let (mut unread, mut idle) = (self.on.link.unread(), 0);
        while let Some(frame) = self.on.link.next_frame()? {
            let len = unread - self.on.link.unread();
            unread -= len;
            idle += match self.handle_frame(now, frame, out)? {
                FrameOutcome::Progress => 0,
                FrameOutcome::Message { lane, bytes } => {
                    counters.messages_received += 1;
                    counters.note_lane(Way::In, lane, bytes);
                    0
                }
                FrameOutcome::Part(body) => len - body,
                FrameOutcome::Nothing => len,
                FrameOutcome::Duplicate => {
                    counters.messages_duplicate += 1;
                    len
                }
                FrameOutcome::UnknownLane => {
                    counters.messages_unknown += 1;
                    len
                }
            };
        }
        if idle > 0 {
            out.push_back(SessionEffect::Idle { peer: self.peer(), bytes: idle });
        }
        Ok(())
    }

    /// Whether a record could be filled now.
    pub(super) fn has_something_to_say(&self) -> bool {
        self.conversation.has_something_to_say() || self.owes_a_word()
    }

    /// Whether something is to be said beside messages.
    fn owes_a_word(&self) -> bool {
        let link = &self.on.link;
        link.keep_alive.is_pending()
            || self.conversation.incoming.is_due()
            || link.receive_credit.as_ref().is_some_and(ReceiveCredit::owes_credit)
            || link.send_credit.owes_demand(self.waiting_bytes())
    }

    /// Says it. What may be sent comes before where we stand, for then it begins.
    fn put_words(&mut self, now: Instant, out: &mut Vec<u8>) {
        let waiting = self.waiting_bytes();
        let link = &mut *self.on.link;
        link.keep_alive.put(now, out);
        let credit = link.receive_credit.as_mut().and_then(ReceiveCredit::poll_credit);
        let demand = link.send_credit.poll_demand(waiting);
        credit.into_iter().chain(demand).for_each(|frame| frame.encode(out));
        self.conversation.put_acks(now, out);
    }

    /// Bytes that could be put on the link if there were no limit.
    fn waiting_bytes(&self) -> u64 {
        u64::try_from(self.conversation.unsent_bytes()).unwrap_or(u64::MAX)
    }

    /// Fills records from the lanes, most urgent first, as long as the carrier has room: what does
    /// not fit waits in its lane, where a later message of a more urgent lane still overtakes it,
    /// and from where it can still move to another link [PROTOCOL 5.5].
    pub(super) fn fill(&mut self, now: Now, upload: &mut Shaper, counters: &mut SessionCounters) {
        self.note_progress(now.mono);
        if self.has_something_to_say() {
            self.conversation.incoming.handle_company();
        }
        let begins = self.is_all_acknowledged();
        let allowed = self.allowance(now.mono, upload);
        let mut left = allowed;
        let order = self.on.carrier.order();
        let largest = self.on.carrier.largest_message(self.id);
        for lane in Lane::KNOWN {
            // Where lanes do not matter below, the first turn is that of all.
            let lanes = match order {
                CarrierOrder::OfLinks => &Lane::KNOWN[..],
                CarrierOrder::OfLanes => &[lane],
            };
            let is_first = lane == Lane::CONTROL;
            while self.conversation.has_messages(lanes) || is_first && self.owes_a_word() {
                if !self.on.carrier.has_room(self.id, lane) {
                    break;
                }
                let mut record = self.on.carrier.begin(self.id);
                let unsent = self.conversation.unsent_bytes();
                record.bytes.reserve((unsent + unsent / 8 + 96).min(MAX_RECORD));
                if is_first {
                    self.put_words(now.mono, &mut record.bytes);
                }
                let put = self.conversation.put(lanes, &mut record, largest, &mut left);
                if begins && put.bytes > 0 {
                    self.on.link.keep_alive.handle_spoken(now.mono);
                }
                if put.is_awaited {
                    self.on.link.keep_alive.handle_carried(now.mono);
                }
                counters.messages_retransmitted += put.resent;
                let is_empty = record.is_empty();
                self.on.carrier.send(now, self.id, lane, record);
                if is_empty {
                    break;
                }
            }
            if order == CarrierOrder::OfLinks {
                break;
            }
        }
        self.pay(now.mono, allowed - left, left, upload);
    }

    /// Bytes that may go now of what can wait [PROTOCOL 5.7].
    fn allowance(&mut self, now: Instant, upload: &mut Shaper) -> usize {
        let credit = usize::try_from(self.on.link.send_credit.left()).unwrap_or(usize::MAX);
        if !upload.is_limited() {
            return credit;
        }
        let peer = self.peer();
        upload.handle_traffic(now, self.id, &peer, self.on.carrier.wire_bytes(self.id).sent);
        let room = upload.most_ahead(now, &peer).saturating_sub(upload.paid_ahead(self.id));
        let allowed = upload.allowance(now, self.id, &peer).min(room);
        usize::try_from(allowed).unwrap_or(usize::MAX).min(credit)
    }

    /// So much of what can wait went, and so much more might have.
    fn pay(&mut self, now: Instant, went: usize, left: usize, upload: &mut Shaper) {
        let (peer, bytes) = (self.peer(), u64::try_from(went).unwrap_or(u64::MAX));
        self.on.link.send_credit.handle_sent(bytes);
        if !upload.is_limited() {
            return;
        }
        upload.pay(now, self.id, &peer, bytes);
        upload.handle_traffic(now, self.id, &peer, self.on.carrier.wire_bytes(self.id).sent);
        let needs_credit = is_too_little(self.on.link.send_credit.left());
        let has_more = self.conversation.has_messages(&Lane::CAN_WAIT);
        if left >= MIN_PART || needs_credit || !has_more {
            return upload.end_turn(self.id);
        }
        self.conversation.handle_held_back(now);
        let room = upload.most_ahead(now, &peer).saturating_sub(upload.paid_ahead(self.id));
        if is_too_little(room) {
            upload.wait_for_room(now, self.id, went > 0);
        } else {
            upload.wait(now, self.id, &peer, bytes);
        }
    }

    /// Lets the other end send more of what can wait there, if our limits allow it and it has more
    /// [PROTOCOL 5.7]. Whether it is to be told.
    pub(super) fn grant(&mut self, now: Instant, download: &mut Shaper) -> bool {
        let peer = self.peer();
        let received = self.on.carrier.wire_bytes(self.id).received;
        download.handle_traffic(now, self.id, &peer, received);
        let Some(credit) = &mut self.on.link.receive_credit else { return false };
        let wanted = credit.wanted();
        let room = download.most_ahead(now, &peer).saturating_sub(credit.unused());
        let worth = wanted.min(u64::try_from(MIN_PART).unwrap_or(u64::MAX));
        // What arrives makes room, and asks again.
        if wanted == 0 || room < worth {
            download.end_turn(self.id);
            return false;
        }
        let granted = download.allowance(now, self.id, &peer).min(room).min(wanted);
        credit.grant(granted);
        download.pay(now, self.id, &peer, granted);
        if granted < wanted.min(room) {
            download.wait(now, self.id, &peer, granted);
        } else {
            download.end_turn(self.id);
        }
        granted > 0
    }

    /// Takes note of what was taken of what was sent, and of when the other end was heard.
    pub(super) fn note_progress(&mut self, now: Instant) {
        let EstablishedLink { link, carrier, taken } = &mut self.on;
        if let Some(then) = carrier.heard(self.id) {
            link.keep_alive.handle_heard(then);
        }
        let before = core::mem::replace(*taken, carrier.taken(self.id));
        self.conversation.handle_written(now, taken.saturating_sub(before));
        if carrier.is_drained(self.id) == Some(true) {
            self.conversation.handle_arrived();
        }
    }

    /// Asks whether the peer is there, and whether it takes what is sent to it [PROTOCOL 5.4, 5.5].
    pub(super) fn check(&mut self, now: Instant, heartbeat: Duration) -> Health {
        self.note_progress(now);
        self.conversation.incoming.handle_timeout(now);
        match self.on.link.keep_alive.check(now, self.waiting(), heartbeat) {
            Liveness::Gone => Health::Silent,
            _ if self.slow_reader_at() <= now => Health::SlowReader,
            Liveness::Suspect => Health::Suspect,
            Liveness::Ask | Liveness::Fine => Health::Fine,
        }
    }

    /// When [`check`](Self::check) may come to something else than fine.
    pub(super) fn poll_check(&self, heartbeat: Duration) -> Instant {
        let liveness = self.on.link.keep_alive.poll_check(self.waiting(), heartbeat);
        liveness.min(self.slow_reader_at()).min(self.acknowledges_at())
    }

    /// Somebody waits for what the other end says, or it for what we say.
    pub(super) const fn handle_awaited(&mut self, now: Instant) {
        self.on.link.keep_alive.handle_carried(now);
    }

    /// Whether nothing that was sent waits to be acknowledged.
    fn is_all_acknowledged(&self) -> bool {
        let all_unsent = || self.conversation.queued_bytes() == self.conversation.unsent_bytes();
        self.on.carrier.is_drained(self.id).unwrap_or_else(all_unsent)
    }

    /// Whether the other end owes a sign of life. What arrived there, as far as packets tell, is
    /// acknowledged some time.
    fn waiting(&self) -> Waiting {
        let tells = self.on.carrier.is_drained(self.id).is_some();
        if tells && self.conversation.unsent_bytes() == 0 && self.conversation.has_arrived() {
            return Waiting::Nothing;
        }
        self.conversation.waiting()
    }

    /// When the peer will have been too slow. The acknowledgment of what arrived there, as far as
    /// packets tell, may wait for company.
    fn slow_reader_at(&self) -> Instant {
        let slow_at = self.conversation.slow_reader_at();
        let at_last = slow_at + LONE_ACK_DELAY;
        match self.waiting() {
            Waiting::Nothing => at_last,
            Waiting::Unacknowledged => {
                let spoken = self.on.link.keep_alive.spoken();
                slow_at.max(spoken + SLOW_READER_TIMEOUT).min(at_last)
            }
        }
    }

    /// How long the acknowledgment of one more message waits for company.
    fn company_delay(&self) -> Duration {
        match self.on.carrier.is_drained(self.id) {
            Some(_) if self.conversation.incoming.owes_nothing() => LONE_ACK_DELAY,
            Some(_) => ACK_COMPANY_DELAY,
            None => PROVING_ACK_DELAY,
        }
    }

    /// When acknowledgments that wait for company go without it.
    pub(super) const fn acknowledges_at(&self) -> Instant {
        self.conversation.incoming.poll_timeout()
    }

    fn handle_frame(
        &mut self,
        now: Instant,
        frame: Frame,
        out: &mut VecDeque<SessionEffect>,
    ) -> Result<FrameOutcome, LinkFault> {
        let (link, conversation) = (&mut *self.on.link, &mut *self.conversation);
        match frame {
            Frame::Ping { token } => {
                conversation.handle_epoch(token);
                link.keep_alive.handle_ping(now, token)?;
                Ok(FrameOutcome::Progress)
            }
            Frame::Pong { token } => {
                let (peer, rtt) = (link.peer.id, link.keep_alive.handle_pong(now, token));
                out.extend(rtt.map(|rtt| SessionEffect::Pong { peer, rtt }));
                Ok(progress(rtt.is_some()))
            }
            Frame::Message { lane, number, body } => {
                if lane.is_awaited() {
                    link.keep_alive.handle_carried(now);
                }
                link.handle_received(lane, body.len())?;
                match conversation.incoming.check_duplicate(lane, number)? {
                    Freshness::New if !lane.is_known() => Ok(self.drop_unknown(now, lane)),
                    Freshness::New if link.is_assembling(lane) => {
                        Err(LinkFault::violation("a message of which a part came before"))
                    }
                    Freshness::New => Ok(self.deliver(now, lane, body, out)),
                    Freshness::Duplicate => Ok(ack_again(conversation, lane)),
                }
            }
            Frame::Fragment { lane, number, offset, total, body } => {
                if lane.is_awaited() {
                    link.keep_alive.handle_carried(now);
                }
                link.handle_received(lane, body.len())?;
                conversation.assembling(now, lane);
                let arrival = conversation.incoming.check_duplicate(lane, number)?;
                let end = u64::from(offset) + u64::try_from(body.len()).unwrap_or(u64::MAX);
                let is_last = end == u64::from(total);
                if arrival == Freshness::Duplicate || !lane.is_known() {
                    return Ok(match arrival {
                        _ if !is_last => FrameOutcome::Nothing,
                        Freshness::Duplicate => ack_again(conversation, lane),
                        Freshness::New => self.drop_unknown(now, lane),
                    });
                }
                Ok(match link.assemble(now, lane, number, (offset, total), &body)? {
                    Some(whole) => self.deliver(now, lane, whole, out),
                    None => FrameOutcome::Part(body.len()),
                })
            }
            Frame::Ack { lane, next } => {
                let delivered = |ticket| out.push_back(SessionEffect::Delivered { ticket });
                Ok(progress(conversation.handle_ack(now, lane, next, delivered)?))
            }
            // They cost their bytes, so that nobody grants or asks for one byte at a time.
            Frame::Credit { limit } => {
                if link.send_credit.handle_credit(limit) {
                    conversation.handle_held_back(now);
                }
                Ok(FrameOutcome::Nothing)
            }
            Frame::Demand { limit } => {
                link.receive_credit.iter_mut().for_each(|credit| credit.handle_demand(limit));
                Ok(FrameOutcome::Nothing)
            }
            Frame::Close(reason) => Err(LinkFault::Closed(reason)),
            Frame::Unknown { .. } => Ok(FrameOutcome::Nothing),
        }
    }

    /// Nobody here knows what goes in this lane; its sender is not to say it again.
    fn drop_unknown(&mut self, now: Instant, lane: Lane) -> FrameOutcome {
        self.handle_delivered(now, lane);
        FrameOutcome::UnknownLane
    }

    fn handle_delivered(&mut self, now: Instant, lane: Lane) {
        let in_company = now + self.company_delay();
        self.conversation.incoming.handle_delivered(lane, in_company);
    }

    fn deliver(
        &mut self,
        now: Instant,
        lane: Lane,
        body: Bytes,
        out: &mut VecDeque<SessionEffect>,
    ) -> FrameOutcome {
        self.handle_delivered(now, lane);
        let bytes = body.len();
        out.push_back(SessionEffect::Message { peer: self.on.link.peer.id, body });
        FrameOutcome::Message { lane, bytes }
    }
}

/// Whether nothing goes with so few bytes, unless they are the last ones.
fn is_too_little(bytes: u64) -> bool {
    usize::try_from(bytes).is_ok_and(|bytes| bytes < MIN_PART)
}

const fn progress(is_some: bool) -> FrameOutcome {
    if is_some { FrameOutcome::Progress } else { FrameOutcome::Nothing }
}

fn ack_again(conversation: &mut Conversation, lane: Lane) -> FrameOutcome {
    conversation.incoming.tell(lane);
    FrameOutcome::Duplicate
}

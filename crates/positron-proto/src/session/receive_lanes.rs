//! How far each lane of the peer was heard, and when the peer is told.

use super::fault::LinkFault;
use crate::{
    limits::{ACKS_TOGETHER, MAX_NUMBER},
    time::Instant,
    wire::frame::{Frame, Lane},
};

/// What happened to a message that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    New,
    Duplicate,
}

/// All lanes that the peer speaks in, and the acknowledgments that are owed to it
/// `[PROTOCOL 4]`.
///
/// Who waits for what is said in a lane ([`Lane::is_awaited`]) is told at once. Nobody waits for an
/// acknowledgment of the others: it goes with the next thing that is said to the peer, after
/// [`ACKS_TOGETHER`] messages, or when it waited for that for long enough: alone it takes a
/// datagram, and another one that acknowledges it.
#[derive(Debug)]
pub(super) struct ReceiveLanes {
    /// Those that are known, and after them those that the peer ever used; at most
    /// [`LANES`](crate::limits::LANES).
    lanes: Vec<ReceiveLane>,
    /// Messages that wait for company, and for how long.
    untold: u32,
    until: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct ReceiveLane {
    /// The lowest number that was not handed over.
    next: u64,
    owed: Owed,
}

/// Whether the peer is to be told how far a lane was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Owed {
    #[default]
    Nothing,
    /// With whatever is said next.
    InCompany,
    Now,
}

impl ReceiveLanes {
    /// Nothing was heard.
    pub(super) fn new() -> Self {
        let lanes = vec![ReceiveLane::default(); Lane::KNOWN.len()];
        Self { lanes, untold: 0, until: Instant::FAR_FUTURE }
    }

    /// The peer is told of each lane.
    pub(super) fn tell_all(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.owed = Owed::Now);
    }

    /// Whether a message with this number is the next one or an old one; a gap is a violation,
    /// unless nothing is known of the lane: nobody misses what is dropped anyway.
    pub(super) fn check_duplicate(
        &mut self,
        lane: Lane,
        number: u64,
    ) -> Result<Freshness, LinkFault> {
        if number >= MAX_NUMBER {
            return Err(LinkFault::violation("a number beyond all numbers"));
        }
        let incoming = self.lane_mut(lane);
        match number.cmp(&incoming.next) {
            core::cmp::Ordering::Less => Ok(Freshness::Duplicate),
            core::cmp::Ordering::Equal => Ok(Freshness::New),
            core::cmp::Ordering::Greater if !lane.is_known() => {
                incoming.next = number;
                Ok(Freshness::New)
            }
            // A link keeps its order: nothing can have been overtaken.
            core::cmp::Ordering::Greater => Err(LinkFault::violation("a number that skips others")),
        }
    }

    /// The next message of `lane` was handed over whole, or dropped for good. If its acknowledgment
    /// waits for company, then at most until `in_company`.
    pub(super) fn handle_delivered(&mut self, lane: Lane, in_company: Instant) {
        let incoming = self.lane_mut(lane);
        incoming.next += 1;
        if lane.is_awaited() {
            incoming.owed = Owed::Now;
        } else if incoming.owed != Owed::Now {
            incoming.owed = Owed::InCompany;
            self.untold += 1;
            self.until = self.until.min(in_company);
            if self.untold >= ACKS_TOGETHER {
                self.handle_company();
            }
        }
    }

    /// The peer is told how far this lane was heard: it does not know.
    pub(super) fn tell(&mut self, lane: Lane) {
        self.lane_mut(lane).owed = Owed::Now;
    }

    /// Something is said to the peer: whatever is owed goes with it.
    pub(super) fn handle_company(&mut self) {
        for lane in &mut self.lanes {
            if lane.owed == Owed::InCompany {
                lane.owed = Owed::Now;
            }
        }
        (self.untold, self.until) = (0, Instant::FAR_FUTURE);
    }

    /// Whether no acknowledgment waits for company.
    pub(super) const fn owes_nothing(&self) -> bool {
        self.untold == 0
    }

    /// What waited for company has waited for long enough.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.until <= now {
            self.handle_company();
        }
    }

    /// When that is; [`Instant::FAR_FUTURE`] if nothing waits.
    pub(super) const fn poll_timeout(&self) -> Instant {
        self.until
    }

    /// Whether an acknowledgment is to go now.
    pub(super) fn is_due(&self) -> bool {
        self.lanes.iter().any(|lane| lane.owed == Owed::Now)
    }

    /// Appends the acknowledgments that are.
    pub(super) fn put(&mut self, out: &mut Vec<u8>) {
        for (lane, incoming) in (0..).map_while(Lane::from_number).zip(&mut self.lanes) {
            if incoming.owed == Owed::Now {
                incoming.owed = Owed::Nothing;
                Frame::Ack { lane, next: incoming.next }.encode(out);
            }
        }
    }

    fn lane_mut(&mut self, lane: Lane) -> &mut ReceiveLane {
        let at = lane.index();
        if at >= self.lanes.len() {
            self.lanes.resize(at + 1, ReceiveLane::default());
        }
        &mut self.lanes[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    const START: Instant = Instant::from_micros(1_000_000);

    fn told(lanes: &mut ReceiveLanes) -> Vec<u8> {
        let mut out = Vec::new();
        lanes.put(&mut out);
        out
    }

    fn ack(lane: Lane, next: u64) -> Vec<u8> {
        let mut out = Vec::new();
        Frame::Ack { lane, next }.encode(&mut out);
        out
    }

    #[test]
    fn gossip_is_acknowledged_in_company_or_when_it_waited_for_long() {
        let mut lanes = ReceiveLanes::new();
        let due = START + Duration::from_secs(5);
        lanes.handle_delivered(Lane::GOSSIP, due);
        lanes.handle_delivered(Lane::GOSSIP, due + Duration::from_secs(1));
        assert!(!lanes.is_due() && told(&mut lanes).is_empty());
        assert_eq!(lanes.poll_timeout(), due, "the first of them counts");
        lanes.handle_timeout(due - Duration::from_micros(1));
        assert!(!lanes.is_due());
        lanes.handle_timeout(due);
        assert!(lanes.is_due());
        assert_eq!(told(&mut lanes), ack(Lane::GOSSIP, 2));
        assert_eq!(lanes.poll_timeout(), Instant::FAR_FUTURE);

        lanes.handle_delivered(Lane::CONTROL, due);
        lanes.handle_company();
        assert_eq!(told(&mut lanes), ack(Lane::CONTROL, 1));
        assert_eq!((lanes.is_due(), lanes.poll_timeout()), (false, Instant::FAR_FUTURE));
    }

    #[test]
    fn whom_somebody_waits_for_is_told_at_once_and_many_do_not_wait() {
        let mut lanes = ReceiveLanes::new();
        for lane in [Lane::DIRECT, Lane::LARGE_GOSSIP, Lane::BULK] {
            lanes.handle_delivered(lane, START);
            assert_eq!(told(&mut lanes), ack(lane, 1));
        }
        for _ in 1..ACKS_TOGETHER {
            lanes.handle_delivered(Lane::GOSSIP, START);
        }
        assert!(!lanes.is_due());
        lanes.handle_delivered(Lane::GOSSIP, START);
        assert_eq!(told(&mut lanes), ack(Lane::GOSSIP, ACKS_TOGETHER.into()));
    }
}

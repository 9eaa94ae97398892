//! What an end with a limit lets the other end send over a link `[PROTOCOL 5.7]`.

use super::fault::LinkFault;
use crate::wire::frame::Frame;

/// What the other end lets us send of what can wait, counted in bytes of messages since the link
/// began: as much as we like, as long as it said nothing.
#[derive(Debug, Default)]
pub(super) struct SendCredit {
    limit: Option<u64>,
    sent: u64,
    /// Up to where it knows that we would send.
    asked: u64,
}

/// What we let the other end send.
///
/// Credit is given only for what waits there (as DATA_BLOCKED of RFC 9000, 4.1, tells it): so what
/// was given is on its way, and not kept by somebody idle who sends it all at once later.
#[derive(Debug, Default)]
pub(super) struct ReceiveCredit {
    granted: u64,
    /// What it was told last.
    told: Option<u64>,
    received: u64,
    /// Up to where it would send.
    asked: u64,
}

impl SendCredit {
    /// Bytes that may be sent now.
    pub(super) const fn left(&self) -> u64 {
        match self.limit {
            Some(limit) => limit.saturating_sub(self.sent),
            None => u64::MAX,
        }
    }

    /// The other end lets us send up to `limit`: whether that is more.
    pub(super) fn handle_credit(&mut self, limit: u64) -> bool {
        let is_more = self.limit.is_some_and(|before| before < limit);
        self.limit = self.limit.max(Some(limit));
        is_more
    }

    /// Bytes were sent.
    pub(super) const fn handle_sent(&mut self, bytes: u64) {
        self.sent = self.sent.saturating_add(bytes);
    }

    /// Whether the other end is to be told that so many bytes wait. Of a queue that grows it hears
    /// when it knows of less than half.
    pub(super) fn owes_demand(&self, waiting: u64) -> bool {
        let Some(limit) = self.limit else { return false };
        let wanted = self.sent.saturating_add(waiting).saturating_sub(limit);
        self.asked.saturating_sub(limit) < wanted.div_ceil(2)
    }

    /// Says that so many bytes wait, if that is to be told.
    pub(super) fn poll_demand(&mut self, waiting: u64) -> Option<Frame> {
        if !self.owes_demand(waiting) {
            return None;
        }
        self.asked = self.sent.saturating_add(waiting);
        Some(Frame::Demand { limit: self.asked })
    }
}

impl ReceiveCredit {
    /// Bytes for which the other end waits.
    pub(super) const fn wanted(&self) -> u64 {
        self.asked.saturating_sub(self.granted)
    }

    /// Bytes that it may send and did not yet.
    pub(super) const fn unused(&self) -> u64 {
        self.granted - self.received
    }

    /// It would send up to here.
    pub(super) fn handle_demand(&mut self, limit: u64) {
        self.asked = self.asked.max(limit);
    }

    /// Bytes of what can wait arrived.
    pub(super) fn handle_received(&mut self, bytes: usize) -> Result<(), LinkFault> {
        let received = self.received.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if received > self.granted {
            return Err(LinkFault::flooding("more than it was given credit for"));
        }
        self.received = received;
        Ok(())
    }

    /// It may send so many bytes more.
    pub(super) const fn grant(&mut self, bytes: u64) {
        self.granted = self.granted.saturating_add(bytes);
    }

    /// Whether it is to be told what it may send.
    pub(super) fn owes_credit(&self) -> bool {
        self.told != Some(self.granted)
    }

    /// Says what it may send, if that is news.
    pub(super) fn poll_credit(&mut self) -> Option<Frame> {
        let is_news = self.owes_credit();
        self.told = Some(self.granted);
        is_news.then_some(Frame::Credit { limit: self.granted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_told_no_limit_has_none_and_asks_for_nothing() {
        let mut credit = SendCredit::default();
        credit.handle_sent(1 << 40);
        assert_eq!((credit.left(), credit.poll_demand(1 << 40)), (u64::MAX, None));
    }

    #[test]
    fn credit_only_grows_and_what_waits_is_asked_for_once() {
        let mut credit = SendCredit::default();
        assert!(!credit.handle_credit(0));
        assert_eq!((credit.left(), credit.poll_demand(0)), (0, None));
        assert_eq!(credit.poll_demand(1000), Some(Frame::Demand { limit: 1000 }));
        assert_eq!(credit.poll_demand(1999), None, "half of it is known");
        assert_eq!(credit.poll_demand(2001), Some(Frame::Demand { limit: 2001 }));
        assert!(credit.handle_credit(500) && !credit.handle_credit(400));
        credit.handle_sent(300);
        assert_eq!((credit.left(), credit.poll_demand(1701)), (200, None));
    }

    #[test]
    fn who_sends_beyond_its_credit_floods() {
        let mut credit = ReceiveCredit::default();
        assert_eq!(credit.poll_credit(), Some(Frame::Credit { limit: 0 }), "before anything else");
        assert_eq!(credit.poll_credit(), None);
        credit.handle_demand(u64::MAX);
        credit.grant(100);
        assert_eq!((credit.wanted(), credit.unused()), (u64::MAX - 100, 100));
        assert!(credit.handle_received(101).is_err());
        assert!(credit.handle_received(100).is_ok() && credit.handle_received(1).is_err());
        assert_eq!(credit.poll_credit(), Some(Frame::Credit { limit: 100 }));
    }
}

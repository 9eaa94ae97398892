//! Flow control of a connection: how much the other end may send ahead of the application.

use super::incoming::Violation;
use crate::{
    limits::{
        CONNECTION_WINDOW_FIRST, CONNECTION_WINDOW_LEAST, ENDPOINT_WINDOW_BYTES,
        MAX_FRAGMENTS_PER_PEER, WINDOW_SCALE,
    },
    time::{Duration, Instant},
};

/// What the windows of all connections of an endpoint promise together.
#[derive(Debug, Default)]
pub(super) struct WindowBudget {
    promised: u64,
}

/// Room for what arrives at one connection.
///
/// It doubles when the application released more than half of it within two round trips: then it
/// is what limits the sender. It never shrinks: promises are kept.
#[derive(Debug)]
pub(super) struct ReceiveWindow {
    limit: u64,
    most: u64,
    /// Bytes that arrived and were not released.
    held: u64,
    /// What the other end was told last.
    told: u64,
    /// Whether the other end should hear of the room that there was since.
    update_due: bool,
    /// When the measurement began, and what was released since.
    since: Instant,
    released: u64,
}

/// Room that the other end has.
///
/// Tell it of what is sent and of what became of it, and send no more than [`left`](Self::left).
#[derive(Debug)]
pub(super) struct SendWindow {
    room: u64,
    /// What of it is used: sent, and neither acknowledged nor lost.
    outstanding: u64,
    /// The number of the packet that told it.
    told_by: Option<u64>,
}

impl ReceiveWindow {
    /// Nothing is held; grows to `most` bytes at the most, but for [`CONNECTION_WINDOW_LEAST`].
    pub(super) fn new(now: Instant, most: usize, budget: &mut WindowBudget) -> Self {
        let most = as_u64(most.max(CONNECTION_WINDOW_LEAST));
        let limit = as_u64(CONNECTION_WINDOW_FIRST).min(most);
        budget.promised += limit;
        Self { limit, most, held: 0, told: limit, update_due: false, since: now, released: 0 }
    }

    /// Bytes arrived and are held from now on.
    ///
    /// An honest sender goes beyond the limit by what it took for lost and sent again while the
    /// first copy was still under way, and by the fragments that became whole messages.
    pub(super) fn arrived(&mut self, bytes: u64) -> Result<(), Violation> {
        let held = self.held.saturating_add(bytes);
        if held > self.limit.saturating_mul(2).saturating_add(as_u64(MAX_FRAGMENTS_PER_PEER)) {
            return Err(Violation::flooding("more than the window allows"));
        }
        self.held = held;
        Ok(())
    }

    /// Bytes were let go.
    pub(super) fn handle_release(
        &mut self,
        now: Instant,
        bytes: u64,
        rtt: Duration,
        budget: &mut WindowBudget,
    ) {
        let bytes = bytes.min(self.held);
        self.held -= bytes;
        if now.since(self.since) > 2 * rtt {
            (self.since, self.released) = (now, 0);
        }
        self.released += bytes;
        if self.released > self.limit / 2 {
            (self.since, self.released) = (now, 0);
            self.grow(budget);
        }
        self.update_due |= self.has_news();
    }

    /// Bytes were let go that nobody will read: that says nothing of how fast the application is.
    pub(super) fn handle_drop(&mut self, bytes: u64) {
        self.held = self.held.saturating_sub(bytes);
        self.update_due |= self.has_news();
    }

    /// Bytes for which there is room.
    pub(super) const fn room(&self) -> u64 {
        self.limit.saturating_sub(self.held)
    }

    /// The window field of a header that is about to be sent.
    pub(super) fn advertise(&mut self) -> u16 {
        let (field, told) = as_field(self.room());
        self.told = told;
        self.update_due = false;
        field
    }

    /// Whether the other end should hear of the room that there is, or was since it heard last:
    /// half of the window more than it knows of, or an eighth after there was none (RFC 9293,
    /// 3.8.6.2.2: no silly windows).
    pub(super) const fn update_due(&self) -> bool {
        self.update_due
    }

    /// Bytes that are held beyond the limit.
    pub(super) const fn over_window(&self) -> u64 {
        self.held.saturating_sub(self.limit)
    }

    /// Bytes that are held.
    pub(super) const fn held(&self) -> u64 {
        self.held
    }

    /// The connection ends: nothing is promised any more.
    pub(super) fn give_back(&mut self, budget: &mut WindowBudget) {
        budget.promised = budget.promised.saturating_sub(core::mem::take(&mut self.limit));
    }

    fn has_news(&self) -> bool {
        let (_, room) = as_field(self.room());
        let news = room.saturating_sub(self.told);
        news >= self.limit / 2 || (self.told == 0 && news > 0 && news >= self.limit / 8)
    }

    fn grow(&mut self, budget: &mut WindowBudget) {
        let left = as_u64(ENDPOINT_WINDOW_BYTES).saturating_sub(budget.promised);
        let more = self.limit.min(self.most.saturating_sub(self.limit));
        if more <= left {
            self.limit += more;
            budget.promised += more;
        }
    }
}

impl SendWindow {
    /// What may be sent before the other end told its room.
    pub(super) fn new() -> Self {
        Self { room: as_u64(CONNECTION_WINDOW_FIRST), outstanding: 0, told_by: None }
    }

    /// The header of packet `number` told this window; an older packet's is not news.
    pub(super) fn handle_announcement(&mut self, number: u64, window: u16) {
        if self.told_by.is_none_or(|newest| number > newest) {
            (self.room, self.told_by) = (u64::from(window) << WINDOW_SCALE, Some(number));
        }
    }

    /// Bytes were sent.
    pub(super) const fn handle_sent(&mut self, bytes: u64) {
        self.outstanding += bytes;
    }

    /// Bytes that were sent are acknowledged or lost.
    pub(super) const fn handle_settled(&mut self, bytes: u64) {
        self.outstanding = self.outstanding.saturating_sub(bytes);
    }

    /// Bytes that may be sent.
    pub(super) const fn left(&self) -> u64 {
        self.room.saturating_sub(self.outstanding)
    }
}

/// The field that tells `room`, and how much the other end understands: never more than there is.
fn as_field(room: u64) -> (u16, u64) {
    let field = u16::try_from(room >> WINDOW_SCALE).unwrap_or(u16::MAX);
    (field, u64::from(field) << WINDOW_SCALE)
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{LARGEST_DATAGRAM, MESSAGE_COST};

    const MOST: usize = 1 << 20;
    const RTT: Duration = Duration::from_millis(50);

    fn window(budget: &mut WindowBudget) -> ReceiveWindow {
        ReceiveWindow::new(Instant::ORIGIN, MOST, budget)
    }

    #[test]
    fn what_arrives_beyond_the_window_and_its_slack_is_a_violation() {
        let mut window = window(&mut WindowBudget::default());
        let slack = 2 * as_u64(CONNECTION_WINDOW_FIRST) + as_u64(MAX_FRAGMENTS_PER_PEER);
        assert_eq!(window.arrived(slack), Ok(()));
        assert_eq!(window.room(), 0);
        assert!(window.arrived(1).is_err() && window.arrived(u64::MAX).is_err());
        assert_eq!(window.held(), slack);
    }

    #[test]
    fn an_update_is_due_after_half_a_window_or_soon_after_there_was_none() {
        let mut budget = WindowBudget::default();
        let mut window = window(&mut budget);
        let limit = as_u64(CONNECTION_WINDOW_FIRST);
        let late = Instant::from_micros(10_000_000);
        window.arrived(limit).unwrap();
        assert!(!window.update_due());
        assert_eq!(window.advertise(), 0);
        window.handle_release(late, limit / 8 - 1, RTT, &mut budget);
        assert!(!window.update_due(), "a silly window");
        window.handle_release(late, 1, RTT, &mut budget);
        assert!(window.update_due());
        window.advertise();
        assert!(!window.update_due());
        window.handle_release(late, limit / 4, RTT, &mut budget);
        assert!(!window.update_due());
        window.handle_release(late, limit / 4, RTT, &mut budget);
        assert!(window.update_due());
    }

    #[test]
    fn an_update_that_was_due_stays_so_until_it_is_told() {
        let mut budget = WindowBudget::default();
        let mut window = window(&mut budget);
        let limit = as_u64(CONNECTION_WINDOW_FIRST);
        window.arrived(limit).unwrap();
        window.advertise();
        window.handle_drop(limit / 2);
        window.arrived(limit / 2).unwrap();
        assert!(window.update_due(), "there was room for a while");
        assert_eq!(window.advertise(), 0);
        assert!(!window.update_due());
    }

    #[test]
    fn a_reader_that_keeps_up_is_given_more_until_the_most_and_gives_it_back() {
        let mut budget = WindowBudget::default();
        let mut window = window(&mut budget);
        let mut now = Instant::ORIGIN;
        for _ in 0..100 {
            let bytes = window.room();
            window.arrived(bytes).unwrap();
            now = now + RTT;
            window.handle_release(now, bytes, RTT, &mut budget);
        }
        assert_eq!((window.room(), budget.promised), (as_u64(MOST), as_u64(MOST)));
        window.give_back(&mut budget);
        assert_eq!(budget.promised, 0);
    }

    #[test]
    fn a_slow_reader_and_an_endpoint_that_promised_enough_grow_nothing() {
        let mut budget = WindowBudget::default();
        let mut slow = window(&mut budget);
        for seconds in 1..100 {
            slow.arrived(slow.room() / 3).unwrap();
            let now = Instant::from_micros(seconds * 1_000_000);
            slow.handle_release(now, slow.held(), RTT, &mut budget);
        }
        assert_eq!(slow.room(), as_u64(CONNECTION_WINDOW_FIRST));
        budget.promised = as_u64(ENDPOINT_WINDOW_BYTES);
        let mut quick = window(&mut budget);
        let first = quick.room();
        quick.arrived(first).unwrap();
        quick.handle_release(Instant::ORIGIN, first, RTT, &mut budget);
        assert_eq!(quick.room(), first);
    }

    #[test]
    fn a_sender_goes_by_the_newest_packet_and_never_by_more_than_there_is() {
        let mut sending = SendWindow::new();
        sending.handle_announcement(5, 10);
        sending.handle_announcement(4, 99);
        assert_eq!(sending.left(), 10 << 10);
        sending.handle_sent(4 << 10);
        assert_eq!(sending.left(), 6 << 10);
        sending.handle_sent(u64::MAX >> 1);
        assert_eq!(sending.left(), 0);
        sending.handle_settled(u64::MAX);
        assert_eq!(sending.left(), 10 << 10);
        assert_eq!(as_field(2047), (1, 1024));
        assert_eq!(as_field(u64::MAX).0, u16::MAX);
    }

    #[test]
    fn the_smallest_window_has_room_for_a_message_in_a_full_datagram() {
        let mut window = ReceiveWindow::new(Instant::ORIGIN, 0, &mut WindowBudget::default());
        let mut theirs = SendWindow::new();
        theirs.handle_announcement(0, window.advertise());
        assert!(theirs.left() >= as_u64(LARGEST_DATAGRAM + MESSAGE_COST));
    }
}

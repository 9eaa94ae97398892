//! Who gives datagrams to the kernel: the task that calls, or the driver.
//!
//! A caller's task seals what is due under the lock and gives it to the kernel without it. While
//! one task after the other sends, the driver is the one who packs: after one batch of its own a
//! caller only queues, until the driver has been there.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use positron_proto::time::Instant;

use crate::driver::{blocked::Blocked, datagrams::DatagramSocket};

/// A batch of datagrams that is sealed in a buffer, and the socket that it is for.
#[derive(Debug)]
pub struct Transmit {
    pub(super) socket: Arc<DatagramSocket>,
    pub(super) to: SocketAddr,
    pub(super) segment_size: usize,
    pub(super) len: usize,
}

/// Whose turn it is to send, and what waits for the kernel.
///
/// The driver calls [`next_wake`](Self::next_wake) before it sleeps and [`woke`](Self::woke) after
/// it. Callers ask [`take`](Self::take) before they send, and leave to the driver what they may
/// not.
#[derive(Debug)]
pub(super) struct SendTurn {
    /// Batches that the kernel has not taken, one a task that was sending.
    blocked: VecDeque<Blocked>,
    /// Whether a caller may send by itself: the driver found nothing to send when it looked last.
    direct: bool,
    /// Whether something was queued for the driver.
    queued: bool,
    /// Until when the driver sleeps; it does not if this is none.
    asleep: Option<Instant>,
}

/// How long the driver may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sleep {
    /// There is something to do.
    No,
    /// There is nothing to do before that.
    Until(Instant),
    /// There is nothing to do before that, unless the kernel takes datagrams again.
    BlockedUntil(Instant),
}

impl Transmit {
    /// Gives it to the kernel; what is left of it, if the kernel takes no more.
    pub(super) fn send(&self, buffer: &[u8]) -> Option<Blocked> {
        let bytes = &buffer[..self.len.min(buffer.len())];
        Blocked::send(&self.socket, self.to, self.segment_size, bytes)
    }
}

impl Default for SendTurn {
    fn default() -> Self {
        Self { blocked: VecDeque::new(), direct: true, queued: false, asleep: None }
    }
}

impl SendTurn {
    /// Whether a caller may send by itself; the next one may not, until the driver has been there.
    pub(super) const fn take(&mut self) -> bool {
        std::mem::replace(&mut self.direct, false)
    }

    /// Something is queued for the driver; whether it has to be woken.
    pub(super) const fn leave_to_driver(&mut self) -> bool {
        self.queued = true;
        self.asleep.is_some()
    }

    /// Whether the driver sleeps longer than until `at`.
    pub(super) fn oversleeps(&self, at: Option<Instant>) -> bool {
        self.asleep.is_some_and(|until| at.is_some_and(|at| at < until))
    }

    /// The driver wants to sleep until `at`, when something is due.
    pub(super) fn next_wake(&mut self, now: Instant, at: Option<Instant>) -> Sleep {
        let until = at.unwrap_or(Instant::FAR_FUTURE);
        if std::mem::take(&mut self.queued) || until <= now {
            return Sleep::No;
        }
        self.asleep = Some(until);
        self.direct = self.blocked.is_empty();
        if self.direct { Sleep::Until(until) } else { Sleep::BlockedUntil(until) }
    }

    /// The driver does not sleep any more.
    pub(super) const fn woke(&mut self) {
        self.asleep = None;
    }

    /// Whether the kernel has to take something else first.
    pub(super) fn is_blocked(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// The kernel did not take this.
    pub(super) fn block(&mut self, batch: Blocked) {
        self.blocked.push_back(batch);
    }

    /// What the kernel has not taken, to try again without the lock.
    pub(super) fn take_blocked(&mut self) -> VecDeque<Blocked> {
        std::mem::take(&mut self.blocked)
    }

    /// What it still has not taken: it goes before what was blocked meanwhile.
    pub(super) fn put_back(&mut self, mut blocked: VecDeque<Blocked>) {
        blocked.append(&mut self.blocked);
        self.blocked = blocked;
    }
}

/// Gives the kernel what it did not take before, in order and as far as it does.
pub(super) fn send_blocked(blocked: &mut VecDeque<Blocked>, socket: &DatagramSocket) {
    while blocked.front_mut().is_some_and(|first| first.send_on(socket)) {
        blocked.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Instant = Instant::from_micros(1_000);

    #[test]
    fn one_batch_is_a_callers_own_until_the_driver_has_found_nothing_to_send() {
        let mut turn = SendTurn::default();
        assert_eq!((turn.take(), turn.take()), (true, false));
        assert!(!turn.leave_to_driver(), "an awake driver needs no waking");
        assert_eq!(turn.next_wake(NOON, None), Sleep::No, "something is queued");
        assert_eq!(turn.next_wake(NOON, None), Sleep::Until(Instant::FAR_FUTURE));
        assert!(turn.leave_to_driver(), "a sleeping one does");
        assert!(turn.take());
    }

    #[test]
    fn a_driver_is_woken_for_what_is_due_before_it_would_wake() {
        let mut turn = SendTurn::default();
        let later = NOON + std::time::Duration::from_secs(1);
        assert_eq!(turn.next_wake(NOON, Some(NOON)), Sleep::No, "it is due");
        assert_eq!(turn.next_wake(NOON, Some(later)), Sleep::Until(later));
        assert!(turn.oversleeps(Some(NOON)));
        assert!(!turn.oversleeps(Some(later)) && !turn.oversleeps(None));
        turn.woke();
        assert!(!turn.oversleeps(Some(NOON)));
    }

    #[test]
    fn what_the_kernel_refused_goes_first_and_nobody_passes_it() {
        let batch =
            |byte| Blocked { to: ([127, 0, 0, 1], 1).into(), segment_size: 1, bytes: vec![byte] };
        let mut turn = SendTurn::default();
        turn.block(batch(1));
        let before = turn.take_blocked();
        turn.block(batch(2));
        turn.put_back(before);
        assert!(turn.is_blocked());
        assert_eq!(turn.next_wake(NOON, None), Sleep::BlockedUntil(Instant::FAR_FUTURE));
        assert!(!turn.take(), "a caller's own batch would pass what waits");
        let order: Vec<Vec<u8>> = turn.take_blocked().into_iter().map(|b| b.bytes).collect();
        assert_eq!(order, [[1], [2]]);
    }
}

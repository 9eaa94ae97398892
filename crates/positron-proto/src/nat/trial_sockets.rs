//! Sockets of a port of their own, for packets that are sent to see who is let in.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
};

use super::NatEffect;
use crate::{
    datagram::contract::ExtraSocket,
    limits::MAX_TRIAL_SOCKETS,
    time::{Duration, Instant},
};

/// A few sockets, each open for a short time. Names are used again as late as can be, so that no
/// translator remembers what one of the same name did.
///
/// **Bounds**: [`MAX_TRIAL_SOCKETS`] at a time.
#[derive(Debug)]
pub(super) struct TrialSockets {
    names: Range<u16>,
    next: u16,
    /// Until when each is open.
    open: BTreeMap<ExtraSocket, Instant>,
}

impl TrialSockets {
    /// None; they will have these names, which nobody else gives.
    pub(super) const fn new(names: Range<u16>) -> Self {
        Self { next: names.start, names, open: BTreeMap::new() }
    }

    /// Opens one for so long, unless too many are open.
    pub(super) fn open(
        &mut self,
        now: Instant,
        life: Duration,
        out: &mut VecDeque<NatEffect>,
    ) -> Option<ExtraSocket> {
        if !self.has_room() {
            return None;
        }
        let socket = ExtraSocket(self.next);
        self.next = if self.next + 1 < self.names.end { self.next + 1 } else { self.names.start };
        self.open.insert(socket, now + life);
        out.push_back(NatEffect::OpenSocket(socket));
        Some(socket)
    }

    /// One that is open, which it now stays for so long, or a new one.
    pub(super) fn share(
        &mut self,
        now: Instant,
        life: Duration,
        out: &mut VecDeque<NatEffect>,
    ) -> Option<ExtraSocket> {
        match self.open.iter_mut().next() {
            Some((socket, until)) => {
                *until = now + life;
                Some(*socket)
            }
            None => self.open(now, life, out),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.open.len() < MAX_TRIAL_SOCKETS
    }

    /// When the next is to be closed.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.open.values().min().copied()
    }

    /// Closes those whose time is over.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut VecDeque<NatEffect>) {
        let over = self.open.extract_if(.., |_, until| *until <= now);
        out.extend(over.map(|(socket, _)| NatEffect::CloseSocket(socket)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(5);

    #[test]
    fn there_are_only_so_many_and_each_is_closed_in_time() {
        let (mut sockets, mut out) = (TrialSockets::new(10..200), VecDeque::new());
        let now = Instant::ORIGIN;
        let opened: Vec<_> = (0..100).filter_map(|_| sockets.open(now, LIFE, &mut out)).collect();
        assert_eq!((opened.len(), out.len()), (MAX_TRIAL_SOCKETS, MAX_TRIAL_SOCKETS));
        out.clear();
        sockets.handle_timeout(now, &mut out);
        assert!(out.is_empty(), "it is not time");
        let now = sockets.poll_timeout().unwrap();
        sockets.handle_timeout(now, &mut out);
        assert_eq!(out.len(), MAX_TRIAL_SOCKETS);
        assert_eq!(sockets.poll_timeout(), None);
        let next = sockets.open(now, LIFE, &mut out).unwrap();
        assert!(!opened.contains(&next), "a name is used again as late as can be");
    }

    #[test]
    fn one_that_is_shared_stays_open_while_it_is_used_and_names_come_again_after_the_last() {
        let (mut sockets, mut out) = (TrialSockets::new(10..12), VecDeque::new());
        let mut now = Instant::ORIGIN;
        let mut names = Vec::new();
        for _ in 0..3 {
            let shared = sockets.share(now, LIFE, &mut out);
            now = now + LIFE / 2;
            assert_eq!(sockets.share(now, LIFE, &mut out), shared);
            sockets.handle_timeout(now + LIFE / 2, &mut out);
            assert!(sockets.poll_timeout().is_some(), "it was used since");
            now = now + LIFE;
            sockets.handle_timeout(now, &mut out);
            names.extend(shared);
        }
        assert_eq!(names, [10, 11, 10].map(ExtraSocket));
    }
}

//! Packets that were declared lost, so that their late arrival is recognised.

use std::collections::VecDeque;

use crate::{limits::MAX_LOST_REMEMBERED, time::Instant};

/// A packet that was declared lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mourned {
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) sent_at: Instant,
    lost_at: Instant,
    /// The episode that it counted towards; `None` if it never touched congestion control.
    episode: Option<u64>,
    returned: bool,
}

/// The last [`MAX_LOST_REMEMBERED`] packets that were declared lost, and the loss episode that
/// congestion control has paid for last.
#[derive(Debug)]
pub(super) struct Losses {
    /// Ascending numbers: losses are found in order.
    packets: VecDeque<Mourned>,
    episode: u64,
    /// Packets sent no later belong to the episode.
    started: Option<Instant>,
    /// Packets of the episode that did not return.
    missing: u64,
    /// Everything below was told to the other end as abandoned, so that its cumulative number
    /// proves nothing about it.
    told: u64,
}

impl Losses {
    pub(super) const fn new() -> Self {
        Self { packets: VecDeque::new(), episode: 0, started: None, missing: 0, told: 0 }
    }

    /// Keeps no room that nothing is in.
    pub(super) fn shrink(&mut self) {
        self.packets.shrink_to_fit();
    }

    /// Congestion control hears of losses; the newest of them was sent at `newest_sent_at`. Whether
    /// they begin an episode (RFC 9002, 7.3.2: those of a flight count once).
    pub(super) fn begin(&mut self, now: Instant, newest_sent_at: Instant) -> bool {
        if self.started.is_some_and(|started| newest_sent_at <= started) {
            return false;
        }
        self.force(now);
        true
    }

    /// Begins an episode, whatever was before.
    pub(super) fn force(&mut self, now: Instant) {
        self.episode += 1;
        self.started = Some(now);
        self.missing = 0;
    }

    /// A packet is lost. `congestion`: it counts towards the episode.
    pub(super) fn add(
        &mut self,
        now: Instant,
        number: u64,
        bytes: u64,
        sent_at: Instant,
        congestion: bool,
    ) {
        if self.packets.len() == MAX_LOST_REMEMBERED {
            self.packets.pop_front();
        }
        self.missing += u64::from(congestion);
        let episode = congestion.then_some(self.episode);
        let returned = false;
        self.packets.push_back(Mourned { number, bytes, sent_at, lost_at: now, episode, returned });
    }

    /// STOP_WAITING was told.
    pub(super) fn handle_announced(&mut self, lowest: u64) {
        self.told = self.told.max(lowest);
    }

    /// The lowest lost packet that did not return and was declared lost after `since`.
    pub(super) fn lowest_awaited(&self, since: Instant) -> Option<u64> {
        let from = self.packets.partition_point(|lost| lost.lost_at <= since);
        self.packets.range(from..).find(|lost| !lost.returned).map(|lost| lost.number)
    }

    /// The other end says that `first..=last` arrived; `cumulative` is its cumulative number. Those
    /// that had been declared lost are given to `each`, each once.
    pub(super) fn handle_arrival(
        &mut self,
        first: u64,
        last: u64,
        cumulative: u64,
        mut each: impl FnMut(&Mourned),
    ) {
        // A number that was told as abandoned is proven only by a range of its own.
        let first = if last < cumulative { first.max(self.told) } else { first };
        let from = self.packets.partition_point(|lost| lost.number < first);
        for lost in self.packets.range_mut(from..) {
            if lost.number > last {
                break;
            }
            if lost.returned {
                continue;
            }
            lost.returned = true;
            if lost.episode == Some(self.episode) {
                self.missing = self.missing.saturating_sub(1);
            }
            each(lost);
        }
    }

    /// Nothing about numbers below `cumulative` can be learned any more.
    pub(super) fn forget_below(&mut self, cumulative: u64) {
        while self.packets.front().is_some_and(|lost| lost.number < cumulative) {
            self.packets.pop_front();
        }
    }

    /// Whether every packet of the episode has returned; true once for an episode.
    pub(super) fn take_refuted(&mut self) -> bool {
        self.started.is_some() && self.missing == 0 && {
            self.started = None;
            true
        }
    }
}

//! How much reordering a path does before a packet that was overtaken counts as lost (RFC 8985,
//! 6.2), learned from what was seen.

use super::super::rtt::Rtt;
use crate::{
    limits::{REORDERING_FIRST, REORDERING_MOST, REORDERING_PERSISTS},
    time::Duration,
};

/// The tolerance of reordering.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    /// Packets by which one may be overtaken; `None`: reordering is so deep that only time decides.
    packets: Option<u64>,
    /// Time that was needed beyond a round trip by packets that came late.
    lateness: Duration,
    /// Loss episodes since packets were last declared lost in error.
    quiet_episodes: u32,
}

impl Tolerance {
    pub(super) const fn new() -> Self {
        Self { packets: Some(REORDERING_FIRST), lateness: Duration::ZERO, quiet_episodes: 0 }
    }

    /// Whether a packet that was overtaken by `distance` numbers is lost for that alone.
    pub(super) fn too_far(&self, distance: u64) -> bool {
        self.packets.is_some_and(|packets| distance >= packets)
    }

    /// The reordering window: a quarter of the least round trip time, or what was needed, at most
    /// one round trip.
    pub(super) fn window(&self, rtt: &Rtt) -> Duration {
        (rtt.least() / 4).max(self.lateness).min(rtt.smoothed())
    }

    /// A packet was overtaken by `distance` numbers and came `late` after the round trip time that
    /// later ones took. Departure from RFC 8985, which adds a quarter of the round trip time for
    /// each round with a duplicate: what was needed is known here, as no number is sent twice.
    pub(super) fn handle_overtaken(&mut self, distance: u64, late: Duration) {
        // Twice, as the tail of a path's jitter is rarely seen first.
        self.packets = self
            .packets
            .map(|packets| packets.max(distance.saturating_mul(2)))
            .filter(|&packets| packets <= REORDERING_MOST);
        self.lateness = self.lateness.max(late + late / 4);
    }

    /// Packets were declared lost in error: what was learned is needed.
    pub(super) fn was_too_strict(&mut self) {
        self.quiet_episodes = 0;
    }

    /// A loss episode began. Tolerance makes losses be found late, so that it fades.
    pub(super) fn episode(&mut self) {
        self.quiet_episodes += 1;
        if self.quiet_episodes < REORDERING_PERSISTS {
            return;
        }
        self.quiet_episodes = 0;
        self.lateness /= 2;
        let packets = self.packets.unwrap_or(REORDERING_MOST);
        self.packets = Some((packets / 2).max(REORDERING_FIRST));
    }
}

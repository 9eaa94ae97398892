//! Over which kinds of link a peer was reached, and when to try for a better one
//! `[PROTOCOL 5.2]`.

use super::kind::LinkKind;
use crate::{
    limits::{BACK_FIRST, BACK_LONGEST},
    time::Duration,
};

/// What a conversation knows of the links that it may move to.
///
/// A preferred kind is tried again after [`BACK_FIRST`], and then each time after twice as long, up
/// to [`BACK_LONGEST`]; a link that was good begins that anew.
#[derive(Debug)]
pub(super) struct UpgradeBackoff {
    /// What its links were made of last.
    kind: Option<LinkKind>,
    /// Whether its last link was held for dead when its session ended.
    lost: bool,
    /// How long the next attempt to go back to a preferred kind waits.
    back_after: Duration,
}

impl Default for UpgradeBackoff {
    fn default() -> Self {
        Self { kind: None, lost: false, back_after: BACK_FIRST }
    }
}

impl UpgradeBackoff {
    /// It goes on over a link of this kind: whether it had one of another kind before.
    pub(super) fn handle_link(&mut self, kind: LinkKind) -> bool {
        self.kind.replace(kind).is_some_and(|before| before != kind)
    }

    /// Its session is over; whether its link was held for dead.
    pub(super) const fn handle_session_down(&mut self, lost: bool) {
        self.lost = lost;
    }

    /// Whether its last link was held for dead when its session ended.
    pub(super) const fn is_lost(&self) -> bool {
        self.lost
    }

    /// How long the next attempt to go back to a preferred kind waits; the one after it waits twice
    /// as long.
    pub(super) fn next_attempt(&mut self) -> Duration {
        let wait = self.back_after;
        self.back_after = BACK_LONGEST.min(2 * wait);
        wait
    }

    /// Its link of the most preferred kind lasted: the next one is tried soon after it breaks.
    pub(super) const fn handle_good_link(&mut self) {
        self.back_after = BACK_FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_to_go_back_become_ever_more_seldom_until_a_link_was_good() {
        let mut standby = UpgradeBackoff::default();
        let mut wait = BACK_FIRST;
        for _ in 0..20 {
            assert_eq!(standby.next_attempt(), wait);
            wait = BACK_LONGEST.min(2 * wait);
        }
        assert_eq!(wait, BACK_LONGEST);
        standby.handle_good_link();
        assert_eq!(standby.next_attempt(), BACK_FIRST);
    }

    #[test]
    fn only_a_link_of_another_kind_than_the_one_before_is_a_move() {
        let mut standby = UpgradeBackoff::default();
        let kinds = [LinkKind::Udp, LinkKind::Udp, LinkKind::Tcp, LinkKind::Udp];
        assert_eq!(kinds.map(|kind| standby.handle_link(kind)), [false, false, true, true]);
    }
}

//! What is told of newcomers who are refused: not each, and none is lost.

use std::collections::{BTreeMap, VecDeque};

use super::PeersEffect;
use crate::{
    limits::REFUSALS_TOLD_INTERVAL, session::sessions::Peer, time::Instant,
    wire::frame::CloseReason,
};

/// Refusals since they were told last, for each reason.
///
/// Anybody may knock as often as they like, so one refusal of a reason is told in
/// [`REFUSALS_TOLD_INTERVAL`], with how many there were between; a flood of one reason does not
/// hide another. Bounded by the reasons for which the room refuses.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    by_code: BTreeMap<u16, Told>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    untold: u64,
}

impl Refusals {
    /// A newcomer was refused.
    pub(super) fn handle_refused(
        &mut self,
        now: Instant,
        peer: Peer,
        reason: CloseReason,
        out: &mut VecDeque<PeersEffect>,
    ) {
        let untold = match self.by_code.get_mut(&reason.code()) {
            Some(told) if now.since(told.at) < REFUSALS_TOLD_INTERVAL => {
                return told.untold += 1;
            }
            Some(told) => told.untold,
            None => 0,
        };
        self.by_code.insert(reason.code(), Told { at: now, untold: 0 });
        out.push_back(PeersEffect::Refused { peer, reason, untold });
    }
}
